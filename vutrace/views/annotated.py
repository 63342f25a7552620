"""What a view knows of a row beyond the row itself: the device's word, and the processes' names.

A dissector is a stranger's code: what it raises becomes a problem of the row it was asked about.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from vutrace.dissection.decoder import Fields
from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.dissection.kept import Kept
from vutrace.dissection.soundness import dissector_failed
from vutrace.problems import Problem, Rule, Severity
from vutrace.protocol.effects import Fact
from vutrace.protocol.layers import Layer
from vutrace.protocol.payloads import Iotlb
from vutrace.quick import quick_tuple
from vutrace.records import Channel, Connection, Event, EventKind, Side
from vutrace.session.row import Row
from vutrace.views.config_space import config_fields, has_config
from vutrace.views.conflicts import conflict_notes, is_ambiguous
from vutrace.views.misses import Misses
from vutrace.views.text import printable

T = TypeVar("T")

NO_NAMES: Mapping[Side, str] = {}
NO_FIELDS: Fields = {}
NO_CONFIG: tuple[type[Layer] | None, Fields] = (None, NO_FIELDS)
NO_ENDPOINTS: Mapping[int, Connection] = {}


class AnnotatedRow(NamedTuple):
    """A row as it is shown. A tuple, since there is one for each record.

    `device` is set on the row where it became known, `endpoints` on the first of a connection; `notes` are
    worth knowing, with nothing wrong, `config` the fields of configuration space, `layout` their layer and
    `config_before` what they were when they were last told. `problems` are the row's and those of the
    dissector. `names` are the two processes'. `miss` is the row of the IOTLB miss that this update ends,
    `answer` the acknowledgement that is shown on the row of its request.
    `since_previous_ns` is nanoseconds since the record before.
    """

    row: Row
    since_previous_ns: int = 0
    device: Device | None = None
    notes: tuple[Problem, ...] = ()
    config: Fields = NO_FIELDS
    layout: type[Layer] | None = None
    problems: tuple[Problem, ...] = ()
    names: Mapping[Side, str] = NO_NAMES
    config_before: Fields = NO_FIELDS
    miss: Row | None = None
    endpoints: Connection | None = None
    answer: "AnnotatedRow | None" = None


NOTED = Rule(
    "device.worth-knowing",
    Severity.INFO,
    "Device dissectors",
    "The device's dissector has something to say about the features that were acknowledged.",
)
quick_annotated_row = quick_tuple(AnnotatedRow)


class Annotator:
    """Annotates rows, in order; remembers per connection the device, who talks, and what was told before.

    `endpoints` fills while the rows come, as `Tracker.connections` does.
    """

    def __init__(self, endpoints: Mapping[int, Connection] = NO_ENDPOINTS) -> None:
        self._endpoints = endpoints
        self._introduced: set[int] = set()
        self._devices: dict[int, Device] = {}
        self._names: dict[int, Mapping[Side, str]] = {}
        self._configs: dict[int, dict[type[Layer], Fields]] = {}
        self._misses = Misses()
        self._last_ns = 0
        self._plain: Kept[object, bool] = Kept()  # contents of messages that say all by themselves

    def annotate(self, row: Row) -> AnnotatedRow:
        """The row with all that is to be shown of it."""
        what = row.what
        if isinstance(what, Event):
            return self._event(row, what)
        connection, device = what.frame.connection, row.context.device
        problems: list[Problem] = []
        notes: tuple[Problem, ...] = ()
        config, before, miss = NO_CONFIG, NO_FIELDS, None
        if self._plain.get(what.content):
            return self._with_device(row, connection, notes, config, row.problems, before, miss)
        if what.spec.tells(Fact.FEATURES, reply=False) and not what.reply:
            mask = what.number_in("features")
            if mask is not None and mask != row.context.features:
                notes = ask_dissector(device, lambda: device_notes(device, mask), (), problems)
        elif is_ambiguous(what):
            notes = conflict_notes(what, row.context)
        elif has_config(what):
            config = ask_dissector(device, lambda: config_fields(device, what), NO_CONFIG, problems)
            before = self._told_before(connection, *config) if what.reply else NO_FIELDS
        elif what.layer is Iotlb:
            miss = self._misses.feed(row, what)
        elif what.content is not None:
            self._plain.keep(what.content, True)
        found = row.problems + tuple(problems) if problems else row.problems
        return self._with_device(row, connection, notes, config, found, before, miss)

    def _event(self, row: Row, event: Event) -> AnnotatedRow:
        """An event; what is known of a connection goes with its session."""
        connection, endpoints = event.connection, None
        if event.channel is Channel.MAIN:
            if event.kind is EventKind.CLOSE:
                self._configs.pop(connection, None)
                self._misses.forget(connection)
            elif event.kind is EventKind.OPEN and connection not in self._introduced:
                self._introduced.add(connection)
                endpoints = self._endpoints.get(connection)
        if event.kind is EventKind.OPEN and event.attributes:
            self._names[connection] = {side: event.attributes.get(f"{side}_name", "") for side in Side}
        return self._with_device(row, connection, (), NO_CONFIG, row.problems, NO_FIELDS, None, endpoints)

    def _told_before(self, connection: int, layout: type[Layer] | None, told: Fields) -> Fields:
        """What the fields of the configuration space were before they are `told` now."""
        if layout is None or not told:
            return NO_FIELDS
        known = self._configs.setdefault(connection, {})
        before = known.get(layout, NO_FIELDS)
        known[layout] = {**before, **told}
        return before

    def _with_device(
        self,
        row: Row,
        connection: int,
        notes: tuple[Problem, ...],
        config: tuple[type[Layer] | None, Fields],
        problems: tuple[Problem, ...],
        before: Fields,
        miss: Row | None,
        endpoints: Connection | None = None,
    ) -> AnnotatedRow:
        device, known = row.context.device, self._devices.get(connection, UNKNOWN_DEVICE)
        news = None
        if device is not known and device is not UNKNOWN_DEVICE:
            news = self._devices[connection] = device
        passed, self._last_ns = row.since_first_ns - self._last_ns, row.since_first_ns
        names = self._names.get(connection, NO_NAMES)
        layout, fields = config
        return quick_annotated_row(
            (row, passed, news, notes, fields, layout, problems, names, before, miss, endpoints, None)
        )

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
