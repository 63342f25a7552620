"""A pair of endpoints: when both sides can be had they become a session, and neither is left waiting."""

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from vutrace.proxy.loop import READ, EventLoop
from vutrace.proxy.name_watch import WatchedSource
from vutrace.proxy.recorder import Recorder
from vutrace.proxy.repeats import Repeats
from vutrace.proxy.session import RelayedSession
from vutrace.records import Connection, Event, EventKind, Side
from vutrace.sockets.endpoints import Connecting, Source
from vutrace.sockets.insertion import InsertError

if TYPE_CHECKING:
    from vutrace.proxy.counting import Counting
    from vutrace.proxy.taps import Taps

RETRY_SECONDS = 0.05  # between attempts to reach the other side while somebody waits
RECONNECT_SECONDS = 0.25  # the same while nobody does
HOLD_SECONDS = 0.2  # that a front-end waits which was turned away and is back within HAMMER_SECONDS
HAMMER_SECONDS = 1.0
MOST_SESSIONS = 1024  # at a time
TELL_SECONDS = 1.0  # until it is said that somebody waits
OTHERS = " (the socket, or a directory above it, is another user's)"
GOODBYE_SECONDS, GOODBYES = 0.002, 25  # how long, and how often, a session that ends is waited for


@dataclass(slots=True)
class Letter:
    """A connection of the capture: one letter, and the sessions that it had."""

    number: int
    sessions: int = 0
    busy: bool = False


