"""Replies find their requests, by each of the protocol's rules."""

import struct
from collections.abc import Iterable
from dataclasses import replace

import pytest

from vutrace.dissection.registry import Registry
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.protocol.messages import TABLES
from vutrace.protocol.wire import sender_of
from vutrace.records import Channel, Event, EventKind, FdInfo, FdKind, Frame, Record, Side
from vutrace.session.row import Row
from vutrace.session.tracker import Tracker

NUMBERS = {spec.name: spec.number for rows in TABLES.values() for spec in rows.values()}
REPLY_ACK, LOG_SHMFD = bit("REPLY_ACK", PROTOCOL_FEATURES), bit("LOG_SHMFD", PROTOCOL_FEATURES)
NOBODY_ASKED = "a reply that no request waits for"
OK = bytes(8)
TABLE = struct.pack("<II", 1, 0) + bytes(32)


def ask(
    name: str,
    payload: bytes = b"",
    need_reply: bool = False,
    fds: int = 0,
    channel: Channel = Channel.MAIN,
    sender: Side | None = None,
) -> Frame:
    """A request; without a sender, from the side that asks on its channel."""
    version = 0 if channel is Channel.GPU else 1
    return frame(name, version | (8 if need_reply else 0), payload, fds, channel, sender)


def answer(name: str, payload: bytes = OK, fds: int = 0, channel: Channel = Channel.MAIN) -> Frame:
    """A reply."""
    return frame(name, 4 if channel is Channel.GPU else 5, payload, fds, channel, None)


def frame(name: str, flags: int, payload: bytes, fds: int, channel: Channel, sender: Side | None) -> Frame:
    """A frame of a little-endian host."""
    data = struct.pack("<III", NUMBERS[name], flags, len(payload)) + payload
    side = sender or sender_of(channel, reply=bool(flags & 4))
    return Frame(0, 0, 1, channel, side, data, (FdInfo(FdKind.OTHER),) * fds, wire_size=len(data))


def negotiated(mask: int) -> Frame:
    """The front-end acknowledges protocol features."""
    return ask("SET_PROTOCOL_FEATURES", struct.pack("<Q", mask))


CLOSE = Event(0, 0, 1, EventKind.CLOSE, "closed")


def rows(records: Iterable[Record]) -> list[Row]:
    """The rows of records that are a microsecond apart."""
    tracker = Tracker(Registry({}))
    return [tracker.feed(at(number, record)) for number, record in enumerate(records)]


def at(number: int, record: Record) -> Record:
    """The record at its place in time."""

    return replace(record, time_ns=number * 1000)


def pairs(records: Iterable[Record]) -> list[int | None]:
    """For each row, the row it answers."""
    return [row.reply_to for row in rows(records)]


def problems(records: Iterable[Record]) -> list[str]:
    """What is wrong, over all rows."""
    return [problem.text for row in rows(records) for problem in row.problems]


def test_a_reply_names_its_request_and_the_time_it_took() -> None:
    first, second = rows([ask("GET_FEATURES"), answer("GET_FEATURES")])
    assert (first.reply_to, second.reply_to, second.latency_ns) == (None, 1, 1000)


@pytest.mark.parametrize("need_reply", [False, True])
def test_a_message_with_a_reply_of_its_own_is_answered_whatever_its_flag(need_reply: bool) -> None:
    assert pairs([ask("GET_QUEUE_NUM", need_reply=need_reply), answer("GET_QUEUE_NUM")]) == [None, 1]
    assert problems([ask("GET_QUEUE_NUM", need_reply=need_reply), CLOSE]) == [
        "GET_QUEUE_NUM [1] was never answered"
    ]


def test_an_acknowledgement_is_owed_when_it_was_negotiated_and_asked_for() -> None:
    asked = ask("SET_OWNER", need_reply=True)
    assert pairs([negotiated(REPLY_ACK), asked, answer("SET_OWNER")]) == [None, None, 2]
    assert problems([negotiated(REPLY_ACK), asked, CLOSE]) == ["SET_OWNER [2] was never answered"]


