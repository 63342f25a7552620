"""Two sockets joined: one channel, relayed both ways until both ends are gone."""

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vutrace.proxy.flow import Flow, Substitution
from vutrace.proxy.loop import BROKEN, GONE, READ, WRITE, EventLoop, Timer
from vutrace.proxy.outlet import Outlet, shut
from vutrace.proxy.pending import Origin
from vutrace.proxy.recorder import Recorder
from vutrace.records import Channel, Event, EventKind, Side
from vutrace.sockets.options import make_plain

if TYPE_CHECKING:
    from vutrace.proxy.tap import SessionTap

NONE = Substitution()
HOLD_SECONDS = 0.1
"""How long an incomplete message may wait for its rest before it is forwarded as far as it is here."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which connection, session and channel, and the two processes."""

    connection: int
    session: int
    channel: Channel = Channel.MAIN
    pids: Mapping[Side, int] = field(default_factory=dict)

    def origin(self, sender: Side) -> Origin:
        """Messages of one direction here."""
        front, back = (self.pids.get(side, 0) for side in Side)
        return Origin(self.connection, self.session, self.channel, sender, front, back)


class Link:
    """Relays between a front-end's socket and a back-end's, which it owns from now on.

    `on_close` is called once, after both were closed.
    """

    def __init__(
        self,
        loop: EventLoop,
        recorder: Recorder,
        place: Place,
        ends: Mapping[Side, socket.socket],
        on_close: Callable[[], None],
        substitution: Substitution = NONE,
        tap: "SessionTap | None" = None,
    ) -> None:
        self._loop = loop
        self._recorder = recorder
        self._place = place
        self._ends = ends
        self._on_close = on_close
        self._tap = tap
        self._cut: dict[str, str] = {}
        self._masks: dict[Side, int | None] = dict.fromkeys(Side)
        self._gone: set[Side] = set()
        self._first: Side | None = None
        self._timers: dict[Side, Timer | None] = dict.fromkeys(Side)
        self._lost: set[Side] = set()
        self._open = True
        for end in ends.values():
            make_plain(end)
        # Only a front-end passes sockets that are to be traced.
        self._flows = {
            Side.FRONTEND: self._flow(Side.FRONTEND, substitution),
            Side.BACKEND: self._flow(Side.BACKEND, NONE),
        }
        if tap:
            tap.join(self, self._flows)

    def _flow(self, side: Side, substitution: Substitution) -> Flow:
        def change() -> None:
            self._changed(side)

        outlet = Outlet(self._ends[side.peer], change)
        origin = self._place.origin(side)
        rest = self._ends[side], outlet, origin, self._recorder, change, substitution
        return self._tap.flow(origin, *rest) if self._tap else Flow(*rest)

    def start(self, text: str, peers: Sequence[tuple[int, int]] = ()) -> None:
        """Begin to relay; `text` says how this channel came to be, `peers` (pid, user) are to be told."""
        event = self._event(EventKind.OPEN, text)
        if peers:
            self._recorder.opening(event, peers)
        else:
            self._recorder.event(event)
        self._refresh()

    def tell(self, kind: EventKind, text: str, sender: Side | None = None) -> None:
        """Record what happened here."""
        self._recorder.event(self._event(kind, text, sender))

    def _event(self, kind: EventKind, text: str, sender: Side | None = None) -> Event:
        place = self._place
        return Event(time.time_ns(), place.connection, place.session, kind, text, place.channel, sender)

    # Readiness.

    def _handler(self, side: Side) -> Callable[[int], None]:
        pump, drain = self._flows[side].pump, self._flows[side.peer].outlet.drain

        def ready(mask: int) -> None:
            if mask == BROKEN:
                self._masks[side] = None
                self.close("an error in vutrace")
            if mask & WRITE:
                drain()
            if mask & ~WRITE:
                pump()
            if mask & GONE:
                self._hung_up(side)

        return ready

    def _hung_up(self, side: Side) -> None:
        # A hang-up is told for as long as it is watched. What the end had sent is still read, later on
        # where the other side is slow.
        if self._first is None:
            self._first = side
        if self._flows[side].reading:
            return
        self._gone.add(side)
        self._refresh()
        self._settle()

    def _refresh(self) -> None:
        if not self._open:
            return
        for side in Side:
            reads, writes = self._flows[side], self._flows[side.peer].outlet
            mask = (READ if reads.reading else 0) | (WRITE if writes.queue else 0)
            self._watch(side, None if side in self._gone and not reads.reading else mask)

    def _watch(self, side: Side, mask: int | None) -> None:
        before, self._masks[side] = self._masks[side], mask
        if mask == before:
            return
        fd = self._ends[side].fileno()
        if mask is None:
            self._loop.forget(fd)
        elif before is None:
            self._loop.watch(fd, mask, self._flows[side].pump, self._handler(side))
        else:
            self._loop.change(fd, mask)

    # Changes of a flow.

    def _changed(self, side: Side) -> None:
        flow = self._flows[side]
        refused = flow.outlet.refused
        if refused and not flow.ended:
            flow.refuse()
        if flow.ended and self._first is None:
            self._first = side.peer if refused else side
        if flow.lost and side not in self._lost:
            self._lost.add(side)
            rest = f"the {side.words}'s bytes are passed on as they come"
            self.tell(EventKind.ERROR, f"framing lost: {flow.lost} cannot be one; {rest}", side)
        if flow.holds:
            self._hold(side)
        if flow.turns.rest:
            self._let_rest(flow)
        self._refresh()
        self._settle()

    def _let_rest(self, flow: Flow) -> None:
        seconds, flow.turns.rest = flow.turns.rest, 0.0
        if self._loop.sessions > 1:
            flow.turns.rests = True
            self._loop.later(seconds, flow.go_on)

    def _hold(self, side: Side) -> None:
        timer = self._timers[side]
        if timer:
            timer.cancel()
        self._timers[side] = self._loop.later(HOLD_SECONDS, self._flows[side].release)

    def _settle(self) -> None:
        done = [side for side in Side if self._flows[side].outlet.done]
        # One that is gone altogether will read no answer either.
        if len(done) == 2 or any(side in self._gone for side in done):
            self._loop.later(0, self.close)  # the message at hand is recorded first

    def cut(self, side: Side, rule: str) -> None:
        """End the connection to one side, and with it the session, as a rule says."""
        self._cut = self._cut or {"rule": rule, "cut": str(side)}
        self._flows[side.peer].outlet.drain()
        shut(self._ends[side], socket.SHUT_RDWR)

    def close(self, text: str = "") -> None:
        """Close both sockets; `text` is why, where none of them did."""
        if not self._open:
            return
        self._open = False
        for side in Side:
            self._close_end(side)
        for side in Side:
            self._ends[side].close()
        self._tell_end(text)
        self._on_close()

    def _close_end(self, side: Side) -> None:
        self._watch(side, None)
        timer, flow = self._timers[side], self._flows[side]
        if timer:
            timer.cancel()
        flow.close()
        if flow.outlet.undelivered:
            text = f"{flow.outlet.undelivered} bytes of the {side.words} could not be delivered"
            self.tell(EventKind.ERROR, text, side)

    def _tell_end(self, text: str) -> None:
        first = None if self._cut else self._first
        why = next(filter(None, (flow.why or flow.outlet.why for flow in self._flows.values())), "")
        reason = f"the {first.words} closed" + (f" ({why})" if why else "") if first else text
        if self._cut:
            side = Side(self._cut["cut"])
            reason = f"the rule '{self._cut['rule']}' closed the connection to the {side.words}"
        self._recorder.event(replace(self._event(EventKind.CLOSE, reason, first), attributes=self._cut))
