"""What a ring's messages are drawn as, in the terminal, in the picture and on the page."""

from collections.abc import Mapping

from vutrace.session.model import Mark

# What a message is drawn as; SET_VRING_NUM, _BASE and _ADDR are told apart.
GLYPHS: Mapping[str, str] = {
    "kick": "K",
    "call": "C",
    "err": "E",
    "enable 1": "1",
    "enable 0": "0",
    "stop": "G",
    "other": "?",
}
SETTINGS: Mapping[str, str] = {
    "SET_VRING_NUM": "n",
    "SET_VRING_BASE": "b",
    "SET_VRING_ADDR": "a",
    "SET_VRING_ENDIAN": "e",
}
LEGEND = (
    "n num  b base  a addr  K kick  C call  E err  1/0 enable  G get base",
    "═ running  ─ started, not enabled  · configured  (blank) stopped",
)


def glyph(mark: Mark) -> str:
    """The letter of a message."""
    return SETTINGS.get(mark.name) or GLYPHS.get(mark.kind, "?")
