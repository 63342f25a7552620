"""Framing holds under every split: bytes and descriptors out are bytes and descriptors in."""

import struct
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vutrace.framing import MAX_FDS, FramedMessage, Framer
from vutrace.protocol.wire import HEADER_SIZE
from vutrace.records import Channel, FrameFlag

BOUND = 64
Sent = tuple[bytes, int]
"""A message and how many descriptors go with its first byte."""


def message(request: int, payload: bytes, flags: int = 1) -> bytes:
    return struct.pack("=III", request, flags, len(payload)) + payload


sent = st.tuples(st.builds(message, st.integers(0, 60), st.binary(max_size=3 * BOUND)), st.integers(0, 3))


class Reader:
    """Reads as a socket is read: at most what is asked for, and never past bytes that carry descriptors."""

    def __init__(self, framer: Framer[int]) -> None:
        self.framer = framer
        self.bytes = b""
        self.fds: list[int] = []
        self.where: dict[int, int] = {}
        self.messages: list[FramedMessage[int]] = []

    def take(self, parts: list) -> None:  # type: ignore[type-arg]
        for part in parts:
            assert part.data or not part.fds
            assert len(part.fds) <= MAX_FDS
            self.where |= dict.fromkeys(part.fds, len(self.bytes))
            self.bytes += part.data
            self.fds += part.fds
            if part.message:
                self.messages.append(part.message)

    def read(self, data: bytes, fds: list[int], cuts: set[int], offset: int = 0) -> None:
        """All of `data`, in pieces that end at `cuts`, with `fds` at its first byte."""
        while data:
            size = self.framer.wants()
            assert size > 0
            size = next((cut - offset for cut in sorted(cuts) if offset < cut < offset + size), size)
            self.take(self.framer.feed(data[:size], fds))
            fds, data, offset = [], data[size:], offset + size


@given(st.lists(sent, max_size=12), st.sets(st.integers(0, 2000)))
def test_messages_come_out_as_they_went_in_however_they_are_split(sent: list[Sent], cuts: set[int]) -> None:
    reader: Reader = Reader(Framer(bound=BOUND))
    number, offset = 0, 0
    for data, count in sent:
        reader.read(data, list(range(number, number + count)), cuts, offset)
        number += count
        offset += len(data)
    assert reader.bytes == b"".join(data for data, _ in sent)
    assert reader.fds == list(range(number))
    assert [len(found.fds) for found in reader.messages] == [count for _, count in sent]
    for found, (data, _) in zip(reader.messages, sent, strict=True):
        assert found.wire_size == len(data)
        assert found.data == data[:BOUND]
        assert bool(found.flags & FrameFlag.CUT) == (len(data) > BOUND)


@given(st.lists(sent, min_size=1, max_size=6), st.data())
def test_a_message_that_the_sender_broke_off_is_passed_on_and_told(
    sent: list[Sent], data: st.DataObject
) -> None:
    stream = b"".join(bytes_ for bytes_, _ in sent)
    end = data.draw(st.integers(0, len(stream)))
    reader = Reader(Framer(bound=BOUND))
    reader.read(stream[:end], [], data.draw(st.sets(st.integers(0, len(stream)))))
    reader.take(reader.framer.finish())
    assert reader.bytes == stream[:end]
    assert sum(found.wire_size for found in reader.messages) == end
    broken = [found for found in reader.messages if found.flags & FrameFlag.PARTIAL]
    ends = {0, *(len(b"".join(bytes_ for bytes_, _ in sent[: n + 1])) for n in range(len(sent)))}
    assert len(broken) == (end not in ends)


@given(st.binary(max_size=5000), st.sets(st.integers(0, 5000)), st.sampled_from(list(Channel)))
def test_random_bytes_pass_unchanged(noise: bytes, cuts: set[int], channel: Channel) -> None:
    reader = Reader(Framer(channel, BOUND))
    reader.read(noise, [], cuts)
    reader.take(reader.framer.finish())
    assert reader.bytes == noise
    assert sum(found.wire_size for found in reader.messages) == len(noise)


