"""`vutrace check`: what it prints in each format, and its exit status."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from kit.transcript import Line, connection, script
from traces import acknowledge, enable, end, hello, memory, ring, started, without

from vutrace.capture import Writer
from vutrace.cli import main
from vutrace.dissection.registry import load
from vutrace.rules.catalogue import rules

Run = Callable[..., tuple[int, str]]
LAWFUL = [*started(), *end()]
BROKEN = without(LAWFUL, "SET_VRING_ADDR")
SCHEMA = Path(__file__).parents[1] / "schemas" / "sarif-2.1.0.json"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `vutrace check`: its exit status and what it prints."""

    def check(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["vutrace", "check", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0), capsys.readouterr().out

    return check


def capture(path: Path, *sessions: list[Line]) -> Path:
    """A capture of sessions on one connection."""
    with Writer(path) as writer:
        writer.write(connection())
        for number, lines in enumerate(sessions, 1):
            for record in script(
                *lines, session=number, start_ns=1_700_000_000_000_000_000 + number * 10**10
            ):
                writer.write(record)
    return path


def test_nothing_found_is_said_and_is_status_0(run: Run, tmp_path: Path) -> None:
    status, text = run(capture(tmp_path / "a.pcapng", LAWFUL))
    assert status == 0
    assert "nothing found in 20 rows" in text


def test_what_is_found_is_named_with_its_row_and_what_to_do(run: Run, tmp_path: Path) -> None:
    status, text = run(capture(tmp_path / "a.pcapng", BROKEN))
    assert status == 1
    assert "! warning ring.kick-before-addr" in text
    assert "[15] ring 0: started before its addresses were set" in text
    assert "→ Send SET_VRING_ADDR before SET_VRING_KICK." in text
    assert "1 finding in 19 rows" in text


def test_what_is_less_than_asked_for_is_counted_and_no_reason_to_fail(run: Run, tmp_path: Path) -> None:
    status, text = run(capture(tmp_path / "a.pcapng", BROKEN), "--severity", "error")
    assert status == 0
    assert "nothing found in 19 rows; not shown: 1 warning" in text


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--select", "ring"], 1),
        (["--select", "memory,frame"], 0),
        (["--select", "ring.kick-before-addr"], 1),
        (["--ignore", "ring"], 0),
        (["--ignore", "ring.kick-before-addr"], 0),
        (["--ignore", "ring", "--select", "ring.kick-before-addr"], 1),
        (["--select", "ring", "--ignore", "ring.kick-before-addr"], 0),
        (["--select", "memory", "--select", "ring"], 1),
    ],
)
def test_rules_are_chosen_by_name_or_group(run: Run, tmp_path: Path, options: list[str], status: int) -> None:
    assert run(capture(tmp_path / "a.pcapng", BROKEN), *options)[0] == status


def test_json_is_an_object_for_each_session_with_the_keys_of_the_design(run: Run, tmp_path: Path) -> None:
    path = capture(tmp_path / "a.pcapng", LAWFUL, BROKEN)
    status, text = run(path, path, "--json")
    objects = [json.loads(line) for line in text.splitlines()]
    assert status == 1
    assert [(each["file"], each["connection"], each["session"]) for each in objects] == [
        (str(path), "A", 1),
        (str(path), "A", 2),
    ] * 2
    assert {"device", "frontend", "backend", "verdict", "findings"} <= set(objects[0])
    assert set(objects[0]["verdict"]) == {"text", "orderly", "ended_by", "got_to", "owing"}
    assert objects[0]["findings"] == []
    (found,) = objects[1]["findings"]
    assert found == {
        "rule": "ring.kick-before-addr",
        "severity": "warning",
        "text": "started before its addresses were set",
        "heading": "Ring states",
        "row": 35,
        "about": None,
        "ring": 0,
        "descriptor": None,
        "connection": "A",
        "session": 2,
        "advice": "Send SET_VRING_ADDR before SET_VRING_KICK.",
    }


