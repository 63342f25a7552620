"""Rings: what is set up before a start, and what a message about one may say.

Sources: vhost-user.rst, "Ring states", "Multiple queue support" and the sections of the messages; virtio,
"Virtqueues". What only virtio or implementations say is a warning at most.
"""

from collections.abc import Iterator

from vutrace.dissection.message import Message
from vutrace.problems import Rule, Severity
from vutrace.protocol.check import Breach, Check, Once, answers, any_of, asks
from vutrace.protocol.effects import RingEffect
from vutrace.records import Channel
from vutrace.rules.look import (
    PROTOCOL_BIT,
    above,
    has,
    number,
    packed,
    ring_after,
    ring_before,
    rings_before,
)
from vutrace.rules.seen import History
from vutrace.session.fd_ledger import Slot
from vutrace.session.ring import Ring
from vutrace.session.row import Row

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
LARGEST = 32768
ALIGNMENT = {"descriptor": 16, "available": 2, "used": 4}
FRESH_BASES = frozenset({0, 0x8000, 0x8000_8000})  # split; packed, with one wrap counter or both
PATIENCE_NS = 1_000_000_000
KICKS = asks(effect=frozenset({RingEffect.KICK, RingEffect.NOTIFY}))
FOR_DESCRIPTORS = asks(effect=frozenset({RingEffect.KICK, RingEffect.CALL, RingEffect.ERROR}))
SETS_BASE = asks(effect=RingEffect.BASE)
STOPS = asks(effect=RingEffect.STOP)
STOPPED = answers(effect=RingEffect.STOP)
ADDRESSES = asks(effect=RingEffect.ADDRESSES)
ENABLES = asks(effect=RingEffect.ENABLE)


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


def unknown_bits(row: Row, _seen: History) -> Iterator[str]:
    """More than a ring and NOFD in the u64."""
    yield f"bits 9 to 63 of {number(row, 'u64'):#x} are not 0"


def beyond_queue_num(row: Row, _seen: History) -> Iterator[str]:
    """A ring that the back-end does not have."""
    context, ring = row.context, row.ring
    if not context.queue_num or ring is None or ring < context.queue_num or ring_before(row) is not None:
        return
    device = context.device
    each = 2 if device.pairs or not device.number else 1
    limit = context.queue_num * each + bool(device.control_ring)
    if ring >= limit:
        unit = "queue pairs" if each == 2 else "queues"
        yield f"ring {ring} of a back-end with {context.queue_num} {unit}"


def enable_value(row: Row, _seen: History) -> Iterator[str]:
    """Neither on nor off."""
    yield f"num is {number(row, 'num')}: 1 enables, 0 disables"


def enable_early(row: Row, _seen: History) -> Iterator[str]:
    """Switched before the features are acknowledged."""
    if row.context.features is None:
        yield "before SET_FEATURES acknowledged PROTOCOL_FEATURES"


def enable_needless(row: Row, _seen: History) -> Iterator[str]:
    """Switched where rings are enabled by themselves."""
    features = row.context.features
    if features is not None and not features & PROTOCOL_BIT:
        yield "PROTOCOL_FEATURES is not acknowledged: rings are enabled without it"


def reserved_num(row: Row, _seen: History) -> Iterator[str]:
    """A reserved field that is not 0."""
    yield f"num is {number(row, 'num'):#x}; it is reserved, and 0"


def base_of_another(row: Row, _seen: History) -> Iterator[str]:
    """The reply speaks of another ring than the request."""
    asked = row.request.ring if row.request else None
    if asked is not None and has(row, "index") and number(row, "index") != asked:
        yield f"the base of ring {number(row, 'index')}; ring {asked} was asked for"


def base_too_wide(row: Row, _seen: History) -> Iterator[str]:
    """More than 16 bits for a split ring."""
    if row.context.features is not None and not packed(row.context):
        yield f"base {number(row, 'num'):#x} has more than 16 bits, and RING_PACKED is not acknowledged"


def base_differs(row: Row, seen: History) -> Iterator[str]:
    """A ring goes on elsewhere than where it stopped."""
    fetched = seen.fetched.get(row.ring)
    if fetched is not None and number(row, "num") not in (fetched, *FRESH_BASES):
        yield f"base {number(row, 'num')} is set; when it was stopped the base was {fetched}"


def base_restarts(row: Row, seen: History) -> Iterator[str]:
    """A ring begins anew after a stop."""
    fetched = seen.fetched.get(row.ring)
    base = number(row, "num")
    if fetched is not None and has(row, "num") and base != fetched and base in FRESH_BASES:
        yield f"begins anew at {base}; when it was stopped the base was {fetched}"


def endian_value(row: Row, _seen: History) -> Iterator[str]:
    """Neither little nor big."""
    yield f"num is {number(row, 'num')}: 0 is little-endian, 1 big-endian"