def test_an_acknowledgement_that_was_not_negotiated_may_come_or_not() -> None:
    asked = ask("SET_OWNER", need_reply=True)
    assert pairs([asked, answer("SET_OWNER")]) == [None, 1]  # as DPDK does
    assert problems([asked, answer("SET_OWNER")]) == []
    assert problems([asked, CLOSE]) == []


def test_nobody_waits_for_an_acknowledgement_that_was_not_asked_for() -> None:
    records = [negotiated(REPLY_ACK), ask("SET_OWNER"), answer("SET_OWNER"), CLOSE]
    assert problems(records) == [NOBODY_ASKED]


@pytest.mark.parametrize("payload", [b"", struct.pack("<Q", 0x8000), bytes(16)], ids=["DPDK", "QEMU", "rust"])
def test_the_log_is_answered_when_its_memory_is_shared(payload: bytes) -> None:
    asked = ask("SET_LOG_BASE", bytes(16), fds=1)
    records = [negotiated(LOG_SHMFD), asked, answer("SET_LOG_BASE", payload)]
    assert pairs(records) == [None, None, 2]
    assert problems([*records, CLOSE]) == []
    assert problems([negotiated(LOG_SHMFD), asked, CLOSE]) == ["SET_LOG_BASE [2] was never answered"]


def test_without_shared_memory_the_log_is_not_answered() -> None:
    assert problems([ask("SET_LOG_BASE", bytes(16)), CLOSE]) == []


def test_in_postcopy_a_memory_table_is_answered_with_addresses_and_ended_without_a_reply() -> None:
    listen = [ask("POSTCOPY_LISTEN", need_reply=True), answer("POSTCOPY_LISTEN")]
    exchange = [ask("SET_MEM_TABLE", TABLE, fds=1), answer("SET_MEM_TABLE", TABLE), ask("SET_MEM_TABLE", OK)]
    assert pairs([*listen, *exchange]) == [None, 1, None, 3, None]
    assert problems([*listen, *exchange, CLOSE]) == []


def test_in_postcopy_a_single_region_is_answered_too() -> None:
    listen = [ask("POSTCOPY_LISTEN", need_reply=True), answer("POSTCOPY_LISTEN")]
    region = [ask("ADD_MEM_REG", bytes(40), fds=1), answer("ADD_MEM_REG", bytes(40)), ask("ADD_MEM_REG", OK)]
    assert pairs([*listen, *region]) == [None, 1, None, 3, None]
    assert problems([*listen, *region, CLOSE]) == []


def test_outside_postcopy_a_memory_table_waits_for_nothing() -> None:
    end = [ask("POSTCOPY_LISTEN"), ask("POSTCOPY_END", need_reply=True), answer("POSTCOPY_END")]
    assert problems([*end, ask("SET_MEM_TABLE", TABLE, fds=1), CLOSE]) == []


def test_postcopy_end_is_answered_in_any_case() -> None:
    assert problems([ask("POSTCOPY_END"), CLOSE]) == ["POSTCOPY_END [1] was never answered"]


def test_the_iotlb_is_always_answered() -> None:
    update = struct.pack("<QQQBB6x", 0x1000, 0x1000, 0x7F0000001000, 3, 2)
    assert pairs([ask("IOTLB_MSG", update, need_reply=True), answer("IOTLB_MSG")]) == [None, 1]
    assert problems([ask("IOTLB_MSG", update), CLOSE]) == ["IOTLB_MSG [1] was never answered"]


def test_an_unsolicited_reply_is_a_problem() -> None:
    assert problems([answer("GET_FEATURES")]) == [NOBODY_ASKED]
    assert pairs([answer("GET_FEATURES")]) == [None]


def test_a_reply_that_overtakes_another_says_so_and_both_find_their_requests() -> None:
    records = [
        ask("GET_FEATURES"),
        ask("GET_QUEUE_NUM"),
        answer("GET_QUEUE_NUM"),
        ask("GET_STATUS"),
        answer("GET_STATUS"),
        answer("GET_FEATURES"),
        CLOSE,
    ]
    assert pairs(records) == [None, None, 2, None, 4, 1, None]
    assert problems(records) == ["overtakes the reply that GET_FEATURES [1] waits for"]


