"""Rows as slices and instants of their sender's track."""

from collections.abc import Iterable, Iterator

from vutrace.dissection.message import Message
from vutrace.records import Channel, Event, EventKind, Sample, Side
from vutrace.session.exchanges import Owed
from vutrace.session.row import Row
from vutrace.views.annotated import AnnotatedRow, Annotator
from vutrace.views.changes import words_of
from vutrace.views.descriptors import identity
from vutrace.views.objects import raw_fields
from vutrace.views.timeline.perfetto.track_event import Annotations, Type, event
from vutrace.views.timeline.perfetto.tracks import Tracks

Speaker = tuple[int, Channel, Side]  # of a connection


class Messages:
    """Takes rows in order; `times` is filled where it has a row's number, in nanoseconds since the epoch."""

    def __init__(self, tracks: Tracks, times: dict[int, int]) -> None:
        self.tracks, self.times = tracks, times
        self._waiting: dict[Speaker, int] = {}  # the row whose slice is open

    def packets(self, rows: Iterable[Row]) -> Iterator[bytes]:
        """The packets of all rows."""
        for shown in Annotator().annotate_all(rows):
            what = shown.row.what
            if shown.row.number in self.times:
                self.times[shown.row.number] = shown.row.record.time_ns
            if isinstance(what, Sample):
                continue  # a ring's counters have it
            made = self.event(shown.row, what) if isinstance(what, Event) else self.message(shown, what)
            packets = list(made)
            yield from self.tracks.announced()
            yield from packets

    def event(self, row: Row, what: Event) -> Iterator[bytes]:
        """A note beside the sessions; when a connection closes, nothing is waited for any more."""
        if what.kind is EventKind.CLOSE and what.channel is Channel.MAIN:
            for speaker in [each for each in self._waiting if each[0] == what.connection]:
                yield from self.end(speaker, what.time_ns)
        facts = {"row": row.number, **what.attributes}
        uuid = self.tracks.sessions(what.connection)
        yield event(Type.INSTANT, uuid, what.time_ns, f"{what.kind}: {what.text}", facts, "event")

    def message(self, shown: AnnotatedRow, what: Message) -> Iterator[bytes]:
        """A message; it ends the slice of its sender's message before, a reply also that of its request."""
        frame = what.frame
        speaker = frame.connection, frame.channel, frame.sender
        yield from self.end(speaker, frame.time_ns)
        if what.reply:
            yield from self.reply(shown, what, speaker)
        else:
            yield from self.request(shown, what, speaker)

    def request(self, shown: AnnotatedRow, what: Message, speaker: Speaker) -> Iterator[bytes]:
        """A request, from where an arrow may begin."""
        asked, number = shown.row.changes.asked, shown.row.number
        kind = Type.INSTANT
        if asked and asked.owed is Owed.YES:
            kind, self._waiting[speaker] = Type.BEGIN, number
        flow = number if asked else None
        uuid, facts = self.tracks.channel(*speaker), facts_of(shown, what)
        yield event(kind, uuid, what.frame.time_ns, what.name, facts, "request", flow=flow)

    def reply(self, shown: AnnotatedRow, what: Message, speaker: Speaker) -> Iterator[bytes]:
        """A reply, where the arrow from its request ends."""
        connection, channel, sender = speaker
        asker, asked = (connection, channel, sender.peer), shown.row.reply_to
        if asked is not None and self._waiting.get(asker) == asked:
            yield from self.end(asker, what.frame.time_ns)
        uuid, facts = self.tracks.channel(*speaker), facts_of(shown, what)
        name = f"{what.name} reply"
        yield event(Type.INSTANT, uuid, what.frame.time_ns, name, facts, "reply", last_flow=asked)

    def end(self, speaker: Speaker, time_ns: int) -> Iterator[bytes]:
        """Close the slice of a sender's message, if it is open."""
        if self._waiting.pop(speaker, None) is not None:
            yield event(Type.END, self.tracks.channel(*speaker), time_ns)


def facts_of(shown: AnnotatedRow, what: Message) -> Annotations:
    """A message's arguments: where it belongs, what it says in words and in fields, what is wrong."""
    row = shown.row
    told = {
        "row": row.number,
        "ring": row.ring_name or what.ring,
        "phase": row.phase,
        "loop": row.loop,
        "detail": words_of(shown, what) or None,
        "fields": raw_fields(what.layer, what.fields, secrets=False),
        "descriptors": [identity(info) for info in what.frame.fds],
        "latency_ns": row.latency_ns,
        "problems": [problem.text for problem in shown.problems],
    }
    return {name: value for name, value in told.items() if value not in (None, "", [], {})}
