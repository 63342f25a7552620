"""Items in lists: what is at hand, and nothing that was read is lost or kept back."""

from collections.abc import Iterator
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.capture_samples import SAMPLE, encoded
from kit.strategies import captures

from vutrace.capture import CaptureError, Item, Reader
from vutrace.capture.reader import AHEAD


@given(captures(), st.integers(1, 400), st.integers(1, 3))
def test_they_hold_every_item_in_order(items: list[Item], size: int, ahead: int) -> None:
    data = encoded(items)
    reader = Reader(data[at : at + size] for at in range(0, len(data), size))
    reader.ahead = ahead
    batches = list(reader.batches())
    assert list(chain.from_iterable(batches)) == items
    assert all(1 <= len(batch) <= ahead for batch in batches)


def test_none_waits_for_bytes_to_come() -> None:
    asked = []

    def chunks() -> Iterator[bytes]:
        for number, item in enumerate(encoded(SAMPLE[: count + 1]) for count in range(len(SAMPLE))):
            asked.append(number)
            yield item

    # Each chunk is a capture of its own, with one item more than the one before.
    batches = Reader(chunks()).batches()
    for number in range(3):
        assert len(next(batches)) == number + 1
        assert asked == list(range(number + 1))


def test_what_stands_before_the_damage_comes_first() -> None:
    found: list[Item] = []
    with pytest.raises(CaptureError, match="damaged at byte"):
        found.extend(chain.from_iterable(Reader([encoded(SAMPLE) + b"?" * 12]).batches()))
    assert found == SAMPLE


def test_with_one_item_each_the_counts_are_those_of_the_item_at_hand() -> None:
    reader = Reader([encoded(SAMPLE)])
    reader.ahead = 1
    records = [reader.records for _ in reader.batches()]
    assert records == sorted(records)
    assert len(set(records)) > 1


def test_a_long_capture_comes_in_many() -> None:
    many = [*SAMPLE[:2], *SAMPLE[2:3] * (3 * AHEAD)]
    assert [len(batch) for batch in Reader([encoded(many)]).batches()] == [AHEAD, AHEAD, AHEAD, 2]
