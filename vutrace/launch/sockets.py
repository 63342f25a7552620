"""The vhost-user sockets that a command line names, and the command line that names others instead."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vutrace.launch.options import ANY_PROGRAM, ArgumentWord, SocketOption, argument_words
from vutrace.records import Side

STARTERS = (
    r"ld-linux.*|sudo|env|nice|ionice|chrt|taskset|numactl|prlimit|setpriv|stdbuf|timeout|time|strace|gdb|valgrind"
    r"|ip|nsenter|unshare|chroot|systemd-run|cgexec"
)
"""Programs that start another, which they name."""
COUNT = "socket-count", "c"


@dataclass(frozen=True, slots=True)
class ProgramSocket:
    """A socket that a word of the command line names: by `path`, or by an inherited descriptor, `fd` (-1).

    `endings`: what may stand behind the path in the socket's own name.
    """

    word: ArgumentWord
    option: SocketOption
    listens: bool
    path: str = ""
    fd: int = -1
    endings: tuple[str, ...] = ("",)

    @property
    def side(self) -> Side:
        """Which side the program is on it."""
        return self.option.side

    def changed(self, path: str) -> str:
        """The argument that names `path` instead; as it is where a descriptor is named."""
        if self.fd >= 0 or self.option.path is None:
            return self.word.prefix + self.word.text
        return self.word.prefix + self.option.of(self.word).changed(self.option.path, path)

    def __str__(self) -> str:
        what = f"descriptor {self.fd}" if self.fd >= 0 else self.path
        role = "listens on" if self.listens else "connects to"
        return f"{role} {what} as the {self.side.words}"


def sockets_of(command: Sequence[str], table: Sequence[SocketOption]) -> list[ProgramSocket]:
    """The sockets that a command line names, in its order."""
    program = program_in(command, table)
    return list(find(os.path.basename(command[program]), argument_words(command, program + 1), table))


def program_in(command: Sequence[str], table: Sequence[SocketOption]) -> int:
    """Where the program stands: first, or behind one that starts it."""
    if not re.match(rf"(?:{STARTERS})$", os.path.basename(command[0])):
        return 0
    named = [re.compile(rf"(?:{row.program})$") for row in table if row.program != ANY_PROGRAM]
    for number, word in enumerate(command):
        if not word.startswith("-") and any(each.match(os.path.basename(word)) for each in named):
            return number
    return 0


def find(
    program: str, words: Sequence[ArgumentWord], table: Sequence[SocketOption]
) -> Iterator[ProgramSocket]:
    for word in words:
        option = next((row for row in table if row.fits(program, word, words)), None)
        if option and (found := socket_of(word, option, words)):
            yield found


def socket_of(
    word: ArgumentWord, option: SocketOption, words: Sequence[ArgumentWord]
) -> ProgramSocket | None:
    """The socket of a word that is told in the way of `option`; None where it names none."""
    told, listens = option.of(word), option.listening(word, words)
    fd = told.get(option.fd) if option.fd is not None else ""
    path = told.get(option.path) if option.path is not None else ""
    if fd.isdecimal():
        return ProgramSocket(word, option, listens, fd=int(fd))
    if not path:
        return None
    return ProgramSocket(word, option, listens, path, endings=endings(words) if option.numbered else ("",))


def endings(words: Sequence[ArgumentWord]) -> tuple[str, ...]:
    """What vhost-device-… puts behind the path: a number, some with one socket only nothing."""
    counts = [int(word.text) for word in words if word.option in COUNT and word.text.isdecimal()]
    return ("", *map(str, range(max(counts, default=1))))


def changed_command(command: Sequence[str], sockets: Sequence[tuple[ProgramSocket, str]]) -> list[str]:
    """The command line with another path for each socket."""
    words = list(command)
    for each, path in sockets:
        words[each.word.index] = each.changed(path)
    return words
