"""Under which numbers two processes know a descriptor: a look into /proc/PID/fd, in small steps.

Needs the permission to look (the same user, as a rule); without it there are no numbers.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace

from vutrace.proxy.pending import Item, Single
from vutrace.records import FdInfo, FdKind
from vutrace.sockets.inspect import eventfd_id, read_fdinfo

Key = tuple[int, int]
"""What identifies a descriptor on this machine: device and inode, or (-1, eventfd-id)."""

STEP = 8  # descriptors looked at between two chances to forward
MANY = 64  # descriptors at once from which on nobody looks for their numbers
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


def find_names(items: Iterable[Item]) -> Iterator[None]:
    """Put into the descriptors' descriptions what both processes call them; yields between steps."""
    singles = [item for item in items if isinstance(item, Single) and item.fds]
    if not 0 < sum(len(item.fds) for item in singles) <= MANY:
        return
    wanted: dict[int, set[Key]] = {}
    for item in singles:
        for key in filter(None, (key_of(passed.inspect()) for passed in item.fds)):
            wanted.setdefault(item.origin.frontend_pid, set()).add(key)
            wanted.setdefault(item.origin.backend_pid, set()).add(key)
        yield
    found: dict[int, dict[Key, int]] = {}
    for pid in filter(None, wanted):
        yield from search(pid, wanted[pid], found.setdefault(pid, {}))
    for item in singles:
        _name(item, found)


def _name(item: Single, found: dict[int, dict[Key, int]]) -> None:
    frontend, backend = found.get(item.origin.frontend_pid, {}), found.get(item.origin.backend_pid, {})
    for passed in item.fds:
        info = passed.inspect()
        if key := key_of(info):
            passed.info = replace(info, frontend_fd=frontend.get(key), backend_fd=backend.get(key))


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
