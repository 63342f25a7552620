"""`vutrace proxy --count-kicks`: every kick and call arrives, is counted, and has its time in the capture."""

import contextlib
import os
import select
import signal
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.proxy_lab import SECONDS, message, receive_message, send, wait_for
from kit.proxy_process import Process, children_of
from kit.ring_lab import GUEST, SIZE, USER, Memory, Split

from vutrace.records import NoticeTimes, RingSample, Sample, SampleFlag

VERSION_1 = 1 << 32
SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL = 8, 9, 10, 12, 13
NO_FD = 1 << 8


class CountedRing:
    """A front-end and a back-end of one started ring, with the eventfds that each of them has."""

    def __init__(self, place: Path) -> None:
        self.process = Process(place)
        self.child = self.process.start(
            "-q", "-w", str(self.process.capture), "--count-kicks", "--rings", "20ms"
        )
        self.front, self.back = self.process.session()
        self.memory = Memory()
        self.both = Split(self.memory)
        self.kick, self.call = (os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2))
        self.say(SET_OWNER)
        self.say(SET_FEATURES, struct.pack("<Q", VERSION_1))
        region = struct.pack("<IIQQQQ", 1, 0, GUEST, SIZE, USER, 0)
        self.say(SET_MEM_TABLE, region, self.memory.fd)
        where = self.memory.addresses
        self.say(SET_VRING_NUM, struct.pack("<II", 0, 8))
        self.say(SET_VRING_BASE, struct.pack("<II", 0, 0))
        self.say(
            SET_VRING_ADDR, struct.pack("<IIQQQQ", 0, 0, where.descriptor, where.used, where.available, 0)
        )
        self.called = self.pass_eventfd(SET_VRING_CALL, self.call)
        self.kicked = self.pass_eventfd(SET_VRING_KICK, self.kick)

    def say(self, request: int, payload: bytes = b"", *fds: int) -> list[int]:
        """What the front-end says; the descriptors that the back-end got."""
        send(self.front, message(request, payload), list(fds))
        return list(receive_message(self.back)[1])

    def pass_eventfd(self, request: int, fd: int, ring: int = 0) -> int:
        """The eventfd that the back-end has for it."""
        return self.say(request, struct.pack("<Q", ring), fd)[0]

    def samples(self) -> list[Sample]:
        """What is in the capture."""
        return [each for each in self.process.records() if isinstance(each, Sample)]

    def wait_sample(self, **fields: int) -> RingSample:
        """Until there is a sample that has these values."""

        def found() -> list[RingSample]:
            rings = [ring for sample in self.samples() for ring in sample.rings]
            return [ring for ring in rings if fields.items() <= ring._asdict().items()]

        wait_for(found)
        return found()[-1]

    def times(self, role: str) -> list[tuple[int, int]]:
        """All that is told of when it was."""
        told: list[NoticeTimes] = [each for sample in self.samples() for each in sample.notices]
        return [time for each in told if each.role == role for time in each.times]

    def counter(self) -> int:
        """The counting process."""
        return children_of(self.child, b"vutrace.rings.counter")

    def close(self) -> None:
        """Leave nothing running."""
        self.front.close()
        self.back.close()
        self.process.close()


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[CountedRing]:
    ring = CountedRing(tmp_path)
    yield ring
    ring.close()


def arrives(fd: int, count: int) -> None:
    """What was written at the other end comes, all of it."""
    found = 0
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while found < count and poll.poll(SECONDS * 1000):
        with contextlib.suppress(BlockingIOError):
            found += os.eventfd_read(fd)
    assert found == count


def test_every_kick_and_call_arrives_and_is_counted_with_its_time(counted: CountedRing) -> None:
    began = time.time_ns()
    for _ in range(3):
        os.eventfd_write(counted.kick, 1)
        arrives(counted.kicked, 1)
    os.eventfd_write(counted.called, 2)
    arrives(counted.call, 2)
    sample = counted.wait_sample(kick_total=3, call_total=2)
    assert sample.has(SampleFlag.COUNTED)
    assert (sample.kicks, sample.calls) == (0, 0)
    kicks = counted.times("kick")
    assert [total for _, total in kicks] == [1, 2, 3]
    assert all(began <= when <= time.time_ns() for when, _ in kicks)
    assert counted.times("call")[-1][1] == 2
    assert os.get_blocking(counted.kicked) is False


