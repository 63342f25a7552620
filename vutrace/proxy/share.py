"""A child process that shares this one's table of descriptors, instead of getting a copy of it.

What is passed to us has to be looked at and closed, and both may hang for as long as a file system likes,
beyond any signal; a process that holds such a descriptor cannot even exit. A child that shares the table can
do both for us: it hangs alone. A thread would not do (the process ends only after its last thread), and
neither would a child with a copy (our own copies would have to be closed all the same).
"""

import contextlib
import ctypes
import fcntl
import gc
import os
import platform
import resource
import signal
from collections.abc import Callable
from typing import NoReturn

CLONE_FILES = 0x400
CLONE3 = 435  # the same number everywhere; containers may refuse it, hence the older call below
CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220, "loongarch64": 220, "ppc64le": 120, "i686": 120}
ROOM = 1 << 14  # descriptors that the table has room for from the beginning
Arguments = ctypes.c_uint64 * 8  # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, ...
libc = ctypes.PyDLL(None, use_errno=True)  # PyDLL: other threads of Python stand still meanwhile


def fork(run: Callable[[], None]) -> int:
    """Start a child that calls `run` and ends; its pid. OSError where the system has no room for one.

    No finalizer of what the child inherited may ever run in it: it would close descriptors of ours. So
    garbage is gone before, what is left is never collected, and the child leaves without tidying up.
    """
    widen()
    gc.collect()
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = clone()
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        live(run)
    error = ctypes.get_errno()
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(error, f"no process for the recording: {os.strerror(error)}")
    return pid


def widen() -> None:
    """Make room in the table while nobody shares it: to double one that is shared takes 10 to 20 ms."""
    last = min(ROOM, resource.getrlimit(resource.RLIMIT_NOFILE)[0]) - 1
    fd = os.eventfd(0, os.EFD_CLOEXEC)
    with contextlib.suppress(OSError):
        os.close(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, last))
    os.close(fd)


def clone() -> int:
    arguments = Arguments(CLONE_FILES, 0, 0, 0, signal.SIGCHLD)
    pid: int = libc.syscall(CLONE3, ctypes.byref(arguments), ctypes.c_size_t(ctypes.sizeof(arguments)))
    if pid >= 0 or platform.machine() not in CLONE:
        return pid
    nothing = ctypes.c_void_p(None)
    flags = ctypes.c_ulong(CLONE_FILES | signal.SIGCHLD)
    older: int = libc.syscall(CLONE[platform.machine()], flags, nothing, nothing, nothing, nothing)
    return older


def live(run: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        gc.freeze()
        # A terminal's ^C and a service manager's SIGTERM reach the child too; it ends when its parent does.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        run()
        code = 0
    finally:
        os._exit(code)
