"""The guest's Linux: Debian's cloud kernel, unpacked into the cache. Standard library only."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from lab.packages import cache, unpack

META_PACKAGE = "linux-image-cloud-amd64"


def find() -> Path | None:
    """The unpacked kernel package, if there is one (the newest)."""
    trees = sorted(cache().glob("linux-image-*"), key=lambda tree: tree.stat().st_mtime)
    return trees[-1] if trees else None


def download() -> Path:
    """Fetch the kernel that the cloud kernel's meta package stands for today."""
    command = ["apt-cache", "depends", META_PACKAGE]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Depends: (linux-image-\S+)", answer.stdout)
    if found is None:
        raise LookupError(f"apt knows no {META_PACKAGE}: run apt-get update")
    return unpack(found[1], [found[1]])


def image(tree: Path) -> Path:
    """The bootable kernel."""
    return next(tree.glob("boot/vmlinuz-*"))


def modules(tree: Path, names: Iterable[str]) -> list[Path]:
    """The files of kernel modules and of those that they need, in the order to load them.

    The needs are in the files themselves; they change between the kernel's patch releases.
    """
    order: list[Path] = []
    for name in names:
        file = next(tree.glob(f"lib/modules/*/kernel/**/{name}.ko"))
        needs = re.search(rb"\0depends=([^\0]*)\0", file.read_bytes())
        wanted = needs[1].decode().split(",") if needs and needs[1] else []
        order += [module for module in [*modules(tree, wanted), file] if module not in order]
    return order
