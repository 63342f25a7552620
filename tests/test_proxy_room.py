"""Who passes many descriptors waits for room before anybody else does."""

import array
import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from vutrace.proxy.flow import FEW, Flow, Substitution
from vutrace.proxy.outlet import Outlet
from vutrace.proxy.pending import Origin
from vutrace.proxy.recorder import CROWDED, FULL_UP, Recorder
from vutrace.records import Channel, Side
from vutrace.sockets.passed import Ancillary, Passed, descriptors

MESSAGE = struct.pack("=III", 13, 1, 8) + bytes(8)


@dataclass
class StubRecorder:
    """Room as a test says; what is recorded is closed at once."""

    blocked: int = 0
    shortages: int = 0
    messages: int = 0
    waiting: list[tuple[Callable[[], object], int]] = field(default_factory=list)

    def whole(self, _time_ns: int, _origin: bytes, _data: bytes, ancillary: Ancillary) -> None:
        """One message."""
        self.messages += 1
        for fd in descriptors(ancillary):
            os.close(fd)

    def when_room(self, call: Callable[[], object], level: int) -> None:
        """See `Recorder`."""
        self.waiting.append((call, level))

    def passed(self, fd: int) -> Passed:
        """See `Recorder`."""
        return Passed(fd, os.close)


class Lane:
    """A flow between two sockets, and who sends on it."""

    def __init__(self, recorder: StubRecorder) -> None:
        self.sender, self._source = socket.socketpair()
        self._target, self._receiver = socket.socketpair()
        self._source.setblocking(False)
        self._target.setblocking(False)
        known = cast("Recorder", recorder)
        outlet = Outlet(self._target, lambda: None)
        origin = Origin(0, 1, Channel.MAIN, Side.FRONTEND)
        self.flow = Flow(self._source, outlet, origin, known, lambda: None, Substitution())

    def send(self, fds: int) -> bool:
        """Whether a message with so many descriptors came through."""
        with open(os.devnull, "rb") as file:
            rights: Any = array.array("i", [file.fileno()] * fds)
            self.sender.sendmsg([MESSAGE], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        self.flow.pump()
        self._receiver.settimeout(0.05)
        try:
            data, ancillary, *_ = self._receiver.recvmsg(100, socket.CMSG_SPACE(4 * 253))
        except TimeoutError:
            return False
        for fd in descriptors(ancillary):
            os.close(fd)
        return data == MESSAGE

    def close(self) -> None:
        """Everything."""
        for end in (self.sender, self._source, self._target, self._receiver):
            end.close()


@pytest.fixture
def recorder() -> StubRecorder:
    """One with room."""
    return StubRecorder()


@pytest.fixture
def lanes(recorder: StubRecorder) -> Iterator[list[Lane]]:
    """Two connections of one proxy."""
    both = [Lane(recorder), Lane(recorder)]
    yield both
    for lane in both:
        lane.close()


def test_where_room_is_short_only_who_brings_many_waits(recorder: StubRecorder, lanes: list[Lane]) -> None:
    many, few = lanes
    recorder.blocked, recorder.shortages = CROWDED, 1
    assert many.send(FEW + 1)
    assert not many.send(1)
    assert not many.flow.reading
    assert [level for _, level in recorder.waiting] == [CROWDED]
    for _ in range(FEW):
        assert few.send(1)
    assert few.flow.reading


def test_a_new_shortage_begins_with_the_same_for_all(recorder: StubRecorder, lanes: list[Lane]) -> None:
    many, _ = lanes
    recorder.blocked, recorder.shortages = CROWDED, 1
    assert many.send(FEW + 1)
    assert not many.flow.reading
    recorder.shortages = 2
    assert many.flow.reading


def test_where_there_is_no_room_everybody_waits(recorder: StubRecorder, lanes: list[Lane]) -> None:
    recorder.blocked, recorder.shortages = FULL_UP, 1
    for lane in lanes:
        assert not lane.send(1)
        assert not lane.flow.reading
    assert [level for _, level in recorder.waiting] == [FULL_UP, FULL_UP]
