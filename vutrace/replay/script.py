"""A recorded session as something to act out: its exchanges in order, on the main channel and beside it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vutrace.dissection.dissector import Dissector
from vutrace.dissection.message import Message
from vutrace.protocol.wire import HEADER_SIZE, sender_of
from vutrace.records import Channel, Deed, Event, EventKind, FrameFlag, Side, connection_letter
from vutrace.session.acted import dropped_frame
from vutrace.session.row import Row

dissect = Dissector()
BROKEN = FrameFlag.CUT | FrameFlag.PARTIAL | FrameFlag.RAW


@dataclass(slots=True)
class Exchange:
    """A request as it was recorded, and its reply; None where none came.

    `after` is, on another than the main channel, how many main requests had been sent before.
    """

    row: Row
    message: Message
    reply: Message | None = None
    after: int = 0


@dataclass(slots=True)
class Script:
    """One recorded session; `side` are the exchanges of the channels that were passed.

    `device` is the device's name, "" where nobody knew. `closing` is the record of its end, None where the
    capture ends before.
    """

    connection: int
    session: int
    main: list[Exchange] = field(default_factory=list)
    side: list[Exchange] = field(default_factory=list)
    device: str = ""
    closing: Row | None = None
    first_ns: int = 0
    omitted: int = 0

    @property
    def closed_by(self) -> Side | None:
        """Who ended it, as far as the capture tells."""
        return self.closing.what.sender if self.closing and isinstance(self.closing.what, Event) else None

    def is_cut_before_the_reply_to(self, exchange: Exchange) -> bool:
        """Whether a reply may be missing because the capture ends there."""
        answered = (each.row.number for each in self.main if each.reply)
        return self.closing is None and exchange.row.number > max(answered, default=0)

    def replies(self) -> Iterator[Message]:
        """The replies on the main channel, in order."""
        return (each.reply for each in self.main if each.reply)


def scripts(rows: Iterable[Row], acts: Side | None = None) -> list[Script]:
    """The sessions of a capture that have messages, in the order of their first record.

    Where rules acted, the side that `acts` says what its peer got, and hears what that peer had said.
    """
    building: dict[tuple[int, int], Script] = {}
    asked: dict[int, Exchange] = {}
    for row in rows:
        what = row.what
        place = what if isinstance(what, Event) else what.frame
        key = place.connection, place.session
        script = building.setdefault(key, Script(*key, first_ns=place.time_ns))
        if row.context.device.number or row.context.weight:
            script.device = row.context.device.name
        message = what if acts is None and isinstance(what, Message) else of_side(row, acts)
        if message:
            add(script, row, message, asked)
        elif isinstance(what, Event) and what.kind is EventKind.CLOSE and what.channel is Channel.MAIN:
            script.closing = row
    return [script for script in building.values() if script.main]


def of_side(row: Row, acts: Side | None) -> Message | None:
    """The message of a row as it is acted out: what the peer said is as it came, and all of it."""
    record = row.record
    if isinstance(record, Event):
        theirs = acts and record.kind is EventKind.DROPPED and record.sender is not acts
        dropped = dropped_frame(record) if theirs else None
        return dissect(dropped) if dropped else None
    assert isinstance(row.what, Message)
    if record.sender is acts or record.acted is None:
        return row.what
    return None if record.acted.deed is Deed.MADE else row.came or row.what


def add(script: Script, row: Row, message: Message, asked: dict[int, Exchange]) -> None:
    """Put a message where it belongs; what is no whole message cannot be acted out and is counted."""
    if message.frame.flags & BROKEN or len(message.frame.data) < HEADER_SIZE:
        script.omitted += 1
    elif message.reply:
        exchange = asked.get(row.reply_to or 0)
        if exchange:
            exchange.reply = message
    elif message.frame.sender is sender_of(message.channel, reply=False):
        exchange = asked[row.number] = Exchange(row, message, after=len(script.main))
        (script.main if message.channel is Channel.MAIN else script.side).append(exchange)


def connections(found: Iterable[Script]) -> list[str]:
    """The letters of the connections that have sessions."""
    return sorted({connection_letter(each.connection) for each in found})


def choose_scripts(found: Iterable[Script], letter: str, session: int | None) -> list[Script]:
    """The sessions of a connection ("" for any), or one of them."""
    return [
        each
        for each in found
        if letter in ("", connection_letter(each.connection)) and session in (None, each.session)
    ]
