"""What `vutrace show` prints of a row: its line and what is wanted below it, or a JSON object."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from vutrace.records import Event
from vutrace.views.annotated import AnnotatedRow
from vutrace.views.hexdump import hexdump
from vutrace.views.rows import Rows
from vutrace.views.tree import Tree

INDENT = " " * 9


class Printer(Protocol):
    """A way to print a trace."""

    def heading(self) -> Iterator[str]:
        """The lines above the first row."""

    def lines(self, shown: AnnotatedRow) -> Iterator[str]:
        """The lines of one row."""


@dataclass(frozen=True, slots=True)
class Text:
    """Rows; below each its tree and its bytes where they are wanted."""

    rows: Rows
    tree: Tree | None = None
    dump: bool = False
    secrets: bool = False

    def heading(self) -> Iterator[str]:
        """The names of the columns."""
        yield self.rows.heading()

    def lines(self, shown: AnnotatedRow) -> Iterator[str]:
        """The lines of one row."""
        yield from self.rows.row_lines(shown)
        if self.tree:
            yield from (INDENT + line for line in self.tree.lines(shown))
        if self.dump and not isinstance(shown.row.what, Event):
            yield from (INDENT + line for line in hexdump(shown.row.what, self.secrets))
        yield from self.rows.notes(shown)
