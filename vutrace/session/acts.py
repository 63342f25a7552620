"""What a front-end's request does to the phase: by its purpose, and where that does not tell by the rings.

The rules go by meaning alone, so that an order never seen before comes out sensibly.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vutrace.dissection.message import Message
from vutrace.protocol.bits import DEVICE_STATUS, VIRTIO_FEATURES, bit
from vutrace.protocol.effects import MemoryEffect, Purpose
from vutrace.records import FrameFlag
from vutrace.session.context import Context
from vutrace.session.phases import Act, Phase
from vutrace.session.ring import Ring
from vutrace.session.rings import PROTOCOL_BIT, Rings

LOG_ALL = bit("VHOST_F_LOG_ALL", VIRTIO_FEATURES)
INIT, STOP = Phase.INIT, Phase.STOP
ASK, SET_UP, SWITCH = Act.ASK, Act.SET_UP, Act.SWITCH
DRIVER_OK = bit("DRIVER_OK", DEVICE_STATUS)


@dataclass(slots=True)
class Known:
    """What the rules look at: the rings and the negotiation before a message, and the course so far.

    `last` is the ring of the last request about one; `driver_ok` whether this start was declared complete;
    `paused`: nothing was said for a while before the message at hand. `was_running`: the session before this
    one ended while the device ran.
    """

    rings: Rings
    was_running: bool = False
    phase: Phase | None = None
    context: Context = field(default_factory=Context)
    last: int | None = None
    driver_ok: bool = False
    paused: bool = False

    @property
    def started(self) -> set[int]:
        """The rings that are started."""
        return self.rings.started

    @property
    def logging(self) -> bool:
        """Whether dirty pages are logged or fetched on demand."""
        return bool((self.context.features or 0) & LOG_ALL) or bool(self.context.postcopy)

    @property
    def start_is_over(self) -> bool:
        """Whether the device runs, as far as it is known.

        Most front-ends do not say when a start is complete. But they say all of it in one go, so that what
        comes after a pause is about a device that runs.
        """
        return self.driver_ok or (bool(self.rings.running) and self.paused)

    @property
    def half_set_up(self) -> bool:
        """Whether some ring was enabled but not started."""
        return not self.rings.enabled <= self.rings.started

    def ring(self, message: Message) -> Ring | None:
        """The ring that a message is about, as it stands before it."""
        return None if message.ring is None else self.rings.by_index.get(message.ring)


Rule = Callable[[Message, Known], Act]


def act_of(message: Message, known: Known) -> Act:
    """What a request on the main channel does; it may be any, in any order."""
    meaning = MEANING[message.spec.purpose]
    return meaning if isinstance(meaning, Act) else meaning(message, known)


def greet(_message: Message, known: Known) -> Act:
    """The first of a session begins it, whatever came before (virtio-user stops its rings first)."""
    return Act.MEET if known.context.offered is None and not known.started else Act.GREET


def set_features(message: Message, known: Known) -> Act:
    """The start of a driver, unless it only turns logging on or off, or negotiation still goes on."""
    value, before = message.number_in("features") or 0, known.context.features
    if known.started and before is not None:
        if value ^ before == LOG_ALL:
            return Act.MIGRATE
        if known.phase is Phase.MIGRATION:
            return Act.ASK
    # SPDK sets features first and protocol features then.
    negotiating = value & PROTOCOL_BIT and known.context.protocol_features is None
    return Act.GREET if negotiating and not known.started else Act.SET_UP


def memory(message: Message, known: Known) -> Act:
    """Part of a start, except for memory that is plugged in or out, and postcopy's exchange."""
    if known.context.postcopy:
        return Act.MIGRATE
    if known.started:
        return Act.OPERATE if known.start_is_over else Act.ASK
    leaving = known.phase is Phase.STOP and message.spec.memory is MemoryEffect.REMOVE
    return Act.ASK if leaving else Act.SET_UP


def log(_message: Message, known: Known) -> Act:
    """Begins a migration, unless a start takes up logging that is already on."""
    if known.phase is Phase.START and known.logging:
        return Act.ASK
    return Act.MIGRATE if known.started else Act.SET_UP


def configure(message: Message, known: Known) -> Act:
    """Sets a ring up; of a started ring it changes some aspect on the fly."""
    return ASK if message.ring in known.started else SET_UP


def address(message: Message, known: Known) -> Act:
    """As the other settings, but with the log flag on a started ring it is migration's."""
    logged = bool((message.number_in("flags") or 0) & 1)
    if known.phase is Phase.MIGRATION and logged:
        return Act.ASK
    return Act.MIGRATE if logged and message.ring in known.started else configure(message, known)


def prepare(_message: Message, known: Known) -> Act:
    """What QEMU does just before a start."""
    return Act.ASK if known.started else Act.SET_UP


def watch(message: Message, known: Known) -> Act:
    """Part of init or start; once more for a ring that has it, it (un)masks an interrupt."""
    ring = known.ring(message)
    if ring is None or not ring.state.started:
        return Act.WATCH
    again = ring.called and ring.index != known.last
    return Act.OPERATE if again or known.start_is_over else Act.WATCH


def enable(message: Message, known: Known) -> Act:
    """Switches a ring on, or off."""
    ring = known.ring(message)
    if "num" not in message.fields and message.frame.flags & FrameFlag.PAYLOAD_UNKNOWN:
        return SWITCH if known.phase is None or known.phase is INIT else ASK
    if not message.number_in("num"):
        return disable(ring, known)
    if known.phase is None or known.phase is INIT:
        # A driver that ran before the back-end was lost has written its features long ago.
        return SET_UP if known.was_running else SWITCH
    if ring is None or not ring.state.started:
        # Behind a stop it is the guest's reset as well as its next driver: what follows will tell.
        return ASK if known.phase is STOP else SWITCH
    if known.driver_ok or ring.switched or known.phase is Phase.STOP:
        return Act.RESUME
    return Act.ASK


def disable(ring: Ring | None, known: Known) -> Act:
    """Off for the first of the enabled rings stops the device; for another one it is only a queue less."""
    if known.context.offered is None:
        return Act.HALT
    if not known.started:
        return ASK if known.phase is STOP else SWITCH
    first = ring is not None and ring.index == min(known.rings.enabled, default=None)
    return Act.HALT if first else Act.OPERATE


def status(message: Message, known: Known) -> Act:
    """0 resets; it precedes or follows the stop."""
    if message.number_in("status") == 0:
        return Act.HALT if known.started or known.phase is Phase.STOP else Act.RESET
    return Act.ASK


def operate(_message: Message, known: Known) -> Act:
    """For a running device, or merely asked of one that is still being set up."""
    return Act.OPERATE if known.started and not known.half_set_up else Act.ASK


MEANING: Mapping[Purpose | None, Act | Rule] = {
    None: Act.ASK,
    Purpose.ASK: Act.ASK,
    Purpose.GREET: greet,
    Purpose.FEATURES: set_features,
    Purpose.MEMORY: memory,
    Purpose.LOG: log,
    Purpose.CONFIGURE: configure,
    Purpose.ADDRESS: address,
    Purpose.WATCH: watch,
    Purpose.ENABLE: enable,
    Purpose.PREPARE: prepare,
    Purpose.OPERATE: operate,
    Purpose.STATUS: status,
    Purpose.HALT: Act.HALT,
    Purpose.MIGRATE: Act.MIGRATE,
    Purpose.RESET: Act.RESET,
}
