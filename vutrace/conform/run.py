"""Cases put to a back-end, one after the other: a survey first, then each with a front-end of its own."""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from vutrace.conform.case import Case, CaseResult, CaseVerdict, SkippedError, UnmetError
from vutrace.conform.known import known
from vutrace.conform.log import CaseLog
from vutrace.conform.probe import PROTOCOL, Probe
from vutrace.conform.stand import Stand
from vutrace.conform.survey import Survey
from vutrace.conform.tested import SOON, NotReachedError, TestedPeer
from vutrace.dissection.registry import Registry
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.records import Event, EventKind, Side
from vutrace.sockets.framed import PeerError

MQ = bit("MQ", PROTOCOL_FEATURES)
CONFIG = bit("CONFIG", PROTOCOL_FEATURES)


@dataclass(frozen=True, slots=True)
class Bench:
    """Where cases are run: what is tested, how long a reply may take (s), where captures go ("" for nowhere).

    `device` is the user's word on what it is, "" to find out.
    """

    target: TestedPeer
    registry: Registry
    device: str = ""
    timeout: float = 2.0
    directory: str = ""

    def recorder(self, name: str = "") -> CaseLog:
        """What takes down a case's messages."""
        path = (
            os.path.join(self.directory, name.replace("/", "-") + ".pcapng")
            if self.directory and name
            else ""
        )
        return CaseLog(self.registry, self.device, ("vutrace conform", "under test"), path)


def survey(bench: Bench) -> Survey:
    """What the back-end offers; NotReachedError, PeerError where nobody is there."""
    log = bench.recorder()
    probe = Probe(bench.target, log, Survey(), (), bench.timeout)
    probe.connect()
    with contextlib.closing(probe), contextlib.suppress(UnmetError, TimeoutError):
        ask_all(probe)
    bench.target.rest()
    context = log.rows[-1].state.context
    return Survey(
        features=context.offered or 0,
        protocol=context.protocol_offered or 0,
        queues=context.queue_num or 0,
        device=context.device,
        command=command_of(log),
    )


def command_of(log: CaseLog) -> str:
    """The command line of the process at the other end, which the opening of the session tells."""
    opened = (row.what.attributes for row in log.rows if isinstance(row.what, Event))
    told = (attributes.get(f"{side}_command", "") for attributes in opened for side in Side)
    return next(filter(None, told), "")


def ask_all(probe: Probe) -> None:
    """Every question that needs no device."""
    if not probe.number("GET_FEATURES", "features") & PROTOCOL:
        return
    told = probe.number("GET_PROTOCOL_FEATURES", "protocol_features")
    wanted = told & (MQ | CONFIG)
    probe.send("SET_PROTOCOL_FEATURES", p.ProtocolFeatures(protocol_features=wanted))
    if told & MQ:
        probe.ask("GET_QUEUE_NUM")
    if told & CONFIG:
        probe.ask("GET_CONFIG", p.Config(offset=0, size=60, data=bytes(60)))


def run(bench: Bench, offer: Survey, cases: Iterable[Case]) -> Iterator[CaseResult]:
    """What comes of each case, when it is over."""
    for case in cases:
        if why := offer.why_not(case):
            yield CaseResult(case, CaseVerdict.SKIP, why)
        else:
            yield run_case(bench, offer, case)


def run_case(bench: Bench, offer: Survey, case: Case) -> CaseResult:
    """One case, and how the process is after it."""
    log = bench.recorder(case.name)
    probe = Probe(bench.target, log, offer, case.needs, bench.timeout)
    return concluded(bench, offer.command, case, probe)


def concluded(bench: Bench, command: str, case: Case, probe: Probe | Stand) -> CaseResult:
    """What came of a case that one of ours plays; `command` is the other's."""
    log, began = probe.log, time.monotonic()
    result = judged(case, probe)
    failed = result.verdict is CaseVerdict.FAIL
    crash = bench.target.crash(SOON if probe.lost else 0.0)
    output = bench.target.output() if failed or crash else ()
    probe.close()
    late = bench.target.rest()
    result = with_crash(result, crash or late, output or (bench.target.output() if late else ()))
    if result.verdict is CaseVerdict.FAIL:
        log.note(f"{case.name} fails: {result.came}", EventKind.ERROR)
    log.close()
    source = known(command or command_of(log), case.name) if result.verdict is CaseVerdict.FAIL else ""
    seconds = time.monotonic() - began
    return replace(result, seconds=seconds, rows=tuple(log.rows), capture=log.path, known=source)


def run_frontend(bench: Bench, cases: Iterable[Case]) -> Iterator[CaseResult]:
    """What comes of each case for a front-end, when it is over."""
    for case in cases:
        log = bench.recorder(case.name)
        yield concluded(bench, "", case, Stand(bench.target, log, bench.device, bench.timeout))


def judged(case: Case, probe: Probe | Stand) -> CaseResult:
    """What the case itself says."""
    try:
        case.act(probe)
    except SkippedError as why:
        return CaseResult(case, CaseVerdict.SKIP, str(why))
    except (UnmetError, PeerError, NotReachedError) as error:
        return CaseResult(case, CaseVerdict.FAIL, str(error), failed_row=probe.failed_row())
    except TimeoutError:
        return CaseResult(case, CaseVerdict.FAIL, "nothing in time", failed_row=probe.failed_row())
    return CaseResult(case, CaseVerdict.PASS)


def with_crash(result: CaseResult, crash: str, output: tuple[str, ...]) -> CaseResult:
    """The result where the process died: that fails whatever else was right."""
    if not crash:
        return replace(result, output=output)
    came = result.came if crash in result.came else "; ".join(filter(None, (result.came, crash)))
    row = result.failed_row
    return replace(result, verdict=CaseVerdict.FAIL, came=came, crash=crash, output=output, failed_row=row)