@given(st.lists(sent, max_size=12))
def test_ends_agree_with_what_is_fed(sent: list[Sent]) -> None:
    stream = b"".join(data for data, _ in sent)
    framer: Framer[int] = Framer(bound=BOUND)
    ends = framer.ends(stream, len(stream), len(stream))
    for begin, end in pairwise([0, *ends]):
        (part,) = framer.feed(stream[begin:end])
        assert part.message
        assert part.message.data == stream[begin:end]
    first_long = next((n for n, (data, _) in enumerate(sent) if len(data) > BOUND), len(sent))
    assert len(ends) == first_long


def test_a_held_message_can_be_released_and_is_still_one_message() -> None:
    reader = Reader(Framer())
    data = message(5, b"x" * 30)
    reader.read(data[:20], [7], set())
    assert reader.bytes == b""
    assert reader.framer.holds
    reader.take(reader.framer.release())
    assert (reader.bytes, reader.fds) == (data[:20], [7])
    reader.read(data[20:], [8], set())
    (found,) = reader.messages
    assert (found.data, found.fds, found.flags) == (data, (7, 8), FrameFlag.NONE)


def test_descriptors_may_ride_on_any_byte_of_a_header() -> None:
    reader = Reader(Framer(Channel.GPU))
    data = struct.pack("=III", 9, 0, 40) + bytes(40)
    for piece, fds in ((data[:4], []), (data[4:8], [1]), (data[8:12], []), (data[12:], [2])):
        reader.read(piece, fds, set())
    (found,) = reader.messages
    assert found.fds == (1, 2)
    assert reader.where == {1: 0, 2: 0}


def test_more_descriptors_than_one_sendmsg_carries_go_in_parts() -> None:
    reader = Reader(Framer())
    data = message(5, bytes(8))
    reader.read(data[:12], list(range(MAX_FDS)), set())
    reader.read(data[12:], list(range(MAX_FDS, MAX_FDS + 10)), set())
    assert reader.bytes == data
    assert len(reader.messages[0].fds) == MAX_FDS + 10


def test_a_wrong_flag_word_alone_still_frames() -> None:
    reader = Reader(Framer())
    data = message(99, b"abc", flags=0xFFFFFFFF)
    reader.read(data + message(1, b""), [], set())
    assert [found.data for found in reader.messages] == [data, message(1, b"")]
    assert not reader.framer.lost


def test_an_absurd_size_is_no_framing_any_more() -> None:
    reader = Reader(Framer())
    data = struct.pack("=III", 1, 1, 0xFFFFFFF0) + b"whatever"
    reader.read(data, [], set())
    assert "4294967280" in reader.framer.lost
    assert reader.bytes == data
    assert all(found.flags & FrameFlag.RAW for found in reader.messages)
    reader.read(message(1, b""), [3], set())
    assert reader.messages[-1].flags & FrameFlag.RAW
    assert reader.messages[-1].fds == (3,)


def test_a_gpu_update_of_a_large_screen_is_one_message() -> None:
    reader = Reader(Framer(Channel.GPU))
    data = struct.pack("=III", 8, 0, 33_177_620) + bytes(33_177_620)
    for start in range(0, len(data), 100_000):
        reader.read(data[start : start + 100_000], [], set())
    (found,) = reader.messages
    assert found.wire_size == len(data)
    assert found.flags == FrameFlag.CUT
    assert not reader.framer.lost


def test_truncated_ancillary_data_is_told() -> None:
    framer: Framer[int] = Framer()
    (part,) = framer.feed(message(5, bytes(8)), [1], fds_lost=True)
    assert part.message
    assert part.message.flags == FrameFlag.FDS_LOST
    (part,) = framer.feed(message(5, bytes(8)))
    assert part.message
    assert part.message.flags == FrameFlag.NONE


def test_a_header_is_twelve_bytes() -> None:
    assert HEADER_SIZE == 12
