"""By what figures are grouped. Imports nothing, since the command line offers them."""

from enum import StrEnum


class Grouping(StrEnum):
    """What the figures are told of."""

    MESSAGE = "message"
    RING = "ring"
    SESSION = "session"
