"""tshark with the generated plug-in and `vutrace show --json` agree, field by field."""

import json
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from kit.wireshark_json import (
    Facts,
    expected_values,
    field_kinds,
    from_tshark,
    from_vutrace,
    needs_tshark,
    tshark,
    words_of_hex,
    write_plugin,
)
from kit.wireshark_messages import START_NS, frames
from scapy.fields import ByteField, LEIntField, SignedByteField, XShortField
from test_session_recognition import COMMANDS

from vutrace.capture import Writer, read
from vutrace.dissection.device import Device, Evidence
from vutrace.dissection.message import Message
from vutrace.dissection.registry import Plugin, Registry, load
from vutrace.protocol.layers import Layer, le64, size_of, u16
from vutrace.protocol.shows import TEXT
from vutrace.protocol.spec import MessageSpec
from vutrace.proxy.encoder import words_about
from vutrace.records import Channel, Connection, Event, EventKind, Frame, Side
from vutrace.session.tracker import Tracker
from vutrace.views.annotated import AnnotatedRow, Annotator
from vutrace.views.changes import words_of
from vutrace.views.fields import shows_of
from vutrace.views.json_lines import JsonLines
from vutrace.views.rows import Rows
from vutrace.wireshark.names import word
from vutrace.wireshark.tables import escapes

CAPTURES = sorted((Path(__file__).parents[1] / "captures").glob("*.pcapng"))
REGISTRY = load()
KINDS = field_kinds(REGISTRY)
MESSAGES = 2500


