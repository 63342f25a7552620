"""Opening a capture: tshark with the generated plug-in against `vutrace show --json` of the same.

    python bench/wireshark.py [MESSAGES]

Prints seconds of wall clock and of processor time, the best of three, as a Markdown table; the bar is held
against both. The capture repeats a real one, each time as a new session. tshark without the plug-in shows
what the plug-in costs.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from vutrace.capture import Writer, read
from vutrace.dissection.registry import load
from vutrace.records import Connection
from vutrace.wireshark.plugin import FILE_NAME, plugin
from vutrace.wireshark.tshark import command

CAPTURE = Path(__file__).parents[1] / "captures" / "qemu-7.2-testpmd.pcapng"
ROUNDS = 3
BAR = 5
APART_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds of one run."""

    wall: float
    processor: float


def repeat(source: Path, target: Path, records: int) -> int:
    """Write a capture of at least so many records; how many they are."""
    items = list(read(source))
    written = session = 0
    with Writer(target) as writer:
        for connection in (item for item in items if isinstance(item, Connection)):
            writer.write(connection)
        while written < records:
            session += 1
            for item in items:
                if not isinstance(item, Connection):
                    writer.write(replace(item, session=session, time_ns=item.time_ns + session * APART_NS))
                    written += 1
    return written


def measure(command: Sequence[str | Path]) -> Time:
    """The best of some runs, its output thrown away."""
    runs = [run(command) for _ in range(ROUNDS)]
    return Time(min(each.wall for each in runs), min(each.processor for each in runs))


def run(command: Sequence[str | Path]) -> Time:
    """One run."""
    before, start = os.times(), time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    wall, after = time.monotonic() - start, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Time(wall, spent)


def main() -> int:
    """Make the capture, measure, print; 1 when vutrace is less than `BAR` times as fast."""
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with TemporaryDirectory() as folder:
        capture, script = Path(folder) / "large.pcapng", Path(folder) / FILE_NAME
        script.write_text(plugin(load()), encoding="utf-8")
        count = repeat(CAPTURE, capture, messages)
        fields = ["-T", "fields", "-e", "frame.number", "-e", "_ws.col.Info"]
        tshark: list[str | Path] = [*command(), "-n", "-r", capture, *fields]
        runs: dict[str, list[str | Path]] = {
            "`vutrace show --json`": [sys.executable, "-m", "vutrace", "show", "--json", capture],
            "`tshark -T fields`, plug-in": [*tshark, "-X", f"lua_script:{script}"],
            "`tshark -T fields`, no plug-in": tshark,
        }
        times = {name: measure(command) for name, command in runs.items()}
    return 0 if report(count, times) >= BAR else 1


def report(count: int, times: dict[str, Time]) -> float:
    """A table, and how many times as fast vutrace is."""
    print(f"{count} records, best of {ROUNDS}\n\n| | wall s | processor s | µs a record |\n|---|---|---|---|")
    for name, spent in times.items():
        print(f"| {name} | {spent.wall:.2f} | {spent.processor:.2f} | {spent.processor / count * 1e6:.1f} |")
    ours, plugged, plain = times.values()
    worked, waited = plugged.processor / ours.processor, plugged.wall / ours.wall
    print(f"\nvutrace is {worked:.1f} times as fast as tshark with the plug-in by processor time,")
    print(f"{waited:.1f} times by the clock.")
    print(f"The plug-in costs {(plugged.processor - plain.processor) / count * 1e6:.1f} µs a record.")
    return min(worked, waited)


if __name__ == "__main__":
    sys.exit(main())
