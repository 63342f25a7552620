"""What was recorded as the answer to a request, found by what the request means and not by its place."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vutrace.dissection.message import Message
from vutrace.replay.script import Exchange
from vutrace.session.context import Context

Meaning = tuple[Any, ...]


def fields(*names: str) -> Callable[[Message, Context], Meaning]:
    """A question that is put by these fields."""
    return lambda message, context: tuple(message.number_in(name) for name in names)


def state(message: Message, context: Context) -> Meaning:
    """A question about the status, which is what was last set."""
    return (context.status or 0,)


# What besides its name and its ring makes one request another.
QUESTIONS: Mapping[str, Callable[[Message, Context], Meaning]] = {
    "GET_CONFIG": fields("offset", "size"),
    "GET_INFLIGHT_FD": fields("num_queues", "queue_size"),
    "GET_STATUS": state,
    "SET_DEVICE_STATE_FD": fields("direction"),
}


def meaning(message: Message, context: Context) -> Meaning:
    """What a request asks; `context` is the negotiation before it."""
    question = QUESTIONS.get(message.name)
    asked = question(message, context) if question else ()
    return message.channel, message.request, message.ring, *asked


class Answers:
    """Recorded exchanges by meaning: each is used once, in order, and the last of them again and again."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._left: dict[Meaning, list[Exchange]] = defaultdict(list)
        for exchange in exchanges:
            self._left[meaning(exchange.message, exchange.row.context)].append(exchange)
        for left in self._left.values():
            left.reverse()
        self._unasked = set(self._left)

    @property
    def all_asked(self) -> bool:
        """Whether everything that was recorded has been asked at least once."""
        return not self._unasked

    def find(self, message: Message, context: Context) -> Exchange | None:
        """The recorded exchange for a live request; None where nothing like it was recorded."""
        asked = meaning(message, context)
        self._unasked.discard(asked)
        left = self._left.get(asked)
        if not left:
            return None
        return left.pop() if len(left) > 1 else left[0]
