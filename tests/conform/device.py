"""The reference's memory and rings, split and packed, with the faults that they may have."""

import contextlib
import mmap
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vutrace.protocol.bits import VIRTIO_FEATURES, bit

NEXT, WRITE, INDIRECT = 1, 2, 4
AVAILABLE, USED = 1 << 7, 1 << 15
DESCRIPTOR = struct.Struct("<QIHH")
PACKED = bit("VIRTIO_F_RING_PACKED", VIRTIO_FEATURES)
EVENT_IDX = bit("VIRTIO_F_EVENT_IDX", VIRTIO_FEATURES)
LOG_ALL = bit("VHOST_F_LOG_ALL", VIRTIO_FEATURES)
ACCESS_PLATFORM = bit("VIRTIO_F_ACCESS_PLATFORM", VIRTIO_FEATURES)
LAST = (1 << 64) - 1
GPU_DISPLAY_INFO = 0x100
GPU_ANSWERS = {GPU_DISPLAY_INFO: 0x1101, 0x102: 0x1203}
Kinds = frozenset[str]


class MissError(Exception):
    """An address behind the IOMMU whose translation is not known."""

    def __init__(self, address: int) -> None:
        self.address = address


@dataclass
class MappedPart:
    guest: int
    user: int
    size: int
    offset: int
    mapping: mmap.mmap


@dataclass
class Memory:
    """Regions, mapped, that share no address."""

    kinds: Kinds
    regions: list[MappedPart] = field(default_factory=list)
    log: int = -1
    translated: bool = False
    translations: list[tuple[int, int, int]] = field(default_factory=list)

    def translate(self, bus: int, size: int, user: int) -> None:
        self.translations.append((bus, size, user))

    def forget(self) -> None:
        if "keeps-translations" not in self.kinds:
            self.translations.clear()

    def _find(self, address: int, size: int, kind: str) -> tuple[MappedPart, int] | None:
        """By the kind of address that is in use; MissError where the IOMMU has to be asked."""
        if not self.translated:
            return self._of(address, size, kind)
        for bus, length, user in self.translations:
            if bus <= address and address + size <= bus + length:
                return self._of(user + address - bus, size, "user")
        raise MissError(address)

    def add(self, region: Mapping[str, int], fd: int) -> None:
        guest, user, size, offset = (
            region[name] for name in ("guest_address", "user_address", "size", "mmap_offset")
        )
        if not size or guest + size > LAST or user + size > LAST or offset + size > os.fstat(fd).st_size:
            raise ValueError("region")
        for other in self.regions:
            for mine, theirs in ((guest, other.guest), (user, other.user)):
                if mine < theirs + other.size and theirs < mine + size:
                    raise ValueError("overlap")
        length = offset + size
        offset = 0 if "no-offset" in self.kinds else offset
        if "first-region" not in self.kinds or not self.regions:
            self.regions.append(MappedPart(guest, user, size, offset, mmap.mmap(fd, length)))

    def remove(self, region: Mapping[str, int]) -> bool:
        for known in self.regions:
            if (known.guest, known.size) == (region["guest_address"], region["size"]):
                self.regions.remove(known)
                known.mapping.close()
                return True
        return False

    def clear(self) -> None:
        while self.regions:
            self.regions.pop().mapping.close()

    def of_user(self, address: int, size: int = 1) -> tuple[MappedPart, int] | None:
        return self._of(address, size, "user")

    def _of(self, address: int, size: int, kind: str) -> tuple[MappedPart, int] | None:
        for region in self.regions:
            start = address - getattr(region, kind)
            if start >= 0 and start + size <= region.size:
                return region, region.offset + start
        return None

    def read(self, address: int, size: int, kind: str = "user") -> bytes:
        found = self._find(address, size, kind)
        if found is None:
            raise ValueError("outside memory")
        return found[0].mapping[found[1] : found[1] + size]

    def write(self, address: int, data: bytes, kind: str = "user") -> None:
        found = self._find(address, len(data), kind)
        if found is None:
            raise ValueError("outside memory")
        found[0].mapping[found[1] : found[1] + len(data)] = data


