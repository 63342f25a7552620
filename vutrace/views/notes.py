"""The lines that go with a row: its device, its two sockets, what a rule did to it, what is worth knowing."""

from vutrace.outgoing import printable
from vutrace.protocol.wire import HEADER_SIZE
from vutrace.records import Acted, Connection, Deed, Frame, connection_letter
from vutrace.session.row import Row
from vutrace.views.annotated import AnnotatedRow
from vutrace.views.descriptors import short
from vutrace.views.details import detail


def notes_of(shown: AnnotatedRow) -> list[str]:
    """The lines that go with a row."""
    lines = [endpoints_note(shown.endpoints)] if shown.endpoints else []
    if shown.device:
        lines.append(device_note(shown))
    record = shown.row.record
    if isinstance(record, Frame) and record.acted:
        lines.append(acted_note(shown.row, record, record.acted))
    return [*lines, *(note.text for note in shown.notes)]


def device_note(shown: AnnotatedRow) -> str:
    """The device that became known, and why we think so."""
    assert shown.device
    return printable(f"device {shown.device.name}: {shown.row.context.reason}")


def endpoints_note(ends: Connection) -> str:
    """Which sockets a connection's letter stands for."""
    front, back = (printable(each) or "?" for each in (ends.frontend, ends.backend))
    return f"{connection_letter(ends.number)} is {front} ⇄ {back}"


def acted_note(row: Row, frame: Frame, acted: Acted) -> str:
    """What a rule of vutrace's did to a message that passed."""
    if acted.deed is Deed.MADE:
        return printable(f"made by '{acted.rule}'")
    held_ms = (frame.time_ns - acted.came_ns) / 1e6
    text = f"{acted.deed} {held_ms:.1f} ms by '{acted.rule}'"
    if acted.deed is Deed.CHANGED:
        text = f"changed by '{acted.rule}'; it came as: {as_it_came(row, frame)}, {held_ms:.1f} ms before"
    return printable(text)


def as_it_came(row: Row, frame: Frame) -> str:
    """What its sender said, as far as it differs from what the receiver got."""
    came = row.came
    if came is None:
        return "unknown"
    words = [detail(came, row.context) or came.name]
    if came.size != frame.wire_size - HEADER_SIZE:
        words.append(f"{came.size} bytes of payload")
    if came.frame.data[:HEADER_SIZE] != frame.data[:HEADER_SIZE]:
        words.append(f"header {came.frame.data[:HEADER_SIZE].hex(' ', 4)}")
    if came.frame.fds != frame.fds:
        words.append(short(came.frame.fds) or "no descriptors")
    return ", ".join(words)
