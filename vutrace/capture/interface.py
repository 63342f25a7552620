"""A pcapng interface: one connection, named "A FRONTEND ⇄ BACKEND", with the unit of its times."""

import re
import struct
from dataclasses import dataclass

from vutrace.capture.blocks import WIRESHARK_UPPER_PDU, walk_options
from vutrace.capture.errors import MalformedError
from vutrace.records import Connection, connection_letter

IF_NAME, IF_TSRESOL, IF_TSOFFSET = 2, 9, 14
ARROW = "⇄"
# Escaped, so that a name has exactly one arrow whatever the endpoints are called.
ESCAPES = (("%", "%25"), (ARROW, "%E2%87%84"))
NAME = re.compile(rf"([A-Z]{{1,6}}) ([^{ARROW}]*) {ARROW} ([^{ARROW}]*)", re.DOTALL)
# Two socket paths, each byte escaped, are shorter; bounds what a hostile file's names can fill.
LONGEST_NAME = 4096
MICROSECONDS = 6
LAST_TIME = 1 << 64


def encode_name(connection: Connection) -> bytes:
    """The `if_name` of a connection."""
    frontend, backend = escape(connection.frontend), escape(connection.backend)
    name = f"{connection_letter(connection.number)} {frontend} {ARROW} {backend}"
    return name.encode("utf-8", "surrogateescape")


def decode_name(name: bytes) -> Connection | None:
    """The connection that an `if_name` tells; None where it is not one of ours."""
    match = NAME.fullmatch(name[:LONGEST_NAME].decode("utf-8", "surrogateescape"))
    if match is None:
        return None
    letters, frontend, backend = match.groups()
    return Connection(letter_number(letters), unescape(frontend), unescape(backend))


@dataclass(frozen=True, slots=True)
class Interface:
    """One Interface Description Block. A tick is `tick_ns[0] / tick_ns[1]` ns, times start at `offset_ns`.

    `ours`: its packets can be vutrace's; `plain`: its ticks are nanoseconds since the epoch as they stand.
    """

    ours: bool
    plain: bool
    connection: Connection | None
    tick_ns: tuple[int, int]
    offset_ns: int

    def time_ns(self, ticks: int) -> int:
        """Nanoseconds since the epoch; MalformedError beyond 64 bits."""
        multiple, divisor = self.tick_ns
        time = ticks * multiple // divisor + self.offset_ns
        if not 0 <= time < LAST_TIME:
            raise MalformedError("a time outside of 1970..2554")
        return time


def decode_interface(data: bytes, start: int, end: int, order: str) -> Interface:
    """The interface in the body of an Interface Description Block; raises MalformedError."""
    if end - start < 8:
        raise MalformedError("an interface description of less than 8 bytes")
    options = dict(walk_options(data, start + 8, end, order))
    resolution = options.get(IF_TSRESOL, bytes([MICROSECONDS]))
    offset = options.get(IF_TSOFFSET, bytes(8))
    if len(resolution) != 1 or len(offset) != 8:
        raise MalformedError("an interface with a time option of the wrong size")
    tick_ns, seconds = tick(resolution[0]), struct.unpack(order + "q", offset)[0]
    return Interface(
        ours=struct.unpack_from(order + "H", data, start)[0] == WIRESHARK_UPPER_PDU,
        plain=tick_ns == (1, 1) and not seconds,
        connection=decode_name(options.get(IF_NAME, b"")),
        tick_ns=tick_ns,
        offset_ns=seconds * 1_000_000_000,
    )


def tick(resolution: int) -> tuple[int, int]:
    """if_tsresol: a negative power of 10, or of 2 with the highest bit set."""
    second = 1_000_000_000
    ticks: int = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    return (1, 1) if ticks == second else (second, ticks)


def letter_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def escape(endpoint: str) -> str:
    for plain, escaped in ESCAPES:
        endpoint = endpoint.replace(plain, escaped)
    return endpoint


def unescape(endpoint: str) -> str:
    for plain, escaped in reversed(ESCAPES):
        endpoint = endpoint.replace(escaped, plain)
    return endpoint
