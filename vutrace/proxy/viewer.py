"""The child that shows or copies the capture while it grows. The relay never waits for it.

The child gets the file as /proc/self/fd/N (it may have no name any more) and the read end of a pipe: when
that ends, the writer is done (see capture.follow.WriterGone).
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

# Whoever read the rows may have had enough (| head).
FINE = {0, -signal.SIGPIPE, 128 + signal.SIGPIPE}
Command = Callable[[str, int], Sequence[str]]
"""(path of the capture, descriptor that ends with the writer) to a command line."""

WAIT_SECONDS = 0.1  # between looks whether there is a hurry
COPIER = """
import sys
from vutrace.capture import WriterGone, copy
if not copy(sys.argv[1], 1, WriterGone(int(sys.argv[2]))):
    words = "nobody reads the capture any more: recording ends here; the sessions go on"
    print("vutrace:", words, file=sys.stderr)
"""


def show_command(path: str, done_fd: int) -> Sequence[str]:
    """The rows, as `vutrace show --follow` shows them."""
    return [sys.executable, "-m", "vutrace", "show", "--follow", "--done-fd", str(done_fd), path]


def board_command(path: str, done_fd: int) -> Sequence[str]:
    """The board, as `vutrace show --follow --board` shows it; q there ends this process."""
    return [*show_command(path, done_fd), "--board", "--ends", str(os.getpid())]


def copy_command(path: str, done_fd: int) -> Sequence[str]:
    """The bytes of the capture, on stdout."""
    return [sys.executable, "-c", COPIER, path, str(done_fd)]


class Viewer:
    """A child that follows the capture file open as `fd`; `words` are options more for its command.

    `out` is the descriptor that it writes on; `keys`: it gets the terminal's. OSError where there can be no
    child.
    """

    def __init__(
        self, command: Command, fd: int, words: Sequence[str] = (), out: int = 1, keys: bool = False
    ) -> None:
        done, self._alive = os.pipe()
        try:
            self._child = subprocess.Popen(
                [*command(f"/proc/self/fd/{fd}", done), *words],
                stdin=None if keys else subprocess.DEVNULL,
                stdout=out,
                pass_fds=(fd, done),
                # What ends the process group is for the relay; the viewer ends when all is shown.
                preexec_fn=ignore_ends,
            )
        except OSError:
            os.close(self._alive)
            raise
        finally:
            os.close(done)

    def close(self, seconds: float, hurry: Callable[[], bool]) -> str:
        """Let it show the rest, unless `hurry` says not to; what is wrong with it, or ""."""
        os.close(self._alive)
        until = time.monotonic() + seconds
        while (code := self._child.poll()) is None:
            if hurry() or time.monotonic() > until:
                return "the viewer has not shown everything yet; it was left running"
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(WAIT_SECONDS)
        return "" if code in FINE else f"the viewer ended with status {code}"


def ignore_ends() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
