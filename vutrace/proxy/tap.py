"""The relay's end of the taps: a process for each session decides on the messages that rules watch.

The relay sends it each such message with its descriptors, and does what it answers; meanwhile only the
direction of that message stands still. Packets are tuples that `marshal` knows. From the relay: ("ask",
number, time, channel, sender, data), with its descriptors; ("seen", [(time, origin, data, number of
descriptors)]); ("last", number): nothing comes behind that one. From the tap: (op, number, ...), see
`SessionTap._act`.
"""

import marshal
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from vutrace.framing import FramedMessage
from vutrace.proxy.held import Fresh, Held, discard
from vutrace.proxy.interest import NONE
from vutrace.proxy.loop import EventLoop
from vutrace.proxy.packets import PacketSocket
from vutrace.proxy.pending import Origin
from vutrace.proxy.recorder import Recorder
from vutrace.proxy.tapped import TappedFlow
from vutrace.records import Side, connection_letter
from vutrace.sockets.passed import Ancillary, Passed, descriptors, rights

if TYPE_CHECKING:
    from vutrace.proxy.flow import Flow
    from vutrace.proxy.link import Link
    from vutrace.proxy.taps import Taps

DECIDE_SECONDS = 2.0  # that rules or a script may take for one message, until it is told
SEEN_BYTES = 32 << 10  # of messages in one packet
BEHIND = 512  # packets that may wait for a tap that does not read: what more comes is not told to it


class SessionTap:
    """The relay's end of one session's tap."""

    def __init__(
        self,
        taps: "Taps",
        loop: EventLoop,
        recorder: Recorder,
        place: tuple[int, int],
        end: socket.socket,
        tell: Callable[[str], None],
    ) -> None:
        self._taps, self._loop, self._recorder, self._place = taps, loop, recorder, place
        self._socket = PacketSocket(loop, end, self._take, self._died)
        self._tell_user = tell
        self._interest = taps.interest
        self._held: dict[int, Held] = {}
        self._links: dict[int, Link] = {}
        self._count = 0
        self._seen: list[tuple[int, bytes, bytes, int]] = []
        self._seen_bytes = 0
        self._flows: list[TappedFlow] = []
        self._told_late = self._told_behind = False

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._socket.alive

    # What links and flows call.

    def flow(self, origin: Origin, *rest: Any) -> TappedFlow:
        """The flow of one direction; `rest` are the arguments of a `Flow`."""
        way = origin.channel, origin.sender
        source, outlet, _, *more = rest
        told = self._interest.told.get(way, NONE)
        asked = self._interest.asked.get(way, NONE) if self.alive else NONE
        flow = TappedFlow(self, asked, told, source, outlet, origin, *more)
        self._flows.append(flow)
        return flow

    def join(self, link: "Link", flows: Mapping[Side, "Flow"]) -> None:
        """Both directions of a link know each other."""
        for side, flow in flows.items():
            other = flows[side.peer]
            assert isinstance(flow, TappedFlow)
            assert isinstance(other, TappedFlow)
            flow.other = other
            self._links[id(flow)] = link

    def ask(self, flow: TappedFlow, time_ns: int, message: FramedMessage[Passed]) -> Held:
        """Have it decided what becomes of a message."""
        self._send_seen()
        self._count += 1
        held = self._held[self._count] = Held(self._count, flow, time_ns, message)
        origin = flow.place
        packet = marshal.dumps(
            (
                "ask",
                self._count,
                time_ns,
                str(origin.channel),
                str(origin.sender),
                message.data,
            )
        )
        self._socket.put(packet, rights(message.fds))
        self._loop.later(DECIDE_SECONDS, lambda: self._late(held))
        return held

    def seen(self, time_ns: int, origin: bytes, data: bytes, fds: int) -> None:
        """Messages were forwarded, back to back; the descriptors are of the first."""
        if not self.alive:
            return
        self._seen.append((time_ns, origin, data, fds))
        self._seen_bytes += len(data)
        if self._seen_bytes > SEEN_BYTES or len(self._seen) > 256:
            self._send_seen()

    def no_next(self, held: Held) -> None:
        """Nothing comes behind a message."""
        self._socket.put(marshal.dumps(("last", held.number)))

    def _send_seen(self) -> None:
        if self._seen:
            packet = marshal.dumps(("seen", self._seen))
            self._seen, self._seen_bytes = [], 0
            if self._socket.queued < BEHIND:
                self._socket.put(packet)
            elif not self._told_behind:
                self._told_behind = True
                self._tell("the rules' process does not follow: it is not told of all messages")

    # What the tap says.

    def _take(self, packet: bytes, ancillary: Ancillary) -> None:
        fds = [self._recorder.made(fd, Fresh) for fd in descriptors(ancillary)]
        self._do(*marshal.loads(packet), fds=fds)

    def _do(self, op: str, number: int, *words: Any, fds: list[Passed]) -> None:
        held = self._held.get(number)
        if held and held in held.flow.waiting:
            self._act(op, held, words, fds)
        elif op == "note":
            self._tell(words[0])
        discard(fds)

    def _act(self, op: str, held: Held, words: tuple[Any, ...], fds: list[Passed]) -> None:
        """One op. Descriptors are named by their place in the message as it came, new ones by -1."""
        flow, number = held.flow, held.number
        match op:
            case "pass":
                del self._held[number]
                flow.passes(held)
            case "matched":
                self._taps.matched.update(words[0])
            case "out":
                data, refs, last, rule = words
                flow.out(held, data, [fds.pop(0) if ref < 0 else ref for ref in refs], last, rule)
            case "drop":
                flow.drop(held, *words)
            case "back":
                data, rule = words
                flow.other.make(data, (), rule)
            case "waits":
                text, held.rule = words
                held.told = True
                if text:
                    flow.tell(text, {"held": str(held.came_ns), "rule": held.rule})
            case "next":
                held.told = True
                flow.next()
            case "note":
                self._tell(words[0], flow)
            case "shut":
                (flow if words[0] == flow.side.peer else flow.other).half_close()
            case "close":
                side = Side(words[0])
                self._links[id(flow)].cut(side, words[1])
                if side is flow.side:
                    flow.break_off()
            case "done":
                rule, text = words
                del self._held[number]
                flow.done(held, rule, text)

    def _tell(self, text: str, flow: TappedFlow | None = None) -> None:
        (flow or self._flows[0]).tell(text, {})
        self._tell_user(text)

    # What goes wrong, and the end.

    def _late(self, held: Held) -> None:
        if not self.alive or held.number not in self._held or held.told or self._told_late:
            return
        self._told_late = True
        connection, session = self._place
        text = (
            f"rules or a script have not decided about a message for {DECIDE_SECONDS:g} s:"
            " its direction of this session stands still"
        )
        held.flow.tell(text, {"undecided": str(held.number)})
        self._tell_user(f"connection {connection_letter(connection)}, session {session}: {text}")

    def _died(self) -> None:
        """The tap is gone: what waits goes on as it came, and so does everything else."""
        waiting = bool(self._held)
        for flow in self._flows:
            flow.stop_asking()
            flow.let_go("the rules' process ended")
        self._held.clear()
        self._tell_user(
            "the process of a session's rules ended: its messages pass as they come"
            + (", those that waited too" if waiting else "")
        )

    def let_go(self, why: str) -> None:
        """What waits goes on as it came, in order."""
        waiting = sorted(self._held.values(), key=lambda held: held.came_ns)
        self._held.clear()
        for held in waiting:
            held.flow.let_go(why)

    def close(self) -> None:
        """The session ended."""
        self._socket.close()
        self._taps.over(self._place)
