"""Ending a connection of two other processes, so that they make it anew: shutdown on a copy of one end."""

import contextlib
import ctypes
import os
import re
import socket

from vutrace.records import Side
from vutrace.session.command_line import about, program_of
from vutrace.sockets.fate import open_process
from vutrace.sockets.standing import Program, StandingConnection, comes_back

PIDFD_GETFD = 438  # the same number everywhere
STANDS_STILL = "its device stands still until the connection is back"
# What a front-end's guest sees while there is no connection, by the words that speak of the device.
GUEST_SEES = (
    (r"vhost-user-fs", "its file system hangs, and stays so: QEMU does not take up vhost-user-fs again"),
    (
        r"vhost-user-(blk|scsi)",
        "its requests wait; those in flight are repeated if INFLIGHT_SHMFD was agreed",
    ),
    (
        r"netdev|virtio_user|virtio-net|net_vhost",
        "its link goes down and up again; packets meanwhile are lost",
    ),
)
FOR_GOOD = "the guest loses this device: "


def guest_sees(standing: StandingConnection, path: str, listener: Side) -> str:
    """What the guest will see of it when a connection is ended, in words."""
    front = standing.accepted if listener is Side.FRONTEND else standing.connected
    if maker := standing.connected:
        how = comes_back(maker.command, path)
        if "by itself" not in how:
            return f"{FOR_GOOD}{maker} {how}"
    said = " ".join(f"{word.option} {word.text}" for word in about(front.command, path)) if front else ""
    what = next((words for pattern, words in GUEST_SEES if re.search(pattern, said)), STANDS_STILL)
    return f"the guest of {front or 'a process that may not be seen'}: {what}"


def end_connection(standing: StandingConnection) -> str:
    """End it; whose end was shut down, in words. OSError where neither process lets us."""
    trouble = OSError(0, "both processes are hidden (run vutrace as root)")
    for program in filter(None, (standing.connected, standing.accepted)):
        try:
            shut_down(program)
        except OSError as error:
            trouble = error
        else:
            return f"the connection of {program_of(program.command)} (process {program.pid}) was ended"
    raise trouble


def shut_down(program: Program) -> None:
    """End the connection that a process has; OSError where it may not be, or where it is another by now."""
    pidfd = open_process(program.pid)
    try:
        copy = copy_of(pidfd, program.fd)
        with contextlib.closing(socket.socket(fileno=copy)) as end:
            if os.fstat(copy).st_ino != program.inode:
                raise OSError(0, "it has ended already")
            end.shutdown(socket.SHUT_RDWR)
    finally:
        if pidfd >= 0:
            os.close(pidfd)


def copy_of(pidfd: int, fd: int) -> int:
    """A descriptor of ours of what another process has; OSError where that is forbidden."""
    libc = ctypes.CDLL(None, use_errno=True)
    copy: int = libc.syscall(PIDFD_GETFD, pidfd, fd, 0)
    if copy < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{os.strerror(code)} (run vutrace as root)")
    os.set_inheritable(copy, False)
    return copy
