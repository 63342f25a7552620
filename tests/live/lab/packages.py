"""Debian packages unpacked into a cache: used without being installed. Standard library only."""

import os
import subprocess
import tempfile
from pathlib import Path


def cache() -> Path:
    """Where the lab keeps what it downloads."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vutrace-lab"


def unpack(tree: str, packages: list[str], options: tuple[str, ...] = ()) -> Path:
    """Download and unpack `packages` together as `tree` in the cache; needs apt's lists, but not root."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as scratch:
        # apt's own user may not write here: without the sandbox option it warns that it works as root
        command = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *options, *packages]
        subprocess.run(command, cwd=scratch, check=True)
        for archive in Path(scratch).glob("*.deb"):
            subprocess.run(["dpkg", "-x", archive, Path(scratch) / "tree"], check=True)
        # a rename at the end, so that a broken download is never taken for a whole one
        return (Path(scratch) / "tree").rename(cache() / tree)
