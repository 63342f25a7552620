"""Captures as nobody made them, and every verb on them; `bench/hostile.py` has them by the thousand.

Everything is drawn from a seed: a finding can be had again.
"""

import contextlib
import gc
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from vutrace.capture import Writer, read
from vutrace.cli import main
from vutrace.records import Channel, Connection, Event, EventKind, FdInfo, FdKind, Frame, FrameFlag, Side

CAPTURES = sorted((Path(__file__).parent.parent.parent / "captures").glob("*.pcapng"))
SECONDS = 20  # of the processor that a run gets, whatever the capture is
ROOM = 1 << 30  # bytes of address space more than the program has when it begins
Item = Connection | Frame | Event

# Words after `vutrace`: {} is the capture, {other} a whole one, {out} a file that is not there yet.
VERBS = (
    "show {}",
    "show {} -V -x --secrets",
    "show {} --json",
    "show {} --board",
    "timeline {}",
    "timeline {} --scale time",
    "timeline {} --format json",
    "timeline {} --format html",
    "timeline {} --format svg",
    "timeline {} --format mermaid",
    "timeline {} --format perfetto -o {out}",
    "queues {}",
    "queues {} --json",
    "diff {} {other}",
    "diff {} {} --json",
    "explain -r {}",
    "check {}",
    "check {} --sarif",
    "export {} -o {out}",
    "export {} --format csv",
    "export {} --format json",
    "replay {} --speed max",
)
FINE = {0, 1, 2, 3}  # fine, different, nothing to be drawn, unreadable


EDGES = 0, 1, 4, 0xFFFF, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF
TEXTS = "", "\x1b[2J\n\u202e", "x" * 4000


def damaged(random: Random, data: bytes) -> bytes:
    """The bytes of a capture with some things done to them."""
    for _ in range(random.choice((1, 1, 2, 5, 20))):
        data = random.choice(DAMAGES)(random, data)
    return data


def flip(random: Random, data: bytes) -> bytes:
    """One byte is another."""
    at = random.randrange(len(data) + 1)
    return data[:at] + random.randbytes(1) + data[at + 1 :]


def cut(random: Random, data: bytes) -> bytes:
    """A piece is missing."""
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.choice((1, 4, 32, 5000, 1 << 20)) :]


def doubled(random: Random, data: bytes) -> bytes:
    """A piece is there twice."""
    at, size = random.randrange(len(data) + 1), random.choice((1, 4, 100, 5000))
    return data[: at + size] + data[at:]


