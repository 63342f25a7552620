"""Nothing a peer does raises, and nothing it does grows without bound."""

import json
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.sessions import QEMU_2_10, Script, endpoints, qemu_net, rows, sessions_of, timeline_of
from kit.transcript import front

from vutrace.dissection.registry import load
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.records import (
    Channel,
    Connection,
    Event,
    EventKind,
    FdInfo,
    FdKind,
    Frame,
    FrameFlag,
    Record,
    Side,
)
from vutrace.session.ends import CONNECTIONS_KEPT
from vutrace.session.lanes import KEPT
from vutrace.session.model import Timeline
from vutrace.session.phase_spans import PHASES_KEPT
from vutrace.session.timeline import timeline
from vutrace.session.tracker import Tracker
from vutrace.views import queues
from vutrace.views.board import Board
from vutrace.views.board_text import board_lines
from vutrace.views.timeline.formats import FORMATS, DrawingOptions, Scale

FDS = st.lists(
    st.builds(
        FdInfo, st.sampled_from(FdKind), inode=st.integers(0, 9), size=st.none() | st.integers(0, 1 << 64)
    ),
    max_size=3,
).map(tuple)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """A message that may be sensible: a known number more often than not, small ring indexes, any flags."""
    number = draw(st.sampled_from(sorted(FRONTEND_MESSAGES)) | st.integers(0, 0xFFFFFFFF))
    flags = draw(st.sampled_from([1, 5, 9, 0xD]) | st.integers(0, 0xFFFFFFFF))
    words = draw(
        st.lists(
            st.sampled_from([0, 1, 2, 3, 0x100, 0x101, 1 << 26, 1 << 30]) | st.integers(0, 2**64 - 1),
            max_size=8,
        )
    )
    state = struct.pack("<II", draw(st.integers(0, 300)), draw(st.integers(0, 2)))
    payload = draw(st.sampled_from([b"", state, b"".join(struct.pack("<Q", word) for word in words)]))
    payload += draw(st.binary(max_size=3))
    data = struct.pack("<III", number, flags, len(payload)) + payload
    return Frame(
        draw(st.integers(0, 2**40)),
        draw(st.integers(0, 1)),
        draw(st.integers(1, 3)),
        draw(st.sampled_from(Channel)),
        draw(st.sampled_from(Side)),
        data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data,
        draw(FDS),
        draw(st.sampled_from(FrameFlag)),
        len(data),
        draw(st.booleans()),
    )


EVENTS = st.builds(
    Event,
    st.integers(0, 2**40),
    st.integers(0, 1),
    st.integers(1, 3),
    st.sampled_from(EventKind),
    st.text(max_size=5),
    st.sampled_from(Channel),
    st.none() | st.sampled_from(Side),
)
RECORDS: st.SearchStrategy[list[Record]] = st.lists(frames() | EVENTS, max_size=40)


@contextmanager
def in_time() -> Iterator[None]:
    """Within a second of the processor: how long others have it does not count, as in a deadline it would."""
    began = time.process_time()
    yield
    assert time.process_time() - began < 1


def drawn(built: Timeline) -> None:
    """Draw it in every way there is."""
    for scale in Scale:
        for name in ("text", "json", "svg", "mermaid"):
            pieces = FORMATS[name].render(built, DrawingOptions(list, scale, 60))
            text = "".join(str(piece) for piece in pieces)
            if name == "json":
                json.loads(text)
            if name == "svg":
                ElementTree.fromstring(text)
    assert list(queues.text(built, None)) is not None
    assert list(queues.text(built, None, width=20)) is not None
    json.loads(queues.objects(built, None))


@settings(deadline=None)
@given(RECORDS, st.sampled_from(["", "net", "blk"]))
def test_random_messages_are_told_and_drawn(records: list[Record], device: str) -> None:
    with in_time():
        listed = list(rows(records, device))
        assert len(listed) == len(records)
        drawn(timeline(listed, {0: endpoints()}))


