"""What Debian 12 does not have yet, out of Debian 13 and later, unpacked. Standard library only.

virtiofsd and vhost-device-vsock are built on rust-vmm; passt and libblkio each speak the protocol by
themselves. They run on the C library that comes with them.
"""

from pathlib import Path

from lab.packages import cache, other_suites, unpack
from lab.process import Lab, Program

TREE = "debian-13"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
ADDRESS = "192.0.2.15"
PACKAGES = [
    "vhost-device-vsock",
    *(f"{name}/trixie" for name in ("virtiofsd", "passt", "libblkio1")),
    *(f"{name}/trixie" for name in ("libc6", "libcap-ng0", "libseccomp2", "libgcc-s1")),
]


def find() -> Path | None:
    """Its files, if they were fetched."""
    tree = cache() / TREE
    return tree if tree.exists() else None


def download() -> Path:
    """Fetch it."""
    return unpack(TREE, PACKAGES, other_suites(TREE, "trixie", "sid"))


def tree_of(lab: Lab) -> Path:
    """Its files by a path that tells nothing of this machine."""
    link = lab.path(TREE)
    if not link.is_symlink():
        link.symlink_to(find() or "")
    return link


def start(lab: Lab, socket: Path, program: str, *arguments: str | Path) -> Program:
    """Start one of its programs with its own C library; returns when it listens on `socket`."""
    tree = tree_of(lab)
    libraries = tree / LIBRARIES
    loader = (libraries / "ld-linux-x86-64.so.2", "--library-path", libraries)
    started = lab.start(Path(program).name, *loader, tree / program, *arguments)
    started.wait_until(socket.exists, 30, f"listens on {socket}")
    return started


def start_virtiofsd(lab: Lab, path: Path, directory: Path) -> Program:
    """Share `directory`; without a sandbox, which would want more rights than a container has."""
    options = ("--socket-path", path, "--shared-dir", directory, "--sandbox", "none")
    return start(lab, path, "usr/libexec/virtiofsd", *options)


def start_vsock(lab: Lab, path: Path, host: Path) -> Program:
    """A vsock for the guest with CID 3, whose host side is the Unix socket `host`."""
    options = ("--guest-cid", "3", "--socket", path, "--uds-path", host)
    return start(lab, path, "usr/bin/vhost-device-vsock", *options)


def start_passt(lab: Lab, path: Path) -> Program:
    """A network for the guest, made of the host's sockets."""
    addresses = ("--ipv4-only", "--address", ADDRESS, "--netmask", "24", "--gateway", "192.0.2.1")
    return start(lab, path, "usr/bin/passt", "--foreground", "--vhost-user", "--socket", path, *addresses)
