"""What was sent on the sockets that a session passed on: how many messages of each name, and where."""

from vutrace.dissection.message import Message
from vutrace.records import Channel
from vutrace.session.model import SideMessages

NAMES_KEPT = 64


class SideChannels:
    """The requests of one session on other channels than the main one; `omitted` have further names."""

    def __init__(self) -> None:
        self._found: dict[tuple[Channel, str], SideMessages] = {}
        self.omitted = 0

    def feed(self, number: int, message: Message) -> None:
        """Take the message of row `number`."""
        if message.channel is Channel.MAIN or message.reply:
            return
        key = message.channel, message.name
        known = self._found.get(key)
        if known is None and len(self._found) >= NAMES_KEPT:
            self.omitted += 1
            return
        first, count = (known.first, known.count) if known else (number, 0)
        self._found[key] = SideMessages(*key, message.frame.sender, count + 1, first, number)

    def value(self) -> tuple[SideMessages, ...]:
        """What was counted, in the order of the first of each."""
        return tuple(self._found.values())
