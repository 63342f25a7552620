"""The program itself: starting it, and what it says of itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from vutrace import __version__
from vutrace.cli import interrupts

CAPTURE = next(Path(__file__).parent.parent.glob("captures/*.pcapng"))
VUTRACE = [sys.executable, "-m", "vutrace"]

# Sends itself Ctrl-C when it begins to load a module.
INTERRUPTED = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
sys.argv = ["vutrace", *{words!r}]
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
    assert "  proxy      Forward, record and show messages between the two ends.\n" in run(*VUTRACE).stderr


@pytest.mark.parametrize(
    "module",
    ["vutrace.cli", "typer", "vutrace.cli.proxy", "socket", "vutrace.proxy.relay", "vutrace.proxy.loop"],
)
def test_ctrl_c_while_the_proxy_starts_is_one_status_and_silence(module: str, tmp_path: Path) -> None:
    words = ["proxy", str(tmp_path / "front"), str(tmp_path / "back"), "-q"]
    ended = run(sys.executable, "-c", INTERRUPTED.format(module=module, words=words))
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "module", ["vutrace.cli.show", "vutrace.views.rows", "scapy", "vutrace_dissectors.net"]
)
def test_ctrl_c_while_a_verb_loads_is_the_same(module: str) -> None:
    words = ["list", "fields"] if module == "scapy" else ["show", str(CAPTURE)]
    ended = run(sys.executable, "-c", INTERRUPTED.format(module=module, words=words))
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_ctrl_c_that_a_library_makes_another_error_of_is_still_that() -> None:
    made = RuntimeError("Error calling __set_name__")
    made.__cause__ = KeyboardInterrupt()
    assert interrupts.caused(made)
    assert not interrupts.caused(RuntimeError("ours"))
