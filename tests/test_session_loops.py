"""The loops within the phases: who comes how often, what is sent once, and what differs."""

from kit.sessions import (
    BLK_OFFER,
    QEMU_2_10,
    QEMU_7_2,
    QEMU_10,
    Script,
    cloud_hypervisor,
    qemu_blk,
    qemu_net,
    sessions_of,
    virtio_user,
)
from kit.transcript import raw

from vutrace.records import Side
from vutrace.session.model import Iteration, Loop, PhaseSpan, SessionTimeline


def texts(item: Iteration) -> tuple[str, ...]:
    """What is out of the ordinary in an iteration, in words."""
    return tuple(map(str, item.anomalies))


def phase(session: SessionTimeline, name: str) -> PhaseSpan:
    return next(each for each in session.phases if each.phase == name)


def only_loop(session: SessionTimeline, name: str) -> Loop:
    (loop,) = phase(session, name).loops
    return loop


def seed() -> SessionTimeline:
    """QEMU 2.10 with 20 queue pairs: the source material."""
    return sessions_of(qemu_net(QEMU_2_10, 20).boot().script)[0]


def test_the_init_loop_runs_once_per_queue_pair_and_twice_for_its_rings() -> None:
    loop = only_loop(seed(), "init")
    assert (loop.name, loop.count, loop.repeats) == ("queue pair", 20, 1)
    assert [each.pair for each in loop.iterations] == list(range(20))
    assert [each.rings for each in loop.iterations] == [(2 * pair, 2 * pair + 1) for pair in range(20)]
    assert loop.iterations[7].messages == [
        "GET_FEATURES",
        "GET_PROTOCOL_FEATURES",
        "SET_PROTOCOL_FEATURES",
        "SET_BACKEND_REQ_FD",
        "GET_FEATURES",
        "SET_VRING_CALL",
        "SET_VRING_CALL",
    ]
    assert not any(each.anomalies for each in loop.iterations)


def test_what_is_sent_once_per_device_is_marked() -> None:
    session = seed()
    init, start = phase(session, "init"), phase(session, "start")
    assert init.once == ["GET_QUEUE_NUM", "SET_OWNER"]  # SET_BACKEND_REQ_FD is, too, but only since 5.0
    assert start.once == ["SET_MEM_TABLE"]
    once = {step.name for step in init.loops[0].iterations[0].steps if step.once}
    assert once == {"GET_QUEUE_NUM", "SET_OWNER"}
    newer = sessions_of(qemu_net(QEMU_7_2, 2).boot().script)[0]
    assert phase(newer, "init").once == ["GET_QUEUE_NUM", "SET_BACKEND_REQ_FD", "SET_OWNER"]


def test_forty_rings_are_told_and_exactly_two_are_enabled() -> None:
    loop = only_loop(seed(), "features")
    values = {
        ring: step.value
        for each in loop.iterations
        for ring, step in zip(each.rings, each.steps, strict=True)
    }
    assert len(values) == 40
    assert {ring for ring, value in values.items() if value == 1} == {0, 1}
    assert not any(each.anomalies for each in loop.iterations)


def test_the_start_enables_the_enabled_pair_only_and_that_is_what_differs() -> None:
    loop = only_loop(seed(), "start")
    assert loop.count == 20
    assert loop.iterations[0].messages[-2:] == ["SET_VRING_ENABLE", "SET_VRING_ENABLE"]
    assert [texts(each) for each in loop.iterations] == [("also SET_VRING_ENABLE × 2",), *[()] * 19]


def test_newer_qemu_enables_just_before_it_starts_a_pair() -> None:
    for qemu in (QEMU_7_2, QEMU_10):
        (session,) = sessions_of(qemu_net(qemu, 3).boot().script)
        features, start = only_loop(session, "features"), only_loop(session, "start")
        assert features.count == start.count == 3
        assert start.iterations[0].messages[:3] == ["SET_VRING_ENABLE", "SET_VRING_ENABLE", "SET_FEATURES"]
        assert phase(session, "features").last == (phase(session, "start").first or 0) - 1


def test_with_one_pair_its_head_belongs_to_the_loop() -> None:
    (session,) = sessions_of(qemu_net(QEMU_7_2, 1).boot().script)
    assert only_loop(session, "init").iterations[0].messages[0] == "GET_FEATURES"
    assert [loop.count for loop in phase(session, "features").loops] == [1]


def test_the_features_of_several_drivers_are_one_loop_several_times() -> None:
    front_end = qemu_net(QEMU_2_10, 4)
    front_end.script.open()
    front_end.init()
    for _ in range(3):
        front_end.features()
    front_end.start()
    (session,) = sessions_of(front_end.script)
    loop = only_loop(session, "features")
    assert (loop.count, loop.repeats) == (4, 3)
    assert loop.last == phase(session, "features").last