def size_invalid(row: Row, _seen: History) -> Iterator[str]:
    """A size that no ring has."""
    size = number(row, "num")
    if not has(row, "num"):
        return
    if not 0 < size <= LARGEST:
        yield f"size {size}: it is from 1 to {LARGEST}"
    elif size & (size - 1) and row.context.features is not None and not packed(row.context):
        yield f"size {size}: that of a split ring is a power of two"


def may_be_misaligned(message: Message) -> bool:
    """Whether an address is not a multiple of what it has to be in some ring."""
    return any((message.number_in(name) or 0) % max(size, 4) for name, size in ALIGNMENT.items())


def misaligned(row: Row, _seen: History) -> Iterator[str]:
    """Addresses that virtio does not allow."""
    wanted = {**ALIGNMENT, "available": 4} if packed(row.context) else ALIGNMENT
    odd = [name for name, size in wanted.items() if number(row, name) % size]
    if odd:
        yield "not aligned: " + ", ".join(f"{name} {number(row, name):#x} to {wanted[name]}" for name in odd)


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


def never_enabled(row: Row, seen: History) -> Iterator[str | Breach]:
    """A ring is stopped, or the session over, and nobody ever enabled it."""
    for ring in (ring_before(row),) if row.ring is not None else rings_before(row).values():
        if ring and ring.state.started and ring.enable_sent is None and waited(row, ring, seen):
            yield Breach("started, and never enabled: the back-end did nothing with it", ring.index)


def waited(row: Row, ring: Ring, seen: History) -> bool:
    """Whether a ring needed to be enabled, and had time for it.

    Net's first pair is enabled by habit, and of the others those that the guest uses.
    """
    context = row.context
    if not (context.features or 0) & PROTOCOL_BIT:
        return False
    if context.device.pairs and (ring.index < 2 or any_switched(row)):
        return False
    begun = seen.started_ns.get(ring.index, row.since_first_ns)
    return row.state.driver_ok or row.ring is not None or row.since_first_ns - begun >= PATIENCE_NS


def any_switched(row: Row) -> bool:
    """Whether some ring was enabled or disabled before the row."""
    return any(ring.enable_sent is not None for ring in rings_before(row).values())


def never_started(row: Row, seen: History) -> Iterator[Breach]:
    """Some rings ran, and others that were enabled did not."""
    rings = rings_before(row)
    if not seen.started_ns:
        return
    for ring in rings.values():
        if ring.enable_sent and ring.index not in seen.started_ns:
            yield Breach("enabled, and never started", ring.index)


def no_call(row: Row, _seen: History) -> Iterator[Breach]:
    """A ring runs, and nobody can be told what was used."""
    for ring in rings_before(row).values():
        if ring.state.started and ring.state.enabled and Slot("call", ring.index) not in row.state.fds.slots:
            yield Breach("ran without a call descriptor, and without the word that there is none", ring.index)


