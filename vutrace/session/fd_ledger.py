"""The ledger of descriptors: which message brought which one, for what, and what it replaced."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from vutrace.dissection.message import Message
from vutrace.records import Channel, FdInfo

ENTRIES_KEPT = 4096

# (channel, message, is a reply) -> what its descriptor is for; of a ring where the message names one.
ROLES: Mapping[tuple[Channel, str, bool], str] = {
    (Channel.MAIN, "SET_VRING_KICK", False): "kick",
    (Channel.MAIN, "SET_VRING_CALL", False): "call",
    (Channel.MAIN, "SET_VRING_ERR", False): "err",
    (Channel.MAIN, "SET_LOG_BASE", False): "log",
    (Channel.MAIN, "SET_LOG_FD", False): "log event",
    (Channel.MAIN, "SET_BACKEND_REQ_FD", False): "back-end channel",
    (Channel.MAIN, "GPU_SET_SOCKET", False): "gpu channel",
    (Channel.MAIN, "GET_INFLIGHT_FD", True): "inflight",
    (Channel.MAIN, "SET_INFLIGHT_FD", False): "inflight",
    (Channel.MAIN, "POSTCOPY_ADVISE", True): "userfaultfd",
    (Channel.MAIN, "SET_DEVICE_STATE_FD", False): "device state",
    (Channel.MAIN, "SET_DEVICE_STATE_FD", True): "device state",
    (Channel.BACKEND, "BACKEND_VRING_HOST_NOTIFIER_MSG", False): "host notifier",
}
RING_FDS = ("kick", "call", "err")

# Whether a region goes: is it named, and came descriptors along (postcopy's last table has none)?
UNMAPPING: Mapping[str, Callable[[bool, bool], bool]] = {
    "SET_MEM_TABLE": lambda named, fds: fds and not named,
    "REM_MEM_REG": lambda named, _fds: named,
    "RESET_OWNER": lambda _named, _fds: True,
}


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one descriptor: a role, of a ring or of a memory region by guest address."""

    role: str
    ring: int | None = None
    region: int | None = None


@dataclass(frozen=True, slots=True)
class Holding:
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
    """All slots of one session in the order in which they were first filled."""

    def __init__(self) -> None:
        self.slots: dict[Slot, Holding] = {}
        self.received = 0

    def feed(self, number: int, time_ns: int, message: Message) -> None:
        """Take the message of row `number`."""
        fds = message.frame.fds
        self.received += len(fds)
        if message.name == "GET_VRING_BASE" and not message.reply:
            self._release(message.ring)
        if message.name in UNMAPPING and message.channel is Channel.MAIN and not message.reply:
            self._unmap(message)
        for slot, fd in entries(message):
            self._put(slot, fd, number, time_ns, message.name)

    def of_ring(self, ring: int, role: str) -> Holding | None:
        """What a ring has as its kick, call or err descriptor."""
        return self.slots.get(Slot(role, ring))

    def _put(self, slot: Slot, fd: FdInfo | None, number: int, time_ns: int, name: str) -> None:
        before = self.slots.get(slot)
        if before is None and len(self.slots) >= ENTRIES_KEPT:
            return
        new = Holding(slot, fd, number, time_ns, name)
        if before is not None:
            new = replace(new, generation=before.generation + 1, replaced=before.fd)
        self.slots[slot] = new

    def _release(self, ring: int | None) -> None:
        """A stopped ring's kick descriptor starts nothing any more ("Ring states")."""
        self.slots.pop(Slot("kick", ring), None)

    def _unmap(self, message: Message) -> None:
        """What backed a region goes with it."""
        named = set(places(message))
        for slot in [slot for slot in self.slots if slot.region is not None]:
            if UNMAPPING[message.name](slot.region in named, bool(message.frame.fds)):
                del self.slots[slot]


def entries(message: Message) -> Iterator[tuple[Slot, FdInfo | None]]:
    """The slots that a message fills, each with its descriptor."""
    fds = message.frame.fds
    if message.name in ("SET_MEM_TABLE", "ADD_MEM_REG") and message.channel is Channel.MAIN:
        yield from zip((Slot("memory", region=address) for address in places(message)), fds, strict=False)
        return
    role = ROLES.get((message.channel, message.name, message.reply))
    if role and (fds or (role in RING_FDS and message.nofd)):
        yield Slot(role, message.ring), fds[0] if fds else None
    elif fds:
        yield from ((Slot(message.name, message.ring), fd) for fd in fds)


def places(message: Message) -> list[int]:
    """The guest addresses of the regions that a message brings."""
    one_or_more = message.fields.get("regions") or [message.fields.get("region")]
    items = one_or_more if isinstance(one_or_more, list) else []
    addresses = [item.get("guest_address") for item in items if isinstance(item, dict)]
    return [address for address in addresses if isinstance(address, int)]
