"""The board of rings: its text, its fit into a screen, and what it does to a terminal."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.sessions import QEMU_2_10, QEMU_7_2, Script, endpoints, qemu_blk, qemu_net, rows
from kit.transcript import front
from typer.testing import CliRunner

from vutrace.capture import Writer
from vutrace.cli import app
from vutrace.cli.board import ENTER, HOME, LEAVE
from vutrace.records import Channel, FdInfo, FdKind, Frame, Side
from vutrace.views.board import Board
from vutrace.views.board_text import board_lines
from vutrace.views.colour import painted

Golden = Callable[[str, str], None]
SECOND = 1_000_000_000


def board_of(script: Script) -> Board:
    """The board after a script's records."""
    board = Board({0: endpoints()})
    for row in rows(script.records):
        board.feed(row)
    return board


def text_of(script: Script, later_ns: int = 0, width: int = 200, height: int = 1000, cut: bool = True) -> str:
    """Its text, some time after the last record."""
    board = board_of(script)
    return "\n".join(board_lines(board, board.now_ns + later_ns, width, height, cut)) + "\n"


def stalled() -> Script:
    """A guest whose back-end does not answer GET_VRING_BASE, nor the front-end a request of the back-end."""
    script = qemu_net(QEMU_7_2, 1).boot().script
    script.wait(1)
    script.add(front("GET_VRING_BASE", index=0, num=0))
    script.wait(0.5)
    data = struct.pack("<IIIQ", 2, 9, 8, 0)
    script.records.append(Frame(script.time_ns, 0, 1, Channel.BACKEND, Side.BACKEND, data, wire_size=20))
    return script


# The text


def test_a_running_guest(golden: Golden) -> None:
    golden("board-running.txt", text_of(qemu_net(QEMU_2_10, 2).boot().script))


def test_who_owes_a_reply_and_for_how_long(golden: Golden) -> None:
    golden("board-stalled.txt", text_of(stalled(), later_ns=3 * SECOND))


def test_many_rings_that_are_alike_are_folded_where_the_screen_is_small(golden: Golden) -> None:
    golden("board-folded.txt", text_of(qemu_net(QEMU_7_2, 128, enabled=2).boot().script, height=20))


def test_a_session_that_ended_and_the_next_one(golden: Golden) -> None:
    guest = qemu_net(QEMU_7_2, 1).boot()
    guest.script.close()
    first = text_of(guest.script)
    guest.script.open()
    golden("board-closed.txt", first + text_of(guest.script))


def test_two_connections_stand_below_each_other() -> None:
    script = qemu_blk(1)
    other = qemu_blk(1)
    other.connection = 1
    lines = text_of(script).splitlines()
    assert lines[0].startswith("A  session 1, blk, phase")
    other.open()
    both = Script(records=[*script.records, *other.records[-1:]])
    assert "\nB  session 1, device unknown, no message yet, 1 row\n" in text_of(both)


def test_nothing_yet() -> None:
    assert text_of(Script()) == "nothing is connected yet\n"


@pytest.mark.parametrize("width", [20, 80, 133])
@pytest.mark.parametrize("height", [1, 5, 24])
def test_it_fits_every_screen(width: int, height: int) -> None:
    script = qemu_net(QEMU_7_2, 8, enabled=3).boot().script
    lines = text_of(script, width=width, height=height).splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_a_narrow_board_keeps_what_changed_last_and_gives_up_the_eventfds() -> None:
    lines = text_of(qemu_net(QEMU_7_2, 2).boot().script, width=80).splitlines()
    (heading,) = (line for line in lines if "ring  name" in line)
    assert "last change" in heading
    assert "call" not in heading
    assert "kick" in text_of(qemu_net(QEMU_7_2, 2).boot().script)


def test_what_is_left_for_good_is_folded_but_not_cut() -> None:
    text = text_of(qemu_net(QEMU_7_2, 8, enabled=3).boot().script, height=3, cut=False)
    assert "more lines" not in text
    assert "6–15" in text


