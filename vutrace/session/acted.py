"""Messages that rules of vutrace's acted on, as they came: what their sender believes to have said."""

from dataclasses import replace
from typing import NamedTuple

from vutrace.records import Acted, Event, EventKind, FdInfo, FdKind, Frame, FrameFlag, Record

UNSEEN = FdInfo(FdKind.OTHER)
MOST_FDS = 253


class ActedRow(NamedTuple):
    """A row whose message a rule acted on: `deed` is `held`, `changed`, `made` or `dropped`."""

    row: int
    deed: str
    rule: str


def deed_of(record: Record) -> tuple[str, str] | None:
    """What was done to the message of a record, and by which rule; None where nothing was."""
    if isinstance(record, Event):
        dropped = record.kind is EventKind.DROPPED
        return (str(record.kind), record.attributes.get("rule", "")) if dropped else None
    return (str(record.acted.deed), record.acted.rule) if record.acted else None


def dropped_frame(event: Event) -> Frame | None:
    """The message that a DROPPED event holds; None where it is not whole."""
    told = event.attributes
    try:
        data = bytes.fromhex(told.get("data", ""))
        count, size = int(told.get("fds", "0")), int(told.get("size", len(data)))
    except ValueError:
        return None
    if not data or event.sender is None or not 0 <= count <= MOST_FDS:
        return None
    flags = FrameFlag.CUT if size > len(data) else FrameFlag.NONE
    place = event.time_ns, event.connection, event.session, event.channel, event.sender
    return Frame(*place, data, (UNSEEN,) * count, flags, size)


def frame_as_it_came(frame: Frame, acted: Acted) -> Frame:
    """A message that a rule changed, before it did."""
    return replace(
        frame, data=acted.data, fds=acted.fds, wire_size=acted.wire_size, time_ns=acted.came_ns, acted=None
    )
