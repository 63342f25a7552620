"""What happened to each ring, for drawing: spans of its state and marks of its messages.

Both are bounded for the session as a whole. When there are too many, neighbours are merged: marks of one
kind, and spans, that fall into the same stretch of `grain` rows. Until then nothing is merged.
"""

from collections.abc import Mapping
from dataclasses import replace

from vutrace.dissection.message import Message
from vutrace.protocol.effects import RingEffect
from vutrace.quick import quick
from vutrace.session.model import Mark, Span
from vutrace.session.ring import Ring

KEPT = 32_768

KINDS: Mapping[RingEffect | None, str] = {
    RingEffect.SIZE: "configure",
    RingEffect.BASE: "configure",
    RingEffect.ADDRESSES: "configure",
    RingEffect.ENDIAN: "configure",
    RingEffect.KICK: "kick",
    RingEffect.CALL: "call",
    RingEffect.ERROR: "err",
    RingEffect.STOP: "stop",
    RingEffect.ENABLE: "enable 0",  # or 1, by its value
}


quick_mark, quick_span = quick(Mark), quick(Span)


def kind_of(message: Message) -> str:
    """The kind of mark a message about a ring makes."""
    kind = KINDS.get(message.spec.effect, "other")
    return "enable 1" if kind == "enable 0" and message.number_in("num") else kind


class Lane:
    """One ring's spans and marks."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.marks: list[Mark] = []


class Lanes:
    """The lanes of one session by ring."""

    def __init__(self, keep: int = KEPT) -> None:
        self.by_ring: dict[int, Lane] = {}
        self.grain = 1
        self._keep, self._count = keep, 0

    def mark(self, index: int, row: int, time_ns: int, message: Message) -> None:
        """A message about ring `index`."""
        mark = quick_mark(kind_of(message), message.name, row, time_ns, row, 1, message.spec.effect)
        self._count += add_mark(self._lane(index).marks, mark, self.grain)
        if self._count > self._keep:
            self._bound()

    def state(self, ring: Ring, row: int, time_ns: int) -> None:
        """Ring `ring` is now as it says, since `row`."""
        lane, drawn = self._lane(ring.index), ring.drawn
        if not lane.spans or lane.spans[-1].state != drawn:
            rule = f"{ring.started_rule}; {ring.enabled_rule}"
            self._count += add_span(lane.spans, quick_span(drawn, time_ns, time_ns, row, rule, 1), self.grain)
            if self._count > self._keep:
                self._bound()

    def _lane(self, index: int) -> Lane:
        known = self.by_ring.get(index)
        if known is None:
            known = self.by_ring[index] = Lane()
        return known

    def end(self, time_ns: int) -> None:
        """Nothing more comes: each span lasts until the next, the last until now."""
        for lane in self.by_ring.values():
            ends = [*(span.start_ns for span in lane.spans[1:]), time_ns]
            pairs = zip(lane.spans, ends, strict=False)
            lane.spans = [
                quick_span(span.state, span.start_ns, end, span.first, span.rule, span.changes)
                for span, end in pairs
            ]

    def _bound(self) -> None:
        # Each lane keeps a span and a mark at least, so that many rings may stay above the bound.
        while self._count > self._keep and self._count > 2 * len(self.by_ring):
            self.grain *= 4
            self._count = sum(coarsen(lane, self.grain) for lane in self.by_ring.values())


def add_mark(marks: list[Mark], mark: Mark, grain: int) -> int:
    """Add a mark, or count it with one of its kind nearby; how many marks more there are."""
    if grain > 1:
        for position in range(len(marks) - 1, max(-1, len(marks) - 1 - len(KINDS)), -1):
            near = marks[position]
            if near.row // grain != mark.row // grain:
                break
            if near.kind == mark.kind:
                count = near.count + mark.count
                marks[position] = replace(near, last=mark.last, count=count)
                return 0
    marks.append(mark)
    return 1


def add_span(spans: list[Span], span: Span, grain: int) -> int:
    """Add a span, or let one nearby stand for both; how many spans more there are."""
    if grain > 1 and spans and spans[-1].first // grain == span.first // grain:
        last = spans[-1]
        spans[-1] = replace(
            span, start_ns=last.start_ns, first=last.first, changes=last.changes + span.changes
        )
        return 0
    spans.append(span)
    return 1


def coarsen(lane: Lane, grain: int) -> int:
    """Merge what falls together at a new grain; what is left."""
    marks, spans = lane.marks, lane.spans
    lane.marks, lane.spans = [], []
    kept = sum(add_mark(lane.marks, mark, grain) for mark in marks)
    return kept + sum(add_span(lane.spans, span, grain) for span in spans)
