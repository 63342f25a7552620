"""The rings of one session: what was sent of each, and what that makes of it ("Ring states").

Nothing else keeps the state of a ring. A ring is a value: what a message makes of it is another one, so that
a change holds both, and a message that was refused is undone by taking the one before.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from vutrace.dissection.message import Message
from vutrace.protocol.bits import VIRTIO_FEATURES, bit
from vutrace.protocol.effects import OF_ALL_RINGS, RingEffect
from vutrace.session.ring_states import (
    EFFECTS,
    INITIAL,
    TRANSITIONS,
    TRIGGERS,
    UNSTARTED,
    RingState,
    Trigger,
    rule_of,
)

PROTOCOL_BIT = bit("VHOST_USER_F_PROTOCOL_FEATURES", VIRTIO_FEATURES)
RINGS_KEPT = 1024  # 256 can be started; a hostile index makes no more
CONFIGURED = "configured"  # set up and not started; the other states are RingState's


class Addresses(NamedTuple):
    """Where a ring lies, as SET_VRING_ADDR told it."""

    descriptor: int
    used: int
    available: int
    log: int
    flags: int


class Ring(NamedTuple):
    """One ring, as it stands.

    `size`, `base` (as it was last sent, by either side) and `addresses` are what was sent, None before;
    `enable_sent` the value of the last SET_VRING_ENABLE, `kick_sent` whether a kick descriptor (or NOFD)
    stands. `state` is the effect, by `started_rule` and `enabled_rule`. `set_up`: something was configured
    since it was last stopped; `called` and `switched`: it got a call descriptor, or was enabled or disabled,
    since it was last started. `changed` is the row, and `changed_ns` the time in ns since the first record,
    of the last message about it.
    """

    index: int  # type: ignore[assignment]  # tuple has a method of that name, which nobody wants here
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
    set_up: bool = False
    called: bool = False
    switched: bool = False
    first: int = 0
    changed: int = 0
    changed_ns: int = 0
    changed_by: str = ""

    @property
    def configured(self) -> bool:
        """Whether a size and addresses are set."""
        return self.size is not None and self.addresses is not None

    @property
    def drawn(self) -> str:
        """The state as it is drawn: what is not started may be set up already.

        A ring that was kicked with neither a size nor addresses counts as started ("Ring states"), but nobody
        can process it.
        """
        if self.state.started and not (self.size is None and self.addresses is None):
            return str(self.state)
        return CONFIGURED if self.set_up else str(RingState.STOPPED)


class RingChange(NamedTuple):
    """A ring before and after a row; `before` is None for the first message that names it."""

    before: Ring | None
    after: Ring


Changes = tuple[RingChange, ...]
Fields = dict[str, Any]  # of a ring, with new values
Value = Addresses | int | None  # what a message about a ring sets
STAMPS = Ring._fields.index("first")  # before these stands what messages set up, behind it when they came


class Rings:
    """All rings of a session by index; a ring exists from the first message that names it.

    `started` and `running` go by the effect, `enabled` by what was sent. `omitted` counts the messages about
    rings beyond the `RINGS_KEPT` that are kept.
    """

    def __init__(self) -> None:
        self.by_index: dict[int, Ring] = {}
        self.started: set[int] = set()
        self.enabled: set[int] = set()
        self.running: set[int] = set()
        self.omitted = 0
        self._default: Trigger | None = None

    def feed(self, number: int, time_ns: int, message: Message, name: str = "") -> Changes:
        """Take the message of row `number`, whose ring is called `name`; the rings that it is about."""
        effect = message.spec.effect
        if message.reply:
            return self._answered(message) if effect is RingEffect.STOP else ()
        if effect in OF_ALL_RINGS:
            return self._all(TRIGGERS[effect], message, number, time_ns)
        index = message.ring
        if index is None:
            return ()
        before = self.by_index.get(index)
        if before is None and len(self.by_index) >= RINGS_KEPT:
            self.omitted += 1
            return ()
        ring = before or self._new(index, number)
        setup = changed_setup(ring[:STAMPS], name or ring.name, effect, value_in(message), message.name)
        after = Ring._make((*setup, ring.first, number, time_ns, message.name))
        return (self._put(before, after),)

    def end(self) -> Changes:
        """What the end of the session makes of the rings; how they stood stays known."""
        ended = ((ring, moved(ring, Trigger.END, "")) for ring in self.by_index.values())
        return tuple(RingChange(before, after) for before, after in ended if after.state is not before.state)

    def undo(self, changes: Changes, message: Message) -> Changes:
        """Take back what `message`, a request that was refused, did; later messages' changes stay."""
        return tuple(
            self._put(after, refused(before or Ring(after.index), after, message))
            for before, after in changes
            if self.by_index.get(after.index) is after
        )

    def values(self) -> list[Ring]:
        """All rings as they stand, by index."""
        return [self.by_index[index] for index in sorted(self.by_index)]

    def _put(self, before: Ring | None, ring: Ring) -> RingChange:
        index, state = ring.index, ring.state
        self.by_index[index] = ring
        if before is None or state is not before.state or ring.enable_sent is not before.enable_sent:
            keep(self.started, index, state.started)
            keep(self.running, index, state is RingState.RUNNING)
            keep(self.enabled, index, state.enabled and bool(ring.enable_sent))
        return RingChange(before, ring)

    def _new(self, index: int, number: int) -> Ring:
        ring = Ring(index, first=number)
        return moved(ring, self._default, "") if self._default else ring

    def _all(self, trigger: Trigger, message: Message, number: int, time_ns: int) -> Changes:
        if trigger is Trigger.DEFAULT_ENABLE:
            plain = not (message.number_in("features") or 0) & PROTOCOL_BIT
            self._default = trigger if plain else None
            if not plain:
                return ()
        others = [
            ring for ring in self.by_index.values() if TRANSITIONS[ring.state, trigger] is not ring.state
        ]
        about = {"changed": number, "changed_ns": time_ns, "changed_by": message.name}
        return tuple(
            self._put(ring, moved(ring, trigger, message.name)._replace(**about))  # type: ignore[arg-type]
            for ring in others
        )

    def _answered(self, message: Message) -> Changes:
        ring = self.by_index.get(-1 if message.ring is None else message.ring)
        return (self._put(ring, ring._replace(base=message.number_in("num"))),) if ring else ()


