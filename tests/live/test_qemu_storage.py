"""QEMU with the back-ends of a disk and of a file system: the guest reads what is really in them."""

import pytest
from lab.captures import Keeper
from lab.guest import Guest
from lab.messages import captured, requests
from lab.needs import GUEST, STORAGE, VIRTIOFS, needs
from lab.process import Lab
from lab.proxy import start_proxy
from lab.qemu import DISK, FILE_SYSTEM, start_qemu
from lab.storage import make_share, read_share, start_storage_daemon, start_virtiofsd

pytestmark = [pytest.mark.live, needs(*GUEST)]
MEBIBYTE = 1 << 20
GET_CONFIG = 24


@needs(*STORAGE)
def test_the_guest_reads_a_disk(lab: Lab, guest: Guest, keep: Keeper) -> None:
    front, back, image = lab.path("qemu.sock"), lab.path("qsd.sock"), lab.path("disk.img")
    image.write_bytes(b"words on a disk\n".ljust(MEBIBYTE, b"\0"))
    start_storage_daemon(lab, back, image)
    proxy = start_proxy(lab, front, back)
    qemu = start_qemu(lab, guest, f"path={front}", DISK)
    qemu.wait_boot()
    assert qemu.run("head -n 1 /dev/vda") == "words on a disk\n"
    qemu.power_off()
    proxy.stop()

    assert captured(proxy.capture) == qemu.messages()
    assert GET_CONFIG in requests(captured(proxy.capture))
    shows = (
        "A guest reads a disk of qemu-storage-daemon (vhost-user-blk); the back-end has a back-end channel"
    )
    keep(proxy.capture, "qemu-7.2-storage-daemon-blk", shows, ["qemu-system-x86", "qemu-system-common"])


@needs(*VIRTIOFS, root=True)  # the C virtiofsd makes its sandbox with root's rights
def test_the_guest_reads_a_shared_file(lab: Lab, guest: Guest, keep: Keeper) -> None:
    front, back = lab.path("qemu.sock"), lab.path("virtiofsd.sock")
    start_virtiofsd(lab, back, make_share(lab, "words in a file\n"))
    proxy = start_proxy(lab, front, back)
    qemu = start_qemu(lab, guest, f"path={front}", FILE_SYSTEM)
    assert read_share(qemu) == "words in a file\n"
    proxy.stop()

    assert captured(proxy.capture) == qemu.messages()
    shows = "A guest reads a file that virtiofsd (C) shares (vhost-user-fs)"
    keep(proxy.capture, "qemu-7.2-virtiofsd", shows, ["qemu-system-x86", "qemu-system-common"])
