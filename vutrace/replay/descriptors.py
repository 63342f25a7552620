"""Passed descriptors made anew from what was recorded of them."""

import os
import socket
from dataclasses import dataclass, field
from typing import Any

from vutrace.capture import CaptureError
from vutrace.dissection.message import Message
from vutrace.records import FdInfo, FdKind

MEMORY = {FdKind.MEMFD, FdKind.FILE, FdKind.HUGETLBFS, FdKind.DMABUF}


@dataclass(slots=True)
class Made:
    """Descriptors for one message: `fds` to pass, `ends` our ends of the sockets among them.

    `fleeting` are ours only until the message is sent: the peer is to see the end of what it got.
    """

    fds: list[int] = field(default_factory=list)
    ends: list[socket.socket] = field(default_factory=list)
    fleeting: list[int] = field(default_factory=list)

    def sent(self) -> None:
        """The message is out (or never will be)."""
        while self.fleeting:
            os.close(self.fleeting.pop())


class Descriptors:
    """Makes and keeps them: one eventfd for each that was recorded, one memory for each file.

    What was recorded as a file, on hugetlbfs or as a dmabuf becomes a memfd as well: the peer maps it all
    the same. A descriptor of a kind that cannot be made anew (a userfaultfd) is one of /dev/null.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, ...], int] = {}
        self._loose: list[int] = []
        self._ends: list[socket.socket] = []

    def make(self, message: Message) -> Made:
        """The descriptors of a message as they were recorded; CaptureError where the system cannot."""
        made = Made()
        try:
            for place, info in enumerate(message.frame.fds):
                self._one(info, needed(message, place), made)
        except (OSError, OverflowError) as error:
            made.sent()
            why = f"{message.name}: a descriptor cannot be made anew: {error}"
            raise CaptureError(why) from None
        self._ends += made.ends
        return made

    def close(self) -> None:
        """Give all back."""
        for fd in (*self._kept.values(), *self._loose):
            os.close(fd)
        for end in self._ends:
            end.close()
        self._ends.clear()
        self._kept.clear()
        self._loose.clear()

    def _one(self, info: FdInfo, size: int, made: Made) -> None:
        match info.kind:
            case FdKind.EVENTFD:
                made.fds.append(self._eventfd(info))
            case FdKind.SOCKET:
                ours, theirs = socket.socketpair()
                made.ends.append(ours)
                made.fleeting.append(theirs.detach())
                made.fds.append(made.fleeting[-1])
            case FdKind.PIPE:
                self._pipe(info, made)
            case kind if kind in MEMORY or size:
                made.fds.append(self._memory(info, size))
            case _:
                made.fleeting.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
                made.fds.append(made.fleeting[-1])

    def _eventfd(self, info: FdInfo) -> int:
        # without an id there is no telling which it was: a fresh one
        key = (-1, len(self._kept) if info.eventfd_id is None else info.eventfd_id, info.eventfd_id is None)
        if key not in self._kept:
            self._kept[key] = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        return self._kept[key]

    def _memory(self, info: FdInfo, size: int) -> int:
        key = info.device, info.inode
        if key == (0, 0) or key not in self._kept:
            fd = os.memfd_create("replay", os.MFD_CLOEXEC)
            if key == (0, 0):
                self._loose.append(fd)
            else:
                self._kept[key] = fd
            os.ftruncate(fd, size if info.size is None else info.size)
            return fd
        return self._kept[key]

    def _pipe(self, info: FdInfo, made: Made) -> None:
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        theirs, ours = (reading, writing) if info.access == "r" else (writing, reading)
        made.fleeting.append(theirs)
        made.fds.append(theirs)
        self._loose.append(ours)


def needed(message: Message, place: int) -> int:
    """The bytes that the message maps of its descriptor number `place`; 0 where it maps none."""
    described: Any = message.fields.get("regions") or [message.fields.get("region")]
    if isinstance(described, list) and place < len(described) and isinstance(described[place], dict):
        region = described[place]
        return int(region.get("mmap_offset", 0)) + int(region.get("size", 0))
    size, offset = message.number_in("mmap_size"), message.number_in("mmap_offset")
    return (size or 0) + (offset or 0)
