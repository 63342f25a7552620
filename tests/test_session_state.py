"""What a session knows is kept once: the places where two keepers used to disagree."""

import struct
from dataclasses import replace

import pytest
from kit.sessions import (
    NET,
    QEMU_2_10,
    QEMU_7_2,
    Script,
    endpoints,
    phases_of,
    qemu_net,
    sessions_of,
)
from kit.transcript import back, front

from vutrace.dissection.device import Device
from vutrace.dissection.registry import Plugin, Registry
from vutrace.records import Side
from vutrace.session.phases import Phase
from vutrace.session.ring_states import RingState
from vutrace.session.row import Row
from vutrace.session.timeline import timeline
from vutrace.session.tracker import Tracker
from vutrace.views.board import Board

PROTOCOL = 1 << 30
DRIVER_OK = 15
REFUSED = struct.pack("<Q", 1)
REPLY_ACK = 1 << 3


def rows(script: Script, device: Device = NET) -> list[Row]:
    """The rows of a script, all of them read."""
    registry = Registry({device.name: Plugin(device, "tests")})
    return list(Tracker(registry, device.name).rows(script.records))


def acknowledging() -> Script:
    """A session in which acknowledgements were negotiated."""
    script = Script()
    script.get("GET_FEATURES", PROTOCOL)
    script.get("GET_PROTOCOL_FEATURES", REPLY_ACK)
    script.set("SET_PROTOCOL_FEATURES", REPLY_ACK)
    return script


def test_sessions_that_negotiate_the_same_share_what_is_known_of_it() -> None:
    one, other = (rows(acknowledging())[-1].state.context for _ in range(2))
    assert one is other
    script = acknowledging()
    script.set("SET_FEATURES", PROTOCOL)
    assert rows(script)[-1].state.context is not one


def one_region(guest_address: int) -> bytes:
    """A memory table."""
    return struct.pack("<II4Q", 1, 0, guest_address, 1 << 30, guest_address, 0)


def refuse(script: Script, name: str, payload: bytes, fds: int = 0) -> None:
    """A request that the back-end refuses."""
    script.add(front(name, payload, need_reply=True, fds=script.descriptors(fds)))
    script.add(back(name, REFUSED))


def test_an_in_band_kick_starts_the_ring_for_the_phases_too() -> None:
    script = Script()
    script.steps(0, "num base addr")
    script.ring("VRING_KICK", 0)
    script.ring("SET_VRING_ENABLE", 0, 1)
    script.set("GET_STATUS", 0)
    last = rows(script)[-1]
    assert last.state.rings.started == {0}
    assert last.state.course.running


def test_an_owners_reset_disables_rings_and_does_nothing_else() -> None:
    script = Script()
    script.memory()
    script.steps(0, "num base addr kick call on")
    before = rows(script)[-1].state
    script.ask("RESET_OWNER")
    after = rows(script)[-1].state
    assert (after.rings.started, after.rings.running, after.rings.enabled) == ({0}, set(), set())
    assert after.memory.regions == before.memory.regions != []
    assert after.fds.slots == before.fds.slots != {}
    assert after.course.running


def test_the_status_of_an_open_capture_is_the_last_that_was_set() -> None:
    script = Script()
    script.set("SET_STATUS", 8)
    script.set("SET_STATUS", DRIVER_OK)
    (session,) = sessions_of(script)
    assert session.status == DRIVER_OK


def test_queue_pairs_are_those_of_any_device_that_has_them() -> None:
    device = Device("acme", number=77, pairs=True)
    script = Script()
    script.steps(0, "num")
    script.steps(3, "num")
    found = rows(script, device)
    assert [row.loop for row in found] == ["pair 0 ring 0", "pair 1 ring 3"]
    (connection,) = timeline(iter(found), {0: endpoints()}).connections
    assert [lane.pair for lane in connection.sessions[0].rings] == [0, 1]


def test_a_refused_enable_does_not_enable() -> None:
    script = acknowledging()
    script.steps(0, "num base addr kick")
    refuse(script, "SET_VRING_ENABLE", struct.pack("<II", 0, 1))
    state = rows(script)[-1].state
    ring = state.rings.by_index[0]
    assert (ring.state, ring.enable_sent, state.rings.enabled) == (RingState.STARTED, True, set())
    assert ring.enabled_rule == "disabled: SET_VRING_ENABLE was refused"


def test_a_refused_kick_does_not_start() -> None:
    script = acknowledging()
    script.steps(0, "num base addr")
    refuse(script, "SET_VRING_KICK", struct.pack("<Q", 0), fds=1)
    state = rows(script)[-1].state
    ring = state.rings.by_index[0]
    assert (ring.state, ring.kick_sent, state.rings.started) == (RingState.STOPPED, False, set())
    assert ring.started_rule == "stopped: SET_VRING_KICK was refused"


def test_refused_features_are_not_acknowledged() -> None:
    script = acknowledging()
    script.set("SET_FEATURES", PROTOCOL)
    refuse(script, "SET_FEATURES", struct.pack("<Q", PROTOCOL | 1))
    assert rows(script)[-1].state.context.features == PROTOCOL


def test_refused_memory_is_not_mapped() -> None:
    script = acknowledging()
    script.memory()
    kept = rows(script)[-1].state.memory.regions
    refuse(script, "SET_MEM_TABLE", one_region(1 << 40), fds=1)
    assert rows(script)[-1].state.memory.regions == kept


