"""The suite is tested by a back-end that keeps to the spec, and by the same with one fault for each case.

A case that no fault makes fail would find nothing out.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

import pytest

from conform.in_process import InProcess
from conform.reference import OWN_FEATURES, Fault, Outcome, Reference
from vutrace.conform.case import Case, CaseVerdict
from vutrace.conform.catalogue import backend_cases
from vutrace.conform.run import Bench, run_case, survey
from vutrace.conform.survey import Survey
from vutrace.dissection.message import Message
from vutrace.dissection.registry import Registry, load
from vutrace.peers.encode import SPECS, encode_reply
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.protocol.messages import layers_of
from vutrace.protocol.spec import ReplyRule
from vutrace.protocol.wire import HEADER, NEED_REPLY, REPLY, VERSION

CASES = backend_cases()
FLAGS = 4  # where the flags stand in a header
SOON = 0.2  # for what never comes


@dataclass(frozen=True)
class FaultyBackEnd:
    """What is wrong with a back-end: what it does about messages, or kinds of behaviour."""

    act: Fault | None = None
    kinds: frozenset[str] = frozenset()


def kind(*names: str) -> FaultyBackEnd:
    return FaultyBackEnd(None, frozenset(names))


def at(name: str, change: Callable[[Message, Outcome], None]) -> FaultyBackEnd:
    """A fault at one message."""

    def act(device: Reference, message: Message, out: Outcome) -> None:
        if message.name == name:
            change(message, out)

    return FaultyBackEnd(act)


def acknowledgement(message: Message, status: int) -> bytes:
    number = HEADER.unpack_from(message.frame.data)[0]
    return HEADER.pack(number, VERSION | REPLY, 8) + status.to_bytes(8, "little")


def refuses(name: str) -> FaultyBackEnd:
    def change(message: Message, out: Outcome) -> None:
        out.replies = [acknowledgement(message, 1)] if message.need_reply else []
        out.close = not message.need_reply

    return at(name, change)


def takes_all(name: str) -> FaultyBackEnd:
    """Whatever is wrong with the message, it is answered as if it were not."""

    def change(message: Message, out: Outcome) -> None:
        if out.refused:
            out.close = False
            out.replies = [success(message)] if message.need_reply or always(message) else []

    return at(name, change)


def always(message: Message) -> bool:
    return message.spec.rule is ReplyRule.ALWAYS


def success(message: Message) -> bytes:
    if not always(message):
        return acknowledgement(message, 0)
    return encode_reply(message.spec, layers_of(message.spec, reply=True)[0]())


def dies(name: str) -> FaultyBackEnd:
    def change(message: Message, out: Outcome) -> None:
        out.die = True

    return at(name, change)


def dies_where_it_should_refuse() -> FaultyBackEnd:
    def act(device: Reference, message: Message, out: Outcome) -> None:
        out.die |= out.refused

    return FaultyBackEnd(act)


def acknowledges_unknown() -> FaultyBackEnd:
    def act(device: Reference, message: Message, out: Outcome) -> None:
        if message.name.startswith("UNKNOWN"):
            out.close, out.replies = False, [acknowledgement(message, 0)]

    return FaultyBackEnd(act)


def twice(name: str) -> FaultyBackEnd:
    def change(message: Message, out: Outcome) -> None:
        out.replies *= 2

    return at(name, change)


def unasked(name: str) -> FaultyBackEnd:
    def change(message: Message, out: Outcome) -> None:
        out.replies = out.replies or [acknowledgement(message, 0)]

    return at(name, change)


def echoes_need_reply(name: str) -> FaultyBackEnd:
    def change(message: Message, out: Outcome) -> None:
        out.replies = [
            reply[:FLAGS] + bytes([reply[FLAGS] | NEED_REPLY]) + reply[FLAGS + 1 :] for reply in out.replies
        ]

    return at(name, change)


def says(name: str, number: int) -> FaultyBackEnd:
    """A number of 8 bytes in place of the right one."""
    return at(name, lambda message, out: replace(out, number.to_bytes(8, "little")))


def replace(out: Outcome, payload: bytes) -> None:
    out.replies = [reply[:8] + len(payload).to_bytes(4, "little") + payload for reply in out.replies]


def short(name: str) -> FaultyBackEnd:
    return at(name, lambda message, out: replace(out, bytes(4)))


def drifts(name: str) -> FaultyBackEnd:
    """Each answer is another."""
    count = iter(range(1 << 20))
    return at(name, lambda message, out: replace(out, (next(count) << 50 | 1 << 30).to_bytes(8, "little")))


def grows(name: str) -> FaultyBackEnd:
    def change(message: Message, out: Outcome) -> None:
        out.replies = [
            reply[:8] + (len(reply) - 8).to_bytes(4, "little") + reply[12:] + bytes(4)
            for reply in out.replies
        ]

    return at(name, change)


def alone(case: Case) -> FaultyBackEnd:
    """The protocol feature of a case's name, offered without those that it needs."""
    word = case.name.removeprefix("protocol-features/").removesuffix("-is-complete")
    name = word.upper().replace("-", "_")
    return says("GET_PROTOCOL_FEATURES", bit(name, PROTOCOL_FEATURES))


