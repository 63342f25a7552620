"""What passed descriptors and peers are: the calls of the recording process that may hang, as jobs.

A descriptor that hangs is given up, and so is every other one of the same mount until that answers again: the
thread that hangs in it sees to them then.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from vutrace.proxy.aside import Job
from vutrace.proxy.pending import Origin
from vutrace.records import FdInfo, FdKind
from vutrace.sockets.elsewhere import called_there
from vutrace.sockets.inspect import describe, read_fdinfo
from vutrace.sockets.mappings import mapped
from vutrace.sockets.process import describe_process, descriptors_readable

UNKNOWN = FdInfo(FdKind.OTHER, name="(not known: its file system does not answer)")
SAFE = {FdKind.EVENTFD, FdKind.MEMFD, FdKind.SOCKET, FdKind.PIPE, FdKind.USERFAULTFD}
MOUNT = b"mnt_id:"


@dataclass(slots=True)
class Seen:
    """The descriptors of one message; `closes` are to be closed after the look. `infos` come one by one.

    `shares`: they are memory that the front-end shares.
    """

    origin: Origin
    fds: Sequence[int]
    closes: Sequence[bool]
    shares: bool = False
    infos: list[FdInfo] = field(default_factory=list)

    def safe(self) -> list[int]:
        """Those whose close cannot hang."""
        return [fd for fd, info in zip(self.fds, self.infos, strict=False) if info.kind in SAFE]

    def closed(self) -> list[int]:
        """Those that are to be closed."""
        return [fd for fd, closes in zip(self.fds, self.closes, strict=True) if closes]


class Mounts:
    """Those that do not answer, with the descriptors on them that wait to be closed.

    `freed` is called with how many descriptors were closed.
    """

    def __init__(self, freed: Callable[[int], None]) -> None:
        self.freed = freed
        self._hung: dict[bytes, list[int]] = {}
        self._lock = threading.Lock()

    def hang(self, mount: bytes) -> bool:
        """Whether it is one of them."""
        return mount in self._hung

    def __bool__(self) -> bool:
        return bool(self._hung)

    def add(self, mount: bytes) -> None:
        """One more."""
        with self._lock:
            self._hung.setdefault(mount, [])

    def close(self, fd: int, mount: bytes) -> None:
        """Close it: now, or when its mount answers."""
        with self._lock:
            waiting = self._hung.get(mount)
            if waiting is not None:
                waiting.append(fd)
                return
        with contextlib.suppress(OSError):  # it is closed even so
            os.close(fd)
        self.freed(1)

    def answers(self, mount: bytes) -> None:
        """It does again."""
        with self._lock:
            waiting = self._hung.pop(mount, [])
        for fd in waiting:
            self.close(fd, mount)


def mount_of(fd: int) -> bytes:
    """The number of the mount that a descriptor of ours is on; asks no file system."""
    return read_fdinfo(f"/proc/self/fdinfo/{fd}").partition(MOUNT)[2].partition(b"\n")[0].strip()


class Look(Job[tuple[Seen, int], FdInfo]):
    """Describes the descriptors of messages. `stuck` are those that the thread that hangs will close."""

    def __init__(self, seen: Sequence[Seen], mounts: Mounts) -> None:
        super().__init__([(each, index) for each in seen for index in range(len(each.fds))])
        self._mounts = mounts
        self.stuck: dict[int, bytes] = {}

    def do(self, step: tuple[Seen, int]) -> FdInfo:
        """See `Job`."""
        seen, index = step
        fd = seen.fds[index]
        if self._mounts and self._mounts.hang(mount_of(fd)):
            return UNKNOWN
        return describe(fd)

    def keep(self, step: tuple[Seen, int], result: FdInfo) -> None:
        """See `Job`."""
        step[0].infos.append(result)

    def missed(self, step: tuple[Seen, int]) -> None:
        """See `Job`."""
        seen, index = step
        seen.infos.append(UNKNOWN)
        fd = seen.fds[index]
        mount = self.stuck[fd] = mount_of(fd)
        self._mounts.add(mount)

    def late(self, step: tuple[Seen, int]) -> None:
        """See `Job`."""
        seen, index = step
        mount = self.stuck[seen.fds[index]]
        self._mounts.answers(mount)
        if seen.closes[index]:
            self._mounts.close(seen.fds[index], mount)


class LookAtMappings(Job[Seen, dict[tuple[int, int], str]]):
    """Finds out how front-ends have mapped the memory that they share."""

    def do(self, step: Seen) -> dict[tuple[int, int], str]:
        """See `Job`."""
        return mapped(step.origin.frontend_pid, step.infos)

    def keep(self, step: Seen, result: dict[tuple[int, int], str]) -> None:
        """See `Job`."""
        step.infos = [replace(info, mapped=result.get((info.device, info.inode), "")) for info in step.infos]


class Close(Job[int, None]):
    """Closes descriptors; `safe` are those that have no file system behind them which could hang."""

    def __init__(self, fds: Sequence[int], mounts: Mounts, safe: set[int]) -> None:
        super().__init__(fds)
        self._mounts = mounts
        self._safe = safe
        self._mount: dict[int, bytes] = {}

    def do(self, step: int) -> None:
        """See `Job`."""
        mount = self._mount[step] = b"" if step in self._safe else mount_of(step)
        self._mounts.close(step, mount)

    def keep(self, step: int, result: None) -> None:
        """See `Job`."""

    def missed(self, step: int) -> None:
        """See `Job`."""
        self._mounts.add(self._mount[step])

    def late(self, step: int) -> None:
        """See `Job`."""
        self._mounts.answers(self._mount[step])


class Peers(Job[tuple[int, int, str], dict[str, str]]):
    """What the processes (pid, user) at both ends of a session are, in `facts`; `paths` are the sockets'."""

    def __init__(self, peers: Sequence[tuple[int, int]], paths: Iterable[str]) -> None:
        super().__init__([(*peer, path) for peer, path in zip(peers, paths, strict=True)])
        self.facts: list[dict[str, str]] = []

    def do(self, step: tuple[int, int, str]) -> dict[str, str]:
        """See `Job`."""
        pid, user, path = step
        known = describe_process(pid, user)
        if not known:
            return known
        if there := called_there(pid, known["command"], path):
            known["path"] = there
        if descriptors_readable(pid):
            return known
        return known | {"fd_numbers": "cannot be read, another user's process"}

    def keep(self, step: tuple[int, int, str], result: dict[str, str]) -> None:
        """See `Job`."""
        self.facts.append(result)

    def missed(self, step: tuple[int, int, str]) -> None:
        """See `Job`."""
        self.facts.append({"pid": str(step[0]), "uid": str(step[1])})
