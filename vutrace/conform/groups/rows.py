"""Cases that follow from the rows of the message table: one for each message, of each kind."""

from collections.abc import Callable, Iterator
from functools import partial

from vutrace.conform.case import Case, Level, UnmetError
from vutrace.conform.contents import before, prepared, valid
from vutrace.conform.groups.negotiation import TOGETHER
from vutrace.conform.probe import Probe
from vutrace.conform.speaker import ACK
from vutrace.dissection.message import Message
from vutrace.peers.encode import SPECS, encode_request
from vutrace.protocol.bits import PROTOCOL_FEATURES
from vutrace.protocol.effects import Purpose
from vutrace.protocol.layers import size_of
from vutrace.protocol.messages import heading, layers_of
from vutrace.protocol.spec import FdRule, MessageSpec, ReplyRule
from vutrace.protocol.wire import HEADER, HEADER_SIZE, NEED_REPLY, VERSION
from vutrace.records import Channel

REPLY_ACK = "VHOST_USER_PROTOCOL_F_REPLY_ACK"
# Outside a migration and without a GPU they cannot be sent by themselves.
APART = {"SET_LOG_BASE", "SET_LOG_FD", "GPU_SET_SOCKET", "RESET_OWNER"}
MOVING = (Purpose.MIGRATE,)


def title(spec: MessageSpec) -> str:
    """A message in the name of a case."""
    return spec.name.lower().replace("_", "-")


def gate(spec: MessageSpec) -> tuple[str, ...]:
    """What has to be offered for a message: its feature, and what belongs to that."""
    return (spec.gate, *TOGETHER.get(spec.gate, ())) if spec.gate else ()


def device_of(spec: MessageSpec) -> str:
    """The one device whose message it is; DPDK offers the feature of a crypto device's for all."""
    return "crypto" if spec.gate == "CRYPTO_SESSION" else ""


def sendable(spec: MessageSpec) -> bool:
    """Whether a message can be sent by itself to a device that is set up."""
    return spec.name not in APART and spec.purpose not in MOVING


def shows_success(spec: MessageSpec) -> bool:
    """Whether an answer tells success from refusal: one that may be empty does not."""
    return spec.rule is not ReplyRule.ALWAYS or size_of(layers_of(spec, reply=True)[0]) > 0


def place(spec: MessageSpec) -> str:
    """The heading of a message."""
    return heading(Channel.MAIN, spec)


# Replies


def replies_in_order(name: str, probe: Probe) -> None:
    content = prepared(probe, name)
    message = probe.ask(name, content.payload, content.fds)
    if message.rest:
        raise UnmetError(f"{len(message.rest)} bytes behind the payload")
    probe.silent(name)


def one_reply(name: str, probe: Probe) -> None:
    content = prepared(probe, name)
    probe.ask(name, content.payload, content.fds, need_reply=True)
    probe.silent(name)


def plain_flags(name: str, probe: Probe) -> None:
    content = prepared(probe, name)
    reply = probe.ask(name, content.payload, content.fds, need_reply=bool(probe.protocol & ACK))
    if reply.flags & NEED_REPLY:
        raise UnmetError(f"flags {reply.flags:#x}: NEED_REPLY in a reply")


def is_acknowledged(name: str, probe: Probe) -> None:
    content = prepared(probe, name)
    status = probe.ask(name, content.payload, content.fds, need_reply=True).number_in("status")
    if status:
        raise UnmetError(f"status {status}")
    probe.silent(name)


def is_silent(name: str, probe: Probe) -> None:
    content = prepared(probe, name)
    probe.send(name, content.payload, content.fds)
    probe.silent(name)


# Payloads and descriptors that are wrong


def wrong_size(name: str, change: Callable[[bytes], bytes], probe: Probe) -> None:
    content = prepared(probe, name)
    whole = encode_request(SPECS[name], content.payload)
    payload = change(whole[HEADER_SIZE:])
    answered = SPECS[name].rule is ReplyRule.ALWAYS
    flags = VERSION | (NEED_REPLY if probe.protocol & ACK and not answered else 0)
    probe.raw(HEADER.pack(SPECS[name].number, flags, len(payload)) + payload, content.fds)
    if probe.protocol & ACK or answered:
        judge_wrong(name, probe)
    else:
        probe.survives()


def judge_wrong(name: str, probe: Probe) -> None:
    """An error, a refusal in the reply's own way, or the end."""
    message = probe.whatever()
    if message and is_success(message, name):
        raise UnmetError(f"{name} was taken as if it were whole")
    probe.survives()


