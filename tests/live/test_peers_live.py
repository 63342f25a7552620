"""The model peers against the real programs: each takes the place of one, and does what that one does."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.peers_stage import Act, Watched, change, played
from lab import dpdk, newer_qemu, sid
from lab.guest import Guest
from lab.needs import GUEST, TESTPMD, fetched, needs
from lab.process import Lab
from lab.qemu import SYSTEM, Qemu, network, start_qemu

from vutrace.peers import CLOSED, PROFILES, READY, FrontEnd

pytestmark = pytest.mark.live


@pytest.fixture
def backend(lab: Lab) -> Iterator[Watched]:
    with Watched(str(lab.path("model.sock"))) as watched:
        yield watched


@needs(*TESTPMD, cpus=2)
@pytest.mark.parametrize("profile", PROFILES)
def test_testpmd_is_ready_for_the_model_front_end(lab: Lab, profile: str) -> None:
    path = lab.path("vhost.sock")
    vhost = dpdk.start_vhost(lab, path)
    acts = (FrontEnd.write_features, FrontEnd.start, change(2), change(1), FrontEnd.stop)
    with FrontEnd(PROFILES[profile], pairs=2) as frontend:
        frontend.connect(str(path))
        for act in acts:
            act(frontend)
    vhost.wait_for("vhost peer closed", 20)

    assert vhost.output.count("virtio is now ready for processing") == 1
    assert not re.findall("VHOST_CONFIG: .*(?:fail|error|invalid).*", vhost.output)
    sent = [line.split()[1] for line in played(profile, 2, *acts) if line[0] == ">"]
    assert dpdk.requests_read(vhost) == [dpdk.REQUESTS[dpdk_name(name)] for name in sent]


def dpdk_name(name: str) -> str:
    """DPDK 22.11's word for a message."""
    return {"SET_BACKEND_REQ_FD": "SET_SLAVE_REQ_FD"}.get(name, name)


@needs(*TESTPMD, cpus=2)
@pytest.mark.parametrize(
    "profile",
    ["virtio-user", pytest.param("virtio-user-23.03", marks=fetched(sid.find(), "DPDK 25.11"))],
)
@dpdk.patiently
def test_virtio_user_sends_what_the_profile_says(lab: Lab, profile: str) -> None:
    path = lab.path("model.sock")
    program = dpdk.PROGRAM if profile == "virtio-user" else sid.testpmd(sid.find() or Path())
    with Watched(str(path)) as backend:
        virtio_user = dpdk.start_virtio_user(lab, path, program=program)
        backend.journal.wait(READY, 60)
        dpdk.stop(virtio_user)
        backend.journal.wait(CLOSED, 20)
    acts = (FrontEnd.write_features, FrontEnd.start, change(2), FrontEnd.stop)
    assert backend.lines == played(profile, 2, *acts)


@needs(*GUEST)
@pytest.mark.parametrize(
    ("profile", "interrupts"),
    [
        ("qemu-7.2", False),
        pytest.param("qemu-10", True, marks=fetched(newer_qemu.find(), "QEMU 10")),
        pytest.param("qemu-11", True, marks=fetched(sid.find(), "QEMU 11")),
    ],
)
def test_a_guest_boots_on_the_model_back_end(
    lab: Lab, guest: Guest, backend: Watched, profile: str, interrupts: bool
) -> None:
    qemu = start(lab, guest, profile, interrupts)
    qemu.wait_boot()
    qemu.run("ip link set eth0 up")
    assert "Combined:\t2" in qemu.run("ethtool -L eth0 combined 2 && ethtool -l eth0 | tail -2")
    qemu.run("ethtool -L eth0 combined 1")
    qemu.power_off()
    backend.journal.wait(CLOSED, 20)

    assert READY in backend.journal.lines
    assert [tuple(message) for message in qemu.messages()] == backend.seen
    rounds = (FrontEnd.write_features,) * rounds_before_the_start(backend.lines)
    acts: tuple[Act, ...] = (*rounds, FrontEnd.start, change(1), change(2), change(1), FrontEnd.reset)
    assert backend.lines == played(profile, 2, *acts)


def start(lab: Lab, guest: Guest, profile: str, interrupts: bool) -> Qemu:
    """QEMU of that version with two queue pairs."""
    program: tuple[str, ...] = (SYSTEM,)
    if profile == "qemu-10":
        lab.path("qemu-10").symlink_to(newer_qemu.find() or "")
        program = newer_qemu.command(lab.path("qemu-10"))
    if profile == "qemu-11":
        program = sid.qemu(sid.find() or Path())
    device = network(queues=2, interrupts="") if interrupts else network(queues=2)
    return start_qemu(lab, guest, f"path={lab.path('model.sock')}", device, program)


def rounds_before_the_start(lines: list[str]) -> int:
    """How often firmware and driver made QEMU tell the state of all four rings: not for the model to know."""
    before = lines[: lines.index("> SET_FEATURES")]
    return sum(" SET_VRING_ENABLE " in line and line.endswith("ring 3 = 0") for line in before)
