"""A conversation as a program: some Python that sends it to a back-end, with vutrace's model peers."""

from collections.abc import Iterator, Sequence

from vutrace.dissection.message import Message
from vutrace.records import FdInfo, FdKind
from vutrace.replay.descriptors import MEMORY, needed
from vutrace.replay.script import Exchange

HEAD = '''"""{told}

python3 {name} SOCKET
"""

import os
import socket
import sys

from vutrace.peers import PeerConnection
from vutrace.records import Side


def memory(size: int) -> int:
    """A memfd of so many bytes."""
    fd = os.memfd_create("memory")
    os.ftruncate(fd, size)
    return fd


end = socket.socket(socket.AF_UNIX)
end.connect(sys.argv[1])
peer = PeerConnection(end, Side.BACKEND)
'''


def program(chosen: Sequence[Exchange], told: str, name: str) -> str:
    """The whole text; `told` is its first line, `name` what the file is called."""
    return (
        HEAD.format(told=told, name=name) + "".join(f"{line}\n" for line in lines(chosen)) + "peer.close()\n"
    )


def lines(chosen: Sequence[Exchange]) -> Iterator[str]:
    """A comment and a call for each message, and a wait for each reply that was recorded."""
    for exchange in chosen:
        message = exchange.message
        data = message.frame.data
        values = ", ".join(f"{field}={value!r}" for field, value in message.fields.items())
        yield f"# {message.name} {values[:80]}".rstrip()
        fds = ", ".join(made(message, place, info) for place, info in enumerate(message.frame.fds))
        yield f'peer.send(bytes.fromhex("{data.hex(" ", 4)}"), [{fds}], "{message.name}")'
        if exchange.reply:
            yield f'peer.receive("the reply to {message.name}", timeout=5)'


def made(message: Message, place: int, info: FdInfo) -> str:
    """A descriptor as the program makes it."""
    size = needed(message, place)
    if info.kind in MEMORY or size:
        return f"memory({max(size, info.size or 0)})"
    return "os.eventfd(0)" if info.kind is FdKind.EVENTFD else 'os.open("/dev/null", os.O_RDWR)'
