"""A request and the acknowledgement that says ok, as one row."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from vutrace.protocol.payloads import Ack
from vutrace.records import Event
from vutrace.views.annotated import AnnotatedRow

WINDOW = 8  # so many rows are held back while an acknowledgement is waited for
PATIENCE = 0.2  # seconds that they are, when nothing more comes


def folded(rows: Iterable[AnnotatedRow]) -> Iterator[AnnotatedRow]:
    """The rows, plain acknowledgements in the `answer` of their request; an event holds nothing back."""
    return AnswerFold().rows(rows)


class AnswerFold:
    """Puts plain acknowledgements into the `answer` of their request, as rows come; `now` is a clock."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._held: deque[AnnotatedRow] = deque()
        self._touched = 0.0

    def rows(self, rows: Iterable[AnnotatedRow]) -> Iterator[AnnotatedRow]:
        """All of them."""
        for shown in rows:
            yield from self.feed(shown)
        yield from self._held

    def feed(self, shown: AnnotatedRow) -> Iterator[AnnotatedRow]:
        """What is to be shown now that a row has come."""
        held, self._touched = self._held, self._now()
        place = place_of_request(held, shown)
        if place is None:
            held.append(shown)
        else:
            held[place] = held[place]._replace(answer=shown)
        happened = isinstance(shown.row.what, Event)
        while held and (happened or len(held) > WINDOW or not awaits(held[0])):
            yield held.popleft()

    def overdue(self) -> Iterator[AnnotatedRow]:
        """What nobody should wait for any longer; to be asked when nothing comes."""
        while self._held and self._touched <= self._now() - PATIENCE:
            yield self._held.popleft()


def place_of_request(held: Iterable[AnnotatedRow], shown: AnnotatedRow) -> int | None:
    """Where the request stands that this row acknowledges, and nothing more."""
    what = shown.row.what
    if isinstance(what, Event) or what.layer is not Ack or what.number_in("status") != 0:
        return None
    if shown.problems or what.rest or what.frame.fds:
        return None
    return next((i for i, each in enumerate(held) if each.row.number == shown.row.reply_to), None)


def awaits(shown: AnnotatedRow) -> bool:
    """Whether it is a request whose acknowledgement may still come."""
    asked = shown.row.changes.asked
    return asked is not None and shown.answer is None and asked.message.need_reply
