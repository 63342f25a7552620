"""Back-ends of a disk and of a file system: qemu-storage-daemon and virtiofsd (QEMU's, in C)."""

from pathlib import Path

from lab.process import Lab, Program
from lab.qemu import Qemu

VIRTIOFSD = "/usr/lib/qemu/virtiofsd"


def start_storage_daemon(lab: Lab, path: Path, image: Path) -> Program:
    """Export the raw disk `image` as vhost-user-blk; returns when it listens."""
    program = lab.start(
        "qsd", "qemu-storage-daemon",
        "--blockdev", f"file,node-name=d0,filename={image}",
        "--export", f"vhost-user-blk,id=e0,node-name=d0,addr.type=unix,addr.path={path},writable=on",
    )  # fmt: skip
    program.wait_until(path.exists, 30, f"listens on {path}")
    return program


def start_virtiofsd(lab: Lab, path: Path, directory: Path) -> Program:
    """Share `directory`; returns when it listens."""
    # the chroot sandbox also works inside a container; the default one wants to mount
    options = f"source={directory},sandbox=chroot"
    program = lab.start("virtiofsd", VIRTIOFSD, f"--socket-path={path}", "-o", options)
    program.wait_until(path.exists, 30, f"listens on {path}")
    return program


def make_share(lab: Lab, text: str) -> Path:
    """A directory to share, with a file in it."""
    share = lab.path("share")
    share.mkdir()
    (share / "file").write_text(text)
    return share


def read_share(qemu: Qemu) -> str:
    """What a guest with a shared directory finds in its file; the guest is powered off."""
    qemu.wait_boot()
    qemu.run("mount -t virtiofs lab /mnt")
    text = qemu.run("cat /mnt/file")
    qemu.power_off()
    return text
