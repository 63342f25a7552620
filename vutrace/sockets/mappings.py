"""How a process has mapped memory that it passes: shared with others, or for itself alone."""

import os
import re
from collections.abc import Iterable

from vutrace.records import FdInfo
from vutrace.sockets.process import PROC

LARGEST = 8 << 20  # bytes of a maps file: some ten thousand mappings
LINE = re.compile(r"^[0-9a-f]+-[0-9a-f]+ ..(.)(.) [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) (\d+)", re.MULTILINE)


def mapped(pid: int, infos: Iterable[FdInfo]) -> dict[tuple[int, int], str]:
    """ "shared" or "private" for each file (device, inode) that the process has mapped; none if it may not be
    seen.

    A file with a mapping of each kind is shared: QEMU maps its memory once.
    """
    wanted = {(info.device, info.inode) for info in infos}
    found: dict[tuple[int, int], str] = {}
    for _, kind, major, minor, inode in LINE.findall(maps_of(pid)):
        key = os.makedev(int(major, 16), int(minor, 16)), int(inode)
        if key in wanted and found.get(key) != "shared":
            found[key] = "shared" if kind == "s" else "private"
    return found


def maps_of(pid: int) -> str:
    """A process's mappings; "" where they cannot be read."""
    try:
        with open(f"{PROC}/{pid}/maps", "rb") as file:
            return file.read(LARGEST).decode(errors="replace")
    except OSError:
        return ""
