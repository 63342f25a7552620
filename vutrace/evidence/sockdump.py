"""What sockdump (BPF, on sendmsg of Unix sockets) saw: a classic pcap file of link type USER0.

Each packet begins with the socket's path and the two processes. Descriptors are not in it.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from vutrace.evidence.conversations import Conversations, Item, SeenBytes
from vutrace.evidence.errors import EvidenceError
from vutrace.evidence.strace_words import Socket
from vutrace.records import FrameFlag, Lack

ORDERS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
USER0 = 147
ENDS = struct.Struct(">109pQQ")  # path, the process that reads, the one that sent
SECOND = 1_000_000_000
LONGEST = 16 << 20
LACKING = (Lack.BACKEND, Lack.GPU, Lack.END)


def read_sockdump(stream: BinaryIO) -> Iterator[Item]:
    """The messages in a file that `sockdump --format pcap` wrote; EvidenceError where there is none."""
    found = Conversations("sockdump", FrameFlag.FDS_UNKNOWN, LACKING)
    first = dict[str, int]()
    for time_ns, packet, missing in packets(stream):
        if len(packet) < ENDS.size:
            continue
        path, reader, writer = ENDS.unpack_from(packet)
        name = path.rstrip(b"\0").decode(errors="replace")
        own = f"{name} {min(reader, writer)} {max(reader, writer)}"
        watched = first.setdefault(own, writer)
        socket = Socket(own, path=name)
        yield from found.take(
            SeenBytes(time_ns, socket, writer == watched, packet[ENDS.size :], missing, pid=watched)
        )
    if not found.found:
        raise EvidenceError("no vhost-user message in it")


def packets(stream: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """Time, bytes, and how many more there were, of each packet."""
    head = stream.read(24)
    if len(head) < 24 or head[:4] not in ORDERS:
        raise EvidenceError("not a pcap file, as sockdump --format pcap --output FILE writes it")
    order, unit = ORDERS[head[:4]]
    if struct.unpack_from(order + "I", head, 20)[0] & 0xFFFF != USER0:
        raise EvidenceError("a pcap file, but not of sockdump: its link type is not USER0 (147)")
    packet = struct.Struct(order + "IIII")
    while len(start := stream.read(packet.size)) == packet.size:
        seconds, fraction, captured, original = packet.unpack(start)
        if captured > LONGEST:
            raise EvidenceError(f"damaged: a packet of {captured} bytes")
        data = stream.read(captured)
        yield seconds * SECOND + fraction * unit, data, min(max(0, original - captured), LONGEST)
