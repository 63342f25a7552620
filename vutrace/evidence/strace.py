"""What strace saw of one end: `strace -f -yy -xx -s 65536 -ttt -e trace=…` of either."""

import re
from collections.abc import Iterable, Iterator

from vutrace.evidence.conversations import Conversations, Item, SeenBytes
from vutrace.evidence.errors import EvidenceError
from vutrace.evidence.strace_lines import Call, Lines
from vutrace.evidence.strace_words import PATH, STRING, Socket, buffers, passed, socket_of, string

CALLS = (
    "sendmsg", "recvmsg", "read", "write", "readv", "writev", "sendto", "recvfrom",
    "socket", "connect", "accept", "accept4", "close",
)  # fmt: skip
"""The calls that are read; more in a file are skipped."""
SENT = {"sendmsg", "write", "writev", "sendto"}
RECEIVED = {"recvmsg", "read", "readv", "recvfrom"}
FIRST_STRING = re.compile(rf"^\d+(?:<.*?>)?, ({STRING})", re.DOTALL)
SOURCE = "strace"
MOST = 64 << 20  # bytes of one call; no message is sent in larger pieces


class StraceReader:
    """Takes the lines of strace one by one and gives what they bring; counts its calls and messages."""

    def __init__(self) -> None:
        self._found, self._lines = Conversations(SOURCE), Lines()

    @property
    def calls(self) -> int:
        """How many system calls there were."""
        return self._lines.count

    @property
    def messages(self) -> int:
        """How many vhost-user messages were among them."""
        return self._found.found

    def take(self, line: str) -> Iterator[Item]:
        """What a line brings."""
        for call in self._lines.calls([line]):
            yield from items_of(call, self._found)


def read_strace(lines: Iterable[str]) -> Iterator[Item]:
    """The messages in the output of strace; EvidenceError where there is no call in it, or no message."""
    reader = StraceReader()
    for line in lines:
        yield from reader.take(line)
    if not reader.calls:
        raise EvidenceError("no line of it is a system call as strace writes it")
    if not reader.messages:
        raise EvidenceError(NOTHING.format(calls=reader.calls))


NOTHING = (
    "{calls} system calls, and no vhost-user message among them; "
    "strace -f -yy -xx -s 65536 -e trace=" + ",".join(CALLS) + " sees them"
)


def items_of(call: Call, found: Conversations) -> Iterator[Item]:
    """What one call brings."""
    name = call.name
    if name in SENT or name in RECEIVED:
        yield from transferred(call, found)
    elif name in ("accept", "accept4") and call.result >= 0:
        made = socket_of(f"{call.result}{call.told}")
        if made:
            found.began(made)
    elif name == "connect" and call.result == 0:
        made, path = socket_of(call.arguments), PATH.search(call.arguments)
        if made:
            found.began(Socket(made.own, made.peer, string(path[1]).decode(errors="replace") if path else ""))
    elif name == "close" and call.result == 0:
        closed = socket_of(call.arguments)
        if closed:
            yield from found.ended(call.time_ns, closed, by_us=True)


def transferred(call: Call, found: Conversations) -> Iterator[Item]:
    """Bytes that passed; a call that received none tells that the other end has closed."""
    socket = socket_of(call.arguments)
    if socket is None or not 0 <= call.result <= MOST or "MSG_PEEK" in call.arguments:
        return
    if call.result == 0:
        if call.name in RECEIVED:
            yield from found.ended(call.time_ns, socket, by_us=False)
        return
    data = payload_of(call)[: call.result]
    yield from found.take(
        SeenBytes(
            call.time_ns,
            socket,
            call.name in SENT,
            data,
            call.result - len(data),
            passed(call.arguments),
            "MSG_CTRUNC" in call.arguments,
            call.pid,
        )
    )


def payload_of(call: Call) -> bytes:
    """The bytes that a call wrote or read, as far as strace wrote them out."""
    if "iov_base=" in call.arguments:
        return buffers(call.arguments)[0]
    found = FIRST_STRING.match(call.arguments)
    return string(found[1]) if found else b""
