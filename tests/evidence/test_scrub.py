"""A scrubbed capture tells the same story, and nothing of what was private is in it."""

import io
import json
import re
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_imports import Ran, process, run

from vutrace.capture import Item, Writer, read
from vutrace.dissection.registry import load
from vutrace.evidence.replacements import Private, Replaced
from vutrace.evidence.scrub import Scrubber, encodings, remaining
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.wire import LITTLE
from vutrace.records import Channel, Connection, Event, EventKind, FdInfo, FdKind, Frame, FrameFlag, Side

CAPTURES = Path(__file__).parent.parent.parent / "captures"
KEPT = sorted(CAPTURES.glob("*.pcapng"))
NUMBERS = {row.name: row.number for row in FRONTEND_MESSAGES.values()}
REGISTRY = load()


def scrubbed(path: Path, tmp_path: Path, *options: str) -> tuple[Path, Ran]:
    made = tmp_path / "scrubbed.pcapng"
    ran = run("scrub", path, made, *options)
    assert ran.returncode == 0
    return made, ran


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_findings_and_timeline_are_those_of_the_original(path: Path, tmp_path: Path) -> None:
    made, _ = scrubbed(path, tmp_path, "-q")
    was, now = (run("check", "--info", each).stdout.replace(str(each), "") for each in (path, made))
    assert numberless(now) == numberless(was)
    phases = [run("timeline", "--format", "json", each).stdout for each in (path, made)]
    assert story(phases[0]) == story(phases[1])


def numberless(text: str) -> str:
    """Without addresses, which are moved, and the names that were replaced."""
    return re.sub(r"0x[0-9a-f]+|/[\w./-]+|\b(part|word|program|text)\d+\b", "_", text)


def story(timeline: str) -> object:
    """The phases and loops of a timeline."""
    return [
        [(session["device"], session["phases"], [ring["spans"] for ring in session["rings"]])]
        for connection in json.loads(timeline)["connections"]
        for session in connection["sessions"]
    ]


@pytest.mark.parametrize("name", ["qemu-7.2-testpmd", "qemu-7.2-virtiofsd", "qemu-7.2-storage-daemon-blk"])
def test_diff_finds_no_difference(name: str, tmp_path: Path) -> None:
    path = CAPTURES / f"{name}.pcapng"
    made, _ = scrubbed(path, tmp_path, "-q")
    told = run("diff", path, made).stdout
    differences = [line for line in told.splitlines() if re.match(r"\w.*: A .*; B ", line)]
    assert not [line for line in differences if "config.tag" not in line], told


word = st.text("abcdefghijklmnopqrstuvwxyz", min_size=8, max_size=14).map(lambda text: f"zq{text}")


@st.composite
def private_captures(draw: st.DrawFn) -> tuple[list[Item], dict[str, bytes | str | int]]:
    """A small capture full of private values, and those values."""
    values: dict[str, bytes | str | int] = {
        name: draw(word) for name in ("directory", "socket", "image", "program", "guest", "shared", "tag")
    }
    values["mac"] = b"\x52" + draw(st.binary(min_size=5, max_size=5))
    values["key"] = draw(st.binary(min_size=64, max_size=64).filter(lambda key: 0 not in key))
    values["uuid"] = draw(st.binary(min_size=16, max_size=16).filter(lambda uuid: 0 not in uuid))
    page = draw(st.integers(0x7F0000000, 0x7FFFFFFFF))
    values["address"] = page << 12
    socket = f"/{values['directory']}/{values['socket']}.sock"
    command = (
        f"{values['program']} -chardev socket,id=c0,path={socket} -name {values['guest']} "
        f"-device vhost-user-net,chardev=c0 -drive file=/{values['directory']}/{values['image']}"
    )
    attributes = {"frontend_command": command, "frontend_name": str(values["program"])}
    items: list[Item] = [
        Connection(0, f"listen:{socket}", "connect:/run/other.sock"),
        Event(
            1, 0, 1, EventKind.OPEN, f"session 1 of {values['program']} at {socket}", attributes=attributes
        ),
        message(2, "SET_MEM_TABLE", table(page << 12), FdInfo(FdKind.MEMFD, name=str(values["shared"]))),
        message(3, "SET_VRING_ADDR", struct.pack("<IIQQQQ", 0, 0, *[page << 12] * 3, 0)),
        message(4, "SEND_RARP", bytes(values["mac"]) + bytes(2)),
        message(5, "GET_CONFIG", config(bytes(values["mac"]) + b"\1\0\1\0")),
        message(6, "GET_CONFIG", config(bytes(values["mac"]) + b"\1\0\1\0"), reply=True),
        message(7, "CREATE_CRYPTO_SESSION", bytes(32) + bytes(values["key"]) * 16),
        message(8, "GET_SHARED_OBJECT", bytes(values["uuid"])),
        Frame(9, 0, 1, Channel.MAIN, Side.BACKEND, bytes(values["key"]), (), FrameFlag.RAW, 64),
        Event(10, 0, 1, EventKind.NOTE, f"{socket}: cannot be opened by {values['program']}"),
    ]
    del values["tag"]
    return items, values


