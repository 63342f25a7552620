"""The Perfetto trace, parsed back with Perfetto's own protobuf module: tracks, nesting, arrows, arguments."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.sessions import QEMU_2_10, QEMU_7_2, Script, cloud_hypervisor, qemu_blk, qemu_net, rows, timeline_of
from kit.transcript import front

from vutrace.capture import read
from vutrace.dissection.registry import load
from vutrace.outgoing import page
from vutrace.session.row import Row
from vutrace.session.timeline import timeline
from vutrace.session.tracker import Tracker
from vutrace.views.timeline.formats import DrawingOptions
from vutrace.views.timeline.perfetto import render
from vutrace.views.timeline.perfetto.protobuf import varint
from vutrace.views.timeline.perfetto.track_event import Type, event

perfetto = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")

CAPTURES = sorted((Path(__file__).parent.parent / "captures").glob("*.pcapng"))


class Parsed:
    """A trace as Perfetto's own code reads it."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.trace = perfetto.Trace()
        self.trace.ParseFromString(b"".join(pieces))
        packets = self.trace.packet
        described = [packet.track_descriptor for packet in packets if packet.HasField("track_descriptor")]
        self.tracks = {track.uuid: track for track in described}
        self.events = [packet for packet in packets if packet.HasField("track_event")]

    def on(self, name: str) -> list[Any]:
        """The events of the track of that name, as they would be sorted."""
        (uuid,) = (track.uuid for track in self.tracks.values() if track.name == name)
        found = [packet for packet in self.events if packet.track_event.track_uuid == uuid]
        return sorted(found, key=lambda packet: packet.timestamp)

    def slices(self, name: str) -> list[tuple[str, int, int]]:
        """The slices of a track: name, length in ns, depth; in the order in which they begin."""
        found: list[list[Any]] = []
        stack: list[tuple[list[Any], int]] = []
        for packet in self.on(name):
            if packet.track_event.type == Type.BEGIN:
                found.append([packet.track_event.name, -1, len(stack)])
                stack.append((found[-1], packet.timestamp))
            elif packet.track_event.type == Type.END:
                made, start = stack.pop()
                made[1] = packet.timestamp - start
        return [(name, length, depth) for name, length, depth in found]


def parsed(script: Script) -> Parsed:
    """The trace of a script's records."""
    return Parsed(render(timeline_of(script), DrawingOptions(lambda: rows(script.records))))


def arguments(packet: Any) -> dict[str, Any]:
    """The annotations of an event."""
    return {each.name: value_of(each) for each in packet.track_event.debug_annotations}


def value_of(annotation: Any) -> Any:
    """One annotation's value."""
    if annotation.dict_entries:
        return {each.name: value_of(each) for each in annotation.dict_entries}
    if annotation.array_values:
        return [value_of(each) for each in annotation.array_values]
    kind = annotation.WhichOneof("value")
    return getattr(annotation, kind) if kind else None


def test_a_connection_is_a_process_and_its_tracks_stand_in_order() -> None:
    trace = parsed(qemu_net(QEMU_7_2, 2).boot().script)
    (process,) = (track for track in trace.tracks.values() if track.HasField("process"))
    assert process.process.process_name == "A  /run/vm.sock ⇄ /run/dpdk.sock"
    below = [track for track in trace.tracks.values() if track.parent_uuid == process.uuid]
    assert [track.name for track in sorted(below, key=lambda track: track.sibling_order_rank)] == [
        "sessions, phases, loops",
        "main channel, front-end",
        "main channel, back-end",
        "memory",
        "rings",
    ]
    (rings,) = (track for track in below if track.name == "rings")
    names = [track.name for track in trace.tracks.values() if track.parent_uuid == rings.uuid]
    assert names == ["ring 0 rx0", "ring 1 tx0", "ring 2 rx1", "ring 3 tx1"]


def test_a_track_is_announced_before_its_events() -> None:
    known = set()
    for packet in parsed(cloud_hypervisor()).trace.packet:
        known.add(packet.track_descriptor.uuid)
        if packet.HasField("track_event"):
            assert packet.track_event.track_uuid in known


def test_phases_stand_in_sessions_and_turns_in_phases() -> None:
    slices = parsed(qemu_net(QEMU_2_10, 2).boot().script).slices("sessions, phases, loops")
    assert [(name, depth) for name, _, depth in slices] == [
        ("session 1", 0),
        *[("init", 1), ("pair 0", 2), ("pair 1", 2)],
        *[("features", 1), ("pair 0", 2), ("pair 1", 2)],
        *[("start", 1), ("pair 0", 2), ("pair 1", 2)],
        ("running", 1),
    ]
    assert all(length >= 0 for _, length, _ in slices)


