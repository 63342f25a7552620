"""The file beside a socket whose place was taken: who has it, and which file is whose.

It is locked for as long as the vutrace that made it runs, so that nobody takes a dead one for a living one.
"""

import errno
import fcntl
import json
import os
import time
from dataclasses import dataclass

from vutrace.sockets.process import read_proc

PATIENCE = 3.0  # seconds for what is left of a vutrace that was killed: its recording process
LONGEST = 4096

FileMark = tuple[int, int, int]
"""Device, inode and time of making: a number that was free again does not make another file this one."""


def mark_of(path: str) -> FileMark | None:
    """What identifies the file at a path; None where there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


@dataclass(frozen=True, slots=True)
class Record:
    """Which socket file is vutrace's, and which is that of whoever listened before; the pid of vutrace."""

    pid: int = 0
    ours: FileMark | None = None
    theirs: FileMark | None = None


NOTHING_TAKEN = Record()


class Marker:
    """The marker at `path`, made and locked; `found` is what it said before. OSError where it cannot be."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = open_locked(path)
        self.found = parse(os.pread(self._fd, LONGEST, 0))

    def write(self, record: Record) -> None:
        """Say who has the place; in one step."""
        words = {"pid": record.pid, "ours": record.ours, "theirs": record.theirs}
        text = json.dumps(words).encode().ljust(256) + b"\n"
        os.pwrite(self._fd, text, 0)

    def remove(self) -> None:
        """Nobody has the place."""
        os.unlink(self._path)
        self.close()

    def close(self) -> None:
        """Leave it as it is, for another vutrace to find."""
        os.close(self._fd)


def open_locked(path: str) -> int:
    until = time.monotonic() + PATIENCE
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if same_file(fd, path):
                refuse_strangers(fd, path)
                return fd
        except BlockingIOError:
            refuse(fd, time.monotonic() > until)
        os.close(fd)
        time.sleep(0.02)


def refuse_strangers(fd: int, path: str) -> None:
    """OSError where whoever made it has no say here: what it tells would be believed."""
    trusted = {0, os.geteuid(), os.stat(os.path.dirname(path)).st_uid}
    if (uid := os.fstat(fd).st_uid) not in trusted:
        os.close(fd)
        raise OSError(errno.EPERM, f"{path} was made by user {uid}: remove it")


def refuse(fd: int, late: bool) -> None:
    """OSError where it is held by a vutrace that runs, or by what is left of one for too long."""
    pid = parse(os.pread(fd, LONGEST, 0)).pid
    if late or (pid and read_proc(pid, "comm")):
        os.close(fd)
        words = f"another vutrace (process {pid}) has its place" if pid else "another vutrace starts here"
        raise OSError(errno.EBUSY, words)


def read_marker(path: str) -> Record:
    """What a marker says, whoever has locked it; OSError where there is none."""
    with open(path, "rb") as file:
        return parse(file.read(LONGEST))


def same_file(fd: int, path: str) -> bool:
    """Whether the file that was locked still has its name: its vutrace may have removed it meanwhile."""
    found, opened = mark_of(path), os.fstat(fd)
    return found is not None and found[:2] == (opened.st_dev, opened.st_ino)


def parse(text: bytes) -> Record:
    """What a marker says; nothing where it was not written yet."""
    try:
        words = json.loads(text)
        ours, theirs = (tuple(words[key]) if words[key] else None for key in ("ours", "theirs"))
        return Record(int(words["pid"]), ours, theirs)
    except (ValueError, KeyError, TypeError):
        return NOTHING_TAKEN
