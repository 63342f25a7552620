"""Migration: the log of dirty pages, postcopy, the device's state, the announcement after it.

Sources: vhost-user.rst, "Migration", "Migrating back-end state" and the sections of the messages.
"""

from collections.abc import Iterator

from vutrace.problems import Rule, Severity
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.protocol.check import Breach, Check, Once, answers, any_of, asks
from vutrace.protocol.effects import Fact, Learns, MemoryEffect, Purpose, RingEffect
from vutrace.protocol.spec import NOTHING, MessageSpec
from vutrace.records import Channel
from vutrace.rules.extents import extents
from vutrace.rules.look import LOG_ALL, has, lost_some, message_of, number, ring_after, starts
from vutrace.rules.seen import History
from vutrace.session.row import Row

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
LOG_SHMFD = bit("LOG_SHMFD", PROTOCOL_FEATURES)
MEM_SLOTS = bit("CONFIGURE_MEM_SLOTS", PROTOCOL_FEATURES)
PAGE = 4096
BYTE_COVERS = 8 * PAGE
LOGGED = 1  # VHOST_VRING_F_LOG
MULTICAST, MAC_LENGTH = 1, 6
ERROR_BITS, NOFD = 0xFF, 0x100
SAVE, LOAD = 0, 1
FEATURES = asks(purpose=Purpose.FEATURES)
LOG = asks(request="Log")
ADVISES = asks(reply_role="userfaultfd")
TRANSFERS = asks(request="DeviceState")
CHECKS_STATE = asks(gate="DEVICE_STATE", request=NOTHING)


def listens(spec: MessageSpec, _channel: Channel, reply: bool) -> bool:
    """The message that begins postcopy."""
    return not reply and spec.learns == Learns(Fact.POSTCOPY, value=1)


def ends(spec: MessageSpec, _channel: Channel, reply: bool) -> bool:
    """The message that ends it."""
    return not reply and spec.learns == Learns(Fact.POSTCOPY, value=0)


def log_not_offered(row: Row, _seen: History) -> Iterator[str]:
    """Logging is turned on for a back-end that cannot."""
    offered = row.context.offered
    if offered is not None and number(row, "features") & LOG_ALL and not offered & LOG_ALL:
        yield "VHOST_F_LOG_ALL is acknowledged, and was not offered"


def log_layout(row: Row, _seen: History) -> Iterator[str]:
    """A log without what LOG_SHMFD promises."""
    if not row.context.has_protocol(LOG_SHMFD):
        return
    if not has(row, "mmap_size"):
        yield "the payload is no log description, and LOG_SHMFD is acknowledged"
    elif not (message_of(row).frame.fds or lost_some(row)):
        yield "no descriptor comes along, and LOG_SHMFD is acknowledged"


def log_too_small(row: Row, _seen: History) -> Iterator[str]:
    """A log that ends before the guest's memory does."""
    end = max((each.guest_address + each.size for each in row.state.memory.regions), default=0)
    size = number(row, "mmap_size")
    if has(row, "mmap_size") and size * BYTE_COVERS < end:
        yield f"{size} bytes log up to {size * BYTE_COVERS:#x}; memory ends at {end:#x}"


def log_without_base(row: Row, seen: History) -> Iterator[str]:
    """Logging is turned on, and there is no log."""
    before = row.context.features or 0
    turned_on = number(row, "features") & LOG_ALL & ~before
    if turned_on and seen.log_size is None and row.state.rings.started:
        yield "VHOST_F_LOG_ALL before SET_LOG_BASE"


def log_address_outside(row: Row, seen: History) -> Iterator[str]:
    """A ring whose used part is logged behind the log's end."""
    ring = ring_after(row)
    if not (number(row, "flags") & LOGGED and seen.log_size and ring and ring.size):
        return
    used = [end - start for name, start, end in extents(ring, row.context) if name.startswith("the used")]
    end = number(row, "log") + sum(used)  # a packed ring has none
    if end > seen.log_size * BYTE_COVERS:
        yield f"the log address ends at {end:#x}; the log covers {seen.log_size * BYTE_COVERS:#x}"


