"""The time column, after tshark's -t."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from vutrace.records import Event
from vutrace.views.annotated import AnnotatedRow

Clock = Callable[[AnnotatedRow], str]

SECOND = 1_000_000_000
WIDTH = 11


def relative(shown: AnnotatedRow) -> str:
    """Seconds since the first record."""
    return seconds(shown.row.since_first_ns)


def delta(shown: AnnotatedRow) -> str:
    """Seconds since the record before."""
    return seconds(shown.since_previous_ns)


def seconds(nanoseconds: int) -> str:
    """Seconds with six places, rounded down."""
    sign = "-" if nanoseconds < 0 else ""
    whole, rest = divmod(abs(nanoseconds), SECOND)
    return f"{sign}{whole}.{rest // 1000:06}"


def epoch_ns(shown: AnnotatedRow) -> int:
    """When it happened, in nanoseconds since 1970."""
    what = shown.row.what
    return what.time_ns if isinstance(what, Event) else what.frame.time_ns


def epoch(shown: AnnotatedRow) -> str:
    """Seconds since 1970."""
    return seconds(epoch_ns(shown))


def calendar(style: str, zone: tzinfo | None) -> Clock:
    """The time of day (and date) in `style`, in a zone; None is the local one."""

    def clock(shown: AnnotatedRow) -> str:
        whole, rest = divmod(epoch_ns(shown), SECOND)
        try:
            moment = datetime.fromtimestamp(whole, UTC).astimezone(zone)
        except (OverflowError, ValueError, OSError):  # a hostile capture's time
            return epoch(shown)
        return f"{moment:{style}}.{rest // 1000:06}"

    return clock


def shown_delta() -> Clock:
    """Seconds since the row that was shown before."""
    last: int | None = None

    def clock(shown: AnnotatedRow) -> str:
        nonlocal last
        passed = 0 if last is None else shown.row.since_first_ns - last
        last = shown.row.since_first_ns
        return seconds(passed)

    return clock


@dataclass(frozen=True, slots=True)
class Style:
    """One of tshark's letters: makes a clock, whose text is `width` characters wide, with a `zone` for it."""

    make: Callable[[], Clock]
    width: int = WIDTH
    zone: Callable[[], str] = str


def local_zone() -> str:
    """The name of the zone that this machine is in."""
    return datetime.now().astimezone().tzname() or ""


def utc() -> str:
    return "UTC"


DAY, DATE = "%H:%M:%S", "%Y-%m-%d %H:%M:%S"
STYLES: Mapping[str, Style] = {
    "r": Style(lambda: relative),
    "d": Style(lambda: delta),
    "dd": Style(shown_delta),
    "a": Style(lambda: calendar(DAY, None), 15, local_zone),
    "ad": Style(lambda: calendar(DATE, None), 26, local_zone),
    "u": Style(lambda: calendar(DAY, UTC), 15, utc),
    "ud": Style(lambda: calendar(DATE, UTC), 26, utc),
    "e": Style(lambda: epoch, 17),
}
