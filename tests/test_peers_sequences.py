"""What each profile sends: golden text, counts with 20 pairs, and the captures of the real programs."""

from itertools import pairwise

import pytest
from kit.peers_stage import CAPTURES, GOLDEN, Act, Stage, captured, change, played

from vutrace.peers import PROFILES, READY, FrontEnd, Offer

BOOT = (FrontEnd.write_features, FrontEnd.start)
LIVES: dict[int, dict[str, Act]] = {
    1: {"features": FrontEnd.write_features, "start": FrontEnd.start, "stop": FrontEnd.stop},
    2: {
        "features": FrontEnd.write_features,
        "start": FrontEnd.start,
        "two pairs": change(2),
        "one pair": change(1),
        "reset": FrontEnd.reset,
    },
}


def life(profile: str, pairs: int) -> str:
    """Everything a front-end sends and gets, under what happens to it."""
    acts = LIVES[pairs]
    lengths = [len(played(profile, pairs, *list(acts.values())[:count])) for count in range(len(acts) + 1)]
    lines = played(profile, pairs, *acts.values())
    sections = zip(["connect", *acts], pairwise([0, *lengths]), strict=True)
    return "\n".join(f"# {title}\n" + "\n".join(lines[start:end]) for title, (start, end) in sections) + "\n"


@pytest.mark.parametrize("pairs", LIVES)
@pytest.mark.parametrize("profile", PROFILES)
def test_what_a_profile_sends(profile: str, pairs: int) -> None:
    assert life(profile, pairs) == (GOLDEN / f"{profile}-{pairs}.txt").read_text()


@pytest.mark.parametrize("profile", ["qemu-2.10", "qemu-7.2", "qemu-10"])
def test_twenty_pairs_under_qemu(profile: str) -> None:
    lines = played(profile, 20, *BOOT)
    first_feature = next(number for number, line in enumerate(lines) if "SET_VRING_ENABLE" in line)
    init, rest = lines[:first_feature], [line for line in lines[first_feature:] if line[0] == ">"]
    features, start = rest[:40], rest[40:]

    assert init.count("> SET_OWNER") == init.count("> GET_QUEUE_NUM") == 1
    assert init.count("> GET_PROTOCOL_FEATURES") == 20
    assert [line for line in init if "SET_VRING_CALL" in line] == [
        f"> SET_VRING_CALL ring {n}" for n in range(40)
    ]
    assert [line.split("ring ")[1] for line in features] == [
        f"{ring} = {int(ring < 2)}" for ring in range(40)
    ]
    assert start.count("> SET_MEM_TABLE need-reply") == 1
    assert start.count("> SET_FEATURES") == 20
    assert sum("SET_VRING_KICK" in line for line in start) == 40
    assert [line.split("ring ")[1] for line in start if "SET_VRING_ENABLE" in line] == ["0 = 1", "1 = 1"]


def test_2_10_passes_a_channel_for_each_pair_and_enables_after_the_start() -> None:
    lines = played("qemu-2.10", 20, *BOOT)
    assert lines.count("> SET_BACKEND_REQ_FD need-reply") == 20
    assert lines.index("> SET_VRING_CALL ring 1", 200) < lines.index("> SET_VRING_ENABLE ring 0 = 1", 250)


def test_twenty_pairs_of_virtio_user() -> None:
    lines = played("virtio-user", 20, *BOOT)
    calls = [int(line.split()[-1]) for line in lines if "SET_VRING_CALL" in line]
    assert calls == [*range(0, 40, 2), *range(1, 40, 2)]
    assert [line for line in lines if "ENABLE" in line] == [
        f"> SET_VRING_ENABLE ring {n} = 1" for n in (0, 1)
    ]


def test_since_23_03_virtio_user_goes_through_the_rings_in_their_order() -> None:
    lines = played("virtio-user-23.03", 3, *BOOT)
    for name in ("SET_VRING_CALL", "SET_VRING_NUM"):
        assert [int(line.split()[-1]) for line in lines if name in line] == [*range(6)]


FOUR_ROUNDS = (FrontEnd.write_features,) * 4  # what the firmware and the guest's driver do until DRIVER_OK


@pytest.mark.parametrize(
    ("capture", "profile", "acts"),
    [
        ("qemu-7.2-testpmd", "qemu-7.2", (*FOUR_ROUNDS, FrontEnd.start, change(1), FrontEnd.reset)),
        (
            "qemu-7.2-testpmd-ethtool",
            "qemu-7.2",
            (*FOUR_ROUNDS, FrontEnd.start, change(1), change(2), change(1), FrontEnd.reset),
        ),
        (
            "qemu-10.0-testpmd",
            "qemu-10",
            (*FOUR_ROUNDS, FrontEnd.start, change(1), change(2), FrontEnd.reset),
        ),
        ("virtio-user-testpmd", "virtio-user", (*BOOT, change(2), FrontEnd.stop)),
    ],
)
def test_a_profile_sends_what_the_real_program_sent(
    capture: str, profile: str, acts: tuple[Act, ...]
) -> None:
    assert played(profile, 2, *acts) == captured(CAPTURES / f"{capture}.pcapng")


def reconnected(profile: str, pairs: int, running: bool) -> list[str]:
    """What passes on the second connection."""
    stage = Stage(profile, pairs)
    stage.frontend.attach(stage.backend())
    if running:
        for act in BOOT:
            act(stage.frontend)
    first = stage.lose()
    stage.frontend.resume(stage.backend())
    return stage.end()[first:]


