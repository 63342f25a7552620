"""The relay's end of the taps: a process for each session decides on the messages that rules watch.

The relay sends it each such message with its descriptors, and does what it answers; meanwhile only the
direction of that message stands still. Packets are tuples that `marshal` knows. From the relay: ("ask",
number, time, channel, sender, data), with its descriptors; ("seen", [(time, channel, sender, data, number of
descriptors)]); ("last", number): nothing comes behind that one. From the tap: (op, number, ...), see
`SessionTap._act`.
"""

import marshal
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vutrace.framing import MAX_FDS, FramedMessage
from vutrace.proxy.interest import NONE
from vutrace.proxy.loop import READ, WRITE, EventLoop
from vutrace.proxy.pending import Origin, unpack_origin
from vutrace.proxy.recorder import Recorder
from vutrace.proxy.tapped import Fresh, Held, TappedFlow, discard
from vutrace.proxy.tee import Tee
from vutrace.records import Side
from vutrace.sockets.passed import FD_SIZE, Ancillary, Passed, descriptors, rights

if TYPE_CHECKING:
    from vutrace.proxy.flow import Flow
    from vutrace.proxy.link import Link
    from vutrace.proxy.taps import Taps

PACKET = 1 << 20
ROOM = socket.CMSG_SPACE(MAX_FDS * FD_SIZE)
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
        self._taps, self._loop, self._recorder, self._place, self._end = taps, loop, recorder, place, end
        self._tell_user = tell
        self._interest = taps.interest
        self._held: dict[int, Held] = {}
        self._links: dict[int, Link] = {}
        self._count = 0
        self._seen: list[tuple[int, str, str, bytes, int]] = []
        self._seen_bytes = 0
        self._packets: deque[tuple[bytes, Ancillary, Sequence[Passed]]] = deque()
        self._flows: list[TappedFlow] = []
        self._told_late = self._told_behind = False
        self.alive = True
        end.setblocking(False)
        self._mask = READ
        loop.watch(end.fileno(), READ, self._ready, self._others)

    # What links and flows call.

    def flow(self, origin: Origin, *rest: Any) -> TappedFlow:
        """The flow of one direction; `rest` are the arguments of a `Flow`."""
        way = origin.channel, origin.sender
        source, outlet, _, recorder, *more = rest
        told = self._interest.told.get(way, NONE)
        kept = recorder if told == NONE else Tee(recorder, self)
        asked = self._interest.asked.get(way, NONE) if self.alive else NONE
        flow = TappedFlow(self, asked, source, outlet, origin, kept, *more)
        flow.told = told != NONE
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
        self._put(packet, rights(message.fds))
        self._loop.later(DECIDE_SECONDS, lambda: self._late(held))
        return held

    def seen(self, time_ns: int, origin: bytes, data: bytes, fds: int) -> None:
        """Messages were forwarded, back to back; the descriptors are of the first."""
        if not self.alive:
            return
        place = unpack_origin(origin)
        self._seen.append((time_ns, str(place.channel), str(place.sender), data, fds))
        self._seen_bytes += len(data)
        if self._seen_bytes > SEEN_BYTES or len(self._seen) > 256:
            self._send_seen()

    def no_next(self, held: Held) -> None:
        """Nothing comes behind a message."""
        self._put(marshal.dumps(("last", held.number)), ())

    def _send_seen(self) -> None:
        if self._seen:
            packet = marshal.dumps(("seen", self._seen))
            self._seen, self._seen_bytes = [], 0
            if len(self._packets) < BEHIND:
                self._put(packet, ())
            elif not self._told_behind:
                self._told_behind = True
                self._tell("the rules' process does not follow: it is not told of all messages")

    # To and from the tap.

    def _put(self, packet: bytes, ancillary: Ancillary) -> None:
        if not self.alive:
            return
        self._packets.append((packet, ancillary, ()))
        self._drain()

    def _drain(self) -> None:
        try:
            while self._packets:
                packet, ancillary, _ = self._packets[0]
                self._end.sendmsg([packet], ancillary, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                self._packets.popleft()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._died()
            return
        mask = READ | (WRITE if self._packets else 0)
        if mask != self._mask:
            self._mask = mask
            self._loop.change(self._end.fileno(), mask)

    def _others(self, mask: int) -> None:
        if mask & WRITE:
            self._drain()
        if mask & ~WRITE and self.alive:
            self._ready()

    def _ready(self) -> None:
        while self.alive:
            try:
                packet, ancillary, _, _ = self._end.recvmsg(
                    PACKET, ROOM, socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                break
            except OSError:
                packet, ancillary = b"", []
            if not packet:
                self._died()
                break
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
                self._links[id(flow)].cut(Side(words[0]), words[1])
            case "done":
                rule, text = words
                del self._held[number]
                flow.done(held, rule, text)

    def _tell(self, text: str, flow: TappedFlow | None = None) -> None:
        (flow or self._flows[0]).tell(text, {})
        self._tell_user(text)

    # What goes wrong, and the end.

    def _late(self, held: Held) -> None:
        if held.number not in self._held or held.told or self._told_late:
            return
        self._told_late = True
        letter, session = self._place
        text = (
            f"rules or a script have not decided about a message for {DECIDE_SECONDS:g} s:"
            " its direction of this session stands still"
        )
        held.flow.tell(text, {"undecided": str(held.number)})
        self._tell_user(f"connection {letter}, session {session}: {text}")

    def _died(self) -> None:
        """The tap is gone: what waits goes on as it came, and so does everything else."""
        if not self.alive:
            return
        self._forget()
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

    def _forget(self) -> None:
        if self.alive:
            self.alive = False
            self._loop.forget(self._end.fileno())
            self._end.close()

    def close(self) -> None:
        """The session ended."""
        self._forget()
        self._taps.over(self._place)
