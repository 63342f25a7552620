"""From frames to messages: any bytes give a message, and what is wrong with it in words."""

import struct
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.strategies import fd_infos, frames, hostile_frames, messages

from vutrace.dissection.dissector import Dissector
from vutrace.dissection.layouts import layouts_of
from vutrace.dissection.message import Message
from vutrace.plugin import Layer, MessageSpec, table, u32
from vutrace.problems import Problem
from vutrace.protocol import payloads as p
from vutrace.protocol.layers import Empty
from vutrace.protocol.messages import TABLES
from vutrace.protocol.payloads.gpu import Update
from vutrace.protocol.wire import sender_of
from vutrace.records import Channel, FdInfo, FdKind, Frame, FrameFlag, Side

DISSECT = Dissector()
FD = FdInfo(FdKind.EVENTFD)


def frame(
    number: int,
    payload: bytes = b"",
    flags: int = 1,
    fds: int = 0,
    channel: Channel = Channel.MAIN,
    sender: Side | None = None,
    size: int | None = None,
) -> Frame:
    """A frame of a little-endian host."""
    data = struct.pack("<III", number, flags, len(payload) if size is None else size) + payload
    side = sender or sender_of(channel, reply=bool(flags & 4))
    return Frame(0, 0, 1, channel, side, data, (FD,) * fds, wire_size=len(data))


def texts(message: Message) -> tuple[str, ...]:
    """What is wrong with a message, in words."""
    return tuple(problem.text for problem in message.problems)


@settings(max_examples=500, deadline=None)
@given(messages())
def test_nothing_is_wrong_with_a_valid_message(valid: Frame) -> None:
    message = DISSECT(valid)
    assert message.problems == ()
    assert message.rest == b""
    assert len(message.fields) == len(message.layer.fields_desc) or not message.payload


@settings(max_examples=1000, deadline=None)
@given(hostile_frames() | frames())
def test_any_frame_gives_a_message(hostile: Frame) -> None:
    message = DISSECT(hostile)
    assert message.frame is hostile
    assert isinstance(message.name, str)
    assert all(isinstance(problem, Problem) for problem in message.problems)
    assert message.ring is None or message.ring >= 0
    assert message.nofd in (True, False)
    assert message.size >= 0


@settings(deadline=None)
@given(messages(), st.integers(0, 40))
def test_a_message_cut_short_is_a_problem(valid: Frame, kept: int) -> None:
    if kept < len(valid.data):
        assert DISSECT(replace(valid, data=valid.data[:kept], wire_size=kept)).problems


def test_a_configuration_space_of_another_size_than_it_says_is_a_problem() -> None:
    lying = DISSECT(frame(24, struct.pack("<III", 0, 60, 0) + bytes(8), flags=5))
    assert texts(lying) == ("payload of 20 bytes, expected 0 or 8 or 12 + size (config space)",)
    assert DISSECT(frame(24, b"", flags=5)).problems == ()  # the back-end's way to say that it failed


@settings(deadline=None)
@given(messages(), st.lists(fd_infos(), min_size=10, max_size=12).map(tuple))
def test_too_many_descriptors_are_a_problem(valid: Frame, fds: Sequence[FdInfo]) -> None:
    assert any("attached" in each for each in texts(DISSECT(replace(valid, fds=tuple(fds)))))


@settings(deadline=None)
@given(messages().filter(lambda valid: valid.channel is not Channel.GPU))
def test_the_wrong_side_sending_is_a_problem(valid: Frame) -> None:
    problems = texts(DISSECT(replace(valid, sender=valid.sender.peer)))
    assert problems == (next(each for each in problems if f"from the {valid.sender.peer.words}" in each),)


@pytest.mark.parametrize("flags", [0, 4, 5, 0x5555])
def test_on_the_gpu_channel_the_sender_tells_requests_from_replies(flags: int) -> None:
    sent = frame(8, bytes(20), flags=flags, channel=Channel.GPU)
    message = DISSECT(replace(sent, sender=Side.BACKEND))
    assert (message.reply, message.need_reply, message.layer, message.problems) == (False, False, Update, ())
    assert DISSECT(replace(sent, sender=Side.FRONTEND)).reply


