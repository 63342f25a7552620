"""Under which numbers two processes know a descriptor: a look into /proc/PID/fd.

Needs the permission to look (the same user, as a rule); without it there are no numbers. What comes again is
looked for where it was. Where looks are in vain, as with a back-end that closes at once what it gets, there
are ever fewer of them.
"""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vutrace.proxy.aside import Job
from vutrace.proxy.looks import Seen
from vutrace.quick import quick_replace
from vutrace.records import FdInfo, FdKind
from vutrace.sockets.inspect import eventfd_id, read_fdinfo

Key = tuple[int, int]
"""What identifies a descriptor on this machine: device and inode, or (-1, eventfd-id)."""

MANY = 64  # descriptors at once from which on nobody looks for their numbers
MOST = 1000  # descriptors of one process that are looked at; more would take too long
LONG_SECONDS, REST = 0.002, 20  # after a look that took longer, nobody looks again for so many times as long
VAIN = 8  # looks in vain, one after the other, from which on each is followed by a rest twice as long
SHORTEST_SECONDS, LONGEST_SECONDS = 0.02, 1.0  # of those rests
PROCESSES_KEPT = 1024
EVENTFD = "anon_inode:[eventfd]"
ANONYMOUS = "anon_inode:"
PREFIXES = {FdKind.MEMFD: "/memfd:", FdKind.DMABUF: "/dmabuf:"}
DELETED = " (deleted)"


changed_info = quick_replace(FdInfo)


def key_of(info: FdInfo) -> Key | None:
    """What to look for; None for what has no identity of its own (all anonymous inodes are the same)."""
    if info.kind is FdKind.EVENTFD:
        return None if info.eventfd_id is None else (-1, info.eventfd_id)
    if info.kind is FdKind.USERFAULTFD or not info.inode:
        return None
    return info.device, info.inode


@dataclass(slots=True)
class LookedAt:
    """A process as looks found it: at which `numbers` descriptors were, how many looks in a row were in
    `vain`, and until when (monotonic clock) it is left alone.
    """

    numbers: dict[Key, int] = field(default_factory=dict)
    vain: int = 0
    until: float = 0

    def found(self, numbers: dict[Key, int], took: float, now: float) -> None:
        """A look came back, which took so many seconds of processor time."""
        self.numbers = numbers or self.numbers
        self.vain = 0 if numbers else self.vain + 1
        rest = REST * took if took > LONG_SECONDS else 0
        if self.vain > VAIN:
            rest = max(rest, min(LONGEST_SECONDS, SHORTEST_SECONDS * 2 ** min(self.vain - VAIN, 10)))
        self.until = now + rest


Result = tuple[dict[Key, int], float]
"""What was found, and for how many seconds of processor time."""


class FdNumbers(Job[int, Result]):
    """Looks for descriptors that were described in their processes; `put` then writes down the numbers.

    `looked_at`: what earlier looks at these processes found.
    """

    def __init__(self, seen: Sequence[Seen], looked_at: dict[int, LookedAt]) -> None:
        self._seen = [each for each in seen if each.fds]
        self._looked_at = looked_at
        self._wanted = self._by_process()
        self._found: dict[int, dict[Key, int]] = {}
        if len(looked_at) > PROCESSES_KEPT:
            looked_at.clear()
        now = time.monotonic()
        super().__init__([pid for pid in self._wanted if pid and self._known(pid).until < now])

    def _known(self, pid: int) -> LookedAt:
        return self._looked_at.setdefault(pid, LookedAt())

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

    def do(self, step: int) -> Result:
        """See `Job`."""
        began = time.thread_time()  # what it costs, which is not how long others used the processor
        found = search(step, self._wanted[step], self._known(step).numbers)
        return found, time.thread_time() - began

    def keep(self, step: int, result: Result) -> None:
        """See `Job`."""
        found, took = result
        self._found[step] = found
        self._known(step).found(found, took, time.monotonic())

    def missed(self, step: int) -> None:
        """See `Job`."""
        self._known(step).until = time.monotonic() + 10 * REST

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
    return changed_info(info, frontend_fd=frontend.get(key), backend_fd=backend.get(key))


def text(info: FdInfo) -> str:
    """What a link in /proc/PID/fd to it says, or begins with."""
    if info.kind is FdKind.EVENTFD:
        return EVENTFD
    if info.kind is FdKind.SOCKET:
        return f"socket:[{info.inode}]"
    if info.kind is FdKind.PIPE:
        return f"pipe:[{info.inode}]"
    return PREFIXES.get(info.kind, "") + info.name


def search(pid: int, wanted: dict[Key, str], before: dict[Key, int]) -> dict[Key, int]:
    """The numbers that process `pid` has for `wanted`; `before` it had these."""
    again = [str(before[key]) for key in wanted if key in before]
    found = found_at(pid, again, wanted) if again else {}
    left = {key: text for key, text in wanted.items() if key not in found}
    return found | found_at(pid, numbers(pid), left) if left else found


def found_at(pid: int, names: Iterable[str], wanted: dict[Key, str]) -> dict[Key, int]:
    """Which of `wanted` are at these numbers."""
    found: dict[Key, int] = {}
    texts = frozenset(wanted.values())
    for name in names:
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
