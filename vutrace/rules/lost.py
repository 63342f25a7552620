"""Messages that passed and are not in the record: what is not known after them is not judged."""

from collections.abc import Iterator

from vutrace.capture.missing import missing
from vutrace.problems import Rule, Severity
from vutrace.protocol.check import Check
from vutrace.protocol.messages import TABLES, unknown
from vutrace.records import Channel, Event, Side
from vutrace.rules.seen import History
from vutrace.session.row import Row

NAMED = 4


def not_recorded(row: Row, _seen: History) -> Iterator[str]:
    """A gap: what is missing, by name."""
    assert isinstance(row.what, Event)
    counts = missing(row.what).most_common()
    kinds = [f"{count:,} × {name(kind)}" for kind, count in counts[:NAMED]]
    more = f" and {len(counts) - NAMED} kinds more" if len(counts) > NAMED else ""
    total = int(row.what.attributes.get("messages", "0"))
    what = f": {', '.join(kinds)}{more}" if kinds else ""
    are = "message is" if total == 1 else "messages are"
    yield f"{total:,} {are} not recorded{what}; what needs them is not judged from here on"


def name(kind: tuple[Channel, Side, int] | None) -> str:
    """A kind of message by its name."""
    if kind is None:
        return "others"
    channel, sender, request = kind
    spec = TABLES[channel].get(request, unknown(request))
    return f"{spec.name} of the {sender.words}"


NOT_RECORDED = Rule(
    "frame.not-recorded",
    Severity.WARNING,
    "Communication",
    "Messages were forwarded and not written down: vutrace was too slow, or had no room. Nothing is wrong "
    "with the session for it.",
    "Record again with a larger --buffer, or with --when-full wait, which slows the sender down.",
)
GAPS = (Check(NOT_RECORDED, None, not_recorded),)
