"""Which programs are at the two ends of a session, from all that was seen of it so far."""

from dataclasses import dataclass, field, replace

from vutrace.records import Channel, Event, EventKind, Side
from vutrace.rules.habits import Habits
from vutrace.rules.implementations import Certainty, Implementation, by_command, by_offer
from vutrace.session.row import Row

MAIN = Channel.MAIN


@dataclass(slots=True)
class Recogniser:
    """Fed with a session's rows; tells who is who at any moment."""

    habits: Habits = field(default_factory=Habits)
    commanded: dict[Side, Implementation] = field(default_factory=dict)
    offered: int | None = None

    def feed(self, row: Row) -> None:
        """Take a row."""
        what = row.what
        self.offered = row.state.context.protocol_offered
        if not isinstance(what, Event):
            if what.channel is MAIN and not what.reply:
                self.habits.feed(row, what)
        elif what.kind is EventKind.OPEN and what.channel is MAIN:
            self.habits.whole = True
            for side in Side:
                self._open(side, what)

    def _open(self, side: Side, event: Event) -> None:
        command, name = (event.attributes.get(f"{side}_{key}", "") for key in ("command", "name"))
        if found := by_command(side, command, name):
            self.commanded[side] = found

    def who(self, side: Side) -> Implementation | None:
        """The implementation at one end, None where nothing tells it."""
        told = self.commanded.get(side)
        seen = self.habits.implementation() if side is Side.FRONTEND else self._offering()
        if told is None or told.certainty is not Certainty.CERTAIN:
            return seen or told
        version = self._version(told, seen)
        return replace(told, version=version or told.version)

    def _offering(self) -> Implementation | None:
        return by_offer(self.offered) if self.offered is not None else None

    def _version(self, told: Implementation, seen: Implementation | None) -> str:
        """What the wire tells of the version of a program whose name is known."""
        if told.name == "qemu":
            return self.habits.qemu_version()[0]
        return seen.version if seen and seen.name == told.name else ""
