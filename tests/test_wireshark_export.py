"""Exports: what a stock tshark shows of them, that they read back, and the plain formats."""

import csv
import json
import os
import re
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from kit.wireshark_json import needs_tshark, write_plugin

from vutrace.capture import MAX_PACKET, Writer, read
from vutrace.dissection.registry import load
from vutrace.records import Channel, Connection, Event, EventKind, Frame, FrameFlag, Side
from vutrace.wireshark.tshark import command as unprivileged

CAPTURES = sorted((Path(__file__).parents[1] / "captures").glob("*.pcapng"))
CAPTURE = next(path for path in CAPTURES if path.stem == "qemu-7.2-testpmd")


def vutrace(*arguments: str | Path, status: int = 0, stdin: bytes = b"") -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "vutrace", *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, input=stdin)
    assert ran.returncode == status, ran.stderr.decode()
    return (ran.stderr if status else ran.stdout).decode()


def stock_tshark(path: Path, *fields: str) -> list[list[str]]:
    """Fields of each packet, by a tshark that does not know vhost-user."""
    names = [word for name in fields for word in ("-e", name)]
    return [line.split("\t") for line in tshark(path, "-T", "fields", *names)]


def tshark(path: Path, *options: str) -> list[str]:
    """The lines that tshark prints of a file."""
    command = [*unprivileged(), "-n", "-r", str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def version() -> tuple[int, ...]:
    """tshark's own."""
    said = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)\.", said)
    assert found
    return tuple(map(int, found.groups()))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "plain.pcapng"
    vutrace("export", CAPTURE, "-o", path)
    return path


@needs_tshark
def test_a_stock_wireshark_reads_rows_as_comments_in_order(plain: Path) -> None:
    rows = [json.loads(line) for line in vutrace("show", "--json", CAPTURE).splitlines()]
    packets = stock_tshark(plain, "frame.number", "frame.time_epoch", "frame.comment")
    assert len(packets) == len(rows)
    for row, (number, time, comment) in zip(rows, packets, strict=True):
        assert int(number) == row["number"]
        assert int(time.replace(".", "")) == row["time_ns"]
        assert row["name"] in comment
        assert all(problem in comment for problem in row["problems"])
        assert comment.count("fd ") >= len(row["fds"])


@needs_tshark
def test_a_stock_wireshark_has_the_columns(plain: Path) -> None:
    comments = stock_tshark(plain, "frame.comment")
    columns = [line.split(maxsplit=1) for line in tshark(plain, "-o", 'gui.column.format:"P","%p","I","%i"')]
    assert {each[0] for each in columns} == {"vhost-user"}
    if version() >= (4, 2):  # an older one knows no tag for it
        assert all(said.startswith(each[1]) for (said,), each in zip(comments, columns, strict=True))


@needs_tshark
def test_the_plug_in_shows_an_export_as_the_capture(plain: Path, tmp_path: Path) -> None:
    script = f"lua_script:{write_plugin(load(), tmp_path)}"
    columns = 'gui.column.format:"T","%t","S","%s","D","%d","P","%p","I","%i"'
    whole, exported = (tshark(path, "-X", script, "-o", columns) for path in (CAPTURE, plain))
    assert whole == exported


@needs_tshark
def test_direction_and_ring_are_fields_of_the_frame(plain: Path) -> None:
    rows = [json.loads(line) for line in vutrace("show", "--json", CAPTURE).splitlines()]
    packets = stock_tshark(plain, "frame.interface_queue", "frame.packet_flags_direction")
    directions = {"frontend": "0x00000002", "backend": "0x00000001", None: "0x00000000"}
    for row, (queue, direction) in zip(rows, packets, strict=True):
        assert queue == ("" if row["ring"] is None else str(row["ring"]))
        assert int(direction, 0) == int(directions[row["sender"]], 0)


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_an_export_reads_back_as_the_same_records(capture: Path, tmp_path: Path) -> None:
    exported = tmp_path / "plain.pcapng"
    vutrace("export", capture, "-o", exported)
    assert [*read(exported)] == [*read(capture)]


def test_a_part_is_exported_by_plain_filters(tmp_path: Path) -> None:
    path = tmp_path / "part.pcapng"
    vutrace("export", CAPTURE, "-o", path, "--ring", "1", "--from", "frontend")
    records = [item for item in read(path) if not isinstance(item, Connection)]
    assert 0 < len(records) < 40


@pytest.mark.parametrize("chosen", [["--ring", "1"], ["-Y", "vhost_user.ring == 1"]])
def test_a_part_keeps_what_tells_the_device(chosen: list[str], tmp_path: Path) -> None:
    path = tmp_path / "part.pcapng"
    vutrace("export", CAPTURE, "-o", path, *chosen)
    first, *others = [item for item in read(path) if not isinstance(item, Connection)]
    assert isinstance(first, Event)
    assert first.kind is EventKind.OPEN
    assert all(isinstance(item, Frame) for item in others)
    assert " tx0 " in vutrace("show", path).splitlines()[-1]


