"""Which programs are at the two ends of a session, as far as their names tell."""

from dataclasses import dataclass, field
from typing import NamedTuple

from vutrace.records import Channel, Event, EventKind, Side
from vutrace.session.row import Row

# A piece of a process's name or command line, and the implementation that it is.
NAMES = (
    ("qemu-storage-da", "libvhost-user"),  # the kernel keeps 15 letters of a name
    ("qemu", "qemu"),
    ("testpmd", "dpdk"),
    ("ovs-vswitchd", "ovs"),
    ("virtiofsd", "rust-vmm"),
    ("passt", "passt"),
    ("blkio", "libblkio"),
)


class Implementation(NamedTuple):
    """A program that speaks vhost-user, and what it was recognised by."""

    name: str
    version: str
    reason: str
    certainty: str

    @property
    def text(self) -> str:
        """In words."""
        return " ".join(filter(None, (self.name, self.version)))


@dataclass(slots=True)
class Recogniser:
    """Fed with a session's rows; tells who is who at any moment."""

    known: dict[Side, Implementation] = field(default_factory=dict)

    def feed(self, row: Row) -> None:
        """Take a row."""
        event = row.what
        if isinstance(event, Event) and event.kind is EventKind.OPEN and event.channel is Channel.MAIN:
            for side in Side:
                told = (event.attributes.get(f"{side}_{key}", "") for key in ("name", "command"))
                self._open(side, " ".join(told))

    def _open(self, side: Side, name: str) -> None:
        for piece, known in NAMES:
            if piece in name:
                inside = "virtio-user" if known == "dpdk" and side is Side.FRONTEND else known
                self.known[side] = Implementation(inside, "", f"the process is {name}", "likely")
                return

    def who(self, side: Side) -> Implementation | None:
        """The implementation at one end, None where nothing tells it."""
        return self.known.get(side)