def of_message(make: Callable[[str], FaultyBackEnd]) -> Callable[[Case], FaultyBackEnd]:
    """A fault at the message that the case is named after."""

    def of(case: Case) -> FaultyBackEnd:
        word = case.name.partition("/")[2].upper().replace("-", "_")
        found = [name for name in SPECS if word == name or word.startswith(f"{name}_")]
        return make(max(found, key=len))

    return of


# The first pattern that fits a case's name has its fault.
FAULTS: tuple[tuple[str, FaultyBackEnd | Callable[[Case], FaultyBackEnd]], ...] = (
    ("framing/question", refuses("GET_FEATURES")),
    ("framing/closed-in-*", kind("broken-off")),
    ("framing/closed-*", kind("closing-kills")),
    ("framing/surplus-descriptor", kind("keeps-descriptors")),
    ("framing/*", kind("short-reads")),
    ("hostile/size-*", kind("broken-off")),
    ("hostile/many-descriptors", dies_where_it_should_refuse()),
    ("header/*-reply-flags", of_message(echoes_need_reply)),
    ("header/version-*", takes_all("GET_FEATURES")),
    ("header/request-*-acknowledged", acknowledges_unknown()),
    ("header/*", dies_where_it_should_refuse()),
    ("gating/*", dies_where_it_should_refuse()),
    ("negotiation/features-are-8-bytes", short("GET_FEATURES")),
    ("negotiation/features-stay*", drifts("GET_FEATURES")),
    ("negotiation/protocol-features-stay", drifts("GET_PROTOCOL_FEATURES")),
    ("negotiation/offers-version-1", says("GET_FEATURES", 0)),
    ("negotiation/offers-protocol-features", says("GET_FEATURES", 0)),
    ("negotiation/offers-*", says("GET_PROTOCOL_FEATURES", 0)),
    ("negotiation/protocol-features-known", says("GET_PROTOCOL_FEATURES", 1 << 40)),
    ("negotiation/protocol-features-before-features", refuses("SET_PROTOCOL_FEATURES")),
    ("negotiation/*-not-offered", lambda case: takes_all(
        "SET_PROTOCOL_FEATURES" if "protocol" in case.name else "SET_FEATURES")),
    ("negotiation/in-band-alone", takes_all("SET_PROTOCOL_FEATURES")),
    ("negotiation/owner-twice", refuses("SET_OWNER")),
    ("negotiation/owner-missing", dies("SET_FEATURES")),
    ("negotiation/*", refuses("SET_FEATURES")),
    ("multi-queue/queue-count", says("GET_QUEUE_NUM", 0)),
    ("multi-queue/every-ring", refuses("SET_VRING_NUM")),
    ("protocol-features/*-is-complete", alone),
    ("protocol-features/*", refuses("SET_PROTOCOL_FEATURES")),
    ("replies/*", of_message(twice)),
    ("acknowledgement/*-unasked", of_message(unasked)),
    ("acknowledgement/*", of_message(refuses)),
    ("memory/works-in-second-region", kind("first-region")),
    ("memory/works-behind-offset", kind("no-offset")),
    ("memory/works-in-added-region", kind("additions-lost")),
    ("memory/empty-table", dies("SET_MEM_TABLE")),
    ("memory/slot-count", says("GET_MAX_MEM_SLOTS", 0)),
    ("memory/remove-unknown", takes_all("REM_MEM_REG")),
    ("memory/add-beyond-its-file", takes_all("ADD_MEM_REG")),
    ("memory/more-than-slots", takes_all("ADD_MEM_REG")),
    ("memory/add-and-remove", refuses("REM_MEM_REG")),
    ("memory/remove-*", refuses("REM_MEM_REG")),
    *((f"memory/{name}", refuses("SET_MEM_TABLE"))
      for name in ("one-region", "two-regions", "eight-regions", "offset", "table-*")),
    ("memory/*", takes_all("SET_MEM_TABLE")),
    ("migration/marks-the-used-ring", kind("no-log")),
    ("migration/log-is-answered", refuses("SET_LOG_BASE")),
    ("migration/device-state-bad", at("SET_DEVICE_STATE_FD", lambda message, out: replace(out, bytes(8)))),
    ("rings/base-*", says("GET_VRING_BASE", 99 << 32)),
    ("rings/stop-*", dies("GET_VRING_BASE")),
    ("rings/no-call-descriptor", kind("idle")),
    ("rings/call-replaced", kind("first-call")),
    ("rings/request-before-start", kind("idle")),
    ("rings/enabled-by-default", kind("disabled")),
    ("rings/call-*", refuses("SET_VRING_CALL")),
    ("rings/error-*", refuses("SET_VRING_ERR")),
    ("rings/kick-without-descriptor", refuses("SET_VRING_KICK")),
    ("rings/kick-unconfigured", dies("SET_VRING_KICK")),
    ("rings/disabled-before-all", refuses("SET_VRING_ENABLE")),
    ("rings/off-and-on", refuses("SET_VRING_ENABLE")),
    ("rings/size-odd", dies("SET_VRING_NUM")),
    ("rings/size-*", takes_all("SET_VRING_NUM")),
    ("rings/no-such-ring-*", lambda case: takes_all(
        {"base": "SET_VRING_BASE", "call": "SET_VRING_CALL", "kick": "SET_VRING_KICK",
         "enable": "SET_VRING_ENABLE"}.get(case.name.rpartition("-")[2], "SET_VRING_NUM"))),
    ("rings/*", dies_where_it_should_refuse()),
    ("status/*", says("GET_STATUS", 77)),
    ("reset/owner", dies("RESET_OWNER")),
    ("reset/*", refuses("RESET_DEVICE")),
    ("reconnect/*", kind("once")),
    ("configuration/parts-agree", kind("config-offset")),
    ("configuration/read-only", kind("config-writable")),
    ("configuration/*-bytes-*", grows("GET_CONFIG")),
    ("configuration/*", dies("GET_CONFIG")),
    ("inflight/area", kind("inflight-small")),
    ("inflight/huge", dies("GET_INFLIGHT_FD")),
    ("channel/replaced", kind("keeps-channel")),
    ("channel/ends", kind("end-kills")),
    ("channel/unasked-answer", kind("answer-kills")),
    ("channel/garbage", kind("garbage-kills")),
    ("channel/*", kind("talks")),
    ("in-band/kick", kind("deaf")),
    ("in-band/call", kind("no-message")),
    ("in-band/call-waits", kind("never-waits")),
    ("in-band/descriptor-preferred", kind("calls-twice")),
    ("iotlb/update", at("IOTLB_MSG", lambda message, out: replace(out, (1).to_bytes(8, "little")))),
    ("iotlb/outside-memory", at("IOTLB_MSG", lambda message, out: replace(out, bytes(8)))),
    ("iotlb/miss", kind("never-misses")),
    ("iotlb/miss-answered", kind("no-iommu")),
    ("iotlb/told-before", kind("asks-anyway")),
    ("iotlb/invalidated", kind("keeps-translations")),
    ("gpu/asks-features-first", kind("gpu-rash")),
    ("gpu/takes-nothing-of-nothing", kind("gpu-greedy")),
    ("gpu/takes-what-is-offered", kind("gpu-greedier")),
    ("gpu/display-info", kind("gpu-invents")),
    ("device-state/saved", kind("endless-state")),
    ("device-state/loaded", kind("state-lost")),
    ("device-state/works-again", kind("idle-when-loaded")),
    ("device-state/garbage", kind("any-state")),
    ("device-state/check-alone", dies("CHECK_DEVICE_STATE")),
    ("postcopy/advise", kind("no-faults")),
    ("postcopy/faults-come-over", kind("faults-elsewhere")),
    ("postcopy/listen", refuses("POSTCOPY_LISTEN")),
    ("postcopy/listen-alone", dies("POSTCOPY_LISTEN")),
    ("postcopy/table-is-told", kind("untold")),
    ("postcopy/end", at("POSTCOPY_END", lambda message, out: replace(out, (1).to_bytes(8, "little")))),
    ("postcopy/works-after-end", kind("idle")),
    ("net/packet-received", kind("short-packet")),
    ("net/num-buffers", kind("no-count")),
    ("*/call", kind("never-calls")),
    ("*/pieces", kind("first-part")),
    ("*/indirect", kind("no-indirect")),
    ("*/around", kind("no-wrap")),
    ("*/three-rounds", kind("one-round")),
    ("*/still-after-stop", kind("goes-on")),
    ("*/base-counts", kind("base-zero")),
    ("*/starts-again", kind("starts-once")),
    ("split/event-index", kind("always-calls")),
    ("split/no-interrupt", kind("always-calls")),
    ("split/*", kind("idle")),
    ("packed/*", kind("idle")),
    *((f"hostile/{name}*", kind("ring-kills"))
      for name in ("buffer-", "request-", "chain-", "next-", "head-", "index-")),
    ("hostile/*", of_message(takes_all)),
)  # fmt: skip


