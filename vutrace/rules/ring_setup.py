"""Rings: what is set up before a start, and what may not change while a ring runs.

Sources: vhost-user.rst, "Ring states", "Multiple queue support" and the sections of the messages.
"""

from collections.abc import Iterator

from vutrace.problems import Rule, Severity
from vutrace.protocol.check import Check, Once, asks
from vutrace.protocol.effects import RingEffect
from vutrace.rules.look import (
    ring_after,
    ring_before,
)
from vutrace.rules.seen import History
from vutrace.session.ring import Ring
from vutrace.session.row import Row

WARNING, INFO = Severity.WARNING, Severity.INFO
KICKS = asks(effect=frozenset({RingEffect.KICK, RingEffect.NOTIFY}))
ADDRESSES = asks(effect=RingEffect.ADDRESSES)


def without_size(row: Row, _seen: History) -> Iterator[str]:
    """A start before SET_VRING_NUM."""
    ring = ring_after(row)
    if ring and ring.size is None:
        yield "started before its size was set"


def without_addresses(row: Row, _seen: History) -> Iterator[str]:
    """A start before SET_VRING_ADDR."""
    ring = ring_after(row)
    if ring and ring.addresses is None:
        yield "started before its addresses were set"


def without_base(row: Row, _seen: History) -> Iterator[str]:
    """A start before SET_VRING_BASE."""
    ring = ring_after(row)
    if ring and kicked(row) and ring.base is None:
        yield "started before its base was set"


def kicked(row: Row) -> bool:
    """Whether the ring is to be started, which a ring that runs is not."""
    before = ring_before(row)
    return not (before and before.state.started)


def set_while_running(row: Row, _seen: History) -> Iterator[str]:
    """A size or a base for a ring that is started."""
    before = ring_before(row)
    if before and before.state.started:
        yield "a started ring is set up again, without being stopped"


def addresses_moved(row: Row, _seen: History) -> Iterator[str]:
    """A running ring's parts are put elsewhere."""
    before, after = ring_before(row), ring_after(row)
    if before and after and before.state.started and place(before) != place(after):
        yield "a started ring is put elsewhere, without being stopped"


def place(ring: Ring) -> tuple[int, int, int] | None:
    """Where the three parts of a ring lie."""
    known = ring.addresses
    return (known.descriptor, known.used, known.available) if known else None


def kick_replaced(row: Row, _seen: History) -> Iterator[str]:
    """A second kick descriptor for a ring that is started."""
    before = ring_before(row)
    if before and before.state.started and before.kick_sent:
        yield "a started ring gets another kick descriptor"


def call_replaced(row: Row, _seen: History) -> Iterator[str]:
    """Another call descriptor for a ring that runs."""
    if row.ring not in row.state.rings.running:
        return
    for each in row.changes.fds:
        if each.fd and each.replaced and each.fd.eventfd_id != each.replaced.eventfd_id:
            yield "a running ring gets another call descriptor"


CHECKS = (
    Check(
        Rule(
            "ring.kick-before-num",
            WARNING,
            "Ring states",
            "The back-end may start the ring at this message, and does not know how long it is.",
            "Send SET_VRING_NUM before SET_VRING_KICK.",
        ),
        KICKS,
        without_size,
    ),
    Check(
        Rule(
            "ring.kick-before-addr",
            WARNING,
            "Ring states",
            "The back-end may start the ring at this message, and does not know where it is.",
            "Send SET_VRING_ADDR before SET_VRING_KICK.",
        ),
        KICKS,
        without_addresses,
    ),
    Check(
        Rule(
            "ring.kick-before-base",
            WARNING,
            "Ring states",
            "The back-end may start the ring at this message, and takes its first entry from where it likes.",
            "Send SET_VRING_BASE before SET_VRING_KICK.",
        ),
        KICKS,
        without_base,
    ),
    Check(
        Rule(
            "ring.set-while-running",
            WARNING,
            "Ring states",
            "Size or base change while the back-end uses the ring: entries are lost or repeated.",
            "Stop the ring with GET_VRING_BASE first.",
        ),
        asks(effect=frozenset({RingEffect.SIZE, RingEffect.BASE})),
        set_while_running,
    ),
    Check(
        Rule(
            "ring.endian-late",
            WARNING,
            "VHOST_USER_SET_VRING_ENDIAN",
            "The ring has been read in another byte order until now.",
            "Send SET_VRING_ENDIAN once for each ring, before it is started.",
        ),
        asks(effect=RingEffect.ENDIAN),
        set_while_running,
    ),
    Check(
        Rule(
            "ring.moved-while-running",
            WARNING,
            "Ring states",
            "The back-end uses the ring at its old place, or at the new one, and nobody knows from when on.",
            "Stop the ring with GET_VRING_BASE first; only the log may change on the fly.",
        ),
        ADDRESSES,
        addresses_moved,
    ),
    Check(
        Rule(
            "ring.kick-replaced",
            INFO,
            "Multiple queue support",
            "A kick may be lost in between; or two parts of the front-end use one index.",
            "If nobody meant to replace it, look for a ring index that is used twice.",
        ),
        asks(effect=RingEffect.KICK),
        kick_replaced,
        once=Once.RING,
    ),
    Check(
        Rule(
            "ring.call-replaced",
            INFO,
            "VHOST_USER_SET_VRING_CALL",
            "The back-end notifies another descriptor from now on; some set the whole ring up again for it.",
            "Nothing is wrong with it: QEMU masks and unmasks interrupts this way. If I/O drops at this "
            "moment, look at the back-end.",
        ),
        asks(effect=RingEffect.CALL),
        call_replaced,
        once=Once.RING,
    ),
)
