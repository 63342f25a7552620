"""A request and the acknowledgement that says ok, as one row."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from vutrace.protocol.payloads import Ack
from vutrace.records import Event
from vutrace.views.annotated import AnnotatedRow

WINDOW = 8  # so many rows are held back while an acknowledgement is waited for


def folded(rows: Iterable[AnnotatedRow]) -> Iterator[AnnotatedRow]:
    """The rows, plain acknowledgements in the `answer` of their request; an event holds nothing back."""
    held: deque[AnnotatedRow] = deque()
    for shown in rows:
        place = place_of_request(held, shown)
        if place is None:
            held.append(shown)
        else:
            held[place] = replace(held[place], answer=shown)
        happened = isinstance(shown.row.what, Event)
        while held and (happened or len(held) > WINDOW or not awaits(held[0])):
            yield held.popleft()
    yield from held


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
