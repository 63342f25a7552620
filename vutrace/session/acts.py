"""What a front-end's request does to the phase: by its name, and where that does not tell by the rings.

The rules go by meaning alone, so that an order never seen before comes out sensibly.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vutrace.dissection.message import Message
from vutrace.protocol.bits import DEVICE_STATUS, VIRTIO_FEATURES, bit
from vutrace.session.context import Context
from vutrace.session.phases import Act, Phase

LOG_ALL = bit("VHOST_F_LOG_ALL", VIRTIO_FEATURES)
PROTOCOL_BIT = bit("VHOST_USER_F_PROTOCOL_FEATURES", VIRTIO_FEATURES)
DRIVER_OK = bit("DRIVER_OK", DEVICE_STATUS)


@dataclass(slots=True)
class Known:
    """What the rules look at: the phase, the negotiation, and the rings by what was sent of them.

    `called` and `switched` are the rings that got their call descriptor, or were enabled, since they
    were started; `last` is the ring of the last request; `driver_ok` whether this start was declared
    complete. `was_running`: the session before this one ended while the device ran.
    """

    was_running: bool = False
    phase: Phase | None = None
    context: Context = field(default_factory=Context)
    started: set[int] = field(default_factory=set)
    enabled: set[int] = field(default_factory=set)
    called: set[int] = field(default_factory=set)
    switched: set[int] = field(default_factory=set)
    last: int | None = None
    driver_ok: bool = False

    @property
    def logging(self) -> bool:
        """Whether dirty pages are logged or fetched on demand."""
        return bool((self.context.features or 0) & LOG_ALL) or self.context.postcopy

    @property
    def half_set_up(self) -> bool:
        """Whether some ring was enabled but not started."""
        return not self.enabled <= self.started


Rule = Callable[[Message, Known], Act]


def act_of(message: Message, known: Known) -> Act:
    """What a request on the main channel does; it may be any, in any order."""
    meaning = MEANING.get(message.name, Act.ASK)
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
        return Act.OPERATE if known.driver_ok else Act.ASK
    leaving = known.phase is Phase.STOP and message.name == "REM_MEM_REG"
    return Act.ASK if leaving else Act.SET_UP


def log(_message: Message, known: Known) -> Act:
    """Begins a migration, unless a start takes up logging that is already on."""
    if known.phase is Phase.START and known.logging:
        return Act.ASK
    return Act.MIGRATE if known.started else Act.SET_UP


def configure(message: Message, known: Known) -> Act:
    """Sets a ring up; of a started ring it changes some aspect on the fly."""
    return Act.ASK if message.ring in known.started else Act.SET_UP


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
    again = message.ring in known.called and message.ring != known.last
    masks = message.ring in known.started and (again or known.driver_ok)
    return Act.OPERATE if masks else Act.WATCH


def enable(message: Message, known: Known) -> Act:
    """Switches a ring on, or off."""
    ring = message.ring
    if not message.number_in("num"):
        return disable(ring, known)
    if known.phase is None or known.phase is Phase.INIT:
        # A driver that ran before the back-end was lost has written its features long ago.
        return Act.SET_UP if known.was_running else Act.SWITCH
    if ring not in known.started:
        return Act.SWITCH
    if known.driver_ok or ring in known.switched or known.phase is Phase.STOP:
        return Act.RESUME
    return Act.ASK


def disable(ring: int | None, known: Known) -> Act:
    """Off for the first of the enabled rings stops the device; for another one it is only a queue less."""
    if known.context.offered is None:
        return Act.HALT
    if not known.started:
        return Act.SWITCH
    return Act.HALT if ring == min(known.enabled, default=None) else Act.OPERATE


def status(message: Message, known: Known) -> Act:
    """0 resets; it precedes or follows the stop."""
    if message.number_in("status") == 0:
        return Act.HALT if known.started or known.phase is Phase.STOP else Act.RESET
    return Act.ASK


def operate(_message: Message, known: Known) -> Act:
    """For a running device, or merely asked of one that is still being set up."""
    return Act.OPERATE if known.started and not known.half_set_up else Act.ASK


MEANING: Mapping[str, Act | Rule] = {
    "GET_FEATURES": greet,
    "SET_FEATURES": set_features,
    "SET_OWNER": greet,
    "RESET_OWNER": Act.RESET,
    "SET_MEM_TABLE": memory,
    "SET_LOG_BASE": log,
    "SET_LOG_FD": log,
    "SET_VRING_NUM": configure,
    "SET_VRING_ADDR": address,
    "SET_VRING_BASE": configure,
    "GET_VRING_BASE": Act.HALT,
    "SET_VRING_KICK": configure,
    "SET_VRING_CALL": watch,
    "SET_VRING_ERR": watch,
    "GET_PROTOCOL_FEATURES": greet,
    "SET_PROTOCOL_FEATURES": greet,
    "GET_QUEUE_NUM": greet,
    "SET_VRING_ENABLE": enable,
    "SEND_RARP": operate,
    "NET_SET_MTU": prepare,
    "SET_VRING_ENDIAN": configure,
    "GET_CONFIG": operate,
    "SET_CONFIG": operate,
    "CREATE_CRYPTO_SESSION": operate,
    "CLOSE_CRYPTO_SESSION": operate,
    "POSTCOPY_ADVISE": Act.MIGRATE,
    "POSTCOPY_LISTEN": Act.MIGRATE,
    "POSTCOPY_END": Act.MIGRATE,
    "GET_INFLIGHT_FD": prepare,
    "SET_INFLIGHT_FD": prepare,
    "GPU_SET_SOCKET": prepare,
    "RESET_DEVICE": Act.RESET,
    "VRING_KICK": operate,
    "GET_MAX_MEM_SLOTS": greet,
    "ADD_MEM_REG": memory,
    "REM_MEM_REG": memory,
    "SET_STATUS": status,
    "SET_DEVICE_STATE_FD": Act.MIGRATE,
    "CHECK_DEVICE_STATE": Act.MIGRATE,
    "GET_SHMEM_CONFIG": greet,
}