def test_a_message_that_fills_a_packet_is_cut_and_says_so(tmp_path: Path) -> None:
    large, path = tmp_path / "large.pcapng", tmp_path / "plain.pcapng"
    data = struct.pack("<III", 24, 5, MAX_PACKET - 100) + bytes(MAX_PACKET - 100)
    frame = Frame(1, 0, 1, Channel.MAIN, Side.BACKEND, data, wire_size=len(data))
    with Writer(large) as writer:
        writer.write(Connection(0, "/run/front", "/run/back"))
        writer.write(frame)
    vutrace("export", large, "-o", path)
    cut = next(item for item in read(path) if isinstance(item, Frame))
    assert FrameFlag.CUT in cut.flags
    assert (cut.wire_size, cut.data) == (len(data), data[: len(cut.data)])


@needs_tshark
def test_merged_exports_of_equal_sockets_stay_apart(tmp_path: Path) -> None:
    for number in (1, 2):
        capture = tmp_path / f"capture{number}.pcapng"
        with Writer(capture) as writer:
            writer.write(Connection(0, "/run/front", "/run/back"))
            owner = struct.pack("<III", 3, 1, 0)
            writer.write(Frame(number * 10**9, 0, 1, Channel.MAIN, Side.FRONTEND, owner, wire_size=12))
        vutrace("export", capture, "-o", tmp_path / f"plain{number}.pcapng")
    merged = tmp_path / "merged.pcapng"
    subprocess.run(["mergecap", "-w", merged, *sorted(tmp_path.glob("plain*"))], check=True)
    assert {item.connection for item in read(merged) if isinstance(item, Frame)} == {0, 1}


def test_json_is_what_show_says() -> None:
    shown = [json.loads(line) for line in vutrace("show", "--json", CAPTURE).splitlines()]
    assert json.loads(vutrace("export", CAPTURE, "--format", "json")) == shown
    lines = vutrace("export", "-", "--format", "jsonl", stdin=CAPTURE.read_bytes()).splitlines()
    assert [json.loads(line) for line in lines] == shown


def test_csv_has_a_row_for_each_record(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    vutrace("export", CAPTURE, "-o", path)
    rows = list(csv.DictReader(path.open()))
    shown = [json.loads(line) for line in vutrace("show", "--json", CAPTURE).splitlines()]
    assert [(row["number"], row["name"]) for row in rows] == [
        (str(row["number"]), row["name"]) for row in shown
    ]
    assert any("VERSION_1" in row["detail"] for row in rows)


def test_a_format_is_needed(tmp_path: Path) -> None:
    assert "wireshark, json, jsonl, csv" in vutrace("export", CAPTURE, status=2)
    assert "all.txt does not tell" in vutrace("export", CAPTURE, "-o", tmp_path / "all.txt", status=2)
    vutrace("export", CAPTURE, "-o", tmp_path / "ALL.CSV")


@pytest.mark.parametrize("verb", ["export", "timeline"])
def test_a_capture_is_not_overwritten_by_what_is_made_of_it(verb: str, tmp_path: Path) -> None:
    capture, other = tmp_path / "mine.pcapng", tmp_path / "same.pcapng"
    capture.write_bytes(CAPTURE.read_bytes())
    other.symlink_to(capture)
    format_ = ["--format", "json"]
    assert "the capture itself" in vutrace(verb, capture, "-o", other, *format_, status=2)
    assert capture.read_bytes() == CAPTURE.read_bytes()


@pytest.mark.parametrize("broken", ["missing", "directory", "text", "filter"])
def test_what_cannot_be_read_leaves_an_earlier_export_as_it_was(broken: str, tmp_path: Path) -> None:
    there = tmp_path / "there.pcapng"
    there.write_text("an earlier export")
    (tmp_path / "directory").mkdir()
    (tmp_path / "text").write_text("not a capture at all")
    if broken == "filter":
        vutrace("export", CAPTURE, "-Y", "no such filter", "-o", there, status=2)
    else:
        vutrace("export", tmp_path / broken, "-o", there, status=3)
    assert there.read_text() == "an earlier export"


@pytest.mark.parametrize(("options", "mode"), [([], 0o644), (["--secrets"], 0o600)])
def test_only_an_export_without_secrets_is_for_everybody(
    options: list[str], mode: int, tmp_path: Path
) -> None:
    out = tmp_path / "out.pcapng"
    before = os.umask(0o022)
    try:
        vutrace("export", CAPTURE, "-o", out, *options)
    finally:
        os.umask(before)
    assert stat.S_IMODE(out.stat().st_mode) == mode


@needs_tshark
@pytest.mark.parametrize(
    "command",
    [
        ["editcap", "{}", "{out}"],
        ["editcap", "-a", "3:looked at", "{}", "{out}"],
        ["mergecap", "-w", "{out}", "{}"],
        ["tshark", "-r", "{}", "-w", "{out}"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
@pytest.mark.parametrize("exported", [False, True])
def test_what_wiresharks_programs_save_reads_back(
    command: list[str], exported: bool, plain: Path, tmp_path: Path
) -> None:
    out, source = tmp_path / "out.pcapng", plain if exported else CAPTURE
    subprocess.run([word.format(source, out=out) for word in command], check=True, capture_output=True)
    assert [*read(out)] == [*read(CAPTURE)]
