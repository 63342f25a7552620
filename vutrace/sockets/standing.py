"""Who has a socket before vutrace takes its place: who listens, who is connected, and who comes back."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vutrace.records import Side
from vutrace.session.command_line import CHARDEV, Word, base, program_of, words_of
from vutrace.sockets.process import command_of
from vutrace.sockets.socket_table import SocketHolder, holders, neighbours

RESTART = "restart it, so that it connects again"


@dataclass(frozen=True, slots=True)
class Program:
    """A process at one end of a socket, the descriptor that it has of it, and the socket's inode."""

    pid: int
    fd: int
    inode: int
    command: str

    def __str__(self) -> str:
        return f"{program_of(self.command)} (process {self.pid})"


@dataclass(frozen=True, slots=True)
class StandingConnection:
    """A connection by a socket's file: who accepted it and who made it; None where that may not be seen."""

    accepted: Program | None
    connected: Program | None


@dataclass(frozen=True, slots=True)
class Before:
    """How things stand at a socket: who listens (None: not to be seen), and the connections."""

    path: str
    listener: Program | None
    connections: tuple[StandingConnection, ...]

    def lines(self, side: Side, breaks: bool) -> Iterator[str]:
        """What there is to say of it; `side` listens, `breaks` tells whether the connections are ended."""
        who = (
            f"{self.listener} listens there"
            if self.listener
            else "somebody listens there, whom this user may not see"
        )
        yield f"{self.path}: {who}, taken for the {side.words}; vutrace has its place until it ends"
        for each in self.connections:
            yield f"{self.path}: {said(each, self.path, side.peer, breaks)}"


def before(file: str, path: str) -> Before:
    """How things stand at a socket file, which programs know as `path`."""
    found = neighbours(file)
    inodes = {*found.listening, *(inode for ends in found.connections for inode in ends)}
    programs = {inode: program(each, inode) for inode, each in holders(inodes).items()} if inodes else {}
    listener = next((programs[inode] for inode in found.listening if inode in programs), None)
    ends = tuple(
        StandingConnection(programs.get(one), programs.get(other)) for one, other in found.connections
    )
    return Before(path, listener, ends)


def program(holder: SocketHolder, inode: int) -> Program:
    return Program(holder.pid, holder.fd, inode, command_of(holder.pid))


def side_of(listener: Program | None, path: str) -> Side:
    """Which side whoever listens is: the back-end, unless its command line makes it a front-end."""
    command = listener.command if listener else ""
    virtio_user = rf"virtio_user\S*path=\S*{re.escape(base(path))}(?![\w.-])"
    machine = re.match(MACHINES, program_of(command))
    return Side.FRONTEND if machine or re.search(virtio_user, command) else Side.BACKEND


MACHINES = r"qemu-(system|kvm)|kvm$|cloud-hypervisor|crosvm"
"""Programs that run guests: front-ends, whatever else they have."""


def said(standing: StandingConnection, path: str, side: Side, breaks: bool) -> str:
    """What happens to a connection, in words; `side` made it."""
    if not (maker := standing.connected):
        return "a connection stands, and goes past vutrace until it is made anew"
    if breaks:
        return f"the connection of {maker} is ended: it {comes_back(maker.command, path)}"
    how = comes_back(maker.command, path)
    return f"the connection of {maker} stands, past vutrace: it {how}{BREAK if 'by itself' in how else ''}"


BREAK = " (--break ends it)"


def comes_back(command: str, path: str) -> str:
    """Whether a program connects again when its connection has ended, or what to do."""
    name = program_of(command)
    how = next((told for pattern, told in HABITS if re.match(pattern, name)), None)
    return how(words_of(command), path) if how else RESTART


def qemu(words: tuple[Word, ...], path: str) -> str:
    """QEMU does as its chardev says."""
    chardevs = (word for word in words if word.option in CHARDEV)
    ours = [word for word in chardevs if base(word.values.get("path", "")) == base(path)]
    for key in ("reconnect", "reconnect-ms"):
        if any(word.values.get(key, "0") != "0" for word in ours):
            return f"connects again by itself ({key}={ours[0].values[key]})"
    return (
        "was started without reconnect=, and does not connect again: restart it, or remove and add its device"
    )


def dpdk(words: tuple[Word, ...], _path: str) -> str:
    """DPDK's back-end connects again, its front-end does not."""
    client = any("vhost" in word.text and word.values.get("client") == "1" for word in words)
    return BY_ITSELF if client else "does not connect again: restart it"


BY_ITSELF = "connects again by itself"
HABITS: tuple[tuple[str, Callable[[tuple[Word, ...], str], str]], ...] = (
    (r"qemu-(system|kvm)|kvm$", qemu),
    (r"dpdk-|testpmd", dpdk),
    (r"ovs-vswitchd|cloud-hypervisor", lambda _words, _path: BY_ITSELF),
)
