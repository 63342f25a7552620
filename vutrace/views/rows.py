"""One line per row, after btmon: direction first, then who, which ring, what, and what matters in it."""

from collections.abc import Iterator

from vutrace.dissection.message import Message
from vutrace.records import Channel, Direction, Event, EventKind, Side, connection_letter
from vutrace.views.colour import Paint, bare
from vutrace.views.config_space import has_config
from vutrace.views.descriptors import short
from vutrace.views.details import config_words, detail
from vutrace.views.sight import Sight, notes_of
from vutrace.views.text import printable
from vutrace.views.times import WIDTH, Clock, relative

DIRECTIONS = {Side.FRONTEND: Direction.TO_BACKEND.value, Side.BACKEND: Direction.TO_FRONTEND.value}
SIDE, NOTE = Direction.SIDE_CHANNEL.value, Direction.NOTE.value


class Rows:
    """Formats sights as lines; `clock` gives the time column of `width` characters, `paint` the colours."""

    def __init__(self, clock: Clock = relative, width: int = WIDTH, paint: Paint = bare) -> None:
        self.clock, self.width, self.paint = clock, width, paint

    def heading(self) -> str:
        """The line above the rows."""
        columns = (
            f"{'#':>6}   {'time':>{self.width}}  conn ring   {'message':<21} {'':<10} {'detail':<33}  fds"
        )
        return self.paint(columns, "heading")

    def lines(self, sight: Sight) -> Iterator[str]:
        """The row's line, and one for each note that goes with it."""
        yield self.line(sight)
        yield from self.notes(sight)

    def notes(self, sight: Sight) -> Iterator[str]:
        """What the row gave rise to, a line each."""
        for note in notes_of(sight):
            yield self.paint(
                f"{'':>6} {NOTE} {'':>{self.width}}  {self.letter(sight):<4}        {note}", NOTE
            )

    def line(self, sight: Sight) -> str:
        """The row in one line."""
        what = sight.row.what
        return self.event(sight, what) if isinstance(what, Event) else self.message(sight, what)

    def letter(self, sight: Sight) -> str:
        """The connection's letter."""
        what = sight.row.what
        return connection_letter(what.connection if isinstance(what, Event) else what.frame.connection)

    def event(self, sight: Sight, event: Event) -> str:
        """Something that happened."""
        style = "problem" if event.kind is EventKind.ERROR else NOTE
        head = f"{sight.row.number:>6} {NOTE} {self.clock(sight):>{self.width}}  {self.letter(sight):<4} "
        text = self.paint(f"{event.kind}: {printable(event.text)}", style)
        return f"{head}       {text}{self.problems(sight)}"

    def message(self, sight: Sight, message: Message) -> str:
        """A message."""
        row, frame = sight.row, message.frame
        glyph = DIRECTIONS[frame.sender] if frame.channel is Channel.MAIN else SIDE
        flag = "reply" if message.reply else "need-reply" if message.need_reply else ""
        time = self.clock(sight)
        head = f"{row.number:>6} {self.paint(glyph, glyph)} {time:>{self.width}}  {self.letter(sight):<4} "
        ring, name = printable(row.ring_name) or "-", printable(message.name)
        words = f"{flag:<10} {printable(words_of(sight, message)):<33}{link(sight)}"
        fds = f"  {self.paint(short(frame.fds), 'fds')}" if frame.fds else ""
        called = f"{ring:<6} {self.paint(f'{name:<21}', glyph)}"
        return f"{head}{called} {words}{fds}{self.problems(sight)}".rstrip()

    def problems(self, sight: Sight) -> str:
        """What is wrong, where nobody overlooks it."""
        if not sight.problems:
            return ""
        texts = "; ".join(printable(problem.text) for problem in sight.problems)
        return "  " + self.paint(f"! {texts}", "problem")


def words_of(sight: Sight, message: Message) -> str:
    """The message in a few words, with what the device reads in its configuration space."""
    words = detail(message, sight.row.context)
    if not (sight.config and sight.layout and has_config(message)):
        return words
    return f"{words}: {config_words(sight.layout, sight.config, sight.row.context)}"


def link(sight: Sight) -> str:
    """The request that a reply answers, and how long it took."""
    row = sight.row
    if row.reply_to is None:
        return ""
    return f"  [{row.reply_to}, {(row.latency_ns or 0) / 1e6:+.3f} ms]"
