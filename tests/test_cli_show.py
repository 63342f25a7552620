"""`vutrace show` from the outside: options, exit status, notes on stderr, live captures."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from kit.handshake import handshake
from kit.transcript import connection

from vutrace.capture import Writer, connection_block, record_block, section_block
from vutrace.cli import main
from vutrace.records import Record
from vutrace.views.times import STYLES

VUTRACE = [sys.executable, "-m", "vutrace"]
START_SECONDS = 20  # an interpreter on a busy machine


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines on stdout."""
        return self.out.splitlines()


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `vutrace` with these words in this process."""

    def run_it(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["vutrace", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return Ran(int(stop.value.code or 0), out, err)

    return run_it


def write(path: Path, records: Iterable[Record]) -> Path:
    """A capture of these records."""
    with Writer(path) as writer:
        writer.write(connection())
        for record in records:
            writer.write(record)
    return path


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """The scripted session in a file."""
    return write(tmp_path / "start.pcapng", handshake())


def rows(ran: Ran) -> list[str]:
    """The numbered lines."""
    return [line for line in ran.lines if line.split()[0].isdecimal()]


def test_a_row_for_every_record(run: Run, capture: Path) -> None:
    ran = run("show", capture)
    assert (ran.status, ran.err) == (0, "")
    assert len(rows(ran)) == len(handshake())
    assert run("show", "-r", capture) == ran


def test_json_lines(run: Run, capture: Path) -> None:
    objects = [json.loads(line) for line in run("show", capture, "--json").lines]
    assert [each["number"] for each in objects] == list(range(1, len(handshake()) + 1))


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["--message", "SET_VRING_NUM"], 5),
        (["--message", "vhost_user_set_vring_num", "--message", "SEND_RARP"], 6),
        (["--message", "SLAVE_CONFIG_CHANGE_MSG"], 1),
        (["--message", "4242"], 1),
        (["--ring", "2"], 7),
        (["--channel", "gpu"], 3),
        (["--channel", "backend", "--from", "frontend"], 2),
        (["-c", "3"], 3),
        (["--message", "SET_VRING_NUM", "-c", "2"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_plain_filters(run: Run, capture: Path, words: list[str], count: int) -> None:
    assert len(rows(run("show", capture, *words))) == count


@pytest.mark.parametrize("style", STYLES)
def test_times(run: Run, capture: Path, style: str) -> None:
    assert run("show", capture, "-t", style).status == 0


def test_delta_is_since_the_record_before_also_of_a_filtered_row(run: Run, capture: Path) -> None:
    words = ("--message", "SET_OWNER", "--message", "NET_SET_MTU")
    assert [row.split()[2] for row in rows(run("show", capture, "-t", "d", *words))] == ["0.000100"] * 2
    assert [row.split()[2] for row in rows(run("show", capture, "-t", "dd", *words))] == [
        "0.000000",
        "0.004002",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--message", "SET_VRING_NUMM"],
            "no message is called 'SET_VRING_NUMM'; did you mean SET_VRING_NUM",
        ),
        (["--device", "toaster"], "no dissector for device 'toaster'; installed: "),
        (["--dissector", "/nonexistent.py"], "/nonexistent.py: not a Python file"),
        (["-t", "x"], "-t x: one of r, d, dd, a, ad, u, ud, e is needed"),
        (["-r", "another"], "one capture is needed"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_usage_errors_are_one_line_and_2(run: Run, capture: Path, words: list[str], said: str) -> None:
    ran = run("show", capture, *words)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(f"vutrace: {said}")
    assert ran.err.count("\n") == 1


def test_a_missing_file_is_one_line_and_3(run: Run, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert run("show", missing) == Ran(3, "", f"vutrace: {missing}: No such file or directory\n")


def test_a_hostile_file_shows_what_stands_before_the_damage(run: Run, capture: Path) -> None:
    data = capture.read_bytes()
    capture.write_bytes(data[: len(data) // 2 & ~3] + b"\xff" * 4000)
    ran = run("show", capture)
    assert ran.status == 3
    assert len(rows(ran)) > 10
    assert ran.err.startswith(f"vutrace: {capture}: damaged at byte ")
    assert ran.err.count("\n") == 1


def test_a_cut_capture_is_shown_up_to_the_last_whole_block(run: Run, capture: Path) -> None:
    capture.write_bytes(capture.read_bytes()[:-1])
    ran = run("show", capture)
    assert ran.status == 0
    assert len(rows(ran)) == len(handshake()) - 1
    assert ran.err == f"vutrace: {capture}: cut, it ends within a block; all before that is shown\n"


def test_an_empty_capture_is_told(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pcapng"
    empty.touch()
    ran = run("show", empty)
    assert (ran.status, rows(ran)) == (0, [])
    assert ran.err == f"vutrace: {empty}: empty, nothing was recorded into it\n"


def test_colour_only_where_it_is_wanted(run: Run, capture: Path) -> None:
    assert "\x1b" not in run("show", capture).out
    assert "\x1b[" in run("show", capture, "--color", "always").out


def test_secrets_are_shown_only_when_asked_for(run: Run, capture: Path) -> None:
    key = b"not to be seen!!".hex()
    words = ["show", capture, "--message", "CREATE_CRYPTO_SESSION"]
    for shown in (["--json"], ["-V"], ["-x"]):
        assert key not in run(*words, *shown).out.replace(" ", "")
    for shown in (["--json"], ["-V"]):
        assert key in run(*words, *shown, "--secrets").out


def test_a_dissector_in_a_file_names_the_rings(run: Run, capture: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from vutrace.plugin import Device\n"
        "DEVICE = Device('mine', ring_name=lambda index, features: f'my{index}')\n"
    )
    ran = run("show", capture, "--dissector", plugin, "--device", "mine", "--message", "SET_VRING_NUM")
    assert rows(ran)[0].split()[4] == "my0"


def test_stdin(capture: Path) -> None:
    with capture.open("rb") as stream:
        done = subprocess.run(
            [*VUTRACE, "show", "-"], stdin=stream, capture_output=True, text=True, check=True
        )
    assert len(rows(Ran(0, done.stdout, ""))) == len(handshake())


def test_a_reader_that_goes_away_is_nothing_to_talk_about(tmp_path: Path) -> None:
    capture = write(tmp_path / "long.pcapng", handshake() * 40)
    child = subprocess.Popen(
        [*VUTRACE, "show", capture, "-V"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout
    assert child.stderr
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(START_SECONDS) == 128 + signal.SIGPIPE
    assert child.stderr.read() == b""


@pytest.mark.parametrize("words", [["show", "-V"], ["show", "--json"], ["timeline"], ["queues"]])
def test_a_full_disk_behind_stdout_is_one_line(capture: Path, words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*VUTRACE, *words, capture], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3
    assert done.stderr == "vutrace: the output cannot be written: No space left on device\n"


@dataclass
class Live:
    """A viewer that follows a file which is being written."""

    file: Path
    child: subprocess.Popen[str]
    alive: int

    def append(self, block: bytes) -> None:
        """Write a block."""
        with self.file.open("ab") as file:
            file.write(block)

    def line(self) -> str:
        """The next line shown."""
        assert self.child.stdout
        return self.child.stdout.readline()


@pytest.fixture
def live(tmp_path: Path) -> Iterable[Live]:
    """The relay's viewer: follows a file that is empty at first, until the pipe is closed."""
    file = tmp_path / "live.pcapng"
    file.touch()
    done, alive = os.pipe()
    command = [*VUTRACE, "show", "--follow", "--done-fd", str(done), str(file)]
    with subprocess.Popen(
        command, pass_fds=[done], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        os.close(done)
        yield Live(file, child, alive)
        child.kill()


def test_the_relays_viewer(live: Live) -> None:
    records = handshake()
    live.append(section_block() + connection_block(connection(), 0))
    live.append(record_block(records[0], 0))
    assert "message" in live.line()
    assert "open: connected" in live.line()
    assert "A is " in live.line()
    live.append(record_block(records[1], 0))
    assert "GET_FEATURES" in live.line()
    live.append(record_block(records[2], 0))
    os.close(live.alive)
    out, err = live.child.communicate(timeout=START_SECONDS)
    assert (live.child.returncode, err) == (0, "")
    assert "reply" in out


def test_rows_that_come_are_folded_and_no_answer_is_waited_for_in_vain(live: Live) -> None:
    """SET_BACKEND_REQ_FD with its ok, and SET_MEM_TABLE whose ok is late."""
    records = handshake()
    live.append(section_block() + connection_block(connection(), 0))
    live.append(b"".join(record_block(each, 0) for each in records[:18]))
    seen = ""
    while "SET_MEM_TABLE" not in seen:
        seen += live.line()  # it comes, though its answer does not
    assert "= ok, 100" in next(line for line in seen.splitlines() if "SET_BACKEND_REQ_FD" in line)
    live.append(record_block(records[18], 0))
    os.close(live.alive)
    assert "reply      ok" in live.child.communicate(timeout=START_SECONDS)[0]


def test_what_has_every_message_is_not_folded(run: Run, capture: Path) -> None:
    for words in (["--json"], ["-V"], ["-x"], ["-T", "fields", "-e", "name"]):
        ran = run("show", capture, "--fold", *words)
        assert ran.status == 2
        assert "--fold is for rows alone" in ran.err


def test_a_time_of_day_has_its_zone(run: Run, capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    assert " time EST conn" in run("show", capture, "-t", "a").out
    assert " time UTC conn" in run("show", capture, "-t", "u").out
    monkeypatch.undo()
    time.tzset()


def test_a_channel_has_its_opening_and_its_end(run: Run) -> None:
    kept = Path(__file__).parent.parent / "captures" / "qemu-7.2-testpmd.pcapng"
    rows = run("show", kept, "--channel", "backend").out.splitlines()
    assert [" ".join(row.split()[4:7]) for row in rows[1:]] == [
        "open: back-end channel,",
        "close: back-end channel:",
    ]


def test_where_no_row_is_chosen_a_note_says_so(run: Run, capture: Path) -> None:
    ran = run("show", capture, "--ring", "99")
    assert (ran.status, len(ran.out.splitlines())) == (0, 1)
    assert ran.err == f"vutrace: {capture}: no row is what was asked for\n"
    assert run("show", capture, "--ring", "0").err == ""


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "later.pcapng"
    command = [*VUTRACE, "show", "--follow", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stderr
        assert child.stderr.readline() == f"vutrace: {file}: not there yet, waiting for it\n"
        write(file, handshake())
        assert "message" in child.stdout.readline()
        child.kill()


def test_following_ends_on_an_interrupt_with_130(live: Live) -> None:
    live.append(section_block() + connection_block(connection(), 0) + record_block(handshake()[0], 0))
    live.line()
    time.sleep(0.1)
    live.child.send_signal(signal.SIGINT)
    _, err = live.child.communicate(timeout=START_SECONDS)
    os.close(live.alive)
    assert (live.child.returncode, err) == (130, "")


def test_help_names_every_verb_and_has_examples(run: Run) -> None:
    assert "show" in run("--help").out
    for verb in (["show"], ["list"], ["proxy"]):
        assert "Examples" in run(*verb, "--help").out
