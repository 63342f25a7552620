"""What has become of a process, as the kernel tells it: it runs, is stopped, waits, or how it ended."""

import contextlib
import errno
import fcntl
import os
import select
import struct
from typing import NamedTuple

from vutrace.sockets.process import read_proc

# struct pidfd_info of linux/pidfd.h in its first version; the exit status since Linux 6.15.
INFO = struct.Struct("=QQ11Ii")
GET_INFO = 3 << 30 | INFO.size << 16 | 0xFF << 8 | 11
EXIT_INFO = 1 << 3
EXITING = 4  # PF_EXITING
EXIT_SECONDS = 0.05  # from closing its descriptors to its end


class ProcessState(NamedTuple):
    """The parts of /proc/PID/stat that are of interest; `code` is the wait status, 0 where it is hidden."""

    state: str
    exiting: bool
    code: int


def open_process(pid: int) -> int:
    """A descriptor of a process, which no other one takes the place of; -1 where there is none."""
    with contextlib.suppress(OSError, ValueError):
        return os.pidfd_open(pid)
    return -1


def fate(pid: int, pidfd: int, patience: float = EXIT_SECONDS) -> str:
    """What a process does now: "running", "stopped", "killed 9", "exited 1", "gone"; "" where nobody knows.

    One that is about to end is waited for, so many seconds.
    """
    if pidfd < 0:
        return ""
    status = status_of(pid)
    if status and status.exiting:
        has_ended(pidfd, patience)
    if status is None or status.exiting or has_ended(pidfd, 0):
        return ended(pid, pidfd)
    return "stopped" if status.state in "Tt" else "running"


def ended(pid: int, pidfd: int) -> str:
    """How a process ended."""
    code = exit_code(pidfd)
    if code is None:
        status = status_of(pid)
        code = status.code if status and status.exiting and status.state in "ZX" else None
    if code is None:
        return "gone"
    return (
        f"killed {os.WTERMSIG(code)}" if os.WIFSIGNALED(code) else f"exited {os.waitstatus_to_exitcode(code)}"
    )


def exit_code(pidfd: int) -> int | None:
    """The wait status of a process that was waited for; None where the kernel does not tell."""
    answer = bytearray(INFO.pack(EXIT_INFO, *[0] * 13))
    try:
        fcntl.ioctl(pidfd, GET_INFO, answer)
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL, errno.ESRCH):
            return None
        raise
    told, *_, code = INFO.unpack(answer)
    return int(code) if told & EXIT_INFO else None


def status_of(pid: int) -> ProcessState | None:
    """What /proc tells of a process; None where it is not there."""
    fields = read_proc(pid, "stat").rpartition(")")[2].split()
    if len(fields) < 50:
        return None
    return ProcessState(fields[0], bool(int(fields[6]) & EXITING), int(fields[49]))


def doing(pid: int, pidfd: int) -> str:
    """What the kernel says of a process that owes something: "is stopped", "waits in …", "is gone"."""
    now = fate(pid, pidfd, 0)
    if now == "running":
        where = read_proc(pid, "wchan").strip("0")
        status = status_of(pid)
        waits = f"waits in {where}" if where else "waits in the kernel"
        return "is busy" if status and status.state == "R" else waits
    words = {"stopped": "is stopped (T)", "gone": "is gone", "": ""}
    return words.get(now, f"is gone: {now}")


def has_ended(pidfd: int, patience: float) -> bool:
    """Whether the process has ended, or does so within `patience` seconds."""
    poll = select.poll()  # select takes no descriptor above 1023
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(patience * 1000))