def test_a_missing_message_tells_a_pair_apart() -> None:
    front_end = qemu_net(QEMU_7_2, 4)
    front_end.boot()
    number = next(
        i
        for i, record in enumerate(front_end.script.records)
        if getattr(record, "data", b"")[:1] == b"\x0e" and record.data[12] == 4  # type: ignore[union-attr]
    )
    del front_end.script.records[number]
    (session,) = sessions_of(front_end.script)
    odd = {each.pair: texts(each) for each in only_loop(session, "init").iterations if each.anomalies}
    assert odd == {2: ("without SET_VRING_ERR",)}


def test_a_pair_in_another_order_is_told_apart() -> None:
    front_end = qemu_net(QEMU_2_10, 3)
    front_end.init()
    for ring in range(6):
        front_end.script.steps(ring, "num base addr kick" if ring != 5 else "base num addr kick")
    (session,) = sessions_of(front_end.script)
    loop = only_loop(session, "start")
    assert [texts(each) for each in loop.iterations] == [(), (), ("in another order",)]


def test_a_device_without_pairs_has_loops_over_its_rings() -> None:
    (session,) = sessions_of(qemu_blk(4))
    init, start = phase(session, "init"), phase(session, "start")
    assert [(loop.name, loop.count) for loop in init.loops] == [("ring", 4)]
    assert [loop.iterations[0].messages for loop in start.loops] == [
        ["SET_VRING_CALL"],
        ["SET_VRING_NUM", "SET_VRING_BASE", "SET_VRING_ADDR", "SET_VRING_KICK"],
        ["SET_VRING_ENABLE"],
    ]


def test_messages_for_the_whole_device_stand_before_a_loop_without_heads() -> None:
    (session,) = sessions_of(virtio_user(2))
    first, loop = phase(session, "init").parts
    assert [step.name for step in first.steps][:2] == ["SET_OWNER", "GET_FEATURES"]  # type: ignore[union-attr]
    assert isinstance(loop, Loop)
    assert [each.messages for each in loop.iterations] == [["SET_VRING_CALL"] * 2] * 2


def test_cloud_hypervisor_loops_three_times_over_its_rings() -> None:
    (session,) = sessions_of(cloud_hypervisor(2))
    assert [loop.count for loop in phase(session, "start").loops] == [2, 2, 2]


def scsi_in_the_bios() -> Script:
    """Three rings of which the BIOS sets up only the last; all are enabled."""
    script = Script()
    script.open()
    script.get("GET_FEATURES", BLK_OFFER)
    script.set("SET_FEATURES", BLK_OFFER)
    script.steps(2, "num base addr kick")
    for ring in range(3):
        script.steps(ring, "on")
    return script


def test_a_loop_that_goes_back_with_another_message_is_a_new_one() -> None:
    script = scsi_in_the_bios()
    loops = phase(sessions_of(script)[0], "start").loops
    assert [[each.ring for each in loop.iterations] for loop in loops] == [[2], [0, 1, 2]]
    assert not any(each.anomalies for loop in loops for each in loop.iterations)


def test_disabling_the_first_enabled_ring_stops_the_device_though_it_was_never_started() -> None:
    script = scsi_in_the_bios()
    for ring in range(3):
        script.steps(ring, "off")
    script.steps(2, "halt")
    names = [each.phase for each in sessions_of(script)[0].phases]
    assert names[-2:] == ["running", "stop"]


def test_a_problem_is_told_with_its_iteration() -> None:
    front_end = qemu_net(QEMU_2_10, 2)
    front_end.script.open()
    front_end.init()
    front_end.script.ask("SET_VRING_CALL", (9).to_bytes(8, "little"))  # no descriptor, and no NOFD
    (session,) = sessions_of(front_end.script)
    (anomaly,) = phase(session, "init").loops[0].iterations[-1].anomalies[-1:]
    assert "0 descriptors attached" in anomaly.text
    assert session.problems == 1


def test_a_refused_request_is_told_with_its_iteration() -> None:
    script = Script()
    script.steps(0, "num")
    script.ask("SET_VRING_BASE", bytes(8), reply=(1).to_bytes(8, "little"))
    (session,) = sessions_of(script)
    assert texts(phase(session, "start").loops[0].iterations[0]) == (
        "[3] a reply that no request waits for",
        "[3] SET_VRING_BASE failed",
    )


def test_what_the_wrong_side_sends_changes_no_phase() -> None:
    front_end = qemu_net(QEMU_2_10, 1).boot()
    front_end.script.add(raw(Side.BACKEND, 11, 1, bytes(8)))
    (session,) = sessions_of(front_end.script)
    assert [str(each.phase) for each in session.phases] == ["init", "features", "start", "running"]
