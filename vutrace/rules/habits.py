"""What a front-end does, message by message, that tells which it is and how old."""

from dataclasses import dataclass, field

from vutrace.dissection.message import Message
from vutrace.protocol.effects import Fact, RingEffect
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.spec import MessageSpec
from vutrace.records import Channel
from vutrace.rules.implementations import BITS, QEMU_KNOWS, Certainty, Implementation
from vutrace.session.context import Context
from vutrace.session.row import Row

GREETING = 32  # messages
ENABLE, KICK, ERROR = RingEffect.ENABLE, RingEffect.KICK, RingEffect.ERROR
WATCHED = frozenset({RingEffect.CALL, KICK, ERROR})
REPLY_ACK = BITS["REPLY_ACK"]


def tells(spec: MessageSpec) -> bool:
    """Whether a request may be a habit (see `Habits._note`)."""
    does = spec.effect in WATCHED or spec.effect in (ENABLE, RingEffect.RESET_DEVICE)
    says = spec.tells(Fact.PROTOCOL_FEATURES, False) or spec.tells(Fact.STATUS, False)
    return does or says or spec.passes is Channel.BACKEND


TELLING = frozenset(number for number, spec in FRONTEND_MESSAGES.items() if tells(spec))
REPEATED = frozenset(
    number for number, spec in FRONTEND_MESSAGES.items() if spec.effect is ENABLE or spec.effect in WATCHED
)
STOPS_FIRST = "rings are stopped before the status is reset"
RESETS_FIRST = "the status is reset before rings are stopped"
# What QEMU does since a version, and what it did before one.
SINCE = {
    "kick descriptors are acknowledged": "10.2",
    "a device is reset by its message": "9.2",
    "SET_VRING_ENABLE is acknowledged": "8.2",
    STOPS_FIRST: "8.1",
    "SET_STATUS": "7.2",
    "SET_VRING_ERR": "7.1",
}
BEFORE = {
    "SET_BACKEND_REQ_FD for each queue pair": "5.0",
    "no SET_VRING_ERR": "7.1",
    RESETS_FIRST: "8.1",
    "SET_VRING_ENABLE without NEED_REPLY": "8.2",
    "call descriptors without NEED_REPLY": "10.2",
}
RELEASES = (
    *("2.10", "2.11", "2.12", "3.0", "3.1", "4.0", "4.1", "4.2", "5.0", "5.1", "5.2", "6.0", "6.1", "6.2"),
    *("7.0", "7.1", "7.2", "8.0", "8.1", "8.2", "9.0", "9.1", "9.2", "10.0", "10.1", "10.2", "11.0", "11.1"),
)


