"""How a session ended, or stands when the trace does: what the other rules do not see.

Sources: vhost-user.rst, "Communication" and "Ring states"; QEMU's and DPDK's behaviour.
"""

from collections.abc import Iterator

from vutrace.problems import Rule, Severity
from vutrace.protocol.check import Check, Once
from vutrace.records import Event, Side
from vutrace.rules.fate import fate_words
from vutrace.rules.progress import Progress, step
from vutrace.rules.seen import History
from vutrace.session.exchanges import lost_words
from vutrace.session.row import Row

WARNING, INFO = Severity.WARNING, Severity.INFO


def closing(row: Row) -> Event | None:
    """The CLOSE of a session that one side ended; None for one that is open, or that vutrace ended."""
    event = row.what
    return event if isinstance(event, Event) and row.state.closed and event.sender is not None else None


def backend_left_running(row: Row, _seen: History) -> Iterator[str]:
    """The back-end went while rings ran."""
    event, running = closing(row), len(row.state.rings.running)
    if event and event.sender is Side.BACKEND and running:
        how = fate_words(event, Side.BACKEND) or "closed the connection"
        yield f"the back-end {how} while {rings(running)} ran"


def frontend_left_running(row: Row, _seen: History) -> Iterator[str]:
    """The front-end went without stopping its rings."""
    event, running = closing(row), len(row.state.rings.running)
    if event and event.sender is Side.FRONTEND and running:
        how = fate_words(event, Side.FRONTEND) or "closed the connection"
        yield f"the front-end {how} while {rings(running)} ran, without stopping them"


def left_in_handshake(row: Row, _seen: History) -> Iterator[str]:
    """Somebody went before the two knew each other."""
    event = closing(row)
    if event and event.sender and step(row.state) in (Progress.NOTHING, Progress.HANDSHAKE):
        previous = row.state.previous
        past = f", after {previous.name}" if previous else ""
        yield f"the {event.sender.words} left in the handshake{past}"


def start_given_up(row: Row, _seen: History) -> Iterator[str]:
    """Features and then nothing."""
    if step(row.state) is Progress.FEATURES:
        yield "features were set, and no memory was shared: the start was given up"


def still_owed(row: Row, _seen: History) -> Iterator[str]:
    """The trace ends while a reply is owed."""
    if row.state.closed:
        return  # reply.never-came says it
    for request in row.state.owing():
        reply = f"the reply to {request.name} [{request.number}]"
        if request.dropped:
            yield f"{reply} does not come: a rule of vutrace's dropped {lost_words(request)}"
        else:
            yield f"the {request.debtor.words} owes {reply}"


def stalled(row: Row, _seen: History) -> Iterator[str]:
    """A reply takes long: the proxy looked who owes it, and what that process does."""
    event = row.what
    if isinstance(event, Event) and "process" in event.attributes and "stall" in event.attributes:
        yield event.text


def rings(count: int) -> str:
    """A number of rings."""
    return f"{count} ring{'' if count == 1 else 's'}"


CHECKS = (
    Check(
        Rule(
            "end.backend-left-running",
            WARNING,
            "Ring states",
            "The device is dead for the guest until a back-end is there again: a front-end without reconnect "
            "never gets it back.",
            "Look at the back-end's log and exit status; give the front-end reconnect-ms= (QEMU).",
        ),
        None,
        backend_left_running,
    ),
    Check(
        Rule(
            "end.frontend-left-running",
            INFO,
            "Ring states",
            "The front-end ended without stopping its rings: it died, or does not care where they stood.",
            "If the guest was to go on elsewhere: its requests in flight are lost.",
            deviates=("libblkio: closes without GET_VRING_BASE (virtio-driver)",),
        ),
        None,
        frontend_left_running,
    ),
    Check(
        Rule(
            "end.left-in-handshake",
            WARNING,
            "Communication",
            "One side did not like what it learnt of the other, and left; its own log says why.",
            "Look at the last reply, and at what the side that left was told to have.",
        ),
        None,
        left_in_handshake,
    ),
    Check(
        Rule(
            "end.start-given-up",
            WARNING,
            "Memory access",
            "A driver wanted to start the device, and the front-end could not share its memory; QEMU says "
            "'vhost_set_mem_table failed' without sending anything, and goes on without vhost.",
            "Share the guest's memory (QEMU: a memory-backend object with share=on that the machine uses).",
        ),
        None,
        start_given_up,
    ),
    Check(
        Rule(
            "end.still-owed",
            WARNING,
            "Communication",
            "One side waits for a reply when the trace ends.",
            "Look at the side that owes it: whether it is stopped, or waits for something itself.",
        ),
        None,
        still_owed,
    ),
)
# Found at notes that the proxy wrote.
NOTES = (
    Check(
        Rule(
            "end.stalled",
            WARNING,
            "Communication",
            "One side has waited for a reply for a second or longer; a front-end's guest stands still "
            "meanwhile.",
            "Look at the process that owes it: whether it is stopped, and what it waits for.",
        ),
        None,
        stalled,
        once=Once.SESSION,
    ),
)
RULES = tuple(check.rule for check in (*CHECKS, *NOTES))
