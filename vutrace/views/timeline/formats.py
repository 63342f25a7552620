"""The formats of a timeline: a row each, and a module of the same name beside this one that draws it.

A format gives pieces of text or bytes, in order; what it needs beyond the timeline is in the options.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from vutrace.views.colour import Paint, bare

if TYPE_CHECKING:
    from vutrace.session.model import Timeline
    from vutrace.session.row import Row


class Scale(StrEnum):
    """What stands on the horizontal axis."""

    ORDER = "order"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class DrawingOptions:
    """How to draw: `width` in columns, `rows` to read the capture's rows (again, as often as wanted)."""

    rows: "Callable[[], Iterable[Row]]"
    scale: Scale = Scale.ORDER
    width: int = 80
    paint: Paint = bare


class Renderer(Protocol):
    """What the module of a format has."""

    def render(self, timeline: "Timeline", options: DrawingOptions) -> Iterator[str] | Iterator[bytes]:
        """The pieces of the drawing."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the suffixes of its files, whether it is bytes, and what it needs.

    `rereads`: it looks at the rows again, so it needs a capture that can be read twice. `terminal`: it is
    made for one, with its width and colours.
    """

    name: str
    suffixes: tuple[str, ...]
    binary: bool = False
    rereads: bool = False
    terminal: bool = False

    def render(self, timeline: "Timeline", options: DrawingOptions) -> Iterator[str] | Iterator[bytes]:
        """The pieces of the drawing; imports what draws it."""
        return cast("Renderer", import_module(f"{__package__}.{self.name}")).render(timeline, options)


FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format("text", (".txt",), terminal=True),
        Format("json", (".json",)),
        Format("svg", (".svg",)),
        Format("mermaid", (".mmd",)),
        Format("html", (".html",), rereads=True),
        Format("perfetto", (".perfetto", ".pftrace"), binary=True, rereads=True),
    )
}


def format_of_suffix(suffix: str) -> Format | None:
    """The format of files that end so."""
    return next((each for each in FORMATS.values() if suffix in each.suffixes), None)
