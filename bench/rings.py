"""What looking into 256 rings ten times a second costs (proxy --rings 100ms).

    python bench/rings.py [--seconds S]

Processor time of the sampler and of the recording process, of one processor, while nothing moves and while
every ring moves; and the round trip of a message meanwhile, against the same proxy without --rings. The bars:
the sampler takes less than 5 % of a processor while all rings move, and the median round trip is at most 1.1
times that without. Exit status 1 when one is missed.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vutrace.peers import PROFILES, READY, FrontEnd, Server
from vutrace.sockets.process import raise_descriptor_limit

PAIRS, RING_BYTES, AVAILABLE, USED = 128, 0x3000, 0x1000, 0x2000
SAMPLER_BAR, TRIP_BAR = 5.0, 1.1
TRIPS = 2000
TICK = os.sysconf("SC_CLK_TCK")


class Machine:
    """128 queue pairs behind a proxy, and what that takes of a processor."""

    def __init__(self, place: Path, options: list[str]) -> None:
        self.front, self.capture = str(place / "front"), place / "capture.pcapng"
        command = [sys.executable, "-m", "vutrace", "proxy", self.front, str(place / "back"), "-q"]
        self.backend = Server(str(place / "back"))
        self.backend.__enter__()
        self.proxy = subprocess.Popen([*command, "-w", str(self.capture), *options])
        while not os.path.exists(self.front):
            time.sleep(0.02)
        self.frontend = FrontEnd(PROFILES["qemu-7.2"], PAIRS, enabled=PAIRS, timeout=60)
        self.frontend.connect(self.front)
        self.frontend.write_features()
        self.frontend.start()
        self.backend.journal.wait(READY, 60)
        time.sleep(3)  # the sampler has to be there

    def children(self) -> Iterator[int]:
        """The recording process, and below it the sampler."""
        pids = [self.proxy.pid]
        while pids:
            pid = pids.pop()
            tasks = Path(f"/proc/{pid}/task").glob("*/children")
            pids += [int(child) for each in tasks for child in each.read_text().split()]
            if pid != self.proxy.pid:
                yield pid

    def spent(self, seconds: float, moves: bool) -> dict[str, float]:
        """Percent of a processor that each takes while so many seconds pass."""
        names = ("recording", "sampler")
        pids = dict(zip(names, self.children(), strict=False))
        before = {name: ticks(pid) for name, pid in pids.items()}
        began = time.monotonic()
        turn = 0
        while time.monotonic() - began < seconds:
            if moves:
                turn += 1
                self.move(turn)
            time.sleep(max(0.0, began + 0.1 * turn - time.monotonic()) if moves else 0.1)
        passed = time.monotonic() - began
        return {name: 100 * (ticks(pid) - before[name]) / TICK / passed for name, pid in pids.items()}

    def move(self, turn: int) -> None:
        """A chain more in each ring, made available and given back."""
        data = (turn << 16).to_bytes(4, "little")
        for ring in range(2 * PAIRS):
            for part in (AVAILABLE, USED):
                os.pwrite(self.frontend.device.memory.fd, data, ring * RING_BYTES + part)

    def trip(self) -> float:
        """The median round trip of a second front-end's requests, in microseconds."""
        with FrontEnd(PROFILES["qemu-7.2"], 1, timeout=60) as other:
            other.connect(self.front)
            spent = []
            for _ in range(TRIPS // 20):
                began = time.perf_counter_ns()
                other._play("features")  # requests with replies, as the profile has them
                spent.append((time.perf_counter_ns() - began) / 1000)
        return statistics.median(spent)

    def close(self) -> None:
        """Stop all of it."""
        self.frontend.close()
        self.proxy.send_signal(signal.SIGINT)
        self.proxy.wait(20)
        self.backend.__exit__(None, None, None)


def ticks(pid: int) -> int:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@contextmanager
def machine(*options: str) -> Iterator[Machine]:
    """A machine in a directory of its own."""
    with tempfile.TemporaryDirectory() as name:
        made = Machine(Path(name), list(options))
        try:
            yield made
        finally:
            made.close()


def main() -> int:
    """Measure, print, judge."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=8)
    seconds = options.parse_args().seconds
    raise_descriptor_limit()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; 256 rings, 10 looks a second")
    with machine() as without:
        plain = without.trip()
    with machine("--rings", "100ms") as looking:
        for words, moves in (("nothing moves", False), ("every ring moves", True)):
            size = looking.capture.stat().st_size
            spent = looking.spent(seconds, moves)
            grown = (looking.capture.stat().st_size - size) / seconds / 1000
            told = ", ".join(f"{name} {percent:.1f} %" for name, percent in spent.items())
            print(f"{words}: {told} of a processor; the capture grows by {grown:.0f} kB/s")
        trip = looking.trip()
    print(f"round trip of the features' phase: {plain:.0f} µs without --rings, {trip:.0f} µs with")
    met = spent["sampler"] < SAMPLER_BAR and trip <= TRIP_BAR * plain
    print("the bars are met" if met else "a bar is MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