class Pair:
    """Makes sessions of what comes from two sources.

    `wait` is how many seconds one side is left unaccepted while the other cannot be reached. `numbers` counts
    the connections of the whole capture. `on_spent` is called when no further session can come.
    """

    def __init__(
        self,
        loop: EventLoop,
        recorder: Recorder,
        sources: dict[Side, Source],
        names: tuple[str, str],
        numbers: Iterator[int],
        wait: float,
        on_spent: Callable[[], None],
        tell: Callable[[str], None],
        taps: "Taps | None" = None,
        counting: "Counting | None" = None,
    ) -> None:
        self._loop = loop
        self._recorder = recorder
        self._sources = sources
        self._names = names
        self._numbers = numbers
        self._wait = wait
        self._on_spent = on_spent
        self._tell = tell
        self._taps = taps
        self._counting = counting
        self._letters = [self._new_letter()]
        self._sessions: list[RelayedSession] = []
        self._half_closed: set[RelayedSession] = set()
        self._kept: dict[Side, socket.socket] = {}
        self._waiting_since: float | None = None
        self._trouble = ""
        self._told_wait = False
        self._turned_away_at = float("-inf")
        self._repeats = Repeats(self._note)
        self._closed = False
        self.reached = False
        self._watches = [
            source.watch(loop, partial(self._arm, source), partial(self._note, kind=EventKind.NOTE))
            for source in sources.values()
            if isinstance(source, WatchedSource)
        ]

    @property
    def sessions(self) -> int:
        """How many there were."""
        return sum(letter.sessions for letter in self._letters)

    def start(self) -> None:
        """Wait for the sides, or reach for them."""
        for source in self._sources.values():
            self._arm(source)
        for watch in self._watches:
            watch.start()
        self._attempt()

    def close(self, text: str) -> None:
        """End every session, and the sources."""
        self._closed = True
        self._repeats.over()
        # The sources first: who comes back when its session ends finds the place as it was before.
        for watch in self._watches:
            watch.close()
        for source in self._sources.values():
            if source.listener:
                self._loop.forget(source.listener.fileno())
            self._close_source(source)
        for session in list(self._sessions):
            session.close(text)
        for end in self._kept.values():
            end.close()

    def _close_source(self, source: Source) -> None:
        try:
            source.close()
        except InsertError as error:
            self._tell(f"{error}; vutrace restore puts it right")

    # Arrivals.

    def _arm(self, source: Source) -> None:
        listener = source.listener
        if listener is None or source.ready:
            return

        def arrived(_mask: int = READ) -> None:
            # Not watched again before it was accepted: it may be left in the backlog for a while.
            self._loop.forget(fd)
            self._welcome(source, GOODBYES)

        fd = listener.fileno()
        self._loop.forget(fd)
        self._loop.watch(fd, READ, arrived, arrived)

    def _welcome(self, source: Source, patience: int) -> None:
        # Who comes back is the next session of its connection: the last one has to end first. One that has
        # not ended by then is half closed, and nobody waits for it again.
        ending = {session for session in self._sessions if session.ending}
        if patience and ending - self._half_closed:
            self._loop.later(GOODBYE_SECONDS, lambda: self._welcome(source, patience - 1))
            return
        self._half_closed = ending
        source.arrived()
        self._attempt()

    def _attempt(self) -> None:
        """Make a session if both sides can be had; otherwise see to it that nobody waits for long."""
        if self._closed:
            return None
        sources = self._sources
        missing = [side for side in Side if not sources[side].ready]
        if not missing and len(self._sessions) >= MOST_SESSIONS:
            return self._refuse()
        if not missing:
            return self._join()
        if missing == [Side.BACKEND] and sources[Side.FRONTEND].pressing:
            return self._make_wait(Side.BACKEND, "none has connected")
        return None  # a back-end waits for a front-end as it always does

    def _refuse(self) -> None:
        """Turn away who would be one session too many; where nobody came, wait until there is room."""
        pressing = [source for source in self._sources.values() if source.pressing]
        for source in pressing:
            with contextlib.suppress(OSError):
                source.take().close()
            self._arm(source)
        if pressing:
            self._repeats.tell(
                f"{MOST_SESSIONS} sessions are open, and there are no more at a time: turned away"
            )

    def _join(self) -> None:
        # A front-end comes last: it begins to talk as soon as it is connected.
        order = sorted(Side, key=lambda side: (self._sources[side].rank, side is Side.FRONTEND))
        ends = self._take_kept()
        for side in order:
            try:
                ends[side] = ends.get(side) or self._sources[side].take()
            except OSError as error:
                return self._miss(side, error, ends)
        self._open(ends)
        for source in self._sources.values():
            self._arm(source)
        return None

    def _miss(self, side: Side, error: OSError, ends: dict[Side, socket.socket]) -> None:
        self._kept = ends  # it need not see a connection come and go with every attempt
        source = self._sources[side]
        if source.listener:
            self._loop.later(RETRY_SECONDS, lambda: self._arm(source))
        why = error.strerror or str(error)
        self._make_wait(side, f"{why}{OTHERS}" if isinstance(error, PermissionError) else why)

    def _take_kept(self) -> dict[Side, socket.socket]:
        kept, self._kept = self._kept, {}
        poll = select.poll()
        for end in kept.values():
            poll.register(end, 0)
        dead = {fd for fd, _ in poll.poll(0)}
        for end in kept.values():
            if end.fileno() in dead:
                end.close()
        return {side: end for side, end in kept.items() if end.fileno() >= 0}

    def _make_wait(self, side: Side, why: str) -> None:
        """`side` cannot be reached: the other one waits a little, or is turned away.

        Only a front-end has to be: its guest stands still. A back-end waits for one as it always does, and
        DPDK's, when it is turned away, comes straight back, thousands of times a second.
        """
        if side is Side.FRONTEND or not any(source.pressing for source in self._sources.values()):
            self._note_once(f"the {side.words} at {self._name(side)} cannot be reached: {why}")
            self._loop.later(RECONNECT_SECONDS, self._attempt)
            return
        now = time.monotonic()
        since = self._waiting_since = now if self._waiting_since is None else self._waiting_since
        patience = self._patience(since)
        if now - since < patience:
            if now - since >= TELL_SECONDS and not self._told_wait:
                self._told_wait = True
                self._note(
                    f"the {side.peer.words} is here, and waits up to {self._wait:g} s:"
                    f" the {side.words} at {self._name(side)} cannot be reached: {why}"
                )
            self._loop.later(min(RETRY_SECONDS, patience - (now - since)), self._attempt)
            return
        self._waiting_since, self._told_wait, self._turned_away_at = None, False, now
        for end in self._kept.values():
            end.close()
        self._kept = {}
        self._turn_away(side, why)

    def _patience(self, since: float) -> float:
        """How long who came then is left waiting: one that was turned away and is back at once, a moment."""
        hammers = since - self._turned_away_at < HAMMER_SECONDS
        return max(self._wait, HOLD_SECONDS if hammers else 0.0)

    def _turn_away(self, side: Side, why: str) -> None:
        source = self._sources[side.peer]
        with contextlib.suppress(OSError):  # it went away on its own
            source.take().close()
        hint = "" if self._wait else " (--wait S keeps it waiting)"
        self._repeats.tell(
            f"the {side.words} at {self._name(side)} cannot be reached: {why};"
            f" the {side.peer.words} was turned away{hint}"
        )
        self._arm(source)
        self._check_spent()

    # Sessions.

    def _open(self, ends: dict[Side, socket.socket]) -> None:
        self._waiting_since, self._trouble, self.reached, self._told_wait = None, "", True, False
        self._repeats.over()
        letter = next((letter for letter in self._letters if not letter.busy), None)
        if letter is None:
            letter = self._new_letter()
            self._letters.append(letter)
        letter.busy = True
        letter.sessions += 1

        def closed() -> None:
            letter.busy = False
            self._sessions.remove(session)
            self._session_ended()

        place = letter.number, letter.sessions
        tap = self._taps.session(self._loop, self._recorder, place, self._tell) if self._taps else None
        session = RelayedSession(self._loop, self._recorder, *place, ends, closed, tap, self._counting)
        self._sessions.append(session)
        session.start()

    def _session_ended(self) -> None:
        if self._closed:
            return
        self._check_spent()
        if all(isinstance(source, Connecting) for source in self._sources.values()):
            self._loop.later(RECONNECT_SECONDS, self._attempt)

    def _check_spent(self) -> None:
        if not self._sessions and any(source.spent for source in self._sources.values()):
            self._on_spent()

    def _new_letter(self) -> Letter:
        letter = Letter(next(self._numbers))
        self._recorder.connection(Connection(letter.number, *self._names))
        return letter

    # Notes.

    def _name(self, side: Side) -> str:
        return self._names[side is Side.BACKEND]

    def _note_once(self, text: str) -> None:
        if text != self._trouble:
            self._trouble = text
            self._note(text)

    def _note(self, text: str, times: int = 1, kind: EventKind = EventKind.ERROR) -> None:
        letter = self._letters[0]
        place = letter.number, max(1, letter.sessions)
        facts = {"tries": str(times)} if times > 1 else {}
        event = Event(time.time_ns(), *place, kind, text, attributes=facts)
        self._recorder.event(event)
        self._tell(text)
