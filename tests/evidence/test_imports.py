"""What others recorded of a run is what the proxy recorded of it, as far as they can know."""

import gzip
import io
import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO

import pytest
from typer.testing import CliRunner

from vutrace.capture import Reader, Writer, read
from vutrace.cli import app
from vutrace.dissection.registry import load
from vutrace.evidence.errors import EvidenceError
from vutrace.evidence.sources import SOURCES
from vutrace.protocol.wire import LITTLE, REPLY
from vutrace.records import (
    LACKS,
    Channel,
    Connection,
    Event,
    EventKind,
    FdKind,
    Frame,
    FrameFlag,
    Record,
    Side,
)
from vutrace.rules.judge import Judge
from vutrace.session.tracker import Tracker

HERE = Path(__file__).parent
REGISTRY = load()
CAPTURES = HERE.parent.parent / "captures"
PROXY = HERE / "proxy.pcapng"
VUTRACE = [sys.executable, "-m", "vutrace"]
Item = Connection | Record


@dataclass(frozen=True)
class Ran:
    """What a verb printed, and its exit status."""

    returncode: int
    stdout: str
    stderr: str


def run(*words: object) -> Ran:
    """A verb, in this process: most tests are about records, not about how a process ends."""
    result = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    return Ran(result.exit_code, result.stdout, result.stderr)


