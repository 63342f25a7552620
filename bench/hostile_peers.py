"""What hostile peers come to, in the long form; tests/hostile/ has what fits a test run.

    python bench/hostile_peers.py [--seconds N] [--times N]

Floods of messages of several sizes, with and without a capture: memory of the proxy, seconds to end, and
whether every message is in the capture or in a gap of it. Reconnects in every order: growth. Peers killed at
every message: who is blamed. kill -9 of vutrace under load: whether the capture reads. Exit status 1 where
something is not as docs/reliability.md says.
"""

import argparse
import contextlib
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from kit.proxy_lab import events, frames, message
from kit.proxy_process import Process, exchange, memory_of, recorder_of

from vutrace.records import EventKind, Side

MEMORY_BAR, END_BAR = 256, 2.0  # MiB, seconds
SIZES = (12, 20, 100, 400, 4096, 65_000)


def main() -> int:
    """Run all, print, judge."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=10.0, help="of each flood")
    options.add_argument("--times", type=int, default=1000, help="reconnects; a fifth of it kills")
    chosen = options.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    verdicts = [flood(size, chosen.seconds, record) for record in (True, False) for size in SIZES]
    verdicts.append(reconnects(chosen.times))
    verdicts.append(killed_peers(chosen.times // 5))
    verdicts.append(killed_proxy(chosen.times // 50))
    return 0 if all(verdicts) else 1


@contextlib.contextmanager
def proxy() -> Iterator[Process]:
    """One in a directory of its own."""
    with tempfile.TemporaryDirectory() as name:
        process = Process(Path(name))
        try:
            yield process
        finally:
            process.close()


def flood(size: int, seconds: float, record: bool) -> bool:
    """Messages of one size as fast as they are taken."""
    with proxy() as process:
        child = process.start("-q", *(["-w", str(process.capture)] if record else []))
        front, back = process.session()
        arrived = [0]
        threading.Thread(target=swallow, args=(back, arrived), daemon=True).start()
        recorder = recorder_of(child)
        most = max(pour(front, size, seconds, lambda: memory_of(child.pid) + memory_of(recorder)))
        front.shutdown(socket.SHUT_WR)
        time.sleep(0.5)
        began = time.monotonic()
        process.stop(child, signal.SIGTERM)
        took = time.monotonic() - began
        told = missing = 0
        if record:
            records = process.records()
            told = len(frames(records))
            missing = sum(int(gap.attributes["messages"]) for gap in events(records, EventKind.GAP))
        whole = not record or told + missing == arrived[0] // size
        met = most >> 10 < MEMORY_BAR and took < END_BAR and whole
        kept = f"{told:,} recorded and {missing:,} in gaps" if record else "nothing kept"
        rate = arrived[0] / size / seconds
        return judge(
            f"{size:6} bytes: {rate:11,.0f}/s, {most >> 10:4} MiB, {took:.2f} s to end, {kept}"
            f"{'' if whole else ', NOT ALL TOLD'}",
            met,
        )


def swallow(back: socket.socket, arrived: list[int]) -> None:
    """Read everything, counting bytes."""
    back.settimeout(None)
    buffer = bytearray(1 << 20)
    with contextlib.suppress(OSError):
        while size := back.recv_into(buffer):
            arrived[0] += size


def pour(front: socket.socket, size: int, seconds: float, measure: Callable[[], int]) -> list[int]:
    """Send for so long; what was measured each half a second."""
    one = message(8, bytes(size - 12))
    data, figures = one * max(1, 65_536 // size), [measure()]
    until = following = time.monotonic()
    until += seconds
    front.settimeout(None)
    while (now := time.monotonic()) < until:
        front.sendall(data)
        if now > following:
            figures.append(measure())
            following = now + 0.5
    return figures


def reconnects(times: int) -> bool:
    """Sessions of a few messages that either side closes, or breaks off inside a message."""
    with proxy() as process:
        child = process.start("-q", "-w", str(process.capture))
        figures = []
        for turn in range(times):
            front, back = process.session()
            exchange(front, back, 2)
            if turn % 3 == 0:
                front.send(message(8, bytes(8))[:7])
            ends = (front, back) if turn % 2 else (back, front)
            for end in ends:
                end.close()
            if turn in (times // 2, times - 1):
                time.sleep(1)
                memory = memory_of(child.pid) + memory_of(recorder_of(child))
                figures.append((len(os.listdir(f"/proc/{child.pid}/fd")), memory))
        process.stop(child)
        records = process.records()
        opened, closed = (len(events(records, kind)) for kind in (EventKind.OPEN, EventKind.CLOSE))
        growth = figures[1][1] - figures[0][1]
        text = f"{times} reconnects: {opened} opened, {closed} closed, {growth} KiB and "
        text += f"{figures[1][0] - figures[0][0]} descriptors more in the second half"
        return judge(text, opened == closed == times and growth < 1024 and figures[1][0] <= figures[0][0])


def killed_peers(times: int) -> bool:
    """A side that closes at any message: the capture says which."""
    blamed = 0
    with proxy() as process:
        child = process.start("-q", "-w", str(process.capture))
        sides = []
        for _ in range(times):
            front, back = process.session()
            exchange(front, back, random.randrange(4))
            first, other = random.sample([(Side.FRONTEND, front), (Side.BACKEND, back)], 2)
            sides.append(first[0])
            first[1].close()
            other[1].recv(1)
            other[1].close()
        process.stop(child)
        closes = events(process.records(), EventKind.CLOSE)
        blamed = sum(event.sender is side for event, side in zip(closes, sides, strict=True))
    return judge(f"{times} sides that closed: {blamed} blamed rightly", blamed == times)


def killed_proxy(times: int) -> bool:
    """kill -9 under load: the capture reads, and the peers see the end."""
    whole = 0
    for _ in range(times):
        with proxy() as process:
            child = process.start("-q", "-w", str(process.capture))
            front, back = process.session()
            exchange(front, back, random.randrange(50, 500))
            child.kill()
            child.wait()
            ended = front.recv(1) == back.recv(1) == b""
            time.sleep(0.1)
            whole += ended and len(process.records()) > 0
    return judge(f"{times} times kill -9: {whole} captures read and peers told", whole == times)


def judge(text: str, met: bool) -> bool:
    """Say it."""
    print(f"{'as it should be' if met else 'NOT SO         '}  {text}", flush=True)
    return met


if __name__ == "__main__":
    sys.exit(main())
