"""`vutrace diff`: what it is blind to, and what it sees."""

import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.replay_stage import CAPTURES, REGISTRY, act, of_records, recorded
from kit.sessions import QEMU_7_2, Qemu, QemuNet, Script
from kit.transcript import front

from vutrace.capture import read
from vutrace.diff import align
from vutrace.diff.align import EditKind
from vutrace.diff.compare import Change, compare, pairings
from vutrace.diff.sections import LAST, Account, Marks, accounts
from vutrace.diff.text import text
from vutrace.diff.tokens import Token
from vutrace.peers import DPDK_22_11, Server
from vutrace.records import Channel, Connection, Event, EventKind, FdKind, Frame, Record, Side
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


def pause(left: int, taken_up: int) -> list[Record]:
    """A ring that is stopped at an index and taken up at one."""
    script = Script()
    script.set("SET_FEATURES", 1 << 30)
    script.steps(0, "num base addr kick")
    script.ask("GET_VRING_BASE", struct.pack("<II", 0, 0), reply=struct.pack("<II", 0, left))
    script.ring("SET_VRING_BASE", 0, taken_up)
    script.close(Side.FRONTEND)
    return script.records


def test_what_passed_is_compared_on_request() -> None:
    """Whether a ring has moved at all until it is stopped is chance in a short run."""
    assert changes(pause(0, 0), pause(7, 7)) == []
    (pair,) = pairings(accounts_of(pause(0, 0)), accounts_of(pause(7, 7)), indexes=True)
    assert ("GET_VRING_BASE: reply num", "at its beginning", "moved on") in [
        (change.what, change.edit.a, change.edit.b) for change in pair.changes
    ]


def test_a_ring_that_is_taken_up_elsewhere_than_it_was_left() -> None:
    (change,) = changes(pause(7, 7), pause(7, 0))
    assert (change.what, change.edit.a, change.edit.b) == (
        "SET_VRING_BASE: num", "as GET_VRING_BASE told", "at its beginning",
    )  # fmt: skip


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
    assert (change.edit.kind, change.edit.row_a, change.edit.row_b) == (EditKind.ONLY_A, 55, 54)


def test_an_order_within_a_ring() -> None:
    items, found = kept(), [index for index, item in enumerate(kept()) if is_request(item, 8)]
    first = found[0]
    items[first], items[first + 1] = items[first + 1], items[first]
    change = only([each for each in changes(kept(), items) if each.subject == "ring"])
    assert change.what.startswith("place of ")
    assert change.names == ("rx0",)


def qemu_start(qemu: Qemu) -> list[Record]:
    """A start of two queue pairs, one of them enabled, and its stop."""
    script = Script(qemu.need_reply)
    script.open()
    net = QemuNet(script, qemu, pairs=2)
    for step in (net.init, net.features, net.start, net.stop):
        step()
    script.close(Side.FRONTEND)
    return script.records


def test_the_order_around_driver_ok_at_start() -> None:
    """Up to QEMU 7.1 rings were enabled when they had been started, since then before."""
    older = replace(QEMU_7_2, enable_first=False)
    change = only(changes(qemu_start(older), qemu_start(QEMU_7_2)))
    assert (change.what, change.names) == ("place of SET_VRING_ENABLE 1", ("rx0", "tx0"))
    assert change.edit.a == "between SET_VRING_CALL and SET_FEATURES"
    assert change.edit.b == "between SET_VRING_ENABLE 1 and SET_FEATURES"


def test_a_ring_that_is_enabled_after_driver_ok() -> None:
    def start(*steps: str) -> list[Record]:
        script = Script()
        script.get("GET_FEATURES", 1 << 30)
        script.set("SET_FEATURES", 1 << 30)
        script.memory()
        script.steps(0, "num base addr kick call")
        for step in steps:
            if step == "on":
                script.steps(0, step)
            else:
                script.set("SET_STATUS", 0xF)
        return script.records

    found = changes(start("on", "DRIVER_OK"), start("DRIVER_OK", "on"))
    assert [(each.what, each.edit.a, each.edit.b) for each in found if each.subject == "ring"] == [
        (
            "place of SET_VRING_ENABLE 1",
            "between SET_VRING_CALL and SET_STATUS 0xf",
            "between SET_STATUS 0xf and the end",
        )
    ]


def test_the_order_around_the_reset_at_stop() -> None:
    """Since QEMU 8.1 the status is reset when all rings are stopped, not before the last pair's."""
    newer = replace(QEMU_7_2, status_last_at_stop=True)
    change = only([each for each in changes(qemu_start(QEMU_7_2), qemu_start(newer)) if each.names])
    assert (change.what, change.names) == ("place of GET_VRING_BASE", ("rx1", "tx1"))


def test_steps_that_move_together_are_one_difference() -> None:
    def start(order: str) -> list[Record]:
        script = Script()
        script.set("SET_FEATURES", 1 << 30)
        script.memory()
        script.steps(0, order)
        return script.records

    found = changes(start("num base addr kick on on"), start("on on num base addr kick"))
    change = only([each for each in found if each.subject == "ring"])
    assert change.what == "place of SET_VRING_ENABLE 1 × 2"


