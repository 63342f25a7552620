"""Requests that a device carries out, in both layouts of ring."""

from collections.abc import Callable, Iterator
from functools import partial

from vutrace.conform.case import Case, Level, UnmetError
from vutrace.conform.driver import STILL, running
from vutrace.conform.groups.restarts import base_counts, starts_again, still_after_stop
from vutrace.conform.probe import Probe
from vutrace.conform.ring import NO_INTERRUPT, SplitRing
from vutrace.protocol import payloads as p
from vutrace.protocol.wire import NOFD

LAYOUTS = {"split": (), "packed": ("VIRTIO_F_RING_PACKED",)}


def one(probe: Probe) -> None:
    running(probe).work_once()


def is_called(probe: Probe) -> None:
    driver = running(probe)
    driver.work_once()
    if not driver.ring.called(probe.timeout):
        raise UnmetError("the call descriptor was not written")


def in_pieces(probe: Probe) -> None:
    running(probe).work_once(pieces=4)


def batch(probe: Probe) -> None:
    driver = running(probe)
    requests = [driver.place() for _ in range(8)]
    driver.ring.kick()
    driver.done(requests)


def many(count: int, size: int, base: int, probe: Probe) -> None:
    """More requests than the ring has room for, one after the other."""
    driver = running(probe, size, base)
    for _ in range(count):
        driver.work_once()


def no_call_descriptor(probe: Probe) -> None:
    driver = running(probe)
    probe.tell("SET_VRING_CALL", p.VringFd(u64=driver.ring.index | NOFD))
    driver.work_once()


def call_replaced(probe: Probe) -> None:
    driver = running(probe)
    driver.ring.call_fd = probe.guest.eventfd()
    probe.tell("SET_VRING_CALL", p.VringFd(u64=driver.ring.index), [driver.ring.call_fd])
    driver.work_once()
    if not driver.ring.called(probe.timeout):
        raise UnmetError("the new call descriptor was not written")


def no_interrupt(probe: Probe) -> None:
    driver = running(probe)
    driver.work_once()
    driver.ring.called(STILL)
    driver.ring.suppress(NO_INTERRUPT)  # type: ignore[attr-defined]
    driver.work_once()
    if driver.ring.called(STILL):
        raise UnmetError("the call descriptor was written although the driver wants no interrupt")


def event_index(probe: Probe) -> None:
    driver = running(probe)
    ring = driver.ring
    assert isinstance(ring, SplitRing)
    ring.want_call_at(ring.base)  # at the first request
    driver.work_once()
    if not ring.called(probe.timeout):
        raise UnmetError("no call although used_event was passed")
    ring.want_call_at(ring.base + 10)
    driver.work_once()
    if ring.called(STILL):
        raise UnmetError("a call although used_event is 9 requests away")


def cases() -> Iterator[Case]:
    """All of them."""
    for layout, needs in LAYOUTS.items():
        yield from layout_cases(layout, needs)
    yield from call_cases()


def layout_cases(layout: str, needs: tuple[str, ...]) -> Iterator[Case]:
    """What holds for a layout of ring."""
    heading = "Split Virtqueues" if layout == "split" else "Packed Virtqueues"
    indirect = (*needs, "VIRTIO_F_INDIRECT_DESC")
    around = partial(many, 12, 64, 65530) if layout == "split" else partial(many, 20, 16, 0)
    what = (
        "requests over index 65,535"
        if layout == "split"
        else "requests over the ring's end and its wrap counter"
    )
    rows: tuple[tuple[str, str, str, Callable[[Probe], None], Level, tuple[str, ...]], ...] = (
        ("request", "a request that the device knows", "it comes back, carried out", one, Level.MUST, needs),
        ("call", "a request", "the call descriptor is written", is_called, Level.MUST, needs),
        ("pieces", "a request whose parts are in pieces", "it comes back, carried out", in_pieces, Level.MUST,
         needs),
        ("batch", "eight requests and one kick", "all come back", batch, Level.MUST, needs),
        ("indirect", "a request in an indirect table", "it comes back, carried out", one, Level.MUST,
         indirect),
        ("around", what, "all come back", around, Level.MUST, needs),
        ("three-rounds", "three times as many requests as the ring has room for", "all come back",
         partial(many, 48, 16, 0), Level.MUST, needs),
        ("still-after-stop", "a request and a kick after GET_VRING_BASE", "no used entry moves",
         still_after_stop, Level.MUST, needs),
        ("base-counts", "three requests, then GET_VRING_BASE", "the base is three further", base_counts,
         Level.MUST, needs),
        ("starts-again", "a stopped ring started at the base that came", "requests come back", starts_again,
         Level.MUST, needs),
    )  # fmt: skip
    for name, sends, expects, act, level, wanted in rows:
        yield Case(f"{layout}/{name}", heading, sends, expects, act, level, wanted)


def call_cases() -> Iterator[Case]:
    """How the device tells that a request is done."""
    call = "VHOST_USER_SET_VRING_CALL"
    yield from (
        Case("rings/no-call-descriptor", call, "a request after SET_VRING_CALL without a descriptor",
             "it comes back", no_call_descriptor),
        Case("rings/call-replaced", call, "a request after another call descriptor came",
             "the new one is written", call_replaced),
        Case("split/event-index", "Split Virtqueues", "used_event at the next request, then far away",
             "a call at the first, none at the second", event_index, Level.SHOULD,
             ("VIRTIO_F_EVENT_IDX",)),
        Case("split/no-interrupt", "Split Virtqueues", "a request, with VRING_AVAIL_F_NO_INTERRUPT",
             "the call descriptor is not written", no_interrupt, Level.SHOULD),
    )  # fmt: skip
