"""Rings: what a message about one may say.

Sources: vhost-user.rst, the sections of the messages; virtio, "Virtqueues". What only virtio or
implementations say is a warning at most.
"""

from collections.abc import Iterator

from vutrace.dissection.message import Message
from vutrace.problems import Rule, Severity
from vutrace.protocol.check import Check, any_of, asks
from vutrace.protocol.effects import RingEffect
from vutrace.records import Channel
from vutrace.rules.look import (
    above,
    has,
    number,
    packed,
    ring_before,
)
from vutrace.rules.seen import History
from vutrace.session.context import Context
from vutrace.session.row import Row

ERROR, WARNING = Severity.ERROR, Severity.WARNING
LARGEST = 32768
ALIGNMENT = {"descriptor": 16, "available": 2, "used": 4}
FOR_DESCRIPTORS = asks(effect=frozenset({RingEffect.KICK, RingEffect.CALL, RingEffect.ERROR}))
STOPS = asks(effect=RingEffect.STOP)
ADDRESSES = asks(effect=RingEffect.ADDRESSES)
ENABLES = asks(effect=RingEffect.ENABLE)


def unknown_bits(row: Row, _seen: History) -> Iterator[str]:
    """More than a ring and NOFD in the u64."""
    yield f"bits 9 to 63 of {number(row, 'u64'):#x} are not 0"


def beyond_queue_num(row: Row, _seen: History) -> Iterator[str]:
    """A ring that the back-end does not have."""
    if ring_before(row) is None:
        unit = "queue pairs" if rings_each(row.context) == 2 else "queues"
        yield f"ring {row.ring} of a back-end with {row.context.queue_num} {unit}"


def is_beyond(message: Message, context: Context) -> bool:
    """Whether a message is about a ring above what the back-end said it has."""
    if not context.queue_num or message.ring is None:
        return False
    return message.ring >= context.queue_num * rings_each(context) + bool(context.device.control_ring)


def rings_each(context: Context) -> int:
    """How many rings are meant where the back-end says how many queues it has."""
    return 2 if context.device.pairs or not context.device.number else 1


def enable_value(row: Row, _seen: History) -> Iterator[str]:
    """Neither on nor off."""
    yield f"num is {number(row, 'num')}: 1 enables, 0 disables"


def reserved_num(row: Row, _seen: History) -> Iterator[str]:
    """A reserved field that is not 0."""
    yield f"num is {number(row, 'num'):#x}; it is reserved, and 0"


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


CHECKS = (
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
        given=is_beyond,
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
            "ring.stop-value",
            WARNING,
            "VHOST_USER_GET_VRING_BASE",
            "A reserved field is not 0; back-ends that are known do not look at it.",
            "Mend the front-end: num is 0.",
            deviates=("virtio-user: sets the index alone (virtio_user_destroy_queue, virtio_user_dev.c)",),
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
)
