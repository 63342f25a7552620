"""Features, status, and the limits a back-end tells."""

from vutrace.protocol.bits import DEVICE_STATUS, PROTOCOL_FEATURES
from vutrace.protocol.layers import Fixed, Layer, pad, u64
from vutrace.protocol.shows import FEATURES, MAC, flags


class Features(Layer):
    """Virtio feature bits with the vhost ones (GET_FEATURES, SET_FEATURES)."""

    name = "features"
    words = "{features:mask offered features}"
    fields_desc = [u64("features", FEATURES)]


class ProtocolFeatures(Layer):
    """Protocol feature bits (GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES)."""

    name = "protocol features"
    words = "{protocol_features:mask protocol_offered protocol_features}"
    fields_desc = [u64("protocol_features", flags(PROTOCOL_FEATURES))]


class Status(Layer):
    """Virtio device status (SET_STATUS, GET_STATUS)."""

    name = "device status"
    words = "[status?{status:hex} {status}|[reply?0|0 (reset)]]"
    fields_desc = [u64("status", flags(DEVICE_STATUS))]


class QueueNum(Layer):
    """How many queues the back-end supports: pairs for net, rings for the others."""

    name = "queue number"
    words = "[pairs?{queue_num:count queue pair}|{queue_num:count queue}]"
    fields_desc = [u64("queue_num")]


class MemSlots(Layer):
    """How many memory regions the back-end accepts."""

    name = "memory slots"
    words = "{max_mem_slots:count slot}"
    fields_desc = [u64("max_mem_slots")]


class Mtu(Layer):
    """NET_SET_MTU's payload."""

    name = "MTU"
    words = "{mtu:count byte}"
    fields_desc = [u64("mtu")]


class Rarp(Layer):
    """SEND_RARP's payload: a u64 whose first six bytes are the address to announce."""

    name = "RARP"
    words = "{mac}"
    fields_desc = [Fixed("mac", 6, MAC), pad(2)]
