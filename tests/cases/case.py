"""A case: what somebody suffered from, as a conversation, and the line of vutrace that answers it."""

from collections.abc import Sequence
from dataclasses import dataclass

from kit.transcript import Line, connection, script

from vutrace.capture import Item
from vutrace.records import Record


@dataclass(frozen=True)
class Case:
    """One of the cases of docs/cases.md, by its `number` there.

    `lines` is the conversation (or `records`, where one session is not enough), `shows` the verb with its
    options that is asked, and `expect` what must be in its answer.
    """

    number: int
    expect: tuple[str, ...]
    lines: Sequence[Line] = ()
    records: Sequence[Record] = ()
    shows: tuple[str, ...] = ("check",)
    against: Sequence[Line] = ()

    def capture(self) -> list[Item]:
        """What is in the capture."""
        return [connection(), *(self.records or script(*self.lines))]

    def other(self) -> list[Item]:
        """What is in the other one, for `diff`."""
        return [connection(), *script(*self.against)]
