"""What a message makes of a ring: the fields that it changes, and by which rule."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from vutrace.dissection.message import Message
from vutrace.protocol.effects import RingEffect
from vutrace.records import FrameFlag
from vutrace.session.ring import Addresses, Ring
from vutrace.session.ring_states import EFFECTS, TRANSITIONS, Trigger, rule_of

Fields = dict[str, Any]  # of a ring, with new values
Value = Addresses | int | None  # what a message about a ring sets
ADDRESSES = RingEffect.ADDRESSES
STAMPS = Ring._fields.index("first")  # before these stands what messages set up, behind it when they came


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
    fields = message.fields
    if message.spec.effect is not ADDRESSES:
        value = fields.get("num")
        return value if isinstance(value, int) else None
    flags = message.frame.flags
    if flags and flags & FrameFlag.PAYLOAD_UNKNOWN and not fields.keys() >= {*Addresses._fields}:
        return None
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
