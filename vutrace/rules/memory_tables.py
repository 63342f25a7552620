"""Guest memory: the table as a whole, and single regions that are added and removed.

Sources: vhost-user.rst, "Multiple Memory regions description" and the sections of the messages.
"""

from collections.abc import Iterator

from vutrace.problems import Rule, Severity
from vutrace.protocol.check import Check, Once, any_of, asks
from vutrace.protocol.effects import MemoryEffect
from vutrace.rules.look import message_of, number
from vutrace.rules.seen import History
from vutrace.session.row import Row

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
MOST = 8  # regions of a table
TABLE = asks(memory=MemoryEffect.TABLE)
ADD = asks(memory=MemoryEffect.ADD)
REMOVE = asks(memory=MemoryEffect.REMOVE)
BRINGS = any_of(TABLE, ADD)


def too_many(row: Row, _seen: History) -> Iterator[str]:
    """A table that no fixed array holds."""
    if number(row, "nregions") > MOST:
        yield f"{number(row, 'nregions')} regions; a table has {MOST} at most"


def beyond_slots(row: Row, _seen: History) -> Iterator[str]:
    """More regions than the back-end has room for."""
    slots, regions = row.context.mem_slots, len(row.state.memory.regions)
    if slots is not None and regions > slots:
        yield f"{regions} regions for a back-end with {slots} memory slots"


def unknown_region(row: Row, _seen: History) -> Iterator[str]:
    """A removal of what is not there."""
    change = row.changes.memory
    if change and not change.removed:
        yield "no region has this guest address, user address and size"


def needless_descriptor(row: Row, _seen: History) -> Iterator[str]:
    """A descriptor with a removal."""
    if message_of(row).frame.fds:
        yield "a descriptor comes along, which nobody needs"


def table_while_running(row: Row, _seen: History) -> Iterator[str]:
    """New memory under rings that are started."""
    if row.state.rings.started and not row.context.postcopy:
        yield "the whole table is replaced while rings are started"


def same_table(row: Row, _seen: History) -> Iterator[str]:
    """A table that changes nothing."""
    change = row.changes.memory
    if change and not (change.added or change.removed):
        yield "the same table as before"


def mixed_messages(_row: Row, seen: History) -> Iterator[str]:
    """A table after single regions."""
    if seen.added:
        yield "a table replaces what was told region by region"


CHECKS = (
    Check(
        Rule(
            "memory.too-many-regions",
            ERROR,
            "Multiple Memory regions description",
            "A memory table has eight regions at most; back-ends have no room for more.",
            "Use fewer memory devices, or a back-end with CONFIGURE_MEM_SLOTS.",
        ),
        TABLE,
        too_many,
        anytime=True,
    ),
    Check(
        Rule(
            "memory.beyond-slots",
            ERROR,
            "VHOST_USER_GET_MAX_MEM_SLOTS",
            "The back-end said how many regions it can map, and gets more.",
            "Use fewer memory devices.",
        ),
        BRINGS,
        beyond_slots,
    ),
    Check(
        Rule(
            "memory.unknown-region",
            ERROR,
            "VHOST_USER_REM_MEM_REG",
            "A region is removed that the back-end does not have; the two ends disagree about memory.",
            "Guest address, user address and size must be those it was added with.",
        ),
        REMOVE,
        unknown_region,
    ),
    Check(
        Rule(
            "memory.needless-descriptor",
            WARNING,
            "VHOST_USER_REM_MEM_REG",
            "The back-end must close the descriptor unused; one that forgets it leaks one each time.",
            "Send the message without a descriptor.",
            deviates=("qemu 5.1 to 7.0: attaches one (send_remove_regions, hw/virtio/vhost-user.c)",),
        ),
        REMOVE,
        needless_descriptor,
        anytime=True,
    ),
    Check(
        Rule(
            "memory.table-while-running",
            INFO,
            "VHOST_USER_SET_MEM_TABLE",
            "Lawful, as when memory is plugged in; but SPDK starts its session anew, DPDK maps all again.",
            "If I/O stops at this moment: the back-end may not support memory that changes.",
        ),
        TABLE,
        table_while_running,
    ),
    Check(
        Rule(
            "memory.same-table",
            INFO,
            "VHOST_USER_SET_MEM_TABLE",
            "Nothing changes, but a back-end may map everything again.",
            "Nothing to do; some front-ends send the table at each start.",
        ),
        TABLE,
        same_table,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "memory.mixed-messages",
            INFO,
            "VHOST_USER_ADD_MEM_REG",
            "The spec has either the table or single regions; what a table does to those is not said.",
            "Remove and add single regions where CONFIGURE_MEM_SLOTS is acknowledged.",
        ),
        TABLE,
        mixed_messages,
    ),
)
