"""The words everyone shares: what a capture holds, before anybody gives it meaning.

A record is either a `Frame` (one message, byte for byte as it was on the wire, with what its file
descriptors were) or an `Event` (a connection opened, closed, failed, or something worth a note).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntFlag, StrEnum
from typing import NamedTuple


class Side(StrEnum):
    """Who sent it. The spec's "front-end" (QEMU, virtio-user) and "back-end" (DPDK, virtiofsd)."""

    FRONTEND = "frontend"
    BACKEND = "backend"

    @property
    def peer(self) -> "Side":
        """The other side."""
        return Side.BACKEND if self is Side.FRONTEND else Side.FRONTEND

    @property
    def words(self) -> str:
        """As the spec writes it."""
        return "front-end" if self is Side.FRONTEND else "back-end"


class Channel(StrEnum):
    """Which socket: the main one, the one SET_BACKEND_REQ_FD passed, or GPU_SET_SOCKET's."""

    MAIN = "main"
    BACKEND = "backend"
    GPU = "gpu"

    @property
    def words(self) -> str:
        """As people write it."""
        return {"main": "main channel", "backend": "back-end channel", "gpu": "GPU channel"}[self]


class FdKind(StrEnum):
    """What a passed descriptor refers to."""

    EVENTFD = "eventfd"
    MEMFD = "memfd"
    FILE = "file"
    HUGETLBFS = "hugetlbfs"
    SOCKET = "socket"
    PIPE = "pipe"
    USERFAULTFD = "userfaultfd"
    DMABUF = "dmabuf"
    OTHER = "other"
    UNKNOWN = "unknown"  # a log told that one came, and not of what


class FrameFlag(IntFlag):
    """What the relay knows about a frame that its bytes do not tell."""

    NONE = 0
    CUT = 1  # larger than the record bound: streamed through, only its head is kept
    PARTIAL = 2  # the sender closed before the message was whole
    FDS_LOST = 4  # the kernel truncated the ancillary data (MSG_CTRUNC)
    RAW = 8  # framing is lost: bytes as they came, not one message
    # What the source of an import did not tell. What stands in its place is no fact, and not to be shown.
    FLAGS_UNKNOWN = 16  # of the header's flags only the version and REPLY are known
    PAYLOAD_UNKNOWN = 32  # of the payload only the bytes in `known`; without wire size not its length
    FDS_UNKNOWN = 64  # descriptors beyond those that are described may have come
    REPLY_UNKNOWN = 128  # whether it was answered: the source has no such replies
    TIME_UNKNOWN = 256  # the time only gives the order

    @property
    def unknown(self) -> "FrameFlag":
        """Those that say that something is not known."""
        return self & UNKNOWN if self else self


UNKNOWN_WORDS = {
    FrameFlag.FLAGS_UNKNOWN: "flags",
    FrameFlag.PAYLOAD_UNKNOWN: "payload",
    FrameFlag.FDS_UNKNOWN: "descriptors",
    FrameFlag.REPLY_UNKNOWN: "reply",
    FrameFlag.TIME_UNKNOWN: "time",
}
UNKNOWN = FrameFlag(sum(UNKNOWN_WORDS))


class EventKind(StrEnum):
    """What happened besides messages."""

    OPEN = "open"  # both sides of a session (or of a passed socket) are connected
    CLOSE = "close"  # the session ended; `sender` is the side that closed first
    ERROR = "error"
    NOTE = "note"
    GAP = "gap"  # messages were forwarded and not recorded; the attributes tell how many, which and when
    DROPPED = "dropped"  # a rule kept a message from its receiver; the attributes hold it
    SAMPLE = "sample"  # how rings stood in memory: a `Sample`
    PAYLOAD = "payload"  # a request that went through a ring; the attributes have its header


class Deed(StrEnum):
    """What a rule did to a message that its receiver got."""

    HELD = "held"  # it went on as it came, later
    CHANGED = "changed"
    MADE = "made"  # nobody sent it


