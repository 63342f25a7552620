"""Hostile captures, records, signals and starts by the thousand: the long form of `tests/hostile/`.

    python bench/hostile.py [files=5000] [records=10000000] [interrupts=2000] [starts=2000] [seed=0]

Each part that is named runs; with none named, all do, which takes hours. Records go through `check` and one
verb in its turn, where they are more than one batch. The exit status is 1 where one found
something, with the command that shows it again.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "hostile"))

from broken import CAPTURES, VERBS, Ran, damaged, load, record_file, run

BATCH = 5000  # mutated records in one capture
JUDGE = "check {}"  # reads, dissects, follows and judges
TELL_SECONDS = 60  # between lines that say how far it is
LOADING = 0.6  # seconds within which a start is interrupted
PATIENCE = 20  # seconds for an end
VUTRACE = [sys.executable, "-m", "vutrace"]
INSTALLED = [str(Path(sys.executable).with_name("vutrace"))]


class Tally:
    """What runs of verbs came to; what is wrong is told at once."""

    def __init__(self) -> None:
        self.runs, self.wrong, self.seconds, self.room = 0, 0, 0.0, 0
        self._told = time.monotonic()

    def add(self, ran: Ran, how: str) -> None:
        """Count one."""
        self.runs += 1
        self.seconds, self.room = max(self.seconds, ran.seconds), max(self.room, ran.room)
        if ran.wrong:
            self.wrong += 1
            print(f"WRONG  {how}: vutrace {' '.join(ran.words)}: {ran.wrong}", flush=True)
        if time.monotonic() - self._told > TELL_SECONDS:
            self._told = time.monotonic()
            print(f"so far {self}; {how}", flush=True)

    def __str__(self) -> str:
        slowest = f"slowest {self.seconds:.2f} s of the processor, at most {self.room >> 20} MiB"
        return f"{self.runs:,} runs of {len(VERBS)} verbs, {self.wrong} wrong, {slowest}"


def files(count: int, seed: int) -> bool:
    """Damaged files through every verb."""
    load()
    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.pcapng"
        for number in range(seed, seed + count):
            random = Random(number)
            path.write_bytes(damaged(random, random.choice(CAPTURES).read_bytes()))
            for line in VERBS:
                tally.add(run(line, path, Path(name)), f"files=1 seed={number}")
    print(f"files: {count:,} damaged files, {tally}")
    return not tally.wrong


def records(count: int, seed: int) -> bool:
    """Mutated records through reader, dissection, session and rules, each batch through a view in turn."""
    load()
    tally, passed = Tally(), 0
    views = cycle(VERBS)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.pcapng"
        while passed < count:
            passed += record_file(Random(seed), path, min(BATCH, count))
            for line in VERBS if count <= BATCH else (JUDGE, next(views)):
                tally.add(run(line, path, Path(name)), f"records={min(BATCH, count)} seed={seed}")
            seed += 1
    print(f"records: {passed:,} mutated records, {tally}")
    return not tally.wrong


def interrupts(count: int, seed: int) -> bool:
    """Ctrl-C at a random moment of a start: 130 and silence, from the first instruction of ours."""
    random, came = Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        for _ in range(count):
            came[interrupted(random, name)] += 1
    print(f"interrupts: {count:,} starts, {dict(came)}")
    return set(came) <= {"130, silent", BEFORE}


BEFORE = "before the first instruction of ours"


def interrupted(random: Random, place: str) -> str:
    """What came of one."""
    words = [*INSTALLED, "proxy", "front", "back", "-q"]
    child = subprocess.Popen(words, cwd=place, stderr=subprocess.PIPE)
    time.sleep(random.uniform(0, LOADING))
    child.send_signal(signal.SIGINT)
    try:
        said = child.communicate(timeout=PATIENCE)[1].decode()
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return "never ended"
    if left := os.listdir(place):
        return f"left {left}"
    if child.returncode == -signal.SIGINT or "<frozen site>" in said or "init_import_site" in said:
        return BEFORE  # the kernel's or the interpreter's, which is not loaded yet
    return f"{child.returncode}, {'silent' if not said else said.strip().splitlines()[-1]}"


def starts(count: int, seed: int) -> bool:
    """Two starts at once on one dead socket: one listens and is reached, the other is told."""
    came = Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        for _ in range(count):
            came[two_starts(Path(name))] += 1
    print(f"starts: {count:,} pairs, {dict(came)}")
    return set(came) == {"one runs"}


def two_starts(place: Path) -> str:
    """What came of two."""
    path = place / "front"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    children = [
        subprocess.Popen([*VUTRACE, "proxy", path, "back", "-q"], cwd=place, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    until = time.monotonic() + 20
    while all(child.poll() is None for child in children) and time.monotonic() < until:
        time.sleep(0.01)
    running = [child for child in children if child.poll() is None]
    reached = False
    with socket.socket(socket.AF_UNIX) as peer:
        reached = peer.connect_ex(str(path)) == 0
    for child in children:
        child.terminate()
        child.wait()
    path.unlink(missing_ok=True)
    return "one runs" if len(running) == 1 and reached else f"{len(running)} run, reached: {reached}"


PARTS: dict[str, tuple[Callable[[int, int], bool], int]] = {
    "files": (files, 5000),
    "records": (records, 10_000_000),
    "interrupts": (interrupts, 2000),
    "starts": (starts, 2000),
}


def asked(words: list[str]) -> Iterator[tuple[str, int]]:
    """The parts and how many of each."""
    values = dict(word.partition("=")[::2] for word in words)
    values.pop("seed", None)
    for name in values or PARTS:
        yield name, int(values.get(name) or PARTS[name][1])


def main() -> int:
    """Run what was asked for."""
    seed = next((int(word[5:]) for word in sys.argv[1:] if word.startswith("seed=")), 0)
    fine = [PARTS[name][0](count, seed) for name, count in asked(sys.argv[1:])]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
