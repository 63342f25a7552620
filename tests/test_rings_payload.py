"""`proxy --payload net`: frames out of chains that came back, as packets that any Wireshark reads."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.ring_lab import BUFFERS, GUEST, NEXT, WRITE, Memory, Split
from test_rings_proxy import Machine

from vutrace.capture import read
from vutrace.rings.payload import MOST, PayloadReader
from vutrace.rings.split import SplitForm

FRAME = bytes.fromhex("ffffffffffff 525400123456 0806") + bytes(range(50))
HEADER = bytes(12)


@pytest.fixture
def memory() -> Iterator[Memory]:
    memory = Memory()
    yield memory
    os.close(memory.fd)


def form(memory: Memory) -> SplitForm:
    return SplitForm(memory.seen(), 8, memory.addresses, "<", False)


def frames(reader: PayloadReader) -> list[tuple[bytes, int]]:
    """What was read."""
    return [tuple(each) for each in reader.drain()[0]]


def test_a_sent_frame_is_what_stands_behind_the_header(memory: Memory) -> None:
    both, reader = Split(memory), PayloadReader(receives=False, snaplen=20)
    os.pwrite(memory.fd, HEADER + FRAME, BUFFERS)
    both.describe(0, 12, NEXT, 1)
    both.describe(1, len(FRAME), address=GUEST + BUFFERS + 12)
    both.use([0])
    reader.take(form(memory), 0, 1)
    assert frames(reader) == [(FRAME[:20], len(FRAME))]


def test_a_received_frame_is_as_long_as_the_device_wrote(memory: Memory) -> None:
    both, reader = Split(memory), PayloadReader(receives=True, snaplen=1000)
    os.pwrite(memory.fd, HEADER + FRAME, BUFFERS)
    both.describe(0, 2048, WRITE)
    both.use([0])
    memory.write(0x2000 + 4, "<II", 0, 12 + len(FRAME))
    reader.take(form(memory), 0, 1)
    assert frames(reader) == [(FRAME, len(FRAME))]


def test_what_cannot_be_read_is_counted(memory: Memory) -> None:
    both, reader = Split(memory), PayloadReader(receives=False, snaplen=64)
    both.describe(0, 64, NEXT, 0)  # without end
    both.describe(1, 64, address=1 << 50)  # nowhere
    both.describe(2, 5)  # shorter than the header
    both.describe(3, 64, WRITE)  # nothing to read
    both.use([0, 1, 2, 3])
    reader.take(form(memory), 0, 4)
    assert reader.drain() == ([], 4)
    reader.take(form(memory), 0, 1000)
    assert reader.drain()[1] == 1000
    both.describe(4, 64)
    both.use([4] * 8)
    for _ in range(2 * MOST // 8):
        reader.take(form(memory), 4, 8)
    found, missed = reader.drain()
    assert (len(found), missed) == (MOST, MOST)


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
