"""Colour on a terminal: styles by name, or nothing."""

from collections.abc import Callable, Mapping
from enum import StrEnum

Paint = Callable[[str, str], str]

# SGR parameters (ECMA-48)
STYLES: Mapping[str, str] = {
    ">": "36",
    "<": "32",
    "@": "35",
    "=": "2",
    "reply": "2",
    "link": "2",
    "fds": "33",
    "problem": "1;31",
    "heading": "1",
}


class When(StrEnum):
    """Whether to colour; auto is on a terminal."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def bare(text: str, _style: str) -> str:
    """No colour."""
    return text


def painted(text: str, style: str) -> str:
    """`text` in a style; spaces around it stay as they are."""
    code = STYLES.get(style)
    return f"\x1b[{code}m{text}\x1b[0m" if code and text else text


def painter(when: When, environment: Mapping[str, str], terminal: bool) -> Paint:
    """The paint to use; NO_COLOR and TERM=dumb turn `auto` off (no-color.org)."""
    if when is When.AUTO:
        wanted = terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        return painted if wanted else bare
    return painted if when is When.ALWAYS else bare
