"""The guest's first file system: busybox, ethtool, the virtio modules, and a shell on the serial console."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab import kernel

DRIVERS = ("virtio_pci", "virtio_net", "virtio_blk", "virtiofs")

# A shell that reads the console as its script: no prompt and no echo, so answers are easily found.
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /sys /mnt
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
for module in {modules}; do insmod /modules/$module.ko; done
stty -echo
echo "guest is ready"
while read -r command; do eval "$command"; done
poweroff -f
"""


@dataclass(frozen=True)
class Guest:
    """What QEMU boots."""

    kernel: Path
    initrd: Path


def build(directory: Path, drivers: Iterable[str] = DRIVERS) -> Guest:
    """Make the guest in `directory` out of this machine's busybox and ethtool and the cached kernel."""
    tree = kernel.find() or kernel.download()
    root = directory / "root"
    populate(root, tree, drivers)
    names = "\n".join(str(path.relative_to(root)) for path in root.rglob("*"))
    initrd = directory / "initrd"
    with initrd.open("wb") as archive:
        pack = ["cpio", "--quiet", "-o", "-H", "newc"]
        subprocess.run(pack, cwd=root, input=names.encode(), stdout=archive, check=True)
    # a copy, so that the path on QEMU's command line (which captures hold) tells nothing of this machine
    return Guest(Path(shutil.copy(kernel.image(tree), directory / "vmlinuz")), initrd)


def populate(root: Path, tree: Path, drivers: Iterable[str]) -> None:
    """Lay out the files of the guest."""
    for name in ("bin", "modules", "dev"):
        (root / name).mkdir(parents=True)
    shutil.copy(found("busybox"), root / "bin" / "busybox")
    shutil.copy(found("ethtool"), root / "bin" / "ethtool")
    for library in libraries(found("ethtool")):
        (root / library).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f"/{library}", root / library)
    modules = kernel.modules(tree, drivers)
    for module in modules:
        shutil.copy(module, root / "modules")
    (root / "init").write_text(INIT.format(modules=" ".join(module.stem for module in modules)))
    (root / "init").chmod(0o755)


def found(program: str) -> str:
    """Where a program is; daemons' directories are not in everybody's PATH."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert path, f"{program} is not installed"
    return path


def libraries(program: str) -> list[str]:
    """The shared libraries of a program, loader included, without the leading slash."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"/(\S+) \(0x", listing)