def test_a_request_is_a_slice_until_its_reply() -> None:
    trace = parsed(qemu_blk())
    assert trace.slices("main channel, front-end")[0] == ("GET_FEATURES", 1000, 0)
    flows = Counter(flow for packet in trace.events for flow in packet.track_event.flow_ids)
    ends = Counter(flow for packet in trace.events for flow in packet.track_event.terminating_flow_ids)
    assert ends
    assert flows == ends
    assert set(flows.values()) == {1}


def test_a_request_that_is_never_answered_ends_with_the_session() -> None:
    script = Script()
    script.open()
    script.add(front("GET_FEATURES", b""))
    script.wait(1)
    script.close()
    ((name, length, _),) = parsed(script).slices("main channel, front-end")
    assert name == "GET_FEATURES"
    assert length > 1e9


def test_a_message_tells_its_fields() -> None:
    trace = parsed(qemu_net(QEMU_7_2, 1).boot().script)
    (table,) = (
        packet for packet in trace.on("main channel, front-end") if packet.track_event.name == "SET_MEM_TABLE"
    )
    told = arguments(table)
    assert told["detail"] == "1 region, 256 MiB at gpa 0"
    assert told["fields"]["regions"][0]["size"] == 256 << 20
    assert told["descriptors"] == ["memfd 256 MiB"]
    assert told["phase"] == "start"


def test_a_ring_shows_its_states_and_messages() -> None:
    trace = parsed(qemu_net(QEMU_2_10, 1).boot().script)
    assert [name for name, _, _ in trace.slices("ring 0 rx0")] == ["configured", "running"]
    instants = [packet for packet in trace.on("ring 0 rx0") if packet.track_event.type == Type.INSTANT]
    assert [packet.track_event.name for packet in instants][-2:] == ["SET_VRING_CALL", "SET_VRING_ENABLE"]
    assert list(instants[-1].track_event.categories) == ["enable 1"]


def test_the_memory_map_is_a_slice_until_it_changes() -> None:
    ((name, length, depth),) = parsed(qemu_net(QEMU_7_2, 1).boot().script).slices("memory")
    assert name == "1 region, 256 MiB"
    assert depth == 0
    assert length > 0


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_slices_of_every_kept_capture_nest(path: Path) -> None:
    def again() -> Iterable[Row]:
        return Tracker(load()).rows(read(path))

    tracker = Tracker(load())
    drawn = timeline(tracker.rows(read(path)), tracker.connections)
    trace = Parsed(render(drawn, DrawingOptions(again)))
    depth: dict[int, int] = defaultdict(int)
    for packet in sorted(trace.events, key=lambda packet: packet.timestamp):
        what = packet.track_event
        depth[what.track_uuid] += {Type.BEGIN: 1, Type.END: -1}.get(what.type, 0)
        assert 0 <= depth[what.track_uuid] <= 3
    kinds = Counter(category for packet in trace.events for category in packet.track_event.categories)
    assert kinds["request"] + kinds["reply"] + kinds["event"] == drawn.rows


@given(st.integers(-(1 << 63), (1 << 64) - 1))
def test_any_integer_comes_back(value: int) -> None:
    trace = Parsed([event(Type.INSTANT, 1, 5, "x", {"value": value, "list": [value, {"inner": value}]})])
    told = arguments(trace.events[0])
    assert told == {"value": value, "list": [value, {"inner": value}]}


@given(st.text())
def test_any_text_comes_back_as_it_may_be_shown(value: str) -> None:
    trace = Parsed([event(Type.INSTANT, 1, 5, "x" + value, {"text": "x" + value})])
    assert trace.events[0].track_event.name == page("x" + value)
    assert arguments(trace.events[0]) == {"text": page("x" + value)}


def test_a_lone_surrogate_and_a_time_before_1970_are_borne() -> None:
    trace = Parsed([event(Type.INSTANT, 1, -5, "\udc80", {"none": None, "large": 1 << 70})])
    assert trace.events[0].timestamp == 0
    assert trace.events[0].track_event.name == "\\udc80"
    assert arguments(trace.events[0]) == {"none": None, "large": str(1 << 70)}


def test_a_varint_is_groups_of_seven_bits() -> None:
    assert varint(300) == b"\xac\x02"
    assert varint(-1) == b"\xff" * 9 + b"\x01"
