"""Puts the page together: the template with its style, its scripts and the data inlined.

Nothing is loaded from anywhere: a content security policy in the template forbids it.
"""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from vutrace.session.model import Timeline
from vutrace.views.timeline.formats import Options
from vutrace.views.timeline.html.data import page_data

# In this order: a script uses only what stands above it, but for what it calls later.
SCRIPTS = (
    "model", "axis", "filter", "lanes", "draw", "marks", "head", "panel", "paper", "app", "mouse", "keys",
    "begin",
)  # fmt: skip


def render(timeline: Timeline, options: Options) -> Iterator[str]:
    """The page in pieces. Reads the capture's rows once more."""
    data = {**page_data(timeline, options.rows()), "scale": str(options.scale)}
    page = asset("page.html")
    for name, text in pieces(data):
        before, _, page = page.partition(f"/*{name}*/")
        yield before
        yield text
    yield page


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
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
