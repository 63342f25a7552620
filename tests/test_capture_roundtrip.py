"""What goes into a capture comes out of it."""

import io
import os
import stat
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.capture_samples import (
    KICK,
    SAMPLE,
    START,
    block,
    decoded,
    encoded,
    interface,
    message,
    option,
    packet,
    pdu,
    section,
)
from kit.strategies import captures, connections

from vutrace.capture import (
    MAX_PACKET,
    Item,
    Reader,
    Writer,
    connection_block,
    create,
    read,
    record_block,
    section_block,
)
from vutrace.capture.interface import decode_name, encode_name
from vutrace.records import (
    Channel,
    Connection,
    Event,
    EventKind,
    FdInfo,
    FdKind,
    Frame,
    FrameFlag,
    Side,
    connection_letter,
)

FRAME = Frame(START, 0, 1, Channel.MAIN, Side.FRONTEND, message(1), wire_size=12)
BOTH_ORDERS = pytest.mark.parametrize("order", ["<", ">"])


@given(captures())
def test_every_record_comes_back(items: list[Item]) -> None:
    assert decoded(encoded(items)) == items


@given(connections())
def test_endpoints_are_recovered_whatever_they_are_called(connection: Connection) -> None:
    assert decode_name(encode_name(connection)) == connection


@given(captures(), st.integers(1, 7))
def test_the_size_of_the_chunks_does_not_matter(items: list[Item], size: int) -> None:
    data = encoded(items)
    assert list(Reader(data[at : at + size] for at in range(0, len(data), size))) == items


def test_the_reader_sums_up() -> None:
    reader = read(io.BytesIO(encoded(SAMPLE)))
    assert list(reader) == SAMPLE
    assert reader.connections == SAMPLE[:2]
    assert (reader.records, reader.skipped, reader.cut) == (len(SAMPLE) - 2, 0, False)


def test_pure_functions_make_the_same_file() -> None:
    record = SAMPLE[2]
    assert isinstance(record, Event)
    data = (
        section_block("a machine")
        + connection_block(Connection(0, "f", "b"), START)
        + record_block(record, 0)
    )
    assert decoded(data) == [Connection(0, "f", "b"), record]


def test_the_layout_is_the_documented_one() -> None:
    """docs/capture-format.md, byte by byte: a dissector in Lua relies on these offsets."""
    frame = Frame(START, 3, 2, Channel.BACKEND, Side.BACKEND, b"data", (KICK,), FrameFlag.CUT, 99, True)
    data = record_block(frame, 0)
    assert data[28:48] == b"\0\x0c\0\x0cvhost_user\0\0\0\0\0\0"
    head = struct.unpack_from("<4sBBBBIIIHBBQI", data, 48)
    length = 36 + 8 + 56 + 8 + 20
    assert head == (b"VUTR", 1, 1, 2, 2, length, 3, 2, 1, 1, 0, 99, 1)
    assert struct.unpack_from("<II", data, 84) == (1, 84)
    fixed = struct.unpack_from("<BBHIQQQqQii", data, 92)
    assert fixed == (1, 0, 0b1100, 0, 15, 1061, 0, 77, 1, 0, 0)
    assert struct.unpack_from("<II20s", data, 148) == (1, 20, b"anon_inode:[eventfd]")
    assert data[48 + length :][:4] == b"data"
    assert struct.unpack_from("<HHI", data, 48 + length + 4) == (2, 4, 0b01)


