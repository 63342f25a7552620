"""Requests that devices carry out without a guest: what is put into a ring, and what has to come back.

Sources: virtio, each device's section; FUSE's protocol for fs.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

POISON = b"\xa5"
SECTOR = 512
BLK_IN, BLK_GET_ID = 0, 8
FUSE_INIT, FUSE_MAJOR = 26, 7
NET_HEADER = 12
ETHERNET = 60
HOST_CID, STREAM, VSOCK_REQUEST, VSOCK_RESET = 2, 1, 1, 3
VSOCK = struct.Struct("<QQIIIHHIII")
GPU_HEADER = struct.Struct("<IIQII")
GPU_DISPLAY_INFO, GPU_UNREF, GPU_TOLD_DISPLAYS, GPU_NO_SUCH_RESOURCE = 0x100, 0x102, 0x1101, 0x1203
DISPLAYS = 16 * 24
ARP = bytes.fromhex("ffffffffffff52540012345608060001080006040001525400123456c000020f000000000000c0000201")


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """One request of a device.

    `ring` is where it goes, `rings` are those that have to run; `readable` and `room` are the parts that the
    device reads, and the sizes of those that it writes. `wrong` says what is wrong with what it wrote ("" if
    nothing is), given the parts and how many bytes it says it wrote.
    """

    ring: int
    rings: tuple[int, ...]
    readable: tuple[bytes, ...]
    room: tuple[int, ...]
    wrong: Callable[[list[bytes], int], str]
    says: str


def of_disk(parts: list[bytes], written: int) -> str:
    """A sector and a status of 0."""
    data, status = parts
    if status != b"\0":
        return f"status {status[0]}"
    if data == POISON * SECTOR:
        return "no byte of the sector was written"
    return (
        "" if written in (0, SECTOR + 1) or written > SECTOR else f"{written} bytes written, not {SECTOR + 1}"
    )


def of_entropy(parts: list[bytes], written: int) -> str:
    """Bytes that are not all the same."""
    got = parts[0][:written]
    return "" if written and len(set(got)) > 1 else f"{written} bytes: {got[:8].hex()}"


def of_transmit(parts: list[bytes], written: int) -> str:
    """A packet that was sent leaves nothing."""
    return f"{written} bytes written into a packet that was sent" if written else ""


def of_init(parts: list[bytes], written: int) -> str:
    """FUSE_INIT's answer: no error, the same unique number, the major version."""
    size, error, unique, major = struct.unpack_from("<IiQI", parts[0])
    if error or unique != 1 or major != FUSE_MAJOR:
        return f"error {error}, unique {unique}, version {major}"
    return "" if 16 < size <= written else f"{written} bytes of {size}"


def fuse_init() -> bytes:
    """A FUSE_INIT of version 7.31, the least that virtiofsd takes."""
    return struct.pack("<IIQQIIII", 56, FUSE_INIT, 1, 0, 0, 0, 0, 0) + struct.pack(
        "<IIII", FUSE_MAJOR, 31, 4096, 0
    )


def connect() -> bytes:
    """A connection that the host has nobody for."""
    return VSOCK.pack(3, HOST_CID, 1234, 54321, 0, STREAM, VSOCK_REQUEST, 0, 1 << 16, 0)


def of_answer(kind: int, parts: list[bytes], written: int) -> str:
    """A GPU's answer, whose header says what it is."""
    told = int.from_bytes(parts[0][:4], "little")
    return "" if told == kind and written >= GPU_HEADER.size else f"{written} bytes, an answer of {told:#x}"


def gpu_command(kind: int, *numbers: int) -> bytes:
    """A command for a GPU's control queue."""
    return GPU_HEADER.pack(kind, 0, 0, 0, 0) + struct.pack(f"<{len(numbers)}I", *numbers)


def of_nothing(parts: list[bytes], written: int) -> str:
    """A packet that was taken."""
    return ""


WORKS: Mapping[str, DeviceRequest] = {
    "blk": DeviceRequest(
        0, (0,), (struct.pack("<IIQ", BLK_IN, 0, 0),), (SECTOR, 1), of_disk, "a sector is read"
    ),
    "rng": DeviceRequest(0, (0,), (), (64,), of_entropy, "bytes are drawn"),
    "net": DeviceRequest(
        1, (0, 1), (bytes(NET_HEADER), ARP.ljust(ETHERNET, b"\0")), (), of_transmit, "a packet is sent"
    ),
    "fs": DeviceRequest(1, (0, 1), (fuse_init(),), (256,), of_init, "FUSE_INIT is answered"),
    "vsock": DeviceRequest(1, (0, 1, 2), (connect(),), (), of_nothing, "a connection is asked for"),
    "gpu": DeviceRequest(
        0,
        (0, 1),
        (gpu_command(GPU_UNREF, 77, 0),),
        (GPU_HEADER.size,),
        partial(of_answer, GPU_NO_SUCH_RESOURCE),
        "a resource that there is not is given up, and refused",
    ),
}
"""A request for each device that has one, by the device's name."""
DISPLAY_INFO = DeviceRequest(
    0,
    (0, 1),
    (gpu_command(GPU_DISPLAY_INFO),),
    (GPU_HEADER.size + DISPLAYS,),
    partial(of_answer, GPU_TOLD_DISPLAYS),
    "the displays are told",
)
"""What a GPU has to ask its front-end for."""
