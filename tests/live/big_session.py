"""A session as large as a page must bear: 128 queue pairs, at least 20,000 messages. Made, not captured."""

from pathlib import Path

from kit.sessions import QEMU_7_2, QemuNet, endpoints, qemu_net

from vutrace.capture import Writer
from vutrace.records import Record


def records(messages: int = 20_000, pairs: int = 128) -> list[Record]:
    """A guest boots and turns its queue pairs on and off, again and again; then it stops."""
    guest = qemu_net(QEMU_7_2, pairs).boot()
    while len(guest.script.records) < messages - 2 * pairs:
        change_pairs(guest)
    guest.stop()
    return guest.script.records


def change_pairs(guest: QemuNet) -> None:
    """ethtool -L: the next number of pairs."""
    guest.enabled = guest.enabled * 2 % guest.pairs + 1
    guest.features()
    guest.script.wait(0.5)


def write(path: Path, items: list[Record]) -> Path:
    """The records as a capture."""
    with Writer(path) as writer:
        for item in [endpoints(), *items]:
            writer.write(item)
    return path
