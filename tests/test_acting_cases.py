"""The rules in docs/examples/rules: real cases acted out on the model ends, and what `check` says of each."""

import contextlib
import re
from pathlib import Path

import pytest
from kit.acting_lab import ActingLab
from kit.proxy_lab import wait_for
from typer.testing import CliRunner

from vutrace.cli import app
from vutrace.peers import PROFILES, FrontEnd, Server
from vutrace.records import Event
from vutrace.sockets.framed import PeerError

RULES = sorted((Path(__file__).parent.parent / "docs/examples/rules").glob("*.rules"))
TIMEOUT = 2.0


def told(text: str, word: str) -> list[str]:
    """What the comments of a file of rules say."""
    return re.findall(rf"^# {word}: (.*)$", text, re.MULTILINE)


def play(place: Path, profile: str, restart: bool) -> None:
    """A guest boots; whatever is in its way is in the capture."""
    with FrontEnd(PROFILES[profile], 1, timeout=TIMEOUT) as frontend, contextlib.suppress(PeerError):
        with Server(str(place / "back")):
            frontend.connect(str(place / "front"))
            frontend.write_features()
            frontend.start()
            if not restart:
                frontend.disconnect()
        if restart:
            frontend.wait_lost(TIMEOUT)
            with Server(str(place / "back")):
                frontend.reconnect(str(place / "front"))


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_a_case_is_acted_out(path: Path, tmp_path: Path) -> None:
    text = path.read_text()
    profile, *words = told(text, "plays")[0].split()
    lab = ActingLab(tmp_path, rules=[str(path)], listen=False)
    play(tmp_path, profile, "restart" in words)
    sessions = 1 + bool(words)
    wait_for(lambda: closes(lab) >= sessions)
    lab.stop()
    assert lab.never == []
    ran = CliRunner().invoke(app, ["check", str(lab.capture)], env={"COLUMNS": "1000"})
    assert ran.exit_code in (0, 1), ran.output
    answer = " ".join(ran.output.split())
    for line in told(text, "check"):
        assert line in answer, answer


def closes(lab: ActingLab) -> int:
    """How many sessions have ended by what is in the capture."""
    return sum(isinstance(each, Event) and each.kind == "close" for each in lab.items())


def test_there_are_ten() -> None:
    assert len(RULES) >= 10
