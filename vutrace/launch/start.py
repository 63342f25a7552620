"""The program itself: it gets the terminal, the signals and the descriptors that vutrace was started with."""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import NoReturn

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
PR_SET_PDEATHSIG = 1


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

        self._process = subprocess.Popen(command, close_fds=False, preexec_fn=prepare)
        self.fd = os.pidfd_open(self._process.pid)
        threading.Thread(target=self._forward, name="signals", daemon=True).start()

    def _forward(self) -> None:
        while True:
            told = signal.sigwaitinfo(FORWARDED)
            if told.si_code != FROM_KERNEL:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._process.pid, told.si_signo)

    def status(self) -> int:
        """Wait until it has ended; its exit status, or 128 and the number of the signal that ended it."""
        code = self._process.wait()
        return code if code >= 0 else 128 - code


def become(command: Sequence[str], instead: Mapping[int, socket.socket]) -> NoReturn:
    """Be the program from now on; OSError where it cannot be started."""
    put_instead(instead)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the interpreter ignores it
    os.execvp(command[0], list(command))


def put_instead(instead: Mapping[int, socket.socket]) -> None:
    """Have other sockets under the numbers of those that were inherited."""
    for number, end in instead.items():
        os.dup2(end.fileno(), number, inheritable=True)