def rarp_address(row: Row, _seen: History) -> Iterator[str]:
    """Nobody has this address."""
    mac = message_of(row).fields.get("mac")
    if isinstance(mac, bytes) and (mac[0] & MULTICAST or not any(mac)):
        yield f"{mac.hex(':')} is no address of a guest"


def rarp_padding(row: Row, _seen: History) -> Iterator[str]:
    """More than an address."""
    if any(message_of(row).payload[MAC_LENGTH:]):
        yield "the last two bytes are not 0"


def listen_unadvised(_row: Row, seen: History) -> Iterator[str]:
    """Postcopy that was not announced."""
    if not seen.advised:
        yield "before POSTCOPY_ADVISE"


def end_unbegun(_row: Row, seen: History) -> Iterator[str]:
    """The end of what never began."""
    if not seen.listening:
        yield "before POSTCOPY_LISTEN"


def postcopy_with_slots(row: Row, _seen: History) -> Iterator[str]:
    """Two features that exclude each other."""
    if row.context.has_protocol(MEM_SLOTS):
        yield "CONFIGURE_MEM_SLOTS is acknowledged, which rules postcopy out"


def table_differs(row: Row, _seen: History) -> Iterator[str]:
    """Another number of regions than was asked about."""
    told, known = number(row, "nregions"), len(row.state.memory.regions)
    if row.context.postcopy and has(row, "nregions") and told != known:
        yield f"addresses of {told} regions; {known} were asked about"


def error_with_descriptor(row: Row, _seen: History) -> Iterator[str]:
    """Both an error and a channel."""
    value = number(row, "u64")
    if value & ERROR_BITS and (not value & NOFD or message_of(row).frame.fds):
        yield f"error {value & ERROR_BITS}, and yet a descriptor"


def transfer_while_running(row: Row, _seen: History) -> Iterator[str]:
    """State is moved under rings that are started."""
    started = sorted(row.state.rings.started)
    if started:
        yield f"ring {', '.join(map(str, started))} {'is' if len(started) == 1 else 'are'} not stopped"


def transfer_parameters(row: Row, _seen: History) -> Iterator[str]:
    """A direction or a phase that is not defined."""
    if number(row, "direction") not in (SAVE, LOAD):
        yield f"direction {number(row, 'direction')}: 0 saves, 1 loads"
    if number(row, "phase"):
        yield f"phase {number(row, 'phase')}: only 0 (stopped) is defined"


def check_without_transfer(_row: Row, seen: History) -> Iterator[str]:
    """A question about a transfer that was not begun."""
    if seen.transfer is None:
        yield "no transfer of the device's state was begun"


def start_unchecked(row: Row, seen: History) -> Iterator[str]:
    """A start with state that may be broken."""
    if starts(row) and seen.transfer is not None:
        yield "a ring is started, and CHECK_DEVICE_STATE has not asked for the result of the transfer"


def unfinished(row: Row, seen: History) -> Iterator[Breach]:
    """A transfer whose result nobody asked for."""
    if seen.transfer is not None:
        yield Breach("the device's state was transferred, and CHECK_DEVICE_STATE never sent")


