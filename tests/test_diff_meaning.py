"""`vutrace diff`: what it is blind to, and what it sees."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from replay_stage import CAPTURES, REGISTRY, act, of_records, recorded
from sessions import Script

from vutrace.capture import read
from vutrace.diff.compare import Change, pairings
from vutrace.diff.courses import Account, accounts
from vutrace.diff.text import text
from vutrace.peers import DPDK_22_11, Server
from vutrace.records import Connection, Event, FdKind, Frame, Record, Side
from vutrace.session.tracker import Tracker

NAMES = sorted(path.stem for path in CAPTURES.glob("*.pcapng"))
NAME = "qemu-7.2-testpmd"


def accounts_of(items: Iterable[Connection | Record]) -> list[Account]:
    tracker = Tracker(REGISTRY)
    return accounts(tracker.rows(items), tracker.connections)


def kept(name: str = NAME) -> list[Connection | Record]:
    return list(read(CAPTURES / f"{name}.pcapng"))


def changes(a: Iterable[Connection | Record], b: Iterable[Connection | Record]) -> list[Change]:
    return [change for pair in pairings(accounts_of(a), accounts_of(b)) for change in pair.changes]


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_does_not_differ_from_itself(name: str) -> None:
    assert changes(kept(name), kept(name)) == []


# What it is blind to


def frames(
    change: Callable[[Frame], Frame],
) -> Callable[[list[Connection | Record]], list[Connection | Record]]:
    return lambda items: [change(item) if isinstance(item, Frame) else item for item in items]


def other_descriptors(frame: Frame) -> Frame:
    fds = [
        replace(fd, inode=fd.inode + 77, eventfd_id=None if fd.eventfd_id is None else fd.eventfd_id + 5,
                frontend_fd=99, backend_fd=3)
        for fd in frame.fds
    ]  # fmt: skip
    return replace(frame, fds=tuple(fds))


def other_times(frame: Frame) -> Frame:
    return replace(frame, time_ns=frame.time_ns * 2)


def other_addresses(frame: Frame) -> Frame:
    """Rings and memory elsewhere in the front-end."""
    data = bytearray(frame.data)
    places = (
        {9: range(20, 44, 8), 5: range(36, 44, 8)}.get(data[0], range(0)) if frame.data[4] != 5 else range(0)
    )
    for at in places:
        data[at : at + 8] = (int.from_bytes(data[at : at + 8], "little") + 0x10_0000).to_bytes(8, "little")
    return replace(frame, data=bytes(data))


def further_indexes(frame: Frame) -> Frame:
    """Where a ring has moved, it has moved further."""
    data = bytearray(frame.data)
    if data[0] in (10, 11) and len(data) == 20 and data[16]:
        data[16] += 3
    return replace(frame, data=bytes(data))


@pytest.mark.parametrize("change", [other_descriptors, other_times, other_addresses, further_indexes])
@pytest.mark.parametrize("name", [NAME, "qemu-7.2-testpmd-restart", "qemu-7.2-storage-daemon-blk"])
def test_what_changes_from_run_to_run_is_no_difference(change: Callable[[Frame], Frame], name: str) -> None:
    items = kept(name)
    assert frames(change)(items) != items or change is further_indexes
    assert changes(items, frames(change)(items)) == []


def test_independent_rings_may_interleave() -> None:
    """Each ring's messages keep their order; which ring comes first is nobody's meaning."""
    steps = [(ring, step) for ring in (0, 1, 2) for step in ["num", "base", "addr", "kick", "call"]]

    def start(order: list[tuple[int, str]]) -> list[Record]:
        script = Script()
        script.open()
        script.get("GET_FEATURES", 1 << 30)
        script.set("SET_FEATURES", 1 << 30)
        script.memory()
        for ring, step in order:
            script.steps(ring, step)
        script.close()
        return script.records

    random = Random(4)
    for _ in range(5):
        left = {ring: [step for step in steps if step[0] == ring] for ring in (0, 1, 2)}
        mixed = []
        while any(left.values()):
            mixed.append(left[random.choice([ring for ring in left if left[ring]])].pop(0))
        assert changes(start(steps), start(mixed)) == []


# What it sees


def only(found: list[Change]) -> Change:
    assert len(found) == 1, found
    return found[0]


def without(number: int) -> list[Connection | Record]:
    """The capture without its message of row `number`."""
    rows = Tracker(REGISTRY)
    return [item for item in kept() if isinstance(item, Connection) or rows.feed(item).number != number]


def test_a_message_that_is_missing() -> None:
    change = only([each for each in changes(kept(), without(55)) if each.subject == "ring"])
    assert (change.what, change.names) == ("SET_VRING_BASE", ("rx0",))
    assert (change.a, change.b, change.row_a, change.row_b) == ("sent", "", 55, 54)


def test_an_order_within_a_ring() -> None:
    items, found = kept(), [index for index, item in enumerate(kept()) if is_request(item, 8)]
    first = found[0]
    items[first], items[first + 1] = items[first + 1], items[first]
    change = only([each for each in changes(kept(), items) if each.subject == "ring"])
    assert change.what.startswith("place of ")
    assert change.names == ("rx0",)


def is_request(item: Connection | Record, number: int) -> bool:
    return isinstance(item, Frame) and item.data[0] == number and item.sender is Side.FRONTEND


def test_another_kind_of_descriptor() -> None:
    def pipes(frame: Frame) -> Frame:
        return replace(frame, fds=tuple(replace(fd, kind=FdKind.PIPE) for fd in frame.fds))

    found = changes(kept(), frames(pipes)(kept()))
    kinds = {(change.a, change.b) for change in found if change.what.endswith(": descriptors")}
    assert kinds == {("memory", "pipe"), ("eventfd", "pipe"), ("socket", "pipe")}


def test_another_answer_and_other_features(tmp_path: Path) -> None:
    """What another back-end made of the same front-end."""
    path = str(tmp_path / "s")
    offer = replace(DPDK_22_11, features=DPDK_22_11.features | 1 << 33, queue_pairs=2)
    with Server(path, offer):
        done = act(Side.FRONTEND, recorded(NAME), path)
    found = {(change.subject, change.what): (change.a, change.b) for change in changes(kept(), done.records)}
    assert found["messages", "GET_QUEUE_NUM: reply queue_num"] == ("128", "2")
    offered = found["negotiation", "round: features offered"]
    assert isinstance(offered[1], frozenset)
    assert isinstance(offered[0], frozenset)
    assert offered[1] - offered[0] == {"VIRTIO_F_ACCESS_PLATFORM"}


def test_a_failed_start_beside_a_good_one(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    offer = replace(DPDK_22_11, features=DPDK_22_11.features & ~(1 << 22))
    with Server(path, offer):
        failed = act(Side.FRONTEND, recorded(NAME), path)
    found = changes(kept(), failed.records)
    assert found[0].what == "round: features offered"
    assert ("the end", "end: closed", "by the front-end", "by the back-end") in [
        (change.subject, change.what, change.a, change.b) for change in found
    ]


def test_latency_is_compared_on_request() -> None:
    a, b = accounts_of(kept()), accounts_of(slower())
    assert pairings(a, b)[0].changes == []
    found = pairings(a, b, latency=True)[0].changes
    assert found
    assert {change.subject for change in found} == {"latency"}


def slower() -> list[Connection | Record]:
    """The capture with every time ten times as long."""
    items = kept()
    first = next(item.time_ns for item in items if isinstance(item, Frame | Event))
    return [
        item if isinstance(item, Connection) else replace(item, time_ns=first + 10 * (item.time_ns - first))
        for item in items
    ]


def test_sessions_without_a_counterpart() -> None:
    one, two = accounts_of(kept("qemu-7.2-testpmd")), accounts_of(kept("qemu-7.2-testpmd-restart"))
    pairs = pairings(one, two)
    assert len(pairs) == 2
    assert pairs[1].a is None
    assert "A: no such session" in list(text(pairs, lambda row: ""))
    assert of_records(kept("qemu-7.2-testpmd"))
