"""The rings of one session: what was sent of each, and what that makes of it ("Ring states")."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from vutrace.dissection.message import Message
from vutrace.protocol.bits import VIRTIO_FEATURES, bit
from vutrace.records import Channel
from vutrace.session.ring_states import (
    EFFECTS,
    INITIAL,
    TRANSITIONS,
    UNSTARTED,
    RingState,
    Trigger,
)

PROTOCOL_BIT = bit("VHOST_USER_F_PROTOCOL_FEATURES", VIRTIO_FEATURES)
RINGS_KEPT = 1024  # 256 can be started; a hostile index makes no more


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a ring lies, as SET_VRING_ADDR told it."""

    descriptor: int
    used: int
    available: int
    log: int
    flags: int


@dataclass(slots=True)
class Ring:
    """One ring; it changes as messages come, `Rings.values` gives copies that do not.

    `size`, `base` (as it was last sent, by either side) and `addresses` are what was sent, None before;
    `enable_sent` the value of the last SET_VRING_ENABLE, `kick_sent` whether a kick descriptor (or NOFD)
    stands. `state` is the effect, by `started_rule` and `enabled_rule`. `changed` is the row, and
    `changed_ns` the time in ns since the first record, of the last message about it.
    """

    index: int
    name: str = ""
    size: int | None = None
    base: int | None = None
    addresses: Addresses | None = None
    big_endian: bool | None = None
    enable_sent: bool | None = None
    kick_sent: bool = False
    state: RingState = RingState.STOPPED
    started_rule: str = UNSTARTED
    enabled_rule: str = INITIAL
    first: int = 0
    changed: int = 0
    changed_ns: int = 0
    changed_by: str = ""

    @property
    def configured(self) -> bool:
        """Whether a size and addresses are set."""
        return self.size is not None and self.addresses is not None


class Rings:
    """All rings of a session by index; a ring exists from the first message that names it."""

    def __init__(self) -> None:
        self.by_index: dict[int, Ring] = {}
        self._default: Trigger | None = None

    def feed(self, number: int, time_ns: int, message: Message, name: str = "") -> Iterable[int]:
        """Take the message of row `number`; the rings whose state or settings it changed."""
        if message.channel is not Channel.MAIN:
            return ()
        if message.reply:
            self._answered(message)
            return ()
        if message.name in OF_ALL:
            return self._all(message, number, time_ns)
        index = message.ring
        if index is None:
            return ()
        ring = self.by_index.get(index) or self._new(index, number)
        if ring is None:
            return ()
        ring.name, ring.changed, ring.changed_ns, ring.changed_by = (
            name or ring.name,
            number,
            time_ns,
            message.name,
        )
        if message.name in SETTINGS:
            SETTINGS[message.name](ring, message)
        trigger = trigger_of(message)
        if trigger is not None:
            move(ring, trigger)
        return (index,)

    def end(self) -> Iterable[int]:
        """The session ended: the rings that this changed."""
        return self._move_all(Trigger.END)

    def values(self) -> list[Ring]:
        """All rings as they stand, by index."""
        return [replace(self.by_index[index]) for index in sorted(self.by_index)]

    def _new(self, index: int, number: int) -> Ring | None:
        if len(self.by_index) >= RINGS_KEPT:
            return None
        ring = self.by_index[index] = Ring(index, first=number)
        if self._default:
            move(ring, self._default)
        return ring

    def _all(self, message: Message, number: int, time_ns: int) -> Iterable[int]:
        trigger = OF_ALL[message.name]
        if trigger is Trigger.PLAIN_FEATURES:
            plain = not (message.number_in("features") or 0) & PROTOCOL_BIT
            self._default = trigger if plain else None
            if not plain:
                return ()
        changed = self._move_all(trigger)
        for index in changed:
            ring = self.by_index[index]
            ring.changed, ring.changed_ns, ring.changed_by = number, time_ns, message.name
        return changed

    def _move_all(self, trigger: Trigger) -> list[int]:
        return [index for index, ring in self.by_index.items() if move(ring, trigger)]

    def _answered(self, message: Message) -> None:
        ring = self.by_index.get(message.ring) if message.ring is not None else None
        if message.name == "GET_VRING_BASE" and ring is not None:
            ring.base = message.number_in("num")


OF_ALL: Mapping[str, Trigger] = {
    "SET_FEATURES": Trigger.PLAIN_FEATURES,
    "RESET_DEVICE": Trigger.RESET_DEVICE,
    "RESET_OWNER": Trigger.RESET_OWNER,
}
OF_ONE: Mapping[str, Trigger] = {
    "SET_VRING_KICK": Trigger.KICK,
    "VRING_KICK": Trigger.INBAND_KICK,
    "GET_VRING_BASE": Trigger.BASE,
}


def trigger_of(message: Message) -> Trigger | None:
    """What a message triggers on its ring."""
    if message.name == "SET_VRING_ENABLE":
        return Trigger.ENABLE if message.number_in("num") else Trigger.DISABLE
    return OF_ONE.get(message.name)


def move(ring: Ring, trigger: Trigger) -> bool:
    """Apply `trigger`, and note the rule of each half that it decides; whether the state is another."""
    effect, before = EFFECTS[trigger], ring.state
    ring.state = TRANSITIONS[before, trigger]
    if effect.started is not None:
        ring.started_rule = effect.rule
    if effect.enabled is not None:
        ring.enabled_rule = effect.rule
    return ring.state is not before


def set_size(ring: Ring, message: Message) -> None:
    """SET_VRING_NUM."""
    ring.size = message.number_in("num")


def set_base(ring: Ring, message: Message) -> None:
    """SET_VRING_BASE."""
    ring.base = message.number_in("num")


def set_endian(ring: Ring, message: Message) -> None:
    """SET_VRING_ENDIAN."""
    ring.big_endian = bool(message.number_in("num"))


def set_enable(ring: Ring, message: Message) -> None:
    """SET_VRING_ENABLE."""
    ring.enable_sent = bool(message.number_in("num"))


def set_addresses(ring: Ring, message: Message) -> None:
    """SET_VRING_ADDR; fields that are missing are 0."""
    descriptor, used, available, log, flags = (
        message.number_in(field) or 0 for field in ("descriptor", "used", "available", "log", "flags")
    )
    ring.addresses = Addresses(descriptor, used, available, log, flags)


def set_kick(ring: Ring, _message: Message) -> None:
    """SET_VRING_KICK."""
    ring.kick_sent = True


def unset_kick(ring: Ring, _message: Message) -> None:
    """GET_VRING_BASE: a start needs a kick descriptor anew."""
    ring.kick_sent = False


SETTINGS: Mapping[str, Callable[[Ring, Message], None]] = {
    "SET_VRING_NUM": set_size,
    "SET_VRING_BASE": set_base,
    "SET_VRING_ENDIAN": set_endian,
    "SET_VRING_ENABLE": set_enable,
    "SET_VRING_ADDR": set_addresses,
    "SET_VRING_KICK": set_kick,
    "GET_VRING_BASE": unset_kick,
}
