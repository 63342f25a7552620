"""The program itself: it gets the terminal, the signals and the descriptors that vutrace was started with."""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

from vutrace.sockets.fate import open_process, status_of
from vutrace.sockets.process import PROC, command_of, read_proc

FROM_KERNEL = 0x80  # SI_KERNEL: a key on the terminal, which sends to all of its processes
FORWARDED = {
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
}
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


class Surroundings:
    """What a program is started in, as it was when this was made; signals then wait for the program."""

    def __init__(self) -> None:
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._parent = os.getpid()
        self._libc = ctypes.CDLL(None)

    def enter(self) -> None:
        """Be in them, in a new process, which ends when vutrace is killed."""
        self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._parent:  # it was killed meanwhile
            os.kill(os.getpid(), signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_NOFILE, self._files)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)


class StartedProgram:
    """A running program; `fd` becomes readable when it has ended. OSError where it cannot be started.

    Signals that come to vutrace go to the program from now on, those of a terminal's keys excepted, which it
    gets by itself. It is killed when vutrace is.
    """

    def __init__(
        self, command: Sequence[str], instead: Mapping[int, socket.socket], surroundings: Surroundings
    ) -> None:
        def prepare() -> None:
            put_instead(instead)
            surroundings.enter()

        self._others = set(children())  # of whoever became vutrace
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._process = subprocess.Popen(command, close_fds=False, preexec_fn=prepare)
        self.fd = os.pidfd_open(self._process.pid)
        threading.Thread(target=self._forward, name="signals", daemon=True).start()

    def _forward(self) -> None:
        while True:
            told = signal.sigwaitinfo(FORWARDED)
            if told.si_code != FROM_KERNEL:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._process.pid, told.si_signo)

    def in_background(self) -> int:
        """A process that the program left behind when it ended, as a descriptor; -1 where there is none."""
        self._process.poll()
        left = (pid for pid in children() if pid not in self._others)
        pid = next((pid for pid in left if not is_ours(pid) and has_not_ended(pid)), 0)
        return open_process(pid) if pid else -1

    def status(self) -> int:
        """Wait until it has ended; its exit status, or 128 and the number of the signal that ended it."""
        code = self._process.wait()
        return code if code >= 0 else 128 - code


def children() -> Iterator[int]:
    """Processes that are this one's."""
    for task in os.listdir(f"{PROC}/self/task"):
        yield from map(int, read_proc(os.getpid(), f"task/{task}/children").split())


def is_ours(pid: int) -> bool:
    """Whether a process is vutrace's: what records has the same command line, what shows is vutrace, too."""
    command = command_of(pid)
    return command == command_of(os.getpid()) or command.startswith(f"{sys.executable} -m vutrace ")


def has_not_ended(pid: int) -> bool:
    status = status_of(pid)
    return status is not None and status.state not in "ZX"


def become(command: Sequence[str], instead: Mapping[int, socket.socket]) -> NoReturn:
    """Be the program from now on; OSError where it cannot be started."""
    put_instead(instead)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the interpreter ignores it
    os.execvp(command[0], list(command))


def put_instead(instead: Mapping[int, socket.socket]) -> None:
    """Have other sockets under the numbers of those that were inherited."""
    for number, end in instead.items():
        os.dup2(end.fileno(), number, inheritable=True)
