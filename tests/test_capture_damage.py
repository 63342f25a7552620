"""Captures that are cut, broken or hostile: a clear end, never a surprise."""

import io
import itertools
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.capture_samples import SAMPLE, START, decoded, encoded, interface, message, packet, pdu, section

from vutrace.capture import CaptureError, Item, Reader, connection_block, read, record_block, section_block
from vutrace.records import Channel, Connection, Frame, Side

WHOLE = encoded(SAMPLE)
FRAME = Frame(START, 0, 1, Channel.MAIN, Side.FRONTEND, message(1), wire_size=12)
OURS = section("<") + interface("<", (2, "A f ⇄ b".encode()), (9, b"\x09"))


def _ends() -> list[int]:
    """Offsets at which the blocks of the sample end: its section header, then one per item."""
    ends = [len(section_block())]
    for item in SAMPLE:
        block = connection_block(item, START) if isinstance(item, Connection) else record_block(item, 0)
        ends.append(ends[-1] + len(block))
    assert ends[-1] == len(WHOLE)
    return ends


def test_a_file_cut_anywhere_reads_up_to_the_last_whole_block() -> None:
    ends = _ends()
    for size in range(len(WHOLE)):
        reader = read(io.BytesIO(WHOLE[:size]))
        whole = sum(end <= size for end in ends)
        assert list(reader) == SAMPLE[: max(whole - 1, 0)]
        assert reader.cut == (size not in ends)


def _survive(data: bytes) -> None:
    """Records, then perhaps one CaptureError of one line; anything else fails the test."""
    problem = ""
    try:
        for item in read(io.BytesIO(data)):
            assert isinstance(item, Item)
    except CaptureError as error:
        problem = str(error)
    assert "\n" not in problem


@settings(max_examples=500)
@given(st.data())
def test_mutations_give_records_or_one_clear_error(data: st.DataObject) -> None:
    broken = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(broken) - 1))
        broken[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    _survive(bytes(broken))


@pytest.mark.parametrize("value", [0, 1, 0x7F, 0xFF])
def test_every_single_byte_may_be_wrong(value: int) -> None:
    for at in range(len(WHOLE)):
        _survive(WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :])


@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    _survive(data)
    _survive(OURS + data)
    _survive(OURS + packet("<", 0, START, pdu(FRAME)[:20] + data))
    _survive(OURS + packet("<", 0, START, pdu(FRAME)[:26] + data))


def _with(offset: int, code: str, value: int) -> bytes:
    """A capture whose one record has `value` at `offset` of its pseudo-header."""
    data = bytearray(pdu(FRAME))
    struct.pack_into("<" + code, data, 20 + offset, value)
    return OURS + packet("<", 0, START, bytes(data))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"hello, this is a text", "not a vutrace capture: it does not begin as a pcapng file does"),
        (b"oops", "not a vutrace capture"),
        (b"\x1f\x8b\x08" + b"\xff" * 20, "cannot be decompressed further"),
        (b"\xfd7zXZ\x00" + b"\xff" * 20, "cannot be decompressed further"),
        (section("<")[:8] + bytes(20), "at byte 0: a section without byte order"),
        (section("<", 2), "at byte 0: a section of pcapng version 2"),
        (OURS + struct.pack("<III", 6, 2**31, 0), f"at byte {len(OURS)}: a block length of 2147483648"),
        (OURS + bytes(12), f"at byte {len(OURS)}: a block length of 0"),
        (OURS + struct.pack("<IIII", 5, 16, 0, 20), "its two lengths differ|two lengths differ"),
        (section("<") + packet("<", 0, 0, b""), "a packet of interface 0, of 0"),
        (_with(0, "B", 0), "no vutrace pseudo-header"),
        (_with(4, "B", 2), "version 2, this vutrace reads 1: a newer one wrote it"),
        (_with(6, "B", 9), "unknown channel 9"),
        (_with(7, "B", 0), "unknown sender 0"),
        (_with(8, "I", 35), "a pseudo-header of 35 bytes"),
        (_with(8, "I", 4000), "a pseudo-header of 4000 bytes in a record of 48"),
        (_with(20, "H", 3), "0 file descriptors are described where 3 were passed"),
        (section("<") + interface("<", (9, b"")), "time option of the wrong size"),
        (OURS + packet("<", 0, START, pdu(FRAME)[:40], 68), "a record of 20 bytes"),
    ],
)
def test_errors_say_what_is_wrong_and_where(data: bytes, what: str) -> None:
    with pytest.raises(CaptureError, match=what):
        decoded(data)


def test_what_stands_before_the_damage_is_read() -> None:
    items: list[Item] = []
    # extend() keeps what came before the error.
    with pytest.raises(CaptureError, match=f"at byte {len(WHOLE)}"):
        items.extend(read(io.BytesIO(WHOLE + bytes(64))))
    assert items == SAMPLE


def test_endless_connections_do_not_fill_the_memory() -> None:
    def chunks() -> itertools.chain[bytes]:
        blocks = (
            packet("<", 0, START, pdu(Frame(START, number, 1, Channel.MAIN, Side.FRONTEND, b"")))
            for number in itertools.count()
        )
        return itertools.chain([OURS], blocks)

    with pytest.raises(CaptureError, match="more than 65536 connections"):
        for _ in Reader(chunks()):
            pass


def test_endless_interfaces_do_not_fill_the_memory() -> None:
    with pytest.raises(CaptureError, match="more than 65536 interfaces"):
        list(Reader(itertools.chain([section("<")], itertools.repeat(interface("<") * 100))))


def test_a_large_block_that_comes_byte_by_byte_is_not_copied_for_each() -> None:
    large = struct.pack("<II", 5, 1 << 20) + bytes((1 << 20) - 12) + struct.pack("<I", 1 << 20)
    data = section("<") + large + OURS
    assert list(Reader(data[at : at + 7] for at in range(0, len(data), 7))) == [Connection(0, "f", "b")]


def test_a_path_that_cannot_be_read(tmp_path: Path) -> None:
    for path, why in [(tmp_path / "none.pcapng", "No such file"), (tmp_path, "Is a directory")]:
        with pytest.raises(CaptureError, match=why):
            list(read(path))