def fault_of(case: Case) -> FaultyBackEnd:
    """The fault that a case has to find."""
    fault = next(fault for pattern, fault in FAULTS if fnmatchcase(case.name, pattern))
    return fault if isinstance(fault, FaultyBackEnd) else fault(case)


@cache
def registry() -> Registry:
    return load()


@cache
def offer(device: str) -> Survey:
    """What the reference offers."""
    return survey(bench(InProcess(device=device), device))


def bench(peer: InProcess, device: str, timeout: float = 2.0) -> Bench:
    return Bench(peer, registry(), device, timeout)


def device_for(case: Case) -> str:
    """The first device that a case has a sense with."""
    return next(device for device in OWN_FEATURES if not offer(device).why_not(case))


@pytest.mark.parametrize("name", CASES)
def test_a_back_end_that_keeps_to_the_spec_passes(name: str) -> None:
    case = CASES[name]
    device = device_for(case)
    result = run_case(bench(InProcess(device=device), device), offer(device), case)
    assert (result.verdict, result.came) == (CaseVerdict.PASS, "")


@pytest.mark.parametrize("name", CASES)
def test_its_fault_is_found(name: str) -> None:
    case = CASES[name]
    device, fault = device_for(case), fault_of(case)
    peer = InProcess(fault.act, fault.kinds, device)
    result = run_case(bench(peer, device, SOON), offer(device), case)
    assert result.verdict is CaseVerdict.FAIL
    assert result.came


def test_every_case_says_what_is_sent_what_is_expected_and_where_the_spec_says_so() -> None:
    for case in CASES.values():
        assert re.fullmatch(r"[a-z-]+/[a-z0-9-]+", case.name), case.name
        assert case.heading
        assert case.sends
        assert case.expects
