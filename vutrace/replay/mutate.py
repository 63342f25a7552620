"""Reproducible damage: some messages of a recording changed, field by field, through their scapy layers.

A seed and a recording give the same changes on every machine and in every run. The framing stays whole:
a back-end is to be tried with what messages say, not only with bytes that are none.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from vutrace.dissection.dissector import Dissector
from vutrace.dissection.message import Message
from vutrace.protocol.layers import Array, Fixed, Layer, Listed, Nested, Number, Tail, in_order
from vutrace.protocol.wire import HEADER, HEADER_SIZE, NEED_REPLY
from vutrace.replay.script import Exchange, Script

MOST = 3  # mutations of one run

dissect = Dissector()


@dataclass(frozen=True, slots=True)
class Mutation:
    """What was done to the message of a row, in words."""

    row: int
    name: str
    what: str

    def __str__(self) -> str:
        return f"[{self.row}] {self.name}: {self.what}"


def mutated(script: Script, seed: int) -> tuple[Script, list[Mutation]]:
    """A recording with one to three mutations, which `seed` decides."""
    random = Random(seed)
    main, done = list(script.main), []
    for _ in range(random.randint(1, MOST)):
        place = random.randrange(len(main))
        mutate = random.choices([each for each, _ in WAYS], [weight for _, weight in WAYS])[0]
        exchange = main[place]
        what = mutate(main, place, random)
        done.append(Mutation(exchange.row.number, exchange.message.name, what))
        if not main:
            break
    return replace(script, main=main or list(script.main)), done


Way = Callable[[list[Exchange], int, Random], str]
"""Changes the exchanges at a place; says how."""


def field(main: list[Exchange], place: int, random: Random) -> str:
    """Another value in one field of the payload."""
    message = main[place].message
    packet = packet_of(message)
    numbers = list(numeric(packet)) if packet else []
    if packet is None or not numbers:
        return need_reply(main, place, random)
    holder, name, bits = random.choice(numbers)
    before = holder.getfieldval(name)
    holder.setfieldval(name, worse(before, bits, random))
    put(main, place, bytes(packet))
    return f"{name} {before:#x} -> {holder.getfieldval(name):#x}"


def worse(value: int, bits: int, random: Random) -> int:
    """Another number of so many bits: an edge, a neighbour, a flipped bit, or anything."""
    top = (1 << bits) - 1
    choices = [0, 1, top, top >> 1, value + 1, value - 1, value ^ 1 << random.randrange(bits)]
    found = random.choice([*choices, random.getrandbits(bits)]) & top
    return found if found != value & top else found ^ top


def need_reply(main: list[Exchange], place: int, random: Random) -> str:
    """An acknowledgement is asked for where none was, or not asked for."""
    frame = main[place].message.frame
    request, flags, size = HEADER.unpack_from(frame.data)
    data = HEADER.pack(request, flags ^ NEED_REPLY, size) + frame.data[HEADER_SIZE:]
    main[place] = replaced(main[place], data)
    return "without NEED_REPLY" if flags & NEED_REPLY else "with NEED_REPLY"


def shorter(main: list[Exchange], place: int, random: Random) -> str:
    """The payload's end is missing; its size says so."""
    payload = main[place].message.payload
    if not payload:
        return longer(main, place, random)
    kept = random.randrange(len(payload))
    put(main, place, payload[:kept])
    return f"{kept} bytes of {len(payload)}"


def longer(main: list[Exchange], place: int, random: Random) -> str:
    """Bytes behind the payload."""
    extra = random.randbytes(random.randint(1, 64))
    put(main, place, main[place].message.payload + extra)
    return f"{len(extra)} bytes more"


def fewer_fds(main: list[Exchange], place: int, random: Random) -> str:
    """A descriptor is missing."""
    fds = main[place].message.frame.fds
    if not fds:
        return more_fds(main, place, random)
    gone = random.randrange(len(fds))
    main[place] = replaced(main[place], main[place].message.frame.data, (*fds[:gone], *fds[gone + 1 :]))
    return f"without descriptor {gone}"


def more_fds(main: list[Exchange], place: int, random: Random) -> str:
    """A descriptor too many, of those that the recording has."""
    every = [info for exchange in main for info in exchange.message.frame.fds]
    if not every:
        return need_reply(main, place, random)
    frame = main[place].message.frame
    main[place] = replaced(main[place], frame.data, (*frame.fds, random.choice(every)))
    return "one descriptor more"


def dropped(main: list[Exchange], place: int, random: Random) -> str:
    """The message is not sent."""
    del main[place]
    return "left out"


def doubled(main: list[Exchange], place: int, random: Random) -> str:
    """The message is sent twice."""
    main.insert(place, main[place])
    return "sent twice"


def swapped(main: list[Exchange], place: int, random: Random) -> str:
    """The message changes places with another."""
    other = random.randrange(len(main))
    main[place], main[other] = main[other], main[place]
    return f"changes places with [{main[place].row.number}]"


WAYS: Sequence[tuple[Way, int]] = (
    (field, 10),
    (need_reply, 1),
    (shorter, 1),
    (longer, 1),
    (fewer_fds, 2),
    (more_fds, 1),
    (dropped, 2),
    (doubled, 2),
    (swapped, 2),
)


def packet_of(message: Message) -> Layer | None:
    """The payload as its scapy layer, None where it has no such."""
    if not message.payload or message.problems:
        return None
    packet = in_order(message.layer, message.frame.big_endian)(message.payload)
    packet.raw_packet_cache = None
    return packet


def numeric(packet: Any) -> Iterator[tuple[Any, str, int]]:
    """Every number in a layer: the packet that holds it, its name and its bits."""
    for each in packet.fields_desc:
        value = packet.fields.get(each.name)
        if value is None or isinstance(each, Fixed | Tail | Array):
            continue
        if isinstance(each, Number):
            yield packet, each.name, each.sz * 8
        elif isinstance(each, Nested | Listed):
            for inner in value if isinstance(value, list) else [value]:
                inner.raw_packet_cache = None
                yield from numeric(inner)


def put(main: list[Exchange], place: int, payload: bytes) -> None:
    """Another payload for the message at a place."""
    request, flags, _ = HEADER.unpack_from(main[place].message.frame.data)
    main[place] = replaced(main[place], HEADER.pack(request, flags, len(payload)) + payload)


def replaced(exchange: Exchange, data: bytes, fds: Sequence[Any] | None = None) -> Exchange:
    """An exchange with another request; its recorded reply stays, for what that is worth."""
    frame = exchange.message.frame
    changed = replace(frame, data=data, wire_size=len(data), fds=frame.fds if fds is None else tuple(fds))
    return replace(exchange, message=dissect(changed))