def test_requests_of_one_kind_are_answered_in_order() -> None:
    bases = [ask("GET_VRING_BASE", struct.pack("<II", ring, 0)) for ring in range(2)]
    records = [*bases, *(answer("GET_VRING_BASE", struct.pack("<II", ring, 9)) for ring in range(2))]
    assert pairs(records) == [None, None, 1, 2]


def test_on_the_back_ends_channel_the_back_end_asks() -> None:
    channel = Channel.BACKEND
    miss = struct.pack("<QQQBB6x", 0x1000, 0, 0, 3, 1)
    records = [
        negotiated(REPLY_ACK),
        ask("BACKEND_IOTLB_MSG", miss, need_reply=True, channel=channel),
        ask("IOTLB_MSG", miss, need_reply=True),
        answer("BACKEND_IOTLB_MSG", channel=channel),
        answer("IOTLB_MSG"),
        CLOSE,
    ]
    assert pairs(records) == [None, None, None, 2, 3, None]
    assert problems(records) == []


def test_the_back_end_waits_too() -> None:
    lookup = ask("BACKEND_SHARED_OBJECT_LOOKUP", bytes(16), channel=Channel.BACKEND)
    assert problems([lookup, CLOSE]) == ["BACKEND_SHARED_OBJECT_LOOKUP [1] was never answered"]
    found = answer("BACKEND_SHARED_OBJECT_LOOKUP", fds=1, channel=Channel.BACKEND)
    assert pairs([lookup, found]) == [None, 1]


def test_numbers_of_one_channel_do_not_answer_those_of_another() -> None:
    records = [ask("GET_FEATURES"), answer("BACKEND_IOTLB_MSG", channel=Channel.BACKEND)]
    assert pairs(records) == [None, None]


def test_the_gpu_channel_answers_its_questions_and_nothing_else() -> None:
    channel = Channel.GPU
    update = struct.pack("<IIIII", 0, 0, 0, 64, 64)
    records = [
        ask("GPU_SCANOUT", bytes(12), channel=channel),
        ask("GPU_DMABUF_UPDATE", update, channel=channel),
        answer("GPU_DMABUF_UPDATE", b"", channel=channel),
        ask("GPU_GET_DISPLAY_INFO", channel=channel),
        answer("GPU_GET_DISPLAY_INFO", bytes(408), channel=channel),
        CLOSE,
    ]
    assert pairs(records) == [None, None, 2, None, 4, None]
    assert problems(records) == []
    assert problems([ask("GPU_GET_PROTOCOL_FEATURES", channel=channel), CLOSE]) == [
        "GPU_GET_PROTOCOL_FEATURES [1] was never answered"
    ]


def test_a_request_from_the_wrong_side_is_a_problem_and_waits_for_nothing() -> None:
    wrong = ask("GET_FEATURES", sender=Side.BACKEND)
    assert problems([wrong, CLOSE]) == [
        "a request from the back-end, which sends only replies on this channel"
    ]
    wrong = ask("BACKEND_CONFIG_CHANGE_MSG", channel=Channel.BACKEND, sender=Side.FRONTEND)
    assert problems([wrong]) == ["a request from the front-end, which sends only replies on this channel"]


def test_an_unknown_request_may_be_acknowledged() -> None:
    data = struct.pack("<III", 99, 9, 0)
    asked = Frame(0, 0, 1, Channel.MAIN, Side.FRONTEND, data, wire_size=12)
    data = struct.pack("<III", 99, 5, 8) + OK
    reply = Frame(0, 0, 1, Channel.MAIN, Side.BACKEND, data, wire_size=20)
    assert pairs([asked, reply]) == [None, 1]


def test_a_peer_that_never_answers_does_not_fill_the_memory() -> None:
    records = [ask("GET_FEATURES")] * 5000
    assert len(problems([*records, CLOSE])) == 4096


def test_a_new_session_begins_without_debts() -> None:

    later = replace(answer("GET_FEATURES"), session=2)
    assert problems([ask("GET_FEATURES"), later]) == [NOBODY_ASKED]
