"""Where results go: stdout, whatever it is, or a file."""

import codecs
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper

from vutrace.cli.errors import UsageError
from vutrace.errors import VutraceError
from vutrace.outgoing import page, printable

STDERR = 2
LIKENESS = "vutrace.likeness"
# What the views draw with, for an encoding that lacks it: one column each, so that tables stay straight.
LIKE = {
    "…": "~",
    "×": "x",
    "–": "-",
    "⇄": "-",
    "µ": "u",
    "│": "|",
    "═": "=",
    "─": "-",
    "·": ".",
    "▼": "v",
    "§": "S",
}

Pieces = Iterable[str] | Iterable[bytes]


def likeness(error: UnicodeError) -> tuple[str | bytes, int]:
    """An error handler for codecs: the character that looks like it, else its escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    like = LIKE.get(error.object[error.start])
    one = UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    return (like, error.start + 1) if like else codecs.backslashreplace_errors(one)


def prepare() -> None:
    """Have stdin, stdout and stderr, also where one is closed, and whatever letters stdout can write."""
    ENDS_WITH.clear()
    while (fd := os.open(os.devnull, os.O_RDWR)) <= STDERR:  # each takes the lowest number that is free
        pass
    os.close(fd)
    sys.stdin, sys.stdout = sys.stdin or os.fdopen(0), sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(STDERR, "w")
    codecs.register_error(LIKENESS, likeness)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors=LIKENESS)


ENDS_WITH: list[int] = []  # the statuses of errors that the run went on after


def go_on_after(error: VutraceError) -> None:
    """Tell an error that does not end the run; its exit status is the run's in the end."""
    note(str(error))
    ENDS_WITH.append(error.status)


@contextmanager
def flush_at_end() -> Iterator[None]:
    """What was printed is out when this ends; OSError where it cannot be."""
    try:
        yield
    finally:
        sys.stdout.flush()


def give_up() -> None:
    """Let go of what stdout does not take: the interpreter would try again at its end, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def refuse_output(write: str, quiet: bool, board: bool) -> None:
    """UsageError for a capture on a terminal, and for a board that is not to be shown."""
    if write == "-" and os.isatty(1):
        raise UsageError("-w -: stdout is a terminal; pipe the capture on, as in -w - | tshark -r -")
    if quiet and board:
        raise UsageError("--board shows the rings, -q shows nothing: one of them")


def columns() -> int | None:
    """How many a line may have: the terminal's; as many as it takes where stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def put(output: str, pieces: Pieces, mode: int = 0o666) -> None:
    """Write a file, one that is new with `mode` less the umask, or - for stdout; text in UTF-8."""
    if output == "-":
        sys.stdout.flush()
        write(sys.stdout.buffer.write, pieces)
        sys.stdout.buffer.flush()
        return
    with open(output, "wb", opener=lambda path, flags: os.open(path, flags, mode)) as out:
        write(out.write, pieces)


def write(to: Callable[[bytes], int], pieces: Pieces) -> None:
    """Text as UTF-8, as it may leave; bytes as they are."""
    for piece in pieces:
        to(page(piece).encode() if isinstance(piece, str) else piece)


def say(lines: Iterable[str]) -> None:
    """Lines on stdout. What views paint stays painted."""
    lines = (line if line.isprintable() else page(line, painted=True) for line in lines)
    sys.stdout.writelines(f"{line}\n" for line in lines)


def pour(pieces: Iterable[str]) -> None:
    """Pieces of lines on stdout, likewise."""
    sys.stdout.writelines(page(piece, painted=True) for piece in pieces)


def note(text: str) -> None:
    """What the program has to say besides, as a line on stderr."""
    tell(f"vutrace: {text}")


def tell(line: str) -> None:
    """A line on stderr."""
    print(printable(line), file=sys.stderr)
