"""What peers name themselves and what they pass reaches no output as anything but text."""

import csv
import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from vutrace.capture import Writer, read
from vutrace.cli import main
from vutrace.outgoing import cell, json_text, page, printable
from vutrace.records import Channel, Connection, Event, EventKind, FdInfo, FdKind, Frame, Side

CAPTURES = Path(__file__).parent.parent.parent / "captures"
TRICKS = (
    "\x1b]0;owned\x07\x1b[2J",  # a terminal's title, and its screen
    "\x1b[31mred\x1b[0m",  # colour
    "\x9b2J\x9d0;owned\x9c",  # the same with 8-bit controls
    "\u202egnp.exe\u2066",  # a line that turns round
    "\r\x08\x7f\x00\u2028",
    "</script><img src=x onerror=alert(1)>&lt;",
    ';end\n%%{init: {"theme": "dark"}}%%\nF->>B: forged',
    "\udc9b[2J",  # no UTF-8
)
EVIL = "evil " + " ".join(TRICKS)
FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)")

Run = Callable[..., tuple[int, bytes, str]]


def renamed(item: Connection | Frame | Event, number: int) -> Connection | Frame | Event:
    """The same with hostile text wherever there is any."""
    if isinstance(item, Connection):
        return Connection(item.number, f"listen:{EVIL}", f"connect:{EVIL}")
    if isinstance(item, Event):
        attributes = {name: text if name.endswith("pid") else EVIL for name, text in item.attributes.items()}
        return replace(item, text=f"{FORMULAS[number % 4]} {EVIL}", attributes=attributes)
    return replace(item, fds=tuple(replace(info, name=EVIL, access=EVIL) for info in item.fds))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real start whose peers have names that try, and whose configuration space has such a text."""
    path = tmp_path_factory.mktemp("hostile") / "hostile.pcapng"
    with Writer(path) as writer:
        for number, item in enumerate(read(CAPTURES / "qemu-7.2-virtiofsd.pcapng")):
            item = renamed(item, number)
            if isinstance(item, Frame):
                tag = "\x1b[2J\x9b\u202e".encode() + b"\xff=1+1"
                item = replace(item, data=item.data.replace(b"myfs", b"\x1b[2J").replace(b"tag", tag[:3]))
            writer.write(item)
            if isinstance(item, Frame) and number % 9 == 4:
                for kind in EventKind:
                    if kind not in (EventKind.OPEN, EventKind.CLOSE):
                        text = f"{FORMULAS[number % 4]}\n{EVIL}"
                        writer.write(Event(item.time_ns, 0, 1, kind, text, sender=Side.FRONTEND))
                infos = tuple(FdInfo(each, 1, 2, 3, 4, EVIL, 5, 6, "rw", 7, 8) for each in FdKind)
                writer.write(
                    replace(item, data=bytes([77, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]), fds=infos, wire_size=12)
                )
    return path


@pytest.fixture
def run(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `vutrace` with these words in this process."""

    def run_it(*words: object) -> tuple[int, bytes, str]:
        monkeypatch.setattr(sys, "argv", ["vutrace", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsysbinary.readouterr()
        return int(stop.value.code or 0), out, err.decode()

    return run_it


def controls(text: str) -> set[str]:
    """The characters that are more than letters."""
    return {character for character in text if not character.isprintable() and character != "\n"}


TEXTS = {
    "rows": ("show", "{}"),
    "rows with everything": ("show", "{}", "-V", "-x", "--secrets"),
    "rows with dates": ("show", "{}", "-t", "ad"),
    "the board": ("show", "{}", "--board"),
    "objects": ("show", "{}", "--json"),
    "the timeline": ("timeline", "{}"),
    "the timeline by time": ("timeline", "{}", "--scale", "time", "--width", "60"),
    "its JSON": ("timeline", "{}", "--format", "json"),
    "its page": ("timeline", "{}", "--format", "html"),
    "its drawing": ("timeline", "{}", "--format", "svg"),
    "its diagram": ("timeline", "{}", "--format", "mermaid"),
    "queues": ("queues", "{}"),
    "queues as JSON": ("queues", "{}", "--json"),
    "differences": ("diff", "{}", str(CAPTURES / "qemu-7.2-vsock-rust.pcapng")),
    "differences as JSON": ("diff", "{}", str(CAPTURES / "qemu-7.2-vsock-rust.pcapng"), "--json"),
    "an explanation": ("explain", "-r", "{}"),
    "an explained text": (
        "explain",
        "qemu: Failed to read msg header \x1b[2J. Read -1 instead of 12",
        "-r",
        "{}",
    ),
    "findings": ("check", "{}"),
    "findings as JSON": ("check", "{}", "--json"),
    "findings as SARIF": ("check", "{}", "--sarif"),
    "findings as JUnit": ("check", "{}", "--junit"),
    "a table": ("export", "{}", "--format", "csv"),
    "an array": ("export", "{}", "--format", "json"),
    "lines": ("export", "{}", "--format", "jsonl"),
}


@pytest.mark.parametrize("words", TEXTS.values(), ids=TEXTS)
def test_no_text_output_has_a_control_character(run: Run, hostile: Path, words: tuple[str, ...]) -> None:
    status, out, err = run(*(word.format(hostile) for word in words))
    assert status in (0, 1), err
    assert controls(out.decode()) == set()
    assert controls(err) == set()
    assert (
        "evil" in out.decode() or "cmd" in out.decode() or words[0] in ("queues", "timeline", "diff", "check")
    )


@pytest.mark.parametrize("verb", ["show", "timeline", "queues"])
def test_paint_is_ours_alone(run: Run, hostile: Path, verb: str) -> None:
    out = run(verb, hostile, "--color", "always")[1].decode()
    assert "\x1b[" in out
    assert "\x1b[31mred" not in out
    assert controls(re.sub(r"\x1b\[[0-9;]*m", "", out)) == set()


def test_what_json_says_is_what_there_was(run: Run, hostile: Path) -> None:
    events = [json.loads(line) for line in run("show", hostile, "--json")[1].decode().splitlines()]
    assert any(TRICKS[0] in event.get("text", "") for event in events)
    ends = json.loads(run("timeline", hostile, "--format", "json")[1])["connections"][0]
    assert TRICKS[3] in ends["frontend"]


def test_the_page_shows_nothing_that_turns_a_line_round(run: Run, hostile: Path) -> None:
    html = run("timeline", hostile, "--format", "html")[1].decode()
    data = re.search(r'id="data">(.*?)</script>', html, re.S)
    assert data

    def texts(value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for each in value.values():
                yield from texts(each)
        elif isinstance(value, list):
            for each in value:
                yield from texts(each)

    assert not [text for text in texts(json.loads(data[1])) if controls(text)]
    assert html.count("<img") == 0
    assert html.lower().count("</script>") == html.lower().count("<script")


def test_no_cell_is_a_formula(run: Run, hostile: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run("export", hostile, "--format", "csv")[1].decode())))
    cells = [each for row in rows for each in row.values()]
    assert any(each.startswith("'=cmd") for each in cells)
    assert not [each for each in cells if each.startswith(("=", "+", "@", "\t"))]
    assert all(re.fullmatch(r"-[0-9.]+(e-?[0-9]+)?", each) for each in cells if each.startswith("-"))


def test_a_diagram_has_no_statement_of_a_peer(run: Run, hostile: Path) -> None:
    lines = run("timeline", hostile, "--format", "mermaid")[1].decode().splitlines()
    assert not [line for line in lines if "%%" in line or ("forged" in line and "Note" not in line)]


def test_an_export_has_no_control_character_in_what_wireshark_shows_as_text(
    run: Run, hostile: Path, tmp_path: Path
) -> None:
    path = tmp_path / "export.pcapng"
    assert run("export", hostile, "-o", path)[0] == 0
    shown = subprocess.run(
        ["tshark", "-r", path, "-T", "fields", "-e", "frame.comment", "-e", "_ws.col.Info"],
        capture_output=True,
        check=True,
    )
    texts = b"".join(comments_of(path.read_bytes())).decode()
    assert "evil" in texts
    assert controls(texts) == set()
    assert b"\x1b" not in shown.stdout


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Lua plug-in."""
    path = tmp_path_factory.mktemp("plugin") / "vutrace.lua"
    words = [sys.executable, "-m", "vutrace", "wireshark", "lua"]
    path.write_bytes(subprocess.run(words, capture_output=True, check=True).stdout)
    return path


def tshark(plugin: Path, *words: str | Path) -> str:
    """What it prints, with the plug-in."""
    command = ["tshark", "-X", f"lua_script:{plugin}", *map(str, words)]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode()


def test_the_info_column_has_no_control_character_and_is_a_row(run: Run, hostile: Path, plugin: Path) -> None:
    info = tshark(plugin, "-r", hostile, "-T", "fields", "-e", "_ws.col.Info")
    assert "evil" in info
    assert controls(info) == set()
    rows = [json.loads(line) for line in run("show", hostile, "--json")[1].decode().splitlines()]
    assert len(info.splitlines()) == len(rows)
    for line, row in zip(info.splitlines(), rows, strict=True):
        if row["kind"] == "event":
            shown = printable(row["text"]).partition("\\udc9b")[
                0
            ]  # which Wireshark takes for no letter at all
            channel = f"{Channel(row['channel']).words}: " if row["name"] == "close" else ""
            assert line.startswith(f"= {row['name']}: {channel}{shown}")


def test_what_tshark_makes_of_a_hostile_capture_is_well_formed(hostile: Path, plugin: Path) -> None:
    ElementTree.fromstring(tshark(plugin, "-r", hostile, "-T", "pdml"))


def comments_of(data: bytes) -> Iterator[bytes]:
    """The comments of all packets, and the names of all interfaces."""
    at = 0
    while at < len(data):
        kind, size = (int.from_bytes(data[at + n : at + n + 4], "little") for n in (0, 4))
        body = data[at + 8 : at + size - 4]
        fixed = {1: 8, 6: 20 + (int.from_bytes(body[12:16], "little") + 3 & ~3)}.get(kind)
        while fixed is not None and fixed + 4 <= len(body):
            code, length = (int.from_bytes(body[fixed + n : fixed + n + 2], "little") for n in (0, 2))
            if (kind, code) in ((6, 1), (1, 2)):
                yield body[fixed + 4 : fixed + 4 + length]
            fixed += 4 + (length + 3 & ~3)
        at += size


def test_a_trace_for_perfetto_has_none_either(run: Run, hostile: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace.pftrace"
    assert run("timeline", hostile, "--format", "perfetto", "-o", path)[0] == 0
    data = path.read_bytes()
    assert b"]0;owned" in data
    for trick in TRICKS[:4]:
        assert trick.encode("utf-8", "backslashreplace")[:4] not in data


def test_errors_are_one_line_whatever_a_file_is_called(run: Run, tmp_path: Path) -> None:
    for words in (("show", tmp_path / "x\x1b[2J\ny"), ("show", "x", "--device", "\x1b[2J")):
        status, _, err = run(*words)
        assert status in (2, 3)
        assert err.count("\n") == 1
        assert controls(err) == set()


def test_text_that_is_only_text_stays_as_it_is() -> None:
    text = "µs ⇄ ─ 256 MiB\n\tnext"
    assert page(text) == text
    assert printable("µs ⇄") == "µs ⇄"
    assert json.loads(json_text(EVIL)) == EVIL
    assert cell("a=b") == "a=b"
    assert page("\x1b[31mred\x1b[2J", painted=True) == "\x1b[31mred\\x1b[2J"


def test_a_verb_lets_text_out_in_one_place_only() -> None:
    allowed = {"output.py", "board.py", "show.py", "timeline.py"}
    for path in (CAPTURES.parent / "vutrace" / "cli").glob("*.py"):
        code = path.read_text()
        if path.name not in allowed:
            assert not re.search(
                r"(?<![\w.])print\(|sys\.stdout\.write|typer\.echo\((?!f\"vutrace \{__version)", code
            ), path
