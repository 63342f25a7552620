"""What is wrong, as a value: a rule that is broken, and how. Imports nothing of ours.

A rule's name is `group.what-is-wrong`, in findings, SARIF, Wireshark's expert info and `explain` alike.
"""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is, the worst first."""

    ERROR = "error"  # the spec says "must", or nothing works after it
    WARNING = "warning"  # the spec says "should", or it is rarely meant
    INFO = "info"  # worth knowing: lawful, or known of an implementation


@dataclass(frozen=True, slots=True)
class Rule:
    """What can be wrong.

    `heading` is the spec's section, `means` what it means for the user and `advice` what to do, in a sentence
    each. `deviates` are the implementations that are known to break it, each with its source.
    """

    name: str
    severity: Severity
    heading: str
    means: str = ""
    advice: str = ""
    deviates: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The part of the name before the dot."""
        return self.name.partition(".")[0]

    def problem(
        self, text: str, *, row: int | None = None, ring: int | None = None, descriptor: int | None = None
    ) -> "Problem":
        """This rule, broken."""
        return Problem(self, text, row, ring, descriptor)


@dataclass(frozen=True, slots=True)
class Problem:
    """One breach of a rule, in words.

    It belongs to the row that carries it; `row` is another row that it is about, such as the request that was
    never answered. `ring` and `descriptor` (its place in the message, from 0) are set where it is about one.
    """

    rule: Rule
    text: str
    row: int | None = None
    ring: int | None = None
    descriptor: int | None = None

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.rule.name

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return self.rule.severity

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ProblemText:
    """How a breach of a rule is told: a text for `str.format` with places {}, {:d} and {:#x}.

    The Wireshark plug-in is given the same texts.
    """

    rule: Rule
    text: str

    def problem(self, *values: object, row: int | None = None, ring: int | None = None) -> Problem:
        """The rule, broken, with these values in the text."""
        return self.rule.problem(self.text.format(*values), row=row, ring=ring)
