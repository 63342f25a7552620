"""`vutrace diff` from the outside: exact texts of the comparisons that it is for."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from kit.replay_stage import CAPTURES
from typer.testing import CliRunner

from vutrace.cli import app

QEMU_7, QEMU_10 = CAPTURES / "qemu-7.2-testpmd.pcapng", CAPTURES / "qemu-10.0-testpmd.pcapng"
RESTART = CAPTURES / "qemu-7.2-testpmd-restart.pcapng"
Golden = Callable[[str, str], None]


def diff(*words: object) -> Any:
    return CliRunner().invoke(app, ["diff", *map(str, words)])


def test_qemu_7_beside_qemu_10(golden: Golden) -> None:
    ran = diff(QEMU_7, QEMU_10)
    assert ran.exit_code == 1
    golden("diff/qemu-7.2-qemu-10.0.txt", ran.stdout)


def test_the_manual_shows_what_is_told() -> None:
    """Its first example, times aside: the captures are recorded anew now and then."""
    page = (CAPTURES.parent / "docs" / "diff.md").read_text()
    example = page.split("QEMU 7.2 and 10.0 with the same DPDK:\n\n```\n")[1].split("```")[0]
    told = diff(QEMU_7, QEMU_10).stdout
    assert set(untimed(example)) <= set(untimed(told))


def untimed(text: str) -> list[str]:
    return [re.sub(r"\d+\.\d{6}", "TIME", line) for line in text.splitlines()]


def test_before_and_after_a_reconnect(golden: Golden) -> None:
    ran = diff(RESTART, "--session", "1:2")
    assert ran.exit_code == 1
    golden("diff/restart.txt", ran.stdout)


def test_the_same_twice() -> None:
    ran = diff(QEMU_7, QEMU_7)
    assert ran.exit_code == 0
    assert ran.stdout.splitlines()[-1] == "no difference"


def test_json_has_the_same_differences() -> None:
    ran = diff(QEMU_7, QEMU_10, "--json")
    assert ran.exit_code == 1
    found = json.loads(ran.stdout)
    assert found["same"] is False
    session = found["sessions"][0]
    assert session["a"] == {"connection": "A", "session": 1, "device": "net", "requests": 78}
    first = session["differences"][0]
    assert first == {
        "subject": "ring",
        "rings": ["rx0", "tx0"],
        "what": "SET_VRING_ENABLE 1: acknowledged",
        "a": "not asked for",
        "b": "ok",
        "row_a": 30,
        "row_b": 30,
        "count": first["count"],
    }


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "two captures are needed, or one and --session N:M or --connection X:Y"),
        (["--session", "1:"], "--session 1:: N or N:M is what it takes"),
        (["--session", "9"], "has no such session with requests; it has 1 of A"),
        (["--connection", "A:B"], "has no such session with requests; it has 1 of A"),
    ],
)
def test_what_makes_no_sense_is_said(words: list[str], why: str) -> None:
    ran = diff(QEMU_7, *words)
    assert type(ran.exception).__name__ == "UsageError"
    assert why in str(ran.exception)
