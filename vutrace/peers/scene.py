"""A model front-end and a model back-end with the real proxy between them: what `vutrace demo` records."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from vutrace.errors import VutraceError
from vutrace.peers.frontend import FrontEnd
from vutrace.peers.server import Server
from vutrace.peers.state import READY
from vutrace.peers.steps import Profile
from vutrace.sockets.framed import PeerError
from vutrace.sockets.process import raise_descriptor_limit

TIMEOUT = 20.0  # of a loaded machine
GLANCE = 0.02
SOON = 0.5


class ProxyEndedError(VutraceError):
    """The proxy ended by itself with an exit status, which is this error's; it has said why."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


@dataclass(frozen=True, slots=True)
class Play:
    """What happens: a guest boots, turns on `enabled` of its pairs, and perhaps loses its back-end once."""

    profile: Profile
    pairs: int
    enabled: int = 1
    restart: bool = False


def record(play: Play, directory: str, capture: str) -> None:
    """Perform a play with its sockets in `directory`; what passed is in `capture` then.

    Raises PeerError and ProxyEndedError.
    """
    raise_descriptor_limit()
    front, back = os.path.join(directory, "front.sock"), os.path.join(directory, "back.sock")
    with proxy(front, back, capture), FrontEnd(play.profile, play.pairs, timeout=TIMEOUT) as frontend:
        with Server(back) as backend:
            boot(frontend, front, play.enabled)
            settle(frontend, backend)
            if not play.restart:
                frontend.disconnect()
        if play.restart:
            frontend.wait_lost(TIMEOUT)
            with Server(back) as backend:
                frontend.reconnect(front)
                settle(frontend, backend)
            frontend.wait_lost(TIMEOUT)


def boot(frontend: FrontEnd, path: str, enabled: int) -> None:
    frontend.connect(path)
    frontend.write_features()
    frontend.start()
    if enabled > 1:
        frontend.change_pairs(enabled)


def settle(frontend: FrontEnd, backend: Server) -> None:
    """Wait until the back-end knows all that was sent, as it does when a machine runs."""
    backend.journal.wait_handled(frontend.sent, TIMEOUT)
    backend.journal.wait(READY, TIMEOUT)


@contextmanager
def proxy(front: str, back: str, capture: str) -> Iterator[None]:
    command = [sys.executable, "-m", "vutrace", "proxy", front, back, "-w", capture, "-q"]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            wait_listening(process, front)
            yield
        except PeerError:
            with suppress(subprocess.TimeoutExpired):
                raise ProxyEndedError(process.wait(SOON)) from None
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(TIMEOUT)


def wait_listening(process: subprocess.Popen[bytes], path: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not os.path.exists(path):
        if process.poll() is not None:
            raise ProxyEndedError(process.returncode)
        if time.monotonic() > deadline:
            raise PeerError(f"vutrace proxy does not listen within {TIMEOUT:g} s")
        time.sleep(GLANCE)