@dataclass(frozen=True, slots=True)
class Acted:
    """The work of a rule on a message; `rule` is its name, `came_ns` when the message was read.

    `data`, `fds` and `wire_size` are the message as it came where it was changed, and nothing elsewhere.
    """

    deed: Deed
    rule: str
    came_ns: int
    data: bytes = b""
    fds: "tuple[FdInfo, ...]" = ()
    wire_size: int = 0


@dataclass(frozen=True, slots=True)
class FdInfo:
    """What identifies one passed descriptor; None where it has no such property.

    Descriptor numbers mean nothing outside their process, so identity is device:inode, and for
    eventfds (which share one inode) the kernel's eventfd-id. `size` is bytes, `seals` the F_SEAL_*
    bits, `access` one of "r", "w", "rw". `frontend_fd` and `backend_fd` are the numbers under which
    the two processes know it, where /proc allowed a look. `mapped` tells how the sender has mapped memory
    that it passes: "shared", or "private", where the other process never sees what is written there.
    """

    kind: FdKind
    device: int = 0
    inode: int = 0
    size: int | None = None
    seals: int | None = None
    name: str = ""
    eventfd_id: int | None = None
    eventfd_count: int | None = None
    access: str = ""
    frontend_fd: int | None = None
    backend_fd: int | None = None
    mapped: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """One pair of endpoints under trace; `number` counts from 0 and is shown as a letter."""

    number: int
    frontend: str
    backend: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it was on the wire.

    `time_ns` is nanoseconds since the epoch, taken when the message was read. `data` is header and
    payload; with `FrameFlag.CUT` only its head, while `wire_size` (bytes) is always the whole.
    `session` counts from 1 on its connection: a reconnect is a new session. `big_endian` is the
    byte order of the host that was traced. What a rule `acted` on is as its receiver got it, and when.
    `known` are the parts of the payload (offset and length in
    bytes) that are known where `FrameFlag.PAYLOAD_UNKNOWN` says that not all is.
    """

    time_ns: int
    connection: int
    session: int
    channel: Channel
    sender: Side
    data: bytes
    fds: tuple[FdInfo, ...] = ()
    flags: FrameFlag = FrameFlag.NONE
    wire_size: int = 0
    big_endian: bool = False
    acted: Acted | None = None
    known: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened around the messages, in one line of `text`.

    `attributes` are named facts of the event, for instance a peer's `frontend_pid`,
    `frontend_command` (its command line), `frontend_words` (those of it about the socket, where they are not
    all) and `frontend_name` on an OPEN.
    """

    time_ns: int
    connection: int
    session: int
    kind: EventKind
    text: str
    channel: Channel = Channel.MAIN
    sender: Side | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


class SampleFlag(IntFlag):
    """What a `RingSample` knows, and what is wrong with the ring."""

    PACKED = 1
    INDEXES = 2  # `available`, `used`, `in_flight`, the flags and the totals are known
    EVENTS = 4  # so are the event fields: EVENT_IDX, or a packed ring
    KICKS = 8
    CALLS = 16
    CHAIN = 32  # so is the oldest chain in flight
    REQUEST = 64  # of that chain the device has something to read
    BROKEN_CHAIN = 128  # it loops, or leaves memory
    AT_LEAST = 256  # the ring may have gone round unseen: the totals are what moved at least
    OUTSIDE = 512  # the ring lies in no region of memory
    UNREADABLE = 1024  # it lies in one that cannot be read, or that has been made shorter
    BEYOND = 2048  # the used index is beyond the available one
    JUMPED = 4096  # an index moved by more than a ring can have
    COUNTED = 8192  # `kick_total` and `call_total` are known: --count-kicks
    UNCALLED = 16384  # something came back of which the driver wanted to be told, and it was not called
    MARKED = 32768  # `marked` and `marked_used` are known: there is an in-flight buffer
    MARKS_DIFFER = 65536  # that buffer is not as the ring is