def message(time: int, name: str, payload: bytes, *fds: FdInfo, reply: bool = False) -> Frame:
    data = LITTLE.pack(NUMBERS[name], 5 if reply else 1, len(payload)) + payload
    sender = Side.BACKEND if reply else Side.FRONTEND
    return Frame(time, 0, 1, Channel.MAIN, sender, data, fds, wire_size=len(data))


def table(address: int) -> bytes:
    return struct.pack("<IIQQQQ", 1, 0, 0, 1 << 28, address, 0)


def config(space: bytes) -> bytes:
    return struct.pack("<III", 0, len(space), 0) + space


def written(items: Sequence[Item]) -> bytes:
    file = io.BytesIO()
    with Writer(file) as writer:
        for item in items:
            writer.write(item)
    return file.getvalue()


@settings(max_examples=40, deadline=None)
@given(private_captures())
def test_no_private_value_remains_in_any_byte_or_encoding(
    made: tuple[list[Item], dict[str, bytes | str | int]],
) -> None:
    items, values = made
    before = written(items)
    scrubber = Scrubber(REGISTRY)
    after = written(list(scrubber.scrub(items)))
    for name, value in values.items():
        assert any(form in before for form in encodings(value)), name
        assert not [form for form in encodings(value) if form in after], name
    listed = [each for each in scrubber.replaced() if str(each.was) not in ("run", "other.sock")]
    assert remaining(listed, after, shortest=5) == []
    assert len(items) == len(list(read(io.BytesIO(after))))


@pytest.mark.parametrize("what", Private)
def test_what_is_kept_stays(what: Private, tmp_path: Path) -> None:
    path = CAPTURES / "qemu-7.2-testpmd.pcapng"
    _, ran = scrubbed(path, tmp_path, "--keep", what)
    assert not any(line.startswith(f"{what} ") for line in ran.stderr.splitlines())


def test_the_same_value_is_replaced_by_the_same(tmp_path: Path) -> None:
    made, ran = scrubbed(CAPTURES / "qemu-7.2-testpmd.pcapng", tmp_path)
    opened = next(item for item in read(made) if isinstance(item, Event))
    ends = next(item for item in read(made) if isinstance(item, Connection))
    assert f"path={ends.frontend.removeprefix('listen:')}" in opened.attributes["frontend_command"]
    assert "values were replaced" in ran.stderr
    assert re.search(r"^addresses +0x\w+ -> 0x\w+ \(\d+ times\)$", ran.stderr, re.MULTILINE)


def test_keys_are_not_written_into_the_list() -> None:
    told = Replaced(Private.KEYS, b"secret" * 10, b"x" * 60, 2).line
    assert told == "keys       60 bytes (2 times)"


def test_a_message_that_a_rule_changed_is_scrubbed_as_it_came_too() -> None:
    from vutrace.records import Acted, Deed

    rarp = message(2, "SEND_RARP", b"\x52\x54\x01\x02\x03\x04\0\0")
    came = message(2, "SEND_RARP", b"\x52\x54\x0a\x0b\x0c\x0d\0\0")
    changed = replace(rarp, acted=Acted(Deed.CHANGED, "r", 1, came.data, (), came.wire_size))
    after = written(list(Scrubber(REGISTRY).scrub([Connection(0, "a", "b"), changed])))
    assert b"\x52\x54\x0a\x0b\x0c\x0d" not in after


def test_usage_is_told(tmp_path: Path) -> None:
    path = KEPT[0]
    for words, status in ((["scrub", path, path], 2), (["scrub", path, tmp_path / "o", "--keep", "all"], 2)):
        ran = process(*words)
        assert (ran.returncode, len(ran.stderr.splitlines())) == (status, 1)