def test_a_debt_turns_red_when_it_lasts() -> None:
    board = board_of(stalled())
    soon, late = (
        board_lines(board, board.now_ns + wait, 200, 100, paint=painted) for wait in (0, 2 * SECOND)
    )
    red = "\x1b[1;31m   waiting"
    assert sum(line.startswith(red) for line in late) == 2
    assert sum(line.startswith(red) for line in soon) == 0


def test_a_closed_side_channel_takes_its_own_debts_along() -> None:
    script = stalled()
    assert text_of(script).count("owes the reply") == 2
    script.close()
    assert "owes the reply" not in text_of(script)
    assert text_of(script).count("never gave the reply") == 2


def test_a_hostile_name_moves_no_cursor() -> None:
    script = Script()
    script.open()
    script.add(front(9999, b"", fds=[FdInfo(FdKind.FILE, name="\x1b[2J")]))
    script.add(front("SET_VRING_KICK", u64=255, fds=[FdInfo(FdKind.OTHER, name="\r\n")]))
    assert "\x1b" not in text_of(script)


# The verb


def capture_of(script: Script, path: Path) -> Path:
    """The records as a capture."""
    with Writer(path) as writer:
        for item in [endpoints(), *script.records]:
            writer.write(item)
    return path


def test_what_is_no_terminal_gets_the_board_as_it_stands_at_the_end(tmp_path: Path) -> None:
    path = capture_of(qemu_net(QEMU_2_10, 2).boot().script, tmp_path / "x.pcapng")
    ran = CliRunner().invoke(app, ["show", "--board", str(path)])
    assert ran.exit_code == 0
    assert "\x1b" not in ran.stdout
    assert "yes (sent 1)" in ran.stdout


def test_rows_and_the_board_do_not_go_together(tmp_path: Path) -> None:
    path = capture_of(qemu_blk(), tmp_path / "x.pcapng")
    ran = CliRunner().invoke(app, ["show", "--board", "-V", str(path)])
    assert ran.exit_code != 0


# The terminal


