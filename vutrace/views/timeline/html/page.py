"""Puts the page together: the template with its style, its scripts and the data inlined.

Nothing is loaded from anywhere: a content security policy in the template forbids it.
"""

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from vutrace.outgoing import json_text, page
from vutrace.session.model import Timeline
from vutrace.views.timeline.formats import DrawingOptions
from vutrace.views.timeline.html.data import page_data

# In this order: a script uses only what stands above it, but for what it calls later.
SCRIPTS = (
    "model", "axis", "filter", "lanes", "draw", "marks", "head", "panel", "paper", "app", "overview",
    "mouse", "keys", "begin",
)  # fmt: skip


def render(timeline: Timeline, options: DrawingOptions) -> Iterator[str]:
    """The page in pieces. Reads the capture's rows once more."""
    data = {**page_data(timeline, options.rows()), "scale": str(options.scale)}
    rest = asset("page.html")
    for name, text in pieces(data):
        before, _, rest = rest.partition(f"/*{name}*/")
        yield before
        yield text
    yield rest


def pieces(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What goes into the template, in its order."""
    yield "style", asset("page.css")
    yield "data", embedded(data)
    yield "script", "\n".join(asset(f"{name}.js") for name in SCRIPTS)


def asset(name: str) -> str:
    """A file that the page is made of."""
    return (files(__package__) / name).read_text("utf-8")


def embedded(data: object) -> str:
    """JSON that may stand in a script element: no name of a capture can end it."""
    return json_text(shown(data), separators=(",", ":")).replace("<", "\\u003c")


def shown(data: Any) -> Any:
    """The same, every text as it may be shown: a browser obeys marks that turn a line round, too."""
    match data:
        case str():
            return page(data)
        case dict():
            return {name: shown(each) for name, each in data.items()}
        case list() | tuple() if data and not isinstance(data[0], int):
            return [shown(each) for each in data]
    return data