def test_a_file_is_private_and_private_ones_are_kept(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with Writer(tmp_path / "new.pcapng") as writer:
            writer.write(Connection(0, "f", "b"))
        create(tmp_path / "other.pcapng").close()
    finally:
        os.umask(old)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new.pcapng", "other.pcapng")}
    assert modes == {0o600}


def test_the_writer_wants_connections_first() -> None:
    writer = Writer(io.BytesIO())
    with pytest.raises(ValueError, match="connection 0 must be written before"):
        writer.write(FRAME)
    writer.write(Connection(0, "f", "b"))
    with pytest.raises(ValueError, match="already"):
        writer.write(Connection(0, "f", "b"))


def test_one_connection_of_several_keeps_its_number() -> None:
    items = [Connection(7, "f", "b"), Event(START, 7, 1, EventKind.NOTE, "alone")]
    assert decoded(encoded(items)) == items
    assert connection_letter(7).encode() in encoded(items)


def test_a_message_above_wiresharks_limit_is_cut_and_marked() -> None:
    frame = Frame(START, 0, 1, Channel.GPU, Side.BACKEND, bytes(MAX_PACKET), wire_size=MAX_PACKET)
    _, kept = decoded(encoded([Connection(0, "f", "b"), frame]))
    assert isinstance(kept, Frame)
    assert kept.flags == FrameFlag.CUT
    assert kept.wire_size == MAX_PACKET
    assert len(pdu(kept)) == MAX_PACKET


def test_far_too_many_descriptors_are_cut_and_marked() -> None:
    info = FdInfo(FdKind.FILE, name="x" * 4096)
    frame = Frame(START, 0, 1, Channel.MAIN, Side.FRONTEND, message(5), (info,) * 1000, wire_size=12)
    _, kept = decoded(encoded([Connection(0, "f", "b"), frame]))
    assert isinstance(kept, Frame)
    assert (len(kept.fds), kept.flags, kept.data) == (253, FrameFlag.FDS_LOST, frame.data)


def test_an_event_of_any_size_fits() -> None:
    many = {f"name{number}": "x" * 50_000 for number in range(100)}
    block = record_block(Event(START, 0, 1, EventKind.NOTE, "y" * 50_000, attributes=many), 0)
    assert len(block) < MAX_PACKET


def test_text_that_is_no_unicode_does_not_stop_a_recording() -> None:
    record_block(Event(START, 0, 1, EventKind.NOTE, "\ud800"), 0)


@BOTH_ORDERS
def test_both_byte_orders(order: str) -> None:
    data = section(order) + interface(order, (2, "A f ⇄ b".encode()), (9, b"\x09"))
    assert decoded(data + packet(order, 0, START, pdu(FRAME))) == [Connection(0, "f", "b"), FRAME]


@pytest.mark.parametrize(
    ("options", "ticks", "time_ns"),
    [
        ([], 5, 5000),
        ([(9, b"\x06")], 5, 5000),
        ([(9, b"\x03")], 5, 5_000_000),
        ([(9, b"\x0c")], 5999, 5),
        ([(9, b"\x8a")], 1024, 1_000_000_000),
        ([(9, b"\x09"), (14, (2).to_bytes(8, "big"))], 7, 2_000_000_007),
        ([(9, b"\x09"), (14, (-1).to_bytes(8, "big", signed=True))], START, START - 1_000_000_000),
    ],
)
def test_any_unit_of_time(options: list[tuple[int, bytes]], ticks: int, time_ns: int) -> None:
    data = section(">") + interface(">", *options) + packet(">", 0, ticks, pdu(FRAME))
    assert decoded(data)[-1].time_ns == time_ns  # type: ignore[union-attr]


@BOTH_ORDERS
def test_what_other_programs_put_between_is_skipped(order: str) -> None:
    ours = interface(order, (2, "A f ⇄ b".encode()), (9, b"\x09"), (1, b"a comment"), (12, b"Linux"))
    ethernet = interface(order, (2, b"eth0"), link_type=1)
    others = [block(order, kind, bytes(16)) for kind in (4, 5, 9, 10, 0x0BAD, 0x40000BAD, 0x80000001)]
    foreign_pdu = b"\0\x0c\0\x04http\0\0\0\0GET /"
    packets = [
        packet(order, 0, 0, bytes(60)),
        packet(order, 1, START, foreign_pdu),
        packet(order, 1, START, pdu(FRAME)),
        block(order, 3, struct.pack(order + "I", 4) + bytes(4)),
    ]
    reader = read(io.BytesIO(section(order) + ethernet + ours + b"".join(others + packets)))
    assert list(reader) == [Connection(0, "f", "b"), FRAME]
    assert (reader.records, reader.skipped) == (1, 3)


def test_more_tags_may_stand_before_the_pseudo_header() -> None:
    tags = b"\0\x21\0\x04VHU\0" + b"\0\x0c\0\x0avhost_user\0\0" + b"\0\0\0\0"
    rest = pdu(FRAME)[20:]
    data = section("<") + interface("<", (9, b"\x09")) + packet("<", 0, START, tags + rest)
    assert decoded(data) == [Connection(0, "", ""), FRAME]


def test_unknown_tlvs_codes_and_kinds_of_later_versions_are_skipped() -> None:
    event = Event(START, 0, 1, EventKind.OPEN, "hello")
    head = bytearray(pdu(event)[20:])
    head[23] = 200  # an event kind of the future
    head[8:12] = struct.pack("<I", len(head) + 12)
    head += struct.pack("<II", 999, 1) + b"?\0\0\0"
    unknown_kind = bytearray(pdu(event))
    unknown_kind[25] = 77
    tags = pdu(event)[:20]
    data = section("<") + interface("<", (2, "A f ⇄ b".encode()), (9, b"\x09"))
    data += packet("<", 0, START, tags + bytes(head)) + packet("<", 0, START, bytes(unknown_kind))
    assert decoded(data) == [Connection(0, "f", "b"), Event(START, 0, 1, EventKind.NOTE, "hello")]


def test_a_packet_cut_by_a_snap_length_is_marked() -> None:
    data = (
        section("<") + interface("<", (9, b"\x09")) + packet("<", 0, START, pdu(FRAME)[:-2], len(pdu(FRAME)))
    )
    *_, frame = decoded(data)
    assert isinstance(frame, Frame)
    assert (frame.data, frame.flags) == (FRAME.data[:-2], FrameFlag.CUT)


def test_concatenated_captures_have_distinct_connections() -> None:
    first = encoded([Connection(0, "f", "b"), FRAME])
    second = encoded([Connection(0, "other", "b"), FRAME])
    items = decoded(first + second)
    assert [item for item in items if isinstance(item, Connection)] == [
        Connection(0, "f", "b"),
        Connection(1, "other", "b"),
    ]
    assert [item.connection for item in items if isinstance(item, Frame)] == [0, 1]


def test_stdin_need_not_be_seekable() -> None:
    program = "from vutrace.capture import read\nreader = read('-')\nprint(len(list(reader)), reader.cut)"
    done = subprocess.run(
        [sys.executable, "-c", program], input=encoded(SAMPLE)[:-1], capture_output=True, check=True
    )
    assert done.stdout.split() == [str(len(SAMPLE) - 1).encode(), b"True"]


def test_memory_does_not_grow_with_the_capture() -> None:
    head = section_block() + connection_block(Connection(0, "f", "b"), START)
    records = record_block(FRAME, 0) * 1000
    tracemalloc.start()
    reader = Reader(head if number == 0 else records for number in range(40))
    assert sum(1 for _ in reader) == 39_001
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_options_helper_pads() -> None:
    assert len(option("<", 2, b"abc")) == 8