NEVER_ENABLED = Rule(
    "ring.never-enabled",
    WARNING,
    "Ring states",
    "With PROTOCOL_FEATURES a ring does nothing until it is enabled: net drops packets, others wait.",
    "Send SET_VRING_ENABLE 1 for the ring (QEMU before 7.2 did not for blk and others).",
)

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
            "ring.unknown-bits",
            WARNING,
            "VHOST_USER_SET_VRING_KICK",
            "Only bits 0 to 8 have a meaning; a back-end may take the rest for a part of the ring's number.",
            "Mend the front-end: the ring is in bits 0 to 7, bit 8 says that no descriptor comes along.",
        ),
        FOR_DESCRIPTORS,
        unknown_bits,
        anytime=True,
        only=above("u64", 0x1FF),
    ),
    Check(
        Rule(
            "ring.beyond-queue-num",
            ERROR,
            "Multiple queue support",
            "The front-end uses more queues than the back-end has: it refuses them, or ends the session.",
            "Give both ends the same number of queues (QEMU: queues=N, num-queues=N).",
        ),
        asks(ring=True),
        beyond_queue_num,
    ),
    Check(
        Rule(
            "ring.enable-value",
            ERROR,
            "VHOST_USER_SET_VRING_ENABLE",
            "A ring is neither enabled nor disabled by this: back-ends refuse it, or take it for 1.",
            "Mend the front-end: num is 1 or 0.",
        ),
        ENABLES,
        enable_value,
        anytime=True,
        only=above("num", 1),
    ),
    Check(
        Rule(
            "ring.enable-before-features",
            WARNING,
            "VHOST_USER_SET_VRING_ENABLE",
            "The message belongs to PROTOCOL_FEATURES, which is not acknowledged yet: rust-vmm's back-ends "
            "refuse it, DPDK and libvhost-user do as they are told.",
            "Send SET_FEATURES before SET_VRING_ENABLE.",
            deviates=(
                "qemu: virtio_net_set_queue_pairs enables before the guest's features are passed on "
                "(hw/net/virtio-net.c)",
                "virtio-user: in server mode it first stops its rings on the new back-end "
                "(drivers/net/virtio/virtio_user)",
                "spdk: enables each queue when it sets it up (lib/virtio/virtio_vhost_user.c)",
            ),
        ),
        ENABLES,
        enable_early,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "ring.enable-needless",
            WARNING,
            "Ring states",
            "Without PROTOCOL_FEATURES all rings are enabled: a strict back-end takes this for an error.",
            "Acknowledge VHOST_USER_F_PROTOCOL_FEATURES in SET_FEATURES, or do not enable rings.",
        ),
        ENABLES,
        enable_needless,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "ring.stop-value",
            WARNING,
            "VHOST_USER_GET_VRING_BASE",
            "A reserved field is not 0; back-ends that are known do not look at it.",
            "Mend the front-end: num is 0.",
            deviates=("virtio-user: virtio_user_destroy_queue sets the index alone (virtio_user_dev.c)",),
        ),
        STOPS,
        reserved_num,
        anytime=True,
        only=above("num"),
    ),
    Check(
        Rule(
            "ring.notice-value",
            WARNING,
            "VHOST_USER_VRING_KICK",
            "A reserved field of an in-band notification is not 0.",
            "Mend the sender: num is 0.",
        ),
        any_of(*(asks(on, gate="INBAND_NOTIFICATIONS") for on in (Channel.MAIN, Channel.BACKEND))),
        reserved_num,
        anytime=True,
        only=above("num"),
    ),
    Check(
        Rule(
            "ring.base-of-another",
            ERROR,
            "VHOST_USER_GET_VRING_BASE",
            "The front-end takes the place of one ring for that of another, and starts both wrongly.",
            "Mend the back-end: the reply has the index of the request.",
        ),
        STOPPED,
        base_of_another,
    ),
    Check(
        Rule(
            "ring.base-too-wide",
            ERROR,
            "VHOST_USER_SET_VRING_BASE",
            "The base of a split ring is 16 bits; one end believes that the ring is packed.",
            "Compare what both ends were told of packed rings (QEMU: packed=on).",
        ),
        any_of(SETS_BASE, STOPPED),
        base_too_wide,
        only=above("num", 0xFFFF),
    ),
    Check(
        Rule(
            "ring.base-differs",
            WARNING,
            "Migrating back-end state",
            "The ring goes on elsewhere than where it was stopped: requests are lost, or done twice.",
            "Compare the base that GET_VRING_BASE returned with the one that was set, and the used index.",
        ),
        SETS_BASE,
        base_differs,
    ),
    Check(
        Rule(
            "ring.base-restarts",
            INFO,
            "Migrating back-end state",
            "The ring begins anew: right after a reset by the guest, wrong after a pause or a migration.",
            "If the guest did not reset the device, requests are lost or done twice.",
            deviates=("virtio-user: always sets 0, or 0x8000 for a packed ring (virtio_user_dev.c)",),
        ),
        SETS_BASE,
        base_restarts,
    ),
    Check(
        Rule(
            "ring.endian-value",
            ERROR,
            "VHOST_USER_SET_VRING_ENDIAN",
            "The byte order of the ring is not known.",
            "Mend the front-end: num is 0 for little-endian, 1 for big-endian.",
        ),
        asks(effect=RingEffect.ENDIAN),
        endian_value,
        anytime=True,
        only=above("num", 1),
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
            "ring.size-invalid",
            WARNING,
            "VHOST_USER_SET_VRING_NUM",
            "virtio has no ring of this size: back-ends refuse it, or read beyond its end.",
            "Choose a power of two up to 32768, and not more than the back-end has room for.",
        ),
        asks(effect=RingEffect.SIZE),
        size_invalid,
        anytime=True,
    ),
    Check(
        Rule(
            "ring.misaligned",
            WARNING,
            "VHOST_USER_SET_VRING_ADDR",
            "virtio wants 16 bytes for descriptors, 2 for the available and 4 for the used ring; rust-vmm's "
            "back-ends refuse anything else.",
            "Look at the driver that placed the ring.",
        ),
        ADDRESSES,
        misaligned,
        anytime=True,
        only=may_be_misaligned,
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
    Check(NEVER_ENABLED, STOPS, never_enabled, once=Once.RING),
    Check(NEVER_ENABLED, None, never_enabled, once=Once.RING),
    Check(
        Rule(
            "ring.never-started",
            INFO,
            "Ring states",
            "The driver did not set the ring up, or the front-end did not pass it on.",
            "Compare the driver's number of queues with the device's: firmware often uses one of many.",
        ),
        None,
        never_started,
        once=Once.RING,
    ),
    Check(
        Rule(
            "ring.no-call",
            INFO,
            "VHOST_USER_SET_VRING_CALL",
            "The driver is never told that its buffers were used; it must poll.",
            "Send SET_VRING_CALL, with a descriptor or with the bit that says there is none.",
        ),
        None,
        no_call,
        once=Once.RING,
    ),
)
