"""Descriptors of other processes: found by what they are, and taken with pidfd_getfd (Linux 5.6)."""

import contextlib
import ctypes
import os
from collections.abc import Iterable, Iterator

from vutrace.errors import PEER, VutraceError
from vutrace.records import FdInfo, FdKind
from vutrace.sockets.inspect import ANONYMOUS, eventfd_id, read_fdinfo

PIDFD_GETFD = 438  # the same number on every architecture
Identity = tuple[int, int, int | None]
"""Device, inode, and of an eventfd its id."""


class ForeignError(VutraceError):
    """A process whose descriptors cannot be taken; the text says why."""

    status = PEER


def identity(info: FdInfo) -> Identity:
    """What makes a descriptor the same in another process."""
    return info.device, info.inode, info.eventfd_id


class Foreign:
    """The descriptors of some processes. ForeignError where none of them lets us see its own."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._places: dict[Identity, tuple[int, int]] = {}
        refused = [pid for pid in pids if not self._search(pid)]
        if refused and not self._places:
            names = " and ".join(map(str, refused))
            raise ForeignError(
                f"the descriptors of process {names} cannot be seen: it is gone, or root is needed"
            )

    def _search(self, pid: int) -> bool:
        place = f"/proc/{pid}/fd"
        try:
            names = os.listdir(place)
        except OSError:
            return False
        for name in names:
            with contextlib.suppress(OSError):
                status = os.stat(f"{place}/{name}")
                key = status.st_dev, status.st_ino
                number = eventfd_id(read_fdinfo(f"/proc/{pid}/fdinfo/{name}")) if key == ANONYMOUS else None
                self._places.setdefault((*key, number), (pid, int(name)))
        return True

    def take(self, info: FdInfo) -> int | None:
        """A descriptor of ours for the same thing; None where nobody has it any more, or lets us have it."""
        found = self._places.get(identity(info))
        if found is None or info.kind in (FdKind.SOCKET, FdKind.OTHER):
            return None
        with contextlib.suppress(OSError):
            return getfd(*found)
        return None


def getfd(pid: int, number: int) -> int:
    """A copy of a process's descriptor. Raises OSError."""
    process = os.pidfd_open(pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        fd: int = libc.syscall(PIDFD_GETFD, process, number, 0)
    finally:
        os.close(process)
    if fd < 0:
        raise OSError(ctypes.get_errno(), f"descriptor {number} of process {pid} cannot be taken")
    return fd


def proxies() -> Iterator[tuple[int, str]]:
    """The running proxies, each with the capture that it writes, as a path; it may have no name."""
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if b"\0proxy\0" in read_command(name) and (path := capture_of(name)):
                yield int(name), path


def read_command(pid: str) -> bytes:
    """A process's command line."""
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read(4096)


def capture_of(pid: str) -> str:
    """The capture that a process writes; "" where there is none."""
    for name in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        with contextlib.suppress(OSError):
            if os.path.isfile(path) and os.path.getsize(path):
                with open(path, "rb") as file:
                    if b"vutrace " in file.read(256):
                        return path
    return ""
