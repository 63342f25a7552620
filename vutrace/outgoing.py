"""How text leaves: whoever made it, it moves no cursor, turns no line round and is no code. Imports nothing.

Peers name processes, memfds and devices, and a capture may come from anywhere. Views make each such name
`printable` where they put it; `page` and `json_text` are what whole outputs go through on their way out, so
that what a view forgets does no harm either.
"""

import json
import re
from typing import Any

FORMULA = ("=", "+", "-", "@")  # a cell that begins with one is computed by spreadsheets
COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")
LAYOUT = frozenset("\n\t")


def printable(text: str) -> str:
    """Text on one line: what is no letter, sign or blank is escaped, as controls and bidi marks."""
    return text if text.isprintable() else "".join(c if c.isprintable() else escape(c) for c in text)


def page(text: str, painted: bool = False) -> str:
    """Text of several lines, which stay; with `painted` the colours of our own stay, too."""
    if text.isprintable() or text.replace("\n", "").isprintable():
        return text
    pieces = COLOUR.split(text) if painted else [text]
    return "".join(
        piece if number % 2 else "".join(c if c.isprintable() or c in LAYOUT else escape(c) for c in piece)
        for number, piece in enumerate(pieces)
    )


def cell(text: str) -> str:
    """Text in a table that a spreadsheet may open: printable, and no formula."""
    return f"'{printable(text)}" if text.startswith(FORMULA) else printable(text)


def json_text(value: object, **layout: Any) -> str:
    """JSON in which letters stand as they are, all else that is not printable as \\u escapes."""
    return json_page(json.dumps(value, ensure_ascii=False, **layout))


def json_page(text: str) -> str:
    """A piece of JSON, whose strings may hold what is not printable."""
    if text.isprintable() or text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def escape(character: str) -> str:
    """As Python writes it: \\x1b, \\u202e."""
    return character.encode("unicode_escape").decode()