def test_what_came_after_a_refused_message_stays() -> None:
    script = acknowledging()
    script.steps(0, "num base addr kick")
    refuse(script, "SET_VRING_ENABLE", struct.pack("<II", 0, 1))
    reply = script.records.pop()
    script.ring("SET_VRING_BASE", 0, 5)  # pipelined before the refusal comes
    script.records.append(reply)
    assert rows(script)[-1].state.rings.by_index[0].base == 5


@pytest.mark.parametrize("closed", [False, True])
def test_the_board_and_the_table_of_queues_tell_the_same(closed: bool) -> None:
    front_end = qemu_net(QEMU_7_2, 2).boot()
    if closed:
        front_end.script.close(Side.BACKEND)
    found = rows(front_end.script)
    board = Board({})
    for row in found:
        board.feed(row)
    (standing,) = board.standing()
    (connection,) = timeline(iter(found), {0: endpoints()}).connections
    assert standing.state.rings.values() == [lane.ring for lane in connection.sessions[-1].rings]
    assert any(ring.state is RingState.RUNNING for ring in standing.state.rings.values())


def test_a_ring_with_neither_size_nor_addresses_is_not_drawn_as_running() -> None:
    script = Script()
    script.steps(0, "kick on")
    (lane,) = sessions_of(script)[0].rings
    assert (lane.ring.state, lane.ring.drawn) == (RingState.RUNNING, "configured")
    assert "running" not in [span.state for span in lane.spans]


def test_memory_that_is_plugged_in_while_rings_run_is_part_of_running() -> None:
    front_end = qemu_net(QEMU_2_10, 1).boot()
    front_end.script.wait(2)
    front_end.script.memory()
    assert rows(front_end.script)[-1].phase is Phase.RUNNING


def test_a_call_descriptor_that_comes_while_rings_run_is_part_of_running() -> None:
    front_end = qemu_net(QEMU_2_10, 1).boot()
    front_end.script.wait(2)
    front_end.script.steps(1, "call")
    assert rows(front_end.script)[-1].phase is Phase.RUNNING


def test_enabling_behind_a_stop_that_nothing_follows_is_part_of_the_stop() -> None:
    front_end = qemu_net(QEMU_7_2, 2).boot()
    front_end.stop()
    front_end.features()
    (session,) = sessions_of(front_end.script)
    assert phases_of(session)[-1] == "stop"
    assert {row.phase for row in rows(front_end.script)[-4:]} == {Phase.STOP}


def test_what_is_left_out_is_counted() -> None:
    script = Script()
    for number in range(200):
        script.ask("GET_QUEUE_NUM", reply=b"")
        del script.records[-1]
        script.ask("SET_MEM_TABLE", one_region(number << 30), fds="memfd")
    for number in range(1100):
        script.steps(number, "num")
    for number in range(600):
        script.get("GET_FEATURES", number)
        script.set("SET_FEATURES", number)
    (session,) = sessions_of(script)
    assert len(session.owing) + session.omitted.owing == 200
    assert len(session.memory_changes) + session.omitted.memory_changes == 200
    assert len(session.rings) + session.omitted.rings == 1100
    assert len(session.rounds) + session.omitted.rounds == 600


def test_a_map_of_as_many_regions_as_there_may_be_is_read_in_linear_time() -> None:
    script = Script()
    for number in range(4000):
        region = struct.pack("<5Q", 0, number << 30, 1 << 30, number << 30, 0)
        script.ask("ADD_MEM_REG", region, fds=1)
    changes = [row.changes.memory for row in rows(script)]
    assert all(change and len(change.added) == 1 and not change.removed for change in changes)


def test_an_unchanged_region_is_neither_added_nor_removed() -> None:
    script = Script()
    script.memory()
    script.memory()
    first = script.records[-1]
    info = replace(first.fds[0], backend_fd=77)  # type: ignore[union-attr]
    script.records[-1] = replace(first, fds=(info,))
    second = rows(script)[-1].changes.memory
    assert second is not None
    assert (second.added, second.removed) == ((), ())


def test_more_rings_than_are_drawn_end_the_merging() -> None:
    script = Script()
    for number in range(1024):
        script.steps(number, "num base addr")
        for _ in range(40):
            script.ring("SET_VRING_NUM", number, 256)
    (session,) = sessions_of(script)
    assert len(session.rings) == 1024


def test_a_stop_that_skips_draining_stops_the_ring_and_tells_its_base() -> None:
    script = Script()
    script.steps(0, "num base addr kick call on")
    script.ask("GET_VRING_BASE_SKIP_DRAIN", struct.pack("<II", 0, 0), struct.pack("<II", 0, 77))
    last = rows(script)[-1]
    ring = last.state.rings.by_index[0]
    assert (ring.state, ring.base, last.problems) == (RingState.ENABLED, 77, ())
    assert ring.started_rule == "stopped by GET_VRING_BASE_SKIP_DRAIN"
    assert last.phase is Phase.STOP


def test_a_row_and_its_changes_have_all_of_their_parts() -> None:
    """They are made of tuples by position, which no constructor counts."""
    for row in rows(qemu_net(QEMU_7_2, 1).boot().script):
        assert len(row) == len(row._fields)
        assert len(row.changes) == len(row.changes._fields)
