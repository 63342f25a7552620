"""What is kept for the next message of the same bytes stays within bounds."""

from vutrace.dissection.dissector import Dissector
from vutrace.dissection.kept import LIMIT, LONGEST, Kept
from vutrace.records import Channel, Frame, Side


def frame(data: bytes) -> Frame:
    """A frame of the main channel."""
    return Frame(0, 0, 1, Channel.MAIN, Side.FRONTEND, data, wire_size=len(data))


def test_it_begins_anew_when_it_is_full() -> None:
    kept: Kept[int, int] = Kept()
    assert [kept.keep(number, -number) for number in range(LIMIT + 1)] == [-each for each in range(LIMIT + 1)]
    assert kept == {LIMIT: -LIMIT}


def test_a_stream_of_ever_new_messages_does_not_fill_memory() -> None:
    dissect = Dissector()
    for number in range(3 * LIMIT):
        assert dissect(frame(number.to_bytes(12, "little"))).flags == number >> 32
    assert len(dissect._known) <= LIMIT


def test_long_messages_are_not_kept() -> None:
    dissect = Dissector()
    assert dissect(frame(bytes(LONGEST + 1))).request == 0
    assert not dissect._known
