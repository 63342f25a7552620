"""The channel on which the back-end asks: its socket, its descriptors, shared memory and shared objects.

Sources: vhost-user.rst, "Back-end communication", "Back-end message types" and the sections of the messages.
"""

from collections.abc import Iterator

from vutrace.problems import Rule, Severity
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.protocol.check import Check, Once, answers, asks
from vutrace.protocol.spec import FdRule, MessageSpec
from vutrace.records import Channel, FdKind
from vutrace.rules.look import message_of, number
from vutrace.rules.seen import History, Piece, overlapping
from vutrace.session.row import Row

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
SEND_FD = bit("BACKEND_SEND_FD", PROTOCOL_FEATURES)
MOST = 8
PAGE = 4096
NOFD = 0x100
PASSES = asks(passes=frozenset({Channel.BACKEND, Channel.GPU}))
MAPS = asks(Channel.BACKEND, request="Mmap", fds=FdRule.ONE)
UNMAPS = asks(Channel.BACKEND, request="Mmap", fds=FdRule.NONE)
AREA = asks(Channel.BACKEND, request="Area")
SHMEM_TOLD = answers(reply="ShmemConfig")
RING_NOTICES = asks(Channel.BACKEND, gate="INBAND_NOTIFICATIONS")


def asked(spec: MessageSpec, channel: Channel, reply: bool) -> bool:
    """Every request of the back-end's."""
    return channel is Channel.BACKEND and not reply


def not_a_socket(row: Row, _seen: History) -> Iterator[str]:
    """A channel on something else."""
    for info in message_of(row).frame.fds:
        if info.kind not in (FdKind.SOCKET, FdKind.OTHER, FdKind.UNKNOWN):
            yield f"the descriptor is of kind {info.kind}"


def descriptor_unagreed(row: Row, _seen: History) -> Iterator[str]:
    """A descriptor on a channel that carries none."""
    if message_of(row).frame.fds and not row.context.has_protocol(SEND_FD):
        yield "a descriptor comes along, and BACKEND_SEND_FD is not acknowledged"


def too_many_descriptors(row: Row, _seen: History) -> Iterator[str]:
    """More than the other side has room for."""
    if len(message_of(row).frame.fds) > MOST:
        yield f"{len(message_of(row).frame.fds)} descriptors; {MOST} at most"


def while_suspended(row: Row, seen: History) -> Iterator[str]:
    """A message from a device that has nothing to say."""
    if seen.started_ns and not row.state.rings.started:
        yield "all rings are stopped: a suspended device sends nothing"


def notice_of_stopped(row: Row, _seen: History) -> Iterator[str]:
    """A notice of a ring that is not processed."""
    rings = row.state.rings.started
    if rings and row.ring not in rings:
        yield "the ring is not started"


def notifier_size(row: Row, _seen: History) -> Iterator[str]:
    """An area that is no page."""
    size = number(row, "size")
    if not number(row, "u64") & NOFD and (not size or size % PAGE):
        yield f"an area of {size:#x} bytes; it is a page of the host"


def piece_of(row: Row) -> Piece:
    """The piece of shared memory that the message is about."""
    start = number(row, "shm_offset")
    return Piece(number(row, "shmid"), start, start + number(row, "len"))


def map_overlaps(row: Row, seen: History) -> Iterator[str]:
    """A piece over another one."""
    new = piece_of(row)
    for old in seen.pieces:
        if old.shmid == new.shmid and overlapping(old[1:], new[1:]):
            yield f"{new.start:#x}–{new.end - 1:#x} of region {new.shmid} is mapped in part already"
            return


def map_beyond(row: Row, seen: History) -> Iterator[str]:
    """A piece outside its region."""
    piece = piece_of(row)
    if seen.shmem_sizes is None:
        return
    size = seen.shmem_sizes[piece.shmid] if piece.shmid < len(seen.shmem_sizes) else 0
    if piece.end > size:
        yield f"ends at {piece.end:#x} of region {piece.shmid}, which has {size:#x} bytes"


def unmap_unknown(row: Row, seen: History) -> Iterator[str]:
    """Not one piece as it was mapped."""
    if piece_of(row) not in seen.pieces:
        yield "this is not exactly one piece as it was mapped"


def shmem_changed(row: Row, seen: History) -> Iterator[str]:
    """Another answer than before."""
    told = sizes(row)
    if seen.shmem_sizes is not None and told is not None and told != seen.shmem_sizes:
        yield "the regions are not those of the answer before"


def shmem_not_pages(row: Row, _seen: History) -> Iterator[str]:
    """Regions that cannot be mapped."""
    odd = [size for size in sizes(row) or () if size % PAGE]
    if odd:
        yield f"a region of {odd[0]:#x} bytes is not whole pages"


