"""How bytes become messages, and what a header may say ("Communication", "Header")."""

import os
import select
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

from vutrace.conform.case import Case, Level, UnmetError
from vutrace.conform.probe import Probe
from vutrace.conform.speaker import ACK
from vutrace.peers.encode import SPECS
from vutrace.protocol.wire import HEADER, HEADER_SIZE, NEED_REPLY, REPLY, VERSION

GET = HEADER.pack(SPECS["GET_FEATURES"].number, VERSION, 0)
OWNER = HEADER.pack(SPECS["SET_OWNER"].number, VERSION, 0)
SET = HEADER.pack(SPECS["SET_FEATURES"].number, VERSION, 8)
MOST_FDS = 253
LEAK_WAIT = 0.5
UNKNOWN = (0, 99, 1000, 0x7FFF_FFFF, 0xFFFF_FFFF)
VERSIONS = (0, 2, 3)


def in_pieces(*cuts: int) -> Callable[[Probe], None]:
    """GET_FEATURES, cut at these places."""

    def act(probe: Probe) -> None:
        places = (0, *cuts, HEADER_SIZE)
        probe.pieces(*(GET[start:end] for start, end in pairwise(places)))
        probe.reply("GET_FEATURES")

    return act


def payload_later(probe: Probe) -> None:
    offered = probe.number("GET_FEATURES", "features")
    probe.pieces(SET, offered.to_bytes(8, "little"))
    probe.silent("SET_FEATURES")


def payload_bytewise(probe: Probe) -> None:
    offered = probe.number("GET_FEATURES", "features")
    probe.pieces(SET, *(bytes([byte]) for byte in offered.to_bytes(8, "little")))
    probe.silent("SET_FEATURES")


def several_at_once(probe: Probe) -> None:
    probe.pieces(GET * 3)
    for _ in range(3):
        probe.reply("GET_FEATURES")


def orders_then_question(probe: Probe) -> None:
    probe.pieces(OWNER + GET)
    probe.reply("GET_FEATURES")


def broken_off(data: bytes) -> Callable[[Probe], None]:
    """A connection that ends in the middle of a message."""

    def act(probe: Probe) -> None:
        probe.ask("GET_FEATURES")
        probe.pieces(data)
        probe.disconnect()
        reconnects(probe)

    return act


def reconnects(probe: Probe) -> None:
    """The peer is there again, or ended in order."""
    if crash := probe.target.crash(0.05):
        raise UnmetError(crash)
    if probe.target.running():
        probe.survives()


def closed_at_once(probe: Probe) -> None:
    probe.connect()
    probe.disconnect()
    reconnects(probe)


def closed_unread(probe: Probe) -> None:
    probe.send("GET_FEATURES")
    probe.disconnect()
    reconnects(probe)


def surplus(probe: Probe) -> None:
    """Whether a descriptor that nobody asked for is closed, which its pipe tells."""
    read, write = os.pipe2(os.O_CLOEXEC)
    probe.guest.keep(read)
    probe.send("GET_FEATURES", b"", [write])
    os.close(write)
    probe.survives()
    poll = select.poll()
    poll.register(read, select.POLLHUP)
    if not poll.poll(LEAK_WAIT * 1000):
        raise UnmetError("the descriptor was kept open")


def many_descriptors(probe: Probe) -> None:
    fd = probe.guest.eventfd()
    probe.send("GET_FEATURES", b"", [fd] * MOST_FDS)
    probe.survives()


# Headers


def version(number: int, probe: Probe) -> None:
    probe.raw(HEADER.pack(SPECS["GET_FEATURES"].number, number, 0))
    message = probe.whatever()
    if message and not message.problems and message.fields:
        raise UnmetError(f"a reply to a request of version {number}")
    probe.survives()


def flags(more: int, probe: Probe) -> None:
    probe.raw(HEADER.pack(SPECS["GET_FEATURES"].number, VERSION | more, 0))
    probe.survives()


def unknown(number: int, probe: Probe) -> None:
    probe.hello()
    probe.raw(HEADER.pack(number, VERSION, 0))
    probe.survives()