REGIONS = [bytes(32), bytes(40)]
SIZES_IN_THE_WILD = [
    (frame(6, bytes(16), fds=1), p.Log),
    (frame(6, bytes(8)), p.U64),
    (frame(6, b"", flags=5), Empty),
    (frame(6, bytes(8), flags=5), p.LogSize),
    (frame(6, bytes(16), flags=5), p.Log),
    (frame(5, struct.pack("<II", 8, 0) + 8 * REGIONS[0], fds=8), p.MemoryTable),
    (frame(5, struct.pack("<II", 4, 0) + 4 * REGIONS[1], fds=4), p.XenMemoryTable),
    (frame(5, struct.pack("<II", 5, 0) + 5 * REGIONS[0], fds=5), p.MemoryTable),
    (frame(5, bytes(8)), p.MemoryTable),
    (frame(5, struct.pack("<II", 1, 0) + REGIONS[0], flags=5), p.MemoryTable),
    (frame(5, bytes(8), flags=5), p.Ack),
    (frame(37, bytes(40), fds=1), p.SingleRegion),
    (frame(37, bytes(48), fds=1), p.XenSingleRegion),
    (frame(37, bytes(8)), p.U64),
    (frame(37, bytes(40), flags=5), p.SingleRegion),
    (frame(38, bytes(40), fds=1), p.SingleRegion),
    (frame(24, bytes(12)), p.Config),
    (frame(24, bytes(4) + (256).to_bytes(4, "little") + bytes(4 + 256)), p.Config),
    (frame(24, b"", flags=5), Empty),
    (frame(24, bytes(12), flags=5), p.Config),
    (frame(24, struct.pack("<Q", 1), flags=5), p.Ack),
    (frame(26, bytes(1072)), p.CryptoSession),
    (frame(26, struct.pack("<Q", 0x404) + bytes(1064)), p.AsymmetricCryptoSession),
    (frame(26, bytes(632)), p.OldCryptoSession),
    (frame(28, b"", flags=5, fds=1), Empty),
    (frame(28, struct.pack("<Q", 1), flags=5), p.Ack),
    (frame(41, b""), Empty),
    (frame(44, bytes(2056), flags=5), p.ShmemConfig),
    (frame(44, bytes(8)), p.VringState),
    (frame(44, bytes(8), flags=5), p.VringBase),
]


@pytest.mark.parametrize(
    ("seen", "layer"),
    SIZES_IN_THE_WILD,
    ids=[f"{seen.data[0]}-{seen.data[4]}-{layer.__name__}" for seen, layer in SIZES_IN_THE_WILD],
)
def test_sizes_that_differ_in_the_wild_dissect(seen: Frame, layer: type[Layer]) -> None:
    message = DISSECT(seen)
    assert message.layer is layer
    assert message.problems == ()


PROBLEMS = [
    (frame(1, flags=0), "version 0 in flags 0x0, expected 1"),
    (frame(1, flags=0x11), "unknown bits in flags 0x11"),
    (frame(8, bytes(4)), "payload of 4 bytes, expected 8 (vring state)"),
    (frame(8, bytes(8), size=9), "the header announces 9 bytes, 8 follow"),
    (frame(6, bytes(3)), "payload of 3 bytes, expected 8 or 16 (log)"),
    (frame(3, bytes(2)), "payload of 2 bytes, expected none"),
    (
        frame(5, struct.pack("<II", 2, 0) + bytes(32), fds=2),
        "payload of 40 bytes, expected 8 + 32 × nregions or 8 + 40 × nregions (memory table)",
    ),
    (frame(77), "unknown request 77"),
    (frame(12, struct.pack("<Q", 0x100), fds=1), "1 descriptor attached, expected no descriptor"),
    (frame(12, struct.pack("<Q", 0)), "0 descriptors attached, expected 1"),
    (frame(38, bytes(40), fds=2), "2 descriptors attached, expected 0 to 1"),
    (frame(1, sender=Side.BACKEND), "a request from the back-end, which sends only replies on this channel"),
    (
        frame(1, bytes(8), flags=5, sender=Side.FRONTEND),
        "a reply from the front-end, which sends only requests on this channel",
    ),
    (
        frame(1, bytes(8), flags=5, channel=Channel.GPU, sender=Side.FRONTEND),
        "flags 0x5: only REPLY is known on the GPU channel",
    ),
    (
        frame(8, bytes(16), fds=1, channel=Channel.BACKEND),
        "1 descriptor attached, expected no descriptor",  # rust-vmm
    ),
]


@pytest.mark.parametrize(("wrong", "problem"), PROBLEMS, ids=[text.replace(" ", "-") for _, text in PROBLEMS])
def test_what_is_wrong_is_said(wrong: Frame, problem: str) -> None:
    assert problem in texts(DISSECT(wrong))