def process(*words: object) -> "subprocess.CompletedProcess[str]":
    """A verb as users run it."""
    command = [*VUTRACE, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def imported(source: str, data: bytes) -> list[Item]:
    """The records of an import."""
    return list(SOURCES[source].read(io.BytesIO(data)))


def messages(items: list[Item]) -> list[Frame]:
    return [item for item in items if isinstance(item, Frame)]


def by_way(items: list[Item]) -> dict[tuple[Channel, Side], list[bytes]]:
    """The bytes of each direction, which no witness can see in another order."""
    found = dict[tuple[Channel, Side], list[bytes]]()
    for frame in messages(items):
        found.setdefault((frame.channel, frame.sender), []).append(frame.data)
    return found


@pytest.mark.parametrize("end", ["backend", "frontend"])
def test_strace_of_either_end_has_every_byte_that_the_proxy_had(end: str) -> None:
    items = imported("strace", (HERE / f"{end}.strace").read_bytes())
    assert by_way(items) == by_way(list(read(PROXY)))
    assert not any(frame.flags for frame in messages(items))
    kinds = [[info.kind for info in frame.fds] for frame in messages(list(read(PROXY))) if frame.fds]
    assert [[info.kind for info in frame.fds] for frame in messages(items) if frame.fds] == kinds


@pytest.mark.parametrize("end", ["backend", "frontend"])
def test_rows_and_findings_are_those_of_the_proxy(end: str, tmp_path: Path) -> None:
    made = tmp_path / "made.pcapng"
    assert run("import", "--from", "strace", HERE / f"{end}.strace", "-w", made).returncode == 0
    rows = [rows_of(capture) for capture in (PROXY, made)]
    assert sorted(rows[0]) == sorted(rows[1])
    told = run("diff", PROXY, made)
    assert (told.returncode, told.stdout.splitlines()[-1]) == (0, "no difference")
    rules = [
        {
            each["rule"]
            for line in run("show", "--json", capture).stdout.splitlines()
            for each in json.loads(line)["findings"]
        }
        for capture in (PROXY, made)
    ]
    assert rules[0] == rules[1]


def rows_of(capture: Path) -> list[tuple[object, ...]]:
    """What rows say but for times, numbers, and which eventfd it was."""
    lines = map(json.loads, run("show", "--json", capture).stdout.splitlines())
    keys = ("channel", "sender", "kind", "name", "reply", "need_reply", "ring_name", "size", "phase")
    return [
        (*(line[key] for key in keys), json.dumps(line["fields"]), len(line["fds"]))
        for line in lines
        if line["kind"] == "message"
    ]


def test_a_session_that_strace_saw_from_its_middle_says_so() -> None:
    lines = (HERE / "frontend.strace").read_bytes().splitlines(keepends=True)
    items = imported("strace", b"".join(lines[20:]))
    first = next(item for item in items if isinstance(item, Event))
    assert first.kind is EventKind.NOTE
    assert "what came before is not known" in first.text
    assert len(messages(items)) > 20


HEADER = r"\1\0\0\0\5\0\0\0\10\0\0\0"


@pytest.mark.parametrize(
    "call",
    [
        rf'read(7<UNIX-STREAM:[11->12]>, "{HEADER}\1\0\0@\1\0\0\0", 64) = 20',
        rf'recvfrom(7<UNIX-STREAM:[11->12]>, "{HEADER}\1\0\0@\1\0\0\0", 64, 0, NULL, NULL) = 20',
        rf'recvmsg(7<UNIX-STREAM:[11->12]>, {{msg_name=NULL, msg_namelen=0, msg_iov=[{{iov_base="{HEADER}", '
        r'iov_len=12}, {iov_base="\1\0\0@\1\0\0\0", iov_len=500}], msg_iovlen=2, msg_controllen=0, '
        r"msg_flags=0}, 0) = 20",
        rf'readv(7<socket:[11]>, [{{iov_base="{HEADER}", iov_len=12}}, '
        r'{iov_base="\1\0\0@\1\0\0\0", iov_len=8}], 2) = 20',
        rf'read(7, "{HEADER}\x01\x00\x00\x40\x01\x00\x00\x00", 20) = 20',
        f'read(7<UNIX-STREAM:[11->12]>,  <unfinished ...>\n[pid 4] read(9, "x", 1) = 1\n'
        rf'[pid 3] <... read resumed>"{HEADER}\1\0\0@\1\0\0\0", 20) = 20',
        r'read(7<UNIX-STREAM:[11->12]>, "\1\0\0\0\5\0\0\0\10\0\0\0\1", 13) = 13'
        "\n" r'[pid 3] read(7<UNIX-STREAM:[11->12]>, "\0\0@\1\0\0\0", 7) = 7',
    ],
)  # fmt: skip
@pytest.mark.parametrize("stamp", ["", "1700000000.000001 ", "10:11:12.000001 ", "10:11:12 "])
def test_calls_of_every_kind_make_the_same_message(call: str, stamp: str) -> None:
    text = "\n".join(
        f"[pid 3] {stamp}{line}" if not line.startswith("[pid") else line.replace("] ", f"] {stamp}", 1)
        for line in call.split("\n")
    )
    (frame,) = messages(imported("strace", text.encode()))
    assert frame.data == LITTLE.pack(1, 5, 8) + bytes([1, 0, 0, 0x40, 1, 0, 0, 0])
    assert frame.sender is Side.BACKEND
    assert bool(frame.flags & FrameFlag.TIME_UNKNOWN) is not bool(stamp)


def test_what_strace_left_out_of_a_string_is_unknown() -> None:
    call = r'read(7, "\11\0\0\0\1\0\0\0(\0\0\0\1\0\0\0\0\0\0\0\0\0"..., 52) = 52'
    (frame,) = messages(imported("strace", call.encode()))
    assert frame.flags & FrameFlag.PAYLOAD_UNKNOWN
    assert (frame.known, frame.wire_size) == (((0, 10),), 52)


def test_a_passed_socket_becomes_the_channel_that_it_is() -> None:
    lines = [
        r'sendmsg(3<UNIX-STREAM:[5->6]>, {msg_iov=[{iov_base="\25\0\0\0\1\0\0\0\0\0\0\0", iov_len=12}], '
        r"msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, "
        r"cmsg_data=[9<UNIX-STREAM:[20->21]>]}], msg_controllen=24, msg_flags=0}, 0) = 12",
        r'read(8<UNIX-STREAM:[21->20]>, "\3\0\0\0\1\0\0\0\0\0\0\0", 12) = 12',
    ]
    items = imported("strace", "\n".join(lines).encode())
    assert [(frame.channel, frame.sender) for frame in messages(items)] == [
        (Channel.MAIN, Side.FRONTEND),
        (Channel.BACKEND, Side.BACKEND),
    ]


def qemu_log(capture: Path, form: str) -> Iterator[str]:
    """What QEMU would have traced of a capture."""
    for frame in messages(list(read(capture))):
        if frame.channel is Channel.MAIN:
            request, flags, _ = LITTLE.unpack_from(frame.data)
            what = "write" if frame.sender is Side.FRONTEND else "read"
            seconds, rest = divmod(frame.time_ns, 10**9)
            yield form.format(what=what, request=request, flags=flags, s=seconds, us=rest // 1000)


FORMS = [
    "vhost_user_{what} req:{request} flags:0x{flags:x}",
    "4711@{s}.{us:06}:vhost_user_{what} req:{request} flags:0x{flags:x}",
    "2026-11-24T10:11:12.{us:06}Z vhost_user_{what} req:{request} (SOME_NAME) flags:0x{flags:x}",
]


@pytest.mark.parametrize("form", FORMS)
def test_qemus_trace_is_the_capture_in_what_both_know(form: str, tmp_path: Path) -> None:
    capture, log, made = CAPTURES / "qemu-7.2-testpmd.pcapng", tmp_path / "log", tmp_path / "made.pcapng"
    log.write_text("qemu: some line\n" + "\n".join(qemu_log(capture, form)) + "\n")
    assert run("import", "--from", "qemu", log, "-w", made).returncode == 0
    told = run("diff", capture, made)
    assert (told.returncode, told.stdout.splitlines()[-1]) == (0, "no difference"), told.stdout
    assert {bool(frame.flags & FrameFlag.TIME_UNKNOWN) for frame in messages(list(read(made)))} == {
        form is FORMS[0]
    }


def simpletrace(capture: Path, named: bool) -> Iterator[bytes]:
    """What QEMU's simple trace backend would have written."""
    yield struct.pack("=QQQ", 0xFFFFFFFFFFFFFFFF, 0xF2B177CB0AA429B4, 4)
    for number, name in ((7, b"vhost_user_read"), (8, b"vhost_user_write"), (9, b"other")):
        yield struct.pack("=QQI", 0, number, len(name)) + name
    yield struct.pack("=QQQIIQ", 1, 9, 5, 32, 1, 0)
    for frame in messages(list(read(capture))):
        if frame.channel is Channel.MAIN:
            request, flags, _ = LITTLE.unpack_from(frame.data)
            middle = struct.pack("=I3s", 3, b"ABC") if named else b""
            arguments = struct.pack("=Q", request) + middle + struct.pack("=Q", flags)
            event = 8 if frame.sender is Side.FRONTEND else 7
            yield struct.pack("=QQQII", 1, event, frame.time_ns, 24 + len(arguments), 1) + arguments


@pytest.mark.parametrize("named", [False, True])
def test_simpletrace_is_the_same_trace(named: bool) -> None:
    capture = CAPTURES / "qemu-7.2-testpmd.pcapng"
    log = "\n".join(qemu_log(capture, FORMS[0])).encode()
    told = [frame.data for frame in messages(imported("qemu", log))]
    assert [
        frame.data for frame in messages(imported("simpletrace", b"".join(simpletrace(capture, named))))
    ] == told


def test_dpdks_log_is_the_capture_in_what_both_know(tmp_path: Path) -> None:
    made = tmp_path / "made.pcapng"
    ran = run("import", "--from", "dpdk", HERE / "dpdk.log", "-w", made)
    assert ran.returncode == 0
    assert "it has no replies, back-end channel" in ran.stderr
    told = run("diff", PROXY, made)
    assert (told.returncode, told.stdout.splitlines()[-1]) == (0, "no difference"), told.stdout


@pytest.mark.parametrize(
    ("was", "otherwise", "told"),
    [
        ("protocol features: 0x10009", "protocol features: 0x10001", "REPLY_ACK"),
        ("set queue enable: 1 to qp idx: 1", "set queue enable: 0 to qp idx: 1", "SET_VRING_ENABLE"),
        ("read message VHOST_USER_GET_STATUS", "read message VHOST_USER_RESET_OWNER", "RESET_OWNER"),
    ],
)
def test_a_real_difference_is_told(was: str, otherwise: str, told: str, tmp_path: Path) -> None:
    log, made = tmp_path / "log", tmp_path / "made.pcapng"
    text = (HERE / "dpdk.log").read_text()
    assert was in text
    log.write_text(text.replace(was, otherwise, 1))
    run("import", "--from", "dpdk", log, "-w", made)
    compared = run("diff", PROXY, made)
    assert compared.returncode == 1
    assert told in compared.stdout


def test_several_devices_and_times_of_a_switchs_log() -> None:
    text = (HERE / "dpdk.log").read_text()
    other = text.replace("/run/lab/dir/back.sock", "/run/other.sock").splitlines()
    both = [line for pair in zip(text.splitlines(), other, strict=True) for line in pair]
    stamped = [f"2026-11-24T23:05:{at % 60:02}.250Z|0001|dpdk|INFO|{line}" for at, line in enumerate(both)]
    items = imported("dpdk", "\n".join(stamped).encode())
    assert [item.backend for item in items if isinstance(item, Connection)] == [
        "/run/lab/dir/back.sock",
        "/run/other.sock",
    ]
    halves = [[frame.data for frame in messages(items) if frame.connection == number] for number in (0, 1)]
    assert halves[0] == halves[1] == [frame.data for frame in messages(imported("dpdk", text.encode()))]
    assert not any(frame.flags & FrameFlag.TIME_UNKNOWN for frame in messages(items))


LIBVHOST_USER = """================ Vhost user message ================
Request: VHOST_USER_GET_FEATURES (1)
Flags:   0x1
Size:    0
Sending back to guest u64: 0x0000000175000000
================ Vhost user message ================
Request: VHOST_USER_SET_VRING_ADDR (9)
Flags:   0x9
Size:    40
vhost_vring_addr:
    index:  1
    flags:  0
    desc_user_addr:   0x0000ffff889b0000
    used_user_addr:   0x0000ffff889b04c0
    avail_user_addr:  0x0000ffff889b0400
    log_guest_addr:   0x00000000444714c0
Setting virtq addresses:
    vring_desc  at (nil)
================ Vhost user message ================
Request: VHOST_USER_ADD_MEM_REG (37)
Flags:   0x9
Size:    40
Fds: 59
Adding region 4
    guest_phys_addr: 0x0000000200000000
    memory_size:     0x0000000040000000
    userspace_addr:  0x00007fb73bffe000
    old mmap_offset: 0x0000000080000000
    new mmap_offset: 0x0000000000000000
Successfully added new region
================ Vhost user message ================
Request: VHOST_USER_SET_VRING_KICK (12)
Flags:   0x1
Size:    8
Fds: 12
u64: 0x0000000000000001
================ Vhost user message ================
Request: VHOST_USER_SET_VRING_NUM (8)
Flags:   0x1
Size:    8
State.index: 1
State.num:   256
"""


def test_libvhost_users_debug_output_tells_much_of_what_is_in_a_message() -> None:
    found = messages(imported("libvhost-user", LIBVHOST_USER.encode()))
    assert [(LITTLE.unpack_from(frame.data), len(frame.fds)) for frame in found] == [
        ((1, 1, 0), 0),
        ((1, 5, 8), 0),
        ((9, 9, 40), 0),
        ((37, 9, 40), 1),
        ((12, 1, 8), 1),
        ((8, 1, 8), 0),
    ]
    assert found[1].data[12:] == (0x175000000).to_bytes(8, "little")
    assert found[2].data[12:20] == struct.pack("<II", 1, 0)
    assert found[4].data[12:] == struct.pack("<Q", 1)
    assert found[5].data[12:] == struct.pack("<II", 1, 256)
    assert found[4].fds[0].kind is FdKind.UNKNOWN
    unknown = [bool(frame.flags & FrameFlag.PAYLOAD_UNKNOWN) for frame in found]
    assert unknown == [False] * 6
    assert found[3].data[20:] == struct.pack("<QQQQ", 1 << 33, 1 << 30, 0x7FB73BFFE000, 1 << 31)


def sockdump(capture: Path) -> Iterator[bytes]:
    """What sockdump would have written: a packet for each sendmsg, in two processes."""
    yield struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0, 147)
    for frame in messages(list(read(capture))):
        if frame.channel is Channel.MAIN:
            pids = (20, 10) if frame.sender is Side.FRONTEND else (10, 20)
            data = struct.pack(">109pQQ", b"/run/vhost.sock\0", *pids) + frame.data
            seconds, rest = divmod(frame.time_ns, 10**9)
            yield struct.pack("<IIII", seconds, rest // 1000, len(data), len(data)) + data


def test_sockdumps_file_has_every_byte_and_no_descriptor(tmp_path: Path) -> None:
    dump, made = tmp_path / "dump", tmp_path / "made.pcapng"
    dump.write_bytes(b"".join(sockdump(PROXY)))
    assert run("import", "--from", "sockdump", dump, "-w", made).returncode == 0
    items = list(read(made))
    assert by_way(items) == by_way(list(read(PROXY)))
    assert all(frame.flags & FrameFlag.FDS_UNKNOWN for frame in messages(items))
    assert run("diff", PROXY, made).returncode == 0


def test_an_import_says_of_what_it_is_made() -> None:
    for source, file in (("strace", "backend.strace"), ("dpdk", "dpdk.log")):
        first = next(item for item in imported(source, (HERE / file).read_bytes()) if isinstance(item, Event))
        assert first.attributes["source"] in first.text
    assert first.attributes[LACKS] == "replies, back-end channel, times"


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "data", [b"", b"hello\nworld\n", bytes(range(256)) * 4], ids=["empty", "text", "bytes"]
)
def test_what_is_nothing_of_the_kind_is_one_line(source: str, data: bytes) -> None:
    with pytest.raises(EvidenceError):
        imported(source, data)


@pytest.mark.parametrize("source", SOURCES)
def test_a_cut_file_is_read_up_to_the_cut(source: str) -> None:
    whole = {
        "strace": (HERE / "backend.strace").read_bytes(),
        "dpdk": (HERE / "dpdk.log").read_bytes(),
        "qemu": "\n".join(qemu_log(PROXY, FORMS[1])).encode(),
        "simpletrace": b"".join(simpletrace(PROXY, False)),
        "libvhost-user": LIBVHOST_USER.encode(),
        "sockdump": b"".join(sockdump(PROXY)),
    }[source]
    all_of_it = len(messages(imported(source, whole)))
    for part in (0.9, 0.7, 0.5):
        assert 0 < len(messages(imported(source, whole[: int(len(whole) * part)]))) <= all_of_it


def test_usage_errors_are_one_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("nothing")
    for words, status in (
        (["import", "--from", "mars", log, "-w", "x"], 2),
        (["import", "--from", "dpdk", log, "-w", tmp_path / "x"], 3),
        (["import", "--from", "dpdk", tmp_path / "absent", "-w", tmp_path / "x"], 3),
        (["import", "--from", "dpdk", log, "-w", log], 2),
    ):
        ran = process(*words)
        assert ran.returncode == status, ran.stderr
        assert len(ran.stderr.splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_it_goes_through_pipes(tmp_path: Path) -> None:
    text = (HERE / "dpdk.log").read_text()
    command = [*VUTRACE, "import", "--from", "dpdk", "-"]
    piped = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    (tmp_path / "made.pcapng.gz").write_bytes(gzip.compress(piped))
    shown = process("show", tmp_path / "made.pcapng.gz").stdout
    assert "SET_VRING_ENABLE" in shown
    with Writer(tmp_path / "again.pcapng") as writer:
        for item in read(tmp_path / "made.pcapng.gz"):
            writer.write(item)
    assert list(read(tmp_path / "again.pcapng")) == imported("dpdk", text.encode())


def test_reply_flags_are_known_in_any_case() -> None:
    for frame in messages(imported("dpdk", (HERE / "dpdk.log").read_bytes())):
        assert bool(LITTLE.unpack_from(frame.data)[1] & REPLY) is (frame.sender is Side.BACKEND)


def imported_file(source: str, log: Path, tmp_path: Path) -> Path:
    made = tmp_path / "made.pcapng"
    assert run("import", "--from", source, log, "-w", made).returncode == 0
    return made


def test_no_view_shows_what_is_not_known_as_a_value(tmp_path: Path) -> None:
    made = imported_file("dpdk", HERE / "dpdk.log", tmp_path)
    rows = [line for line in run("show", made).stdout.splitlines() if " SET_VRING_NUM " in line]
    assert all(re.fullmatch(r" +\d+ > +\? A +\? +SET_VRING_NUM +\? +\? +\?", line) for line in rows)
    tree = run("show", "-V", "-x", made, "--message", "SET_VRING_NUM", "-c", "1").stdout
    assert "flags unknown, size unknown" in tree
    assert "not known: flags, payload, descriptors, reply, time" in tree
    assert "0000  08 00 00 00 ?? ?? ?? ??  ?? ?? ?? ??" in tree
    objects = [json.loads(line) for line in run("show", "--json", made).stdout.splitlines()]
    assert {each["time"] for each in objects} == {None}
    assert all(
        each["size"] is None and not each["fields"] for each in objects if each["name"] == "SET_VRING_NUM"
    )
    assert all(
        each["need_reply"] is None for each in objects if each["kind"] == "message" and not each["reply"]
    )
    rings = run("queues", made).stdout.splitlines()[3:7]
    assert [line.split()[:5] for line in rings] == [
        [str(index), f"q{index}", "?", base, "?"]
        for index, base in enumerate(("20992", "20992", "20960", "21024"))
    ]
    assert all(" no " in line and " at " not in line for line in rings)
    assert " s, closed" not in run("timeline", made).stdout
    assert "not all known, no" in run("timeline", made).stdout


def test_figures_of_what_is_not_known_are_null(tmp_path: Path) -> None:
    made = imported_file("dpdk", HERE / "dpdk.log", tmp_path)
    every = json.loads(run("stats", "--json", made).stdout)["all"]
    unknown = "need_reply", "descriptors", "bytes", "smallest", "largest", "first", "last", "busiest_second"
    assert {every[name] for name in unknown} == {None}
    assert every["messages"] == 46
    assert "descriptors and what is not known, " in run("stats", made).stdout


def test_pictures_without_times_have_the_order_and_make_no_times_up(tmp_path: Path) -> None:
    made = imported_file("dpdk", HERE / "dpdk.log", tmp_path)
    pictures = {format_: tmp_path / f"made.{format_}" for format_ in ("svg", "html", "mmd", "perfetto")}
    for picture in pictures.values():
        assert run("timeline", made, "--scale", "time", "-o", picture).returncode == 0
    order = run("timeline", made, "--format", "svg").stdout
    assert pictures["svg"].read_text() == order
    assert not re.search(r"\d (s|ms|µs|ns)\b", order + pictures["mmd"].read_text())
    assert '"timed":false' in pictures["html"].read_text().replace(": ", ":")
    assert b"times unknown: only the order is" in pictures["perfetto"].read_bytes()


def test_qemus_trace_starts_no_ring_and_acknowledges_no_feature(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(qemu_log(CAPTURES / "qemu-7.2-testpmd.pcapng", FORMS[1])))
    made = imported_file("qemu", log, tmp_path)
    assert "no message named a ring" in run("queues", made).stdout
    timeline = run("timeline", made).stdout
    assert "acknowledged" not in timeline
    assert "SET_VRING_ENABLE=" not in timeline
    assert re.findall(r"^  (init|features|start|stop) +rows", timeline, re.MULTILINE) == [
        "init", "features", "start", "stop",
    ]  # fmt: skip
    assert "How far it got is not known" in run("check", made).stdout


def test_stats_count_no_bytes_that_nobody_knows(tmp_path: Path) -> None:
    made = imported_file("dpdk", HERE / "dpdk.log", tmp_path)
    lines = run("stats", made).stdout.splitlines()
    assert lines[0].endswith("672 bytes and what is not known")
    assert [line.split()[-1] for line in lines if line.startswith("SET_VRING_NUM")] == ["?"]


def test_what_a_log_lacks_cannot_be_acted_out(tmp_path: Path) -> None:
    made = imported_file("dpdk", HERE / "dpdk.log", tmp_path)
    ran = process("replay", made, "--as", "frontend", "--to", tmp_path / "sock")
    assert ran.returncode == 2
    assert "made from a log, which has not all that messages said" in ran.stderr


def test_rows_come_while_strace_goes_on() -> None:
    lines = (HERE / "backend.strace").read_bytes().splitlines(keepends=True)
    command = [*VUTRACE, "import", "--from", "strace", "-"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as running:
        assert running.stdin
        assert running.stdout
        running.stdin.writelines(lines[:20])
        running.stdin.flush()
        came = list(islice(Reader(iter(lambda: read_some(running.stdout), b"")), 5))
        assert len(messages(came)) >= 2
        running.stdin.close()
        running.stdout.read()


def read_some(stream: "IO[bytes] | None") -> bytes:
    """What a pipe holds now."""
    assert stream
    return os.read(stream.fileno(), 4096)


@pytest.mark.parametrize(("source", "file"), [("dpdk", "dpdk.log"), ("strace", "backend.strace")])
def test_rules_that_cannot_know_are_silent(source: str, file: str, tmp_path: Path) -> None:
    made = imported_file(source, HERE / file, tmp_path)
    told = [found_in(capture) for capture in (PROXY, made)]
    assert told[1] <= told[0]
    notes = run("check", made).stderr
    assert ("rules that cannot know are silent" in notes) is (source == "dpdk")


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcapng")), ids=lambda path: path.stem)
@pytest.mark.parametrize("limit", ["flags", "payload", "descriptors", "replies", "all"])
def test_no_finding_comes_of_knowing_less(path: Path, limit: str, tmp_path: Path) -> None:
    made = tmp_path / "less.pcapng"
    with Writer(made) as writer:
        for item in read(path):
            if (less := with_less(item, limit)) is not None:
                writer.write(less)
    assert found_in(made) <= found_in(path)


def with_less(item: Item, limit: str) -> Item | None:
    """A record as a source without something would have it."""
    if isinstance(item, Connection):
        return item
    everything = limit == "all"
    if isinstance(item, Event):
        lacks = {"attributes": {**item.attributes, LACKS: "replies"}} if limit in ("replies", "all") else {}
        return replace(item, **lacks) if lacks else item  # type: ignore[arg-type]
    flags, data, fds, size = item.flags, item.data, item.fds, item.wire_size
    request, word, length = LITTLE.unpack_from(data) if len(data) >= 12 else (0, 0, 0)
    if limit in ("replies", "all") and item.channel is Channel.MAIN:
        if item.sender is Side.BACKEND:
            return None
        flags |= FrameFlag.REPLY_UNKNOWN
    if limit in ("flags", "all"):
        flags |= FrameFlag.FLAGS_UNKNOWN
        data = LITTLE.pack(request, word & ~8, length) + data[12:]
    if limit in ("payload", "all"):
        flags, data, size = flags | FrameFlag.PAYLOAD_UNKNOWN, data[:12], 0
    if limit == "descriptors" or everything:
        flags, fds = flags | FrameFlag.FDS_UNKNOWN, ()
    return replace(item, flags=flags, data=data, fds=fds, wire_size=size)


def found_in(capture: Path) -> set[str]:
    """The rules that are broken in a capture."""
    judge = Judge()
    rows = [*judge.rows(Tracker(REGISTRY).rows(read(capture))), *judge.end()]
    return {problem.name for row in rows for problem in row.problems}
