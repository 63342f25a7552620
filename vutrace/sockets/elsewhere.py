"""What a socket is called where another process lives: in a chroot, a container, a mount namespace."""

import os
import re

from vutrace.sockets.process import PROC

NAMES = re.compile(r"[^\s,=\"'{}]*/[^\s,=\"'{}:]+")
MOST = 64  # names of a command line that are looked at


def called_there(pid: int, command: str, path: str) -> str:
    """The name by which a process's command line has the socket at `path`.

    "" where it has this very name or none, and where we may not look: that needs the right to trace it.
    """
    try:
        ours = os.stat(path)
    except (OSError, ValueError):
        return ""
    names = dict.fromkeys(NAMES.findall(command))
    if path in names:
        return ""
    return next((name for name in list(names)[:MOST] if is_file(place(pid, name), ours)), "")


def place(pid: int, name: str) -> str:
    """Where the file is for us that a process calls so."""
    return f"{PROC}/{pid}/{'root' if name.startswith('/') else 'cwd'}/{name.lstrip('/')}"


def is_file(path: str, file: os.stat_result) -> bool:
    """Whether a path leads to a file that is known."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return False
    return (found.st_dev, found.st_ino) == (file.st_dev, file.st_ino)