@dataclass(slots=True)
class Habits:
    """What one session's front-end did: fed with its requests.

    `greeting` are the names of its first requests; `since` and `before` the releases of QEMU that its habits
    leave. `whole`: the session's beginning was seen. `latest` is what was noted last of a ring's messages.
    """

    greeting: list[str] = field(default_factory=list)
    whole: bool = False
    demanding: bool = True
    acknowledging: bool = False
    since: dict[str, str] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    started: bool = False
    channels: int = 0
    latest: tuple[int, bool, Context] | None = None

    def feed(self, row: Row, message: Message) -> None:
        """Take a request on the main channel."""
        if len(self.greeting) < GREETING:
            self.greeting.append(message.name)
            if self.acknowledging and not message.need_reply:
                self.demanding = False
        number = message.spec.number
        if number in REPEATED:
            said = number, message.need_reply, row.context
            if said != self.latest:  # the same for one ring after the other
                self.latest = said
                self._note(row, message)
        elif number in TELLING:
            self._note(row, message)

    def _note(self, row: Row, message: Message) -> None:
        spec, effect = message.spec, message.spec.effect
        if effect is ENABLE:
            if row.context.has_protocol(REPLY_ACK):
                self._dated(
                    "SET_VRING_ENABLE is acknowledged", "SET_VRING_ENABLE without NEED_REPLY", message
                )
        elif effect in WATCHED:
            self._watched(message, row.context.has_protocol(REPLY_ACK))
        elif spec.tells(Fact.PROTOCOL_FEATURES, False):
            self.acknowledging = True
            self._knows(row.context.protocol_offered or 0, message.number_in("protocol_features") or 0)
        elif effect is RingEffect.RESET_DEVICE:
            if row.context.device.name != "scsi":
                self._did("a device is reset by its message")
        elif spec.passes is Channel.BACKEND:
            self.channels += 1
            if self.channels > 1:
                self._was("SET_BACKEND_REQ_FD for each queue pair")
        elif spec.tells(Fact.STATUS, False):
            self._status(message, bool(row.state.rings.started))

    def _watched(self, message: Message, acks: bool) -> None:
        effect = message.spec.effect
        if acks:
            self._dated("kick descriptors are acknowledged", "call descriptors without NEED_REPLY", message)
        if effect is ERROR and not self.started:
            self._did("SET_VRING_ERR")
        if effect is KICK:
            self.started = True
            if self.whole and "SET_VRING_ERR" not in self.since:
                self._was("no SET_VRING_ERR")

    def _status(self, message: Message, still_started: bool) -> None:
        self._did("SET_STATUS")
        if message.number_in("status") == 0 and self.started:
            if still_started:
                self._was(RESETS_FIRST)
            else:
                self._did(STOPS_FIRST)

    def _dated(self, did: str, did_not: str, message: Message) -> None:
        if message.need_reply:
            self._did(did)
        else:
            self._was(did_not)

    def _did(self, habit: str) -> None:
        self.since.setdefault(habit, SINCE[habit])

    def _was(self, habit: str) -> None:
        self.before.setdefault(habit, BEFORE[habit])

    def _knows(self, offered: int, taken: int) -> None:
        for name, version in QEMU_KNOWS.items():
            if taken & BITS[name]:
                self.since.setdefault(f"{name} is acknowledged", version)
            elif offered & BITS[name]:
                self.before.setdefault(f"{name} is not acknowledged", version)

    def qemu_version(self) -> tuple[str, str]:
        """The releases of QEMU that do all this, in words, and by what; "" where nothing tells."""
        least = max(self.since.items(), key=lambda item: order(item[1]), default=None)
        most = min(self.before.items(), key=lambda item: order(item[1]), default=None)
        if least and most and order(least[1]) >= order(most[1]):
            return "", ""  # not a QEMU that is known
        low, high = least[1] if least else "", RELEASES[order(most[1]) - 1] if most else ""
        words = low if low == high else f"{low} to {high}" if low and high else ""
        words = words or (f"{low} or later" if low else f"up to {high}" if high else "")
        return words, ", ".join(habit for habit, _ in filter(None, (least, most)))

    def implementation(self) -> Implementation | None:
        """Who greets like this."""
        for name, fits in GREETINGS:
            if fits(self.greeting, self):
                version, reason = self.qemu_version() if name == "qemu" else ("", "")
                said = f"its first requests are {' '.join(self.greeting[:4])}"
                return Implementation(
                    name, version, ", ".join(filter(None, (said, reason))), Certainty.LIKELY
                )
        return None


def order(release: str) -> int:
    """A release's place among all."""
    return RELEASES.index(release)


def comes_before(names: list[str], first: str, second: str) -> bool:
    """Whether both are there, and in this order."""
    return first in names and second in names and names.index(first) < names.index(second)


def blkio(names: list[str], habits: Habits) -> bool:
    """Features before protocol features; then an acknowledgement for everything."""
    early = comes_before(names, "SET_FEATURES", "GET_PROTOCOL_FEATURES")
    return early and habits.demanding and "GET_QUEUE_NUM" in names


def spdk(names: list[str], _habits: Habits) -> bool:
    """Features before protocol features."""
    return comes_before(names, "SET_FEATURES", "GET_PROTOCOL_FEATURES")


def qemu(names: list[str], _habits: Habits) -> bool:
    """The owner comes after the negotiation, and the features are read again."""
    if names[:1] != ["GET_FEATURES"] or "SET_OWNER" not in names:
        return False
    return names[names.index("SET_OWNER") + 1 :][:1] == ["GET_FEATURES"]


def virtio_user(names: list[str], _habits: Habits) -> bool:
    """Call descriptors of all rings before the features, and no question for the queues."""
    owned = names[:2] == ["SET_OWNER", "GET_FEATURES"]
    return owned and comes_before(names, "SET_VRING_CALL", "SET_FEATURES") and "GET_QUEUE_NUM" not in names


def crosvm(names: list[str], _habits: Habits) -> bool:
    """The back-end channel right after the negotiation."""
    if names[:2] != ["SET_OWNER", "GET_FEATURES"] or "SET_PROTOCOL_FEATURES" not in names:
        return False
    return names[names.index("SET_PROTOCOL_FEATURES") + 1 :][:1] == ["SET_BACKEND_REQ_FD"]


def cloud_hypervisor(names: list[str], habits: Habits) -> bool:
    """An acknowledgement for everything once that is agreed on."""
    owned = names[:2] == ["SET_OWNER", "GET_FEATURES"]
    return owned and habits.acknowledging and habits.demanding and len(names) > 6


GREETINGS = (
    ("qemu", qemu),
    ("libblkio", blkio),
    ("spdk", spdk),
    ("virtio-user", virtio_user),
    ("crosvm", crosvm),
    ("cloud-hypervisor", cloud_hypervisor),
)
