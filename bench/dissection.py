"""How fast a Frame becomes a Message, on one core, next to scapy's own dissection of the same bytes.

    python bench/dissection.py [SECONDS]

The mix is that of a net device with four queue pairs: started, two interrupts masked, stopped.
"""

import struct
import sys
import time
from collections.abc import Callable, Iterable

from tabulate import tabulate

from vutrace.dissection.dissector import Dissector
from vutrace.protocol.layers import Layer, u32
from vutrace.records import Channel, FdInfo, FdKind, Frame, Side

FLOOR = 200_000  # messages a second
RATIO = 10  # times scapy's own rate
EVENTFD, MEMFD = FdInfo(FdKind.EVENTFD, eventfd_id=7), FdInfo(FdKind.MEMFD, size=1 << 30)


def frame(request: int, payload: bytes = b"", flags: int = 1, fds: tuple[FdInfo, ...] = ()) -> Frame:
    """A frame of the main channel."""
    data = struct.pack("<III", request, flags, len(payload)) + payload
    sender = Side.BACKEND if flags & 4 else Side.FRONTEND
    return Frame(0, 0, 1, Channel.MAIN, sender, data, fds, wire_size=len(data))


def u64(value: int) -> bytes:
    """A u64 payload."""
    return struct.pack("<Q", value)


def ring(index: int) -> list[Frame]:
    """One ring started and enabled; two of its messages carry an eventfd."""
    address = struct.pack("<IIQQQQ", index, 0, 0x7F0000000000, 0x7F0000002000, 0x7F0000001000, 0)
    return [
        frame(8, struct.pack("<II", index, 256)),
        frame(10, struct.pack("<II", index, 0)),
        frame(9, address),
        frame(12, u64(index), fds=(EVENTFD,)),
        frame(13, u64(index), fds=(EVENTFD,)),
        frame(18, struct.pack("<II", index, 1), flags=9),
        frame(18, u64(0), flags=5),
    ]


def mix() -> list[Frame]:
    """A start of four queue pairs, two interrupts masked, and a stop."""
    region = struct.pack("<QQQQ", 0, 1 << 30, 0x7F0000000000, 0)
    table = struct.pack("<II", 2, 0) + 2 * region
    start = [
        *(frame(1), frame(1, u64(0x140000000), flags=5), frame(2, u64(0x140008000))),
        *(frame(15), frame(15, u64(0x10CBF), flags=5), frame(16, u64(0x10CBF)), frame(3)),
        *(frame(5, table, flags=9, fds=(MEMFD, MEMFD)), frame(5, u64(0), flags=5)),
    ]
    masks = [frame(13, u64(index), fds=(EVENTFD,)) for index in range(2)]
    stop = [
        part
        for index in range(8)
        for part in (
            frame(11, struct.pack("<II", index, 0)),
            frame(11, struct.pack("<II", index, 77), flags=5),
        )
    ]
    return [*start, *(part for index in range(8) for part in ring(index)), *masks, *stop]


def rate(work: Callable[[Iterable[Frame]], None], frames: list[Frame], seconds: float) -> float:
    """Frames a second, the best of several runs over all of `frames`."""
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = time.perf_counter()
        work(frames)
        best = min(best, time.perf_counter() - start)
    return len(frames) / best


def dissect_all(frames: Iterable[Frame]) -> None:
    """What vutrace does."""
    for each in frames:
        DISSECT(each)


class Header(Layer):
    """The header as a scapy layer, with the payload layers behind it: what scapy alone would do."""

    fields_desc = [u32("request"), u32("flags"), u32("size")]

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """The payload is `size` bytes."""
        return s[: self.size], s[self.size :]

    def guess_payload_class(self, payload: bytes) -> type[Layer]:
        """Told beforehand, so that scapy has no search to pay for."""
        return LAYERS[self.request, self.flags & 4]


LAYERS: dict[tuple[int, int], type[Layer]] = {}


def scapy_all(frames: Iterable[Frame]) -> None:
    """What scapy does with the same messages."""
    for each in frames:
        Header(each.data)


DISSECT = Dissector()


def main(seconds: float) -> int:
    """Measure both in one run; 1 when a bar is missed."""
    frames = mix()
    for message in map(DISSECT, frames):
        assert not message.problems, message
        LAYERS[message.request, message.flags & 4] = message.layer
    scapy = rate(scapy_all, frames, seconds / 2)
    ours = rate(dissect_all, frames * 20, seconds / 2)
    rows = [("vutrace", ours, ours / scapy), ("scapy alone", scapy, 1.0)]
    print(tabulate(rows, ("dissector", "messages/s", "× scapy"), floatfmt=("", ",.0f", ".1f")))
    return int(ours < FLOOR or ours < RATIO * scapy)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
