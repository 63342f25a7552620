"""What a ring's messages are drawn as, in the terminal, in the picture and on the page."""

from collections.abc import Mapping

from vutrace.protocol.effects import RingEffect
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.session.model import Mark

# What a message is drawn as; a ring's settings are told apart.
GLYPHS: Mapping[str, str] = {
    "kick": "K",
    "call": "C",
    "err": "E",
    "enable 1": "1",
    "enable 0": "0",
    "stop": "G",
    "other": "?",
}
SETTINGS: Mapping[RingEffect | None, str] = {
    RingEffect.SIZE: "n",
    RingEffect.BASE: "b",
    RingEffect.ADDRESSES: "a",
    RingEffect.ENDIAN: "e",
}
LEGEND = (
    "n num  b base  a addr  K kick  C call  E err  1/0 enable  G get base",
    "═ running  ─ started, not enabled  · configured  (blank) stopped",
)


def glyph_names() -> dict[str, str]:
    """The letters of kinds of marks, and of the messages that are told apart, by name."""
    rows = FRONTEND_MESSAGES.values()
    return {**GLYPHS, **{row.name: SETTINGS[row.effect] for row in rows if row.effect in SETTINGS}}


def glyph(mark: Mark) -> str:
    """The letter of a message."""
    return SETTINGS.get(mark.effect) or GLYPHS.get(mark.kind, "?")