def test_what_the_relay_noticed_comes_first() -> None:
    noticed = replace(frame(8, bytes(4)), flags=FrameFlag.CUT | FrameFlag.FDS_LOST)
    assert [each.split(":")[0] for each in texts(DISSECT(noticed))] == [
        "recorded only in part",
        "descriptors were lost",
    ]


def test_bytes_that_are_no_message() -> None:
    short = replace(frame(1), data=b"\1\2\3")
    assert texts(DISSECT(short)) == ("3 bytes are less than a header",)
    raw = replace(frame(1), flags=FrameFlag.RAW)
    assert DISSECT(raw).fields == {"data": raw.data}


def test_short_and_long_payloads_keep_what_is_there() -> None:
    short = DISSECT(frame(9, bytes(16)))
    assert list(short.fields) == ["index", "flags", "descriptor"]
    long = DISSECT(frame(8, bytes(8) + b"more"))
    assert (long.fields, long.rest) == ({"index": 0, "num": 0}, b"more")


@pytest.mark.parametrize(
    ("seen", "ring", "nofd"),
    [
        (frame(8, struct.pack("<II", 7, 1)), 7, False),
        (frame(12, struct.pack("<Q", 0x103)), 3, True),
        (frame(13, struct.pack("<Q", 3), fds=1), 3, False),
        (frame(3, struct.pack("<Q", 3), fds=1, channel=Channel.BACKEND), None, False),
        (frame(3, struct.pack("<QQQ", 3, 0, 0), fds=1, channel=Channel.BACKEND), 3, False),
        (frame(1), None, False),
        (frame(12, bytes(8), flags=5), None, False),
    ],
)
def test_the_ring_that_a_message_is_about(seen: Frame, ring: int | None, nofd: bool) -> None:
    message = DISSECT(seen)
    assert (message.ring if message.problems == () else ring, message.nofd) == (ring, nofd)


class Ping(Layer):
    fields_desc = [u32("sequence")]


def test_a_plugins_messages_dissect_beside_the_specs() -> None:
    extra = {Channel.MAIN: table(MessageSpec(2000, "ACME_PING", (Ping,), (Ping,)))}
    dissect = Dissector(extra)
    message = dissect(frame(2000, struct.pack("<I", 5)))
    assert (message.name, message.fields, message.problems) == ("ACME_PING", {"sequence": 5}, ())
    assert dissect(frame(3)).name == "SET_OWNER"
    assert DISSECT(frame(2000)).name == "UNKNOWN(2000)"


def test_a_message_of_a_big_endian_host() -> None:
    data = struct.pack(">IIIII", 8, 1, 8, 2, 256)
    message = DISSECT(replace(frame(8), data=data, big_endian=True))
    assert (message.fields, message.problems) == ({"index": 2, "num": 256}, ())


def test_layouts_say_their_sizes() -> None:
    spec = TABLES[Channel.MAIN][24]
    assert layouts_of(spec, reply=True, big_endian=False).sizes == "0 or 8 or 12 + size"


def alone(message: Message) -> Message:
    """The message without what it has in common with others."""
    return message._replace(content=None)


@given(hostile_frames() | messages(), st.integers(0, 1 << 40))
def test_a_message_that_came_before_is_the_same_in_another_frame(frame: Frame, later: int) -> None:
    dissect, again = Dissector(), replace(frame, time_ns=later, session=frame.session + 1)
    assert dissect(frame)[1:] == dissect(again)[1:]
    assert alone(dissect(again)) == alone(Dissector()(again))
    assert dissect(again).frame is again


@given(messages(), st.sampled_from(["sender", "channel", "flags", "big_endian", "fds", "data"]))
def test_the_same_bytes_elsewhere_are_another_message(frame: Frame, what: str) -> None:
    other: Frame = {
        "sender": lambda: replace(frame, sender=frame.sender.peer),
        "channel": lambda: replace(frame, channel=Channel.GPU),
        "flags": lambda: replace(frame, flags=FrameFlag.FDS_LOST),
        "big_endian": lambda: replace(frame, big_endian=not frame.big_endian),
        "fds": lambda: replace(frame, fds=(*frame.fds, FdInfo(FdKind.OTHER))),
        "data": lambda: replace(frame, data=frame.data + b"more"),
    }[what]()
    dissect = Dissector()
    before = dissect(frame)
    assert alone(dissect(other)) == alone(Dissector()(other))
    assert other == frame or before.content is None or before.content is not dissect(other).content
