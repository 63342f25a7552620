"""Cases for front-ends: answers that are wrong, and what a back-end says over its channel."""

from collections.abc import Callable, Iterator
from functools import partial

from vutrace.conform.case import Case, Level, SkippedError, UnmetError
from vutrace.conform.groups.frontends import case, play, title
from vutrace.conform.script import StandScript
from vutrace.conform.stand import Stand
from vutrace.dissection.message import Message
from vutrace.peers.encode import encode
from vutrace.protocol import payloads as p
from vutrace.protocol.backend_messages import BACKEND_MESSAGES
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.protocol.layers import Empty, Layer
from vutrace.protocol.spec import MessageSpec
from vutrace.protocol.wire import HEADER, HEADER_SIZE, NEED_REPLY, REPLY, VERSION
from vutrace.records import Channel, Side

SAID = {spec.name: spec for spec in BACKEND_MESSAGES.values()}
ACK = bit("REPLY_ACK", PROTOCOL_FEATURES)
UNKNOWN_REQUEST = 200
UNKNOWN_BIT = 1 << 62
UNKNOWN_OBJECT = b"\x11" * 16
GIB = 1 << 30
ASKED = ("GET_FEATURES", "GET_PROTOCOL_FEATURES", "GET_QUEUE_NUM")

# Answers


def shortened(reply: bytes) -> bytes:
    """Half of the payload, and a size that says so."""
    half = reply[HEADER_SIZE : HEADER_SIZE + 4]
    return with_header(reply, size=len(half)) + half


def announced(reply: bytes) -> bytes:
    """A size of 1 GiB."""
    return with_header(reply, size=GIB) + reply[HEADER_SIZE:]


def unmarked(reply: bytes) -> bytes:
    """An answer that does not say that it is one."""
    return with_header(reply, flags=VERSION) + reply[HEADER_SIZE:]


def of_another(reply: bytes) -> bytes:
    """The answer to another request."""
    return with_header(reply, request=UNKNOWN_REQUEST) + reply[HEADER_SIZE:]


def with_header(reply: bytes, request: int = -1, flags: int = -1, size: int = -1) -> bytes:
    """Another header."""
    old = HEADER.unpack_from(reply)
    return HEADER.pack(
        *(new if new >= 0 else was for new, was in zip((request, flags, size), old, strict=True))
    )


def unknown_bit(reply: bytes) -> bytes:
    """One more feature, which nobody knows."""
    value = int.from_bytes(reply[HEADER_SIZE:], "little") | UNKNOWN_BIT
    return reply[:HEADER_SIZE] + value.to_bytes(8, "little")


def never_taken(script: StandScript, stand: Stand) -> None:
    """No feature that we made up is acknowledged."""
    stand.play(script)
    for message in since(stand, 0):
        learns = message.spec.learns
        if learns and (message.number_in(learns.field) or 0) & UNKNOWN_BIT:
            raise UnmetError(f"{message.name} has the bit")


WRONG: tuple[tuple[str, str, Callable[[bytes], bytes]], ...] = (
    ("short", "a payload of 4 bytes", shortened),
    ("huge", "a size of 1 GiB", announced),
    ("unmarked", "without the REPLY flag", unmarked),
    ("of-another", "the number of another request", of_another),
)

# The back-end channel


def say(stand: Stand, spec: MessageSpec, payload: Layer, need_reply: bool = False) -> None:
    """Say something over the channel; SkippedError where the front-end gave us none for it."""
    state = stand.backend.state
    if not stand.talk.has(Channel.BACKEND):
        raise SkippedError("the front-end passed no back-end channel")
    if spec.gate and not state.protocol & bit(spec.gate, PROTOCOL_FEATURES):
        raise SkippedError(f"the front-end did not acknowledge {spec.gate}")
    if need_reply and not state.protocol & ACK:
        raise SkippedError("the front-end did not acknowledge REPLY_ACK")
    stand.talk.send(Channel.BACKEND, encode(spec, VERSION | (NEED_REPLY if need_reply else 0), payload))


def since(stand: Stand, number: int) -> list[Message]:
    """What the front-end has said behind a row."""
    whats = [row.what for row in stand.log.rows if row.number > number]
    return [what for what in whats if isinstance(what, Message) and what.frame.sender is Side.FRONTEND]


def heard(stand: Stand, spec: MessageSpec, payload: Layer, need_reply: bool = False) -> list[Message]:
    """Say something, and what the front-end says after it."""
    number = stand.log.rows[-1].number
    say(stand, spec, payload, need_reply)
    stand.answer_all()
    if stand.talk.closed:
        raise UnmetError(f"it ended the connection after {spec.name}")
    return since(stand, number)


