"""What may be kept of what goes through rings, by the word that asks for it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from vutrace.rings.blk import BlkRequests
from vutrace.rings.fuse import FuseRequests
from vutrace.rings.net import NetFrames
from vutrace.rings.payload import PayloadKind
from vutrace.rings.vsock import VsockPackets

KINDS: Mapping[str, Callable[[int, int], PayloadKind]] = {
    "net": NetFrames,
    "blk": BlkRequests,
    "fs": FuseRequests,
    "vsock": VsockPackets,
}
"""Each is made of a ring's index and the bytes that are kept of a packet."""


class Payload(NamedTuple):
    """What is wanted: a word of `KINDS`, "" for nothing; of packets `snaplen` bytes."""

    kind: str = ""
    snaplen: int = 0

    def of_ring(self, ring: int) -> PayloadKind | None:
        """How a ring is read; None where it is not."""
        return KINDS[self.kind](ring, self.snaplen) if self.kind else None


NO_PAYLOAD = Payload()
