"""When a line of a log was written, as far as the line tells: the many forms of many loggers."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from vutrace.evidence.strace_lines import SECOND, nanoseconds

Take = Callable[[re.Match[str]], int]


def iso(found: re.Match[str]) -> int:
    """2026-11-24T23:05:19.123Z, with a zone or, without one, as UTC."""
    day, time, fraction, zone = found.groups()
    text = f"{day}T{time}{(zone or 'Z').replace('Z', '+00:00')}"
    return int(datetime.fromisoformat(text).timestamp()) * SECOND + nanoseconds(f"0.{fraction or 0}")


def syslog(found: re.Match[str]) -> int:
    """Nov 24 23:05:19: nobody tells the year."""
    moment = datetime.strptime(f"1970 {found[1]} {found[2]} {found[3]}", "%Y %b %d %H:%M:%S")
    return int(moment.replace(tzinfo=UTC).timestamp()) * SECOND


def of_day(found: re.Match[str]) -> int:
    """23:05:19.123: nobody tells the day."""
    return (int(found[1]) * 3600 + int(found[2]) * 60) * SECOND + nanoseconds(found[3])


FORMS: tuple[tuple[re.Pattern[str], Take], ...] = (
    (
        re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:?\d\d)?"),
        iso,
    ),
    (re.compile(r"\d+@(\d+\.\d+):"), lambda found: nanoseconds(found[1])),  # QEMU: thread@time:
    (re.compile(r"\[ *(\d+\.\d+)\]"), lambda found: nanoseconds(found[1])),  # DPDK, the kernel
    (re.compile(r"(\d{9,}\.\d+)\b"), lambda found: nanoseconds(found[1])),
    (re.compile(r"([A-Z][a-z]{2}) +(\d+) (\d\d:\d\d:\d\d)"), syslog),
    (re.compile(r"(\d\d):(\d\d):(\d\d(?:\.\d+)?)"), of_day),
)


def stamp(line: str) -> int | None:
    """The time at the beginning of a line, in nanoseconds; None where it has none."""
    for pattern, take in FORMS:
        if found := pattern.match(line.lstrip()):
            try:
                return take(found)
            except ValueError:
                return None
    return None
