"""The timeline for ui.perfetto.dev: TrackEvent packets.

A process for each connection; below it a track of its sessions with their phases and turns of loops, one for
each channel and sender, one for the memory map and one for each ring. A request that is owed a reply is a
slice until that comes (or its sender's next message); everything else is an instant. Arrows go from requests
to replies; the fields of a message are its arguments.
"""

from collections.abc import Iterator

from vutrace.session.model import Timeline
from vutrace.views.timeline.formats import DrawingOptions
from vutrace.views.timeline.perfetto.drawn import Slices, rows_of_turns
from vutrace.views.timeline.perfetto.messages import Messages
from vutrace.views.timeline.perfetto.track_event import beginning
from vutrace.views.timeline.perfetto.tracks import Tracks


def render(timeline: Timeline, options: DrawingOptions) -> Iterator[bytes]:
    """The trace, packet by packet. Reads the capture's rows once more."""
    tracks = Tracks()
    times = dict.fromkeys(rows_of_turns(timeline), 0)
    yield beginning()
    for connection in timeline.connections:
        yield tracks.begin(connection)
    yield from Messages(tracks, times).packets(options.rows())
    drawing = Slices(tracks, timeline.first_ns, times)
    for connection in timeline.connections:
        for session in connection.sessions:
            yield from drawing.packets(connection.number, session)
