"""Captures of real programs acted out against real programs: each end takes the recording for the other."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from lab import dpdk
from lab.captures import DIRECTORY
from lab.guest import Guest
from lab.messages import captured, frames, requests
from lab.needs import GUEST, STORAGE, TESTPMD, needs
from lab.process import Lab, Program, run
from lab.proxy import VUTRACE, start_proxy
from lab.qemu import network, start_qemu
from lab.storage import start_storage_daemon

from vutrace.capture import Writer, read
from vutrace.records import Frame

pytestmark = pytest.mark.live
READY = "virtio is now ready for processing"
DPDK_FAILS = "VHOST_CONFIG: .*(?:fail|error|invalid).*"
SET_STATUS, DRIVER_OK = 39, 0xF


def act(lab: Lab, capture: str | Path, role: str, to: str | Path, *options: str | Path) -> Program:
    """Start `vutrace replay` of a kept capture; what it records of itself is again.pcapng."""
    path = DIRECTORY / f"{capture}.pcapng" if isinstance(capture, str) else capture
    again = lab.path("again.pcapng")
    return lab.start("replay", VUTRACE, "replay", path, "--as", role, "--to", to, "-w", again, *options)


def wrong(lab: Lab) -> Path:
    """The capture of a start that went well, with a feature bit that DPDK does not know acknowledged."""
    path = lab.path("wrong.pcapng")
    with Writer(path) as writer:
        for item in read(DIRECTORY / "qemu-7.2-testpmd.pcapng"):
            if isinstance(item, Frame) and item.data[:8] == bytes([2, 0, 0, 0, 1, 0, 0, 0]):
                data = bytearray(item.data)
                data[16] |= 1 << 7  # bit 39
                item = replace(item, data=bytes(data))
            writer.write(item)
    return path


@needs(*TESTPMD, cpus=2)
@pytest.mark.parametrize("capture", ["qemu-7.2-testpmd", "qemu-7.2-testpmd-restart", "virtio-user-testpmd"])
def test_testpmd_is_ready_for_a_recorded_front_end(lab: Lab, capture: str) -> None:
    path = lab.path("vhost.sock")
    vhost = dpdk.start_vhost(lab, path)
    played = act(lab, capture, "frontend", path)
    assert played.wait_exit(60) == 0, played.tail()
    vhost.wait_for("vhost peer closed", 20)

    sessions = 2 if capture.endswith("restart") else 1
    assert vhost.output.count(READY) == sessions
    assert not re.findall(DPDK_FAILS, vhost.output)
    recorded = captured(DIRECTORY / f"{capture}.pcapng")
    assert dpdk.requests_read(vhost) == requests(recorded)
    assert captured(lab.path("again.pcapng")) == recorded
    # virtio-user's packets moved the rings on, and nobody kills this testpmd as in the restart
    if capture == "qemu-7.2-testpmd":
        assert "no difference" in run(
            VUTRACE, "diff", DIRECTORY / f"{capture}.pcapng", lab.path("again.pcapng")
        )


@needs(*TESTPMD, cpus=2)
@dpdk.patiently
def test_the_same_run_twice_does_not_differ(lab: Lab) -> None:
    """Virtio-user sends what it can to testpmd: each time other descriptors, addresses, times, indexes."""
    for run_of in ("one", "two"):
        front, back = lab.path(f"{run_of}-front.sock"), lab.path(f"{run_of}-back.sock")
        vhost = dpdk.start_vhost(lab, back)
        proxy = start_proxy(lab, front, back)
        virtio_user = dpdk.start_virtio_user(lab, front)
        virtio_user.wait_for("Port statistics|RX-packets", 60)
        dpdk.stop(virtio_user)
        proxy.stop()
        dpdk.stop(vhost)
        proxy.capture.rename(lab.path(f"{run_of}.pcapng"))
    told = run(VUTRACE, "diff", lab.path("one.pcapng"), lab.path("two.pcapng"))
    assert told.splitlines()[-1] == "no difference"


def may_handle_page_faults() -> bool:
    """Whether the programs here are given a userfaultfd."""
    allowed = Path("/proc/sys/vm/unprivileged_userfaultfd")
    return os.geteuid() == 0 or not allowed.exists() or allowed.read_text().strip() == "1"


@needs(*STORAGE)
def test_a_disk_is_served_to_a_recorded_front_end(lab: Lab) -> None:
    path, image = lab.path("qsd.sock"), lab.path("disk.img")
    image.write_bytes(bytes(1 << 20))
    start_storage_daemon(lab, path, image)
    played = act(lab, "qemu-7.2-storage-daemon-blk", "frontend", path)
    # recorded as root: the daemon offers PAGEFAULT where it may have a userfaultfd
    differences = 0 if may_handle_page_faults() else 1
    assert played.wait_exit(30) == differences, played.tail()
    assert f"{differences} difference" in played.output
    assert ("(with PAGEFAULT), live" in played.output) == (differences == 1)
    assert "GET_VRING_BASE: num: recorded" in played.output  # nobody put anything into the rings
    assert "(an index: may differ)" in played.output


@needs(*STORAGE)
def test_another_disk_is_a_difference(lab: Lab) -> None:
    path, image = lab.path("qsd.sock"), lab.path("disk.img")
    image.write_bytes(bytes(2 << 20))
    start_storage_daemon(lab, path, image)
    played = act(lab, "qemu-7.2-storage-daemon-blk", "frontend", path)
    assert played.wait_exit(30) == 1, played.tail()
    assert "GET_CONFIG: config.capacity: recorded 2048 sectors, live 4096 sectors" in played.output


@needs(*TESTPMD, cpus=2)
def test_features_that_are_not_offered_are_named_when_testpmd_breaks_off(lab: Lab) -> None:
    path = lab.path("vhost.sock")
    dpdk.start_vhost(lab, path)
    played = act(lab, wrong(lab), "frontend", path)
    assert played.wait_exit(30) == 4, played.tail()
    last = played.output.splitlines()[-1]
    assert "the back-end closed the connection" in last
    assert "[48] SET_FEATURES acknowledges 0x8000000000 (VIRTIO_F_NOTIF_CONFIG_DATA)" in last
    assert last.endswith("which this back-end does not offer")


@needs(*GUEST)
def test_a_guest_boots_on_a_recorded_back_end_that_goes_and_comes_back(lab: Lab, guest: Guest) -> None:
    """The driver sets DRIVER_OK; the recorded back-end was killed then, and QEMU finds its second session."""
    path = lab.path("vhost.sock")
    played = act(lab, "qemu-7.2-testpmd-restart", "backend", path)
    played.wait_until(path.exists, 30, f"listens on {path}")
    qemu = start_qemu(lab, guest, f"path={path},reconnect=1", network(queues=2))
    qemu.wait_boot()
    played.wait_for("open: session 2", 60)
    qemu.power_off()
    assert played.wait_exit(20) == 0, played.tail()
    assert "the connection was closed, as the recorded back-end had done" in played.output
    assert captured(lab.path("again.pcapng")) == qemu.messages()
    for session in (1, 2):
        assert DRIVER_OK in statuses(lab.path("again.pcapng"), session)
    assert played.output.count(READY) == 2


def statuses(capture: Path, session: int) -> list[int]:
    """What the driver set the status to."""
    return [
        frame.data[12]
        for frame in frames(capture)
        if frame.session == session and frame.data[0] == SET_STATUS
    ]


@needs(*TESTPMD, cpus=2)
def test_a_back_end_that_connects_is_waited_for(lab: Lab) -> None:
    path = lab.path("front.sock")
    played = act(lab, "virtio-user-server-testpmd-client", "frontend", f"listen:{path}", "--timeout", "60")
    played.wait_until(path.exists, 30, f"listens on {path}")
    vhost = dpdk.start_vhost(lab, path, client=True)
    assert played.wait_exit(60) == 0, played.tail()
    vhost.wait_for(READY, 20)


@needs(*TESTPMD, cpus=2)
@dpdk.patiently
def test_virtio_user_is_served_by_a_recorded_back_end(lab: Lab) -> None:
    path = lab.path("back.sock")
    played = act(lab, "virtio-user-testpmd", "backend", path)
    played.wait_until(path.exists, 30, f"listens on {path}")
    virtio_user = dpdk.start_virtio_user(lab, path)
    virtio_user.wait_for("Press enter|Port statistics|RX-packets", 60)
    dpdk.stop(virtio_user)
    assert played.wait_exit(20) == 0, played.tail()
    assert captured(lab.path("again.pcapng")) == captured(DIRECTORY / "virtio-user-testpmd.pcapng")
