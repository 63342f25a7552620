"""The cases for front-ends: a model of QEMU passes them all, and each case finds a fault of its own."""

import socket
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache

import pytest

from conform.front_end import FrontEndFault, ModelFrontEnd, acknowledges
from vutrace.conform.case import Case, CaseVerdict
from vutrace.conform.catalogue import frontend_cases
from vutrace.conform.run import Bench, run_frontend
from vutrace.conform.tested import NotReachedError, TestedPeer
from vutrace.dissection.registry import Registry, load
from vutrace.peers.encode import SPECS, encode_request
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit
from vutrace.protocol.layers import Empty, Layer
from vutrace.protocol.wire import HEADER, VERSION

CASES = frontend_cases()
QUIET = 0.15
NO_FAULT = FrontEndFault()
MADE_UP = 1 << 62
TOO_LONG = HEADER.pack(SPECS["GET_FEATURES"].number, VERSION, 8) + bytes(8)


def named(case: Case) -> str:
    """The message or feature that a case is named after."""
    word = case.name.partition("/")[2].removeprefix("all-but-").removeprefix("only-")
    return word.upper().replace("-", "_")


def feature(case: Case) -> FrontEndFault:
    """The feature that is not offered is acknowledged: the case's, or another where only the case's is."""
    name = named(case)
    if "only-" in case.name:
        name = "RARP" if name != "RARP" else "MQ"
    return acknowledges("SET_PROTOCOL_FEATURES", bit(name, PROTOCOL_FEATURES))


def dies_at(case: Case) -> FrontEndFault:
    """It dies when that goes wrong."""
    found = [name for name in SPECS if named(case) == name or named(case).startswith(f"{name}_")]
    return FrontEndFault(max(found, key=len), dies=True)


def before(message: str, name: str, payload: Layer | None = None) -> FrontEndFault:
    """A message that has no place there."""
    return FrontEndFault(message, instead=encode_request(SPECS[name], payload or Empty()))


# The first pattern that fits a case's name has its fault.
FAULTS: tuple[tuple[str, FrontEndFault | Callable[[Case], FrontEndFault]], ...] = (
    ("offers/everything", before("GET_PROTOCOL_FEATURES", "GET_QUEUE_NUM")),
    ("offers/no-protocol-features", before("SET_OWNER", "GET_PROTOCOL_FEATURES")),
    ("offers/no-protocol-feature", acknowledges("SET_PROTOCOL_FEATURES", 1)),
    ("offers/few-features", acknowledges("SET_FEATURES", bit("VIRTIO_F_INDIRECT_DESC", VIRTIO_FEATURES))),
    ("offers/one-queue", before("SET_VRING_NUM", "SET_VRING_NUM", p.VringState(index=9, num=64))),
    ("offers/*", feature),
    ("refuses/*", dies_at),
    ("delays/get-features", FrontEndFault(
        "GET_FEATURES", rash=encode_request(SPECS["SET_FEATURES"], p.Features(features=1 << 32)))),
    ("delays/get-protocol-features", FrontEndFault(
        "GET_PROTOCOL_FEATURES",
        rash=encode_request(SPECS["SET_PROTOCOL_FEATURES"], p.ProtocolFeatures(protocol_features=1)))),
    ("delays/*", FrontEndFault("GET_QUEUE_NUM", gives_up=0.1)),
    ("ends/*", dies_at),
    ("restarts/*", FrontEndFault(again=TOO_LONG)),
    ("answers/get-features-unknown", acknowledges("SET_FEATURES", MADE_UP)),
    ("answers/get-protocol-features-unknown", acknowledges("SET_PROTOCOL_FEATURES", MADE_UP)),
    ("answers/*", dies_at),
    ("channel/config-change", FrontEndFault(over_channel="careless")),
    ("channel/config-change-answered", FrontEndFault(over_channel="deaf")),
    ("channel/config-change-unasked", FrontEndFault(over_channel="talks")),
    ("channel/lookup-unknown", FrontEndFault(over_channel="finds-all")),
    ("channel/remove-unknown", FrontEndFault(over_channel="finds-all")),
    ("channel/request-unknown", FrontEndFault(over_channel="closes")),
    ("channel/garbage", FrontEndFault(over_channel="dies")),
    ("channel/ends", FrontEndFault(over_channel="dies-at-end")),
)  # fmt: skip


def fault_of(case: Case) -> FrontEndFault:
    fault = next(fault for pattern, fault in FAULTS if fnmatchcase(case.name, pattern))
    return fault if isinstance(fault, FrontEndFault) else fault(case)


@cache
def registry() -> Registry:
    return load()


def verdict(case: Case, peer: TestedPeer) -> tuple[CaseVerdict, str]:
    (result,) = run_frontend(Bench(peer, registry(), "net", QUIET), [case])
    return result.verdict, result.came


def model(case: Case, fault: FrontEndFault = NO_FAULT) -> ModelFrontEnd:
    return ModelFrontEnd(fault, stops="GET_VRING_BASE" in named(case))


@pytest.mark.parametrize("name", CASES)
def test_the_model_of_qemu_breaks_no_rule(name: str) -> None:
    assert verdict(CASES[name], model(CASES[name])) == (CaseVerdict.PASS, "")


@pytest.mark.parametrize("name", CASES)
def test_its_own_fault_is_found(name: str) -> None:
    case = CASES[name]
    found, came = verdict(case, model(case, fault_of(case)))
    assert found is CaseVerdict.FAIL, came
    assert came


def test_what_never_comes_cannot_be_refused() -> None:
    found, why = verdict(CASES["refuses/net-set-mtu"], Silent())
    assert (found, why) == (CaseVerdict.SKIP, "it never sent NET_SET_MTU in the way that is meant")


def test_a_front_end_that_does_not_come_is_not_judged() -> None:
    class Absent(TestedPeer):
        def open(self, timeout: float) -> socket.socket:
            raise NotReachedError("nobody")

    assert verdict(CASES["offers/everything"], Absent()) == (CaseVerdict.FAIL, "nobody")


class Silent(TestedPeer):
    """It connects, and says nothing."""

    __test__ = False

    def open(self, timeout: float) -> socket.socket:
        ours, self.theirs = socket.socketpair()
        return ours

    def rest(self) -> str:
        self.theirs.close()
        return ""
