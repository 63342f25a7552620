"""Ends that are neither QEMU's nor DPDK's: back-ends of rust-vmm, passt, and the front-end of libblkio."""

import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import blkio_reader, debian_13
from lab.captures import DIRECTORY, Keeper
from lab.guest import Guest
from lab.messages import captured, requests
from lab.needs import GUEST, STORAGE, fetched, needs
from lab.packages import package_version
from lab.process import Lab, Program
from lab.proxy import VUTRACE, start_proxy
from lab.qemu import FILE_SYSTEM, network, start_qemu
from lab.rows import problems
from lab.storage import make_share, read_share, start_storage_daemon

pytestmark = [pytest.mark.live, fetched(debian_13.find(), "what Debian 13 brings")]
MEBIBYTE = 1 << 20
SET_OWNER, ADD_MEM_REG, GET_VRING_BASE = 3, 37, 11


@needs(*GUEST, root=True)  # without a sandbox it serves files as whoever asks
def test_a_guest_reads_a_file_of_the_virtiofsd_in_rust(lab: Lab, guest: Guest, keep: Keeper) -> None:
    front, back = lab.path("qemu.sock"), lab.path("virtiofsd.sock")
    debian_13.start_virtiofsd(lab, back, make_share(lab, "words in a file\n"))
    proxy = start_proxy(lab, front, back)
    qemu = start_qemu(lab, guest, f"path={front}", FILE_SYSTEM)
    assert read_share(qemu) == "words in a file\n"
    proxy.stop()

    assert captured(proxy.capture) == qemu.messages()
    assert problems(proxy.capture) == []
    shows = "A guest reads a file that virtiofsd in Rust (rust-vmm) shares; memory comes region by region"
    keep(proxy.capture, "qemu-7.2-virtiofsd-rust", shows, ["qemu-system-x86"], **version("virtiofsd"))


@needs(*GUEST)
def test_a_guest_refuses_a_call_from_the_host(lab: Lab, device_guest: Guest, keep: Keeper) -> None:
    front, back, host = lab.path("qemu.sock"), lab.path("vsock.sock"), lab.path("host.sock")
    debian_13.start_vsock(lab, back, host)
    proxy = start_proxy(lab, front, back)
    device = ["-device", "vhost-user-vsock-pci,chardev=c0"]
    qemu = start_qemu(lab, device_guest, f"path={front}", device)
    qemu.wait_boot()
    call(host, port=1234)
    qemu.power_off()
    proxy.stop()

    assert captured(proxy.capture) == qemu.messages()
    assert problems(proxy.capture) == []
    shows = "The host calls a guest through vhost-device-vsock (rust-vmm), and the guest's kernel refuses"
    keep(proxy.capture, "qemu-7.2-vsock-rust", shows, ["qemu-system-x86"], **version("vhost-device-vsock"))


def call(host: object, port: int) -> None:
    """Call a port of the guest that nobody listens on, by the host's side of the vsock."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(20)
        caller.connect(str(host))
        caller.sendall(f"CONNECT {port}\n".encode())
        assert caller.recv(100) == b""


@needs(*GUEST)
def test_a_guest_gets_an_address_from_passt(lab: Lab, guest: Guest, keep: Keeper) -> None:
    front, back = lab.path("qemu.sock"), lab.path("passt.sock")
    debian_13.start_passt(lab, back)
    proxy = start_proxy(lab, front, back)
    qemu = start_qemu(lab, guest, f"path={front}", network(1))
    qemu.wait_boot()
    qemu.run("ip link set eth0 up")
    assert f"lease of {debian_13.ADDRESS} obtained" in qemu.run("udhcpc -i eth0 -n -q")
    qemu.power_off()
    proxy.stop()

    assert captured(proxy.capture) == qemu.messages()
    assert problems(proxy.capture) == []
    shows = "A guest gets its address by DHCP from passt, a back-end with neither MQ nor GET_QUEUE_NUM"
    keep(proxy.capture, "qemu-7.2-passt", shows, ["qemu-system-x86"], **version("passt"))


@needs(*STORAGE)
def test_libblkio_reads_a_disk(lab: Lab, keep: Keeper) -> None:
    front, back, image = lab.path("blkio.sock"), lab.path("qsd.sock"), lab.path("disk.img")
    image.write_bytes(b"words on a disk\n".ljust(MEBIBYTE, b"\0"))
    start_storage_daemon(lab, back, image)
    proxy = start_proxy(lab, front, back)
    library = debian_13.tree_of(lab) / debian_13.LIBRARIES / "libblkio.so.1"
    reader = lab.start("blkio", sys.executable, blkio_reader.__file__, library, front)
    assert reader.wait_exit(30) == 0, reader.tail()
    assert reader.output == "words on a disk\n"
    proxy.stop()

    seen = captured(proxy.capture)
    assert requests(seen)[0] == SET_OWNER
    assert requests(seen).count(ADD_MEM_REG) == 2
    assert GET_VRING_BASE not in requests(seen)
    assert problems(proxy.capture) == []
    shows = "libblkio, which has everything acknowledged, reads a disk of qemu-storage-daemon"
    keep(proxy.capture, "libblkio-storage-daemon", shows, ["qemu-system-common"], **version("libblkio1"))


STARTS: dict[str, Callable[[Lab, Path], Program]] = {
    "qemu-7.2-virtiofsd-rust": lambda lab, path: debian_13.start_virtiofsd(lab, path, make_share(lab, "")),
    "qemu-7.2-vsock-rust": lambda lab, path: debian_13.start_vsock(lab, path, lab.path("host.sock")),
    "qemu-7.2-passt": debian_13.start_passt,
}


@pytest.mark.parametrize("capture", STARTS)
def test_a_recorded_front_end_is_served_as_it_was(lab: Lab, capture: str) -> None:
    path = lab.path("again.sock")
    STARTS[capture](lab, path)
    file = DIRECTORY / f"{capture}.pcapng"
    played = lab.start("replay", VUTRACE, "replay", file, "--as", "frontend", "--to", path, "-q")
    assert played.wait_exit(30) == 0, played.tail()
    assert re.search(r"1 session; \d+ requests; \d+ replies, \d+ as recorded; 0 differences", played.output)


def version(package: str) -> dict[str, str]:
    """What the manifest says of a program that was only unpacked."""
    tree = debian_13.find()
    assert tree is not None
    return {package: package_version(tree, package)}
