"""A case: what is sent, what is expected and where the spec says so; and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from vutrace.errors import PEER, VutraceError
from vutrace.session.row import Row


class Level(StrEnum):
    """How strongly the spec says it."""

    MUST = "must"
    SHOULD = "should"
    MAY = "may"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that a peer has to do, and the function that finds out whether it does.

    `name` is `group/case`, `heading` the spec's section; `sends` and `expects` are for people. `needs` are
    the features (of protocol, virtio or device) without which the case has no sense; `device` is the one that
    it is for. `act` is given a Probe (a front-end of ours) or a Stand (a back-end of ours); it raises
    UnmetError where the peer does otherwise, SkippedError where nothing can be found out.
    """

    name: str
    heading: str
    sends: str
    expects: str
    act: Callable[[Any], None]
    level: Level = Level.MUST
    needs: tuple[str, ...] = ()
    device: str = ""

    @property
    def group(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]


class UnmetError(VutraceError):
    """The peer does not do as it should; the text is what came instead."""

    status = PEER


class SkippedError(VutraceError):
    """The case has no sense with this peer; the text says why."""

    status = PEER


class CaseVerdict(StrEnum):
    """What came of a case."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came of a case.

    `came` says what the peer did, or why the case was skipped; `rows` are all that passed, `failed_row` the
    number of the message that was answered wrongly. `crash` is how the process died ("" if it did not),
    `output` its last lines. `known` is the source of a failure that is known of this implementation.
    """

    case: Case
    verdict: CaseVerdict
    came: str = ""
    seconds: float = 0.0
    rows: tuple[Row, ...] = ()
    failed_row: int = 0
    crash: str = ""
    output: tuple[str, ...] = field(default_factory=tuple)
    capture: str = ""
    known: str = ""

    def fails(self, strict: bool = False) -> bool:
        """Whether it decides the answer: a must that does not hold, a crash; with `strict` a should, too."""
        if self.verdict is not CaseVerdict.FAIL:
            return False
        return (
            bool(self.crash) or self.case.level is Level.MUST or (strict and self.case.level is Level.SHOULD)
        )
