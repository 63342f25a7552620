"""What a message does, as the words of a row: to a ring, to memory, to what is known, to the device's course.

The rows say it (see spec.py); session, views, replay, diff, relay and the Wireshark plug-in read it there.
"""

from dataclasses import dataclass
from enum import StrEnum


class RingEffect(StrEnum):
    """What a request does to the ring that it names, or to all rings ("Ring states")."""

    SIZE = "sets the size"
    BASE = "sets the base"
    ADDRESSES = "sets the addresses"
    ENDIAN = "sets the byte order"
    KICK = "hands over the kick descriptor, which starts it"
    NOTIFY = "kicks it in band, which starts it"
    CALL = "hands over the call descriptor"
    ERROR = "hands over the error descriptor"
    ENABLE = "enables or disables it"
    STOP = "stops it, and asks for its base"
    DEFAULT_ENABLE = "enables all where PROTOCOL_FEATURES is not acknowledged"
    RESET_DEVICE = "stops and disables all"
    RESET_OWNER = "disables all"
    NOTHING = "asks or tells, and changes nothing"


OF_ALL_RINGS = frozenset({RingEffect.DEFAULT_ENABLE, RingEffect.RESET_DEVICE, RingEffect.RESET_OWNER})


class MemoryEffect(StrEnum):
    """What a request does to the memory map ("Memory region description")."""

    TABLE = "replaces all regions"
    ADD = "adds a region"
    REMOVE = "removes a region"


class Fact(StrEnum):
    """What is known of a session; the names of the attributes of the session's `Context`."""

    OFFERED = "offered"
    FEATURES = "features"
    PROTOCOL_OFFERED = "protocol_offered"
    PROTOCOL_FEATURES = "protocol_features"
    STATUS = "status"
    QUEUE_NUM = "queue_num"
    MEM_SLOTS = "mem_slots"
    POSTCOPY = "postcopy"


@dataclass(frozen=True, slots=True)
class Learns:
    """A fact that a message tells: the number in its `field`, or `value` where its coming is enough."""

    fact: Fact
    field: str = ""
    value: int = 0


class Purpose(StrEnum):
    """What a front-end's request is for, in the course of a device; `session/acts.py` has the rules."""

    ASK = "asks or sets something at any time"
    GREET = "asks what the back-end can do"
    FEATURES = "acknowledges features"
    MEMORY = "adds or removes memory"
    LOG = "sets the log of dirty pages"
    CONFIGURE = "sets a ring up"
    ADDRESS = "sets a ring up, or turns its log on"
    WATCH = "sets a ring's call or error descriptor"
    ENABLE = "enables or disables a ring"
    PREPARE = "is sent just before a start"
    OPERATE = "is for a device that runs"
    STATUS = "sets the device status"
    HALT = "stops a ring"
    MIGRATE = "transfers state or pages"
    RESET = "resets the device"
