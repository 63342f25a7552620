"""The buffer of requests in flight, which outlives the back-end.

Source: vhost-user.rst, "Inflight I/O tracking", "VHOST_USER_GET_INFLIGHT_FD", "VHOST_USER_SET_INFLIGHT_FD".
"""

from collections.abc import Iterator

from vutrace.problems import Rule, Severity
from vutrace.protocol.check import Breach, Check, Once, asks
from vutrace.protocol.effects import RingEffect
from vutrace.rules.look import number, starts
from vutrace.rules.seen import History, InflightSizes
from vutrace.session.row import Row

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
HANDS_BACK = asks(role="inflight")


def told(row: Row) -> InflightSizes:
    """The sizes that the row's message tells."""
    return InflightSizes(number(row, "mmap_size"), number(row, "num_queues"), number(row, "queue_size"))


def sizes_differ(row: Row, seen: History) -> Iterator[str]:
    """Another buffer than the back-end made."""
    known, given = seen.kept.inflight, told(row)
    if known is not None and given != known:
        yield f"{text(given)}; the back-end made {text(known)}"


def text(sizes: InflightSizes) -> str:
    """A buffer in words."""
    return f"{sizes.mmap_size} bytes for {sizes.num_queues} queues of {sizes.queue_size}"


def never_got(_row: Row, seen: History) -> Iterator[str]:
    """A buffer that nobody was asked for."""
    if seen.kept.inflight is None and seen.first:
        yield "before GET_INFLIGHT_FD made a buffer"


def after_start(row: Row, _seen: History) -> Iterator[str]:
    """A buffer for rings that run already."""
    if row.state.rings.started:
        yield "after a ring was started"


def kept_over_reset(row: Row, seen: History) -> Iterator[Breach]:
    """A start after a reset with the buffer of before."""
    if starts(row) and seen.stale_row is not None:
        yield Breach("the buffer of before the reset is still in use", row=seen.stale_row)


CHECKS = (
    Check(
        Rule(
            "inflight.sizes-differ",
            ERROR,
            "VHOST_USER_SET_INFLIGHT_FD",
            "The back-end reads the requests in flight from wrong places, and does them twice or never.",
            "Hand back the buffer as it was got; after a change of the number of queues get a new one.",
        ),
        HANDS_BACK,
        sizes_differ,
    ),
    Check(
        Rule(
            "inflight.never-got",
            INFO,
            "Inflight I/O tracking",
            "On a first connection the back-end makes the buffer; this one comes from elsewhere.",
            "Right after a migration that took the buffer along; otherwise send GET_INFLIGHT_FD first.",
        ),
        HANDS_BACK,
        never_got,
    ),
    Check(
        Rule(
            "inflight.late",
            WARNING,
            "Inflight I/O tracking",
            "What the back-end did until now is in no buffer: lost if it dies.",
            "Send SET_INFLIGHT_FD before SET_VRING_KICK.",
        ),
        HANDS_BACK,
        after_start,
    ),
    Check(
        Rule(
            "inflight.kept-over-reset",
            INFO,
            "VHOST_USER_GET_INFLIGHT_FD",
            "Requests of before the reset may be done again.",
            "Get a new buffer after a reset.",
        ),
        asks(effect=RingEffect.KICK),
        kept_over_reset,
        once=Once.SESSION,
    ),
)
