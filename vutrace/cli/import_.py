"""`vutrace import`: what others recorded, as a capture. Only wiring."""

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.output import note, refuse_output
from vutrace.records import LACKS, UNKNOWN_WORDS, Event, EventKind, Frame, FrameFlag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vutrace.evidence.conversations import Item
    from vutrace.evidence.sources import LogFormat

EXAMPLES = """Examples:

\b
  strace -f -yy -xx -s 65536 -ttt -o qemu.strace qemu-system-x86_64 …
  vutrace import --from strace qemu.strace -w start.pcapng
  vutrace import --from dpdk testpmd.log | vutrace show -
  vutrace import --from qemu qemu.log -w - | vutrace timeline -
  strace -f -yy -xx -s 65536 -p 4711 -o /dev/stdout | vutrace import --from strace - | vutrace show -
"""


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The log or trace to read; - is stdin.")],
    source: Annotated[
        str,
        typer.Option(
            "--from", metavar="SOURCE", help="strace, qemu, simpletrace, dpdk, libvhost-user, sockdump."
        ),
    ],
    write: Annotated[
        str, typer.Option("-w", "--write", metavar="OUT", help="The capture to write; - is stdout.")
    ] = "-",
) -> None:
    """Make a capture from a log or trace of another tool. What it did not record is unknown, not zero."""
    from vutrace.evidence.errors import EvidenceError
    from vutrace.evidence.sources import SOURCES

    if source not in SOURCES:
        raise UsageError(f"--from {source}: one of {', '.join(SOURCES)} is needed")
    refuse_output(write, quiet=False, board=False)
    with ExitStack() as stack:
        opened = sys.stdin.buffer if file == "-" else stack.enter_context(open(file, "rb"))
        refuse_same(opened, write)
        try:
            summary = copied(SOURCES[source], opened, write)
        except EvidenceError as error:
            raise EvidenceError(f"{file}: {error}") from None
    note(f"{file}: {summary}")


import_.__doc__ = f"{import_.__doc__}\n\n{EXAMPLES}"


def refuse_same(opened: BinaryIO, write: str) -> None:
    """UsageError where the capture would overwrite what it is made of."""
    if write != "-" and os.path.exists(write) and os.path.samestat(os.fstat(opened.fileno()), os.stat(write)):
        raise UsageError(f"-w {write}: that is what is imported, which would be lost")


def copied(source: "LogFormat", opened: BinaryIO, write: str) -> str:
    """Write what is found, record by record as it comes; a line of what it was."""
    from vutrace.capture import Writer

    items = iter(source.read(opened))
    first = next(items, None)
    with Writer(write) as writer:
        counts = Counts()
        for item in () if first is None else chained(first, items):
            writer.write(item)
            counts.take(item)
    return counts.summary


def chained(first: "Item", items: "Iterable[Item]") -> "Iterable[Item]":
    """The first, which is there already, and those that come."""
    yield first
    yield from items


class Counts:
    """What an import had, and what it did not."""

    def __init__(self) -> None:
        self._messages = self._sessions = 0
        self._lacks = ""
        self._unknown = FrameFlag.NONE

    def take(self, item: "Item") -> None:
        """Count a record."""
        if isinstance(item, Frame):
            self._messages += 1
            self._unknown |= item.flags.unknown
        elif isinstance(item, Event) and item.kind in (EventKind.OPEN, EventKind.NOTE):
            self._sessions += "source" in item.attributes
            self._lacks = item.attributes.get(LACKS, self._lacks)

    @property
    def summary(self) -> str:
        """All in one line."""

        words = [word for flag, word in UNKNOWN_WORDS.items() if self._unknown & flag]
        text = f"{self._messages} messages in {self._sessions} session{'s' * (self._sessions != 1)}"
        text += f"; not known of some: {', '.join(words)}" if words else ""
        return text + (f"; it has no {self._lacks}" if self._lacks else "")