def test_the_first_difference_is_first_whatever_the_rows_count_from() -> None:
    """In the second session of one capture and the first of another."""
    one, two = accounts_of(kept("qemu-7.2-testpmd-restart"))
    forth, back = (compare(*pair) for pair in ((one, two), (two, one)))
    assert [each.subject for each in forth] == [each.subject for each in back]
    rows = [each.edit.row_a - two.first for each in back if each.edit.row_a and each.subject not in LAST]
    assert rows == sorted(rows)


def test_an_end_by_vutrace_itself_is_told_as_such() -> None:
    items = kept()
    stopped = [
        replace(item, text="vutrace stopped", sender=None)
        if isinstance(item, Event) and item.kind is EventKind.CLOSE and item.channel is Channel.MAIN
        else item
        for item in items
    ]
    change = only(changes(items, stopped))
    assert (change.what, change.edit.a, change.edit.b) == (
        "end: closed",
        "by the front-end",
        "vutrace stopped",
    )
    assert change.edit.row_a == change.edit.row_b == rows_of_closing(items)


def rows_of_closing(items: list[Connection | Record]) -> int:
    """The row of the main channel's end."""
    rows = Tracker(REGISTRY).rows(items)
    return next(
        row.number
        for row in rows
        if isinstance(row.what, Event)
        and (row.what.kind, row.what.channel) == (EventKind.CLOSE, Channel.MAIN)
    )


def is_request(item: Connection | Record, number: int) -> bool:
    return isinstance(item, Frame) and item.data[0] == number and item.sender is Side.FRONTEND


def test_another_kind_of_descriptor() -> None:
    def pipes(frame: Frame) -> Frame:
        return replace(frame, fds=tuple(replace(fd, kind=FdKind.PIPE) for fd in frame.fds))

    found = changes(kept(), frames(pipes)(kept()))
    kinds = {(change.edit.a, change.edit.b) for change in found if change.what.endswith(": descriptors")}
    assert kinds == {("memory", "pipe"), ("eventfd", "pipe"), ("socket", "pipe")}


def test_another_answer_and_other_features(tmp_path: Path) -> None:
    """What another back-end made of the same front-end."""
    path = str(tmp_path / "s")
    offer = replace(DPDK_22_11, features=DPDK_22_11.features | 1 << 33, queue_pairs=2)
    with Server(path, offer):
        done = act(Side.FRONTEND, recorded(NAME), path)
    found = {
        (change.subject, change.what): (change.edit.a, change.edit.b)
        for change in changes(kept(), done.records)
    }
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
        (change.subject, change.what, change.edit.a, change.edit.b) for change in found
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


# Large ones


def test_rings_that_stand_still_are_told_the_first_and_last_steps_of_the_device() -> None:
    marks = Marks([0])
    marks.all += [Token(f"SET_FEATURES {number}", row=number, mark=True) for number in range(40)]
    assert [token.key for token in marks.passed_by(0)] == [
        *(f"SET_FEATURES {number}" for number in range(8)),
        "24 steps of the device",
        *(f"SET_FEATURES {number}" for number in range(32, 40)),
    ]
    marks.all.append(Token("SET_STATUS 0", mark=True))
    assert [token.key for token in marks.passed_by(0)] == ["SET_STATUS 0"]
    assert marks.passed_by(7) == []


@given(st.lists(st.sampled_from("abc"), max_size=900), st.lists(st.sampled_from("abc"), max_size=900))
@settings(max_examples=30, deadline=None)
def test_windows_leave_no_step_out(a: list[str], b: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(align, "WORK", 0)
        patch.setattr(align, "WINDOW", 7)
        codes = list(align.opcodes(a, b))
    assert [step for tag, a1, a2, _, _ in codes for step in a[a1:a2]] == a
    assert [step for tag, _, _, b1, b2 in codes for step in b[b1:b2]] == b
    assert all(a[a1:a2] == b[b1:b2] for tag, a1, a2, b1, b2 in codes if tag == "equal")


def fuzzed(count: int, seed: int) -> list[Connection | Record]:
    """Features, statuses and random rings, all over each other."""
    random, script = Random(seed), Script()
    for _ in range(count):
        ring = random.randrange(256)
        match random.choice("frse"):
            case "f":
                script.add(front("SET_FEATURES", features=random.getrandbits(40)))
            case "r":
                script.add(front("SET_VRING_NUM", index=ring, num=256))
            case "s":
                script.add(front("SET_STATUS", status=random.getrandbits(4)))
            case _:
                script.add(front("SET_VRING_ENABLE", index=ring, num=random.getrandbits(1)))
    return [Connection(0, "a", "b"), *script.records]


def test_a_session_that_seems_to_begin_again_and_again_is_compared_once() -> None:
    items = kept()
    other = [replace(item, session=2) for item in items[-9:] if not isinstance(item, Connection)]
    mixed = items + [item for pair in zip(items[-9:], other, strict=True) for item in pair]
    assert [each.session for each in accounts_of(mixed)] == [1, 2]


@pytest.mark.parametrize("other", [1, 2])
def test_a_fuzzers_session_is_compared_in_time_and_room_of_its_length(other: int) -> None:
    """15,000 messages took 97 s and 2.6 GB: every ring had a step for each of the device's."""
    count = 3000
    a, b = (accounts_of(fuzzed(count, seed)) for seed in (1, other))
    assert sum(len(section.tokens) for each in a for section in each.sections) < 12 * count
    began = time.process_time()
    pairs = pairings(a, b)
    assert time.process_time() - began < 3
    assert bool(pairs[0].changes) == (other != 1)
