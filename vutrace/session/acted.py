"""Messages that rules of vutrace's acted on, as they came: what their sender believes to have said."""

from dataclasses import replace

from vutrace.records import Acted, Event, FdInfo, FdKind, Frame, FrameFlag

UNSEEN = FdInfo(FdKind.OTHER)
MOST_FDS = 253


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
