"""Delta debugging of a replay: the fewest messages after which the live peer still fails.

Sans I/O: `fails` is asked about a choice of messages, and acts it out. Source: Zeller and Hildebrandt,
"Simplifying and isolating failure-inducing input" (ddmin).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from vutrace.protocol.wire import HEADER, HEADER_SIZE
from vutrace.replay.mutate import numeric, packet_of, replaced
from vutrace.replay.script import Exchange, Script

T = TypeVar("T")
Fails = Callable[[Sequence[T]], bool]


class AskedOnce:
    """Asks whether a choice of messages fails, each choice once; `runs` is how often it really asked."""

    def __init__(self, fails: Callable[[Sequence[Exchange]], bool]) -> None:
        self._fails, self._known = fails, dict[tuple[bytes, ...], bool]()
        self.runs = 0

    def __call__(self, chosen: Sequence[Exchange]) -> bool:
        """Whether the peer fails after these."""
        key = tuple(exchange.message.frame.data for exchange in chosen)
        if key not in self._known:
            self.runs += 1
            self._known[key] = self._fails(chosen)
        return self._known[key]


def fewest(items: Sequence[T], fails: Fails[T]) -> list[T]:
    """A choice of `items`, in order, that fails, and of which no single one can be left out."""
    chosen, parts = list(items), 2
    while len(chosen) >= 2:
        size = -(-len(chosen) // parts)
        pieces = [chosen[at : at + size] for at in range(0, len(chosen), size)]
        without = ([each for other in pieces if other is not piece for each in other] for piece in pieces)
        smaller = next((piece for piece in pieces if len(pieces) > 1 and fails(piece)), None)
        if smaller is not None:
            chosen, parts = smaller, 2
            continue
        smaller = next((rest for rest in without if rest and fails(rest)), None)
        if smaller is not None:
            chosen, parts = smaller, max(parts - 1, 2)
        elif parts >= len(chosen):
            break
        else:
            parts = min(len(chosen), 2 * parts)
    return chosen


def plainest(chosen: Sequence[Exchange], fails: Fails[Exchange]) -> list[Exchange]:
    """The same messages, with zero in each number that may be it, and without needless descriptors."""
    plain = list(chosen)
    for place in range(len(plain)):
        for change in (without_descriptors, *zeroings(plain[place])):
            tried = [*plain[:place], change(plain[place]), *plain[place + 1 :]]
            if tried[place] != plain[place] and fails(tried):
                plain = tried
    return plain


def without_descriptors(exchange: Exchange) -> Exchange:
    """The exchange without what came along with its request."""
    frame = exchange.message.frame
    return replaced(exchange, frame.data, ()) if frame.fds else exchange


def zeroings(exchange: Exchange) -> list[Callable[[Exchange], Exchange]]:
    """A change for each number in a request's payload that is not zero."""
    packet = packet_of(exchange.message)
    count = len(list(numeric(packet))) if packet else 0
    return [zeroing(number) for number in range(count)]


def zeroing(number: int) -> Callable[[Exchange], Exchange]:
    """The change that makes the payload's number at a place zero."""

    def change(exchange: Exchange) -> Exchange:
        packet = packet_of(exchange.message)
        if packet is None:
            return exchange
        holder, name, _ = list(numeric(packet))[number]
        if not holder.getfieldval(name):
            return exchange
        holder.setfieldval(name, 0)
        payload = bytes(packet)
        request, flags, _ = HEADER.unpack_from(exchange.message.frame.data)
        if len(payload) != len(exchange.message.frame.data) - HEADER_SIZE:
            return exchange
        return replaced(exchange, HEADER.pack(request, flags, len(payload)) + payload)

    return change


def with_main(scripts: Sequence[Script], chosen: Sequence[Exchange]) -> list[Script]:
    """The sessions with the chosen messages alone; one that has none left is left out."""
    parts: dict[tuple[int, int], list[Exchange]] = {}
    for exchange in chosen:
        frame = exchange.message.frame
        parts.setdefault((frame.connection, frame.session), []).append(exchange)
    return [
        replace(script, main=parts[script.connection, script.session], side=[])
        for script in scripts
        if (script.connection, script.session) in parts
    ]
