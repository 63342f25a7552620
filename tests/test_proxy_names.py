"""Looks for the numbers of descriptors: they are right, and ever fewer where they are in vain."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vutrace.proxy import names
from vutrace.proxy.looks import Seen
from vutrace.proxy.names import (
    LONG_SECONDS,
    LONGEST_SECONDS,
    REST,
    VAIN,
    FdNumbers,
    LookedAt,
    key_of,
    search,
    text,
)
from vutrace.proxy.pending import Origin
from vutrace.records import Channel, Side
from vutrace.sockets.inspect import describe

NOBODY = 2**22 + 1  # no process has such a number


@contextmanager
def eventfd() -> Iterator[int]:
    """One of this process."""
    fd = os.eventfd(0)
    try:
        yield fd
    finally:
        os.close(fd)


def looked_for(fd: int, looked_at: dict[int, LookedAt]) -> tuple[int | None, int | None]:
    """The numbers that a front-end, this process, and a back-end that is gone have for a descriptor."""
    seen = Seen(Origin(0, 1, Channel.MAIN, Side.FRONTEND, os.getpid(), NOBODY), [fd], [False])
    seen.infos = [describe(fd)]
    look = FdNumbers([seen], looked_at)
    look.go()
    look.put()
    return seen.infos[0].frontend_fd, seen.infos[0].backend_fd


def test_what_comes_again_is_found_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    with eventfd() as fd:
        looked_at: dict[int, LookedAt] = {}
        assert looked_for(fd, looked_at) == (fd, None)
        monkeypatch.setattr(names, "numbers", lambda pid: [])  # nobody lists what is open
        assert looked_for(fd, looked_at) == (fd, None)


def test_a_number_that_was_given_to_something_else_is_looked_for_anew() -> None:
    with eventfd() as fd, eventfd() as other:
        info = describe(fd)
        key = key_of(info)
        assert key
        wanted = {key: text(info)}
        assert search(os.getpid(), wanted, {key: other}) == {key: fd}


def test_looks_in_vain_become_rare_and_one_that_finds_something_makes_them_usual() -> None:
    known = LookedAt()
    for _ in range(VAIN):
        known.found({}, 0.0, 5.0)
        assert known.until == 5.0
    rests = []
    for _ in range(20):
        known.found({}, 0.0, 5.0)
        rests.append(known.until - 5.0)
    assert rests == sorted(rests)
    assert 0 < rests[0] < rests[-1] == LONGEST_SECONDS
    known.found({(-1, 7): 3}, 0.0, 6.0)
    assert known.until == 6.0
    assert known.vain == 0


def test_after_a_look_that_takes_long_a_process_is_left_alone() -> None:
    known = LookedAt()
    known.found({(-1, 7): 3}, 2 * LONG_SECONDS, 1.0)
    assert known.until == pytest.approx(1.0 + REST * 2 * LONG_SECONDS)


def test_a_process_that_closes_all_it_gets_is_hardly_looked_at() -> None:
    with eventfd() as fd:
        looked_at: dict[int, LookedAt] = {}
        for _ in range(3 * VAIN):
            assert looked_for(fd, looked_at) == (fd, None)
        assert looked_at[NOBODY].vain < 2 * VAIN  # each rest is longer than all looks here
