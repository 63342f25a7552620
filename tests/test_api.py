"""What programs may use of vutrace: `import vutrace`, and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import vutrace
from vutrace.errors import VutraceError

CAPTURE = Path(__file__).parent.parent / "captures" / "qemu-7.2-testpmd-restart.pcapng"


def test_records_are_what_the_capture_holds() -> None:
    kinds = [type(record).__name__ for record in vutrace.read(CAPTURE)]
    assert kinds[:2] == ["Connection", "Event"]
    assert kinds.count("Frame") > 100


def test_rows_are_dissected_and_have_the_state_behind_them() -> None:
    started = next(row for row in vutrace.rows(CAPTURE) if row.state.rings.running)
    assert started.ring == 0
    assert started.state.context.device.name == "net"


def test_objects_are_those_of_show() -> None:
    command = [sys.executable, "-m", "vutrace", "show", "--json", str(CAPTURE)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    keys = {"number", "name", "fields", "ring", "phase"}
    ours = [{key: each[key] for key in keys & each.keys()} for each in vutrace.objects(CAPTURE)]
    shown = [json.loads(line) for line in printed]
    assert ours == [{key: each[key] for key in keys & each.keys()} for each in shown]


def test_a_timeline_has_sessions_phases_and_rings() -> None:
    first, second = vutrace.timeline(CAPTURE).connections[0].sessions
    assert [str(phase.phase) for phase in first.phases][:3] == ["init", "features", "start"]
    assert "features" not in [str(phase.phase) for phase in second.phases][:2]
    assert len(first.rings) == 4


def test_a_check_has_a_verdict_and_findings_for_each_session() -> None:
    reports = vutrace.check(CAPTURE)
    assert [report.session for report in reports] == [1, 2]
    assert all(report.verdict for report in reports)
    infos = vutrace.check(CAPTURE, severity="info")
    assert sum(len(each.findings) for each in infos) >= sum(len(each.findings) for each in reports)


def test_what_is_no_capture_is_one_error(tmp_path: Path) -> None:
    stranger = tmp_path / "x.pcapng"
    stranger.write_bytes(b"nothing of ours")
    with pytest.raises(VutraceError, match="not a vutrace capture"):
        list(vutrace.rows(stranger))


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'rowz'"):
        vutrace.rowz  # noqa: B018


def test_importing_vutrace_loads_nothing_heavy() -> None:
    script = "import sys, vutrace; print({'scapy', 'typer', 'vutrace.api'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