def test_a_row_of_show_carries_the_same_finding(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = capture(tmp_path / "a.pcapng", BROKEN)
    (found,) = json.loads(run(path, "--json")[1])["findings"]
    monkeypatch.setattr(sys, "argv", ["vutrace", "show", str(path), "--json"])
    with pytest.raises(SystemExit):
        main()
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each for row in rows for each in row["findings"]] == [found]
    assert [row["problems"] for row in rows if row["problems"]] == [[found["text"]]]


def test_sarif_is_valid_by_its_schema(run: Run, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    status, text = run(capture(tmp_path / "a b.pcapng", BROKEN), "--sarif")
    log = json.loads(text)
    jsonschema.validate(log, json.loads(SCHEMA.read_text()))
    (result,) = log["runs"][0]["results"]
    driver = log["runs"][0]["tool"]["driver"]
    assert status == 1
    assert (result["ruleId"], result["level"]) == ("ring.kick-before-addr", "warning")
    assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert [rule["id"] for rule in driver["rules"]] == list(rules(load().devices))
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("a%20b.pcapng")
    assert place["region"] == {"startLine": 15}


def test_junit_has_a_suite_for_each_session_and_a_failure_for_each_broken_rule(
    run: Run, tmp_path: Path
) -> None:
    twice = [
        *hello(),
        *acknowledge(),
        *memory(),
        *without([*ring(0), *ring(1)], "SET_VRING_ADDR"),
        *enable(0),
    ]
    path = capture(tmp_path / "a.pcapng", LAWFUL, [*without(twice, "SET_VRING_ADDR"), *enable(1), *end(0, 1)])
    status, text = run(path, "--junit")
    root = ElementTree.fromstring(text)
    clean, broken = root.findall("testsuite")
    assert status == 1
    assert (root.get("tests"), root.get("failures")) == ("3", "1")
    assert [case.get("name") for case in clean.findall("testcase")] == ["all other rules"]
    (failure,) = broken.iter("failure")
    assert failure.get("type") == "ring.kick-before-addr"
    assert failure.text is not None
    assert failure.text.count("started before its addresses were set") == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--select", "ring.kick-before-adr"],
            "no rule or group 'ring.kick-before-adr'; like it: ring",
        ),
        (["--ignore", "nothing"], "no rule or group 'nothing'"),
        (["--profile", "qemuu"], "no profile 'qemuu'; there are auto, strict, "),
        (["--json", "--sarif"], "one of --json, --sarif and --junit at a time"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_status_2(
    words: list[str],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = capture(tmp_path / "a.pcapng", LAWFUL)
    monkeypatch.setattr(sys, "argv", ["vutrace", "check", str(path), *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert told in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_status_3(run: Run, tmp_path: Path) -> None:
    assert run(tmp_path / "none.pcapng")[0] == 3
    (tmp_path / "text").write_text("no capture")
    assert run(tmp_path / "text")[0] == 3


def test_a_profile_makes_what_is_known_of_an_implementation_info(run: Run, tmp_path: Path) -> None:
    early = [*hello(), *enable(), *acknowledge(), *memory(), *ring(), *end()]
    path = capture(tmp_path / "a.pcapng", early)
    assert run(path)[0] == 1
    assert run(path, "--profile", "strict")[0] == 1
    assert run(path, "--profile", "passt")[0] == 1
    status, text = run(path, "--profile", "qemu")
    assert status == 0
    assert "nothing found in 20 rows; not shown: 1 info" in text
    told = run(path, "--profile", "qemu", "--severity", "info")[1]
    assert "known of qemu: " in " ".join(told.split())


def test_sessions_that_are_alike_are_told_once_and_counted(run: Run, tmp_path: Path) -> None:
    status, text = run(capture(tmp_path / "a.pcapng", BROKEN, BROKEN, BROKEN, LAWFUL, BROKEN))
    assert status == 1
    assert text.count("ring.kick-before-addr") == 2
    assert "  sessions 2–3: the same, in 20.0 s\n" in text
    assert "session 4: " in text
    assert "session 5: " in text
