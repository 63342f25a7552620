"""Tells the tap of what is forwarded unasked, where its rules need to know how things stand."""

from typing import TYPE_CHECKING

from vutrace.framing import FramedMessage
from vutrace.proxy.recorder import Recorder
from vutrace.sockets.passed import Ancillary, Passed, descriptors

if TYPE_CHECKING:
    from vutrace.proxy.tap import SessionTap


class Tee:
    """A recorder that also tells the tap of what was forwarded."""

    def __init__(self, recorder: Recorder, tap: "SessionTap") -> None:
        self._recorder, self._tap = recorder, tap
        self.passed, self.when_room = recorder.passed, recorder.when_room
        self.descriptors_lost, self.event, self.acted = (
            recorder.descriptors_lost,
            recorder.event,
            recorder.acted,
        )

    @property
    def blocked(self) -> int:
        """See `Recorder`."""
        return self._recorder.blocked

    @property
    def shortages(self) -> int:
        """See `Recorder`."""
        return self._recorder.shortages

    def whole(self, time_ns: int, origin: bytes, data: bytes, ancillary: Ancillary) -> None:
        """See `Recorder`."""
        self._recorder.whole(time_ns, origin, data, ancillary)
        self._tap.seen(time_ns, origin, data, len(descriptors(ancillary)) if ancillary else 0)

    def burst(self, time_ns: int, origin: bytes, data: bytes, count: int) -> None:
        """See `Recorder`."""
        self._recorder.burst(time_ns, origin, data, count)
        self._tap.seen(time_ns, origin, data, 0)

    def single(self, time_ns: int, origin: bytes, message: FramedMessage[Passed]) -> None:
        """See `Recorder`."""
        self._recorder.single(time_ns, origin, message)
