"""vutrace itself, as users run it."""

import signal
import sys
from pathlib import Path

from lab.process import Lab, Program

VUTRACE = Path(sys.executable).with_name("vutrace")


class Proxy:
    """A running `vutrace proxy` and its capture."""

    def __init__(self, program: Program, capture: Path) -> None:
        self.program = program
        self.capture = capture

    def stop(self) -> None:
        """End it as Ctrl-C does; the capture is whole after that."""
        assert self.program.stop(signal.SIGINT) == 128 + signal.SIGINT, self.program.tail()


def start_proxy(lab: Lab, frontend: str | Path, backend: str | Path, *options: str) -> Proxy:
    """Start it between two endpoints; returns when it listens wherever it has to."""
    capture = lab.path("trace.pcapng")
    program = lab.start("vutrace", VUTRACE, "proxy", frontend, backend, "-w", capture, *options)
    for path in listening(str(frontend), str(backend)):
        program.wait_until(path.exists, 30, f"listens on {path}")
    return Proxy(program, capture)


def listening(frontend: str, backend: str) -> list[Path]:
    """Where it will listen: by default on the front-end's side only."""
    paths = [frontend.removeprefix("listen:")] if not frontend.startswith(("connect:", "fd:")) else []
    paths += [backend.removeprefix("listen:")] if backend.startswith("listen:") else []
    return [Path(path) for path in paths]
