"""What a device type adds: crypto sessions and shared objects here, the rest in the dissectors' own rules.

Source: vhost-user.rst, the sections of the messages.
"""

from collections.abc import Iterator

from vutrace.problems import Rule, Severity
from vutrace.protocol.check import Breach, Check, answers, asks
from vutrace.records import Channel
from vutrace.rules.look import message_of, number
from vutrace.rules.seen import History
from vutrace.session.row import Row

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
MADE = answers(request="CryptoSession")
CLOSES = asks(request="CryptoSessionId")
ADDS = asks(Channel.BACKEND, publishes=True)
REMOVES = asks(Channel.BACKEND, publishes=False)


def session_refused(row: Row, _seen: History) -> Iterator[str | Breach]:
    """A session that was not made."""
    told = number(row, "session_id")
    if told < 0 and row.request:
        yield Breach(f"{row.request.name} [{row.request.number}] failed: {told}", row=row.request.number)


def session_unknown(row: Row, seen: History) -> Iterator[str]:
    """A session that is not open."""
    if number(row, "session_id") not in seen.crypto_sessions:
        yield f"session {number(row, 'session_id')} is not open"


def object_unknown(row: Row, seen: History) -> Iterator[str]:
    """An object that this back-end did not add."""
    if message_of(row).fields.get("uuid") not in seen.objects:
        yield "this back-end did not add the object"


CHECKS = (
    Check(
        Rule(
            "device.crypto-session-refused",
            WARNING,
            "VHOST_USER_CREATE_CRYPTO_SESSION",
            "The back-end has not made the session: the guest's request fails.",
            "Look at the algorithm and the key's length; look at the back-end's log.",
        ),
        MADE,
        session_refused,
        anytime=True,
    ),
    Check(
        Rule(
            "device.crypto-session-unknown",
            ERROR,
            "VHOST_USER_CLOSE_CRYPTO_SESSION",
            "A session is closed that was never made, or is closed already.",
            "Mend the front-end.",
        ),
        CLOSES,
        session_unknown,
    ),
    Check(
        Rule(
            "device.object-unknown",
            INFO,
            "VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE",
            "Only who added an object may remove it; the front-end ignores this.",
            "Mend the back-end, if it meant an object of its own.",
        ),
        REMOVES,
        object_unknown,
    ),
)