CHECKS = (
    Check(
        Rule(
            "migration.log-not-offered",
            ERROR,
            "Migration",
            "Pages that the back-end writes are missing from the log: the guest is damaged by a migration.",
            "Migrate only where the back-end offers VHOST_F_LOG_ALL.",
        ),
        FEATURES,
        log_not_offered,
    ),
    Check(
        Rule(
            "migration.log-layout",
            ERROR,
            "VHOST_USER_SET_LOG_BASE",
            "With LOG_SHMFD the log is a descriptor with its size and offset; the back-end gets less.",
            "Mend the front-end.",
        ),
        LOG,
        log_layout,
    ),
    Check(
        Rule(
            "migration.log-too-small",
            WARNING,
            "Migration",
            "Pages behind the log's end cannot be marked: the back-end writes beyond it, or leaves them out.",
            "A bit for each page of 4096 bytes up to the end of the last region is needed.",
        ),
        LOG,
        log_too_small,
    ),
    Check(
        Rule(
            "migration.log-without-base",
            WARNING,
            "Migration",
            "The back-end is to mark pages, and does not know where.",
            "Send SET_LOG_BASE before SET_FEATURES with VHOST_F_LOG_ALL.",
        ),
        FEATURES,
        log_without_base,
    ),
    Check(
        Rule(
            "migration.log-address-outside",
            WARNING,
            "Migration",
            "Writes to the used ring are marked behind the end of the log.",
            "The log must cover the log address and the size of the used ring.",
        ),
        asks(effect=RingEffect.ADDRESSES),
        log_address_outside,
    ),
    Check(
        Rule(
            "migration.rarp-address",
            WARNING,
            "VHOST_USER_SEND_RARP",
            "The network learns an address that the guest does not have.",
            "The first six bytes are the guest's MAC address.",
        ),
        asks(request="Rarp"),
        rarp_address,
        anytime=True,
    ),
    Check(
        Rule(
            "migration.rarp-padding",
            WARNING,
            "VHOST_USER_SEND_RARP",
            "Only six of the eight bytes have a meaning; the address may be in the wrong place.",
            "The first six bytes are the guest's MAC address, the last two are 0.",
        ),
        asks(request="Rarp"),
        rarp_padding,
        anytime=True,
    ),
    Check(
        Rule(
            "migration.listen-unadvised",
            ERROR,
            "VHOST_USER_POSTCOPY_LISTEN",
            "The back-end has no userfaultfd to register the memory with.",
            "Send POSTCOPY_ADVISE first.",
        ),
        listens,
        listen_unadvised,
    ),
    Check(
        Rule(
            "migration.end-unbegun",
            ERROR,
            "VHOST_USER_POSTCOPY_END",
            "Postcopy ends that never began.",
            "Send POSTCOPY_LISTEN first, or do not send the end.",
        ),
        ends,
        end_unbegun,
    ),
    Check(
        Rule(
            "migration.postcopy-with-slots",
            ERROR,
            "Migration",
            "What a back-end with memory slots does at postcopy's messages is not specified.",
            "Do not acknowledge CONFIGURE_MEM_SLOTS where a postcopy migration is to be possible.",
        ),
        any_of(ADVISES, listens, ends),
        postcopy_with_slots,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "migration.table-differs",
            ERROR,
            "VHOST_USER_SET_MEM_TABLE",
            "The front-end does not know where the back-end mapped what: page faults go to wrong places.",
            "Mend the back-end: its table has the regions of the request, in their order.",
        ),
        answers(memory=MemoryEffect.TABLE),
        table_differs,
    ),
    Check(
        Rule(
            "migration.error-with-descriptor",
            ERROR,
            "VHOST_USER_SET_DEVICE_STATE_FD",
            "The front-end does not know whether there is a channel: it waits on one, or loses a descriptor.",
            "Mend the back-end: with an error, bit 8 is set and no descriptor comes along.",
        ),
        answers(request="DeviceState"),
        error_with_descriptor,
        anytime=True,
    ),
    Check(
        Rule(
            "migration.transfer-while-running",
            ERROR,
            "Migrating back-end state",
            "The state changes while it is moved: what arrives is broken.",
            "Stop all rings with GET_VRING_BASE first.",
        ),
        TRANSFERS,
        transfer_while_running,
    ),
    Check(
        Rule(
            "migration.transfer-parameters",
            ERROR,
            "Device state transfer parameters",
            "The back-end does not know what is wanted.",
            "Mend the front-end.",
        ),
        TRANSFERS,
        transfer_parameters,
        anytime=True,
    ),
    Check(
        Rule(
            "migration.check-without-transfer",
            ERROR,
            "VHOST_USER_CHECK_DEVICE_STATE",
            "The back-end is asked for the result of what was not begun.",
            "Send SET_DEVICE_STATE_FD first.",
        ),
        CHECKS_STATE,
        check_without_transfer,
    ),
    Check(
        Rule(
            "migration.start-unchecked",
            WARNING,
            "Migrating back-end state",
            "The device may start with state that did not arrive.",
            "Send CHECK_DEVICE_STATE after the transfer, and start only if it succeeded.",
        ),
        asks(effect=frozenset({RingEffect.KICK, RingEffect.NOTIFY})),
        start_unchecked,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "migration.never-checked",
            INFO,
            "VHOST_USER_CHECK_DEVICE_STATE",
            "Nobody knows whether the state arrived.",
            "Send CHECK_DEVICE_STATE when all data went through the channel.",
        ),
        None,
        unfinished,
    ),
)
