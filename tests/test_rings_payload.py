"""`proxy --payload`: packets and requests out of chains that came back, in the same capture."""

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.ring_lab import BUFFERS, GUEST, INDIRECT, NEXT, TABLE, WRITE, Memory, Packed, Split
from test_rings_proxy import Machine

from vutrace.capture import read, section_block
from vutrace.capture.packets import link_interface, link_packet
from vutrace.records import Event, EventKind
from vutrace.rings.packed import PackedForm
from vutrace.rings.payload import MOST, Kept, PayloadReader
from vutrace.rings.payload_kinds import Payload
from vutrace.rings.split import SplitForm

FRAME = bytes.fromhex("ffffffffffff 525400123456 0806") + bytes(range(50))
HEADER = bytes(12)
ASKED, ANSWERED = 0x200, 0x400  # behind BUFFERS


@pytest.fixture
def memory() -> Iterator[Memory]:
    memory = Memory()
    yield memory
    os.close(memory.fd)


def form(memory: Memory, order: str = "<") -> SplitForm:
    return SplitForm(memory.seen(), 8, memory.addresses, order, False)


def reader(word: str, ring: int, snaplen: int = 96) -> PayloadReader:
    """One for a ring of such a device."""
    kind = Payload(word, snaplen).of_ring(ring)
    assert kind
    return PayloadReader(kind)


def kept(payload: PayloadReader) -> list[Kept]:
    """What was read."""
    return payload.drain()[0]


def test_a_sent_frame_is_what_stands_behind_the_header(memory: Memory) -> None:
    both, frames = Split(memory), reader("net", 1, 20)
    os.pwrite(memory.fd, HEADER + FRAME, BUFFERS)
    both.describe(0, 12, NEXT, 1)
    both.describe(1, len(FRAME), address=GUEST + BUFFERS + 12)
    both.use([0])
    frames.take(form(memory), 0, 1)
    assert kept(frames) == [(FRAME[:20], len(FRAME))]


def test_a_received_frame_is_as_long_as_the_device_wrote(memory: Memory) -> None:
    both, frames = Split(memory), reader("net", 0, 1000)
    os.pwrite(memory.fd, HEADER + FRAME, BUFFERS)
    both.describe(0, 2048, WRITE)
    both.use([0])
    memory.write(0x2000 + 4, "<II", 0, 12 + len(FRAME))
    frames.take(form(memory), 0, 1)
    assert kept(frames) == [(FRAME, len(FRAME))]


def test_what_cannot_be_read_is_counted(memory: Memory) -> None:
    both, frames = Split(memory), reader("net", 1, 64)
    both.describe(0, 64, NEXT, 0)  # without end
    both.describe(1, 64, address=1 << 50)  # nowhere
    both.describe(2, 5)  # shorter than the header
    both.describe(3, 64, WRITE)  # nothing to read
    both.use([0, 1, 2, 3])
    frames.take(form(memory), 0, 4)
    assert frames.drain() == ([], 4)
    frames.take(form(memory), 0, 1000)
    assert frames.drain()[1] == 1000
    for head in range(8):
        both.describe(head, 64)
    both.use([4, 5, 6, 7, 0, 1, 2, 3])
    for _ in range(2 * MOST // 8):
        frames.take(form(memory), 4, 8)
    found, missed = frames.drain()
    assert (len(found), missed) == (MOST, MOST)


def test_of_chains_with_one_head_only_the_latest_is_there_to_be_read(memory: Memory) -> None:
    both, frames = Split(memory), reader("net", 1)
    both.describe(4, 64)
    both.use([4] * 3)
    frames.take(form(memory), 0, 3)
    found, missed = frames.drain()
    assert (len(found), missed) == (1, 2)


def test_a_frame_received_in_a_packed_ring_is_kept_and_a_sent_one_counted(memory: Memory) -> None:
    both, packed = Packed(memory), PackedForm(memory.seen(), 8, memory.addresses)
    frames, sent = reader("net", 0), reader("net", 1)
    os.pwrite(memory.fd, HEADER + FRAME, BUFFERS)
    both.make(), both.make()
    before = packed.indexes()
    both.use()
    memory.write(8, "<I", len(HEADER + FRAME))  # the device leaves its length where the buffer's was
    assert packed.steps(before.used, packed.indexes().used) == 1
    frames.take(packed, before.used, 1)
    assert frames.drain() == ([(FRAME, len(FRAME))], 0)
    both.use()
    memory.write(16 + 8, "<I", 0)
    sent.take(packed, before.used, 2)
    assert sent.drain() == ([], 2)


def blk(memory: Memory, kind: int, sector: int, length: int, status: int, order: str = "<") -> None:
    """A request of a disk in an indirect table, as Linux makes it."""
    os.pwrite(memory.fd, struct.pack(f"{order}IIQ", kind, 0, sector), BUFFERS + ASKED)
    os.pwrite(memory.fd, bytes([status]), BUFFERS + ANSWERED)
    data = NEXT | (WRITE if kind == 0 else 0)
    rows = ((ASKED, 16, NEXT, 1), (0x800, length, data, 2), (ANSWERED, 1, WRITE, 0))
    for at, (place, size, flags, following) in enumerate(rows):
        memory.write(TABLE + 16 * at, f"{order}QIHH", GUEST + BUFFERS + place, size, flags, following)
    memory.write(0, f"{order}QIHH", GUEST + TABLE, 48, INDIRECT, 0)


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        (0, 0, "ring 2: read, 8 sectors at sector 2048: ok"),
        (1, 1, "ring 2: write, 8 sectors at sector 2048: I/O error"),
        (4, 2, "ring 2: flush: unsupported"),
        (99, 7, "ring 2: type 99: status 7"),
    ],
)
def test_a_request_of_a_disk_is_told_by_its_header_and_status(
    memory: Memory, kind: int, status: int, text: str
) -> None:
    requests = reader("blk", 2)
    blk(memory, kind, 2048, 4096, status)
    Split(memory).use([0])
    requests.take(form(memory), 0, 1)
    (found,) = kept(requests)
    assert found[0] == text
    facts = {"ring": "2", "sector": "2048", "length": "4096"}
    assert facts.items() <= dict(found[1]).items()  # type: ignore[call-overload]


