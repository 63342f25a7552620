"""What was recorded as the answer to a request, found by what the request means and not by its place."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from vutrace.dissection.message import Message
from vutrace.protocol.effects import Fact
from vutrace.replay.script import Exchange
from vutrace.session.context import Context

Meaning = tuple[Any, ...]


def meaning(message: Message, context: Context) -> Meaning:
    """What a request asks; `context` is the negotiation before it."""
    asked = [message.number_in(name) for name in message.spec.question]
    if message.spec.tells(Fact.STATUS, reply=True):  # which is what was last set
        asked.append(context.status or 0)
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
