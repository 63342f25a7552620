"""One line of a trace: a message or event, with everything the session knows about it."""

from dataclasses import dataclass

from vutrace.dissection.message import Message
from vutrace.problems import Problem
from vutrace.records import Event
from vutrace.session.context import Context


@dataclass(frozen=True, slots=True)
class Row:
    """A message or event in its place.

    `number` counts from 1 over the capture; `since_first_ns` is nanoseconds since its first record.
    `context` is the negotiation before this row took effect on it. `ring` is the vring that a message is
    about; an acknowledgement is about its request's. `reply_to` and `latency_ns` are
    set on a reply whose request is known. `problems` are the message's own and the session's.
    """

    number: int
    since_first_ns: int
    what: Message | Event
    context: Context
    ring: int | None = None
    ring_name: str = ""
    reply_to: int | None = None
    latency_ns: int | None = None
    phase: str | None = None
    loop: str | None = None
    problems: tuple[Problem, ...] = ()