def test_what_the_back_end_did_not_take_is_known_all_the_same(counted: CountedRing) -> None:
    counted.both.make([0])
    os.eventfd_write(counted.kick, 7)
    assert counted.wait_sample(kicks=7, kick_total=7).has(SampleFlag.KICKS)


def test_an_eventfd_that_comes_again_or_anew_goes_on_being_counted(counted: CountedRing) -> None:
    again = counted.pass_eventfd(SET_VRING_CALL, counted.call)
    os.eventfd_write(counted.called, 1)  # the same one, under an earlier number
    arrives(again and counted.call, 1)
    other = os.eventfd(0)
    anew = counted.pass_eventfd(SET_VRING_CALL, other)
    assert os.get_blocking(anew)
    os.eventfd_write(anew, 1)
    arrives(other, 1)
    os.eventfd_write(again, 1)  # a back-end that has not read the message yet
    arrives(counted.call, 1)
    counted.wait_sample(call_total=3)
    assert counted.say(SET_VRING_CALL, struct.pack("<Q", NO_FD)) == []


def test_an_eventfd_that_kicks_two_rings_kicks_both(counted: CountedRing) -> None:
    other = counted.pass_eventfd(SET_VRING_KICK, counted.kick, ring=1)
    os.eventfd_write(counted.kick, 1)
    assert select.select([other], [], [], SECONDS)[0] == [other]
    assert select.select([counted.kicked], [], [], 0)[0]
    new = os.eventfd(0)
    anew = counted.pass_eventfd(SET_VRING_KICK, new, ring=0)
    os.eventfd_write(new, 1)
    arrives(anew, 1)
    arrives(other, 1)
    os.eventfd_write(counted.kick, 1)
    arrives(other, 1)


def test_a_descriptor_that_is_no_eventfd_goes_on_as_it_is(counted: CountedRing) -> None:
    read, write = os.pipe()
    passed = counted.pass_eventfd(SET_VRING_CALL, write, ring=1)
    os.write(passed, b"called")
    assert os.read(read, 6) == b"called"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_where_the_counting_process_ends_or_hangs_another_one_goes_on(
    counted: CountedRing, number: int
) -> None:
    os.eventfd_write(counted.kick, 1)
    arrives(counted.kicked, 1)
    counted.wait_sample(kick_total=1)
    before = counted.counter()
    os.kill(before, number)
    os.eventfd_write(counted.kick, 1)
    assert select.select([counted.kicked], [], [], SECONDS)[0]
    wait_for(lambda: counted.counter() != before)
    counted.wait_sample(kick_total=2)
    with contextlib.suppress(BlockingIOError):
        os.eventfd_read(counted.kicked)
    assert "the process that counts kicks" in counted.process.stop(counted.child)


def test_a_driver_that_is_not_called_is_told(counted: CountedRing) -> None:
    counted.both.make([0])
    os.eventfd_write(counted.kick, 1)
    counted.wait_sample(available=1, in_flight=1)
    counted.both.use([0])
    sample = counted.wait_sample(used=1)
    wait_for(lambda: counted.samples()[-1].rings[0].uncalled_ms >= 1000)
    os.eventfd_write(counted.called, 1)
    sample = counted.wait_sample(call_total=1)
    assert not sample.has(SampleFlag.UNCALLED)


def test_the_counting_process_ends_with_the_proxy_however_that_ends(counted: CountedRing) -> None:
    counter = counted.counter()
    os.kill(counted.child.pid, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{counter}").exists())


def test_nothing_is_replaced_unless_asked_for(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.start("-q", "-w", str(process.capture))
    front, back = process.session()
    event = os.eventfd(5)
    send(front, message(SET_VRING_KICK, bytes(8)), [event])
    (passed,) = receive_message(back)[1]
    assert os.eventfd_read(passed) == 5
    front.close(), back.close(), process.close()
