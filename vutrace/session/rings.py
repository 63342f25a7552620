"""The rings of one session.

Nothing else keeps the state of a ring. A ring is a value: what a message makes of it is another one, so that
a change holds both, and a message that was refused is undone by taking the one before.
"""

from vutrace.dissection.message import Message
from vutrace.protocol.bits import VIRTIO_FEATURES, bit
from vutrace.protocol.effects import OF_ALL_RINGS, RingEffect
from vutrace.quick import quick_tuple
from vutrace.records import FrameFlag
from vutrace.session.ring import Changes, Ring, RingChange
from vutrace.session.ring_effects import STAMPS, changed_setup, moved, refused, value_in
from vutrace.session.ring_states import TRANSITIONS, TRIGGERS, RingState, Trigger

PROTOCOL_BIT = bit("VHOST_USER_F_PROTOCOL_FEATURES", VIRTIO_FEATURES)
STOP, RUNNING = RingEffect.STOP, RingState.RUNNING
quick_ring, quick_change = quick_tuple(Ring), quick_tuple(RingChange)
SETTING = frozenset(
    {RingEffect.SIZE, RingEffect.BASE, RingEffect.ADDRESSES, RingEffect.ENDIAN, RingEffect.ENABLE}
)
RINGS_KEPT = 1024  # 256 can be started; a hostile index makes no more


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
            return self._answered(message) if effect is STOP else ()
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
        value = value_in(message)
        if value is None and effect in SETTING and message.frame.flags & FrameFlag.PAYLOAD_UNKNOWN:
            effect = RingEffect.NOTHING  # what it said nobody knows
        setup = changed_setup(ring[:STAMPS], name or ring.name, effect, value, message.name)
        after = quick_ring((*setup, ring.first, number, time_ns, message.name))
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
            keep(self.running, index, state is RUNNING)
            keep(self.enabled, index, state.enabled and bool(ring.enable_sent))
        return quick_change((before, ring))

    def _new(self, index: int, number: int) -> Ring:
        ring = Ring(index, first=number)
        return moved(ring, self._default, "") if self._default else ring

    def _all(self, trigger: Trigger, message: Message, number: int, time_ns: int) -> Changes:
        if trigger is Trigger.DEFAULT_ENABLE:
            if "features" not in message.fields and message.frame.flags & FrameFlag.PAYLOAD_UNKNOWN:
                return ()
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
