"""Phases are recognised from what the messages do, whoever sends them and in whatever order."""

from pathlib import Path

import pytest
from kit.sessions import (
    QEMU_2_10,
    QEMU_7_2,
    QEMU_10,
    Qemu,
    QemuNet,
    Script,
    cloud_hypervisor,
    crosvm,
    libkrun,
    phases_of,
    qemu_blk,
    qemu_net,
    rows,
    sessions_of,
    spdk,
    stranger,
    virtio_user,
    virtio_user_server_restart,
)

from vutrace.dissection.message import Message
from vutrace.session.phases import NEXT, Act, Phase, following, table

QEMUS = pytest.mark.parametrize("qemu", [QEMU_2_10, QEMU_7_2, QEMU_10], ids=["2.10", "7.2", "10"])
PAIRS = pytest.mark.parametrize("pairs", [1, 2, 20])


def booted(qemu: Qemu, pairs: int, enabled: int = 1) -> QemuNet:
    return qemu_net(qemu, pairs, enabled).boot()


@QEMUS
@PAIRS
def test_qemu_boots_in_three_phases(qemu: Qemu, pairs: int) -> None:
    (session,) = sessions_of(booted(qemu, pairs).script)
    assert phases_of(session) == ["init", "features", "start", "(running)"]


@QEMUS
@PAIRS
def test_a_restarted_back_end_sees_init_and_start_without_features(qemu: Qemu, pairs: int) -> None:
    front_end = booted(qemu, pairs)
    front_end.restart()
    _, second = sessions_of(front_end.script)
    assert phases_of(second) == ["init", "start", "(running)"]


@QEMUS
@PAIRS
def test_a_guest_that_resets_writes_its_features_again(qemu: Qemu, pairs: int) -> None:
    front_end = booted(qemu, pairs)
    front_end.stop()
    front_end.features()
    front_end.features()
    front_end.start()
    (session,) = sessions_of(front_end.script)
    assert phases_of(session)[3:] == ["(running)", "stop", "features", "start", "(running)"]


@QEMUS
@PAIRS
def test_a_guest_that_was_paused_starts_without_features(qemu: Qemu, pairs: int) -> None:
    front_end = booted(qemu, pairs)
    front_end.stop()
    front_end.start()
    (session,) = sessions_of(front_end.script)
    assert phases_of(session)[3:] == ["(running)", "stop", "start", "(running)"]


@QEMUS
def test_more_queue_pairs_by_ethtool_are_no_new_start(qemu: Qemu) -> None:
    front_end = booted(qemu, 4)
    front_end.enabled = 2
    front_end.features()
    (session,) = sessions_of(front_end.script)
    assert phases_of(session) == ["init", "features", "start", "running"]


@QEMUS
def test_logging_is_a_migration_until_it_ends(qemu: Qemu) -> None:
    front_end = booted(qemu, 2)
    front_end.log(on=True)
    front_end.script.wait(1)
    front_end.stop()
    (session,) = sessions_of(front_end.script)
    assert phases_of(session)[3:] == ["(running)", "migration", "stop"]
    running, migration, stop = session.phases[3:]
    assert (running.end_ns, migration.end_ns) == (migration.start_ns, stop.start_ns)


@QEMUS
def test_after_a_cancelled_migration_the_device_runs(qemu: Qemu) -> None:
    front_end = booted(qemu, 2)
    front_end.log(on=True)
    front_end.log(on=False)
    front_end.script.wait(1)
    front_end.stop()
    (session,) = sessions_of(front_end.script)
    assert phases_of(session)[3:] == ["(running)", "migration", "(running)", "stop"]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (qemu_blk(), ["init", "start", "(running)", "stop"]),
        (virtio_user(2, enabled=2), ["init", "start", "running", "stop"]),
        (spdk(), ["init", "features", "start", "(running)", "stop"]),
        (cloud_hypervisor(), ["init", "start", "(running)", "stop", "running", "stop"]),
        (crosvm(), ["init", "start", "(running)", "stop"]),
        (libkrun(), ["init", "start", "(running)"]),
        (stranger(), ["start", "(running)", "stop"]),
    ],
    ids=["qemu-blk", "virtio-user", "spdk", "cloud-hypervisor", "crosvm", "libkrun", "stranger"],
)
def test_other_front_ends(script: Script, expected: list[str]) -> None:
    (session,) = sessions_of(script)
    assert phases_of(session) == expected


def test_virtio_user_as_server_first_stops_its_rings_on_the_new_back_end() -> None:
    _, second = sessions_of(virtio_user_server_restart())
    assert phases_of(second) == ["stop", "init", "start", "(running)"]


@QEMUS
def test_rows_have_the_phase_at_once(qemu: Qemu) -> None:
    front_end = booted(qemu, 3)
    front_end.restart()
    told = {
        (row.what.frame.session, row.phase)
        for row in rows(front_end.script.records)
        if isinstance(row.what, Message)
    }
    assert told == {(1, "init"), (1, "features"), (1, "start"), (2, "init"), (2, "start")}


@QEMUS
def test_rows_have_the_loop_they_are_in(qemu: Qemu) -> None:
    labels = [
        (row.what.name, row.loop)
        for row in rows(booted(qemu, 3).script.records)
        if isinstance(row.what, Message) and row.phase == "init"
    ]
    assert ("SET_VRING_CALL", "pair 0 ring 1") in labels
    assert ("SET_VRING_CALL", "pair 2 ring 5") in labels
    # Whether the first pair's head is one shows only with the second.
    assert labels[0] == ("GET_FEATURES", None)
    assert labels.count(("GET_PROTOCOL_FEATURES", "pair 1")) == 2
    assert labels.count(("GET_FEATURES", "pair 2")) == 4


def test_rings_that_are_no_pairs_are_loops_by_themselves() -> None:
    labels = {row.loop for row in rows(qemu_blk(3).records)}
    assert labels == {None, "ring 0", "ring 1", "ring 2"}


def test_a_reply_has_the_phase_and_loop_of_its_request() -> None:
    listed = list(rows(booted(QEMU_10, 2).script.records))
    by_number = {row.number: row for row in listed}
    pairs = [(row, by_number[row.reply_to]) for row in listed if row.reply_to]
    assert pairs
    assert all((row.phase, row.loop) == (asked.phase, asked.loop) for row, asked in pairs)


def test_every_act_leads_somewhere_from_everywhere() -> None:
    assert set(NEXT) == set(Act)
    for act in Act:
        for phase in (None, *Phase):
            assert following(phase, act) in Phase


def test_the_manual_has_the_table() -> None:
    manual = Path(__file__).parent.parent / "docs" / "session-model.md"
    assert "\n".join(table()) in manual.read_text(encoding="utf-8")
