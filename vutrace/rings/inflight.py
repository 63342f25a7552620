"""The buffer of requests in flight (SET_INFLIGHT_FD), held against the ring.

Source: vhost-user.rst, "Inflight I/O tracking". A back-end marks a request when it takes it, and takes the
mark away after it has given the request back: never are more marked than are in flight.
"""

import struct
from typing import NamedTuple

from vutrace.dissection.message import Message
from vutrace.protocol.check import asks
from vutrace.rings.held import HeldFd
from vutrace.rings.memory import MOST_BYTES, read
from vutrace.rings.unread import UnreadError

HANDS_OVER = asks(role="inflight")
# features, version, number of descriptors, then: last batch, used index; or two free heads, two used indexes
SPLIT, PACKED = struct.Struct("<QHHHH"), struct.Struct("<QHHHHHH12x")
SPLIT_ENTRY, PACKED_ENTRY = 16, 32  # bytes, of which the first is the mark


class InflightMarks(NamedTuple):
    """How many requests of a ring are marked, and the used index as it was written down."""

    marked: int
    used: int


class InflightBuffer:
    """The buffer that the back-end has; nothing is known before it was handed over."""

    def __init__(self) -> None:
        self._fd: HeldFd | None = None
        self._offset = self._stride = self._rings = 0

    def feed(self, message: Message) -> None:
        """Take a message; its descriptors are held."""
        if not HANDS_OVER(message.spec, message.channel, message.reply):
            return
        self._fd = next((fd for fd in message.frame.fds if isinstance(fd, HeldFd)), None)
        self._rings = message.number_in("num_queues") or 0
        self._offset = message.number_in("mmap_offset") or 0
        self._stride = (message.number_in("mmap_size") or 0) // max(1, self._rings)

    def marks(self, ring: int, size: int, packed: bool) -> InflightMarks | None:
        """What is written down of a ring; None where nothing is: a back-end that uses it sets its version."""
        form, entry = (PACKED, PACKED_ENTRY) if packed else (SPLIT, SPLIT_ENTRY)
        length = form.size + entry * size
        if self._fd is None or ring >= self._rings or length > min(self._stride, MOST_BYTES):
            return None
        try:
            data = read((self._fd.number, self._offset + self._stride * ring), length)
        except UnreadError:
            return None
        _, version, count, *_, used = form.unpack_from(data)
        if not version or count != size:
            return None
        states = data[form.size :: entry]
        return InflightMarks(size - states.count(0), used)
