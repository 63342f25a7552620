"""The timeline as one JSON object; keys are fixed (docs/session-model.md): more may come, none is renamed.

Times are seconds since the first record, rows are numbers as in `show`, masks are integers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from vutrace.dissection.device import Device
from vutrace.outgoing import json_text
from vutrace.protocol.bits import DEVICE_STATUS, bit_names
from vutrace.records import SampleFlag, connection_letter
from vutrace.session.activity import Moved
from vutrace.session.fd_ledger import Holding
from vutrace.session.memory import MemoryChange, Region
from vutrace.session.model import (
    ConnectionTimeline,
    Iteration,
    Loop,
    Mark,
    Part,
    PhaseSpan,
    RingLane,
    Sequence,
    SessionTimeline,
    Span,
    Step,
    Timeline,
)
from vutrace.session.negotiation import Round
from vutrace.session.ring import Ring
from vutrace.views.descriptors import identity
from vutrace.views.masks import protocol_names
from vutrace.views.text import feature_names
from vutrace.views.timeline.formats import DrawingOptions

Json = dict[str, Any]
SECOND = 1_000_000_000
VIRTIO_MASKS = ("offered", "acknowledged", "refused")
PROTOCOL_MASKS = ("protocol_offered", "protocol_acknowledged", "protocol_refused")
SCHEMA = "timeline-1"  # docs/schemas; another number when a key goes or means something else


def render(timeline: Timeline, _options: DrawingOptions) -> Iterator[str]:
    """The object, a session on each line: indenting all takes ten times as long."""
    yield f"{{{inside(timeline_json(timeline))},\n"
    yield from array("connections", map(connection_pieces, timeline.connections), " ")
    yield "\n}\n"


def connection_pieces(connection: ConnectionTimeline) -> Iterator[str]:
    """A connection, session by session."""
    yield f"{{{inside(connection_json(connection))},\n"
    sessions = ([json_text(session_json(each))] for each in connection.sessions)
    yield from array("sessions", sessions, "  ")
    yield "}"


def array(name: str, items: Iterable[Iterable[str]], indent: str) -> Iterator[str]:
    """A key and a list, each item on a line of its own."""
    yield f'{indent}"{name}": ['
    between = f"\n{indent} "
    for pieces in items:
        yield between
        yield from pieces
        between = f",\n{indent} "
    yield "]"


def inside(made: Json) -> str:
    """An object without its braces."""
    return json_text(made)[1:-1]


def timeline_json(timeline: Timeline) -> Json:
    """The whole capture, but for its connections; `first_ns_text` is for who rounds long integers."""
    return {
        "schema": SCHEMA,
        "rows": timeline.rows,
        "first_ns": timeline.first_ns,
        "first_ns_text": str(timeline.first_ns),
        "connections_omitted": timeline.connections_omitted,
    }


def connection_json(connection: ConnectionTimeline) -> Json:
    """A connection, but for its sessions."""
    return {
        "connection": connection_letter(connection.number),
        "frontend": connection.frontend,
        "backend": connection.backend,
        "sessions_omitted": connection.sessions_omitted,
    }


def session_json(session: SessionTimeline) -> Json:
    return {
        "session": session.number,
        "device": session.device,
        "device_reason": session.device_reason,
        "first": session.first,
        "last": session.last,
        "start": session.start_ns / SECOND,
        "end": session.end_ns / SECOND,
        "closed": session.closed,
        "closed_by": session.closed_by or ("vutrace" if session.closed else None),
        "partial": session.partial,
        "timed": session.timed,
        "rows": session.rows,
        "problems": session.problems,
        "status": session.status,
        "status_names": bit_names(session.status or 0, DEVICE_STATUS),
        "phases": [phase_json(each) for each in session.phases],
        "phases_omitted": session.phases_omitted,
        "phases_cut": session.phases_cut,
        "rings": [lane_json(each) for each in session.rings],
        "rounds": [round_json(each, session.kind) for each in session.rounds],
        "barriers": session.barriers,
        "memory": [region_json(region) for region in session.memory],
        "memory_changes": [change_json(each) for each in session.memory_changes],
        "fds": [holding_json(each) for each in session.fds],
        "fds_received": session.fds_received,
        "owing": [asdict(each) for each in session.owing],
        "side_channels": [asdict(each) for each in session.side_channels],
        "omitted": asdict(session.omitted),
        "acted": [each._asdict() for each in session.acted],
    }


def phase_json(phase: PhaseSpan) -> Json:
    """One phase; first and last are null where the device ran without a message."""
    return {
        "name": str(phase.phase),
        "first": phase.first,
        "last": phase.last,
        "start": phase.start_ns / SECOND,
        "end": phase.end_ns / SECOND,
        "messages": phase.messages,
        "once": phase.once,
        "once_marks": [mark_json(each) for each in phase.once_marks],
        "loops": [loop_json(loop) for loop in phase.loops],
        "parts": [part_json(part) for part in phase.parts],
        "parts_omitted": phase.parts_omitted,
    }


def part_json(part: Part) -> Json:
    """A part in its place: a loop by its first row (see `loops`), or messages outside of loops."""
    if isinstance(part, Loop):
        return {"loop": part.first}
    return sequence_json(part)


def sequence_json(part: Sequence) -> Json:
    """Messages outside of loops."""
    return {
        "first": part.first,
        "last": part.last,
        "messages": [step.name for step in part.steps for _ in range(step.count)],
        "anomalies": list(map(str, part.anomalies)),
    }


def loop_json(loop: Loop) -> Json:
    return {
        "name": loop.name,
        "count": loop.count,
        "repeats": loop.repeats,
        "first": loop.first,
        "last": loop.last,
        "iterations": [iteration_json(each) for each in loop.iterations],
    }


def iteration_json(iteration: Iteration) -> Json:
    return {
        "queue_pair": iteration.pair,
        "ring": iteration.ring,
        "rings": list(iteration.rings),
        "first": iteration.first,
        "last": iteration.last,
        "messages": iteration.messages,
        "steps": [step_json(each) for each in iteration.steps],
        "anomalies": list(map(str, iteration.anomalies)),
    }


def step_json(step: Step) -> Json:
    return {name: value for name, value in asdict(step).items() if value not in (None, False)}


def lane_json(lane: RingLane) -> Json:
    """A ring with everything that happened to it."""
    return {
        **ring_json(lane.ring),
        "queue_pair": lane.pair,
        "spans": [span_json(each) for each in lane.spans],
        "marks": [mark_json(each) for each in lane.marks],
        **({"samples": [moved_json(each) for each in lane.samples]} if lane.samples else {}),
    }


def moved_json(moved: Moved) -> Json:
    """How a ring stood at a look, and what moved until then."""
    sample = moved.sample
    counted = sample.has(SampleFlag.COUNTED)
    return {
        "time": moved.time_ns / SECOND,
        "available_per_second": round(moved.made, 3),
        "used_per_second": round(moved.used, 3),
        "in_flight": sample.in_flight if sample.has(SampleFlag.INDEXES) else None,
        "kicks": sample.kicks if sample.has(SampleFlag.KICKS) else None,
        "calls": sample.calls if sample.has(SampleFlag.CALLS) else None,
        **({"kick_total": sample.kick_total, "call_total": sample.call_total} if counted else {}),
    }


def ring_json(ring: Ring) -> Json:
    """A ring as it stands: as sent, and in effect."""
    return {
        "ring": ring.index,
        "name": ring.name,
        "state": str(ring.state),
        "started": ring.state.started,
        "enabled": ring.state.enabled,
        "started_rule": ring.started_rule,
        "enabled_rule": ring.enabled_rule,
        "enable_sent": ring.enable_sent,
        "kick_sent": ring.kick_sent,
        "size": ring.size,
        "base": ring.base,
        "addresses": ring.addresses._asdict() if ring.addresses else None,
        "changed": ring.changed,
        "changed_time": ring.changed_ns / SECOND,
        "changed_by": ring.changed_by,
    }


def span_json(span: Span) -> Json:
    """A state and how long it lasted."""
    return {
        "state": span.state,
        "start": span.start_ns / SECOND,
        "end": span.end_ns / SECOND,
        "first": span.first,
        "rule": span.rule,
        "changes": span.changes,
    }


def mark_json(mark: Mark) -> Json:
    """A message about the ring."""
    return {
        "kind": mark.kind,
        "name": mark.name,
        "row": mark.row,
        "time": mark.time_ns / SECOND,
        "last": mark.last,
        "count": mark.count,
    }


def round_json(negotiated: Round, device: Device) -> Json:
    """A negotiation round with what was refused; `names` has the bits of each mask."""
    masks = {name: getattr(negotiated, name) for name in (*VIRTIO_MASKS, *PROTOCOL_MASKS)}
    names = {
        name: feature_names(mask, device) if name in VIRTIO_MASKS else protocol_names(mask)
        for name, mask in masks.items()
        if mask is not None
    }
    return {**asdict(negotiated), **masks, "names": names}


def region_json(region: Region) -> Json:
    """A memory region with what backs it."""
    return {**region._asdict(), "fd": asdict(region.fd) if region.fd else None}


def change_json(change: MemoryChange) -> Json:
    """A change of the memory map."""
    return {
        "row": change.number,
        "time": change.time_ns / SECOND,
        "message": change.message,
        "added": [region_json(region) for region in change.added],
        "removed": [region_json(region) for region in change.removed],
    }


def holding_json(holding: Holding) -> Json:
    """A descriptor in its place."""
    return {
        "role": holding.slot.role,
        "ring": holding.slot.ring,
        "region": holding.slot.region,
        "fd": None if holding.fd is None else identity(holding.fd),
        "row": holding.number,
        "time": holding.time_ns / SECOND,
        "message": holding.message,
        "generation": holding.generation,
        "replaced": None if holding.replaced is None else identity(holding.replaced),
    }
