"""Messages to bytes, through the layers that also decode them."""

import sys

from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.layers import Layer, in_order
from vutrace.protocol.spec import MessageSpec
from vutrace.protocol.wire import HEADER, NEED_REPLY, REPLY, VERSION

SPECS = {spec.name: spec for spec in FRONTEND_MESSAGES.values()}
BIG_ENDIAN = sys.byteorder == "big"


def encode_request(spec: MessageSpec, payload: Layer, need_reply: bool = False) -> bytes:
    """A request of the front-end, in this host's byte order."""
    return encode(spec, VERSION | (NEED_REPLY if need_reply else 0), payload)


def encode_reply(spec: MessageSpec, payload: Layer) -> bytes:
    """What answers a request."""
    return encode(spec, VERSION | REPLY, payload)


def encode(spec: MessageSpec, flags: int, payload: Layer) -> bytes:
    data = bytes(in_order(type(payload), BIG_ENDIAN)(**payload.fields))
    return HEADER.pack(spec.number, flags, len(data)) + data
