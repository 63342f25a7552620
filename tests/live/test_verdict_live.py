"""Situations that people stand before, made with real programs, and the one line that says what it is."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence

import pytest
from lab import dpdk
from lab.messages import captured, requests
from lab.needs import STORAGE, TESTPMD, needs
from lab.process import Lab, Program, run
from lab.proxy import VUTRACE, Proxy, start_proxy
from lab.qemu import SYSTEM
from lab.storage import start_storage_daemon

pytestmark = [pytest.mark.live, needs(SYSTEM, *TESTPMD, cpus=2)]

SHARED = ("-object", "memory-backend-memfd,id=mem,size=256M,share=on", "-numa", "node,memdev=mem")
PRIVATE = ("-object", "memory-backend-memfd,id=mem,size=256M,share=off", "-numa", "node,memdev=mem")
SET_STATUS = 39  # sent twice in a start, at last


def card(queues: int = 1, more: str = "") -> list[str]:
    """A network card; the firmware has a driver for it."""
    net = f"vhost-user,id=n0,chardev=c0,queues={queues}"
    return ["-netdev", net, "-device", f"virtio-net-pci,netdev=n0,mq=on,vectors=0{more}"]


def start_firmware(lab: Lab, chardev: str, device: Sequence[str], memory: Sequence[str] = SHARED) -> Program:
    """QEMU with nothing but its firmware, which starts a network card to boot from."""
    return lab.start(
        "qemu", SYSTEM, "-M", "q35,accel=tcg", "-m", "256", "-no-reboot", "-nodefaults", *memory,
        "-display", "none", "-chardev", f"socket,id=c0,{chardev}", *device, "-boot", "n",
    )  # fmt: skip


def wait_started(proxy: Proxy, count: int = 1) -> None:
    """Wait until the firmware's driver has declared the device complete, so many times."""

    def starts() -> bool:
        there = proxy.capture.exists()
        return there and requests(captured(proxy.capture)).count(SET_STATUS) >= 2 * count

    proxy.program.wait_until(starts, 60, "sees a driver start")


def told(proxy: Proxy) -> str:
    """What `check` says of it, on one line."""
    proxy.stop()
    return answer(proxy)


def answer(proxy: Proxy) -> str:
    """What `explain -r` says of a capture."""
    return " ".join(run(VUTRACE, "explain", "-r", proxy.capture).split())


def backed(lab: Lab, *options: str) -> tuple[Program, Proxy]:
    """testpmd with two queue pairs, and vutrace before it."""
    back = lab.path("back.sock")
    vhost = dpdk.start_vhost(lab, back, queues=2)
    return vhost, start_proxy(lab, lab.path("front.sock"), back, *options)


def front(lab: Lab) -> str:
    """Where QEMU connects."""
    return f"path={lab.path('front.sock')}"


def test_a_back_end_with_fewer_queues_than_the_front_end(lab: Lab) -> None:
    _, proxy = backed(lab)
    qemu = start_firmware(lab, front(lab), card(queues=4))
    wait_started(proxy)
    qemu.stop(signal.SIGTERM)
    line = told(proxy)
    assert "the front-end has queues=4, the back-end queues=2: nobody serves rings 4–7" in line
    assert "Orderly: the front-end (qemu-system-x86" in line


def test_no_memory_backend_at_all(lab: Lab) -> None:
    _, proxy = backed(lab)
    qemu = start_firmware(lab, front(lab), card(), memory=())
    qemu.wait_for("vhost_set_mem_table failed", 60)
    qemu.stop(signal.SIGTERM)
    line = told(proxy)
    assert "the front-end's guest memory is not shared: there is no -object memory-backend-…,share=on" in line
    assert "never got past SET_STATUS" in line
    assert "features were set, and no memory was shared" in line


def test_memory_that_the_front_end_keeps_to_itself(lab: Lab) -> None:
    _, proxy = backed(lab)
    qemu = start_firmware(lab, front(lab), card(), memory=PRIVATE)
    wait_started(proxy)
    qemu.stop(signal.SIGTERM)
    line = told(proxy)
    assert "memory-backend-memfd has share=off" in line
    said = checked(proxy)
    assert "setup.memory-private" in said
    assert "the front-end has mapped memory-backend-memfd privately" in said


def checked(proxy: Proxy) -> str:
    """What `check` says, whatever its status."""
    ran = subprocess.run([VUTRACE, "check", proxy.capture], capture_output=True, text=True, check=False)
    assert ran.returncode in (0, 1), ran.stderr
    return " ".join(ran.stdout.split())


