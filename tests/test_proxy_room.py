"""Who passes many descriptors waits for room before anybody else does; who floods comes after the others."""

import array
import marshal
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from kit.proxy_lab import Lab, frames, message, receive

from vutrace.proxy.flow import TURN, Flow, Substitution
from vutrace.proxy.gaps import FULL, Gaps, gap_event
from vutrace.proxy.outlet import Outlet
from vutrace.proxy.pending import Origin
from vutrace.proxy.recorder import CROWDED, FORMAT, FULL_UP, Recorder
from vutrace.proxy.turns import FULL_TURNS, LONGEST_REST
from vutrace.records import Channel, Side
from vutrace.sockets.passed import Ancillary, Passed, descriptors

MESSAGE = struct.pack("=III", 13, 1, 8) + bytes(8)


@dataclass
class StubRecorder:
    """Room as a test says; what is recorded is closed at once."""

    blocked: int = 0
    shortages: int = 0
    few: int = 20
    messages: int = 0
    waiting: list[tuple[Callable[[], object], int]] = field(default_factory=list)

    def whole(self, _time_ns: int, _origin: bytes, _data: bytes, ancillary: Ancillary) -> None:
        """One message."""
        self.messages += 1
        for fd in descriptors(ancillary):
            os.close(fd)

    def burst(self, _time_ns: int, _origin: bytes, _data: bytes, count: int) -> None:
        """So many messages."""
        self.messages += count

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

    def flood(self, messages: int) -> float:
        """One turn of the flow after so many messages; the seconds that it should rest then."""
        self.sender.sendall(struct.pack("=III", 8, 1, 0) * messages)
        self.flow.pump()
        assert len(self._receiver.recv(1 << 16)) == 12 * min(messages, TURN)
        rest, self.flow.turns.rest = self.flow.turns.rest, 0.0
        return rest

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
    assert many.send(recorder.few + 1)
    assert not many.send(1)
    assert not many.flow.reading
    assert [level for _, level in recorder.waiting] == [CROWDED]
    for _ in range(recorder.few):
        assert few.send(1)
    assert few.flow.reading


def test_a_new_shortage_begins_with_the_same_for_all(recorder: StubRecorder, lanes: list[Lane]) -> None:
    many, _ = lanes
    recorder.blocked, recorder.shortages = CROWDED, 1
    assert many.send(recorder.few + 1)
    assert not many.flow.reading
    recorder.shortages = 2
    assert many.flow.reading


def test_where_there_is_no_room_everybody_waits(recorder: StubRecorder, lanes: list[Lane]) -> None:
    recorder.blocked, recorder.shortages = FULL_UP, 1
    for lane in lanes:
        assert not lane.send(1)
        assert not lane.flow.reading
    assert [level for _, level in recorder.waiting] == [FULL_UP, FULL_UP]


def test_who_has_more_waiting_than_a_turn_takes_time_and_again_is_to_rest(lanes: list[Lane]) -> None:
    rests = [lanes[0].flood(TURN + 2) for _ in range(FULL_TURNS + 2)]
    assert rests[:FULL_TURNS] == [0.0] * FULL_TURNS
    assert all(0 < rest <= LONGEST_REST for rest in rests[FULL_TURNS:])


def test_a_burst_is_no_flood(lanes: list[Lane]) -> None:
    rests = [lanes[0].flood(count) for _ in range(FULL_TURNS) for count in (TURN, TURN, TURN // 2)]
    assert not any(rests)


def test_who_passes_many_descriptors_with_each_message_is_to_rest_too(lanes: list[Lane]) -> None:
    lane, _ = lanes
    for _ in range(FULL_TURNS + 1):
        assert lane.send(200)
    assert lane.flow.turns.rest > 0


def test_a_flow_that_rests_reads_nothing_until_it_goes_on(lanes: list[Lane]) -> None:
    lane, _ = lanes
    lane.flow.turns.rests = True
    assert not lane.flow.reading
    lane.flow.go_on()
    assert lane.flow.reading


def test_what_is_told_of_a_gap_reaches_the_recording_process() -> None:
    gaps = Gaps()
    gaps.burst(1, Origin(0, 1, Channel.MAIN, Side.FRONTEND).pack(), message(8) * 2)
    (item,) = marshal.loads(marshal.dumps(gaps.take(FULL), FORMAT))
    assert gap_event(item).attributes["missing frontend main request 8"] == "2"


def flood(front: socket.socket, back: socket.socket) -> None:
    """Many messages at once, all of which come through."""
    data = message(8) * 100 * TURN
    sender = threading.Thread(target=front.sendall, args=(data,))
    sender.start()
    assert receive(back, len(data)) == (data, [])
    sender.join()


def test_who_floods_rests_only_where_there_is_another_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rested: list[Flow] = []
    go_on = Flow.go_on
    monkeypatch.setattr(Flow, "go_on", lambda flow: (rested.append(flow), go_on(flow)))
    lab = Lab(tmp_path)
    front, back = lab.session()
    flood(front, back)
    assert not rested
    other = lab.session()
    flood(front, back)
    assert rested
    assert len(set(map(id, rested))) == 1
    for end in other:
        end.close()
    assert len(frames(lab.stop())) == 200 * TURN
