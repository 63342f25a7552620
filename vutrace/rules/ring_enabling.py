"""Rings: when one is enabled, and what is still missing when it is, or never was.

Sources: vhost-user.rst, "Ring states" and VHOST_USER_SET_VRING_ENABLE.
"""

from collections.abc import Iterator

from vutrace.dissection.message import Message
from vutrace.problems import Rule, Severity
from vutrace.protocol.check import Breach, Check, Once, asks
from vutrace.protocol.effects import RingEffect
from vutrace.rules.look import (
    PROTOCOL_BIT,
    ring_before,
    rings_before,
)
from vutrace.rules.seen import History
from vutrace.session.context import Context
from vutrace.session.fd_ledger import Slot
from vutrace.session.ring import Ring
from vutrace.session.row import Row

WARNING, INFO = Severity.WARNING, Severity.INFO
PATIENCE_NS = 1_000_000_000
STOPS = asks(effect=RingEffect.STOP)
ENABLES = asks(effect=RingEffect.ENABLE)


def not_acknowledged(_message: Message, context: Context) -> bool:
    """Whether the features are not acknowledged yet."""
    return context.features is None


def enable_early(_row: Row, _seen: History) -> Iterator[str]:
    """Switched before the features are acknowledged."""
    yield "before SET_FEATURES acknowledged PROTOCOL_FEATURES"


def enabled_anyway(_message: Message, context: Context) -> bool:
    """Whether PROTOCOL_FEATURES was left out of the features."""
    return context.features is not None and not context.features & PROTOCOL_BIT


def enable_needless(_row: Row, _seen: History) -> Iterator[str]:
    """Switched where rings are enabled by themselves."""
    yield "PROTOCOL_FEATURES is not acknowledged: rings are enabled without it"


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
            "ring.enable-before-features",
            WARNING,
            "VHOST_USER_SET_VRING_ENABLE",
            "The message belongs to PROTOCOL_FEATURES, which is not acknowledged yet: rust-vmm's back-ends "
            "refuse it, DPDK and libvhost-user do as they are told.",
            "Send SET_FEATURES before SET_VRING_ENABLE.",
            deviates=(
                "qemu: virtio_net_set_queue_pairs enables before the guest's features are passed on "
                "(hw/net/virtio-net.c)",
                "virtio-user: in server mode it first resets the new back-end "
                "(virtio_user_dev_server_reconnect)",
                "spdk: enables each queue when it sets it up (lib/virtio/virtio_vhost_user.c)",
            ),
        ),
        ENABLES,
        enable_early,
        once=Once.SESSION,
        given=not_acknowledged,
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
        given=enabled_anyway,
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
