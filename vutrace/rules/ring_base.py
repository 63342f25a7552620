"""Rings: where one stopped, and where it goes on.

Sources: vhost-user.rst, "Migrating back-end state", VHOST_USER_GET_VRING_BASE and VHOST_USER_SET_VRING_BASE.
"""

from collections.abc import Iterator

from vutrace.problems import Rule, Severity
from vutrace.protocol.check import Check, answers, any_of, asks
from vutrace.protocol.effects import RingEffect
from vutrace.rules.look import (
    above,
    has,
    number,
    packed,
)
from vutrace.rules.seen import History
from vutrace.session.row import Row

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
FRESH_BASES = frozenset({0, 0x8000, 0x8000_8000})  # split; packed, with one wrap counter or both
SETS_BASE = asks(effect=RingEffect.BASE)
STOPPED = answers(effect=RingEffect.STOP)


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


CHECKS = (
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
            deviates=("virtio-user: always sets 0, or 0x8000 for a packed ring (virtio_user_kick_queue)",),
        ),
        SETS_BASE,
        base_restarts,
    ),
)
