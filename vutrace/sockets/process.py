"""The process at the other end of a socket, and how many descriptors this one may have."""

import errno
import os
import resource
import socket
import struct

PROC = "/proc"
FEW = 64  # descriptors that a relay with one session needs, and with some that it passes on
LONGEST = 16 * 1024  # what an event's attribute may be; libvirt's QEMU is told more than 4 KiB
CREDENTIALS = struct.Struct("iII")  # pid, uid, gid


def credentials(end: socket.socket) -> tuple[int, int]:
    """Process and user at the other end of a connection; the process is 0 in another pid namespace."""
    told = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    pid, uid, _ = CREDENTIALS.unpack(told)
    return pid, uid


def describe_process(pid: int, uid: int) -> dict[str, str]:
    """A process as an OPEN event names it: pid, uid, name, command; nothing where there is no pid."""
    if not pid:
        return {}
    name = read_proc(pid, "comm").strip()
    return {"pid": str(pid), "uid": str(uid), "name": name, "command": command_of(pid)}


def command_of(pid: int) -> str:
    """A process's command line, its words with spaces between; "" where it cannot be read."""
    return read_proc(pid, "cmdline").rstrip("\0").replace("\0", " ")


def descriptors_readable(pid: int) -> bool:
    """Whether we may see under which numbers a process knows its descriptors."""
    return os.access(f"{PROC}/{pid}/fd", os.R_OK)


def read_proc(pid: int, file: str) -> str:
    """The start of a file of a process in /proc; "" where it cannot be read."""
    try:
        with open(f"{PROC}/{pid}/{file}", "rb") as text:
            return text.read(LONGEST).decode(errors="replace")
    except OSError:
        return ""


def raise_descriptor_limit() -> None:
    """As many descriptors as the system lets us have; OSError where no session could be had with them.

    253 in one message, of several connections at once, or four eventfds for each of 256 rings are more than
    the usual soft limit has room for.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < FEW:
        raise OSError(errno.EMFILE, f"{hard} open files, and {FEW} are the least")
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
