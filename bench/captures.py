"""How reading a capture grows with its length: `show --json`, `timeline` and `queues`, time and memory.

    python bench/captures.py [--messages N] [--verbs "show --json" timeline queues]

A real capture is repeated until it has N messages, and the halves of that; linear means that the time
per message stays, constant memory that the peak stays. Ratios of one run; no bar is a time.
"""

import argparse
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vutrace.capture import Writer, read
from vutrace.records import Connection, FdInfo, Frame, Record

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "captures" / "qemu-7.2-testpmd-ethtool.pcapng"
VERBS = ["show --json", "timeline", "queues"]


def main() -> None:
    """Measure each verb at three lengths."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--messages", type=int, default=1_000_000)
    options.add_argument("--verbs", nargs="+", default=VERBS)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        lengths = [asked.messages // 4, asked.messages // 2, asked.messages]
        captures = {
            length: repeat(SOURCE, Path(directory) / f"{length}.pcapng", length) for length in lengths
        }
        for verb in asked.verbs:
            report(verb, {length: measure(verb, path) for length, path in captures.items()})


def repeat(source: Path, target: Path, length: int) -> Path:
    """A capture of `length` records: the source again and again, each time as the next session."""
    items = list(read(source))
    with Writer(target) as writer:
        for item in (item for item in items if isinstance(item, Connection)):
            writer.write(item)
        records = [item for item in items if not isinstance(item, Connection)]
        for record in itertools.islice(sessions(records), length):
            writer.write(record)
    return target


def sessions(records: list[Record]) -> Iterator[Record]:
    """The records for ever, as session after session."""
    span = records[-1].time_ns - records[0].time_ns + 1_000_000
    for turn in itertools.count():
        for record in records:
            if isinstance(record, Frame) and record.fds:
                record = replace(record, fds=tuple(again(info, turn) for info in record.fds))
            yield replace(record, time_ns=record.time_ns + turn * span, session=record.session + turn)


def again(info: FdInfo, turn: int) -> FdInfo:
    """A descriptor as a later session would have it: the kernel numbers every eventfd anew."""
    return info if info.eventfd_id is None else replace(info, eventfd_id=info.eventfd_id + turn * 1000)


def measure(verb: str, capture: Path) -> tuple[float, int]:
    """CPU seconds and peak memory (KiB) of one run of the verb."""
    with open(os.devnull, "wb") as nowhere:
        words = [sys.executable, "-m", "vutrace", *verb.split(), str(capture)]
        child = os.posix_spawn(
            sys.executable, words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1)]
        )
        _, status, used = os.wait4(child, 0)
    if status:
        sys.exit(f"vutrace {verb}: exit status {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss


def report(verb: str, runs: dict[int, tuple[float, int]]) -> None:
    """One line a length, and the growth from the shortest to the longest."""
    for length, (seconds, peak) in runs.items():
        each, mib = seconds / length * 1e6, peak / 1024
        print(
            f"{verb:12} {length:>9} records  {seconds:6.1f} s CPU  {each:5.1f} µs each  {mib:5.0f} MiB peak"
        )
    (first, least), *_, (last, most) = runs.items()
    time, memory = (most[0] / last) / (least[0] / first), most[1] / least[1]
    print(f"{verb:12} {last // first} × the length: time per record × {time:.2f}, memory × {memory:.2f}")


if __name__ == "__main__":
    main()