def answers(stand: Stand, spec: MessageSpec, payload: Layer) -> Message:
    """What it answers to a request that asks for that."""
    for message in heard(stand, spec, payload, need_reply=True):
        if message.channel is Channel.BACKEND and message.reply and message.request == spec.number:
            return message
    raise UnmetError(f"{spec.name} with NEED_REPLY has no answer within {stand.quiet:g} s")


def change_read(stand: Stand) -> None:
    """It looks what has changed."""
    said = heard(stand, SAID["BACKEND_CONFIG_CHANGE_MSG"], Empty())
    if not any(message.layer is p.Config for message in said):
        raise UnmetError("the configuration space is not read again")


def change_answered(stand: Stand) -> None:
    answers(stand, SAID["BACKEND_CONFIG_CHANGE_MSG"], Empty())


def change_unasked(stand: Stand) -> None:
    """Where no answer is asked for, none comes."""
    said = heard(stand, SAID["BACKEND_CONFIG_CHANGE_MSG"], Empty())
    if any(message.channel is Channel.BACKEND for message in said):
        raise UnmetError("an answer came that nobody asked for")


def object_unknown(stand: Stand) -> None:
    """An object that nobody has added is not found."""
    reply = answers(stand, SAID["BACKEND_SHARED_OBJECT_LOOKUP"], p.Uuid(uuid=UNKNOWN_OBJECT))
    if reply.frame.fds or reply.number_in("status") == 0:
        raise UnmetError(f"an object was found: {len(reply.frame.fds)} descriptors")


def object_foreign(stand: Stand) -> None:
    """An object that nobody has added cannot be removed."""
    reply = answers(stand, SAID["BACKEND_SHARED_OBJECT_REMOVE"], p.Uuid(uuid=UNKNOWN_OBJECT))
    if reply.number_in("status") == 0:
        raise UnmetError("it was removed (status 0)")


def request_unknown(stand: Stand) -> None:
    """It goes on, whatever it does with the channel."""
    heard(stand, MessageSpec(UNKNOWN_REQUEST, f"request {UNKNOWN_REQUEST}"), Empty(), need_reply=True)


def garbage(stand: Stand) -> None:
    say(stand, MessageSpec(UNKNOWN_REQUEST, f"request {UNKNOWN_REQUEST}"), Empty())
    stand.talk.send(Channel.BACKEND, HEADER.pack(UNKNOWN_REQUEST, VERSION | REPLY, GIB))
    stand.answer_all()


def channel_ends(stand: Stand) -> None:
    """The front-end can do without."""
    if not stand.talk.has(Channel.BACKEND):
        raise SkippedError("the front-end passed no back-end channel")
    stand.talk.close_side(Channel.BACKEND)
    stand.answer_all()
    if stand.talk.closed:
        raise UnmetError("it ended the connection, too")


def cases() -> Iterator[Case]:
    """All of them."""
    should, may, back = Level.SHOULD, Level.MAY, "Back-end communication"
    for name in ASKED:
        for word, how, alter in WRONG:
            yield case(f"answers/{title(name)}-{word}", "Header", f"an answer to {name} with {how}",
                       StandScript(alters={name: alter}))  # fmt: skip
    for name in ASKED[:2]:
        yield Case(f"answers/{title(name)}-unknown", "Protocol features",
                   f"an answer to {name} with a bit that nobody knows", "the bit is not acknowledged",
                   partial(never_taken, StandScript(alters={name: unknown_bit})))  # fmt: skip
    told = "VHOST_USER_BACKEND_CONFIG_CHANGE_MSG"
    shared = "VHOST_USER_BACKEND_SHARED_OBJECT_LOOKUP"
    asks = "it answers, with a u64 in the reply"
    rows: tuple[tuple[str, str, str, str, Callable[[Stand], None], Level], ...] = (
        ("config-change", told, "BACKEND_CONFIG_CHANGE_MSG", "GET_CONFIG follows", change_read, should),
        ("config-change-answered", told, "BACKEND_CONFIG_CHANGE_MSG with NEED_REPLY", asks, change_answered,
         Level.MUST),
        ("config-change-unasked", told, "BACKEND_CONFIG_CHANGE_MSG without NEED_REPLY",
         "nothing comes over the channel", change_unasked, Level.MUST),
        ("lookup-unknown", shared, "a look-up of an object that nobody has added",
         "an answer without a descriptor", object_unknown, Level.MUST),
        ("remove-unknown", "VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE", "an object that nobody has added",
         "an answer that is not 0", object_foreign, should),
        ("request-unknown", back, "a request that there is not, with NEED_REPLY", "the connection goes on",
         request_unknown, should),
        ("garbage", back, "a message of 1 GiB announced over the channel", "it does not die", garbage, may),
        ("ends", back, "the end of the channel", "the connection goes on", channel_ends, should),
    )  # fmt: skip
    for name, heading, sends, expects, then, level in rows:
        yield Case(f"channel/{name}", heading, sends, expects, partial(play, StandScript(then=then)), level)
