"""A check: a rule, the messages that it is about, and the function that finds it broken.

The messages are chosen by the columns of their rows (spec.py), once for each row and not once for each
message; so a rule holds for a vendor's message that does the same, too.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from vutrace.problems import Problem, Rule
from vutrace.protocol.spec import MessageSpec
from vutrace.records import Channel

When = Callable[[MessageSpec, Channel, bool], bool]
"""Whether a check is about the request (False) or the reply (True) of a row on a channel."""


def matches(spec: MessageSpec, column: str, wanted: object) -> bool:
    """Whether a column has the value, or one of the values of a set; a tuple has it among its items."""
    value = getattr(spec, column)
    if isinstance(wanted, frozenset):
        return value in wanted
    return wanted in value if isinstance(value, tuple) and isinstance(wanted, str) else value == wanted


def asks(on: Channel = Channel.MAIN, **columns: object) -> When:
    """Requests whose columns are as given: `asks(effect=RingEffect.KICK)`, `asks(request="Iotlb")`."""

    def when(spec: MessageSpec, channel: Channel, reply: bool) -> bool:
        return not reply and channel is on and all(matches(spec, *column) for column in columns.items())

    return when


def answers(on: Channel = Channel.MAIN, **columns: object) -> When:
    """Replies to such requests."""

    def when(spec: MessageSpec, channel: Channel, reply: bool) -> bool:
        return reply and channel is on and all(matches(spec, *column) for column in columns.items())

    return when


def any_of(*choices: When) -> When:
    """What one of several chooses."""
    return lambda spec, channel, reply: any(choice(spec, channel, reply) for choice in choices)


@dataclass(frozen=True, slots=True)
class Breach:
    """How a rule is broken, where a text alone does not say it; the rest is as in Problem."""

    text: str
    ring: int | None = None
    row: int | None = None
    descriptor: int | None = None


class Once(Enum):
    """What makes a second breach no news."""

    RING = "once for each ring"
    SESSION = "once for each session"


Find = Callable[[Any, Any], Iterable[str | Breach]]
Only = Callable[[Any], bool]
"""Whether a `dissection.message.Message` may break a rule, by what it says and by nothing else."""
Given = Callable[[Any, Any], bool]
"""Whether it may in a negotiation, a `session.context.Context`."""


@dataclass(frozen=True, slots=True)
class Check:
    """Tells `rule` broken where `find` says how: a text, or a Breach, for each time.

    `find` takes a `session.row.Row` and what the rules know of the session besides (`rules.seen.History`); it
    is asked about the messages that `when` chooses, or with None when the session is over. `once`: a second
    breach is no news. `anytime`: it needs nothing that came before, so it also holds for a
    trace that begins in the middle of a session. `only` is what a message must be by itself for the rule to
    be broken, `given` what it and the negotiation before it must be: both are found out once for all messages
    that are the same, so that most are not asked about.
    """

    rule: Rule
    when: When | None
    find: Find
    once: Once | None = None
    anytime: bool = False
    only: Only | None = None
    given: Given | None = None

    def problem(self, told: str | Breach, ring: int | None) -> Problem:
        """The rule, broken as `find` told; about `ring` where it named no other."""
        if isinstance(told, str):
            return self.rule.problem(told, ring=ring)
        about = ring if told.ring is None else told.ring
        return self.rule.problem(told.text, row=told.row, ring=about, descriptor=told.descriptor)
