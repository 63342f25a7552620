"""What moves in rings and what stands still, by the samples of `proxy --rings`.

Sources: virtio, "Split Virtqueues" and "Packed Virtqueues"; vhost-user.rst, "Ring states". A
device may take as long as it likes, and may poll: what only looks as if it stood still is a warning.
"""

from collections.abc import Iterator

from vutrace.problems import Severity
from vutrace.protocol.check import Breach, Check, Once
from vutrace.records import RingSample, SampleFlag
from vutrace.rules.sampled import is_beyond, rule, running, waits
from vutrace.rules.seen import History
from vutrace.session.row import Row

WARNING = Severity.WARNING
LOST_MS, UNCALLED_MS = 10_000, 1000
SUPPRESSION, NO_NOTIFY = 0x3, 1  # of a split ring's flags; of a packed ring's event structure as well


def unread_kicks(sample: RingSample) -> bool:
    """Whether the device was kicked, has not looked, and did not say that it need not be."""
    wants = sample.device_flags & SUPPRESSION != NO_NOTIFY
    return sample.has(SampleFlag.KICKS) and sample.kicks > 0 and wants


def kick_not_taken(row: Row, _seen: History) -> Iterator[Breach]:
    """Requests wait, kicks too."""
    for name, moved in running(row):
        sample = moved.sample
        if waits(moved) and unread_kicks(sample) and not is_beyond(row, moved):
            text = f"{name}: {waiting(sample)}; kicked {sample.kicks} times since the back-end last looked"
            yield Breach(text, ring=sample.ring)


def stuck(row: Row, _seen: History) -> Iterator[Breach]:
    """Requests wait, and the device was not kicked, or polls, or has taken its kicks."""
    for name, moved in running(row):
        sample = moved.sample
        if waits(moved) and not unread_kicks(sample) and not is_beyond(row, moved):
            yield Breach(f"{name}: {waiting(sample)}; {kicks_words(sample)}", ring=sample.ring)


def kicks_words(sample: RingSample) -> str:
    """What is known of the kicks where none counts."""
    if sample.device_flags & SUPPRESSION == NO_NOTIFY:
        return "it wants no kicks, so it polls"
    return "no kick waits" if sample.has(SampleFlag.KICKS) else "its kicks are not known"


def waiting(sample: RingSample) -> str:
    """What waits, and for how long."""
    unit = "descriptor" if sample.has(SampleFlag.PACKED) else "chain"
    flying = f"{sample.in_flight} {unit}{'' if sample.in_flight == 1 else 's'} in flight"
    return f"{flying}, none came back for {sample.age_ms / 1000:.1f} s"


def chain_lost(row: Row, _seen: History) -> Iterator[Breach]:
    """One request stays while others come and go."""
    for name, moved in running(row):
        sample = moved.sample
        others = moved.time_ns - moved.still_ns < sample.age_ms * 1_000_000 // 2
        if sample.has(SampleFlag.REQUEST) and sample.age_ms >= LOST_MS and others:
            chain = f"chain {sample.head} ({sample.length} descriptors, {sample.readable} bytes to read)"
            text = f"{name}: {chain} is in flight for {sample.age_ms / 1000:.1f} s, and others came back"
            yield Breach(text, ring=sample.ring)


def call_missing(row: Row, _seen: History) -> Iterator[Breach]:
    """Something came back of which the driver wanted to be told."""
    for name, moved in running(row):
        sample = moved.sample
        if sample.has(SampleFlag.UNCALLED) and sample.uncalled_ms >= UNCALLED_MS:
            since = f"{sample.uncalled_ms / 1000:.1f} s"
            text = f"{name}: the driver asked to be called, and was not for {since} after something came back"
            yield Breach(f"{text}; it was called {sample.call_total} times", ring=sample.ring)


SAMPLES = (
    Check(
        rule(
            "call-missing",
            WARNING,
            "virtio, “Used Buffer Notification Suppression”",
            "The driver sleeps until it is called, and what came back waits for ever; or until the "
            "next call. A driver that polled meanwhile has seen it all the same.",
            "Look at when the back-end writes its call eventfd: after it has written the used index, "
            "and then read the driver's flags or event index.",
        ),
        None,
        call_missing,
        once=Once.RING,
    ),
    Check(
        rule(
            "kick-not-taken",
            WARNING,
            "Ring states",
            "The driver has kicked, and the back-end does not read its eventfd: its event loop stands "
            "still, or watches another descriptor. A back-end that polls says so in the ring, and is "
            "not meant.",
            "Look at what the back-end's threads do; compare the descriptor of SET_VRING_KICK with "
            "what it polls.",
        ),
        None,
        kick_not_taken,
        once=Once.RING,
    ),
    Check(
        rule(
            "stuck",
            WARNING,
            "Ring states",
            "Requests are in the ring, and the back-end gives none back: it is stopped, busy "
            "elsewhere, waits for something itself, or was never kicked.",
            "Look at what the back-end's process does (is it stopped, are its polling threads alive?), "
            "and at the device behind it.",
        ),
        None,
        stuck,
        once=Once.RING,
    ),
    Check(
        rule(
            "chain-lost",
            WARNING,
            "virtio, “Virtqueues”",
            "One request was never answered while others were: a buffer has leaked, or its completion "
            "was lost. The ring has one place less for ever.",
            "Look for an error path of the back-end that drops a request without putting it into the "
            "used ring.",
        ),
        None,
        chain_lost,
        once=Once.RING,
    ),
)
"""What is asked about each sample."""
