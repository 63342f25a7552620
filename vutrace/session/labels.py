"""Names the loop iteration of each message as it comes: "pair 3", "pair 3 ring 6", "ring 2".

A message about a ring names its iteration itself. One about the device belongs to a queue pair only
where a front-end sets the pairs up one after the other (QEMU has a vhost_dev for each): that shows when
the message that opened the phase comes again after messages about rings. Until then it has no label.
"""

from functools import lru_cache

from vutrace.dissection.device import Device
from vutrace.dissection.message import Message
from vutrace.records import Channel
from vutrace.session.phases import Phase

MAIN = Channel.MAIN


def pair_of(ring: int) -> int:
    """A ring's queue pair: 2n receives, 2n + 1 transmits."""
    return ring // 2


@lru_cache(4096)
def about(ring: int, pairs: bool) -> str:
    """The label of a message about a ring."""
    return f"pair {pair_of(ring)} ring {ring}" if pairs else f"ring {ring}"


class Labels:
    """The loop labels of one session."""

    def __init__(self) -> None:
        self.label: str | None = None
        self._phase: Phase | None = None
        self._restart()

    def _restart(self) -> None:
        self._opener, self._pair, self._rings_seen, self._looping = "", -1, False, False

    def of(self, message: Message, phase: Phase, device: Device, barrier: bool) -> str | None:
        """The label of a message; a reply has its request's, another channel none."""
        if message.channel is not MAIN:
            return None
        if message.reply:
            return self.label
        if phase is not self._phase:
            self._phase = phase
            self._restart()
        ring = message.ring
        if ring is not None:
            self.label = self._about(ring, device)
        elif not barrier:
            self.label = self._beside(message.name, device.pairs)
        return self.label

    def _about(self, ring: int, device: Device) -> str:
        self._rings_seen = True
        if device.pairs:
            self._pair = pair_of(ring)
        return about(ring, device.pairs)

    def _beside(self, name: str, pairs: bool) -> str | None:
        if not self._opener:
            self._opener = name
        elif name == self._opener and self._rings_seen:
            self._looping = True
            self._pair += 1
            self._rings_seen = False
        return f"pair {self._pair}" if self._looping and pairs else None