class RingSample(NamedTuple):
    """One ring as it stood in memory; what is not known (`flags`) is 0.

    `available` and `used` are the indexes: of a split ring as they are there, of a packed ring a position
    and, in bit 15, a wrap counter. `driver_flags` and `device_flags` are both sides' event suppression,
    `driver_event` and `device_event` the indexes of theirs. The totals count since the ring was started:
    chains, or descriptors of a packed ring. `kicks` and `calls` are what stands in the eventfds, unread.
    `head` is the oldest chain in flight, `length` its descriptors, `age_ms` how long it is known to be; it
    has so many bytes for the device to read and to write. `kick_total` and `call_total` are how often the
    eventfds were written to in the session, `uncalled_ms` how long a call is missing. `marked` are the
    requests in flight by the in-flight buffer, `marked_used` its used index, `differs_ms` how long it has not
    been as the ring is.
    """

    ring: int
    flags: int
    size: int = 0
    available: int = 0
    used: int = 0
    in_flight: int = 0
    driver_flags: int = 0
    device_flags: int = 0
    driver_event: int = 0
    device_event: int = 0
    head: int = 0
    length: int = 0
    age_ms: int = 0
    readable: int = 0
    writable: int = 0
    available_total: int = 0
    used_total: int = 0
    kicks: int = 0
    calls: int = 0
    kick_total: int = 0
    call_total: int = 0
    uncalled_ms: int = 0
    differs_ms: int = 0
    marked: int = 0
    marked_used: int = 0

    def has(self, flag: SampleFlag) -> bool:
        """Whether a flag is set."""
        return bool(self.flags & flag.value)


class NoticeTimes(NamedTuple):
    """When a ring was kicked (`role` "kick") or its driver called ("call"), at the latest.

    `times` are pairs: nanoseconds since the epoch, and how often it had been by then.
    """

    ring: int
    role: str
    times: tuple[tuple[int, int], ...]


class DirtyLog(NamedTuple):
    """The log of dirty pages: its bytes, the bits that are set, and for how long (ms) it was not written.

    That counts while rings move, and no bit was seen set.
    """

    size: int
    dirty: int
    unwritten_ms: int = 0


@dataclass(frozen=True, slots=True)
class Sample(Event):
    """How rings of a session stood in memory at one time: those that had changed since `interval_ns` ago.

    `notices` are the kicks and calls since then, where they are counted; `log` is what became of the log.
    """

    rings: tuple[RingSample, ...] = ()
    interval_ns: int = 0
    notices: tuple[NoticeTimes, ...] = ()
    log: DirtyLog | None = None


Record = Frame | Event

LACKS = "lacks"
"""The attribute of an event that tells what the source of an import does not have: words of `Lack`."""


class Lack(StrEnum):
    """What a source may not have at all."""

    REPLIES = "replies"
    BACKEND = "back-end channel"
    GPU = "GPU channel"
    TIMES = "times"
    END = "the end"  # when, and by whom, a session was ended


def lacking(event: Event) -> frozenset[str]:
    """What the source of a session does not have, as an event of it says."""
    return frozenset(filter(None, event.attributes.get(LACKS, "").split(", ")))


class Direction(Enum):
    """The way a record is drawn: the row's first column."""

    TO_BACKEND = ">"
    TO_FRONTEND = "<"
    SIDE_CHANNEL = "@"
    NOTE = "="


def direction_of(record: Record) -> Direction:
    """How `record` is drawn; messages on any passed socket are `@`, both ways."""
    if isinstance(record, Event):
        return Direction.NOTE
    if record.channel is not Channel.MAIN:
        return Direction.SIDE_CHANNEL
    return Direction.TO_BACKEND if record.sender is Side.FRONTEND else Direction.TO_FRONTEND


def connection_letter(number: int) -> str:
    """The letters of a connection: 0 is A, 25 is Z, 26 is AA."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
