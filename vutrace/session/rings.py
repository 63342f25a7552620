"""The rings of one session: what was sent of each, and what that makes of it ("Ring states")."""

from collections.abc import Iterable, Mapping
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


@dataclass(frozen=True, slots=True)
class Ring:
    """One ring.

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
            return self._answered(message)
        if message.name in OF_ALL:
            return self._all(message, number, time_ns)
        index = message.ring
        if index is None:
            return ()
        if index not in self.by_index and len(self.by_index) >= RINGS_KEPT:
            return ()
        ring = self.by_index.get(index) or self._new(index, number)
        ring = replace(
            ring,
            name=name or ring.name,
            changed=number,
            changed_ns=time_ns,
            changed_by=message.name,
        )
        ring = settings(ring, message)
        trigger = trigger_of(message)
        self.by_index[index] = ring if trigger is None else moved(ring, trigger)
        return (index,)

    def end(self) -> Iterable[int]:
        """The session ended: the rings that this changed."""
        return self._move_all(Trigger.END)

    def _new(self, index: int, number: int) -> Ring:
        ring = Ring(index, first=number)
        return moved(ring, self._default) if self._default else ring

    def _all(self, message: Message, number: int, time_ns: int) -> Iterable[int]:
        trigger = OF_ALL[message.name]
        if trigger is Trigger.PLAIN_FEATURES:
            plain = not (message.number_in("features") or 0) & PROTOCOL_BIT
            self._default = trigger if plain else None
            if not plain:
                return ()
        changed = list(self._move_all(trigger))
        for index in changed:
            self.by_index[index] = replace(
                self.by_index[index], changed=number, changed_ns=time_ns, changed_by=message.name
            )
        return changed

    def _move_all(self, trigger: Trigger) -> Iterable[int]:
        before = {index: ring.state for index, ring in self.by_index.items()}
        for index, ring in self.by_index.items():
            self.by_index[index] = moved(ring, trigger)
        return [index for index, state in before.items() if self.by_index[index].state is not state]

    def _answered(self, message: Message) -> Iterable[int]:
        ring = self.by_index.get(message.ring) if message.ring is not None else None
        if message.name != "GET_VRING_BASE" or ring is None:
            return ()
        self.by_index[ring.index] = replace(ring, base=message.number_in("num"))
        return (ring.index,)


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


def moved(ring: Ring, trigger: Trigger) -> Ring:
    """The ring after `trigger`, with the rule of each half that it decides."""
    effect = EFFECTS[trigger]
    return replace(
        ring,
        state=TRANSITIONS[ring.state, trigger],
        started_rule=ring.started_rule if effect.started is None else effect.rule,
        enabled_rule=ring.enabled_rule if effect.enabled is None else effect.rule,
    )


def settings(ring: Ring, message: Message) -> Ring:
    """The ring with what a message sets, as it was sent."""
    number = message.number_in("num")
    match message.name:
        case "SET_VRING_NUM":
            return replace(ring, size=number)
        case "SET_VRING_BASE":
            return replace(ring, base=number)
        case "SET_VRING_ENDIAN":
            return replace(ring, big_endian=bool(number))
        case "SET_VRING_ENABLE":
            return replace(ring, enable_sent=bool(number))
        case "SET_VRING_ADDR":
            return replace(ring, addresses=addresses(message))
        case "SET_VRING_KICK":
            return replace(ring, kick_sent=True)
        case "GET_VRING_BASE":
            return replace(ring, kick_sent=False)
    return ring


def addresses(message: Message) -> Addresses:
    """SET_VRING_ADDR's fields, 0 where they are missing."""
    descriptor, used, available, log, flags = (
        message.number_in(field) or 0 for field in ("descriptor", "used", "available", "log", "flags")
    )
    return Addresses(descriptor, used, available, log, flags)
