"""What the recording proxy costs, against the least that a relay in C costs and against no relay at all.

    python bench/relay.py [--rounds N]

Ratios of one run, its rounds interleaved. The bars: a median round trip of at most 1.25 times the C
relay's, a burst at 0.7 times its throughput or more with a complete capture, and 150 ms to listen.
Exit status 1 when a bar is missed.
"""

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

TRIPS, BURST = 5_000, 100_000
ROUND_TRIP_BAR, THROUGHPUT_BAR, LISTEN_BAR = 1.25, 0.7, 0.150
SOURCE = Path(__file__).parent / "relay_c.c"
PROXY = [sys.executable, "-m", "vutrace", "proxy"]


def main() -> int:
    """Measure, print, judge."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    rounds = options.parse_args().rounds
    with contextlib.suppress(PermissionError):
        os.nice(-20)  # what else the machine does should not decide
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        program = place / "relay_c"
        subprocess.run(["gcc", "-O2", "-o", program, SOURCE], check=True)
        bench = Bench(place, str(program))
        verdicts = [bench.round_trips(rounds), bench.bursts(rounds), bench.listening()]
    return 0 if all(verdicts) else 1


class Bench:
    """The runs, in one directory."""

    def __init__(self, place: Path, program: str) -> None:
        self._program = program
        self._front, self._back = str(place / "front"), str(place / "back")
        self._capture = place / "capture.pcapng"

    def round_trips(self, rounds: int) -> bool:
        """Medians of the medians, in microseconds."""
        samples: dict[str, list[list[int]]] = {}
        for _ in range(rounds):
            for relay in ("none", "C", "vutrace"):
                with self._between(relay) as path:
                    samples.setdefault(relay, []).append(self._run("trips", path, TRIPS))
        for relay, runs in samples.items():
            figures = [
                statistics.median(percentile(run, share) for run in runs) / 1000 for share in (50, 90, 99)
            ]
            p50, p90, p99 = figures
            print(f"round trip, {relay:8} p50 {p50:7.1f} µs  p90 {p90:7.1f}  p99 {p99:7.1f}")
        pairs = zip(samples["vutrace"], samples["C"], strict=True)
        ratio = statistics.median(percentile(ours, 50) / percentile(theirs, 50) for ours, theirs in pairs)
        return judge("median round trip, times the C relay's", ratio, ROUND_TRIP_BAR, ratio <= ROUND_TRIP_BAR)

    def bursts(self, rounds: int) -> bool:
        """Messages per second, until the last one is answered."""
        rates: dict[str, list[float]] = {}
        complete = True
        for _ in range(rounds):
            for relay in ("none", "C", "vutrace"):
                with self._between(relay) as path:
                    rates.setdefault(relay, []).append(BURST / self._run("burst", path, BURST)[0] * 1e9)
                if relay == "vutrace":
                    complete &= self._messages() == BURST + 1
        for relay, figures in rates.items():
            print(f"burst, {relay:8} {statistics.median(figures):12,.0f} messages/s")
        ratio = statistics.median(a / b for a, b in zip(rates["vutrace"], rates["C"], strict=True))
        print("every capture is complete" if complete else "a capture is INCOMPLETE")
        return judge(
            "throughput, times the C relay's", ratio, THROUGHPUT_BAR, complete and ratio >= THROUGHPUT_BAR
        )

    def listening(self) -> bool:
        """Seconds from the start of the process until its socket is there."""
        times = []
        for _ in range(10):
            began = time.monotonic()
            with self._process([*PROXY, self._front, self._back, "-q"], self._front, 0.001):
                times.append(time.monotonic() - began)
        print(f"listens after {min(times) * 1000:.0f}..{max(times) * 1000:.0f} ms")
        median = statistics.median(times)
        return judge("seconds until it listens", median, LISTEN_BAR, median <= LISTEN_BAR)

    def _run(self, what: str, path: str, times: int) -> list[int]:
        done = subprocess.run(
            [self._program, what, path, str(times)], check=True, capture_output=True, text=True
        )
        return [int(line) for line in done.stdout.split()]

    def _messages(self) -> int:
        from vutrace.capture import read
        from vutrace.records import Frame

        return sum(isinstance(item, Frame) for item in read(self._capture))

    @contextlib.contextmanager
    def _between(self, relay: str) -> Iterator[str]:
        """The path to connect to, with a back-end behind it and a relay before that."""
        record = ["-q", "-w", str(self._capture)]
        command = {"C": [self._program, "relay"], "vutrace": PROXY}.get(relay)
        with self._process([self._program, "back", self._back], self._back):
            if command is None:
                yield self._back
                return
            words = [*command, self._front, self._back, *(record if relay == "vutrace" else [])]
            with self._process(words, self._front):
                yield self._front

    @contextlib.contextmanager
    def _process(self, words: list[str], path: str, step: float = 0.02) -> Iterator[None]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        child = subprocess.Popen(words)
        try:
            while not os.path.exists(path):
                time.sleep(step)
            if step > 0.01:
                time.sleep(0.3)  # whatever it still has to set up is not what is measured
            yield
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait()


def percentile(figures: list[int], share: int) -> int:
    """The figure that `share` percent are not above."""
    return sorted(figures)[len(figures) * share // 100]


def judge(what: str, figure: float, bar: float, met: bool) -> bool:
    """Say it."""
    print(f"{'met   ' if met else 'MISSED'} {what}: {figure:.2f} (bar {bar})\n")
    return met


if __name__ == "__main__":
    sys.exit(main())