def unknown_asked(number: int, probe: Probe) -> None:
    probe.hello()
    probe.raw(HEADER.pack(number, VERSION | NEED_REPLY, 0))
    message = probe.whatever()
    if message and message.number_in("u64") == 0 and probe.protocol & ACK:
        raise UnmetError("acknowledged as done")
    if message and HEADER.unpack_from(message.frame.data)[0] == number and message.payload == bytes(8):
        raise UnmetError("acknowledged as done (status 0)")
    probe.survives()


def huge(size: int, probe: Probe) -> None:
    probe.hello()
    probe.raw(HEADER.pack(SPECS["SET_FEATURES"].number, VERSION, size) + bytes(64))
    probe.disconnect()
    reconnects(probe)


def cases() -> Iterator[Case]:
    """All of them."""
    stream, should = "Communication", Level.SHOULD
    rows: tuple[tuple[str, str, str, Callable[[Probe], None], Level], ...] = (
        ("framing/question", "GET_FEATURES", "a reply", in_pieces(), Level.MUST),
        ("framing/header-in-two", "a header in two writes", "a reply", in_pieces(6), should),
        ("framing/header-after-a-byte", "one byte, then the rest", "a reply", in_pieces(1), should),
        ("framing/header-bytewise", "a header byte by byte", "a reply", in_pieces(*range(1, 12)), should),
        ("framing/payload-later", "SET_FEATURES, its payload later", "it waits for the rest", payload_later,
         should),
        ("framing/payload-bytewise", "SET_FEATURES, its payload byte by byte", "it waits for the rest",
         payload_bytewise, should),
        ("framing/three-at-once", "GET_FEATURES three times in one write", "three replies", several_at_once,
         should),
        ("framing/order-and-question", "SET_OWNER and GET_FEATURES in one write", "one reply",
         orders_then_question, should),
        ("framing/closed-in-header", "half a header, then the end", "it is there for the next connection",
         broken_off(GET[:5]), should),
        ("framing/closed-in-payload", "half a payload, then the end", "it is there for the next connection",
         broken_off(SET + b"\0\0"), should),
        ("framing/closed-at-once", "nothing, then the end", "it is there for the next connection",
         closed_at_once, should),
        ("framing/closed-unread", "GET_FEATURES, whose reply nobody reads",
         "it is there for the next connection", closed_unread, should),
        ("framing/surplus-descriptor", "GET_FEATURES with a descriptor", "the descriptor is closed", surplus,
         should),
        ("hostile/many-descriptors", f"GET_FEATURES with {MOST_FDS} descriptors", "it does not die",
         many_descriptors, should),
    )  # fmt: skip
    for name, sends, expects, act, level in rows:
        yield Case(name, stream, sends, expects, act, level)
    yield from header_cases()


def header_cases() -> Iterator[Case]:
    """Flag words, request numbers and sizes."""
    for number in VERSIONS:
        yield Case(
            f"header/version-{number}", "Header", f"GET_FEATURES of version {number}",
            "no reply as if it were version 1", partial(version, number), Level.MAY,
        )  # fmt: skip
    for word, more in (("reply-flag", REPLY), ("unknown-flag", 1 << 4), ("all-flags", 0xFFFF_FFFC)):
        yield Case(
            f"header/{word}", "Header", f"GET_FEATURES with flags {VERSION | more:#x}",
            "an answer or the end, and it does not die", partial(flags, more), Level.SHOULD,
        )  # fmt: skip
    for number in UNKNOWN:
        yield Case(
            f"header/request-{number:#x}", "Front-end message types", f"request {number}, which there is not",
            "it goes on or closes, and does not die", partial(unknown, number), Level.SHOULD,
        )  # fmt: skip
        yield Case(
            f"header/request-{number:#x}-acknowledged", "VHOST_USER_PROTOCOL_F_REPLY_ACK",
            f"request {number} with NEED_REPLY", "an error or the end, and no success",
            partial(unknown_asked, number), Level.SHOULD, ("REPLY_ACK",),
        )  # fmt: skip
    for word, size in (("4-gib", 0xFFFF_FFFF), ("1-mib", 1 << 20), ("negative", 0x8000_0000)):
        yield Case(
            f"hostile/size-{word}", "Header", f"SET_FEATURES that claims {size} bytes, then the end",
            "the connection ends, and it does not die", partial(huge, size), Level.SHOULD,
        )  # fmt: skip
