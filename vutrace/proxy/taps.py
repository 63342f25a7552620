"""The process that makes the taps, as the relay knows it: one for the whole proxy."""

import contextlib
import marshal
import socket
from collections import Counter
from collections.abc import Callable, Sequence

from vutrace.proxy.interest import Interest
from vutrace.proxy.loop import EventLoop
from vutrace.proxy.recorder import Recorder
from vutrace.proxy.tap import SessionTap


class Taps:
    """The process that makes the taps, at the other end of `control`; `rules` are the names of its rules.

    `matched` counts, by place in `rules`. `stop` waits for its end.
    """

    def __init__(
        self,
        control: socket.socket,
        rules: Sequence[str],
        interest: Interest,
        stop: Callable[[], object] = lambda: None,
    ) -> None:
        self._control = control
        control.setblocking(False)
        self._rules = rules
        self._stop = stop
        self.interest = interest
        self.matched: Counter[int] = Counter()

    def session(
        self, loop: EventLoop, recorder: Recorder, place: tuple[int, int], tell: Callable[[str], None]
    ) -> SessionTap | None:
        """A tap for a session; None, which is told, where none can be had."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            packet = marshal.dumps(("session", *place))
            socket.send_fds(self._control, [packet], [theirs.fileno()])
        except OSError as error:
            tell(f"NO RULES ACT on a session: {error.strerror or error}")
            ours.close()
            return None
        finally:
            theirs.close()
        return SessionTap(self, loop, recorder, place, ours, tell)

    def over(self, place: tuple[int, int]) -> None:
        """A session ended: its tap should be gone soon."""
        with contextlib.suppress(OSError):
            self._control.send(marshal.dumps(("over", *place)))

    def close(self) -> list[str]:
        """End it; the rules that never matched."""
        self._control.close()
        self._stop()
        matched = {self._rules[place] for place in self.matched}
        return [name for name in dict.fromkeys(self._rules) if name not in matched]