def test_a_request_of_a_file_system_is_told_by_both_headers(memory: Memory) -> None:
    both, requests = Split(memory), reader("fs", 1)
    both.describe(0, 56, NEXT, 1, GUEST + BUFFERS + ASKED)
    both.describe(1, 120, WRITE, 0, GUEST + BUFFERS + ANSWERED)
    both.use([0])
    memory.write(0x2000 + 4, "<II", 0, 16)
    memory.write(BUFFERS + ASKED, "<IIQQIIIHH", 56, 3, 9, 1, 1000, 100, 4711, 0, 0)
    memory.write(BUFFERS + ANSWERED, "<IiQ", 16, -2, 9)
    requests.take(form(memory), 0, 1)
    (found,) = kept(requests)
    assert found[0] == "ring 1: GETATTR of node 1: ENOENT"
    facts = {"opcode": "GETATTR", "unique": "9", "pid": "4711", "error": "ENOENT", "answered": "16"}
    assert facts.items() <= dict(found[1]).items()  # type: ignore[call-overload]


def test_a_packet_of_a_vsock_is_what_wireshark_knows_as_one(memory: Memory, tmp_path: Path) -> None:
    both, packets = Split(memory), reader("vsock", 1, 47)
    packet = struct.pack("<QQIIIHHIII", 3, 2, 1024, 5000, 5, 1, 5, 0, 65536, 0) + b"hello"
    os.pwrite(memory.fd, packet, BUFFERS)
    both.describe(0, 44, NEXT, 1)
    both.describe(1, 5, address=GUEST + BUFFERS + 44)
    both.use([0])
    packets.take(form(memory), 0, 1)
    (found,) = kept(packets)
    assert found[1] == 32 + 44 + 5
    assert found[0][-3:] == b"hel"  # type: ignore[index]
    if shutil.which("tshark"):
        file = tmp_path / "vsock.pcapng"
        block = link_packet(1, *found, 0, 0)  # type: ignore[arg-type]
        file.write_bytes(section_block() + link_interface("ring 1", packets.kind.link) + block)
        words = ["tshark", "-r", str(file), "-T", "fields", "-e", "vsock.src_cid", "-e", "vsock.dst_port"]
        listed = subprocess.run([*words, "-e", "vsock.virtio.op"], capture_output=True, text=True, check=True)
        assert listed.stdout.split() == ["3", "5000", "5"]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path, ("--rings", "20ms", "--payload", "net", "--snaplen", "30"))
    yield machine
    machine.close()


def test_frames_are_packets_of_the_same_capture(machine: Machine) -> None:
    transmit = machine.ring(1)
    machine.wait_sample(1)
    place = machine.frontend.profile.guest_address + transmit.memory.start + 0x800
    os.pwrite(transmit.memory.fd, HEADER + FRAME, transmit.memory.start + 0x800)
    transmit.describe(5, 12 + len(FRAME), address=place)
    transmit.make([5])
    machine.wait_sample(1, available=1)
    transmit.use([5])
    machine.wait_sample(1, used=1)
    said = machine.process.stop(machine.child)
    assert "payload: 1 frames kept, 0 came and went between looks" in said
    assert "what the guest sends and receives" in said
    data = machine.process.capture.read_bytes()
    assert data.count(FRAME[:30]) == 1
    assert data.count(FRAME[:31]) == 0
    assert list(read(machine.process.capture))
    if shutil.which("tshark"):
        words = ["tshark", "-r", str(machine.process.capture), "-Y", "eth", "-T", "fields"]
        words += ["-e", "eth.src", "-e", "frame.len"]
        listed = subprocess.run(words, capture_output=True, text=True, check=True)
        assert listed.stdout.split() == ["52:54:00:12:34:56", str(len(FRAME))]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path, ("--rings", "20ms", "--payload", "blk"))
    yield machine
    machine.close()


def test_requests_are_events_of_the_same_capture_and_no_rows_unless_asked_for(disk: Machine) -> None:
    ring = disk.ring(1)
    disk.wait_sample(1)
    base = disk.frontend.profile.guest_address + ring.memory.start
    for at, (place, size, flags, following) in enumerate(
        ((0x800, 16, NEXT, 1), (0xA00, 512, NEXT | WRITE, 2), (0x900, 1, WRITE, 0))
    ):
        ring.describe(at, size, flags, following, base + place)
    ring.memory.write(0x800, "<IIQ", 0, 0, 77)
    ring.make([0])
    disk.wait_sample(1, available=1)
    ring.use([0])
    disk.wait_sample(1, used=1)
    assert "payload: 1 requests kept, 0 came and went between looks" in disk.process.stop(disk.child)
    records = [each for each in disk.process.records() if isinstance(each, Event)]
    told = [each for each in records if each.kind is EventKind.PAYLOAD]
    assert [each.text for each in told] == ["ring 1: read, 1 sector at sector 77: ok"]
    assert told[0].attributes["sector"] == "77"
