"""Descriptors that were passed to us, each with what it is; they are closed as soon as nothing names them."""

import os
import select
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from vutrace.records import FdInfo
from vutrace.session.state import SessionState

COUNT = b"eventfd-count:"


@dataclass(frozen=True, slots=True)
class HeldFd(FdInfo):
    """What a descriptor of this process is, and its `number` here."""

    number: int = -1


NAMES = [field.name for field in fields(FdInfo)]


def held(info: FdInfo, number: int) -> HeldFd:
    """The descriptor `number`, which `info` describes."""
    known: dict[str, Any] = {name: getattr(info, name) for name in NAMES}
    return HeldFd(**known, number=number)


class Holdings:
    """The descriptors of one session. An eventfd has its fdinfo open besides, to be read again and again."""

    def __init__(self) -> None:
        self._held: dict[int, HeldFd] = {}
        self._fdinfo: dict[int, int] = {}
        self._poll = select.poll()
        self._counting: set[int] = set()  # eventfds whose count is above 0

    def add(self, infos: Sequence[FdInfo], numbers: Sequence[int]) -> tuple[HeldFd, ...]:
        """Take over descriptors, which a message brought."""
        new = tuple(map(held, infos, numbers))
        self._held |= {info.number: info for info in new}
        for info in new:
            if info.eventfd_id is not None:
                self._poll.register(info.number, select.POLLIN)
        return new

    def keep(self, state: SessionState) -> None:
        """Close those that neither a ring nor a region of memory has any more."""
        named = [holding.fd for holding in state.fds.slots.values()]
        named += [region.fd for region in state.memory.regions]
        self._close(self._held.keys() - {info.number for info in named if isinstance(info, HeldFd)})

    def close(self) -> None:
        """Close all."""
        self._close(list(self._held))

    def look(self) -> None:
        """Find out which eventfds count anything, all at once: the others need not be asked."""
        self._counting = {fd for fd, _ in self._poll.poll(0)}

    def count(self, info: FdInfo | None) -> int | None:
        """What stands in an eventfd, unread; None where it is none of ours, or cannot be asked."""
        if not isinstance(info, HeldFd) or info.eventfd_id is None:
            return None
        if info.number not in self._counting:
            return 0
        try:
            told = os.pread(self._fdinfo.get(info.number) or self._open_info(info.number), 512, 0)
            begin = told.index(COUNT) + len(COUNT)
            return int(told[begin : told.index(b"\n", begin)], 16)
        except (OSError, ValueError):
            return None

    def _open_info(self, number: int) -> int:
        path = f"/proc/self/fdinfo/{number}"
        self._fdinfo[number] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return self._fdinfo[number]

    def _close(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            if self._held.pop(number).eventfd_id is not None:
                self._poll.unregister(number)
            if number in self._fdinfo:
                os.close(self._fdinfo.pop(number))
            os.close(number)