def test_features_that_are_asked_for_and_not_offered(lab: Lab) -> None:
    _, proxy = backed(lab)
    qemu = start_firmware(lab, front(lab), card(more=",rss=on,queue_reset=on"))
    wait_started(proxy)
    qemu.stop(signal.SIGTERM)
    line = told(proxy)
    assert "asked for on the command line, not offered: queue_reset=on (VIRTIO_F_RING_RESET)" in line
    assert "rss=on (VIRTIO_NET_F_RSS)" in line


def test_an_iommu_that_the_back_end_does_not_have(lab: Lab) -> None:
    _, proxy = backed(lab)
    qemu = start_firmware(lab, front(lab), card(more=",iommu_platform=on"))
    qemu.wait_exit(60)
    line = told(proxy)
    assert "the front-end has iommu_platform=on (VIRTIO_F_ACCESS_PLATFORM), which is not offered" in line


def test_a_disk_on_a_network_back_end(lab: Lab) -> None:
    _, proxy = backed(lab)
    start_firmware(lab, front(lab), ["-device", "vhost-user-blk-pci,chardev=c0"]).wait_exit(60)
    line = told(proxy)
    assert "the front-end is blk ('vhost-user-blk-pci'), the back-end is net ('net_vhost0')" in line
    assert ": the same" in line


@needs(*STORAGE)
def test_a_network_card_on_a_disks_back_end(lab: Lab) -> None:
    image, back = lab.path("disk"), lab.path("back.sock")
    image.write_bytes(bytes(1 << 20))
    start_storage_daemon(lab, back, image)
    proxy = start_proxy(lab, lab.path("front.sock"), back)
    qemu = start_firmware(lab, front(lab), card())
    qemu.wait_for("Failed to", 60)
    qemu.kill()
    line = told(proxy)
    assert "the front-end is net ('vhost-user,id=n0,chardev=c0,queues=1'), the back-end is blk" in line
    assert "The back-end (qemu-storage-da" in line


def test_a_back_end_that_is_killed_while_its_rings_run(lab: Lab) -> None:
    vhost, proxy = backed(lab)
    start_firmware(lab, front(lab), card())
    wait_started(proxy)
    vhost.kill()
    time.sleep(0.5)
    line = told(proxy)
    assert f"The back-end (dpdk-testpmd, pid {vhost.pid}) was killed (SIGKILL) while 2 rings ran" in line
    assert "The last it had received was SET_STATUS" in line


def test_one_that_comes_back_takes_up_the_rings(lab: Lab) -> None:
    vhost, proxy = backed(lab)
    qemu = start_firmware(lab, f"{front(lab)},reconnect=1", card())
    wait_started(proxy)
    vhost.kill()
    lab.path("back.sock").unlink(missing_ok=True)
    dpdk.start_vhost(lab, lab.path("back.sock"))
    wait_started(proxy, 2)
    qemu.stop(signal.SIGTERM)
    line = told(proxy)
    assert "was killed (SIGKILL) while 2 rings ran" in line
    assert "s after session 1 was lost, and ring" in line
    assert "resumes at avail" in line


def test_a_process_that_is_stopped_in_the_handshake(lab: Lab) -> None:
    vhost, proxy = backed(lab)
    os.kill(vhost.pid, signal.SIGSTOP)
    start_firmware(lab, front(lab), card())
    row = proxy.program.wait_for("waiting for 1 s: .*", 60)[0]
    assert f"the back-end (dpdk-testpmd, pid {vhost.pid}) owes the reply to GET_FEATURES" in row
    assert "its process is stopped (T)" in row
    line = told(proxy)
    os.kill(vhost.pid, signal.SIGCONT)
    assert "owed the reply to GET_FEATURES [2] for " in line
    assert "its process was stopped" in line


def test_a_front_end_that_is_here_and_a_back_end_that_is_not(lab: Lab) -> None:
    proxy = start_proxy(lab, lab.path("front.sock"), lab.path("nobody.sock"))
    start_firmware(lab, front(lab), card())
    proxy.program.wait_for("cannot be reached: No such file or directory", 60)
    time.sleep(1)
    line = told(proxy)
    assert "No session: the back-end at connect:" in line
    assert "tries in" in line


def test_the_same_failing_session_many_times(lab: Lab) -> None:
    _, proxy = backed(lab)
    qemu = start_firmware(lab, front(lab), card(queues=200))
    qemu.wait_for("you are asking more queues than supported: 128", 60)
    time.sleep(3)
    line = told(proxy)
    assert "the front-end has queues=200, the back-end answers 128" in line
    assert ": the same, " in line