def word(random: Random, data: bytes) -> bytes:
    """A word, perhaps a length, says something else."""
    at = random.randrange(len(data) // 4 + 1) * 4
    value = random.choice((*EDGES, random.getrandbits(32)))
    return data[:at] + value.to_bytes(4, "little") + data[at + 4 :]


def noise(random: Random, data: bytes) -> bytes:
    """A piece is noise."""
    at, size = random.randrange(len(data) + 1), random.choice((2, 16, 300))
    return data[:at] + random.randbytes(size) + data[at + size :]


DAMAGES = flip, cut, doubled, word, word, noise


def mutated(random: Random, items: Iterable[Item]) -> Iterator[Item]:
    """The records of a capture, some of them otherwise, doubled, gone, or in another place."""
    held: list[Item] = []
    for item in items:
        dice = random.random()
        if isinstance(item, Connection) or dice < 0.4:
            yield item
        elif dice < 0.85:
            yield other_frame(random, item) if isinstance(item, Frame) else other_event(random, item)
        elif dice < 0.9:
            held.append(item)
        elif dice < 0.95:
            yield item
            yield item
        if held and random.random() < 0.1:
            yield held.pop(random.randrange(len(held)))


def other_frame(random: Random, frame: Frame) -> Frame:
    """A message as a broken peer sends it, or of another place."""
    change = random.randrange(8)
    if change == 0:
        return replace(frame, data=flip(random, frame.data))
    if change == 1:
        return replace(frame, data=frame.data[: random.randrange(len(frame.data) + 1)])
    if change == 2:
        return replace(frame, data=frame.data + random.randbytes(random.choice((1, 8, 4000))))
    if change == 3:
        return replace(frame, data=random.randrange(70).to_bytes(4, "little") + frame.data[4:])
    if change == 4:
        return replace(frame, data=word(random, frame.data), wire_size=random.getrandbits(40))
    if change == 5:
        flags, side = FrameFlag(random.getrandbits(4)), random.choice(list(Side))
        return replace(frame, flags=flags, sender=side, channel=random.choice(list(Channel)))
    if change == 6:
        ring = random.choice((0, 1, 255, 256, 1 << 16, 0xFFFFFFFF))
        return replace(frame, data=frame.data[:12] + ring.to_bytes(4, "little") + frame.data[16:])
    fds, when = tuple(other_fds(random)), random.getrandbits(63)
    return replace(frame, session=random.randrange(1, 9), fds=fds, time_ns=when)


def other_fds(random: Random) -> Iterator[FdInfo]:
    """Some descriptors."""
    for _ in range(random.choice((0, 1, 2, 9, 253))):
        size = random.choice((None, 0, 1 << 30, 1 << 63))
        yield FdInfo(random.choice(list(FdKind)), random.getrandbits(16), random.getrandbits(20), size)


def other_event(random: Random, event: Event) -> Event:
    """Something else that happened."""
    kind, text = random.choice(list(EventKind)), random.choice((event.text, *TEXTS))
    return replace(event, kind=kind, text=text, session=random.randrange(1, 9), sender=None)


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a verb; `seconds` are the processor's, `room` is bytes at most."""

    words: tuple[str, ...]
    status: int
    said: str
    seconds: float
    room: int

    @property
    def wrong(self) -> str:
        """What should not have been."""
        if self.status < 0 or self.status > 128:
            return f"ended with status {self.status}"
        if "Traceback" in self.said or self.status not in FINE:
            return self.said.strip().splitlines()[-1] if self.said.strip() else f"status {self.status}"
        return ""


def run(line: str, capture: Path, place: Path) -> Ran:
    """A verb on a capture, in a child of this process, which has loaded everything."""
    out = place / "out.pcapng"
    values = {"other": str(CAPTURES[0]), "out": str(out)}
    words = tuple(word.format(str(capture), **values) for word in line.split())
    with tempfile.TemporaryFile() as said:
        pid = os.fork()
        if not pid:
            _be(words, said.fileno())
        _, status, usage = os.wait4(pid, 0)
        said.seek(0)
        text = said.read().decode(errors="replace")
    out.unlink(missing_ok=True)
    seconds, room = usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10
    return Ran(words, os.waitstatus_to_exitcode(status), text, seconds, room)


def _be(words: tuple[str, ...], said: int) -> None:
    status = 99
    with contextlib.suppress(BaseException):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        grown = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (grown + ROOM, grown + ROOM))
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        os.dup2(said, 2)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        sys.argv = ["vutrace", *words]
        status = _status()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _status() -> int:
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    return 99


def load() -> None:
    """Have in this process what the verbs need, so that a run is a fork and little more."""
    with tempfile.TemporaryDirectory() as place:
        for line in VERBS:
            status = _quiet(line, Path(place))
            assert status in (0, 1), f"{line}: {status}"
    gc.collect()
    gc.freeze()  # or each child's first collection copies all that was loaded


def _quiet(line: str, place: Path) -> int:
    values = {"other": str(CAPTURES[0]), "out": str(place / "out.pcapng")}
    before = sys.argv, sys.stdout
    sys.argv = ["vutrace", *(word.format(str(CAPTURES[0]), **values) for word in line.split())]
    try:
        with open(os.devnull, "w") as sys.stdout:
            return _status()
    finally:
        sys.argv, sys.stdout = before


def record_file(random: Random, path: Path, count: int) -> int:
    """A capture at `path` with about so many mutated records of all that were kept; how many."""
    written = 0
    with Writer(path) as writer:
        writer.write(Connection(0, "listen:front", "connect:back"))
        while written < count:
            for item in mutated(random, read(random.choice(CAPTURES))):
                if not isinstance(item, Connection):
                    writer.write(replace(item, connection=0))
                    written += 1
    return written
