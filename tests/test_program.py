"""The program itself: starting it, and what it says of itself."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vutrace import __version__

VUTRACE = [sys.executable, "-m", "vutrace"]

# Sends itself Ctrl-C when the command line begins to load.
INTERRUPTED = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "vutrace.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from vutrace.__main__ import main
main()
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """A whole run of a command."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "command", [VUTRACE, [str(Path(sys.executable).parent / "vutrace")]], ids=["module", "installed"]
)
def test_it_tells_its_version(command: list[str]) -> None:
    assert run(*command, "--version").stdout == f"vutrace {__version__}\n"


def test_without_a_verb_it_says_what_there_is() -> None:
    assert "  proxy      Between the two ends: forward, record, show.\n" in run(*VUTRACE).stderr


def test_ctrl_c_while_it_loads_prints_no_traceback() -> None:
    ended = run(sys.executable, "-c", INTERRUPTED)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")
