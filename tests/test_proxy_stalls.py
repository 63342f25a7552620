"""Replies that take long, as the recording process says them."""

import struct

import pytest

from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.proxy.stalls import SessionId, Stalls
from vutrace.records import Channel, Event, EventKind, Side

SECOND = 10**9
HERE = SessionId(0, 1)
NUMBERS = {row.name: row.number for row in FRONTEND_MESSAGES.values()}
FRONT, BACK = Side.FRONTEND, Side.BACKEND


def doing(_place: SessionId, side: Side) -> tuple[str, str]:
    """A process that is stopped."""
    return f"the {side.words} (peer, pid 9)", "is stopped (T)"


def stalls() -> Stalls:
    """With a second's patience."""
    return Stalls(1.0, doing)


def message(name: str, payload: bytes = b"", flags: int = 1) -> bytes:
    """A message of the main channel."""
    return struct.pack("=III", NUMBERS[name], flags, len(payload)) + payload


def feed(
    watch: Stalls, time_ns: int, sender: Side, data: bytes, channel: Channel = Channel.MAIN
) -> Event | None:
    """One message."""
    return watch.frame(time_ns, HERE, channel, sender, data)[0]


def test_a_reply_that_does_not_come_is_said_after_a_second_and_again_each_ten() -> None:
    watch = stalls()
    assert watch.wait_ns(0) is None
    feed(watch, 0, FRONT, message("GET_FEATURES"))
    assert watch.wait_ns(0) == SECOND
    assert list(watch.due(SECOND - 1)) == []
    texts = {second: event.text for second in range(1, 32) for event in watch.due(second * SECOND)}
    assert texts == {
        second: f"waiting for {second} s: the back-end (peer, pid 9) owes the reply to GET_FEATURES;"
        " its process is stopped (T)"
        for second in (1, 10, 20, 30)
    }
    event = feed(watch, 32 * SECOND, BACK, message("GET_FEATURES", bytes(8), 5))
    assert event
    assert event.text == "the back-end (peer, pid 9) answered GET_FEATURES after 32.0 s"
    assert watch.wait_ns(0) is None


def test_the_facts_of_a_stall_are_attributes_of_a_note() -> None:
    watch = stalls()
    feed(watch, 0, FRONT, message("GET_FEATURES"))
    (event,) = watch.due(2 * SECOND)
    assert event.kind is EventKind.NOTE
    assert (event.connection, event.session, event.channel) == (0, 1, Channel.MAIN)
    assert event.attributes == {
        "stall": "2.0",
        "request": "GET_FEATURES",
        "debtor": "backend",
        "process": "is stopped (T)",
    }


def test_a_reply_in_time_is_no_news() -> None:
    watch = stalls()
    feed(watch, 0, FRONT, message("GET_FEATURES"))
    assert feed(watch, SECOND // 2, BACK, message("GET_FEATURES", bytes(8), 5)) is None
    assert list(watch.due(5 * SECOND)) == []


@pytest.mark.parametrize(("agreed", "owes"), [(8, True), (0, False)])
def test_an_acknowledgement_is_owed_where_that_was_agreed_on(agreed: int, owes: bool) -> None:
    watch = stalls()
    feed(watch, 0, FRONT, message("SET_PROTOCOL_FEATURES", struct.pack("=Q", agreed)))
    feed(watch, 0, FRONT, message("SET_MEM_TABLE", bytes(8), 9))
    assert bool(list(watch.due(SECOND))) is owes


def test_the_log_of_dirty_pages_is_answered_with_log_shmfd() -> None:
    watch = stalls()
    feed(watch, 0, FRONT, message("SET_PROTOCOL_FEATURES", struct.pack("=Q", 2)))
    feed(watch, 0, FRONT, message("SET_LOG_BASE", bytes(16)))
    assert [event.attributes["request"] for event in watch.due(SECOND)] == ["SET_LOG_BASE"]


def test_the_front_end_may_owe_a_reply_too() -> None:
    watch = stalls()
    feed(watch, 0, FRONT, message("SET_PROTOCOL_FEATURES", struct.pack("=Q", 8)))
    feed(watch, 0, BACK, struct.pack("=III", 1, 9, 0), Channel.BACKEND)
    (event,) = watch.due(SECOND)
    assert event.attributes["debtor"] == "frontend"
    assert event.channel is Channel.BACKEND


def test_nobody_waits_when_the_session_is_over() -> None:
    watch = stalls()
    feed(watch, 0, FRONT, message("GET_FEATURES"))
    watch.over(HERE)
    assert list(watch.due(5 * SECOND)) == []


def test_what_is_no_message_is_passed_over() -> None:
    watch = stalls()
    for data in (b"", bytes(11), struct.pack("=III", 999, 1, 0)):
        assert feed(watch, 0, FRONT, data) is None
    assert feed(watch, 0, FRONT, bytes(24), Channel.GPU) is None
    assert feed(watch, 0, BACK, message("GET_FEATURES", bytes(8), 5)) is None
    assert watch.wait_ns(0) is None
