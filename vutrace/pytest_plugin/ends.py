"""What a test starts: the program under test, a proxy that records, and model ends."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from vutrace.conform.case import CaseResult
from vutrace.conform.catalogue import backend_cases, chosen
from vutrace.conform.driver import Driver
from vutrace.conform.log import CaseLog
from vutrace.conform.probe import Probe
from vutrace.conform.run import Bench, run, survey
from vutrace.conform.survey import Survey
from vutrace.conform.tested import Reached, Started
from vutrace.peers import DPDK_22_11, Offer, PeerError, Server
from vutrace.pytest_plugin.trace import Trace, registry
from vutrace.sockets.endpoints import Endpoint, How

PATIENCE = 10.0
GLANCE = 0.005


class VhostProcess:
    """A program under test that listens at `socket`."""

    def __init__(self, started: Started) -> None:
        self._started = started
        started.begin()
        deadline = time.monotonic() + PATIENCE
        while not os.path.exists(started.path):
            if not started.running():
                raise PeerError("the program ended before it listened: " + "; ".join(self.output()))
            if time.monotonic() > deadline:
                raise PeerError(f"the program does not listen at {started.path} within {PATIENCE:g} s")
            time.sleep(GLANCE)

    @property
    def socket(self) -> str:
        """Where it listens."""
        return self._started.path

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._started.running()

    def crash(self, patience: float = 0.2) -> str:
        """How it died, "" if it lives or ended in order."""
        return self._started.crash(patience)

    def output(self) -> tuple[str, ...]:
        """The last lines that it printed."""
        return self._started.output()


class RecordingProxy:
    """A proxy at `socket`, in front of a back-end; `trace` is what has passed so far."""

    def __init__(self, socket: str, capture: Path) -> None:
        self.socket, self.capture = socket, capture

    @property
    def trace(self) -> Trace:
        """What has passed so far."""
        return Trace(self.capture)


class TestedDevice:
    """A model front-end, connected to the back-end under test.

    It has found out and acknowledged what is offered of `needs`. `run` starts the device's rings, `request`
    has it carry out a request that is known of its kind (blk, rng, net, fs, vsock).
    """

    __test__ = False  # pytest would take it for tests

    def __init__(self, probe: Probe, capture: Path) -> None:
        self.probe, self.capture = probe, capture
        self.driver: Driver | None = None
        probe.hello()

    @property
    def trace(self) -> Trace:
        """What has passed so far."""
        return Trace(self.capture)

    def run(self) -> None:
        """Memory and rings."""
        self.probe.memory()
        self.driver = Driver(self.probe)
        self.driver.start()

    def request(self) -> None:
        """One request, carried out and right; an error says what is not."""
        if self.driver is None:
            self.run()
        assert self.driver
        self.driver.work_once()

    def stop(self) -> int:
        """Stop all rings; where the one for requests stood."""
        assert self.driver, "it does not run"
        return self.driver.stop()


class TestEnds:
    """The ends of one test's connections; `captures` gets the file of each."""

    def __init__(self, directory: Path, captures: list[Path]) -> None:
        self._directory, self._captures = directory, captures
        self._stack = ExitStack()

    def process(self, command: str) -> VhostProcess:
        """Start the program under test; `{socket}` in `command` is where it has to listen."""
        started = Started(command, shared=True)
        self._stack.callback(started.close)
        return VhostProcess(started)

    def proxy(self, backend: str) -> RecordingProxy:
        """A proxy in front of a back-end's socket."""
        capture, socket = self._capture("proxy"), str(self._directory / f"front{len(self._captures)}.sock")
        command = [sys.executable, "-m", "vutrace", "proxy", socket, backend, "-w", str(capture), "-q"]
        process = subprocess.Popen(command, start_new_session=True)
        self._stack.callback(end, process)
        deadline = time.monotonic() + PATIENCE
        while not os.path.exists(socket):
            if process.poll() is not None or time.monotonic() > deadline:
                raise PeerError(f"vutrace proxy is not there ({process.poll()})")
            time.sleep(GLANCE)
        return RecordingProxy(socket, capture)

    def frontend(self, socket: str, *needs: str, device: str = "", timeout: float = 2.0) -> TestedDevice:
        """A model front-end at a back-end's socket that acknowledges the basic features and `needs`."""
        capture = self._capture("frontend")
        peer = Reached(Endpoint(How.CONNECT, path=socket))
        log = CaseLog(registry(), device, ("vutrace", "under test"), str(capture))
        self._stack.callback(log.close)
        probe = Probe(peer, log, everything(needs, device), needs, timeout)
        self._stack.callback(probe.close)
        return TestedDevice(probe, capture)

    def backend(self, offer: Offer = DPDK_22_11) -> RecordingProxy:
        """A model back-end, and a proxy before it, at whose socket the front-end under test connects."""
        path = str(self._directory / f"back{len(self._captures)}.sock")
        server = Server(path, offer)
        server.start()
        self._stack.callback(server.stop)
        return self.proxy(path)

    def conform(self, command: str, *only: str, device: str = "") -> list[CaseResult]:
        """Run cases of the conformance suite over a program; those that fail a must, or crash it."""
        started = Started(command)
        self._stack.callback(started.close)
        bench = Bench(started, registry(), device)
        results = run(bench, survey(bench), chosen(backend_cases(), only))
        return [result for result in results if result.fails()]

    def close(self) -> None:
        """Everything ends."""
        self._stack.close()

    def _capture(self, word: str) -> Path:
        path = self._directory / f"{word}{len(self._captures)}.pcapng"
        self._captures.append(path)
        return path


def everything(needs: Iterable[str], device: str) -> Survey:
    """An offer that has all there is: what is really offered is found out when it is acknowledged."""
    every = (1 << 64) - 1
    known = registry().device(device) if device else Survey().device
    return Survey(features=every, protocol=every, device=known)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process of ours."""
    process.terminate()
    process.wait(PATIENCE)