class Terminal:
    """`vutrace show --follow --board` on a terminal of its own, and a capture that grows."""

    def __init__(self, path: Path, term: str = "xterm-256color") -> None:
        self.seen = self._rest = ""
        self.path, self.writer = path, Writer(path)
        self.writer.write(endpoints())
        self.done, self._alive = os.pipe()
        self.end, terminal = pty.openpty()
        self.resize(24, 120)
        command = [sys.executable, "-m", "vutrace", "show", "--follow", "--board"]
        self.process = subprocess.Popen(
            [*command, "--done-fd", str(self.done), str(path)],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            pass_fds=(self.done,),
            start_new_session=True,
            env={**os.environ, "TERM": term},
        )
        os.close(terminal)

    def resize(self, lines: int, columns: int) -> None:
        """Make the terminal another size."""
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def feed(self, script: Script) -> None:
        """Write records."""
        for record in script.records:
            self.writer.write(record)

    def read_until(self, wanted: str, seconds: float = 20) -> str:
        """What comes up to and with `wanted`; the rest is for the next call."""
        got, deadline = self._rest, time.monotonic() + seconds
        while wanted not in got:
            assert time.monotonic() < deadline, f"{wanted!r} is not in {got[-2000:]!r}"
            if not select.select([self.end], [], [], 0.2)[0]:
                continue
            try:
                got += os.read(self.end, 65536).decode(errors="replace")
            except OSError:  # the other end is closed
                assert wanted in got, f"{wanted!r} is not in {got[-2000:]!r}"
        before, _, self._rest = got.partition(wanted)
        self.seen += before + wanted
        return before + wanted

    def finish(self) -> None:
        """No more records come."""
        os.close(self._alive)
        self._alive = -1

    def close(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait()
        self.writer.close()
        for fd in {self.end, self.done, self._alive} - {-1}:
            os.close(fd)


@contextmanager
def terminal(path: Path, term: str = "xterm-256color") -> Iterator[Terminal]:
    """A terminal for a test."""
    running = Terminal(path, term)
    try:
        yield running
    finally:
        running.close()


def test_it_redraws_in_place_follows_the_size_and_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with terminal(tmp_path / "x.pcapng") as screen:
        screen.read_until(ENTER)
        screen.read_until("nothing is connected yet")
        screen.feed(qemu_net(QEMU_7_2, 16).boot().script)
        screen.read_until("2–31  rx1–tx15")
        screen.read_until("\x1b[H")
        screen.resize(12, 60)
        screen.read_until("…\x1b[0m")  # a line that is longer than 60 columns
        screen.resize(24, 200)
        screen.read_until("2–31  rx1–tx15")
        screen.finish()
        screen.read_until(LEAVE)
        screen.read_until("2–31  rx1–tx15")
        assert screen.process.wait(10) == 0
        assert screen.seen.count(ENTER) == screen.seen.count(LEAVE) == 1


def test_keys_scroll_explain_themselves_and_end_it(tmp_path: Path) -> None:
    with terminal(tmp_path / "x.pcapng") as screen:
        screen.read_until("nothing is connected yet")
        screen.read_until("q end")
        screen.resize(8, 120)
        screen.feed(qemu_net(QEMU_7_2, 16).boot().script)
        screen.read_until("2 of 32 rings running")
        os.write(screen.end, b"j")
        screen.read_until("\x1b[H   features")
        os.write(screen.end, b"?")
        screen.read_until(HOME)  # one picture may be under way
        screen.read_until(HOME)
        assert "q end" not in screen.read_until(HOME)
        os.write(screen.end, b"q")
        screen.read_until(LEAVE)
        assert screen.process.wait(10) == 0


def test_a_terminal_that_does_not_know_its_size_has_the_usual_one(tmp_path: Path) -> None:
    with terminal(tmp_path / "x.pcapng") as screen:
        screen.read_until("nothing is connected yet")
        screen.resize(0, 0)
        screen.feed(qemu_net(QEMU_7_2, 16).boot().script)
        screen.read_until("2–31  rx1–tx15")
        screen.finish()
        assert screen.process.wait(10) == 0


def test_a_dumb_terminal_gets_the_board_once_at_the_end(tmp_path: Path) -> None:
    with terminal(tmp_path / "x.pcapng", "dumb") as screen:
        screen.feed(qemu_blk())
        screen.finish()
        screen.read_until("session 1, blk")
        assert screen.process.wait(10) == 0
        assert "\x1b" not in screen.seen


def test_the_time_of_a_debt_runs_while_nothing_happens(tmp_path: Path) -> None:
    script = Script(time_ns=time.time_ns())
    script.open()
    script.add(front("GET_FEATURES", b""))
    with terminal(tmp_path / "x.pcapng") as screen:
        screen.feed(script)
        screen.read_until("the back-end owes the reply to GET_FEATURES [2] on the main channel")
        first = waiting_for(screen)
        while waiting_for(screen) < first + 0.5:  # read_until gives up when nothing more is drawn
            pass


def waiting_for(screen: Terminal) -> float:
    """The seconds that the board shows next for a debt."""
    screen.read_until("waiting")
    screen.read_until("for ")
    number, unit = screen.read_until("s: ").removesuffix(": ").split()
    return float(number) * {"s": 1.0, "ms": 1e-3}[unit]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_the_terminal_as_it_was(tmp_path: Path, number: int, status: int) -> None:
    with terminal(tmp_path / "x.pcapng") as screen:
        screen.feed(qemu_blk())
        screen.read_until("session 1, blk")
        screen.process.send_signal(number)
        screen.read_until(LEAVE)
        screen.read_until("session 1, blk")
        assert screen.process.wait(10) == status


def test_what_is_not_utf_8_gets_escapes() -> None:
    capture = Path(__file__).parent.parent / "captures" / "qemu-7.2-testpmd.pcapng"
    command = [sys.executable, "-m", "vutrace", "show", str(capture), "--board"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert shown.isascii()
    assert "phase stop, 0 of 4 rings were running" in shown
