"""QEMU 10 out of Debian 12's backports, beside the installed 7.2. Standard library only."""

import subprocess
from pathlib import Path

from lab.packages import cache, unpack

TREE = "qemu-10"
PACKAGES = ["qemu-system-x86=1:10*", "qemu-system-common=1:10*", "qemu-system-data=1:10*"]


def find() -> Path | None:
    """Its files, if they were fetched."""
    tree = cache() / TREE
    return tree if tree.exists() else None


def download() -> Path:
    """Fetch it, with package lists of its own: the system's apt is not told of backports."""
    (cache() / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    source = cache() / "backports.list"
    source.write_text(f"deb {mirror()} bookworm-backports main\n")
    options = (
        "-oAPT::Sandbox::User=root",
        f"-oDir::Etc::SourceList={source}",
        "-oDir::Etc::SourceParts=/dev/null",
        f"-oDir::State::Lists={cache() / 'lists'}",
    )
    subprocess.run(["apt-get", "update", "-qq", *options], check=True)
    return unpack(TREE, PACKAGES, options)


def version(tree: Path) -> str:
    """What it says that it is."""
    ask = [*command(tree), "--version"]
    return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def mirror() -> str:
    """Where this machine gets Debian 12 from."""
    query = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Codename: bookworm"]
    answer = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
    if not answer:
        raise LookupError("this is not Debian 12, or apt has no lists yet")
    return answer[0]


def command(tree: Path) -> tuple[str, ...]:
    """How to call it: the firmware is its own and that of the installed packages."""
    firmware = ("-L", f"{tree}/usr/share/qemu", "-L", "/usr/share/seabios", "-L", "/usr/lib/ipxe/qemu")
    return (f"{tree}/usr/bin/qemu-system-x86_64", *firmware)
