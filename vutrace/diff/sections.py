"""A session in sections: negotiation, phases, memory, the device's messages, each ring's."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from vutrace.diff.tokens import FactText, Token, progress, token_of
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit_names
from vutrace.protocol.effects import Fact, RingEffect
from vutrace.protocol.spec import MessageSpec
from vutrace.records import Channel, Connection, Event
from vutrace.replay.script import Exchange, Script, scripts
from vutrace.session.memory import Region
from vutrace.session.model import Loop, PhaseSpan, SessionTimeline
from vutrace.session.ring import Ring
from vutrace.session.row import Row
from vutrace.session.timeline import TimelineBuilder

PHASES, FINAL_RING, END = "phases", "ring at the end", "the end"
MARKS_KEPT = 8  # at each end of those that follow each other
SHAPES = "loops", "sent once"
"""What phases tell of the messages in them."""
LAST = (PHASES, FINAL_RING, END)
"""Subjects that sum a session up: they are told behind what led to them."""
NONE: FactText = "not sent"


@dataclass(frozen=True, slots=True)
class Section:
    """Steps that follow each other. Those of several rings are told together, each by its `name`."""

    subject: str
    tokens: list[Token]
    ring: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """One session, ready to be compared; `first` is its first row, `rows` are those that its tokens name."""

    connection: int
    session: int
    device: str
    first: int
    messages: int
    sections: list[Section]
    latencies: Mapping[str, list[int]]
    rows: Mapping[int, Row] = field(repr=False)


def accounts(rows: Iterable[Row], connections: Mapping[int, Connection]) -> list[Account]:
    """The sessions of a capture, in order; `connections` may fill while the rows pass."""
    builder, kept = TimelineBuilder(), dict[int, Row]()
    latencies = defaultdict[tuple[int, int], dict[str, list[int]]](dict)

    def watched() -> Iterator[Row]:
        for row in rows:
            builder.feed(row)
            kept[row.number] = row
            note_latency(latencies, row)
            yield row

    found = {(script.connection, script.session): script for script in scripts(watched())}
    return [
        account(session, script, latencies[key], kept)
        for connection in builder.value(connections).connections
        for session in connection.sessions
        # Each once: in a broken capture a session may seem to begin thousands of times.
        if (script := found.pop(key := (connection.number, session.number), None))
    ]


def account(
    session: SessionTimeline, script: Script, latencies: Mapping[str, list[int]], rows: Mapping[int, Row]
) -> Account:
    """One session laid out."""
    return Account(
        script.connection,
        script.session,
        session.device,
        session.first,
        len(script.main),
        list(sections(session, script)),
        latencies,
        rows,
    )


def note_latency(latencies: dict[tuple[int, int], dict[str, list[int]]], row: Row) -> None:
    """Keep how long a reply took."""
    what = row.what
    if row.latency_ns is not None and not hasattr(what, "kind"):
        place = what.frame.connection, what.frame.session
        latencies[place].setdefault(what.name, []).append(row.latency_ns)


# The masks of a round, in words.
MASKS = {
    "offered": "features offered",
    "acknowledged": "features acknowledged",
    "protocol_offered": "protocol features offered",
    "protocol_acknowledged": "protocol features acknowledged",
}


def sections(session: SessionTimeline, script: Script) -> Iterator[Section]:
    """Every section of a session."""
    yield Section("device", [Token("device", {"type": session.device}, session.first)])
    yield Section("negotiation", list(negotiation(session, script)))
    yield Section(PHASES, [phase_token(phase) for phase in session.phases])
    yield Section("memory", list(memory(session)))
    yield from messages(session, script)
    for lane in session.rings:
        ring = lane.ring
        yield Section(FINAL_RING, [ring_token(ring)], ring.index, ring.name or str(ring.index))
    yield Section(END, [end_token(session, script)])


def negotiation(session: SessionTimeline, script: Script) -> Iterator[Token]:
    """The rounds; that equal ones followed each other the phases tell."""
    device = script.main[0].row.context.device
    for exchange in script.main:
        device = exchange.row.context.device
    for each in session.rounds:
        facts: dict[str, FactText] = {
            MASKS["offered"]: virtio(each.offered, device.features),
            MASKS["acknowledged"]: virtio(each.acknowledged, device.features),
            MASKS["protocol_offered"]: protocol(each.protocol_offered),
            MASKS["protocol_acknowledged"]: protocol(each.protocol_acknowledged),
        }
        rows = {MASKS[mask]: row for mask, row in each.rows.items()}
        yield Token("round", facts, each.last, rows=rows)


def virtio(mask: int | None, own: Mapping[int, str]) -> FactText:
    """A mask of virtio features."""
    return NONE if mask is None else frozenset(bit_names(mask, VIRTIO_FEATURES, own))


def protocol(mask: int | None) -> FactText:
    """A mask of protocol features."""
    return NONE if mask is None else frozenset(bit_names(mask, PROTOCOL_FEATURES))


def phase_token(phase: PhaseSpan) -> Token:
    """A phase with its loops."""
    loops = [loop for loop in phase.parts if isinstance(loop, Loop)]
    told = ", ".join(
        f"{loop.name} × {loop.count}" + f", {loop.repeats} times" * (loop.repeats > 1) for loop in loops
    )
    return Token(
        str(phase.phase), dict(zip(SHAPES, (told or "none", frozenset(phase.once)), strict=True)), phase.first
    )


def memory(session: SessionTimeline) -> Iterator[Token]:
    """The maps that were in force one after the other, whichever messages brought them."""
    regions: dict[Region, str] = {}
    for change in session.memory_changes:
        for region in change.removed:
            regions.pop(region, None)
        regions |= {region: region_words(region) for region in change.added}
        yield Token("map", {"regions": frozenset(regions.values())}, change.number)


def region_words(region: Region) -> str:
    """A region without where the front-end has it."""
    return f"{region.size:#x} bytes at {region.guest_address:#x}"


class Marks:
    """The device's steps that every ring passes, each put into a ring's section when the ring goes on.

    A ring that stands still while thousands pass has the first and the last of them.
    """

    def __init__(self, rings: Iterable[int]) -> None:
        self.all: list[Token] = []
        self._passed = dict.fromkeys(rings, 0)
        self._between: dict[tuple[int, int], Token] = {}

    def passed_by(self, ring: int) -> list[Token]:
        """Those since it went on last."""
        first, last = self._passed.get(ring, len(self.all)), len(self.all)
        self._passed[ring] = last
        if last - first <= 2 * MARKS_KEPT:
            return self.all[first:]
        cut = first + MARKS_KEPT, last - MARKS_KEPT
        if cut not in self._between:
            more = f"{cut[1] - cut[0]} steps of the device"
            self._between[cut] = Token(more, row=self.all[cut[0]].row, mark=True)
        return [*self.all[first : cut[0]], self._between[cut], *self.all[cut[1] :]]


def messages(session: SessionTimeline, script: Script) -> Iterator[Section]:
    """The device's messages, each ring's, and those of the channels that were passed."""
    names = {lane.ring.index: lane.ring.name or str(lane.ring.index) for lane in session.rings}
    about_device: list[Token] = []
    about_rings: dict[int, list[Token]] = {index: [] for index in names}
    marks, given = Marks(names), dict[int, int | None]()
    for exchange in script.main:
        token, ring = with_base(token_of(exchange), exchange, given), exchange.message.ring
        if ring is not None:
            about_rings.setdefault(ring, []).extend([*marks.passed_by(ring), token])
            continue
        about_device.append(token)
        if is_mark(exchange.message.spec):
            marks.all.append(Token(token.key, row=token.row, mark=True))
    yield Section("messages", about_device)
    for index, tokens in sorted(about_rings.items()):
        tokens += marks.passed_by(index)
        yield Section("ring", tokens, index, names.get(index, str(index)))
    for channel in (Channel.BACKEND, Channel.GPU):
        side = [token_of(each) for each in script.side if each.message.channel is channel]
        yield Section(f"{channel} channel", side)


def is_mark(spec: MessageSpec) -> bool:
    """Whether a message divides what the rings do: what came before the driver was there, and after."""
    return spec.tells(Fact.STATUS, reply=False) or spec.tells(Fact.FEATURES, reply=False)


def with_base(token: Token, exchange: Exchange, given: dict[int, int | None]) -> Token:
    """A ring that is taken up at the index `given` before is that, whatever the number."""
    message, ring = exchange.message, exchange.message.ring
    if message.spec.effect is RingEffect.STOP and exchange.reply and ring is not None:
        given[ring] = exchange.reply.number_in("num")
    if message.spec.effect is RingEffect.BASE and ring in given and message.number_in("num") == given[ring]:
        return replace(token, facts={**token.facts, "num": "as GET_VRING_BASE told"})
    return token


def ring_token(ring: Ring) -> Token:
    """How a ring stood when the session ended."""
    facts: dict[str, FactText] = {
        "size": "not set" if ring.size is None else str(ring.size),
        "state": str(ring.state),
        "last enable": {None: "not sent", True: "1", False: "0"}[ring.enable_sent],
        "base": progress(ring.base),
    }
    return Token("ring", facts, ring.changed)


def end_token(session: SessionTimeline, script: Script) -> Token:
    """Who ended it, and what was left unanswered."""
    owing = ", ".join(each.name for each in session.owing)
    row = script.closing.number if script.closing else session.last
    return Token("end", {"closed": closed(script), "never answered": owing or "nothing"}, row)


def closed(script: Script) -> str:
    """Who closed the connection, in words."""
    if script.closed_by:
        return f"by the {script.closed_by.words}"
    event = script.closing.what if script.closing else None
    return event.text if isinstance(event, Event) else "not in the capture"
