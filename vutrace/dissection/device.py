"""The plug-in API: what a dissector says of one virtio device type.

A plug-in is one `Device` object, found through the entry-point group `vutrace.dissectors` (or in a
file given with `--dissector`). Everything in it but the name is optional; the words to describe
layers with are in `vutrace.plugin`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from vutrace.protocol.bits import Bits
from vutrace.protocol.check import Check
from vutrace.protocol.layers import Layer
from vutrace.protocol.spec import Table
from vutrace.records import Channel


def plain_ring_name(index: int, features: int) -> str:
    """The name of a ring whose device has not named it."""
    return f"q{index}"


def no_notes(features: int) -> Iterable[str]:
    """A device with nothing to add."""
    return ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What tells this device from others when nobody named it, strongest first.

    `commands` are regular expressions looked for in the part of a peer's command line that speaks of
    the traced socket; `messages` are names only this device uses; `config_sizes` are sizes of its
    configuration space in bytes; a GET_FEATURES reply speaks for it when all bits of `features` are
    in it and none of `without`.
    """

    commands: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    config_sizes: tuple[int, ...] = ()
    features: int = 0
    without: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Device:
    """One virtio device type as seen through vhost-user.

    `number` is the virtio device id, `features` names its own feature bits, `config` lays out its
    configuration space. `ring_name(index, acked features)` is short ("rx0"); `notes(acked features)`
    are lines worth knowing once the features are set. `messages` adds vendor messages by channel.

    `control_ring` is the name of the ring behind those that GET_QUEUE_NUM counts, for a device that
    has one; it counts pairs of rings with `pairs`. `checks` are rules of its own. `legacy`
    are feature bits that only drivers from before virtio 1.0 use.
    """

    name: str
    number: int = 0
    features: Bits = field(default_factory=dict)
    config: type[Layer] | None = None
    ring_name: Callable[[int, int], str] = plain_ring_name
    notes: Callable[[int], Iterable[str]] = no_notes
    messages: Mapping[Channel, Table] = field(default_factory=dict)
    evidence: Evidence = Evidence()
    control_ring: str = ""
    pairs: bool = False
    checks: tuple[Check, ...] = ()
    legacy: frozenset[int] = frozenset()

    def name_of_ring(self, index: int, features: int, queues: int = 0) -> str:
        """The name of a ring; `queues` is what GET_QUEUE_NUM answered, 0 where nobody asked."""
        if self.control_ring and queues and index == queues * (1 + self.pairs):
            return self.control_ring
        return self.ring_name(index, features)


UNKNOWN_DEVICE = Device("unknown")
