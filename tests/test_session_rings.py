"""Rings: what was sent, what that makes of them, and by which rule ("Ring states")."""

from pathlib import Path

import pytest
from kit.sessions import QEMU_2_10, QEMU_7_2, Script, qemu_net, sessions_of, stranger

from vutrace.records import Side
from vutrace.session.ring import Ring
from vutrace.session.ring_states import EFFECTS, TRANSITIONS, RingState, Trigger, diagram

DOCS = Path(__file__).parent.parent / "docs" / "session-model.md"
PLAIN = 1 << 32  # VERSION_1 alone: PROTOCOL_FEATURES is not acknowledged


def rings(script: Script) -> list[Ring]:
    return [lane.ring for lane in sessions_of(script)[-1].rings]


def states(script: Script, ring: int = 0) -> list[str]:
    return [span.state for span in sessions_of(script)[-1].rings[ring].spans]


def test_a_ring_begins_stopped_and_disabled() -> None:
    script = Script()
    script.steps(0, "call")
    (ring,) = rings(script)
    assert (ring.state, ring.enable_sent, ring.kick_sent) == (RingState.STOPPED, None, False)
    assert ring.started_rule == "stopped: no SET_VRING_KICK yet"
    assert ring.enabled_rule == "disabled: no SET_VRING_ENABLE yet"


@pytest.mark.parametrize("order", ["num base addr kick on", "on num base addr kick"])
def test_started_and_enabled_are_independent_and_both_are_needed(order: str) -> None:
    script = Script()
    script.steps(0, order)
    (ring,) = rings(script)
    assert ring.state is RingState.RUNNING
    assert (ring.started_rule, ring.enabled_rule) == (
        "started by SET_VRING_KICK",
        "enabled by SET_VRING_ENABLE",
    )


def test_without_protocol_features_rings_are_enabled_at_once_and_so_are_later_ones() -> None:
    script = Script()
    script.steps(0, "call")
    script.set("SET_FEATURES", PLAIN)
    script.steps(1, "call")
    for ring in rings(script):
        assert (ring.state, ring.enable_sent) == (RingState.ENABLED, None)
        assert ring.enabled_rule == "enabled: PROTOCOL_FEATURES is not negotiated"


def test_with_protocol_features_set_features_enables_nothing() -> None:
    script = Script()
    script.set("SET_FEATURES", PLAIN)
    script.set("SET_FEATURES", PLAIN | 1 << 30)
    script.steps(0, "kick")
    assert rings(script)[0].state is RingState.STARTED


def test_get_vring_base_stops_and_gives_the_index_back() -> None:
    script = Script()
    script.steps(0, "num base addr kick on halt")
    (ring,) = rings(script)
    assert (ring.state, ring.base, ring.kick_sent) == (RingState.ENABLED, 7, False)
    assert states(script) == ["configured", "started", "running", "stopped"]


def test_a_reset_device_stops_and_disables_a_reset_owner_only_disables() -> None:
    for name, state in (("RESET_DEVICE", RingState.STOPPED), ("RESET_OWNER", RingState.STARTED)):
        script = Script()
        script.steps(0, "kick on")
        script.ask(name)
        (ring,) = rings(script)
        assert ring.state is state
        assert ring.changed_by == name


def test_the_end_of_a_session_ends_its_rings_and_leaves_them_as_they_stood() -> None:
    script = Script()
    script.open()
    script.steps(0, "num addr kick on")
    script.close(Side.BACKEND)
    assert rings(script)[0].state is RingState.RUNNING
    assert states(script) == ["configured", "started", "running", "stopped"]


def test_what_was_sent_is_kept() -> None:
    script = Script()
    script.steps(3, "num base addr")
    (ring,) = rings(script)
    assert (ring.index, ring.size, ring.base, ring.configured) == (3, 256, 0, True)
    assert ring.addresses is not None
    assert ring.addresses.used - ring.addresses.descriptor == 0x2000
    assert (ring.first, ring.changed, ring.changed_by) == (1, 3, "SET_VRING_ADDR")


@pytest.mark.parametrize("qemu", [QEMU_2_10, QEMU_7_2], ids=["2.10", "7.2"])
def test_of_twenty_pairs_one_runs_and_the_others_are_started_but_disabled(qemu: object) -> None:
    found = rings(qemu_net(qemu, 20).boot().script)  # type: ignore[arg-type]
    assert [ring.index for ring in found if ring.state is RingState.RUNNING] == [0, 1]
    assert {ring.state for ring in found[2:]} == {RingState.STARTED}


def test_a_front_end_without_protocol_features_has_running_rings() -> None:
    assert states(stranger(2)) == ["configured", "started", "running", "stopped"]


def test_marks_are_the_messages_in_order() -> None:
    script = Script()
    script.steps(0, "num base addr kick call err on off halt")
    marks = sessions_of(script)[0].rings[0].marks
    assert [mark.kind for mark in marks] == [
        *["configure"] * 3, "kick", "call", "err", "enable 1", "enable 0", "stop",
    ]  # fmt: skip


def test_the_table_is_total_and_keeps_to_its_effects() -> None:
    assert set(TRANSITIONS) == {(state, trigger) for state in RingState for trigger in Trigger}
    for (before, trigger), after in TRANSITIONS.items():
        effect = EFFECTS[trigger]
        assert after.started == (before.started if effect.started is None else effect.started)
        assert after.enabled == (before.enabled if effect.enabled is None else effect.enabled)


def test_the_manual_has_the_diagram_of_the_table() -> None:
    assert "\n".join(diagram()) in DOCS.read_text(encoding="utf-8")