def keep(indexes: set[int], index: int, belongs: bool) -> None:
    """Have `index` among them, or not."""
    if belongs:
        indexes.add(index)
    else:
        indexes.discard(index)


def move(ring: Ring, trigger: Trigger, name: str) -> Fields:
    """What `trigger`, a message called `name`, changes; each half that it decides has its rule."""
    effect, rule = EFFECTS[trigger], rule_of(trigger, name)
    fields: Fields = {"state": TRANSITIONS[ring.state, trigger]}
    if effect.started is not None:
        fields |= {"started_rule": rule, "set_up": effect.started}
        fields |= {"called": False, "switched": False} if effect.started else {"kick_sent": False}
    if effect.enabled is not None:
        fields["enabled_rule"] = rule
    return fields


def moved(ring: Ring, trigger: Trigger, name: str) -> Ring:
    """The ring after `trigger`, a message called `name`."""
    return ring._replace(**move(ring, trigger, name))


def refused(before: Ring, after: Ring, message: Message) -> Ring:
    """The ring as it was before a message that the back-end refused; what was sent stays told."""
    kept = before._replace(
        name=after.name,
        enable_sent=after.enable_sent,
        first=after.first,
        changed=after.changed,
        changed_ns=after.changed_ns,
        changed_by=after.changed_by,
    )
    if before.started_rule != after.started_rule:
        was = "started" if before.state.started else "stopped"
        kept = kept._replace(started_rule=f"{was}: {message.name} was refused")
    if before.enabled_rule != after.enabled_rule:
        was = "enabled" if before.state.enabled else "disabled"
        kept = kept._replace(enabled_rule=f"{was}: {message.name} was refused")
    return kept


def value_in(message: Message) -> Value:
    """What a message about a ring sets: addresses (those that are missing are 0), or the number."""
    if message.spec.effect is not RingEffect.ADDRESSES:
        return message.number_in("num")
    return Addresses._make([message.number_in(field) or 0 for field in Addresses._fields])


@lru_cache(4096)  # rings go through the same again and again, each in every session
def changed_setup(
    setup: tuple[Any, ...], name: str, effect: RingEffect | None, value: Value, by: str
) -> tuple[Any, ...]:
    """A ring without its stamps, after a message called `by`; it is called `name`."""
    ring = Ring(*setup)
    changes = EFFECT[effect](ring, value, by) if effect else {}
    return ring._replace(name=name, **changes)[:STAMPS]


def set_size(_ring: Ring, value: Value, _by: str) -> Fields:
    """SET_VRING_NUM."""
    return {"size": value, "set_up": True}


def set_base(_ring: Ring, value: Value, _by: str) -> Fields:
    """SET_VRING_BASE."""
    return {"base": value, "set_up": True}


def set_endian(_ring: Ring, value: Value, _by: str) -> Fields:
    """SET_VRING_ENDIAN."""
    return {"big_endian": bool(value), "set_up": True}


def set_addresses(_ring: Ring, value: Value, _by: str) -> Fields:
    """SET_VRING_ADDR."""
    return {"addresses": value, "set_up": True}


def kick(ring: Ring, _value: Value, by: str) -> Fields:
    """SET_VRING_KICK."""
    return {**move(ring, Trigger.KICK, by), "kick_sent": True}


def call(ring: Ring, _value: Value, _by: str) -> Fields:
    """SET_VRING_CALL."""
    return {"called": True} if ring.state.started else {}


def enable(ring: Ring, value: Value, by: str) -> Fields:
    """SET_VRING_ENABLE."""
    after = move(ring, Trigger.ENABLE if value else Trigger.DISABLE, by)
    return {**after, "enable_sent": bool(value), "switched": ring.switched or ring.state.started}


def notify(ring: Ring, _value: Value, by: str) -> Fields:
    """VRING_KICK: it starts a ring as the first kick event does, and says nothing to one that runs."""
    return {} if ring.state.started else move(ring, Trigger.NOTIFY, by)


def stop(ring: Ring, _value: Value, by: str) -> Fields:
    """GET_VRING_BASE: a start needs a kick descriptor anew."""
    return move(ring, Trigger.STOP, by)


def same(_ring: Ring, _value: Value, _by: str) -> Fields:
    """A message that only names the ring."""
    return {}


EFFECT: Mapping[RingEffect, Callable[[Ring, Value, str], Fields]] = {
    RingEffect.SIZE: set_size,
    RingEffect.BASE: set_base,
    RingEffect.ADDRESSES: set_addresses,
    RingEffect.ENDIAN: set_endian,
    RingEffect.KICK: kick,
    RingEffect.NOTIFY: notify,
    RingEffect.CALL: call,
    RingEffect.ERROR: same,
    RingEffect.ENABLE: enable,
    RingEffect.STOP: stop,
    RingEffect.NOTHING: same,
}
