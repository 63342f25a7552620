"""Wireshark's own programs read our captures, and what they save is read back."""

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from kit.capture_samples import SAMPLE, START, decoded, direction, encoded, interface, packet, pdu, section

from vutrace.capture import Item, read
from vutrace.records import Connection, Event, Frame, FrameFlag, Record, connection_letter
from vutrace.wireshark.tshark import command as tshark

RECORDS = [item for item in SAMPLE if not isinstance(item, Connection)]
SECOND = 1_000_000_000

Run = Callable[..., str]


def _program(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        shutil.which(name) is None, reason=f"{name} is not installed (Debian: wireshark-common or tshark)"
    )


needs_tshark, needs_capinfos = _program("tshark"), _program("capinfos")
needs_editcap, needs_mergecap = _program("editcap"), _program("mergecap")
pytestmark = pytest.mark.live


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a program in a folder that holds `a.pcapng` (the sample); its stdout."""
    (tmp_path / "a.pcapng").write_bytes(encoded(SAMPLE))

    def call(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def _seconds(record: Record) -> str:
    return f"{record.time_ns // SECOND}.{record.time_ns % SECOND:09d}"


@needs_tshark
def test_tshark_sees_every_record_with_its_nanoseconds(run: Run) -> None:
    names = [
        "frame.number",
        "frame.time_epoch",
        "frame.interface_id",
        "frame.packet_flags_direction",
        "exported_pdu.prot_name",
        "frame.len",
    ]
    fields = [word for name in names for word in ("-e", name)]
    rows = [
        line.split("\t") for line in run("tshark", "-r", "a.pcapng", "-T", "fields", *fields).splitlines()
    ]
    assert rows == [
        [
            str(number),
            _seconds(record),
            str(record.connection),
            f"0x{direction(record):08x}",
            "vhost_user",
            str(len(pdu(record))),
        ]
        for number, record in enumerate(RECORDS, 1)
    ]


@needs_tshark
def test_tshark_json_names_the_connection(run: Run) -> None:
    packets = json.loads(run("tshark", "-r", "a.pcapng", "-T", "json"))
    frames = [each["_source"]["layers"]["frame"] for each in packets]
    names = [frame["frame.interface_id_tree"]["frame.interface_name"] for frame in frames]
    assert [name[0] for name in names] == [connection_letter(record.connection) for record in RECORDS]
    assert "B /tmp/f ⇄ fd:7" in names


@needs_tshark
def test_tshark_calls_the_lua_dissector_of_our_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "stub.lua").write_text(
        'local p = Proto("vhost_user", "vhost-user")\n'
        "function p.dissector(buffer, info, tree)\n"
        '  info.cols.info = buffer(0, 4):string() .. " " .. buffer(8, 4):le_uint()\n'
        "end\n"
    )
    plugged = [*tshark(), "-X", "lua_script:stub.lua"]
    rows = run(*plugged, "-r", "a.pcapng", "-T", "fields", "-e", "_ws.col.Info")
    assert len(rows.splitlines()) == len(RECORDS)
    assert all(row.startswith("VUTR ") for row in rows.splitlines())


@needs_tshark
def test_tshark_and_we_agree_on_time_in_any_unit(run: Run, tmp_path: Path) -> None:
    record = RECORDS[1]
    options = [[(9, b"\x06")], [(9, b"\x8a")], [(9, b"\x09"), (14, (1000).to_bytes(8, "big"))]]
    data = section(">") + b"".join(interface(">", *each) for each in options)
    data += b"".join(packet(">", number, 123_456_789_012, pdu(record)) for number in range(len(options)))
    (tmp_path / "units.pcapng").write_bytes(data)
    theirs = run("tshark", "-r", "units.pcapng", "-T", "fields", "-e", "frame.time_epoch").split()
    ours = [_seconds(item) for item in decoded(data) if not isinstance(item, Connection)]
    # tshark prints each time with its interface's own precision.
    assert all(mine.startswith(each.rstrip("0")) for mine, each in zip(ours, theirs, strict=True))


@needs_capinfos
def test_capinfos_agrees_on_counts_and_interfaces(run: Run) -> None:
    text = run("capinfos", "-M", "a.pcapng")
    facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    assert facts["Number of packets"].strip() == str(len(RECORDS))
    assert facts["Number of interfaces in file"].strip() == "2"
    assert facts["File timestamp precision"].strip() == "nanoseconds (9)"
    assert facts["Strict time order"].strip() == "True"
    assert facts["Capture application"].strip().startswith("vutrace ")


def _saved(tmp_path: Path, name: str) -> list[Item]:
    return list(read(tmp_path / name))


@needs_editcap
def test_what_editcap_saves_reads_back(run: Run, tmp_path: Path) -> None:
    run("editcap", "-a", "2:a comment", "--capture-comment", "of a file", "a.pcapng", "copy.pcapng")
    assert _saved(tmp_path, "copy.pcapng") == SAMPLE


@needs_editcap
def test_a_selection_of_editcap_reads_back(run: Run, tmp_path: Path) -> None:
    run("editcap", "-r", "a.pcapng", "some.pcapng", "2-4")
    records = [item for item in _saved(tmp_path, "some.pcapng") if not isinstance(item, Connection)]
    assert records == RECORDS[1:4]


@needs_editcap
def test_a_shift_of_editcap_moves_the_times(run: Run, tmp_path: Path) -> None:
    run("editcap", "-t", "1.5", "a.pcapng", "later.pcapng")
    shifted = [item if isinstance(item, Connection) else _later(item) for item in SAMPLE]
    assert _saved(tmp_path, "later.pcapng") == shifted


def _later(record: Record) -> Record:
    return replace(record, time_ns=record.time_ns + SECOND * 3 // 2)


@needs_editcap
def test_a_snap_length_of_editcap_marks_frames(run: Run, tmp_path: Path) -> None:
    run("editcap", "-s", "64", "-r", "a.pcapng", "short.pcapng", "3")
    *_, frame = _saved(tmp_path, "short.pcapng")
    assert isinstance(frame, Frame)
    assert (frame.data, frame.flags, frame.wire_size) == (RECORDS[2].data[:8], FrameFlag.CUT, 20)  # type: ignore[union-attr]


@needs_tshark
def test_what_tshark_saves_reads_back(run: Run, tmp_path: Path) -> None:
    run("tshark", "-r", "a.pcapng", "-w", "saved.pcapng")
    assert _saved(tmp_path, "saved.pcapng") == SAMPLE


@needs_mergecap
@pytest.mark.parametrize("mode", ["none", "all", "any"])
@pytest.mark.parametrize("order", [[], ["-a"]])
def test_merged_captures_keep_their_connections_apart(
    run: Run, tmp_path: Path, mode: str, order: list[str]
) -> None:
    """Both have the same endpoints and connection numbers, as two runs of one command do."""
    second = [item if isinstance(item, Connection) else replace(item, session=9) for item in SAMPLE]
    (tmp_path / "b.pcapng").write_bytes(encoded(second))
    run("mergecap", *order, "-I", mode, "-w", "m.pcapng", "a.pcapng", "b.pcapng")
    items = _saved(tmp_path, "m.pcapng")
    known = [item for item in items if isinstance(item, Connection)]
    assert [(each.frontend, each.backend) for each in known] == [
        (each.frontend, each.backend) for each in SAMPLE[:2] * 2 if isinstance(each, Connection)
    ]
    assert sorted(each.number for each in known) == [0, 1, 2, 3]
    sessions = {
        number: {r.session == 9 for r in items if isinstance(r, Frame | Event) and r.connection == number}
        for number in range(4)
    }
    assert sessions == {0: {False}, 1: {False}, 2: {True}, 3: {True}}


@needs_mergecap
def test_a_merge_with_another_protocol_skips_it(run: Run, tmp_path: Path) -> None:
    other = (
        section("<") + interface("<", (2, b"eth0"), link_type=1) + packet("<", 0, START // 1000, bytes(60))
    )
    (tmp_path / "eth.pcapng").write_bytes(other)
    run("mergecap", "-w", "m.pcapng", "eth.pcapng", "a.pcapng")
    reader = read(io.BytesIO((tmp_path / "m.pcapng").read_bytes()))
    assert list(reader) == SAMPLE
    assert reader.skipped == 1
