"""The timeline in any format: a table of formats, each a module with `render(timeline, options)`.

A format gives pieces of text or bytes, in order; what it needs beyond the timeline is in the options.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import import_module
from typing import Protocol, cast

from vutrace.session.model import RingLane, SessionTimeline, Timeline
from vutrace.session.row import Row
from vutrace.views.colour import Paint, bare


class Scale(StrEnum):
    """What stands on the horizontal axis."""

    ORDER = "order"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Options:
    """How to draw: `width` in columns, `rows` to read the capture's rows (again, as often as wanted)."""

    rows: Callable[[], Iterable[Row]]
    scale: Scale = Scale.ORDER
    width: int = 80
    paint: Paint = bare


class Renderer(Protocol):
    """What the module of a format has."""

    def render(self, timeline: Timeline, options: Options) -> Iterator[str] | Iterator[bytes]:
        """The pieces of the drawing."""


FORMATS: Mapping[str, str] = {
    "text": "vutrace.views.timeline_text",
    "json": "vutrace.views.timeline_json",
    "svg": "vutrace.views.svg",
    "mermaid": "vutrace.views.mermaid",
    "html": "vutrace.views.html",
    "perfetto": "vutrace.views.perfetto",
}
# These look at the rows again, so they need a capture that can be read twice.
READ_AGAIN = frozenset({"html", "perfetto"})


def renderer(name: str) -> Renderer:
    """The format called `name`; KeyError if there is none."""
    return cast("Renderer", import_module(FORMATS[name]))


def only(timeline: Timeline, wanted: Callable[[RingLane], bool]) -> Timeline:
    """The timeline with the lanes of the wanted rings alone."""

    def kept(session: SessionTimeline) -> SessionTimeline:
        return replace(session, rings=tuple(lane for lane in session.rings if wanted(lane)))

    connections = tuple(
        replace(connection, sessions=tuple(map(kept, connection.sessions)))
        for connection in timeline.connections
    )
    return replace(timeline, connections=connections)
