"""What a passed descriptor is: `FdInfo` from fstat, /proc/self/fd, fdinfo and fcntl. Costs about 15 µs."""

import fcntl
import os
import stat

from vutrace.records import FdInfo, FdKind

F_GET_SEALS = 1034
HUGETLBFS_MAGIC = 0x958458F6
_ACCESS = {os.O_RDONLY: "r", os.O_WRONLY: "w", os.O_RDWR: "rw"}
_DELETED = " (deleted)"
# How /proc/self/fd shows what has no path, and what it is.
_PREFIXES = (
    ("anon_inode:[eventfd]", FdKind.EVENTFD),
    ("anon_inode:[userfaultfd]", FdKind.USERFAULTFD),
    ("/dmabuf:", FdKind.DMABUF),
    ("anon_inode:dmabuf", FdKind.DMABUF),
    ("/memfd:", FdKind.MEMFD),
)
# A larger block than any ordinary file system's: worth the slower question whether it is hugetlbfs.
_HUGE_BLOCK = 64 * 1024


def describe(fd: int) -> FdInfo:
    """What `fd` of this process refers to; kind OTHER where the system does not tell."""
    try:
        status = os.fstat(fd)
        link = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return FdInfo(FdKind.OTHER)
    kind = _kind(fd, status, link)
    event = _fdinfo(fd) if kind is FdKind.EVENTFD else {}
    return FdInfo(
        kind=kind,
        device=status.st_dev,
        inode=status.st_ino,
        size=status.st_size if kind in _SIZED else None,
        seals=_seals(fd) if kind is FdKind.MEMFD else None,
        name=_name(kind, link),
        eventfd_id=_number(event.get("eventfd-id"), 10),
        eventfd_count=_number(event.get("eventfd-count"), 16),
        access=_ACCESS.get(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE, ""),
    )


_SIZED = {FdKind.MEMFD, FdKind.FILE, FdKind.HUGETLBFS, FdKind.DMABUF}


def _kind(fd: int, status: os.stat_result, link: str) -> FdKind:
    for prefix, kind in _PREFIXES:
        if link.startswith(prefix):
            return kind
    if stat.S_ISSOCK(status.st_mode):
        return FdKind.SOCKET
    if stat.S_ISFIFO(status.st_mode):
        return FdKind.PIPE
    if not stat.S_ISREG(status.st_mode):
        return FdKind.OTHER
    return FdKind.HUGETLBFS if status.st_blksize >= _HUGE_BLOCK and _is_hugetlbfs(fd) else FdKind.FILE


def _is_hugetlbfs(fd: int) -> bool:
    # os.fstatvfs does not tell the type; ctypes is slow to import, hence here.
    import ctypes

    buffer = ctypes.create_string_buffer(256)
    ctypes.CDLL(None).fstatfs(fd, buffer)
    return ctypes.c_long.from_buffer(buffer).value == HUGETLBFS_MAGIC


def _seals(fd: int) -> int | None:
    try:
        return fcntl.fcntl(fd, F_GET_SEALS)
    except OSError:
        return None


def _name(kind: FdKind, link: str) -> str:
    name = link.removesuffix(_DELETED)
    for prefix, named in _PREFIXES:
        if kind is named and name.startswith(prefix):
            return name[len(prefix) :].lstrip(":")
    return name if kind in _SIZED or kind is FdKind.OTHER else ""


def _fdinfo(fd: int) -> dict[str, str]:
    return fdinfo(f"/proc/self/fdinfo/{fd}")


def fdinfo(path: str) -> dict[str, str]:
    """The fields of an fdinfo file; empty where it cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        text = os.read(file, 4096).decode(errors="replace")
    except OSError:
        return {}
    finally:
        os.close(file)
    fields = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in fields}


def _number(text: str | None, base: int) -> int | None:
    try:
        return int(text, base) if text else None
    except ValueError:
        return None
