"""virtio-blk: the requests in its rings. Source: virtio, "Block Device", "Device Operation"."""

import struct
from typing import Literal, cast

from vutrace.protocol.bits import VIRTIO_FEATURES, bit
from vutrace.rings.buffers import buffers, gather
from vutrace.rings.chain import Chain, Descriptor
from vutrace.rings.payload import AnyForm, KeptRequest
from vutrace.rings.unread import UnreadError
from vutrace.session.context import Context

HEADER = struct.Struct("<IIQ")  # virtio_blk_req: type, priority, sector
SECTOR, STATUS = 512, 1
IN, OUT = 0, 1
TYPES = {
    IN: "read",
    OUT: "write",
    4: "flush",
    8: "get id",
    10: "get lifetime",
    11: "discard",
    13: "write zeroes",
    14: "secure erase",
    15: "zone append",
    16: "zone report",
    18: "zone open",
    20: "zone close",
    22: "zone finish",
    24: "zone reset",
    26: "zone reset all",
}
STATUSES = {0: "ok", 1: "I/O error", 2: "unsupported"}
VERSION_1 = bit("VIRTIO_F_VERSION_1", VIRTIO_FEATURES)
ByteOrder = Literal["little", "big"]


class BlkRequests:
    """The requests of ring number `ring`: what was asked for where, and how it went."""

    link = 0

    def __init__(self, ring: int, _snaplen: int) -> None:
        self._ring = ring
        self._modern = True

    def learn(self, context: Context) -> None:
        """See `PayloadKind`."""
        self._modern = context.has_feature(VERSION_1)

    def read(self, form: AnyForm, chain: Chain, written: int) -> KeptRequest | None:
        """See `PayloadKind`."""
        asked, answered = buffers(chain, writable=False), buffers(chain, writable=True)
        header = gather(form, asked, HEADER.size)
        room = sum(each.length for each in answered)
        if len(header) < HEADER.size or not room:
            return None
        kind, sector = self._parts(header, form)
        status = status_of(form, answered, room)
        length = room - STATUS if kind == IN else sum(each.length for each in asked) - HEADER.size
        return told(self._ring, kind, sector, length, status)

    def _parts(self, header: bytes, form: AnyForm) -> tuple[int, int]:
        """Type and sector; those of a legacy device are in the order of the guest."""
        order = cast("ByteOrder", "little" if self._modern else form.order)
        return int.from_bytes(header[:4], order), int.from_bytes(header[8:16], order)


def status_of(form: AnyForm, answered: list[Descriptor], room: int) -> str:
    """How it went: the last byte. Linux frees an indirect table at once, and overwrites its end first."""
    try:
        (status,) = gather(form, answered, STATUS, room - STATUS)
    except UnreadError:
        return "not readable"
    return STATUSES.get(status, f"status {status}")


def told(ring: int, kind: int, sector: int, length: int, how: str) -> KeptRequest:
    """A request in words, and as facts."""
    name = TYPES.get(kind, f"type {kind}")
    facts = {"ring": str(ring), "type": name, "sector": str(sector), "length": str(length), "status": how}
    count, rest = divmod(length, SECTOR)
    size = f"{length} bytes" if rest else f"{count} sector{'' if count == 1 else 's'}"
    where = f", {size} at sector {sector}" if kind in (IN, OUT) else ""
    return KeptRequest(f"ring {ring}: {name}{where}: {how}", facts)
