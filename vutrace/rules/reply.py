"""Replies: who is asked for one, and what it says.

Sources: vhost-user.rst, "Communication", "VHOST_USER_PROTOCOL_F_REPLY_ACK" and the sections of the messages.
Replies that never come, come unasked or out of order are found where they are paired (session/exchanges.py).
"""

from collections.abc import Iterator

from vutrace.dissection.message import Message
from vutrace.problems import Rule, Severity
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.protocol.check import Breach, Check, Once
from vutrace.protocol.spec import MessageSpec, ReplyRule
from vutrace.records import Channel
from vutrace.rules.look import message_of
from vutrace.rules.seen import History
from vutrace.session.exchanges import is_refusal
from vutrace.session.row import Row

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
REPLY_ACK = bit("REPLY_ACK", PROTOCOL_FEATURES)


def requests(_spec: MessageSpec, _channel: Channel, reply: bool) -> bool:
    """Every request."""
    return not reply


def replies(_spec: MessageSpec, _channel: Channel, reply: bool) -> bool:
    """Every reply."""
    return reply


def main_requests(spec: MessageSpec, channel: Channel, reply: bool) -> bool:
    """Requests on the main channel that are answered with more than a status."""
    return not reply and channel is Channel.MAIN and spec.rule is ReplyRule.ALWAYS


def needs_reply(message: Message) -> bool:
    """Whether the NEED_REPLY flag is set."""
    return message.need_reply


def unagreed(row: Row, _seen: History) -> Iterator[str]:
    """An acknowledgement is asked for, and none was agreed on."""
    if not row.context.has_protocol(REPLY_ACK):
        yield "NEED_REPLY without REPLY_ACK: an old back-end does not answer"


def asks_back(_row: Row, _seen: History) -> Iterator[str]:
    """A reply that asks for one."""
    yield "NEED_REPLY in a reply"


def refused(row: Row, _seen: History) -> Iterator[str | Breach]:
    """An acknowledgement that is an error."""
    message, request = message_of(row), row.request
    if request is not None:
        text = f"{message.name} [{request.number}] was refused: {words(message.number_in('status') or 0)}"
        yield Breach(text, row=request.number)


def words(status: int) -> str:
    """A status; those of C programs are negative numbers in 64 bits."""
    return str(int.from_bytes(status.to_bytes(8, "big"), "big", signed=True))


def several(row: Row, _seen: History) -> Iterator[Breach]:
    """A question before the last one was answered."""
    owing = row.state.debts[Channel.MAIN].overdue() if Channel.MAIN in row.state.debts else []
    if len(owing) > 1:
        first = owing[0]
        yield Breach(f"asked while {first.name} [{first.number}] waits for its reply", row=first.number)


CHECKS = (
    Check(
        Rule(
            "reply.unagreed",
            WARNING,
            "VHOST_USER_PROTOCOL_F_REPLY_ACK",
            "The sender waits for an acknowledgement that the other side need not send.",
            "Set NEED_REPLY only where REPLY_ACK is acknowledged.",
            deviates=("qemu: sets it always on IOTLB_MSG and on postcopy's messages (vhost-user.c)",),
        ),
        requests,
        unagreed,
        once=Once.SESSION,
        only=needs_reply,
    ),
    Check(
        Rule(
            "reply.asks-back",
            INFO,
            "Header",
            "A reply is not replied to; strict front-ends (QEMU, SPDK) want the flags to be 5 and refuse 13.",
            "Mend the back-end: clear NEED_REPLY in replies.",
            deviates=("libvhost-user: some replies keep the request's flag (libvhost-user.c)",),
        ),
        replies,
        asks_back,
        once=Once.SESSION,
        anytime=True,
        only=needs_reply,
    ),
    Check(
        Rule(
            "reply.refused",
            WARNING,
            "VHOST_USER_PROTOCOL_F_REPLY_ACK",
            "The other side could not do it; some senders go on as if it had.",
            "Look at the log of the side that answered, at this time.",
        ),
        replies,
        refused,
        anytime=True,
        only=is_refusal,
    ),
    Check(
        Rule(
            "reply.several-owed",
            INFO,
            "Communication",
            "Front-ends that are known ask one question at a time; back-ends may not expect another.",
            "Nothing is wrong if the replies come in order.",
        ),
        main_requests,
        several,
        once=Once.SESSION,
    ),
)