def is_success(message: Message, name: str) -> bool:
    """Whether a message says that the request was carried out."""
    if message.request != SPECS[name].number:
        return False
    if SPECS[name].rule is ReplyRule.ALWAYS:
        return bool(message.payload) and not message.problems
    return message.number_in("status") == 0


def without_fds(name: str, probe: Probe) -> None:
    content = prepared(probe, name)
    probe.refused(name, content.payload)


def ungated(name: str, probe: Probe) -> None:
    probe.needs = ()
    before(probe, "SET_MEM_TABLE")
    content = valid(probe, name) if name != "SET_INFLIGHT_FD" else valid(probe, "GET_INFLIGHT_FD")
    probe.send(name, content.payload, content.fds)
    probe.survives()


def cases() -> Iterator[Case]:
    """All of them."""
    for spec in SPECS.values():
        if sendable(spec):
            yield from of_reply(spec) if spec.rule is ReplyRule.ALWAYS else of_order(spec)
            yield from of_damage(spec) if shows_success(spec) else ()
        if spec.gate in PROTOCOL_FEATURES.values() and spec.purpose not in MOVING:
            yield Case(
                name=f"gating/{title(spec)}",
                heading="Communication",
                sends=f"{spec.name} although {spec.gate} was not acknowledged",
                expects="the back-end goes on or closes, and does not die",
                act=partial(ungated, spec.name),
                level=Level.MAY,
            )


def of_reply(spec: MessageSpec) -> Iterator[Case]:
    """Of a message that has a reply of its own."""
    yield Case(
        name=f"replies/{title(spec)}",
        heading=place(spec),
        sends=spec.name,
        expects="one reply of the same request, version 1, with the REPLY flag and the payload's size",
        act=partial(replies_in_order, spec.name),
        needs=gate(spec),
        device=device_of(spec),
    )
    yield Case(
        name=f"replies/{title(spec)}-once",
        heading=REPLY_ACK,
        sends=f"{spec.name} with NEED_REPLY",
        expects="its own reply, and no acknowledgement besides",
        act=partial(one_reply, spec.name),
        needs=("REPLY_ACK", *gate(spec)),
        device=device_of(spec),
    )
    yield Case(
        name=f"header/{title(spec)}-reply-flags",
        heading="Header",
        sends=f"{spec.name} with NEED_REPLY",
        expects="a reply without NEED_REPLY, which is a request's flag",
        act=partial(plain_flags, spec.name),
        level=Level.MAY,
        needs=("REPLY_ACK", *gate(spec)),
        device=device_of(spec),
    )


def of_order(spec: MessageSpec) -> Iterator[Case]:
    """Of a message that is only acknowledged."""
    if spec.purpose is not Purpose.GREET or spec.name == "SET_OWNER":
        yield Case(
            name=f"acknowledgement/{title(spec)}",
            heading=REPLY_ACK,
            sends=f"{spec.name} with NEED_REPLY",
            expects="a u64 of 0, once",
            act=partial(is_acknowledged, spec.name),
            needs=("REPLY_ACK", *gate(spec)),
            device=device_of(spec),
        )
    yield Case(
        name=f"acknowledgement/{title(spec)}-unasked",
        heading="Communication",
        sends=f"{spec.name} without NEED_REPLY, then GET_FEATURES",
        expects="no reply but that to GET_FEATURES",
        act=partial(is_silent, spec.name),
        needs=gate(spec),
        device=device_of(spec),
    )


def of_damage(spec: MessageSpec) -> Iterator[Case]:
    """Payloads too short and too long, and descriptors that are missing."""
    size = size_of(layers_of(spec, reply=False)[0])
    ways: list[tuple[str, str, Callable[[bytes], bytes]]] = []
    if size:
        ways.append(("short", "4 bytes too short", lambda data: data[:-4]))
        ways.append(("empty", "without its payload", lambda data: b""))
    ways.append(("long", "12 bytes too long", lambda data: data + bytes(12)))
    for word, how, change in ways:
        yield Case(
            name=f"hostile/{title(spec)}-{word}",
            heading=place(spec),
            sends=f"{spec.name} {how}",
            expects="an error or the end of the connection: it is not what the message has",
            act=partial(wrong_size, spec.name, change),
            level=Level.MAY,
            needs=gate(spec),
            device=device_of(spec),
        )
    if spec.fds in (FdRule.ONE, FdRule.PER_REGION, FdRule.UNLESS_NOFD):
        yield Case(
            name=f"hostile/{title(spec)}-without-descriptor",
            heading=place(spec),
            sends=f"{spec.name} without the descriptor that belongs to it",
            expects="an error or the end of the connection",
            act=partial(without_fds, spec.name),
            level=Level.SHOULD,
            needs=gate(spec),
            device=device_of(spec),
        )
