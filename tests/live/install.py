"""Install what the tests need on Debian: `python3 tests/live/install.py GROUP…`.

Runs before there is an environment, so with the standard library of the system's Python only. Packages are
installed by root on Debian; what goes into the cache needs no root. What is left out is said, and the live
tests then skip with the reason.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lab import debian_13, gpu, kernel, newer_qemu, sid

# Per group, each package with what tells that it is there: a program, a file, or `import:` a module.
GROUPS: dict[str, dict[str, str]] = {
    "environment": {"python3-venv": "import:ensurepip"},
    "live": {
        "qemu-system-x86": "qemu-system-x86_64",
        "qemu-system-common": "qemu-storage-daemon",
        "dpdk-dev": "dpdk-testpmd",
        "openvswitch-switch-dpdk": "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk",
        "tshark": "tshark",
        "busybox-static": "busybox",
        "ethtool": "ethtool",
        "cpio": "cpio",
        "strace": "strace",
        "chromium": "chromium",
        "gcc": "cc",
        "libc6-dev": "/usr/include/stdio.h",
        "rustc": "rustc",
        "zsh": "zsh",
        "fish": "fish",
    },
}


def present(sign: str) -> bool:
    """Whether the thing that `sign` names is on this machine."""
    if sign.startswith("import:"):
        return importlib.util.find_spec(sign.removeprefix("import:")) is not None
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return Path(sign).exists() if sign.startswith("/") else shutil.which(sign, path=path) is not None


def apt_get(*arguments: str) -> None:
    """Run apt-get, which must neither ask nor fail unnoticed."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{' '.join(command)} failed ({done.returncode})")


def downloads() -> dict[str, Callable[[], object]]:
    """What is not in the cache yet, and how to fetch it."""
    wanted: dict[str, Callable[[], object]] = {}
    if kernel.find() is None:
        wanted["a guest kernel"] = kernel.download
    if newer_qemu.find() is None:
        wanted["QEMU 10"] = partial(optional, newer_qemu.download, "QEMU 10")
    if debian_13.find() is None:
        wanted["Debian 13's back-ends"] = partial(optional, debian_13.download, "Debian 13's back-ends")
    if sid.find() is None:
        wanted["Debian sid's QEMU and DPDK"] = partial(optional, sid.download, "Debian sid's QEMU and DPDK")
    if gpu.find() is None:
        wanted["vhost-user-gpu"] = gpu.download
    return wanted


def optional(download: Callable[[], object], what: str) -> None:
    """What may be missing: its tests then skip. Other suites do not live as long as Debian 12."""
    try:
        download()
    except (subprocess.CalledProcessError, LookupError, OSError) as error:
        print(f"Not fetched: {what}: {error}", file=sys.stderr)


def main(groups: list[str]) -> None:
    """Install what is missing out of `groups`, and fetch what goes into the cache."""
    missing = [name for group in groups for name, sign in GROUPS[group].items() if not present(sign)]
    fetch = downloads() if "live" in groups else {}
    debian, root = Path("/etc/debian_version").exists(), os.geteuid() == 0
    if missing and not (debian and root):
        print(f"Not installed, for want of root on Debian: {', '.join(missing)}", file=sys.stderr)
    elif missing or (fetch and root):
        install(missing)
    if fetch and not debian:
        print(f"Not fetched, as this is not Debian: {', '.join(fetch)}", file=sys.stderr)
        return
    for what, download in fetch.items():
        print(f"Fetching {what}", flush=True)
        if root:
            download()
        else:
            optional(download, what)


def install(packages: list[str]) -> None:
    """Install packages, and know what there is today."""
    apt_get("update")
    if packages:
        print(f"Installing {', '.join(packages)}", flush=True)
        apt_get("install", "--no-install-recommends", *packages)


if __name__ == "__main__":
    main(sys.argv[1:])
