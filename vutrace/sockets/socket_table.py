"""The kernel's table of Unix sockets (sock_diag): who listens at a file, and which connections came by it.

Nothing is connected to for that, and it is open to every user; it has this network namespace only.
"""

import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from vutrace.sockets.process import PROC

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY = 4, 20
DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
DONE, FAILURE = 3, 2
SHOW_FILE_AND_PEER = 2 | 4
FILE, PEER = 1, 2  # attributes: the socket's file, the inode of the socket at the other end
ESTABLISHED, LISTENING = 1, 10
HEADER = struct.Struct("=IHHII")
REQUEST = struct.Struct("=BBHIIIII")
SOCKET = struct.Struct("=BBBBIII")
ATTRIBUTE = struct.Struct("=HH")
MINOR_BITS = 20  # of a device in the kernel's own numbers


class UnixSocket(NamedTuple):
    """A socket: its inode, state, its file (device and the low half of the inode), its peer's inode."""

    inode: int
    state: int
    file: tuple[int, int] | None
    peer: int


class SocketHolder(NamedTuple):
    """A process that has a socket, and under which number."""

    pid: int
    fd: int


class Neighbours(NamedTuple):
    """Inodes: those that listen at a file, and for each connection the accepted end and the other one."""

    listening: tuple[int, ...] = ()
    connections: tuple[tuple[int, int], ...] = ()


def neighbours(path: str) -> Neighbours:
    """Who listens at the socket file, and who has connected by it; nothing where the kernel does not tell."""
    try:
        status = os.lstat(path)
        file = status.st_dev, status.st_ino & 0xFFFFFFFF
        here = [each for each in all_sockets() if each.file == file]
    except OSError:
        return Neighbours()
    listening = tuple(each.inode for each in here if each.state == LISTENING)
    ends = tuple((each.inode, each.peer) for each in here if each.state == ESTABLISHED and each.peer)
    return Neighbours(listening, ends)


def all_sockets() -> Iterator[UnixSocket]:
    """Every Unix socket; OSError where they are not told."""
    request = REQUEST.pack(
        socket.AF_UNIX,
        0,
        0,
        1 << ESTABLISHED | 1 << LISTENING,
        0,
        SHOW_FILE_AND_PEER,
        ~0 & 0xFFFFFFFF,
        ~0 & 0xFFFFFFFF,
    )
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as table:
        table.send(HEADER.pack(HEADER.size + len(request), SOCK_DIAG_BY_FAMILY, DUMP, 1, 0) + request)
        while True:
            for kind, body in messages(table.recv(1 << 18)):
                if kind == DONE:
                    return
                if kind == FAILURE:
                    raise OSError(-struct.unpack_from("=i", body)[0], "no sock_diag")
                yield parse(body)


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The type and body of each netlink message."""
    at = 0
    while at + HEADER.size <= len(data):
        size, kind, *_ = HEADER.unpack_from(data, at)
        yield kind, data[at + HEADER.size : at + size]
        at += max(HEADER.size, size + 3 & ~3)


def parse(body: bytes) -> UnixSocket:
    _, _, state, _, inode, _, _ = SOCKET.unpack_from(body)
    found = dict(attributes(body[SOCKET.size :]))
    file = None
    if FILE in found:
        number, device = struct.unpack("=II", found[FILE][:8])
        file = os.makedev(device >> MINOR_BITS, device & (1 << MINOR_BITS) - 1), number
    peer = struct.unpack("=I", found[PEER][:4])[0] if PEER in found else 0
    return UnixSocket(inode, state, file, peer)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The number and value of each netlink attribute."""
    at = 0
    while at + ATTRIBUTE.size <= len(data):
        size, kind = ATTRIBUTE.unpack_from(data, at)
        yield kind, data[at + ATTRIBUTE.size : at + size]
        at += max(ATTRIBUTE.size, size + 3 & ~3)


def holders(inodes: set[int]) -> dict[int, SocketHolder]:
    """A process for each socket, of those whose descriptors we may see."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[int, SocketHolder] = {}
    for pid in filter(str.isdecimal, os.listdir(PROC)):
        if len(found) == len(inodes):
            break
        for link, fd in descriptors_of(int(pid)):
            if link in wanted:
                found.setdefault(wanted[link], SocketHolder(int(pid), fd))
    return found


def descriptors_of(pid: int) -> Iterator[tuple[str, int]]:
    """What each descriptor of a process is; nothing where they may not be seen."""
    try:
        for name in os.listdir(f"{PROC}/{pid}/fd"):
            yield os.readlink(f"{PROC}/{pid}/fd/{name}"), int(name)
    except OSError:
        return
