"""The findings of `vutrace check` are in Wireshark under the same names: captures carry them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kit.transcript import connection, script
from kit.wireshark_json import needs_tshark, tshark, write_plugin
from test_rules_pages import CASES
from traces import Case

from vutrace.capture import Writer, read
from vutrace.dissection.registry import load
from vutrace.problems import Severity
from vutrace.records import Connection, Event, EventKind, Record
from vutrace.rules.findings import Choice
from vutrace.rules.judge import Judge
from vutrace.rules.report import OF_EACH, Reporter
from vutrace.session.tracker import Tracker
from vutrace.wireshark.display_filter import matching
from vutrace.wireshark.findings import with_findings

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))
RESTART = Path(__file__).parents[2] / "captures" / "qemu-7.2-testpmd-restart.pcapng"
REGISTRY = load()

Found = set[tuple[int, str, str]]


@pytest.fixture(scope="module")
def lua(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plugin(REGISTRY, tmp_path_factory.mktemp("plugin"))


def vutrace(*words: str | Path, stdin: bytes | None = None) -> bytes:
    """What a verb prints; 1 is check's "something was found"."""
    command = [sys.executable, "-m", "vutrace", *map(str, words)]
    ran = subprocess.run(command, input=stdin, capture_output=True)
    assert ran.returncode in (0, 1), ran.stderr.decode()
    return ran.stdout


def checked(capture: Path) -> Found:
    """Row, rule and severity of what `check --json` finds."""
    lines = vutrace("check", "--json", "--severity", "info", capture).splitlines()
    found = [finding for line in lines for finding in json.loads(line)["findings"]]
    return {(each["row"], each["rule"], each["severity"]) for each in found}


def shown(capture: Path, lua: Path) -> Found:
    """The same, as tshark shows it of a capture with findings; each is an expert's item, too."""
    names = ["frame.number", "vhost_user.finding.rule", "vhost_user.finding.severity", "_ws.expert.message"]
    fields = [word for name in names for word in ("-e", name)]
    found = set()
    for line in tshark(capture, lua, "-T", "fields", "-E", "aggregator=\x1f", *fields).splitlines():
        number, rules, severities, experts = line.split("\t")
        if rules:
            told = rules.split("\x1f")
            assert {*told} <= {text.partition(": ")[0] for text in experts.split("\x1f")}
            found |= {(int(number), *pair) for pair in zip(told, severities.split("\x1f"), strict=True)}
    return found


def judged(capture: Path, folder: Path) -> Path:
    """The capture with its findings in it."""
    path = folder / f"judged-{capture.name}"
    vutrace("wireshark", "findings", capture, "-o", path)
    assert path.stat().st_mode & 0o777 == 0o600  # as any capture
    return path


@needs_tshark
def test_of_kept_captures_wireshark_shows_what_check_finds(lua: Path, tmp_path: Path) -> None:
    together, expected, before = tmp_path / "together.pcapng", set(), 0
    with together.open("wb") as file:
        for capture in CAPTURES:
            file.writelines(with_findings(capture, REGISTRY))
            expected |= {(before + row, rule, severity) for row, rule, severity in reported(capture)}
            before += sum(not isinstance(item, Connection) for item in read(capture))
    assert expected
    assert shown(together, lua) == expected


def reported(capture: Path) -> Found:
    """Row, rule and severity of what `check` reports."""
    rows = Tracker(REGISTRY).rows(read(capture))
    reports = [*Reporter(Judge(), Choice(Severity.INFO)).reports(rows)]
    assert all(count <= OF_EACH for report in reports for count in report.counts.values())
    found = [each for report in reports for each in report.findings]
    return {(each.row, each.rule.name, str(each.rule.severity)) for each in found}


