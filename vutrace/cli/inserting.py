"""`vutrace proxy --insert`, `vutrace restore`: only wiring. The work is in `vutrace.sockets.insertion`."""

import glob
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.output import note, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vutrace.proxy.inserting import Insertion
    from vutrace.records import Side

EXAMPLES = """\b
Examples:
  vutrace restore /run/vhost.sock        after a vutrace proxy --insert was killed
  vutrace restore '/run/vhost/*.sock'
"""


def restore(
    sockets: Annotated[list[str], typer.Argument(metavar="SOCKET", help="A path, a directory or a pattern.")],
) -> None:
    """Put sockets back in their place after a `vutrace proxy --insert` was killed with -9."""
    from vutrace.sockets.insertion import restore as put_right

    say(put_right(path) for word in sockets for path in (left_in(word) or [word]))


restore.__doc__ = f"{restore.__doc__}\n\n{EXAMPLES}"


def left_in(word: str) -> list[str]:
    """The sockets beside which something was left, where a directory or a pattern is given."""
    from vutrace.sockets.beside import Beside

    paths = glob.glob(os.path.join(glob.escape(word), "*")) if os.path.isdir(word) else glob.glob(word)
    return sorted(path for path in paths if Beside(os.path.realpath(path)).left)


def sockets_of(words: "Sequence[str]") -> list[str]:
    """The sockets that are meant by paths, directories and patterns; UsageError where there are none."""
    from vutrace.sockets.address import is_abstract

    found = [path for word in words for path in expand(word)]
    return list(dict.fromkeys(path if is_abstract(path) else os.path.realpath(path) for path in found))


def expand(word: str) -> "Iterator[str]":
    if os.path.isdir(word):
        found = answering(glob.glob(os.path.join(glob.escape(word), "*")))
    elif glob.has_magic(word) and not os.path.lexists(word):
        found = answering(glob.glob(word))
    else:
        found = [word]
    if not found:
        raise UsageError(f"--insert {word}: nobody listens on a socket there")
    yield from found


def answering(paths: list[str]) -> list[str]:
    """Those paths that are sockets with somebody behind them, or were left by a vutrace that was killed."""
    from vutrace.sockets.address import answers
    from vutrace.sockets.beside import Beside

    def wanted(path: str) -> bool:
        with suppress(OSError):
            return stat.S_ISSOCK(os.lstat(path).st_mode) and (answers(path) or Beside(path).left)
        return False

    return sorted(path for path in paths if wanted(path))


def confirm_breaks(paths: "Sequence[str]", listener: "Side | None", yes: bool) -> None:
    """Say what guests will see of connections that are ended, and ask; UsageError where nobody can answer."""
    from vutrace.sockets.breaking import guest_sees
    from vutrace.sockets.standing import before, side_of

    if not paths:
        raise UsageError(
            "--break ends the connections of sockets whose place is taken: --insert SOCKET names one"
        )
    for path in filter(os.path.lexists, paths):
        there = before(path, path)
        for each in there.connections:
            note(f"{path}: {guest_sees(each, path, listener or side_of(there.listener, path))}")
    if yes:
        return
    if not os.isatty(0):
        raise UsageError("--break ends connections of running guests: --yes says that this is meant")
    typer.confirm("End these connections?", abort=True, err=True)


def break_connections(insertions: "Sequence[Insertion]") -> None:
    """End the connections that stand, and say which."""
    from vutrace.sockets.breaking import end_connection

    for insertion in insertions:
        for each in insertion.before.connections:
            try:
                done = end_connection(each)
            except OSError as error:
                done = f"a connection that stands could not be ended: {error.strerror or error}"
            note(f"{insertion.place.path}: {done}")


def note_insertions(insertions: "Sequence[Insertion]", breaks: bool) -> None:
    """Say who listens at each socket, and what becomes of the connections that stand."""
    for each in insertions:
        if each.place.repaired:
            note(
                f"{each.place.path}: its place was left taken by a vutrace that was killed; that is put right"
            )
        for line in each.before.lines(each.listener, breaks):
            note(line)
