"""Every action of a rule, by what the two ends then get."""

import errno
import mmap
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.acting_lab import ActingLab
from kit.proxy_lab import (
    close_all,
    events,
    frames,
    message,
    receive,
    receive_message,
    send,
    settled_fds,
    wait_for,
)

from vutrace.dissection.registry import Registry
from vutrace.proxy.interest import Numbers
from vutrace.records import Channel, Deed, Event, EventKind, Side
from vutrace.session.tracker import Tracker
from vutrace.tap.work import prepare
from vutrace.views.board import Board
from vutrace.views.board_text import board_lines

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE, KICK, CALL, ERR, ENABLE = 1, 2, 3, 5, 12, 13, 14, 18
GET_PROTOCOL, SET_PROTOCOL, NUM = 15, 16, 8
REPLY = 5
MRG_RXBUF, VERSION_1 = 1 << 15, 1 << 32


def u64(value: int) -> bytes:
    return struct.pack("=Q", value)


def enable(ring: int, on: int = 1) -> bytes:
    return message(ENABLE, struct.pack("=II", ring, on))


class Ends:
    """Two peers and the relay with rules between them."""

    def __init__(self, place: Path, *rules: str, **wanted: object) -> None:
        self.lab = ActingLab(place, *rules, **wanted)
        self.front, self.back = self.lab.session()

    def to_back(self, *sent: bytes) -> list[bytes]:
        """What the front-end says, and as many messages as the back-end gets of it."""
        for data in sent:
            send(self.front, data)
        return [self.got(self.back) for _ in sent]

    def got(self, end: socket.socket) -> bytes:
        """The next message at an end."""
        data, fds = receive_message(end)
        close_all(fds)
        return data

    def passed(self, request: int, fds: list[int]) -> list[int]:
        """The descriptors that the back-end gets of those that the front-end passes."""
        send(self.front, message(request, u64(0)), fds)
        return receive_message(self.back)[1]


def board_of(lab: ActingLab) -> str:
    """The board of what is in the capture now."""
    tracker = Tracker(Registry({}))
    board = Board(tracker.connections)
    for row in tracker.rows(lab.items()):
        board.feed(row)
    return "\n".join(board_lines(board, time.time_ns(), 200, 100))


@pytest.fixture
def event() -> Iterator[int]:
    fd = os.eventfd(0)
    yield fd
    os.close(fd)


def test_a_mask_takes_features_from_the_offer_and_from_what_is_acknowledged(tmp_path: Path) -> None:
    ends = Ends(tmp_path, mask_features="-MRG_RXBUF", mask_protocol="-REPLY_ACK,-MQ")
    ends.to_back(message(GET_FEATURES))
    send(ends.back, message(GET_FEATURES, u64(VERSION_1 | MRG_RXBUF), REPLY))
    assert ends.got(ends.front) == message(GET_FEATURES, u64(VERSION_1), REPLY)
    # a front-end that does not look at the offer
    assert ends.to_back(message(SET_FEATURES, u64(VERSION_1 | MRG_RXBUF))) == [
        message(SET_FEATURES, u64(VERSION_1))
    ]
    ends.to_back(message(GET_PROTOCOL))
    send(ends.back, message(GET_PROTOCOL, u64(0b1011), REPLY))
    assert ends.got(ends.front) == message(GET_PROTOCOL, u64(0b0010), REPLY)
    changed = [frame for frame in frames(ends.lab.stop()) if frame.acted]
    assert len(changed) == 3
    assert ends.lab.never == []


