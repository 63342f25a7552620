"""What became of each session, for the banner of the page: a fold over its judged rows."""

from dataclasses import dataclass

from vutrace.problems import Severity
from vutrace.records import Side
from vutrace.rules.folding import PLACES
from vutrace.rules.verdict import VerdictBuilder, begin, verdict
from vutrace.session.row import Row

SHOWN = 8  # of what went wrong


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a session, in words; `failed`: something has to be done about it, as `check` says.

    `look`: worth a look, since there are warnings, or it broke off. `broke` is the row at which it did that,
    None where it did not. `wrong` are (row, what went wrong there). `likeness` is the same for sessions that
    came to the same. `began` is False where nobody was there.
    """

    text: str
    failed: bool
    look: bool
    broke: int | None
    wrong: tuple[tuple[int, str], ...]
    likeness: str
    began: bool = True


NOTHING_KNOWN = Fate("", False, False, None, (), "")


class Fates:
    """Those of all sessions; a builder is kept while its session lasts."""

    def __init__(self) -> None:
        self._open: dict[int, VerdictBuilder] = {}
        self._over: dict[tuple[int, int], Fate] = {}

    def feed(self, row: Row) -> None:
        """Take a row."""
        known = self._open.get(row.connection)
        if known is None or known.session != row.session:
            if known is not None:
                self._end(known)
            known = self._open[row.connection] = begin(row, known)
        known.feed(row)

    def _end(self, builder: VerdictBuilder) -> None:
        self._over[builder.connection, builder.session] = fate_of(builder)

    def all(self) -> dict[tuple[int, int], Fate]:
        """By connection and session."""
        for builder in self._open.values():
            self._end(builder)
        return self._over


def fate_of(builder: VerdictBuilder) -> Fate:
    """What is to be said of one session."""
    told = verdict(builder, builder.last_ns)
    wrong = tuple((each.row, each.text) for each in builder.wrong if each.severity is Severity.ERROR)
    broke = builder.close.number if builder.close and not told.orderly else None
    likeness = PLACES.sub("#", told.text) + str(len(wrong))
    look = bool(builder.wrong) or not told.orderly
    failed = bool(wrong) or not (told.orderly or left(builder))
    return Fate(told.text, failed, look, broke, wrong[:SHOWN], likeness, not builder.unreached)


def left(builder: VerdictBuilder) -> bool:
    """Whether all there is to say is that the front-end went while rings ran, as some do by habit."""
    by_choice = builder.running_at_end and builder.ended_by == Side.FRONTEND
    return bool(by_choice) and not builder.wrong and not builder.owing_now
