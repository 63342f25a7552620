"""One line per row, after btmon: direction first, then who, which ring, what, and what matters in it."""

from collections.abc import Iterator

from vutrace.dissection.message import Message
from vutrace.records import Channel, Direction, Event, EventKind, Side, connection_letter
from vutrace.views.annotated import AnnotatedRow, notes_of
from vutrace.views.colour import Paint, bare
from vutrace.views.config_space import has_config
from vutrace.views.descriptors import short
from vutrace.views.details import config_words, detail
from vutrace.views.text import printable
from vutrace.views.times import WIDTH, Clock, relative

DIRECTIONS = {Side.FRONTEND: Direction.TO_BACKEND.value, Side.BACKEND: Direction.TO_FRONTEND.value}
SIDE, NOTE = Direction.SIDE_CHANNEL.value, Direction.NOTE.value


class Rows:
    """Annotated rows as lines; `clock` gives the time column of `width` characters, `paint` the colours."""

    def __init__(self, clock: Clock = relative, width: int = WIDTH, paint: Paint = bare) -> None:
        self.clock, self.width, self.paint = clock, width, paint

    def heading(self) -> str:
        columns = (
            f"{'#':>6}   {'time':>{self.width}}  conn ring   {'message':<21} {'':<10} {'detail':<33}  fds"
        )
        return self.paint(columns, "heading")

    def lines(self, shown: AnnotatedRow) -> Iterator[str]:
        """The row's line, and one for each note that goes with it."""
        yield self.line(shown)
        yield from self.notes(shown)

    def notes(self, shown: AnnotatedRow) -> Iterator[str]:
        """What the row gave rise to, a line each."""
        for note in notes_of(shown):
            yield self.paint(
                f"{'':>6} {NOTE} {'':>{self.width}}  {self.letter(shown):<4}        {note}", NOTE
            )

    def line(self, shown: AnnotatedRow) -> str:
        what = shown.row.what
        return self.event(shown, what) if isinstance(what, Event) else self.message(shown, what)

    def letter(self, shown: AnnotatedRow) -> str:
        what = shown.row.what
        return connection_letter(what.connection if isinstance(what, Event) else what.frame.connection)

    def event(self, shown: AnnotatedRow, event: Event) -> str:
        """Something that happened."""
        style = "problem" if event.kind is EventKind.ERROR else NOTE
        head = f"{shown.row.number:>6} {NOTE} {self.clock(shown):>{self.width}}  {self.letter(shown):<4} "
        text = self.paint(f"{event.kind}: {printable(event.text)}", style)
        return f"{head}       {text}{self.problems(shown)}"

    def message(self, shown: AnnotatedRow, message: Message) -> str:
        row, frame = shown.row, message.frame
        glyph = DIRECTIONS[frame.sender] if frame.channel is Channel.MAIN else SIDE
        flag = "reply" if message.reply else "need-reply" if message.need_reply else ""
        time = self.clock(shown)
        head = f"{row.number:>6} {self.paint(glyph, glyph)} {time:>{self.width}}  {self.letter(shown):<4} "
        ring, name = printable(row.ring_name) or "-", printable(message.name)
        words = f"{flag:<10} {printable(words_of(shown, message)):<33}{link(shown)}"
        fds = f"  {self.paint(short(frame.fds), 'fds')}" if frame.fds else ""
        called = f"{ring:<6} {self.paint(f'{name:<21}', glyph)}"
        return f"{head}{called} {words}{fds}{self.problems(shown)}".rstrip()

    def problems(self, shown: AnnotatedRow) -> str:
        """What is wrong, where nobody overlooks it."""
        if not shown.problems:
            return ""
        texts = "; ".join(printable(problem.text) for problem in shown.problems)
        return "  " + self.paint(f"! {texts}", "problem")


def words_of(shown: AnnotatedRow, message: Message) -> str:
    """The message in a few words, with what the device reads in its configuration space."""
    words = detail(message, shown.row.context)
    if not (shown.config and shown.layout and has_config(message)):
        return words
    return f"{words}: {config_words(shown.layout, shown.config, shown.row.context)}"


def link(shown: AnnotatedRow) -> str:
    """The request that a reply answers, and how long it took."""
    row = shown.row
    if row.reply_to is None:
        return ""
    return f"  [{row.reply_to}, {(row.latency_ns or 0) / 1e6:+.3f} ms]"