def test_a_message_is_doubled(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_ENABLE : duplicate")
    assert ends.to_back(enable(1)) == [enable(1)]
    assert ends.got(ends.back) == enable(1)
    first, second = frames(ends.lab.stop())
    assert first.acted
    assert second.acted
    assert (first.acted.deed, second.acted.deed) == (Deed.HELD, Deed.MADE)


def test_a_message_changes_places_with_the_next(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_ENABLE ring=0 : swap")
    owner = message(SET_OWNER)
    assert ends.to_back(enable(0), enable(1), owner) == [enable(1), enable(0), owner]
    ends.lab.stop()


def test_a_message_without_a_next_goes_after_a_second_or_when_its_sender_closes(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_ENABLE ring=0 : swap")
    began = time.monotonic()
    assert ends.to_back(enable(0)) == [enable(0)]
    assert time.monotonic() - began > 0.9
    send(ends.front, enable(0))
    ends.front.shutdown(socket.SHUT_WR)
    assert ends.got(ends.back) == enable(0)
    assert ends.got(ends.back) == b""
    ends.lab.stop()


def test_a_next_message_that_is_half_here_when_the_second_is_over_stays_whole(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_ENABLE ring=0 : swap")
    send(ends.front, enable(0) + enable(1)[:14])
    assert ends.got(ends.back) == enable(0)
    send(ends.front, enable(1)[14:])
    assert ends.got(ends.back) == enable(1)
    ends.lab.stop()


def test_a_message_waits_until_a_file_is_there(tmp_path: Path) -> None:
    ends = Ends(tmp_path, f"SET_VRING_ENABLE : hold until {tmp_path / 'go'}")
    send(ends.front, enable(0))
    ends.back.settimeout(0.2)
    with pytest.raises(TimeoutError):
        receive_message(ends.back)
    assert "held      for " in board_of(ends.lab)
    (tmp_path / "go").touch()
    ends.back.settimeout(10)
    assert ends.got(ends.back) == enable(0)
    (note,) = events(ends.lab.stop(), EventKind.NOTE)
    assert note.text.startswith("SET_VRING_ENABLE ring 0 waits until ")
    assert "held      for " not in board_of(ends.lab)


def test_what_still_waits_goes_on_when_vutrace_stops(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_ENABLE : hold")
    for ring in range(3):
        send(ends.front, enable(ring))
    time.sleep(0.2)
    records = ends.lab.stop()
    assert ends.got(ends.back) == enable(0)
    (frame,) = frames(records)
    assert frame.acted
    assert frame.acted.deed is Deed.HELD


def test_a_message_that_waits_when_its_receiver_goes_is_kept_as_dropped(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_ENABLE : hold")
    send(ends.front, enable(0))
    time.sleep(0.2)
    ends.back.close()
    assert ends.got(ends.front) == b""
    wait_for(lambda: "CLOSE" in [each.kind.name for each in ends.lab.items() if isinstance(each, Event)])
    (dropped,) = events(ends.lab.stop(), EventKind.DROPPED)
    assert dropped.attributes["data"] == enable(0).hex()
    assert dropped.text == "SET_VRING_ENABLE waited when the session ended"
    assert ends.lab.never == []


@pytest.mark.parametrize("side", ["frontend", "backend"])
def test_a_side_is_closed(tmp_path: Path, side: str) -> None:
    ends = Ends(tmp_path, f"SET_VRING_ENABLE : close {side}")
    assert ends.to_back(enable(0)) == [enable(0)]
    assert ends.got(ends.front) == ends.got(ends.back) == b""
    (close,) = events(ends.lab.stop(), EventKind.CLOSE)
    assert close.sender is None
    assert close.attributes["cut"] == side


def test_a_session_that_a_rule_ended_waits_for_no_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vutrace.proxy.tap.DECIDE_SECONDS", 0.3)
    ends = Ends(tmp_path, "SET_VRING_ENABLE need-reply : answer error; close backend")
    send(ends.front, message(ENABLE, struct.pack("=II", 0, 1), flags=9))
    while ends.got(ends.front):
        pass
    time.sleep(0.5)
    assert not [event for event in events(ends.lab.stop(), EventKind.NOTE) if "decided" in event.text]


def test_a_side_is_closed_in_the_middle_of_a_message(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_ENABLE : close backend after 15")
    send(ends.front, enable(7))
    assert receive(ends.back, 100)[0] == enable(7)[:15]
    assert ends.got(ends.front) == b""
    (frame,) = frames(ends.lab.stop())
    assert frame.data == enable(7)[:15]


def test_nothing_follows_a_message_in_which_its_sender_was_closed(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_ENABLE : close frontend after 15")
    send(ends.front, enable(7) + message(SET_OWNER))
    assert receive(ends.back, 100)[0] == enable(7)[:15]
    ends.lab.stop()


def test_a_side_is_half_closed(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_ENABLE : half-close backend")
    assert ends.to_back(enable(0)) == [enable(0)]
    assert ends.got(ends.back) == b""
    send(ends.back, message(GET_FEATURES, u64(1), REPLY))
    assert ends.got(ends.front) == message(GET_FEATURES, u64(1), REPLY)
    ends.lab.stop()


def test_a_request_is_refused_in_the_back_ends_place(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_ENABLE num=1 : answer error")
    send(ends.front, enable(0, 1))
    assert ends.got(ends.front) == message(ENABLE, u64(1), REPLY)
    assert ends.to_back(enable(0, 0)) == [enable(0, 0)]
    records = ends.lab.stop()
    assert [type(each).__name__ for each in records[1:3]] == ["Event", "Frame"]  # the request, its answer
    assert "answered in the back-end's place" in events(records, EventKind.DROPPED)[0].text
    made, _ = frames(records)
    assert made.acted
    assert made.acted.deed is Deed.MADE


def test_a_question_gets_a_made_up_answer(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "GET_FEATURES : answer features=VERSION_1|MRG_RXBUF")
    send(ends.front, message(GET_FEATURES))
    assert ends.got(ends.front) == message(GET_FEATURES, u64(VERSION_1 | MRG_RXBUF), REPLY)
    ends.lab.stop()


# What is done to SET_VRING_KICK with this ring, and what the back-end gets.
CHANGES: dict[str, Callable[[int], bytes]] = {
    "set u64|=0x200": lambda ring: message(KICK, u64(ring | 0x200)),
    "set nofd=1": lambda ring: message(KICK, u64(ring | 0x100)),
    "set index+=100": lambda ring: message(KICK, u64(ring + 100)),
    "set need_reply=1": lambda ring: message(KICK, u64(ring), 9),
    "set header.request=13": lambda ring: message(CALL, u64(ring)),
    "set header.flags=0": lambda ring: message(KICK, u64(ring), 0),
    "resize 4": lambda ring: message(KICK, u64(ring)[:4]),
    "resize 10": lambda ring: message(KICK, u64(ring) + b"\0\0"),
    "size -8": lambda ring: struct.pack("=III", KICK, 1, 0) + u64(ring),
}


def test_bytes_are_changed(tmp_path: Path) -> None:
    rules = (f"SET_VRING_KICK index={ring} : {action}" for ring, action in enumerate(CHANGES))
    ends = Ends(tmp_path, *rules)
    for ring, change in enumerate(CHANGES.values()):
        came, went = message(KICK, u64(ring)), change(ring)
        send(ends.front, came)
        assert receive(ends.back, len(went))[0] == went
    changed = frames(ends.lab.stop())
    assert [frame.data for frame in changed] == [change(ring) for ring, change in enumerate(CHANGES.values())]
    assert [frame.acted.data for frame in changed if frame.acted] == [
        message(KICK, u64(ring)) for ring in range(len(CHANGES))
    ]


def test_every_item_of_a_list_is_set(tmp_path: Path) -> None:
    def table(size: int) -> bytes:
        regions = b"".join(struct.pack("=QQQQ", 0x1000 * i, size, 0, 0) for i in range(2))
        return message(SET_MEM_TABLE, struct.pack("=II", 2, 0) + regions)

    ends = Ends(tmp_path, "SET_MEM_TABLE : set regions.size=4096")
    assert ends.to_back(table(8192)) == [table(4096)]
    ends.lab.stop()


def test_descriptors_are_stripped_added_and_replaced(tmp_path: Path, event: int) -> None:
    ends = Ends(
        tmp_path,
        "SET_VRING_KICK : fds none",
        "SET_VRING_CALL : fds add null",
        "SET_VRING_ERR : fds 0=dead-eventfd",
    )
    assert ends.passed(KICK, [event, event]) == []
    one, null = ends.passed(CALL, [event])
    assert os.readlink(f"/proc/self/fd/{null}") == "/dev/null"
    (dead,) = ends.passed(ERR, [event])
    os.eventfd_write(event, 1)
    os.set_blocking(dead, False)
    with pytest.raises(BlockingIOError):
        os.eventfd_read(dead)
    close_all([one, null, dead])
    stripped, _, _ = frames(ends.lab.stop())
    assert stripped.acted
    assert (len(stripped.fds), len(stripped.acted.fds)) == (0, 2)


def test_memory_is_smaller_or_cannot_be_mapped(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_KICK : fds 0=smaller; fds 1=unmappable; fds 2=closed-pipe")
    memory = os.memfd_create("guest")
    os.ftruncate(memory, 1 << 20)
    got = ends.passed(KICK, [memory, memory, memory])
    assert os.fstat(got[0]).st_size == 1 << 19
    assert os.fstat(got[1]).st_size == 1 << 20
    with pytest.raises(PermissionError):
        mmap.mmap(got[1], 1 << 20)
    with pytest.raises(OSError, match="Broken pipe") as broken:
        os.write(got[2], b"x")
    assert broken.value.errno == errno.EPIPE
    close_all([memory, *got])
    ends.lab.stop()


def test_a_message_goes_slowly(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_KICK : slow 100B/s")
    began = time.monotonic()
    assert ends.to_back(message(KICK, u64(3))) == [message(KICK, u64(3))]
    assert 0.1 < time.monotonic() - began < 2
    (frame,) = frames(ends.lab.stop())
    assert frame.data == message(KICK, u64(3))


def test_the_third_and_no_other_and_in_another_session_again(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_ENABLE when=3 : set num=0")
    wanted = [enable(0), enable(1), enable(2, 0), enable(3)]
    assert ends.to_back(*(enable(ring) for ring in range(4))) == wanted
    ends.front.close()
    assert ends.got(ends.back) == b""
    ends.front, ends.back = ends.lab.session()
    assert ends.to_back(*(enable(ring) for ring in range(4))) == wanted
    ends.lab.stop()


def test_a_rule_can_look_at_what_was_said_before(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_ENABLE after=SET_OWNER : set num=0")
    sent = enable(0), message(SET_OWNER), enable(1)
    assert ends.to_back(*sent) == [enable(0), message(SET_OWNER), enable(1, 0)]
    ends.lab.stop()


def test_a_rule_can_look_at_what_runs(tmp_path: Path, event: int) -> None:
    ends = Ends(tmp_path, "SET_VRING_NUM running : set num=1")
    size, smaller = (message(NUM, struct.pack("=II", 0, num)) for num in (256, 1))
    assert ends.to_back(size, enable(0), size) == [size, enable(0), size]
    close_all(ends.passed(KICK, [event]))
    assert ends.to_back(size, enable(0, 0), size) == [smaller, enable(0, 0), size]
    ends.lab.stop()


def test_a_rule_can_name_a_ring_whose_name_hangs_on_what_was_offered(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_NUM ring=tx0 : set num=1")
    size, smaller = (message(NUM, struct.pack("=II", 1, num)) for num in (256, 1))
    assert ends.to_back(size, message(GET_FEATURES)) == [size, message(GET_FEATURES)]
    offered = message(GET_FEATURES, u64(0x1179AA743), REPLY)  # testpmd's: a network device
    send(ends.back, offered)
    assert ends.got(ends.front) == offered
    assert ends.to_back(size) == [smaller]
    ends.lab.stop()


def test_a_tap_is_told_of_what_its_rules_ask_for_and_of_nothing_else() -> None:
    def told(rule: str, channel: Channel = Channel.MAIN) -> Numbers:
        return prepare({"rule": [rule]}).told(channel, Side.FRONTEND)

    assert told("SET_VRING_NUM ring=1 num=4 : drop") == frozenset()
    assert told("SET_VRING_NUM after=SET_OWNER,SET_FEATURES : drop") == {SET_OWNER, SET_FEATURES}
    running = told("SET_VRING_NUM running : drop")
    assert running is not None
    assert {KICK, ENABLE, SET_FEATURES, SET_PROTOCOL} <= running
    assert not {CALL, NUM, SET_MEM_TABLE} & running
    named = told("SET_VRING_NUM ring=rx0 : drop")
    assert named is not None
    assert {GET_FEATURES, SET_FEATURES, GET_PROTOCOL} <= named
    assert not {CALL, NUM, KICK, SET_MEM_TABLE} & named
    assert told("SET_VRING_NUM phase=start : drop") is None
    assert told("SET_VRING_NUM phase=start : drop", Channel.GPU) == frozenset()


def test_a_burst_keeps_its_order_around_what_is_watched(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_ENABLE ring=5 : set num=0")
    sent = [message(NUM, struct.pack("=II", ring, 256)) if ring % 3 else enable(5) for ring in range(200)]
    send(ends.front, b"".join(sent))
    wanted = [enable(5, 0) if data == enable(5) else data for data in sent]
    assert [ends.got(ends.back) for _ in sent] == wanted
    assert [frame.data for frame in frames(ends.lab.stop())] == wanted


def test_no_descriptor_stays_open(tmp_path: Path, event: int) -> None:
    ends = Ends(
        tmp_path,
        "SET_VRING_KICK : duplicate",
        "SET_VRING_CALL : drop",
        "SET_VRING_ERR : fds 0=null",
        "SET_LOG_FD : close backend after 14",
    )
    owner = message(SET_OWNER)
    before = settled_fds()
    for _ in range(30):
        for request in (KICK, CALL, ERR):
            send(ends.front, message(request, u64(0)), [event, event])
        send(ends.front, owner)
        while (got := receive_message(ends.back))[0] != owner:
            close_all(got[1])
    assert settled_fds() == before
    send(ends.front, message(7, u64(0)), [event])
    assert len(receive(ends.back, 100)[0]) == 14
    assert ends.got(ends.front) == b""
    ends.lab.stop()


def test_a_message_that_comes_in_pieces_counts_as_said(tmp_path: Path) -> None:
    ends = Ends(tmp_path, "SET_VRING_ENABLE after=SET_OWNER : set num=0")
    owner = message(SET_OWNER)
    send(ends.front, owner[:5])
    time.sleep(0.02)
    send(ends.front, owner[5:])
    assert ends.got(ends.back) == owner
    assert ends.to_back(enable(1)) == [enable(1, 0)]
    ends.lab.stop()
