"""`-Y`: Wireshark's display filters, by tshark through pyshark; what is said of a wrong one."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from kit.wireshark_json import needs_tshark

from vutrace.capture import CaptureError
from vutrace.dissection.registry import load
from vutrace.wireshark.display_filter import FilterError, matching
from vutrace.wireshark.tshark import command

CAPTURE = Path(__file__).parents[1] / "captures" / "qemu-7.2-testpmd.pcapng"
REGISTRY = load()


def vutrace(*arguments: str, path: str | None = None, stdin: bytes = b"") -> tuple[int, str, str]:
    """Status, stdout and stderr of a command."""
    environment = {**os.environ, "COLUMNS": "200"} | ({"PATH": path} if path is not None else {})
    command = [sys.executable, "-m", "vutrace", *arguments]
    ran = subprocess.run(command, capture_output=True, input=stdin, env=environment)
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


@needs_tshark
@pytest.mark.parametrize(
    ("display_filter", "plain"),
    [
        ("vhost_user.ring == 3", ["--ring", "3"]),
        ('vhost_user.message == "SET_VRING_KICK"', ["--message", "SET_VRING_KICK"]),
        ('vhost_user.channel == "backend"', ["--channel", "backend"]),
        ('vhost_user.sender == "backend" && vhost_user.message', ["--from", "backend"]),
    ],
)
def test_a_display_filter_finds_what_a_plain_one_finds(display_filter: str, plain: list[str]) -> None:
    status, filtered, errors = vutrace("show", "--json", str(CAPTURE), "-Y", display_filter)
    assert (status, errors) == (0, "")
    assert filtered == vutrace("show", "--json", str(CAPTURE), *plain)[1]


@needs_tshark
def test_pyshark_is_not_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pcapng"
    nothing.write_text("no capture\n")
    monkeypatch.setattr("vutrace.wireshark.display_filter.file_capture", lambda: None)
    assert matching(CAPTURE, "frame.number <= 3", REGISTRY) == {1, 2, 3}
    assert matching(CAPTURE, "vhost_user.response_in && frame.number < 9", REGISTRY) <= {*range(9)}
    assert matching(CAPTURE, 'vhost_user.device == "blk" && frame.number == 4', REGISTRY, "blk") == {4}
    with pytest.raises(CaptureError, match=str(nothing)):
        matching(nothing, "vhost_user", REGISTRY)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs tshark as somebody else")
@pytest.mark.parametrize("passes", ["-1", "-2"])
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_as_root_tshark_is_nobody_and_reads_what_only_root_may(
    mode: int, passes: str, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    for name in ("capture", "script"):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(mode)
    *begin, _tshark = command()
    words = 'cat "$2" "${3#lua_script:}"; id -u; id -g'
    files = ["-r", str(tmp_path / "capture"), f"lua_script:{tmp_path / 'script'}"]
    ran = subprocess.run([*begin, "/bin/sh", "-c", words, "sh", *files, passes], capture_output=True)
    assert ran.stdout == b"capturescript65534\n65534\n", ran.stderr


@needs_tshark
def test_every_row_that_matches_and_no_other() -> None:
    rows = [json.loads(line) for line in vutrace("show", "--json", str(CAPTURE))[1].splitlines()]
    expected = {row["number"] for row in rows if row["latency"] and row["latency"] > 0.0001}
    assert matching(CAPTURE, "vhost_user.time > 0.0001", REGISTRY) == expected
    assert matching(CAPTURE, "frame.number <= 3", REGISTRY) == {1, 2, 3}


@needs_tshark
def test_packets_that_are_not_ours_are_counted_as_tshark_counts(tmp_path: Path) -> None:
    data = CAPTURE.read_bytes()
    after_section = struct.unpack_from("<I", data, 4)[0]
    ethernet = struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20)
    packet = struct.pack("<IIIIIII", 6, 32, 0, 0, 0, 0, 0) + struct.pack("<I", 32)
    mixed = data[:after_section] + ethernet + packet * 3
    ours = data[after_section:]
    shifted = tmp_path / "mixed.pcapng"
    shifted.write_bytes(mixed + shift_interfaces(ours))
    status, rows, _ = vutrace("show", "--json", str(shifted), "-Y", 'vhost_user.message == "SET_OWNER"')
    assert status == 0
    assert {json.loads(row)["name"] for row in rows.splitlines()} == {"SET_OWNER"}


def shift_interfaces(blocks: bytes) -> bytes:
    """The blocks with their packets on the next interface."""
    at, made = 0, b""
    while at < len(blocks):
        kind, length = struct.unpack_from("<II", blocks, at)
        block = bytearray(blocks[at : at + length])
        if kind == 6:
            struct.pack_into("<I", block, 8, struct.unpack_from("<I", block, 8)[0] + 1)
        made += bytes(block)
        at += length
    return made


@needs_tshark
@pytest.mark.parametrize("verb", ["show", "timeline", "export"])
def test_a_wrong_filter_is_told_with_tsharks_reason_and_a_caret(verb: str) -> None:
    options = ["--format", "json"] if verb != "show" else []
    status, out, errors = vutrace(verb, str(CAPTURE), "-Y", "vhost_user.nothing == 1", *options)
    assert (status, out) == (2, "")
    assert errors.startswith("vutrace: -Y: ")
    assert errors.splitlines()[-1].strip().startswith("^~")


@needs_tshark
def test_a_wrong_filter_without_a_place() -> None:
    with pytest.raises(FilterError, match="Unexpected end of filter"):
        matching(CAPTURE, "vhost_user.ring ==", REGISTRY)


@needs_tshark
def test_a_request_is_found_by_its_reply() -> None:
    rows = [json.loads(line) for line in vutrace("show", "--json", str(CAPTURE))[1].splitlines()]
    assert matching(CAPTURE, "vhost_user.response_in", REGISTRY) == {
        row["reply_to"] for row in rows if row["reply_to"]
    }


@needs_tshark
def test_a_cut_capture_is_filtered_as_far_as_it_goes(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcapng"
    cut.write_bytes(CAPTURE.read_bytes()[:3000])
    status, rows, errors = vutrace("show", str(cut), "-Y", "vhost_user.flags.reply == 1", "--json")
    assert (status, errors.count("\n"), "cut" in errors) == (0, 1, True)
    assert all(json.loads(row)["reply"] for row in rows.splitlines())
    assert len(rows.splitlines()) > 3


@needs_tshark
@pytest.mark.parametrize("verb", [["show"], ["timeline"], ["export", "--format", "json"]])
@pytest.mark.parametrize("kind", ["missing", "folder", "no capture", "no capture on stdin"])
def test_what_cannot_be_read_is_one_line(verb: list[str], kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if kind == "folder":
        path.mkdir()
    elif kind == "no capture":
        path.write_text("root:x:0:0:root:/root:/bin/sh\n")
    name = "-" if "stdin" in kind else str(path)
    status, out, errors = vutrace(*verb, name, "-Y", "vhost_user", stdin=b"no capture\n")
    assert (status, out, errors.count("\n")) == (3, "", 1)
    assert name in errors


def test_a_tshark_that_loads_no_lua_is_told(tmp_path: Path) -> None:
    fake = tmp_path / "tshark"
    fake.write_text("#!/bin/sh\necho 'tshark: \"vhost_user\" is not a valid protocol.' >&2\nexit 2\n")
    fake.chmod(0o755)
    status, _, errors = vutrace("show", str(CAPTURE), "-Y", "vhost_user.ring == 1", path=str(tmp_path))
    assert (status, errors.count("\n")) == (2, 1)
    assert "no Lua" in errors


@needs_tshark
def test_stdin_and_the_users_word_on_the_device() -> None:
    arguments = ["show", "-", "-Y", 'vhost_user.device == "blk"', "--device", "blk", "-c", "2", "--json"]
    status, rows, _ = vutrace(*arguments, stdin=CAPTURE.read_bytes())
    assert (status, len(rows.splitlines())) == (0, 2)


@needs_tshark
def test_timeline_of_a_part() -> None:
    whole, part = (
        json.loads(vutrace("timeline", str(CAPTURE), "--format", "json", *options)[1])
        for options in ([], ["-Y", "vhost_user.ring == 0"])
    )
    rings = [
        [ring["ring"] for ring in each["connections"][0]["sessions"][0]["rings"]] for each in (whole, part)
    ]
    assert rings == [[0, 1, 2, 3], [0]]


def test_a_growing_capture_has_the_plain_filters() -> None:
    status, _, errors = vutrace("show", str(CAPTURE), "--follow", "-Y", "vhost_user")
    assert (status, errors.count("\n")) == (2, 1)
    assert "--message" in errors


def test_without_tshark_one_line_says_what_to_install() -> None:
    status, _, errors = vutrace("show", str(CAPTURE), "-Y", "vhost_user", path="/nowhere")
    assert (status, errors.count("\n")) == (2, 1)
    assert "apt-get install tshark" in errors
