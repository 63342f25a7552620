"""The guest's Linux: Debian's cloud kernel, unpacked into a cache, never installed on this machine.

Standard library only: the installer runs it before there is an environment.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

META_PACKAGE = "linux-image-cloud-amd64"


def cache() -> Path:
    """Where the lab keeps what it downloads."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vutrace-lab"


def find() -> Path | None:
    """The unpacked kernel package, if there is one (the newest)."""
    trees = sorted(cache().glob("linux-image-*"), key=lambda tree: tree.stat().st_mtime)
    return trees[-1] if trees else None


def download() -> Path:
    """Download and unpack the kernel package; needs apt's lists, but not root."""
    name = package()
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as scratch:
        # apt's own user may not write here: without the option it warns that it works as root
        fetch = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", name]
        subprocess.run(fetch, cwd=scratch, check=True)
        (archive,) = Path(scratch).glob("*.deb")
        tree = Path(scratch) / "tree"
        subprocess.run(["dpkg", "-x", archive, tree], check=True)
        # a rename, so that a broken download is never taken for a kernel
        return tree.rename(cache() / name)


def package() -> str:
    """The package that the cloud kernel's meta package stands for today."""
    output = subprocess.run(
        ["apt-cache", "depends", META_PACKAGE], capture_output=True, text=True, check=True
    )
    found = re.search(r"Depends: (linux-image-\S+)", output.stdout)
    if found is None:
        raise LookupError(f"apt knows no {META_PACKAGE}: run apt-get update")
    return found[1]


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
