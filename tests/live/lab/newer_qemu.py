"""QEMU 10 out of Debian 12's backports, beside the installed 7.2. Standard library only."""

import subprocess
from pathlib import Path

from lab.packages import cache, other_suites, unpack

TREE = "qemu-10"
PACKAGES = ["qemu-system-x86=1:10*", "qemu-utils=1:10*", "qemu-system-common=1:10*", "qemu-system-data=1:10*"]


def find() -> Path | None:
    """Its files, if they were fetched."""
    tree = cache() / TREE
    return tree if tree.exists() else None


def download() -> Path:
    """Fetch it."""
    return unpack(TREE, PACKAGES, other_suites("backports", "bookworm-backports"))


def version(tree: Path) -> str:
    """What it says that it is."""
    ask = [*command(tree), "--version"]
    return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def command(tree: Path) -> tuple[str, ...]:
    """How to call it: the firmware is its own and that of the installed packages."""
    firmware = ("-L", f"{tree}/usr/share/qemu", "-L", "/usr/share/seabios", "-L", "/usr/lib/ipxe/qemu")
    return (f"{tree}/usr/bin/qemu-system-x86_64", *firmware)
