"""What a live test needs; without it the test is skipped and says why."""

import os
import shutil
from pathlib import Path

import pytest

from lab.ovs import SWITCH
from lab.storage import VIRTIOFSD

# whatever a test boots needs these: the emulator, and what the guest's initrd is made of
GUEST = ("qemu-system-x86_64", "busybox", "ethtool", "cpio", "dpkg")
TESTPMD = ("dpdk-testpmd",)
OVS = (SWITCH, "ovsdb-server", "ovsdb-tool", "ovs-vsctl")
STORAGE = ("qemu-storage-daemon",)
VIRTIOFS = (VIRTIOFSD,)


def needs(*programs: str, cpus: int = 1, root: bool = False) -> pytest.MarkDecorator:
    """Skip without these programs, processors or rights."""
    lacks = ", ".join(lacking(*programs, cpus=cpus, root=root))
    hint = " (make test, as root on Debian, installs)" if "installed" in lacks else ""
    return pytest.mark.skipif(bool(lacks), reason=f"{lacks}{hint}")


def fetched(tree: Path | None, what: str) -> pytest.MarkDecorator:
    """Skip without the files of `what`, which the cache has or not."""
    return pytest.mark.skipif(
        tree is None, reason=f"{what} is not in the cache (make test, on Debian, fetches it)"
    )


def lacking(*programs: str, cpus: int = 1, root: bool = False) -> list[str]:
    """What is not there of these, in words."""
    lacks = [f"{program} is not installed" for program in programs if not installed(program)]
    if len(os.sched_getaffinity(0)) < cpus:
        lacks.append(f"fewer than {cpus} processors")
    if root and os.geteuid() != 0:
        lacks.append("not root")
    return lacks


def installed(program: str) -> bool:
    """Whether a program (a name or a path) is there."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return Path(program).exists() if program.startswith("/") else shutil.which(program, path=path) is not None
