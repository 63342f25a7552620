"""What is made quickly is the same as what is made as usual."""

from dataclasses import FrozenInstanceError, replace

import pytest

from vutrace.quick import quick, quick_replace, quick_tuple
from vutrace.records import FdInfo, FdKind
from vutrace.session.negotiation import Round
from vutrace.session.ring import Ring, RingChange


def test_a_quick_object_is_equal_and_frozen() -> None:
    usual = FdInfo(FdKind.MEMFD, 1, 2, 3)
    made = quick(FdInfo)(FdKind.MEMFD, 1, 2, 3, None, "", None, None, "", None, None, "")
    assert made == usual
    assert type(made) is FdInfo
    with pytest.raises(FrozenInstanceError):
        made.size = 4  # type: ignore[misc]


def test_a_quick_replacement_is_that_of_dataclasses() -> None:
    before = Round(1, 2, offered=7)
    assert quick_replace(Round)(before, offered=15) == replace(before, offered=15)
    assert before.offered == 7


def test_a_quick_tuple_is_a_named_one() -> None:
    change = quick_tuple(RingChange)((None, Ring(3)))
    assert change == RingChange(None, Ring(3))
    assert change.after.index == 3
