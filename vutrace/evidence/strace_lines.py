"""The lines of strace as calls: who, when, what came of it; calls that were interrupted are put together."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LINE = re.compile(
    r"\s*(?:\[pid +(?P<pid>\d+)\] +|(?P<tid>\d+) +)?"
    r"(?:(?P<time>\d+\.\d+|\d\d:\d\d:\d\d(?:\.\d+)?|\d{9,}) +)?(?P<rest>.*)",
    re.DOTALL,
)
CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)(?P<told>.*)", re.DOTALL)
UNFINISHED = re.compile(r"(?P<name>\w+)\((?P<arguments>.*?),? *<unfinished \.\.\.>\)?")
RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>,? ?(?P<rest>.*)", re.DOTALL)
SECOND = 1_000_000_000
LATEST_RELATIVE = 100_000_000  # seconds: above, a number is a time since 1970


@dataclass(frozen=True, slots=True)
class Call:
    """One system call that came to an end.

    `time_ns` is nanoseconds since 1970; since midnight where only the time of day is known, None where no
    time is. `told` is what stands behind the result.
    """

    pid: int
    time_ns: int | None
    name: str
    arguments: str
    result: int
    told: str


class Lines:
    """Takes lines in order and gives the calls that they complete; `count` is how many calls there were."""

    def __init__(self) -> None:
        self.count = 0
        self._begun: dict[int, tuple[str, str]] = {}
        self._elapsed = 0

    def calls(self, lines: Iterable[str]) -> Iterator[Call]:
        """The calls in the order in which they ended."""
        for line in lines:
            parts = LINE.match(line.rstrip("\n"))
            assert parts
            pid = int(parts["pid"] or parts["tid"] or 0)
            time_ns = self._time(parts["time"])
            text = self._whole(pid, parts["rest"])
            if text and (found := CALL.match(text)):
                self.count += 1
                name, arguments, result, told = found.groups()
                yield Call(pid, time_ns, name, arguments, int(result), told)

    def _whole(self, pid: int, text: str) -> str:
        """The call as if it had never been interrupted; "" while it goes on."""
        if begun := UNFINISHED.match(text):
            self._begun[pid] = begun["name"], begun["arguments"]
            return ""
        resumed = RESUMED.match(text)
        if resumed is None:
            return text
        name, arguments = self._begun.pop(pid, ("", ""))
        if name != resumed["name"]:
            return ""
        joint = ", " if arguments and not resumed["rest"].startswith(")") else ""
        return f"{name}({arguments}{joint}{resumed['rest']}"

    def _time(self, stamp: str | None) -> int | None:
        if not stamp:
            return None
        if ":" in stamp:
            hours, minutes, seconds = stamp.split(":")
            return (int(hours) * 3600 + int(minutes) * 60) * SECOND + nanoseconds(seconds)
        time_ns = nanoseconds(stamp)
        if time_ns >= LATEST_RELATIVE * SECOND:
            return time_ns
        self._elapsed += time_ns  # strace -r: since the call before
        return self._elapsed


def nanoseconds(seconds: str) -> int:
    """A decimal number of seconds, exactly."""
    whole, _, fraction = seconds.partition(".")
    return int(whole) * SECOND + int(fraction.ljust(9, "0")[:9] or 0)
