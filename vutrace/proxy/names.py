"""Under which numbers two processes know a descriptor: a look into /proc/PID/fd, in small steps.

Needs the permission to look (the same user, as a rule); without it there are no numbers.
"""

import os
from collections.abc import Iterator

from vutrace.proxy.inspect import eventfd_id, read_fdinfo
from vutrace.records import FdInfo, FdKind

Key = tuple[int, int]
"""What identifies a descriptor on this machine: device and inode, or (-1, eventfd-id)."""

STEP = 8  # descriptors looked at between two chances to forward
MOST = 1000  # descriptors of one process that are looked at; more would take too long
_EVENTFD = "anon_inode:[eventfd]"
_ANONYMOUS = "anon_inode:"


def key_of(info: FdInfo) -> Key | None:
    """What to look for; None for what has no identity of its own (all anonymous inodes are the same)."""
    if info.kind is FdKind.EVENTFD:
        return None if info.eventfd_id is None else (-1, info.eventfd_id)
    if info.kind is FdKind.USERFAULTFD or not info.inode:
        return None
    return info.device, info.inode


def search(pid: int, wanted: set[Key], found: dict[Key, int]) -> Iterator[None]:
    """Fill `found` with the numbers that process `pid` has for `wanted`; yields between steps."""
    left = set(wanted)
    for count, name in enumerate(_numbers(pid), 1):
        key = _look(pid, name)
        if key in left:
            found[key] = int(name)
            left.remove(key)
            if not left:
                return
        if count % STEP == 0:
            yield


def _numbers(pid: int) -> list[str]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return []
    # The latest come first: what was just made or received is looked for.
    return sorted(names, key=int, reverse=True)[:MOST]


def _look(pid: int, name: str) -> Key:
    path = f"/proc/{pid}/fd/{name}"
    try:
        link = os.readlink(path)
        if link == _EVENTFD:
            return -1, eventfd_id(read_fdinfo(f"/proc/{pid}/fdinfo/{name}"))
        if link.startswith(_ANONYMOUS):
            return -1, -1
        status = os.stat(path)
    except (OSError, ValueError):
        return -1, -1
    return status.st_dev, status.st_ino
