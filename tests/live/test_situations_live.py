"""More situations of users: back-ends that lack something, die early, or are another user's."""

import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from lab import debian_13
from lab.needs import STORAGE, VIRTIOFS, fetched, needs
from lab.process import Lab
from lab.proxy import VUTRACE, Proxy, start_proxy
from lab.qemu import SYSTEM
from lab.storage import make_share, start_storage_daemon, start_virtiofsd
from test_verdict_live import SHARED, answer, card, front, start_firmware, told

pytestmark = [pytest.mark.live, needs(SYSTEM)]
needs_passt = fetched(debian_13.find(), "passt")
NOBODY = 65534


def before_passt(lab: Lab) -> Proxy:
    """vutrace before passt, which has one queue pair and no use for an MTU or packed rings."""
    back = lab.path("passt.sock")
    debian_13.start_passt(lab, back)
    return start_proxy(lab, lab.path("front.sock"), back)


@needs_passt
def test_two_queue_pairs_on_passt(lab: Lab) -> None:
    proxy = before_passt(lab)
    qemu = start_firmware(lab, front(lab), card(queues=2))
    qemu.wait_for("you are asking more queues than supported: 1", 60)
    time.sleep(1)
    qemu.kill()
    line = told(proxy)
    assert "the front-end has queues=2, and without the protocol feature MQ there is 1" in line
    assert "note: sessions 2–" in proxy.program.output.replace("session 2:", "sessions 2–")


@needs_passt
def test_packed_rings_and_an_mtu_that_passt_does_not_have(lab: Lab) -> None:
    proxy = before_passt(lab)
    qemu = start_firmware(lab, front(lab), card(more=",packed=on,host_mtu=1400"))
    proxy.program.wait_for("SET_VRING_CALL", 60)
    qemu.kill()
    line = told(proxy)
    assert "asked for on the command line, not offered: " in line
    assert "packed=on (VIRTIO_F_RING_PACKED)" in line
    assert "host_mtu=1400 (VIRTIO_NET_F_MTU)" in line


@needs(*STORAGE)
def test_packed_rings_that_a_disk_does_not_have(lab: Lab) -> None:
    image, back = lab.path("disk"), lab.path("back.sock")
    image.write_bytes(bytes(1 << 20))
    start_storage_daemon(lab, back, image)
    proxy = start_proxy(lab, lab.path("front.sock"), back)
    qemu = start_firmware(lab, front(lab), ["-device", "vhost-user-blk-pci,chardev=c0,packed=on"])
    proxy.program.wait_for("GET_CONFIG", 60)
    qemu.kill()
    assert "not offered: packed=on (VIRTIO_F_RING_PACKED)" in told(proxy)


@needs(*VIRTIOFS)
def test_a_virtiofsd_that_is_killed_before_a_driver_comes(lab: Lab) -> None:
    back = lab.path("back.sock")
    daemon = start_virtiofsd(lab, back, make_share(lab, "words"))
    proxy = start_proxy(lab, lab.path("front.sock"), back)
    start_firmware(lab, front(lab), ["-device", "vhost-user-fs-pci,chardev=c0,tag=lab"], SHARED)
    proxy.program.wait_for("SET_VRING_CALL|SET_VRING_ERR", 60)
    served = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    for pid in served or [str(daemon.pid)]:
        os.kill(int(pid), signal.SIGKILL)
    proxy.program.wait_for("close: main channel: the back-end closed", 20)
    line = answer(proxy)
    proxy.stop()
    assert f"the back-end (virtiofsd, pid {(served or [daemon.pid])[-1]}) " in line.lower()
    assert "the handshake was done, and no driver started the device" in line


@needs("setpriv", root=True)
def test_a_socket_that_only_another_user_may_connect_to(lab: Lab) -> None:
    back, home = lab.path("back.sock"), lab.path("nobody")
    home.mkdir()
    shutil.chown(home, NOBODY)
    home.parent.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(back))
        listener.listen()
        back.chmod(0o600)
        proxy = as_nobody(lab, home / "front.sock", back, home / "trace.pcapng")
        with socket.socket(socket.AF_UNIX) as front_end:
            front_end.connect(str(home / "front.sock"))
            assert front_end.recv(1) == b""
    assert "a socket that this user may not connect to" in proxy.program.output
    line = told(proxy)
    assert (
        "cannot be reached: Permission denied (the socket, or a directory above it, is another user's)"
        in line
    )


def as_nobody(lab: Lab, front_end: Path, back_end: Path, capture: Path) -> Proxy:
    """vutrace as a user who may do nothing."""
    program = lab.start(
        "vutrace", "setpriv", "--reuid", str(NOBODY), "--clear-groups", sys.executable, VUTRACE,
        "proxy", front_end, back_end, "-w", capture,
    )  # fmt: skip
    program.wait_until(front_end.exists, 30, f"listens on {front_end}")
    return Proxy(program, capture)
