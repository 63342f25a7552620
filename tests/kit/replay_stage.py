"""Recordings acted out against each other or against model peers, in one process."""

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from vutrace.capture import read
from vutrace.dissection.registry import Registry, load
from vutrace.peers import PeerError
from vutrace.records import Connection, Frame, Record, Side
from vutrace.replay.act import Actor, Stage
from vutrace.replay.outcome import Outcome, lines
from vutrace.replay.script import Script, scripts
from vutrace.session.tracker import Tracker
from vutrace.sockets.endpoints import Endpoint, How

CAPTURES = Path(__file__).parents[2] / "captures"
REGISTRY: Registry = load()
TIMEOUT = 5.0


def recorded(name: str, session: int | None = None) -> list[Script]:
    """The sessions of a kept capture."""
    return of_records(read(CAPTURES / f"{name}.pcapng"), session)


def of_records(records: "object", session: int | None = None) -> list[Script]:
    """The sessions of records."""
    found = scripts(Tracker(REGISTRY).rows(records))  # type: ignore[arg-type]
    return [script for script in found if session in (None, script.session)]


@dataclass
class Performance:
    """What came of acting: the outcome, the frames that passed, and why it ended, if not by itself."""

    outcome: Outcome = field(default_factory=Outcome)
    records: list[Connection | Record] = field(default_factory=list)
    broke: str = ""

    @property
    def frames(self) -> list[Frame]:
        return [item for item in self.records if isinstance(item, Frame)]

    @property
    def lines(self) -> list[str]:
        return list(lines(self.outcome))


def act(
    role: Side,
    sessions: list[Script],
    path: str,
    how: How | None = None,
    timeout: float = TIMEOUT,
    performance: Performance | None = None,
) -> Performance:
    """Act sessions out at a path, to their end."""
    way = how or (How.CONNECT if role is Side.FRONTEND else How.LISTEN)
    done = performance or Performance()
    stage = Stage(role, Endpoint(way, path=path), timeout, idle=timeout, settle=0.02)
    with closing(Actor(stage, REGISTRY, sessions[0].device, done.records.append, lambda row: None)) as actor:
        try:
            actor.act(sessions, done.outcome)
        except PeerError as error:
            done.broke = str(error)
    return done


def beside(work: Callable[[], object]) -> threading.Thread:
    """Do it in a thread."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def both(
    sessions: list[Script], path: str, listening: Side = Side.BACKEND
) -> tuple[Performance, Performance]:
    """A recording's front-end against its back-end; one side listens, the other connects."""
    back = Performance()
    hows = {side: How.LISTEN if side is listening else How.CONNECT for side in Side}
    thread = beside(lambda: act(Side.BACKEND, sessions, path, hows[Side.BACKEND], performance=back))
    front = act(Side.FRONTEND, sessions, path, hows[Side.FRONTEND])
    thread.join(TIMEOUT)
    assert not thread.is_alive()
    return front, back
