"""`vutrace conform` as a user runs it: against a process, against a socket, and against nobody."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

VUTRACE = str(Path(sys.executable).parent / "vutrace")
MODEL = (
    f"{sys.executable} -c 'import sys, threading; from vutrace.peers import Server; "
    "Server(sys.argv[1]).start(); threading.Event().wait()' {socket}"
)
# A program that answers nothing, says a word, and dies at the first byte.
CRASHING = (
    f"{sys.executable} -c 'import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); "
    's.listen(); c = s.accept()[0]; c.recv(1); print("about to fall", flush=True); os.abort()\' {socket}'
)


def run(*arguments: str, status: int = 0) -> str:
    """The output of a run that ends with a status."""
    command = [VUTRACE, "conform", "backend", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == status, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_lists_a_case_a_line() -> None:
    names = run("--list").splitlines()
    assert len(names) == len(set(names)) >= 150
    assert "memory/region-beyond-its-file" in names
    groups = {name.partition("/")[0] for name in names}
    assert {"framing", "header", "negotiation", "memory", "rings", "configuration", "inflight"} <= groups


def test_every_must_of_the_model_back_end_holds() -> None:
    printed = run("--start", MODEL, "--share", "--only", "framing/question", "--only", "negotiation")
    assert "pass  framing/question" in printed
    assert " 0 fail" in printed.splitlines()[-1]


def test_a_crash_fails_with_the_signal_the_last_message_and_the_last_lines() -> None:
    printed = run("--start", CRASHING, "--only", "framing/question", status=1)
    assert "FAIL  framing/question" in printed
    assert "killed by SIGABRT" in printed
    assert "GET_FEATURES" in printed
    assert "said: about to fall" in printed
    assert "--only framing/question" in printed


def test_nobody_there_is_status_4() -> None:
    assert "ended (0) before" in run("--start", "true {socket}", status=4)


def test_what_makes_no_sense_is_status_2() -> None:
    assert "one of --to" in run(status=2)
    assert "{socket}" in run("--start", "true", status=2)
    assert "--list tells" in run("--to", "x", "--only", "no/such", status=2)


def test_machines_read_the_same_results() -> None:
    some = ("--start", MODEL, "--share", "--only", "framing/question", "--only", "memory/overlap*")
    some = (*some, "--only", "protocol-features/xen-mmap")
    objects = [json.loads(line) for line in run(*some, "--json").splitlines()]
    verdicts = {each["case"]: each["verdict"] for each in objects}
    assert verdicts["framing/question"] == "pass"
    assert verdicts["protocol-features/xen-mmap"] == "skip"
    suites = ElementTree.fromstring(run(*some, "--junit"))
    assert int(suites.get("tests", "0")) == len(objects)
    assert len(suites.findall(".//skipped")) == list(verdicts.values()).count("skip")
    tap = run(*some, "--tap").splitlines()
    assert tap[:2] == ["TAP version 14", f"1..{len(objects)}"]
    assert [line for line in tap if line.startswith("ok 1 ")]
    assert len([line for line in tap if line.startswith(("ok", "not ok"))]) == len(objects)


def test_a_capture_of_each_case_holds_the_message_that_failed(tmp_path: Path) -> None:
    failed = json.loads(
        run("--start", CRASHING, "--only", "framing/question", "-w", str(tmp_path), "--json", status=1)
    )
    shown = subprocess.run(
        [VUTRACE, "show", failed["capture"], "--json"], capture_output=True, text=True, check=True
    )
    rows = [json.loads(line) for line in shown.stdout.splitlines()]
    assert rows[failed["row"] - 1]["name"] == "GET_FEATURES"
    assert any("framing/question fails" in json.dumps(row) for row in rows)