@dataclass
class Disk:
    """What carries a request out: sectors of ones; a network card takes it; a GPU asks its front-end."""

    device: str
    ask_displays: Callable[[], None] = lambda: None

    def answer(self, request: bytes, sizes: list[int]) -> list[bytes]:
        if self.device == "net":
            return [b"" for _ in sizes]
        if self.device == "gpu" and sizes:
            kind = int.from_bytes(request[:4], "little")
            if kind == GPU_DISPLAY_INFO:
                self.ask_displays()
            told = GPU_ANSWERS[kind].to_bytes(4, "little").ljust(24, b"\0")
            parts, rest = [], told.ljust(sum(sizes), b"\0")
            for size in sizes:
                parts, rest = [*parts, rest[:size]], rest[size:]
            return parts
        return [b"\1" * size for size in sizes[:-1]] + [b"\0" * sizes[-1]] if sizes else []


@dataclass
class Queue:
    """One ring, as a device drives it."""

    index: int
    memory: Memory
    disk: Disk
    kinds: Kinds
    features: int = 0
    size: int = 0
    address: list[int] = field(default_factory=list)
    log: int | None = None
    kick: int = -1
    call: int = -1
    polls: bool = False
    started: bool = False
    enabled: bool = False
    last: int = 0
    wrap: bool = True
    was_started: bool = False
    echo: "Queue | None" = None
    waits: bool = False
    packet: bytes = b""
    missed: int = -1
    on_miss: Callable[[int], None] = lambda address: None
    on_call: Callable[[int], None] | None = None

    def set_base(self, base: int) -> None:
        self.last = base & (0x7FFF if self.features & PACKED else 0xFFFF)
        self.wrap = bool(base & 0x8000)

    def base(self) -> int:
        if "base-zero" in self.kinds:
            return 0
        if not self.features & PACKED:
            return self.last
        place = self.last | (0x8000 if self.wrap else 0)
        return place | place << 16

    def set_address(self, parts: list[int], flags: int) -> None:
        self.address, self.log = parts[:3], parts[3] if flags & 1 else None

    def start(self, fd: int) -> None:
        self.set_kick(fd)
        self.started, self.polls = not ("starts-once" in self.kinds and self.was_started), fd < 0
        self.was_started = True

    def start_in_band(self) -> None:
        self.started = self.was_started = "deaf" not in self.kinds

    def stop(self) -> None:
        if "goes-on" not in self.kinds:
            self.set_kick(-1)
            self.started = self.polls = False

    def set_kick(self, fd: int) -> None:
        if self.kick >= 0:
            os.close(self.kick)
        self.kick = fd

    def set_call(self, fd: int) -> None:
        if "first-call" in self.kinds and self.call >= 0:
            os.close(fd) if fd >= 0 else None
            return
        if self.call >= 0:
            os.close(self.call)
        self.call = fd

    def close(self) -> None:
        for fd in (self.kick, self.call):
            if fd >= 0:
                os.close(fd)
        self.kick = self.call = -1

    def serve(self) -> None:
        if not (self.started and self.enabled and self.size and self.address) or "idle" in self.kinds:
            return
        if self.features & PACKED and "split-only" in self.kinds:
            return
        try:
            for _ in range(self.size):
                if not (self.packed() if self.features & PACKED else self.split()):
                    break
        except MissError as miss:
            if miss.address != self.missed:
                self.missed = miss.address
                self.on_miss(miss.address)
        except (ValueError, IndexError):
            if "ring-kills" in self.kinds:
                raise MemoryError from None
            self.started = False  # until it is started anew

    def split(self) -> bool:
        table, avail, used = self.address
        index = int.from_bytes(self.memory.read(avail + 2, 2), "little")
        if self.waits and not self.packet:
            return False
        if index == self.last or ("no-wrap" in self.kinds and index < self.last):
            return False
        if "one-round" in self.kinds and self.last >= self.size:
            return False
        if (index - self.last) & 0xFFFF > self.size:
            raise ValueError("index")
        slot = self.last % self.size
        head = int.from_bytes(self.memory.read(avail + 4 + 2 * slot, 2), "little")
        written = self.carry_out(self.chain(table, head))
        self.memory.write(used + 4 + 8 * slot, struct.pack("<II", head, written))
        before, self.last = self.last, (self.last + 1) & 0xFFFF
        self.memory.write(used + 2, self.last.to_bytes(2, "little"))
        self.mark()
        event = int.from_bytes(self.memory.read(avail + 4 + 2 * self.size, 2), "little")
        flags = int.from_bytes(self.memory.read(avail, 2), "little")
        wanted = event == before if self.features & EVENT_IDX else not flags & 1
        self.tell(wanted)
        return True

    def chain(self, table: int, head: int) -> list[tuple[int, int, int]]:
        parts, size, kind = [], self.size, "user"
        while True:
            if head >= size:
                raise ValueError("descriptor")
            address, length, flags, following = DESCRIPTOR.unpack(
                self.memory.read(table + 16 * head, 16, kind)
            )
            if flags & INDIRECT:
                if "no-indirect" in self.kinds:
                    return [(address, length, flags)]
                table, size, head, kind = address, length // 16, 0, "guest"
                continue
            parts.append((address, length, flags))
            if len(parts) > size:
                raise ValueError("loop")
            if not flags & NEXT or "first-part" in self.kinds:
                return parts
            head = following

    def carry_out(self, parts: list[tuple[int, int, int]]) -> int:
        order = [flags & WRITE for _, _, flags in parts]
        if order != sorted(order):
            raise ValueError("a readable part behind a writable one")
        request = b"".join(
            self.memory.read(address, length, "guest")
            for address, length, flags in parts
            if not flags & WRITE and not flags & INDIRECT
        )
        if self.echo:
            self.echo.packet = bytes(10) + b"\1\0" + bytes(60)
        if self.packet:
            packet, self.packet = self.packet, b""
            packet = packet[:8] if "short-packet" in self.kinds else packet
            packet = bytes(12) + packet[12:] if "no-count" in self.kinds else packet
            self.memory.write(parts[0][0], packet, "guest")
            return len(packet)
        room = [(address, length) for address, length, flags in parts if flags & WRITE]
        if not parts or (self.disk.device != "net" and not room):
            raise ValueError("a request without room")
        written = 0
        for (address, _), data in zip(
            room, self.disk.answer(request, [size for _, size in room]), strict=True
        ):
            self.memory.write(address, b"" if "lazy" in self.kinds else data, "guest")
            written += len(data)
        return written

    def mark(self) -> None:
        if self.log is not None and self.memory.log >= 0 and self.features & LOG_ALL:
            page = self.log >> 12
            old = os.pread(self.memory.log, 1, page // 8)[0]
            os.pwrite(self.memory.log, bytes([old | 1 << page % 8]), page // 8)

    def tell(self, wanted: bool) -> None:
        if self.on_call and (self.call < 0 or "calls-twice" in self.kinds):
            self.on_call(self.index)
        if self.call >= 0 and (wanted or "always-calls" in self.kinds) and "never-calls" not in self.kinds:
            with contextlib.suppress(OSError):
                os.eventfd_write(self.call, 1)

    def packed(self) -> bool:
        ring = self.address[0]
        address, length, ident, flags = DESCRIPTOR.unpack(self.memory.read(ring + 16 * self.last, 16))
        if bool(flags & AVAILABLE) != self.wrap or bool(flags & USED) == self.wrap:
            return False
        if self.kinds & {"no-wrap", "one-round"} and not self.wrap:
            return False
        parts, count = [(address, length, flags)], 1
        while flags & NEXT:
            place = (self.last + count) % self.size
            address, length, ident, flags = DESCRIPTOR.unpack(self.memory.read(ring + 16 * place, 16))
            parts.append((address, length, flags))
            count += 1
        if parts[0][2] & INDIRECT:
            start, length, _ = parts[0]
            parts = []
            for place in range(length // 16):
                each = DESCRIPTOR.unpack(self.memory.read(start + 16 * place, 16, "guest"))
                parts.append((each[0], each[1], each[3]))
            if "no-indirect" in self.kinds:
                parts = parts[:1]
        elif "first-part" in self.kinds:
            parts = parts[:1]
        written = self.carry_out(parts)
        mark = (AVAILABLE | USED if self.wrap else 0) | (WRITE if written else 0)
        self.memory.write(ring + 16 * self.last, struct.pack("<QIHH", 0, written, ident, mark))
        self.last += count
        if self.last >= self.size:
            self.last, self.wrap = self.last - self.size, not self.wrap
        self.mark()
        self.tell(True)
        return True
