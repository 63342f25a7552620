"""Sessions acted out one after the other against a live peer, and recorded as they really went."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from vutrace.dissection.registry import Registry
from vutrace.proxy.endpoints import Endpoint, open_source
from vutrace.records import Connection, Record, Side
from vutrace.replay.backend import BackendPlay
from vutrace.replay.descriptors import Descriptors
from vutrace.replay.frontend import FrontendPlay
from vutrace.replay.link import Place
from vutrace.replay.meet import meet
from vutrace.replay.outcome import Outcome
from vutrace.replay.script import Script
from vutrace.replay.talk import Talk
from vutrace.session.row import Row
from vutrace.session.tracker import Tracker

Sink = Callable[[Connection | Record], None]
Show = Callable[[Row], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where and how to act: as `role`, with the live peer at `endpoint`.

    Seconds: `timeout` is what a peer has to answer, to read and to be reached; `idle` what a front-end
    has to connect and to send its next request. `speed` of the recorded times, 0 for as fast as it goes.
    """

    role: Side
    endpoint: Endpoint
    timeout: float = 10.0
    idle: float = 600.0
    speed: float = 0.0


def act(
    stage: Stage, recorded: Sequence[Script], registry: Registry, outcome: Outcome, write: Sink, show: Show
) -> None:
    """Act the sessions out; `outcome` fills, `write` gets the records, `show` the rows.

    PeerError (or BrokeOffError) ends it; what was recorded until then has been written.
    """
    tracker = Tracker(registry, recorded[0].device)
    connection = Connection(0, *ends(stage))
    write(connection)
    list(tracker.rows([connection]))

    def log(record: Record) -> Row:
        write(record)
        row = tracker.feed(record)
        show(row)
        return row

    source = open_source(stage.endpoint)
    descriptors = Descriptors()
    try:
        for number, script in enumerate(recorded, 1):
            # a front-end that connects is waited for like its requests; a back-end is to be there
            patience = stage.timeout if stage.role is Side.FRONTEND else stage.idle
            end = meet(source, stage.endpoint, stage.role.peer, patience)
            talk = Talk(end, stage.role, Place(0, number), log, stage.timeout)
            with contextlib.closing(talk):
                play(stage, script, talk, descriptors, outcome).run()
    finally:
        descriptors.close()
        source.close()


def play(
    stage: Stage, script: Script, talk: Talk, descriptors: Descriptors, outcome: Outcome
) -> FrontendPlay | BackendPlay:
    """The part to act."""
    if script.omitted:
        outcome.notes.append(f"session {script.session}: {script.omitted} records are no whole messages")
    if stage.role is Side.BACKEND:
        return BackendPlay(script, talk, descriptors, outcome, stage.idle)
    return FrontendPlay(script, talk, descriptors, outcome, stage.timeout, clock(stage, script))


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