@needs_tshark
def test_of_every_rules_trace_wireshark_shows_what_check_finds(lua: Path, tmp_path: Path) -> None:
    capture = tmp_path / "traces.pcapng"
    with Writer(capture) as writer:
        for item in traces():
            writer.write(item)
    expected = checked(capture)
    assert len({rule for _, rule, _ in expected}) > 100
    assert shown(judged(capture, tmp_path), lua) == expected


def traces() -> Iterator[Connection | Record]:
    """The traces that break a rule, each a connection of its own."""
    for number, case in enumerate(CASES):
        yield connection(number)
        for record in script(*case.broken, connection=number):
            opens = isinstance(record, Event) and record.kind is EventKind.OPEN
            yield replace(record, attributes={**record.attributes, **told(case)}) if opens else record


def told(case: Case) -> dict[str, str]:
    """The device, where the trace needs to be told."""
    return {"device": case.device} if case.device else {}


@needs_tshark
def test_a_filter_asks_for_findings_in_any_capture() -> None:
    expected = {row for row, rule, _ in checked(RESTART) if rule == "end.backend-left-running"}
    assert expected
    assert matching(RESTART, 'vhost_user.finding.rule == "end.backend-left-running"', REGISTRY) == expected


@needs_tshark
def test_an_export_carries_the_findings_of_the_whole_capture(lua: Path, tmp_path: Path) -> None:
    exported = tmp_path / "exported.pcapng"
    vutrace("export", RESTART, "-o", exported)
    assert shown(exported, lua) == checked(RESTART)
    vutrace("export", RESTART, "-o", exported, "--message", "SET_VRING_CALL")
    assert {rule for _, rule, _ in shown(exported, lua)} < {rule for _, rule, _ in checked(RESTART)}


@needs_tshark
def test_of_a_pipe_each_record_is_judged_as_it_comes(lua: Path, tmp_path: Path) -> None:
    live = tmp_path / "live.pcapng"
    live.write_bytes(vutrace("wireshark", "findings", "-", stdin=RESTART.read_bytes()))
    assert [*read(live)] == [*read(RESTART)]
    assert shown(live, lua) == checked(RESTART)


@needs_tshark
def test_the_info_column_says_what_is_found_and_no_problem_twice(lua: Path, tmp_path: Path) -> None:
    infos = tshark(judged(RESTART, tmp_path), lua, "-o", 'gui.column.format:"I","%i"').splitlines()
    [(row, _, _)] = [each for each in checked(RESTART) if each[2] == "warning"]
    assert infos[row - 1].count("!") == 1
    assert infos[row - 1].endswith("while 2 rings ran")
    assert sum("!" in info for info in infos) == 1


def test_a_capture_opens_in_wireshark_with_one_command(tmp_path: Path) -> None:
    fake = tmp_path / "wireshark"
    fake.write_text('#!/bin/sh\ncp "$4" "$0.capture"\necho "$1 $5"\nhead -c 22 "${2#lua_script:}"\nexit 7\n')
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "vutrace", "wireshark", "open", str(RESTART), "--", "-k"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (7, "")
    assert ran.stdout == "-X -k\n-- Written by vutrace "[:29]
    assert [*read(tmp_path / "wireshark.capture")] == [*read(RESTART)]


@needs_tshark
@pytest.mark.parametrize("words", [["wireshark", "findings"], ["show", "-Y", "vhost_user.finding"]])
def test_a_damaged_capture_is_named(words: list[str], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pcapng"
    data = RESTART.read_bytes()
    damaged.write_bytes(data[:8000] + b"\xff" * 40 + data[8040:])
    command = [sys.executable, "-m", "vutrace", *words, str(damaged)]
    ran = subprocess.run(command, capture_output=True)
    told = ran.stderr.decode()
    assert (ran.returncode, told.count("\n")) == (3, 1)
    assert told.startswith(f"vutrace: {damaged}: damaged at byte ")


def test_opening_says_what_to_install(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    command = [sys.executable, "-m", "vutrace", "wireshark", "open", str(RESTART)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "apt-get install wireshark" in ran.stderr
