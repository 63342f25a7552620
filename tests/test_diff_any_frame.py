"""Whatever a capture holds: it can be told apart, from itself it does not differ, and nothing raises."""

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from kit.replay_stage import REGISTRY
from kit.sessions import Script
from kit.strategies import events, hostile_frames

from vutrace.diff.compare import pairings
from vutrace.diff.sections import LAST, Account, accounts
from vutrace.diff.text import objects, same, text
from vutrace.records import Frame, Record
from vutrace.replay.descriptors import Descriptors
from vutrace.replay.mutate import mutated
from vutrace.replay.rings import RingMemory
from vutrace.replay.script import scripts
from vutrace.session.tracker import Tracker

ONE = st.just(0)
TRACES = st.lists(hostile_frames() | events(ONE), max_size=12)


def gathered(records: list[Record]) -> list[Record]:
    """All on one session, so that the messages meet."""
    return [replace(record, connection=0, session=1) for record in records]


def accounts_of(records: list[Record]) -> list[Account]:
    tracker = Tracker(REGISTRY)
    return accounts(tracker.rows(gathered(records)), tracker.connections)


@settings(max_examples=30, deadline=None)
@given(TRACES, TRACES)
def test_any_two_captures_can_be_compared(a: list[Record], b: list[Record]) -> None:
    assert same(pairings(accounts_of(a), accounts_of(a)))
    pairs = pairings(accounts_of(a), accounts_of(b), latency=True)
    assert list(text(pairs, lambda row: "row"))
    assert json.loads(objects(pairs))["same"] is same(pairs)


STEPS = st.lists(st.sampled_from(["num", "base", "addr", "kick", "on", "off", "0", "8", "15"]), max_size=12)


def records_of(steps: list[str]) -> list[Record]:
    """A session of one ring's messages, and of the status between them."""
    script = Script()
    script.get("GET_FEATURES", 1 << 30)
    script.set("SET_FEATURES", 1 << 30)
    for step in steps:
        if step.isdecimal():
            script.set("SET_STATUS", int(step))
        else:
            script.steps(0, step)
    return script.records


@settings(max_examples=300, deadline=None)
@given(STEPS.flatmap(lambda steps: st.tuples(st.just(steps), st.permutations(steps))))
def test_no_other_order_is_missed(orders: tuple[list[str], list[str]]) -> None:
    """Neither of a ring's messages nor of the status among them; the summaries are left out of account."""
    a, b = orders
    (pair,) = pairings(accounts_of(records_of(a)), accounts_of(records_of(b)))
    assert any(change.subject not in LAST for change in pair.changes) is (a != b)


@settings(max_examples=30, deadline=None)
@given(TRACES, st.integers())
def test_any_capture_can_be_prepared_and_damaged(records: list[Record], seed: int) -> None:
    """What would be sent is made up without an error; descriptors of any size are sparse."""
    small = [
        replace(record, fds=tuple(replace(fd, size=fd.size and fd.size % (1 << 40)) for fd in record.fds))
        if isinstance(record, Frame)
        else record
        for record in gathered(records)
    ]
    for script in scripts(Tracker(REGISTRY).rows(small)):
        damaged, _ = mutated(script, seed)
        descriptors, rings = Descriptors(), RingMemory()
        try:
            for exchange in (*script.main, *damaged.main):
                made = descriptors.make(exchange.message)
                rings.follow(exchange.message, made.fds, exchange.row.context)
                made.sent()
        finally:
            descriptors.close()
