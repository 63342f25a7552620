"""The log of dirty pages (SET_LOG_BASE): whether who writes to memory says so.

Source: vhost-user.rst, "Migration".
"""

from vutrace.dissection.message import Message
from vutrace.protocol.bits import VIRTIO_FEATURES, bit
from vutrace.protocol.check import asks
from vutrace.records import DirtyLog
from vutrace.rings.held import HeldFd
from vutrace.rings.memory import MOST_BYTES, read
from vutrace.rings.unread import UnreadError
from vutrace.session.context import Context

HANDS_OVER = asks(role="log")
LOG_ALL = bit("VHOST_F_LOG_ALL", VIRTIO_FEATURES)
EVERY_NS = 500_000_000  # between looks
SECOND_MS, MS = 1000, 1_000_000
MOST = 64 << 20  # bytes of a log that are looked at: those of 2 TiB


class LogWatch:
    """Looks at the log that was handed over last; `feed` takes messages, `look` what moved in the rings."""

    def __init__(self) -> None:
        self._fd: HeldFd | None = None
        self._offset = self._size = 0
        self._told: DirtyLog | None = None
        self._moved: int | None = None  # what had moved in the rings when the log was last seen written
        self._since_ns = self._due_ns = 0

    def feed(self, message: Message) -> None:
        """Take a message; its descriptors are held."""
        if not HANDS_OVER(message.spec, message.channel, message.reply):
            return
        self._fd = next((fd for fd in message.frame.fds if isinstance(fd, HeldFd)), None)
        self._offset = message.number_in("mmap_offset") or 0
        self._size = message.number_in("mmap_size") or 0
        self._moved, self._told = None, None

    def look(self, context: Context, moved: int, now_ns: int) -> DirtyLog | None:
        """What is worth a record; so much has `moved` in all rings so far."""
        if self._fd is None or not self._size or not context.has_feature(LOG_ALL):
            self._moved = None
            return None
        if now_ns < self._due_ns:
            return None
        self._due_ns = now_ns + EVERY_NS
        try:
            dirty = bits(self._fd.number, self._offset, min(self._size, MOST))
        except UnreadError:
            return None
        if dirty or self._moved is None:
            self._moved = moved
        if moved == self._moved:
            self._since_ns = now_ns
        found = DirtyLog(self._size, dirty, (now_ns - self._since_ns) // MS)
        known, self._told = self._told, found
        return found if known is None or known.dirty != dirty or is_later(known, found) else None


def is_later(known: DirtyLog, found: DirtyLog) -> bool:
    """Whether another second passed in which the log was not written."""
    return found.unwritten_ms // SECOND_MS > known.unwritten_ms // SECOND_MS


def bits(number: int, offset: int, size: int) -> int:
    """How many are set. Raises UnreadError."""
    count = 0
    for begin in range(0, size, MOST_BYTES):
        length = min(MOST_BYTES, size - begin)
        count += int.from_bytes(read((number, offset + begin), length), "little").bit_count()
    return count
