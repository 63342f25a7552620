"""The files beside a socket whose place was taken, and how they become again what they were."""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass

from vutrace.sockets.address import answers, set_mode, turn
from vutrace.sockets.marker import Record, mark_of


@dataclass(frozen=True, slots=True)
class Beside:
    """The names beside the socket at `path`."""

    path: str

    def _name(self, ending: str) -> str:
        directory, name = os.path.split(self.path)
        return os.path.join(directory, f".{name}.vutrace{ending}")

    @property
    def aside(self) -> str:
        """Where whoever listened before can be reached."""
        return self._name("")

    @property
    def spare(self) -> str:
        """Used for a moment where names cannot be exchanged."""
        return self._name("-new")

    @property
    def marker(self) -> str:
        """Who has the place."""
        return self._name("-state")

    @property
    def left(self) -> bool:
        """Whether one of them is there."""
        return any(map(os.path.lexists, (self.aside, self.spare, self.marker)))


def put_right(names: Beside, record: Record) -> None:
    """As before vutrace came, wherever it stopped; `record` is what the marker says. OSError if it cannot."""
    with turn(os.path.dirname(names.path)):
        if is_theirs(names, record):
            give_back(names, record)
        clear(names, record)


def is_theirs(names: Beside, record: Record) -> bool:
    """Whether what is aside is the socket of whoever listened before."""
    if record.theirs:
        return mark_of(names.aside) == record.theirs
    # Somebody removed the marker; or, in a directory like /tmp, put a socket of his own there.
    return owner(names.aside) == owner(names.path) is not None and answers(names.aside)


def owner(path: str) -> int | None:
    """The user whose file it is; None where there is none."""
    try:
        return os.lstat(path).st_uid
    except OSError:
        return None


def give_back(names: Beside, record: Record) -> None:
    """The socket that is aside gets its name again, unless somebody else has that by now."""
    now = mark_of(names.path)
    if now and (now == record.ours or not (record.ours or answers(names.path))):
        keep_mode(names)
        os.rename(names.aside, names.path)
    elif now is None and answers(names.aside):
        os.link(names.aside, names.path, follow_symlinks=False)


def keep_mode(names: Beside) -> None:
    # Who changed the mode meanwhile did so by the name, and meant the socket that is aside.
    with suppress(OSError):
        set_mode(names.aside, stat.S_IMODE(os.lstat(names.path).st_mode))


def clear(names: Beside, record: Record) -> None:
    """Remove what is vutrace's, and what has another name."""
    if record.ours and mark_of(names.path) == record.ours:
        os.unlink(names.path)
    for name in (names.aside, names.spare):
        with suppress(FileNotFoundError):
            os.unlink(name)
