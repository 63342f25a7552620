"""The recording process's side of the sampler: hands messages and descriptors on, and takes samples."""

import select
from collections.abc import Iterator, Sequence

from vutrace.proxy.encoder import frame_of
from vutrace.proxy.looks import Seen
from vutrace.proxy.peer_watch import messages_in
from vutrace.proxy.pending import Item, What, event_of, unpack_origin
from vutrace.records import Event, FrameFlag
from vutrace.rings.child import SamplerChild
from vutrace.rings.wire import RingPackets

WORDS = {"net": "frames", "vsock": "packets", "blk": "requests", "fs": "requests"}
LOOK_MS = 1000  # between looks whether it is alive


class Sampling:
    """A sampler that looks every `interval_ns`; `payload` and `tally` are as SamplerChild has them.

    Raises OSError where there can be none.
    """

    def __init__(self, interval_ns: int, payload: tuple[str, int] = ("", 0), tally: int = -1) -> None:
        self._child = SamplerChild(interval_ns, payload, tally)
        self._payload = payload[0]
        self.kept = self.missed = 0  # packets or requests
        self._watched = -1

    @property
    def wait_ms(self) -> int | None:
        """How long `poll` may take; None for ever."""
        return LOOK_MS if self._child.fd >= 0 else None

    def register(self, poll: select.poll) -> None:
        """Have `poll` tell when it is to be attended to."""
        fd = self._child.fd
        if self._watched not in (-1, fd):
            poll.unregister(self._watched)
        self._watched = fd
        if fd >= 0:
            poll.register(fd, select.POLLIN | (select.POLLOUT if self._child.waits else 0))

    def feed(self, items: Sequence[Item], seen: Sequence[Seen | None]) -> None:
        """Hand on what was forwarded."""
        for item, each in zip(items, seen, strict=True):
            if item[0] == What.EVENT:
                self._child.send(event_of(item))
            elif item[0] >= 0:
                self._message(item[0], item[1], item[2], each)
            else:
                for time_ns, origin, data in messages_in(item):
                    self._message(time_ns, origin, data, each, item[8] if item[0] == What.ACTED else None)

    def _message(
        self, time_ns: int, origin: bytes, data: bytes, each: Seen | None, went: int | None = None
    ) -> None:
        """A message, as its receiver got it; of its descriptors the first `went` did go (None: all)."""
        infos, fds = (each.infos[:went], each.fds[:went]) if each else ((), ())
        frame = frame_of(time_ns, unpack_origin(origin), data, infos, FrameFlag.NONE, len(data))
        self._child.send(frame, fds)

    def attend(self) -> Iterator[Event | RingPackets]:
        """What it told; and that it is gone, once."""
        self._child.drain()
        for told in self._child.take():
            if isinstance(told, RingPackets):
                self.kept += len(told.kept)
                self.missed += told.missed
            yield told
        self._child.look()
        yield from self._child.ended()

    def words(self) -> str:
        """What came of the payload; "" where none was asked for, or none was there."""
        if not self.kept and not self.missed:
            return ""
        what = WORDS[self._payload]
        return f"payload: {self.kept} {what} kept, {self.missed} came and went between looks"

    def close(self) -> None:
        """End it."""
        self._child.close()
