"""What a view knows of a row beyond the row itself: the device's word, and the processes' names.

A dissector is a stranger's code: what it raises becomes a problem of the row it was asked about.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from vutrace.dissection.decoder import Fields
from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.dissection.soundness import dissector_failed
from vutrace.problems import Problem, Rule, Severity
from vutrace.protocol.effects import Fact
from vutrace.protocol.layers import Layer
from vutrace.protocol.wire import HEADER_SIZE
from vutrace.quick import quick
from vutrace.records import Acted, Channel, Deed, Event, EventKind, Frame, Side
from vutrace.session.row import Row
from vutrace.views.config_space import config_fields, has_config
from vutrace.views.conflicts import conflict_notes, is_ambiguous
from vutrace.views.descriptors import short
from vutrace.views.details import detail
from vutrace.views.text import printable

T = TypeVar("T")

NO_NAMES: Mapping[Side, str] = {}
NO_CONFIG: tuple[type[Layer] | None, Fields] = (None, {})


@dataclass(frozen=True, slots=True)
class AnnotatedRow:
    """A row as it is shown.

    `device` is set on the row where it became known, `notes` are worth knowing, with nothing wrong,
    `config` the fields of configuration space and `layout` their layer. `problems` are the row's and those
    of the dissector. `names` are the two processes'. `since_previous_ns` is nanoseconds since the record
    before.
    """

    row: Row
    since_previous_ns: int = 0
    device: Device | None = None
    notes: tuple[Problem, ...] = ()
    config: Fields = field(default_factory=dict)
    layout: type[Layer] | None = None
    problems: tuple[Problem, ...] = ()
    names: Mapping[Side, str] = field(default_factory=dict)


NOTED = Rule(
    "device.worth-knowing",
    Severity.INFO,
    "Device dissectors",
    "The device's dissector has something to say about the features that were acknowledged.",
)
quick_annotated_row = quick(AnnotatedRow)


class Annotator:
    """Annotates rows, in order; remembers per connection the device and who talks."""

    def __init__(self) -> None:
        self._devices: dict[int, Device] = {}
        self._names: dict[int, Mapping[Side, str]] = {}
        self._last_ns = 0

    def annotate(self, row: Row) -> AnnotatedRow:
        """The row with all that is to be shown of it."""
        what = row.what
        if isinstance(what, Event):
            connection = what.connection
            if what.kind is EventKind.OPEN and what.attributes:
                self._names[connection] = {side: what.attributes.get(f"{side}_name", "") for side in Side}
            return self._with_device(row, connection, (), NO_CONFIG, row.problems)
        connection, device = what.frame.connection, row.context.device
        problems: list[Problem] = []
        notes: tuple[Problem, ...] = ()
        config = NO_CONFIG
        if what.spec.tells(Fact.FEATURES, reply=False) and not what.reply:
            mask = what.number_in("features")
            if mask is not None and mask != row.context.features:
                notes = ask_dissector(device, lambda: device_notes(device, mask), (), problems)
        elif is_ambiguous(what):
            notes = conflict_notes(what, row.context)
        elif has_config(what):
            config = ask_dissector(device, lambda: config_fields(device, what), NO_CONFIG, problems)
        return self._with_device(row, connection, notes, config, row.problems + tuple(problems))

    def _with_device(
        self,
        row: Row,
        connection: int,
        notes: tuple[Problem, ...],
        config: tuple[type[Layer] | None, Fields],
        problems: tuple[Problem, ...],
    ) -> AnnotatedRow:
        device, known = row.context.device, self._devices.get(connection, UNKNOWN_DEVICE)
        news = None
        if device is not known and device is not UNKNOWN_DEVICE:
            news = self._devices[connection] = device
        passed, self._last_ns = row.since_first_ns - self._last_ns, row.since_first_ns
        names = self._names.get(connection, NO_NAMES)
        layout, fields = config
        return quick_annotated_row(row, passed, news, notes, fields, layout, problems, names)

    def annotate_all(self, rows: Iterable[Row]) -> Iterable[AnnotatedRow]:
        """Each row, annotated."""
        return map(self.annotate, rows)


def device_notes(device: Device, features: int) -> tuple[Problem, ...]:
    """What a dissector notes about features that were acknowledged."""
    return tuple(NOTED.problem(printable(note)) for note in device.notes(features))


def begins_session(row: Row) -> bool:
    """Whether it is the record that names the peers, and with them the device."""
    what = row.what
    return isinstance(what, Event) and what.kind is EventKind.OPEN and what.channel is Channel.MAIN


def ask_dissector(device: Device, ask: Callable[[], T], otherwise: T, problems: list[Problem]) -> T:
    """What the device's dissector answers; what it raises goes to `problems`."""
    try:
        return ask()
    except Exception as error:  # a plug-in may raise anything; the trace goes on
        problems.append(dissector_failed(device, error))
        return otherwise


def device_note(shown: AnnotatedRow) -> str:
    """The device that became known, and why we think so."""
    assert shown.device
    return printable(f"device {shown.device.name}: {shown.row.context.reason}")


def notes_of(shown: AnnotatedRow) -> list[str]:
    """The lines that go with a row."""
    lines = [device_note(shown)] if shown.device else []
    record = shown.row.record
    if isinstance(record, Frame) and record.acted:
        lines.append(acted_note(shown.row, record, record.acted))
    return [*lines, *(note.text for note in shown.notes)]


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