def shmem_count(row: Row, _seen: History) -> Iterator[str]:
    """A number of regions that is not that of the sizes."""
    told = sizes(row)
    used = sum(1 for size in told or () if size)
    if told is not None and number(row, "num_regions") != used:
        yield f"{number(row, 'num_regions')} regions are told, {used} have a size"


def sizes(row: Row) -> tuple[int, ...] | None:
    """The sizes of the shared memory regions, where the message has them."""
    told = message_of(row).fields.get("memory_sizes")
    return tuple(size for size in told if isinstance(size, int)) if isinstance(told, list) else None


CHECKS = (
    Check(
        Rule(
            "channel.not-a-socket",
            ERROR,
            "VHOST_USER_SET_BACKEND_REQ_FD",
            "The back-end cannot send anything on it.",
            "Mend the front-end: pass one end of a pair of stream sockets.",
        ),
        PASSES,
        not_a_socket,
        anytime=True,
    ),
    Check(
        Rule(
            "channel.descriptor-unagreed",
            WARNING,
            "Back-end communication",
            "The front-end does not expect a descriptor: it closes it, or keeps it for ever.",
            "Acknowledge BACKEND_SEND_FD, or send no descriptor.",
            deviates=("rust-vmm: attaches one to a look-up (vhost/src/vhost_user/backend_req.rs)",),
        ),
        asked,
        descriptor_unagreed,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "channel.too-many-descriptors",
            ERROR,
            "Back-end communication",
            "The front-end has room for eight; the kernel closes the others.",
            "Send at most eight descriptors with a message.",
        ),
        asked,
        too_many_descriptors,
        anytime=True,
    ),
    Check(
        Rule(
            "channel.while-suspended",
            WARNING,
            "Suspended device state",
            "A device whose rings are all stopped may be in the middle of a migration: its message is lost.",
            "Mend the back-end: it answers, and asks for nothing, until a ring is started.",
        ),
        asked,
        while_suspended,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "channel.notice-of-stopped",
            WARNING,
            "Ring states",
            "A stopped ring is not processed, so that there is nothing to tell of it.",
            "Mend the back-end: after GET_VRING_BASE it leaves the ring alone.",
        ),
        RING_NOTICES,
        notice_of_stopped,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "channel.notifier-size",
            WARNING,
            "VHOST_USER_BACKEND_VRING_HOST_NOTIFIER_MSG",
            "The area cannot be mapped into the guest: it goes on without it, more slowly.",
            "Mend the back-end: the size is that of a page of the host.",
        ),
        AREA,
        notifier_size,
        anytime=True,
    ),
    Check(
        Rule(
            "channel.map-overlaps",
            ERROR,
            "VHOST_USER_BACKEND_SHMEM_MAP",
            "The front-end must refuse it.",
            "Unmap the old piece first.",
        ),
        MAPS,
        map_overlaps,
    ),
    Check(
        Rule(
            "channel.map-beyond",
            ERROR,
            "VHOST_USER_BACKEND_SHMEM_MAP",
            "The piece is not in the region that the back-end told: the front-end must refuse it.",
            "Compare the offset and the length with the answer to GET_SHMEM_CONFIG.",
        ),
        MAPS,
        map_beyond,
    ),
    Check(
        Rule(
            "channel.unmap-unknown",
            ERROR,
            "VHOST_USER_BACKEND_SHMEM_UNMAP",
            "The front-end must refuse it; what was mapped stays mapped.",
            "Unmap each piece as it was mapped, whole.",
        ),
        UNMAPS,
        unmap_unknown,
    ),
    Check(
        Rule(
            "channel.shmem-changed",
            ERROR,
            "VHOST_USER_GET_SHMEM_CONFIG",
            "The front-end has told the guest of other regions.",
            "Mend the back-end: the answer stays the same for the whole connection.",
        ),
        SHMEM_TOLD,
        shmem_changed,
    ),
    Check(
        Rule(
            "channel.shmem-not-pages",
            ERROR,
            "VHOST_USER_GET_SHMEM_CONFIG",
            "The front-end cannot map such a region.",
            "Mend the back-end: sizes are multiples of the page size.",
        ),
        SHMEM_TOLD,
        shmem_not_pages,
        anytime=True,
    ),
    Check(
        Rule(
            "channel.shmem-count",
            WARNING,
            "VHOST_USER_GET_SHMEM_CONFIG",
            "The front-end may overlook a region, or look for one that is not there.",
            "Mend the back-end: num_regions is the number of sizes that are not 0.",
        ),
        SHMEM_TOLD,
        shmem_count,
        anytime=True,
    ),
)