def test_a_reconnect_has_no_features_phase_as_in_the_real_program() -> None:
    real = captured(CAPTURES / "qemu-7.2-testpmd-restart.pcapng", session=2)
    ours = reconnected("qemu-7.2", 2, running=True)
    assert ours == real[: len(ours)]
    assert ours[-1] == "> SET_STATUS = 15"
    assert real[len(ours)] == "> GET_VRING_BASE ring 0"  # the guest powers off


def test_a_reconnect_before_the_driver_runs_only_initialises() -> None:
    lines = reconnected("qemu-2.10", 2, running=False)
    assert lines == played("qemu-2.10", 2)


def test_virtio_user_stops_the_device_at_the_new_back_end_first() -> None:
    lines = [line for line in reconnected("virtio-user", 1, running=True) if line[0] == ">"]
    assert lines[:4] == [
        "> SET_VRING_ENABLE ring 0 = 0",
        "> SET_VRING_ENABLE ring 1 = 0",
        "> GET_VRING_BASE ring 0",
        "> GET_VRING_BASE ring 1",
    ]
    assert "> SET_OWNER" not in lines
    assert lines.count("> GET_STATUS") == 1  # as DPDK 22.11 and 25.11 do; a first start asks twice
    assert lines[-1] == "> SET_STATUS need-reply = 15"


def test_virtio_user_starts_its_rings_from_the_beginning() -> None:
    stage = Stage("virtio-user", 1)
    stage.frontend.attach(stage.backend())
    for act in (*BOOT, FrontEnd.stop):
        act(stage.frontend)
    stage.frontend.device.bases[0] = 27392  # what a testpmd that moved packets answers
    stage.frontend.start()
    assert {line for line in stage.end() if line.startswith("> SET_VRING_BASE ring 0")} == {
        "> SET_VRING_BASE ring 0 = 0"
    }


MEM_SLOTS, NO_REPLY_ACK, RESET = 0x1_8CBF, 0x1_0CB7, 0x1_2CBF
FEATURES = 0xD_7C66_E7CB


def offering(protocol_features: int) -> Offer:
    """A back-end like DPDK's with other protocol features."""
    return Offer(FEATURES, protocol_features, queue_pairs=128)


def test_memory_slots_take_the_place_of_the_table() -> None:
    lines = played("qemu-10", 2, *BOOT, FrontEnd.stop, FrontEnd.start, offer=offering(MEM_SLOTS))
    assert lines.count("> GET_MAX_MEM_SLOTS") == 2
    assert lines.count("> ADD_MEM_REG need-reply") == 1
    assert "> SET_MEM_TABLE need-reply" not in lines


def test_7_2_adds_its_memory_for_every_pair() -> None:
    # the once-per-device filter got ADD_MEM_REG in 8.0
    lines = played("qemu-7.2", 2, *BOOT, offer=offering(MEM_SLOTS))
    assert lines.count("> ADD_MEM_REG need-reply") == 2


def test_without_reply_ack_qemu_10_asks_for_features_as_a_barrier() -> None:
    lines = played("qemu-10", 1, FrontEnd.write_features, offer=offering(NO_REPLY_ACK))
    assert lines[-6:] == [
        "> SET_VRING_ENABLE ring 0 = 1",
        "> GET_FEATURES",
        "< GET_FEATURES",
        "> SET_VRING_ENABLE ring 1 = 1",
        "> GET_FEATURES",
        "< GET_FEATURES",
    ]
    assert not any("need-reply" in line for line in lines)


def test_qemu_10_resets_the_device_of_a_back_end_that_can() -> None:
    lines = played("qemu-10", 1, *BOOT, FrontEnd.reset, offer=offering(RESET))
    at = len(lines) - 1 - lines[::-1].index("> RESET_DEVICE")
    assert lines[at - 1] == "> SET_STATUS = 0"
    assert "SET_VRING_ENABLE" in lines[at + 1]


def test_qemu_10_resets_the_device_before_the_driver_writes_its_features() -> None:
    lines = played("qemu-10", 1, FrontEnd.write_features, offer=offering(RESET))
    assert lines[lines.index("> RESET_DEVICE") + 1].startswith("> SET_VRING_ENABLE")


def test_before_10_1_a_guests_reset_says_nothing_of_the_rings() -> None:
    lines = played("qemu-2.10", 2, *BOOT, FrontEnd.reset)
    stopped = lines.index("> GET_VRING_BASE ring 0")
    assert not [line for line in lines[stopped:] if "SET_VRING_ENABLE" in line]


def test_qemu_11_has_every_eventfd_acknowledged() -> None:
    lines = played("qemu-11", 1, *BOOT)
    for name in ("SET_VRING_KICK", "SET_VRING_CALL", "SET_VRING_ERR"):
        assert {line.split()[2] for line in lines if line.startswith(f"> {name} ")} == {"need-reply"}


def test_a_device_with_an_mtu_says_so_once() -> None:
    stage = Stage("qemu-7.2", 2, Offer(FEATURES | 8, 0x10CBF, queue_pairs=2))
    stage.frontend.device.mtu = 1500
    stage.frontend.attach(stage.backend())
    stage.frontend.start()
    assert stage.end().count("> NET_SET_MTU need-reply") == 1


@pytest.mark.parametrize("pairs", [1, 2, 20])
@pytest.mark.parametrize("profile", PROFILES)
def test_the_back_end_becomes_ready_again_after_each_stop(profile: str, pairs: int) -> None:
    stage = Stage(profile, pairs)
    frontend = stage.frontend
    frontend.attach(stage.backend())
    for act in (*BOOT, FrontEnd.stop, *BOOT, FrontEnd.reset, *BOOT):
        act(frontend)
    stage.journal.wait(READY, 5, count=3)
    stage.end()