@settings(deadline=None)
@given(st.permutations(qemu_net(QEMU_2_10, 2).boot().script.records))
def test_a_whole_session_in_any_order(records: list[Record]) -> None:
    with in_time():
        drawn(timeline(rows(records), {}))


def test_no_records_at_all() -> None:
    drawn(timeline([], {0: Connection(0, "a", "b")}))


@pytest.mark.parametrize(
    "pattern", [("call",), ("call", "kick"), ("on", "off"), ("num", "kick", "on", "halt")]
)
def test_what_repeats_for_ever_stays_small(pattern: tuple[str, ...]) -> None:
    script = Script()
    for i in range(12_000):
        script.steps(i % 7, pattern[i % len(pattern)])
    (session,) = sessions_of(script)
    assert session.rows >= 12_000
    assert len(session.phases) <= 2 * PHASES_KEPT
    assert len(session.phases) + session.phases_omitted > 0
    kept = sum(len(lane.marks) + len(lane.spans) for lane in session.rings)
    assert kept <= KEPT
    told = sum(mark.count for lane in session.rings for mark in lane.marks)
    assert told == 12_000
    steps = sum(
        len(part.steps) for phase in session.phases for part in phase.parts if not hasattr(part, "iterations")
    )
    assert steps < 10_000


def test_marks_are_merged_when_there_are_too_many_and_none_is_lost() -> None:
    script = Script()
    for i in range(KEPT + 5000):
        script.steps(0, "call" if i % 3 else "off")
    (lane,) = sessions_of(script)[0].rings
    assert sum(mark.count for mark in lane.marks) == KEPT + 5000
    assert {mark.kind for mark in lane.marks} == {"call", "enable 0"}


def test_sessions_beyond_number_keep_the_first_and_the_last() -> None:
    script = Script()
    for _ in range(700):
        script.open()
        script.steps(0, "call")
        script.close()
    (connection,) = timeline_of(script).connections
    assert (connection.sessions[0].number, connection.sessions[-1].number) == (1, 700)
    assert connection.sessions_omitted == 700 - len(connection.sessions)


def test_connections_beyond_number_are_counted() -> None:
    records = [
        replace(record, connection=number)
        for number in range(CONNECTIONS_KEPT + 3)
        for record in qemu_net(QEMU_2_10, 1).boot().script.records[:2]
    ]
    board = Board({})
    for row in rows(records):
        board.feed(row)
    built = timeline(rows(records), {})
    assert len(built.connections) == len([*board.standing()]) == CONNECTIONS_KEPT
    assert built.connections_omitted == len(board.omitted) == 3
    assert "… 3 more connections are not drawn\n" in FORMATS["text"].render(
        built, DrawingOptions(list, Scale.ORDER, 60)
    )
    lines = board_lines(board, 0, 80, 100, cut=False)
    assert lines[-1] == "… 3 more connections are not shown"


def test_a_ring_index_can_be_any_number() -> None:
    script = Script()
    for ring in chain(range(3), [2**32 - 1]):
        script.ring("SET_VRING_NUM", ring, 2**32 - 1)
    assert [lane.ring.index for lane in sessions_of(script)[0].rings] == [0, 1, 2, 2**32 - 1]
    drawn(timeline_of(script))


def test_sessions_of_connections_that_are_over_are_let_go() -> None:
    """60,000 connections took 0.9 GB: the session of each was kept."""
    tracker, living = Tracker(load()), 0
    for number in range(5000):
        script = Script()
        script.add(front("GET_FEATURES", b""))
        for record in script.records:
            tracker.feed(replace(record, connection=number))
        if number % 100:
            tracker.feed(Event(1, number, 1, EventKind.CLOSE, "closed"))
        else:
            living += 1
    assert living <= len(tracker._sessions) <= 1025 + living
    reply = struct.pack("<IIIQ", 1, 5, 8, 0)
    row = tracker.feed(Frame(2, 0, 1, Channel.MAIN, Side.BACKEND, reply, wire_size=20))
    assert row.reply_to, "a session that is not over is known still"