@pytest.fixture(scope="module")
def lua(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plugin(REGISTRY, tmp_path_factory.mktemp("plugin"))


def generated() -> list[Frame]:
    """Thousands of frames, made by Hypothesis, the same in every run."""
    collected: list[Frame] = []

    @settings(
        max_examples=MESSAGES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(frames(REGISTRY))
    def collect(frame: Frame) -> None:
        collected.append(frame)

    collect()
    return collected


def write(path: Path, made: Sequence[Frame | Event], connections: int = 3) -> None:
    """A capture of the frames, a microsecond and a bit apart."""
    with Writer(path) as writer:
        for number in range(connections):
            writer.write(Connection(number, f"/run/front{number}", f"/run/back{number}"))
        for number, frame in enumerate(made):
            writer.write(replace(frame, time_ns=START_NS + number * 1_234_567))


@needs_tshark
def test_generated_messages(tmp_path: Path, lua: Path) -> None:
    capture = tmp_path / "generated.pcapng"
    write(capture, generated())
    check(capture, lua)


@needs_tshark
@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_captures(capture: Path, lua: Path) -> None:
    check(capture, lua)


@needs_tshark
@pytest.mark.parametrize("passes", ["-2", "-n"], ids=["two passes", "one pass"])
def test_merged_captures(passes: str, tmp_path: Path, lua: Path) -> None:
    merged = tmp_path / "merged.pcapng"
    subprocess.run(["mergecap", "-w", merged, *CAPTURES[:3]], check=True)
    check(merged, lua, passes)


def check(capture: Path, lua: Path, *options: str) -> None:
    """Compare every packet of a capture."""
    rows, packets = from_vutrace(capture), from_tshark(capture, lua, KINDS, *options)
    assert len(rows) == len(packets)
    letters: dict[str, str] = {}  # of merged captures, the plug-in cannot know interfaces that come later
    for row, packet in zip(rows, packets, strict=True):
        row["connection"] = letters.setdefault(row["connection"], packet.whole["connection"])
        (compare_event if row["kind"] == "event" else compare_message)(row, packet)
    assert len(set(letters.values())) == len(letters)
    compare_words(capture, packets)
    compare_state(capture, packets)


@needs_tshark
@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_the_info_column_is_a_row_of_show(capture: Path, lua: Path) -> None:
    infos = tshark(capture, lua, "-o", 'gui.column.format:"I","%i"').splitlines()
    for shown, info in zip(sights_of(capture), infos, strict=True):
        assert info.replace("{", "").replace("}", "").split() == row_of_show(shown)


@needs_tshark
def test_problems_are_in_the_info_column_all_of_them(tmp_path: Path, lua: Path) -> None:
    capture = tmp_path / "wrong.pcapng"
    owed = struct.pack("<III", 1, 1, 0)  # GET_FEATURES, its reply never comes
    strange = struct.pack("<III", 1, 0x17, 4) + bytes(4)  # a wrong version, unknown bits, a short payload
    write(
        capture,
        [
            Frame(0, 0, 1, Channel.MAIN, Side.FRONTEND, owed, wire_size=len(owed)),
            Frame(0, 0, 1, Channel.BACKEND, Side.BACKEND, strange, wire_size=len(strange)),
            Event(0, 0, 1, EventKind.CLOSE, "close"),
        ],
    )
    infos = tshark(capture, lua, "-o", 'gui.column.format:"I","%i"').splitlines()
    for shown, info in zip(sights_of(capture), infos, strict=True):
        assert info.split() == row_of_show(shown)
    assert infos[1].count(";") >= 2
    assert infos[2].endswith("GET_FEATURES [1] was never answered")


@needs_tshark
def test_behind_a_gap_a_reply_to_what_is_missing_is_no_problem(tmp_path: Path, lua: Path) -> None:
    capture = tmp_path / "gap.pcapng"
    reply = struct.pack("<IIIQ", 1, 5, 8, 0)  # to GET_FEATURES
    frame = Frame(0, 0, 1, Channel.MAIN, Side.BACKEND, reply, wire_size=len(reply))
    write(capture, [frame, Event(0, 0, 1, EventKind.GAP, "messages are missing"), frame, frame])
    check(capture, lua)


@needs_tshark
def test_text_of_peers_moves_nothing_in_a_column(tmp_path: Path, lua: Path) -> None:
    capture, moving = tmp_path / "moving.pcapng", [character for character in escapes() if character != "\0"]
    parts = [moving[at : at + 50] for at in range(0, len(moving), 50)]
    write(capture, [Event(0, 0, 1, EventKind.NOTE, f"note ä€𐍈{'.'.join(part)}") for part in parts])
    infos = tshark(capture, lua, "-o", 'gui.column.format:"I","%i"').split("\n")
    assert len(moving) > 200
    for shown, info in zip(sights_of(capture), infos, strict=False):
        assert info.isprintable()
        assert info.split() == row_of_show(shown)


def row_of_show(shown: AnnotatedRow) -> list[str]:
    """The words of a row without number, time and letter, the name before the ring."""
    _number, glyph, _time, _letter, *words = Rows(words=words_of).line(shown).split()
    if isinstance(shown.row.what, Event):
        return [glyph, *words]
    ring, name, *rest = words
    return [name, *([ring] if ring != "-" else []), *rest]


def compare_event(row: dict[str, Any], packet: Facts) -> None:
    """An event has its kind and text."""
    assert packet.whole["event"] == row["name"], row
    assert packet.whole.get("event.text", "") == row["text"], row


def compare_message(row: dict[str, Any], packet: Facts) -> None:
    """A message has everything."""
    whole = packet.whole
    for key in ("connection", "channel", "sender"):
        assert whole[key] == row[key], (key, row)
    assert whole["message"] == row["name"], row
    assert int(whole["session"]) == row["session"]
    if "request" in whole:
        assert int(whole["request"]) == row["request"]
        if row["channel"] != "gpu":  # there the sender tells, whatever the flags are
            assert (whole["flags.reply"], whole["flags.need_reply"]) == (row["reply"], row["need_reply"]), row
    assert ("ring" in whole and int(whole["ring"])) == (row["ring"] is not None and row["ring"]), row
    assert whole.get("ring_name", "") == row["ring_name"], row
    assert whole.get("response_to") == (row["reply_to"] and str(row["reply_to"])), row
    if row["latency"] is not None:
        assert float(whole["time"]) == pytest.approx(row["latency"], abs=1e-9), row
    assert whole.get("rest", "").replace(":", "") == row.get("rest", ""), row
    compare_values(row, packet)
    compare_fds(row["fds"], packet.fds)
    if "device" in row:
        assert whole["device"] == row["device"]["name"], row


def compare_values(row: dict[str, Any], packet: Facts) -> None:
    """Every field, raw; and the bits that have names."""
    expected = expected_values(row["fields"])
    for name, found in packet.values.items():
        if any(str(each).startswith("text ") for each in found):
            expected[name] = [words_of_hex(each) for each in expected[name]]
    assert packet.values == expected, row
    for name, sets in packet.bits.items():
        known = row["names"].get(name)
        if known is not None and len(sets) == 1:
            assert sets[0] == {word(each) for each in known if not each.startswith("bit ")}, (name, row)


def compare_fds(expected: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    """Every descriptor, every fact of it."""
    assert len(found) == len(expected)
    for fd, packet in zip(expected, found, strict=True):
        assert packet["kind"] == fd["kind"]
        for name in set(fd) - {"kind", "access", "name"}:
            assert int(packet[name], 0) == fd[name], (name, fd)
        assert (packet.get("access", ""), packet.get("name", "")) == (
            fd.get("access", ""),
            fd.get("name", ""),
        )


def sights_of(capture: Path, registry: Registry = REGISTRY) -> list[AnnotatedRow]:
    """What the views see."""
    return list(Annotator().annotate_all(Tracker(registry).rows(read(capture))))


def compare_words(capture: Path, packets: list[Facts]) -> None:
    """The detail says what a row of `vutrace show` says."""
    for shown, packet in zip(sights_of(capture), packets, strict=True):
        if isinstance(shown.row.what, Message) and not sums_beyond_64_bits(shown.row.what):
            assert packet.whole.get("detail", "") == words_of(shown, shown.row.what)


def compare_state(capture: Path, packets: list[Facts]) -> None:
    """A packet has the problems that the session sees (not those that the rules judge), and of every ring
    that it is about the state before and after.
    """
    for row, packet in zip(Tracker(REGISTRY).rows(read(capture)), packets, strict=True):
        changes = sorted((change.after.index, change) for change in row.changes.rings)
        expected = [(before and str(before.state), str(after.state)) for _, (before, after) in changes]
        assert packet.rings == expected, row
        assert packet.whole["problems"] == [problem.text for problem in row.problems], row


def sums_beyond_64_bits(message: Message) -> bool:
    """Regions together larger than an address space: Lua's sum of them wraps."""
    regions: Any = message.fields.get("regions", [])
    return sum(each["size"] for each in regions) >= 2**64


def config_messages(config: bytes) -> list[Frame]:
    """A configuration space as a whole and in parts, read and written."""
    length = len(config)
    cases = [
        (0, length),
        (0, max(0, length - 1)),
        (4, max(0, length - 4)),
        (8, 8),
        (1, 3),
        (0, 256),
        (5000, 4),
    ]
    made = []
    for offset, size in cases:
        data = config[offset : offset + size].ljust(size, b"\x5a")
        payload = struct.pack("<III", offset, size, 0) + data
        for request, flags, sender in ((24, 1, Side.FRONTEND), (24, 5, Side.BACKEND), (25, 1, Side.FRONTEND)):
            whole = struct.pack("<III", request, flags, len(payload)) + payload
            made.append(Frame(0, 0, 1, Channel.MAIN, sender, whole, wire_size=len(whole)))
    return made


def telling_bytes(first: int) -> bytes:
    """Bytes that all differ, but for the highest of a u64: sizes in sectors are to fit 64 bits."""
    return bytes(0 if at % 8 > 5 else byte for at, byte in enumerate(range(first, 256)))


class Stranger(Layer):
    """A stranger's structure, of scapy's own fields and ours, with its own words."""

    name = "stranger's"
    words = "{kind:count kind}[little,ours&1?, odd|: {last:size}][signed<0? below zero] {big}"
    fields_desc = [
        ByteField("kind", 0),
        LEIntField("little", 0),
        u16("ours"),
        XShortField("big", 0),
        SignedByteField("signed", 0),
        le64("last"),
    ]


ACME = Device(
    "acme",
    number=77,
    config=Stranger,
    messages={Channel.MAIN: {4711: MessageSpec(4711, "ACME_TURBO", (Stranger,))}},
)


def strangers_records(connection: int) -> list[Frame]:
    """Its own message: whole, short, long, of both byte orders."""
    made = []
    for big_endian, length in product((False, True), (0, 1, 4, 6, 17, 18, 19)):
        payload = bytes(range(250 - length, 250))
        data = struct.pack(f"{'>' if big_endian else '<'}III", 4711, 1, length) + payload
        frame = Frame(0, connection, 1, Channel.MAIN, Side.FRONTEND, data, wire_size=len(data))
        made.append(replace(frame, big_endian=big_endian))
    return made


def told_apart() -> Registry:
    """The installed devices and a stranger's, each known by a command line that names it."""
    plugins = {
        name: replace(
            plugin, device=replace(plugin.device, evidence=Evidence(commands=(rf"\bdevice-{name}\b",)))
        )
        for name, plugin in {**REGISTRY.plugins, "acme": Plugin(ACME, "acme.py")}.items()
    }
    return Registry(plugins)


def told(device: Device, connection: int) -> dict[str, str]:
    """The device by its command line, or by the word of whoever captured."""
    return {"device": device.name} if connection % 2 else {"backend_command": f"device-{device.name}"}


def device_records(device: Device, connection: int) -> list[Frame | Event]:
    """An opening that tells the device, its features, its configuration space."""
    features = struct.pack("<IIIQ", 1, 5, 8, 2**64 - 1)
    size = size_of(device.config) if device.config else 8
    made: list[Frame | Event] = [
        Event(0, 0, 1, EventKind.OPEN, "open", attributes=told(device, connection)),
        Frame(0, 0, 1, Channel.MAIN, Side.BACKEND, features, wire_size=len(features)),
    ]
    for first in (0, 1, 3, 17, 18):
        made += config_messages(telling_bytes(first)[:size])
    return [replace(record, connection=connection) for record in made]


@needs_tshark
def test_devices(tmp_path: Path) -> None:
    registry = told_apart()
    made = [record for number, each in enumerate(registry.devices) for record in device_records(each, number)]
    made += strangers_records(len(registry.devices) - 1)
    capture = tmp_path / "devices.pcapng"
    write(capture, made, len(registry.devices))
    packets = from_tshark(capture, write_plugin(registry, tmp_path), field_kinds(registry))
    for shown, packet in zip(sights_of(capture, registry), packets, strict=True):
        if isinstance(shown.row.what, Message):
            assert packet.whole["device"] == shown.row.context.device.name
            compare_message(json.loads(next(JsonLines(secrets=True).lines(shown))), packet)
            assert packet.whole["problems"] == [problem.text for problem in shown.row.problems]
            if not has_text(shown.layout):
                assert packet.whole.get("detail", "") == words_of(shown, shown.row.what)


@needs_tshark
def test_the_device_is_recognised_by_the_same_command_lines(tmp_path: Path, lua: Path) -> None:
    capture = tmp_path / "commands.pcapng"
    with Writer(capture) as writer:
        for number, (command, path, _) in enumerate(COMMANDS):
            side = "frontend" if number % 2 else "backend"
            ends = Connection(number, f"listen:{path}", f"connect:{path}")
            attributes = {f"{side}_command": command}
            attributes |= words_about(ends, attributes)
            asked = struct.pack("<III", 1, 1, 0)
            writer.write(ends)
            writer.write(Event(START_NS, number, 1, EventKind.OPEN, "open", attributes=attributes))
            writer.write(Frame(START_NS, number, 1, Channel.MAIN, Side.FRONTEND, asked, wire_size=len(asked)))
    packets = from_tshark(capture, lua, KINDS, "-n")
    for row, packet in zip(Tracker(REGISTRY).rows(read(capture)), packets, strict=True):
        if isinstance(row.what, Message):
            known = row.context.device.name if row.context.reason else ""
            assert packet.whole.get("device", "") == known, (COMMANDS[row.what.frame.connection], row.context)


def has_text(layer: type[Layer] | None) -> bool:
    """Whether a layer has text: of bytes that are none, vutrace shows also what follows a NUL."""
    return layer is not None and any(field.show is TEXT for field in shows_of(layer))
