"""What counting kicks costs (proxy --count-kicks): from a write to an eventfd until its receiver wakes up.

    python bench/kicks.py [--times N]

The same pair of processes and eventfds, once directly and once with the counting process between them; a kick
every millisecond, and as many as possible. Prints medians, the 99th percentile, and processor time per kick.
"""

import argparse
import os
import select
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MESSAGE = struct.Struct("=IIIQ")
SET_VRING_KICK = 12
TICK = os.sysconf("SC_CLK_TCK")


class Ends:
    """Both ends of an eventfd, which goes through a proxy where `words` are its options."""

    def __init__(self, place: Path, words: list[str] | None) -> None:
        self.sends = self.gets = os.eventfd(0)
        self.proxy: subprocess.Popen[bytes] | None = None
        if words is None:
            return
        front, back = place / "front", place / "back"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(back))
        listener.listen()
        command = [sys.executable, "-m", "vutrace", "proxy", str(front), str(back), "-q", *words]
        self.proxy = subprocess.Popen([*command, "-w", str(place / "capture.pcapng")])
        while not front.exists():
            time.sleep(0.02)
        self._front = socket.socket(socket.AF_UNIX)
        self._front.connect(str(front))
        self._back = listener.accept()[0]
        socket.send_fds(self._front, [MESSAGE.pack(SET_VRING_KICK, 1, 8, 0)], [self.sends])
        self.gets = socket.recv_fds(self._back, 64, 1)[1][0]
        time.sleep(1)

    def counter_ticks(self) -> int:
        """Processor time of the counting process so far."""
        if self.proxy is None:
            return 0
        children = Path(f"/proc/{self.proxy.pid}/task/{self.proxy.pid}/children").read_text().split()
        for pid in children:
            if b"rings.counter" in Path(f"/proc/{pid}/cmdline").read_bytes():
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                return int(fields[11]) + int(fields[12])
        return 0

    def delays(self, times: int, pause: float) -> list[float]:
        """Microseconds from each write until another process has read it and written back."""
        answer = os.eventfd(0)
        if os.fork() == 0:
            for _ in range(times):
                select.select([self.gets], [], [])
                os.eventfd_read(self.gets)
                os.eventfd_write(answer, 1)
            os._exit(0)
        found = []
        for _ in range(times):
            began = time.perf_counter_ns()
            os.eventfd_write(self.sends, 1)
            os.eventfd_read(answer)
            found.append((time.perf_counter_ns() - began) / 1000)
            time.sleep(pause)
        os.wait()
        return found

    def close(self) -> None:
        """End the proxy."""
        if self.proxy:
            self.proxy.terminate()
            self.proxy.wait(20)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=5000)
    times = options.parse_args().times
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; there and back, in µs")
    for name, words in (("directly", None), ("without", []), ("with --count-kicks", ["--count-kicks"])):
        with tempfile.TemporaryDirectory() as place:
            ends = Ends(Path(place), words)
            for how, pause in (("a kick a millisecond", 0.001), ("one after the other", 0.0)):
                before = ends.counter_ticks()
                found = sorted(ends.delays(times, pause))
                spent = 1e6 * (ends.counter_ticks() - before) / TICK / times
                median, late = statistics.median(found), found[len(found) * 99 // 100]
                print(f"{name}, {how}: median {median:.0f}, p99 {late:.0f}; counting {spent:.0f} µs a kick")
            ends.close()


if __name__ == "__main__":
    main()
