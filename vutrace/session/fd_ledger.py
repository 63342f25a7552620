"""The ledger of descriptors: which message brought which one, for what, and what it replaced."""

from collections.abc import Iterator
from typing import NamedTuple

from vutrace.dissection.message import Message
from vutrace.protocol.effects import MemoryEffect, RingEffect
from vutrace.records import FdInfo, FdKind, FrameFlag

ENTRIES_KEPT = 4096

STOP, REMOVE, TABLE = RingEffect.STOP, MemoryEffect.REMOVE, MemoryEffect.TABLE
MEMORY = "memory"
KICK = "kick"
LOST = FdInfo(FdKind.UNKNOWN)  # one that came, and that the kernel did not hand over
RING_FDS = frozenset({RingEffect.KICK, RingEffect.CALL, RingEffect.ERROR})  # those that NOFD takes away


class Slot(NamedTuple):
    """A place for one descriptor: a role, of a ring or of a memory region by guest address."""

    role: str
    ring: int | None = None
    region: int | None = None


class Holding(NamedTuple):
    """What a slot holds: `fd` (None with NOFD), since row `number`; `generation` counts what was sent.

    `replaced` is what was there before.
    """

    slot: Slot
    fd: FdInfo | None
    number: int
    time_ns: int
    message: str
    generation: int = 1
    replaced: FdInfo | None = None


class FdLedger:
    """All slots of one session in the order in which they were first filled.

    `received` counts descriptors, `omitted` those that found no slot because there are too many.
    """

    def __init__(self) -> None:
        self.slots: dict[Slot, Holding] = {}
        self.received = self.omitted = 0

    def feed(self, number: int, time_ns: int, message: Message) -> tuple[Holding, ...]:
        """Take the message of row `number`; what it put into slots."""
        self.received += len(message.frame.fds)
        if not message.reply:
            if message.spec.effect is STOP:
                self._release(message.ring)
            elif message.spec.memory is not None:
                self._unmap(message)
        held = [self._put(slot, fd, number, time_ns, message.name) for slot, fd in entries(message)]
        return tuple(filter(None, held))

    def of_ring(self, ring: int, role: str) -> Holding | None:
        """What a ring has as its kick, call or err descriptor."""
        return self.slots.get(Slot(role, ring))

    def _put(self, slot: Slot, fd: FdInfo | None, number: int, time_ns: int, name: str) -> Holding | None:
        before = self.slots.get(slot)
        if before is None and len(self.slots) >= ENTRIES_KEPT:
            self.omitted += 1
            return None
        again = (before.generation + 1, before.fd) if before else (1, None)
        new = Holding(slot, fd, number, time_ns, name, *again)
        self.slots[slot] = new
        return new

    def _release(self, ring: int | None) -> None:
        """A stopped ring's kick descriptor starts nothing any more ("Ring states")."""
        self.slots.pop(Slot(KICK, ring), None)

    def _unmap(self, message: Message) -> None:
        """What backed a region goes with it; postcopy's last table has no descriptors and takes none away."""
        named = set(places(message))
        if message.spec.memory is REMOVE:
            gone = [Slot(MEMORY, region=address) for address in named]
        elif message.spec.memory is TABLE and message.frame.fds:
            gone = [slot for slot in self.slots if slot.region is not None and slot.region not in named]
        else:
            return
        for slot in gone:
            self.slots.pop(slot, None)


def entries(message: Message) -> Iterator[tuple[Slot, FdInfo | None]]:
    """The slots that a message fills, each with its descriptor."""
    fds = message.frame.fds
    role = message.spec.reply_role if message.reply else message.spec.role
    if message.spec.memory is REMOVE:  # one is tolerated there, and backs nothing
        return
    if message.spec.memory is not None and not message.reply:
        yield from zip((Slot(role, region=address) for address in places(message)), fds, strict=False)
    elif role and not fds and message.frame.flags & FrameFlag.FDS_LOST:
        yield Slot(role, message.ring), LOST
    elif role and (fds or (message.nofd and message.spec.effect in RING_FDS)):
        yield Slot(role, message.ring), fds[0] if fds else None
    elif fds:
        yield from ((Slot(message.name, message.ring), fd) for fd in fds)


def places(message: Message) -> list[int]:
    """The guest addresses of the regions that a message brings."""
    one_or_more = message.fields.get("regions") or [message.fields.get("region")]
    items = one_or_more if isinstance(one_or_more, list) else []
    addresses = [item.get("guest_address") for item in items if isinstance(item, dict)]
    return [address for address in addresses if isinstance(address, int)]
