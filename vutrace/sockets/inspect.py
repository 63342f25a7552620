"""What a passed descriptor is: `FdInfo` from fstat, /proc/self/fd, fdinfo and fcntl."""

import fcntl
import os
import re
import stat

from vutrace.records import FdInfo, FdKind

F_GET_SEALS = 1034
HUGETLBFS_MAGIC = 0x958458F6
ACCESS = {os.O_RDONLY: "r", os.O_WRONLY: "w", os.O_RDWR: "rw"}
DELETED = " (deleted)"
# How /proc/self/fd shows what has no path, and what it is.
PREFIXES = (
    ("anon_inode:[userfaultfd]", FdKind.USERFAULTFD),
    ("/dmabuf:", FdKind.DMABUF),
    ("anon_inode:dmabuf", FdKind.DMABUF),
    ("/memfd:", FdKind.MEMFD),
)
# A larger block than any ordinary file system's: worth the slower question whether it is hugetlbfs.
HUGE_BLOCK = 64 * 1024


def describe(fd: int) -> FdInfo:
    """What `fd` of this process refers to; kind OTHER where the system does not tell."""
    try:
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) == ANONYMOUS and (event := eventfd(fd, status)):
            return event
        return describe_link(fd, status, os.readlink(f"/proc/self/fd/{fd}"))
    except OSError:
        return FdInfo(FdKind.OTHER)


def describe_link(fd: int, status: os.stat_result, link: str) -> FdInfo:
    kind = kind_of(fd, status, link)
    return FdInfo(
        kind=kind,
        device=status.st_dev,
        inode=status.st_ino,
        size=status.st_size if kind in SIZED else None,
        seals=seals(fd) if kind is FdKind.MEMFD else None,
        name=name_of(kind, link),
        access=ACCESS.get(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE, ""),
    )


def eventfd(fd: int, status: os.stat_result) -> FdInfo | None:
    # By far the most frequent, so it is worth the short way: its fdinfo tells all.
    match = EVENTFD.search(read_fdinfo(f"/proc/self/fdinfo/{fd}"))
    if match is None:
        return None
    flags, count, number = match.groups()
    return FdInfo(
        kind=FdKind.EVENTFD,
        device=status.st_dev,
        inode=status.st_ino,
        eventfd_id=int(number),
        eventfd_count=int(count, 16),
        access=ACCESS.get(int(flags, 8) & os.O_ACCMODE, ""),
    )


def anonymous() -> tuple[int, int]:
    """The one inode that eventfds share (with others that have no file system)."""
    fd = os.eventfd(0, os.EFD_CLOEXEC)
    try:
        status = os.fstat(fd)
    finally:
        os.close(fd)
    return status.st_dev, status.st_ino


ANONYMOUS = anonymous()
EVENTFD = re.compile(rb"flags:\s*(\d+).*?eventfd-count:\s*([0-9a-f]+)\s*eventfd-id:\s*(\d+)", re.DOTALL)
SIZED = {FdKind.MEMFD, FdKind.FILE, FdKind.HUGETLBFS, FdKind.DMABUF}


def kind_of(fd: int, status: os.stat_result, link: str) -> FdKind:
    for prefix, kind in PREFIXES:
        if link.startswith(prefix):
            return kind
    if stat.S_ISSOCK(status.st_mode):
        return FdKind.SOCKET
    if stat.S_ISFIFO(status.st_mode):
        return FdKind.PIPE
    if not stat.S_ISREG(status.st_mode):
        return FdKind.OTHER
    return FdKind.HUGETLBFS if status.st_blksize >= HUGE_BLOCK and is_hugetlbfs(fd) else FdKind.FILE


def is_hugetlbfs(fd: int) -> bool:
    # os.fstatvfs does not tell the type; ctypes is slow to import, hence here.
    import ctypes

    buffer = ctypes.create_string_buffer(256)
    ctypes.CDLL(None).fstatfs(fd, buffer)
    return ctypes.c_long.from_buffer(buffer).value == HUGETLBFS_MAGIC


def seals(fd: int) -> int | None:
    try:
        return fcntl.fcntl(fd, F_GET_SEALS)
    except OSError:
        return None


def name_of(kind: FdKind, link: str) -> str:
    name = link.removesuffix(DELETED)
    for prefix, named in PREFIXES:
        if kind is named and name.startswith(prefix):
            return name[len(prefix) :].lstrip(":")
    return name if kind in SIZED or kind is FdKind.OTHER else ""


def eventfd_id(fdinfo: bytes) -> int:
    """The eventfd-id in an fdinfo; -1 where there is none."""
    match = EVENTFD.search(fdinfo)
    return int(match[3]) if match else -1


def read_fdinfo(path: str) -> bytes:
    """An fdinfo file; empty where it cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(file, 4096)
    except OSError:
        return b""
    finally:
        os.close(file)
