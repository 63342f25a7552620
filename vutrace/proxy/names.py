"""Under which numbers two processes know a descriptor: a look into /proc/PID/fd.

Needs the permission to look (the same user, as a rule); without it there are no numbers.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import replace

from vutrace.proxy.aside import Job
from vutrace.proxy.looks import Seen
from vutrace.records import FdInfo, FdKind
from vutrace.sockets.inspect import eventfd_id, read_fdinfo

Key = tuple[int, int]
"""What identifies a descriptor on this machine: device and inode, or (-1, eventfd-id)."""

MANY = 64  # descriptors at once from which on nobody looks for their numbers
MOST = 1000  # descriptors of one process that are looked at; more would take too long
REST = 20  # times as long as a look took, nobody looks again
EVENTFD = "anon_inode:[eventfd]"
ANONYMOUS = "anon_inode:"
PREFIXES = {FdKind.MEMFD: "/memfd:", FdKind.DMABUF: "/dmabuf:"}
DELETED = " (deleted)"


def key_of(info: FdInfo) -> Key | None:
    """What to look for; None for what has no identity of its own (all anonymous inodes are the same)."""
    if info.kind is FdKind.EVENTFD:
        return None if info.eventfd_id is None else (-1, info.eventfd_id)
    if info.kind is FdKind.USERFAULTFD or not info.inode:
        return None
    return info.device, info.inode


class FdNumbers(Job[int, dict[Key, int]]):
    """Looks for descriptors that were described in their processes; `put` then writes down the numbers.

    `rests`: until when (monotonic clock) processes are left alone, because there was much to look at.
    """

    def __init__(self, seen: Sequence[Seen], rests: dict[int, float]) -> None:
        self._seen = [each for each in seen if each.fds]
        self._rests = rests
        self._wanted = self._by_process()
        self._found: dict[int, dict[Key, int]] = {}
        super().__init__([pid for pid in self._wanted if pid and rests.get(pid, 0) < time.monotonic()])

    def _by_process(self) -> dict[int, dict[Key, str]]:
        wanted: dict[int, dict[Key, str]] = {}
        if sum(len(each.fds) for each in self._seen) > MANY:
            return wanted
        for each in self._seen:
            for info in each.infos:
                if key := key_of(info):
                    wanted.setdefault(each.origin.frontend_pid, {})[key] = text(info)
                    wanted.setdefault(each.origin.backend_pid, {})[key] = text(info)
        return wanted

    def do(self, step: int) -> dict[Key, int]:
        """See `Job`."""
        began = time.monotonic()
        found = search(step, self._wanted[step])
        ended = time.monotonic()
        self._rests[step] = ended + REST * (ended - began) if ended - began > 0.002 else 0
        return found

    def keep(self, step: int, result: dict[Key, int]) -> None:
        """See `Job`."""
        self._found[step] = result

    def missed(self, step: int) -> None:
        """See `Job`."""
        self._rests[step] = time.monotonic() + 10 * REST

    def put(self) -> None:
        """Write the numbers into the descriptions."""
        for each in self._seen:
            frontend = self._found.get(each.origin.frontend_pid, {})
            backend = self._found.get(each.origin.backend_pid, {})
            each.infos[:] = [named(info, frontend, backend) for info in each.infos]


def named(info: FdInfo, frontend: dict[Key, int], backend: dict[Key, int]) -> FdInfo:
    key = key_of(info)
    if key not in frontend and key not in backend:
        return info
    return replace(info, frontend_fd=frontend.get(key), backend_fd=backend.get(key))


def text(info: FdInfo) -> str:
    """What a link in /proc/PID/fd to it says, or begins with."""
    if info.kind is FdKind.EVENTFD:
        return EVENTFD
    if info.kind is FdKind.SOCKET:
        return f"socket:[{info.inode}]"
    if info.kind is FdKind.PIPE:
        return f"pipe:[{info.inode}]"
    return PREFIXES.get(info.kind, "") + info.name


def search(pid: int, wanted: dict[Key, str]) -> dict[Key, int]:
    """The numbers that process `pid` has for `wanted`."""
    found: dict[Key, int] = {}
    texts = frozenset(wanted.values())
    for name in numbers(pid):
        key = look(pid, name, texts)
        if key in wanted and key not in found:
            found[key] = int(name)
            if len(found) == len(wanted):
                break
    return found


def numbers(pid: int) -> list[str]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return []
    # The latest come first: what was just made or received is looked for.
    return sorted(names, key=int, reverse=True)[:MOST]


def look(pid: int, name: str, texts: frozenset[str]) -> Key:
    path = f"/proc/{pid}/fd/{name}"
    try:
        link = os.readlink(path)
        if link.removesuffix(DELETED) not in texts:
            return -1, -1
        if link == EVENTFD:
            return -1, eventfd_id(read_fdinfo(f"/proc/{pid}/fdinfo/{name}"))
        # Only what says the same is asked what it is: other files of the process may hang.
        status = os.stat(path)
    except (OSError, ValueError):
        return -1, -1
    return status.st_dev, status.st_ino
