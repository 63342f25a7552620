"""What many messages carry: nothing but a number, an acknowledgement, bytes."""

from vutrace.protocol.layers import Layer, Tail, u64
from vutrace.protocol.shows import ACK, BYTES


class U64(Layer):
    """A u64 without a further meaning."""

    name = "u64"
    words = "{u64:address}"
    fields_desc = [u64("u64")]


class Ack(Layer):
    """The generic acknowledgement: 0 for success ("VHOST_USER_PROTOCOL_F_REPLY_ACK")."""

    name = "acknowledgement"
    words = "{status}"
    fields_desc = [u64("status", ACK)]


class Blob(Layer):
    """Bytes that no table describes."""

    name = "data"
    words = "{data}"
    fields_desc = [Tail("data", BYTES)]
