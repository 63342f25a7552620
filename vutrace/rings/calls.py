"""Whether a driver that asked to be called was, of a ring whose calls are counted.

Source: virtio, "Used Buffer Notification Suppression", "Driver and Device Event Suppression". A driver that
says no event index may have polled meanwhile: only where it did nothing at all is it certain that it was to
be called.
"""

from vutrace.rings.indexes import Indexes
from vutrace.rings.packed import PackedForm
from vutrace.rings.split import SplitForm

NO_CALL, AT_EVENT = 1, 2  # of the driver's flags; AT_EVENT of a packed ring's only
MS, MOST = 1_000_000, 0xFFFFFFFF


class CallWatch:
    """Follows one ring, look after look."""

    def __init__(self) -> None:
        self._calls: int | None = None
        self._since_ns: int | None = None

    def feed(
        self, form: SplitForm | PackedForm, last: Indexes | None, now: Indexes, calls: int | None, now_ns: int
    ) -> None:
        """A look; `calls` is how often the driver was called before it."""
        called, self._calls = calls != self._calls, calls
        if calls is None or called or last is None or (self.misses and is_taken(form, last, now)):
            self._since_ns = None
        elif self._since_ns is None and asked(form, last, now):
            self._since_ns = now_ns

    @property
    def misses(self) -> bool:
        """Whether a call is missing."""
        return self._since_ns is not None

    def missing_ms(self, now_ns: int) -> int:
        """For how long."""
        return 0 if self._since_ns is None else min((now_ns - self._since_ns) // MS, MOST)


def has_event(form: SplitForm | PackedForm, now: Indexes) -> bool:
    """Whether the driver says at which index it wants to be called."""
    return now.driver_flags & 3 == AT_EVENT if form.packed else now.events


def asked(form: SplitForm | PackedForm, last: Indexes, now: Indexes) -> bool:
    """Whether the device had to call for what it gave back between two looks."""
    moved = form.steps(last.used, now.used)
    if not moved:
        return False
    if has_event(form, now):  # it had to when it came past the event index
        return (form.steps(now.driver_event, now.used) - 1) % form.round < moved
    silent = last.available == now.available
    return silent and not (last.driver_flags | now.driver_flags) & NO_CALL


def is_taken(form: SplitForm | PackedForm, last: Indexes, now: Indexes) -> bool:
    """Whether the driver has seen by itself what came back."""
    if has_event(form, now):
        return last.driver_event != now.driver_event
    return last.available != now.available or bool(now.driver_flags & NO_CALL)
