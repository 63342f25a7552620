"""What a model back-end does at each message. Source: DPDK 22.11, lib/vhost/vhost_user.c."""

from collections.abc import Callable, Mapping

from vutrace.dissection.checks import number
from vutrace.dissection.message import Message
from vutrace.peers.ring import BackEndRing, map_region
from vutrace.peers.state import RefusedError, State
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import VIRTIO_FEATURES, bit
from vutrace.protocol.layers import Empty, Layer

Handler = Callable[[State, Message, list[int]], Layer | None]
"""Carries out a message and gives its explicit reply, if it has one; takes the descriptors that it keeps."""

MTU = range(68, 65536)
PROTOCOL = bit("VHOST_USER_F_PROTOCOL_FEATURES", VIRTIO_FEATURES)
MQ = 1 << 22  # VIRTIO_NET_F_MQ


def ring_of(state: State, message: Message) -> BackEndRing:
    assert message.ring is not None
    return state.ring(message.ring)


# Negotiation


def get_features(state: State, message: Message, fds: list[int]) -> Layer:
    return p.Features(features=state.offer.features)


def set_features(state: State, message: Message, fds: list[int]) -> None:
    features = number(message.fields, "features")
    if foreign := features & ~state.offer.features:
        raise RefusedError(f"features {foreign:#x} were not offered")
    state.features = features
    if not features & MQ:
        state.drop_rings_beyond_first_pair()


def get_protocol_features(state: State, message: Message, fds: list[int]) -> Layer:
    return p.ProtocolFeatures(protocol_features=state.offer.protocol_features)


def set_protocol_features(state: State, message: Message, fds: list[int]) -> None:
    protocol = number(message.fields, "protocol_features")
    if foreign := protocol & ~state.offer.protocol_features:
        raise RefusedError(f"protocol features {foreign:#x} were not offered")
    state.protocol = protocol


def get_queue_num(state: State, message: Message, fds: list[int]) -> Layer:
    return p.QueueNum(queue_num=state.offer.queue_pairs)


def get_max_mem_slots(state: State, message: Message, fds: list[int]) -> Layer:
    return p.MemSlots(max_mem_slots=8)


def get_config(state: State, message: Message, fds: list[int]) -> Layer:
    if not state.offer.config:
        return Empty()  # the way to say no
    offset, size = number(message.fields, "offset"), number(message.fields, "size")
    data = state.offer.config[offset : offset + size].ljust(size, b"\0")
    return p.Config(offset=offset, size=size, data=data)


def set_owner(state: State, message: Message, fds: list[int]) -> None:
    """Nothing to do: whoever is connected is the owner."""


def reset_owner(state: State, message: Message, fds: list[int]) -> None:
    state.forget()


def set_backend_channel(state: State, message: Message, fds: list[int]) -> None:
    state.keep_channel(fds.pop())


def set_mtu(state: State, message: Message, fds: list[int]) -> None:
    if (mtu := number(message.fields, "mtu")) not in MTU:
        raise RefusedError(f"MTU {mtu}")


def set_status(state: State, message: Message, fds: list[int]) -> None:
    state.status = number(message.fields, "status")


def get_status(state: State, message: Message, fds: list[int]) -> Layer:
    return p.Status(status=state.status)


# Memory


def set_mem_table(state: State, message: Message, fds: list[int]) -> None:
    regions = message.fields["regions"]
    assert isinstance(regions, list)
    if regions == state.memory.described():
        return  # DPDK: "memory regions not changed"
    state.memory.clear()
    for region, fd in zip(regions, fds, strict=True):
        assert isinstance(region, dict)
        state.memory.regions.append(map_region(region, fd))


def add_mem_reg(state: State, message: Message, fds: list[int]) -> None:
    region = message.fields["region"]
    assert isinstance(region, dict)
    if region not in state.memory.described():
        state.memory.regions.append(map_region(region, fds[0]))


def rem_mem_reg(state: State, message: Message, fds: list[int]) -> None:
    left = [region for region in state.memory.regions if region.fields != message.fields["region"]]
    if len(left) == len(state.memory.regions):
        raise RefusedError("there is no such region")
    state.memory.regions = left


def set_log_base(state: State, message: Message, fds: list[int]) -> Layer:
    return Empty()


# Rings


def set_vring_num(state: State, message: Message, fds: list[int]) -> None:
    ring_of(state, message).size = number(message.fields, "num")


def set_vring_base(state: State, message: Message, fds: list[int]) -> None:
    ring_of(state, message).base = number(message.fields, "num") & 0xFFFF


def set_vring_addr(state: State, message: Message, fds: list[int]) -> None:
    ring = ring_of(state, message)
    if not state.memory.holds(message.fields):
        raise RefusedError(f"ring {ring.index} does not lie in the memory that was shared")
    ring.address = message.fields


def set_vring_kick(state: State, message: Message, fds: list[int]) -> None:
    ring = ring_of(state, message)
    ring.set_kick(fds.pop() if fds else -1)
    if not state.features & PROTOCOL:
        ring.enabled = True  # "BackEndRing states": without SET_VRING_ENABLE a ring is enabled from its start


def set_vring_call(state: State, message: Message, fds: list[int]) -> None:
    ring_of(state, message).set_call(fds.pop() if fds else -1)


def ignore(state: State, message: Message, fds: list[int]) -> None:
    """Taken and not used, as in DPDK; the descriptors are closed by the caller."""


def set_vring_enable(state: State, message: Message, fds: list[int]) -> None:
    ring_of(state, message).enabled = bool(number(message.fields, "num"))


def get_vring_base(state: State, message: Message, fds: list[int]) -> Layer:
    ring = ring_of(state, message)
    state.stop()  # the whole device, whichever ring it is
    ring.stop()
    return p.VringBase(index=ring.index, num=ring.base)


HANDLERS: Mapping[str, Handler] = {
    "GET_FEATURES": get_features,
    "SET_FEATURES": set_features,
    "SET_OWNER": set_owner,
    "RESET_OWNER": reset_owner,
    "SET_MEM_TABLE": set_mem_table,
    "SET_LOG_BASE": set_log_base,
    "SET_LOG_FD": ignore,
    "SET_VRING_NUM": set_vring_num,
    "SET_VRING_ADDR": set_vring_addr,
    "SET_VRING_BASE": set_vring_base,
    "GET_VRING_BASE": get_vring_base,
    "SET_VRING_KICK": set_vring_kick,
    "SET_VRING_CALL": set_vring_call,
    "SET_VRING_ERR": ignore,
    "GET_PROTOCOL_FEATURES": get_protocol_features,
    "SET_PROTOCOL_FEATURES": set_protocol_features,
    "GET_QUEUE_NUM": get_queue_num,
    "SET_VRING_ENABLE": set_vring_enable,
    "SEND_RARP": ignore,
    "NET_SET_MTU": set_mtu,
    "SET_BACKEND_REQ_FD": set_backend_channel,
    "IOTLB_MSG": ignore,
    "GET_CONFIG": get_config,
    "SET_CONFIG": ignore,
    "GET_MAX_MEM_SLOTS": get_max_mem_slots,
    "ADD_MEM_REG": add_mem_reg,
    "REM_MEM_REG": rem_mem_reg,
    "RESET_DEVICE": ignore,
    "SET_STATUS": set_status,
    "GET_STATUS": get_status,
}
