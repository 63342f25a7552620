"""Sessions acted out one after the other against a live peer, and recorded as they really went."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from vutrace.dissection.registry import Registry
from vutrace.errors import PEER
from vutrace.records import Connection, FrameFlag, Record, Side
from vutrace.replay.backend import BackendPlay
from vutrace.replay.channel import LiveSession
from vutrace.replay.descriptors import Descriptors
from vutrace.replay.frontend import SETTLE, FrontendPlay
from vutrace.replay.meet import meet
from vutrace.replay.outcome import Outcome, lines
from vutrace.replay.script import Script
from vutrace.replay.talk import Talk
from vutrace.session.row import Row
from vutrace.session.tracker import Tracker
from vutrace.sockets.endpoints import Endpoint, open_source
from vutrace.sockets.framed import PeerError
from vutrace.sockets.process import raise_descriptor_limit

# What a message cannot be sent again without.
NEEDED = FrameFlag.FLAGS_UNKNOWN | FrameFlag.PAYLOAD_UNKNOWN | FrameFlag.FDS_UNKNOWN

Sink = Callable[[Connection | Record], None]
Show = Callable[[Row], None]
# Exit statuses: the live peer does as the recorded one, otherwise, or not at all.
SAME, DIFFERENT, BROKE = 0, 1, PEER


@dataclass(frozen=True, slots=True)
class Stage:
    """Where and how to act: as `role`, with the live peer at `endpoint`.

    Seconds: `timeout` is what a peer has to answer, to read and to be reached; `idle` what a front-end
    has to connect and to send its next request; `settle` how long is waited after the last message.
    `speed` of the recorded times, 0 for as fast as it goes.
    """

    role: Side
    endpoint: Endpoint
    timeout: float = 10.0
    idle: float = 600.0
    settle: float = SETTLE
    speed: float = 0.0


class Actor:
    """Acts sessions out on a stage; `write` gets the records of what passes, `show` the rows.

    `device` is what the recording was about. It listens from the beginning, where it listens; EndpointError
    when it cannot. To be closed.
    """

    def __init__(self, stage: Stage, registry: Registry, device: str, write: Sink, show: Show) -> None:
        self._stage, self._write, self._show = stage, write, show
        self._tracker, self._sessions = Tracker(registry, device), 0
        raise_descriptor_limit()
        connection = Connection(0, *ends(stage))
        write(connection)
        list(self._tracker.rows([connection]))
        self._source = open_source(stage.endpoint)  # last: nothing that fails leaves a socket

    def act(self, recorded: Iterable[Script], outcome: Outcome) -> None:
        """Act the sessions out; `outcome` fills. PeerError (or BrokeOffError) ends it."""
        descriptors = Descriptors()
        try:
            for script in recorded:
                self._session(script, descriptors, outcome)
        finally:
            descriptors.close()

    def close(self) -> None:
        """Listen no longer."""
        self._source.close()

    def _session(self, script: Script, descriptors: Descriptors, outcome: Outcome) -> None:
        stage = self._stage
        # a front-end that is to connect is waited for like its requests; a back-end should be there
        patience = stage.timeout if stage.role is Side.FRONTEND else stage.idle
        end = meet(self._source, stage.endpoint, stage.role.peer, patience)
        self._sessions += 1
        talk = Talk(end, stage.role, LiveSession(0, self._sessions), self._log, stage.timeout)
        with contextlib.closing(talk):
            play(stage, script, talk, descriptors, outcome).run()

    def _log(self, record: Record) -> Row:
        self._write(record)
        row = self._tracker.feed(record)
        self._show(row)
        return row


def perform(actor: Actor, recorded: Iterable[Script], say: Callable[[str], None]) -> int:
    """Act the sessions out and tell what came of it, line by line; the exit status."""
    outcome, broke = Outcome(), ""
    try:
        actor.act(recorded, outcome)
    except PeerError as error:
        broke = f"vutrace: {error}"
    for line in (*lines(outcome), *([broke] if broke else [])):
        say(line)
    return BROKE if broke else DIFFERENT if outcome.different else SAME


def play(
    stage: Stage, script: Script, talk: Talk, descriptors: Descriptors, outcome: Outcome
) -> FrontendPlay | BackendPlay:
    """The part to act."""
    if script.omitted:
        outcome.notes.append(f"session {script.session}: {script.omitted} records are no whole messages")
    if stage.role is Side.BACKEND:
        return BackendPlay(script, talk, descriptors, outcome, stage.idle)
    when = clock(stage, script)
    return FrontendPlay(script, talk, descriptors, outcome, stage.timeout, when, stage.settle)


def clock(stage: Stage, script: Script) -> Callable[[int], float]:
    """When what was recorded at some time is due."""
    started = time.monotonic()
    if not stage.speed:
        return lambda recorded_ns: 0.0
    return lambda recorded_ns: started + (recorded_ns - script.first_ns) / 1e9 / stage.speed


def ends(stage: Stage) -> tuple[str, str]:
    """The names of the front-end's side and of the back-end's."""
    us, them = "vutrace replay", str(stage.endpoint)
    return (us, them) if stage.role is Side.FRONTEND else (them, us)


def foreign(recorded: Iterable[Script]) -> Iterator[str]:
    """Why a recording cannot be acted out on this machine."""
    for script in recorded:
        if script.main[0].message.frame.big_endian != (sys.byteorder == "big"):
            yield f"session {script.session} was recorded on a host of the other byte order"
        if any(each.message.frame.flags.unknown & NEEDED for each in script.main):
            yield f"session {script.session} was made from a log, which has not all that messages said"
