"""What was forwarded and is not recorded: how many messages of which kinds, from when to when, by session."""

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vutrace.capture.missing import MissingKind, attributes_of
from vutrace.capture.pseudo_header import MESSAGE
from vutrace.protocol.wire import HEADER
from vutrace.proxy.pending import CHANNELS, SENDERS, Item, What, ends_of, unpack_origin
from vutrace.records import Event, EventKind
from vutrace.sockets.passed import descriptors

# Of a packet block: its length, the time; of the pseudo-header: kind, channel, sender, length, connection,
# session. (A message of less than 4 bytes has what follows it for a request.)
BLOCK = struct.Struct("<4xI4xII8x20x5xBBBIII")
HEADER_AT = 48
REQUEST = struct.Struct("=I")
MOST_KINDS = 32  # told one by one in a gap; a peer may make up any number of them
MOST_GAPS = 4096  # sessions with one at a time
OTHERS = MissingKind("", "", -1)
FULL = "the buffer was full"
LATE = "vutrace was stopped before they were written"


@dataclass(slots=True)
class Gap:
    """What is missing of one session."""

    first_ns: int
    last_ns: int
    messages: int = 0
    kinds: Counter[MissingKind] = field(default_factory=Counter)

    def add(self, time_ns: int, kind: MissingKind, count: int = 1) -> None:
        """So many messages more."""
        self.last_ns = time_ns
        self.messages += count
        known = kind in self.kinds or len(self.kinds) < MOST_KINDS
        self.kinds[kind if known else OTHERS] += count


class Gaps:
    """Counts items instead of keeping them; `take` gives what was counted, as items, and begins anew."""

    def __init__(self) -> None:
        self._gaps: dict[tuple[int, int], Gap] = {}

    def __bool__(self) -> bool:
        return bool(self._gaps)

    def take(self, why: str) -> list[Item]:
        """The gaps since the last time."""
        return [self._take(place, why) for place in list(self._gaps)]

    def _take(self, place: tuple[int, int], why: str) -> Item:
        gap = self._gaps.pop(place)
        kinds = {tuple(kind): count for kind, count in gap.kinds.items()}  # marshal knows no other tuples
        return What.GAP.value, *place, why, gap.first_ns, gap.last_ns, gap.messages, kinds

    def count(self, items: Iterable[Item], why: str, events: bool, quick: bool = False) -> Iterator[Item]:
        """Count the messages among `items`; gives back what has to be sent even so, `events` too or not.

        `quick`: there is no time to look at each message of a burst.
        """
        for item in items:
            if item[0] >= 0:
                self._message(item[0], item[1], item[2])
                if item[3]:
                    yield What.CLOSE.value, descriptors(item[3]).tolist()
            elif item[0] == What.BURST:
                self.burst(item[1], item[2], item[3], item[4] if quick else 0)
            elif item[0] in (What.SINGLE, What.ACTED):
                self._message(item[1], item[2], item[3])
                yield What.CLOSE.value, [fd for fd, ours in zip(item[4], item[5], strict=True) if ours]
            elif item[0] in (What.EVENT, What.OPEN) and not events:
                self._gap(item[2], item[3], item[1])
            else:
                if item[0] in (What.EVENT, What.OPEN) and item[2:4] in self._gaps:
                    yield self._take(item[2:4], why)
                yield item

    def burst(self, time_ns: int, origin: bytes, data: bytes, quick: int = 0) -> None:
        """Whole messages, back to back; `quick` is their number where that is to be enough."""
        if quick:
            place = unpack_origin(origin)
            self._gap(place.connection, place.session, time_ns).add(time_ns, OTHERS, quick)
            return
        begin, unpack, requests = 0, HEADER.unpack_from, Counter[int]()
        for end in ends_of(data):
            requests[unpack(data, begin)[0]] += 1
            begin = end
        connection, session, channel, sender, *_ = unpack_origin(origin)
        gap = self._gap(connection, session, time_ns)
        for request, count in requests.items():
            gap.add(time_ns, MissingKind(str(channel), str(sender), request), count)

    def blocks(self, blocks: bytes) -> None:
        """Messages that are blocks of a capture already."""
        begin = 0
        while begin < len(blocks):
            size, high, low, kind, channel, sender, length, *place = BLOCK.unpack_from(blocks, begin)
            if kind == MESSAGE:
                time_ns = high << 32 | low
                (request,) = REQUEST.unpack_from(blocks, begin + HEADER_AT + length)
                told = MissingKind(str(CHANNELS[channel]), str(SENDERS[sender]), request)
                self._gap(place[0], place[1], time_ns).add(time_ns, told)
            begin += size

    def _message(self, time_ns: int, origin: bytes, data: bytes) -> None:
        connection, session, channel, sender, *_ = unpack_origin(origin)
        request = HEADER.unpack_from(data)[0] if len(data) >= HEADER.size else -1
        self._gap(connection, session, time_ns).add(time_ns, MissingKind(str(channel), str(sender), request))

    def _gap(self, connection: int, session: int, time_ns: int) -> Gap:
        place = connection, session
        if place not in self._gaps and len(self._gaps) >= MOST_GAPS:
            place = next(reversed(self._gaps))
        return self._gaps.setdefault(place, Gap(time_ns, time_ns))


def gap_event(item: Item) -> Event:
    """The record that stands in the place of what is missing."""
    _, connection, session, why, first, last, messages, kinds = item
    most = {
        MissingKind(*kind): count
        for kind, count in sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    }
    told = ", ".join(f"{count} × {kind}" for kind, count in list(most.items())[:4])
    more = f" and {len(most) - 4} kinds more" if len(most) > 4 else ""
    text = f"{messages} messages in {(last - first) / 1e9:.3f} s are not recorded, {why}: {told}{more}"
    attributes = {"messages": str(messages), "first_ns": str(first), "last_ns": str(last), "why": why}
    attributes |= attributes_of(most)
    return Event(first, connection, session, EventKind.GAP, text, attributes=attributes)
