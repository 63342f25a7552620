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

_MTU = range(68, 65536)
_PROTOCOL = bit("VHOST_USER_F_PROTOCOL_FEATURES", VIRTIO_FEATURES)
_MQ = 1 << 22  # VIRTIO_NET_F_MQ


def _ring(state: State, message: Message) -> BackEndRing:
    assert message.ring is not None
    return state.ring(message.ring)


# Negotiation


def _get_features(state: State, message: Message, fds: list[int]) -> Layer:
    return p.Features(features=state.offer.features)


def _set_features(state: State, message: Message, fds: list[int]) -> None:
    features = number(message.fields, "features")
    if foreign := features & ~state.offer.features:
        raise RefusedError(f"features {foreign:#x} were not offered")
    state.features = features
    if not features & _MQ:
        state.drop_rings_beyond_first_pair()


def _get_protocol_features(state: State, message: Message, fds: list[int]) -> Layer:
    return p.ProtocolFeatures(protocol_features=state.offer.protocol_features)


def _set_protocol_features(state: State, message: Message, fds: list[int]) -> None:
    protocol = number(message.fields, "protocol_features")
    if foreign := protocol & ~state.offer.protocol_features:
        raise RefusedError(f"protocol features {foreign:#x} were not offered")
    state.protocol = protocol


def _get_queue_num(state: State, message: Message, fds: list[int]) -> Layer:
    return p.QueueNum(queue_num=state.offer.queue_pairs)


def _get_max_mem_slots(state: State, message: Message, fds: list[int]) -> Layer:
    return p.MemSlots(max_mem_slots=8)


def _get_config(state: State, message: Message, fds: list[int]) -> Layer:
    if not state.offer.config:
        return Empty()  # the way to say no
    offset, size = number(message.fields, "offset"), number(message.fields, "size")
    data = state.offer.config[offset : offset + size].ljust(size, b"\0")
    return p.Config(offset=offset, size=size, data=data)


def _set_owner(state: State, message: Message, fds: list[int]) -> None:
    """Nothing to do: whoever is connected is the owner."""


def _reset_owner(state: State, message: Message, fds: list[int]) -> None:
    state.forget()


def _set_backend_channel(state: State, message: Message, fds: list[int]) -> None:
    state.keep_channel(fds.pop())


def _set_mtu(state: State, message: Message, fds: list[int]) -> None:
    if (mtu := number(message.fields, "mtu")) not in _MTU:
        raise RefusedError(f"MTU {mtu}")


def _set_status(state: State, message: Message, fds: list[int]) -> None:
    state.status = number(message.fields, "status")


def _get_status(state: State, message: Message, fds: list[int]) -> Layer:
    return p.Status(status=state.status)


# Memory


def _set_mem_table(state: State, message: Message, fds: list[int]) -> None:
    regions = message.fields["regions"]
    assert isinstance(regions, list)
    if regions == state.memory.told():
        return  # DPDK: "memory regions not changed"
    state.memory.clear()
    for region, fd in zip(regions, fds, strict=True):
        assert isinstance(region, dict)
        state.memory.regions.append(map_region(region, fd))


def _add_mem_reg(state: State, message: Message, fds: list[int]) -> None:
    region = message.fields["region"]
    assert isinstance(region, dict)
    if region not in state.memory.told():
        state.memory.regions.append(map_region(region, fds[0]))


def _rem_mem_reg(state: State, message: Message, fds: list[int]) -> None:
    left = [region for region in state.memory.regions if region.fields != message.fields["region"]]
    if len(left) == len(state.memory.regions):
        raise RefusedError("there is no such region")
    state.memory.regions = left


def _set_log_base(state: State, message: Message, fds: list[int]) -> Layer:
    return Empty()


# Rings


def _set_vring_num(state: State, message: Message, fds: list[int]) -> None:
    _ring(state, message).size = number(message.fields, "num")


def _set_vring_base(state: State, message: Message, fds: list[int]) -> None:
    _ring(state, message).base = number(message.fields, "num") & 0xFFFF


def _set_vring_addr(state: State, message: Message, fds: list[int]) -> None:
    ring = _ring(state, message)
    if not state.memory.holds(message.fields):
        raise RefusedError(f"ring {ring.index} does not lie in the memory that was shared")
    ring.address = message.fields


def _set_vring_kick(state: State, message: Message, fds: list[int]) -> None:
    ring = _ring(state, message)
    ring.set_kick(fds.pop() if fds else -1)
    if not state.features & _PROTOCOL:
        ring.enabled = True  # "BackEndRing states": without SET_VRING_ENABLE a ring is enabled from its start


def _set_vring_call(state: State, message: Message, fds: list[int]) -> None:
    _ring(state, message).set_call(fds.pop() if fds else -1)


def _ignore(state: State, message: Message, fds: list[int]) -> None:
    """Taken and not used, as in DPDK; the descriptors are closed by the caller."""


def _set_vring_enable(state: State, message: Message, fds: list[int]) -> None:
    _ring(state, message).enabled = bool(number(message.fields, "num"))


def _get_vring_base(state: State, message: Message, fds: list[int]) -> Layer:
    ring = _ring(state, message)
    state.stop()  # the whole device, whichever ring it is
    ring.stop()
    return p.VringBase(index=ring.index, num=ring.base)


HANDLERS: Mapping[str, Handler] = {
    "GET_FEATURES": _get_features,
    "SET_FEATURES": _set_features,
    "SET_OWNER": _set_owner,
    "RESET_OWNER": _reset_owner,
    "SET_MEM_TABLE": _set_mem_table,
    "SET_LOG_BASE": _set_log_base,
    "SET_LOG_FD": _ignore,
    "SET_VRING_NUM": _set_vring_num,
    "SET_VRING_ADDR": _set_vring_addr,
    "SET_VRING_BASE": _set_vring_base,
    "GET_VRING_BASE": _get_vring_base,
    "SET_VRING_KICK": _set_vring_kick,
    "SET_VRING_CALL": _set_vring_call,
    "SET_VRING_ERR": _ignore,
    "GET_PROTOCOL_FEATURES": _get_protocol_features,
    "SET_PROTOCOL_FEATURES": _set_protocol_features,
    "GET_QUEUE_NUM": _get_queue_num,
    "SET_VRING_ENABLE": _set_vring_enable,
    "SEND_RARP": _ignore,
    "NET_SET_MTU": _set_mtu,
    "SET_BACKEND_REQ_FD": _set_backend_channel,
    "IOTLB_MSG": _ignore,
    "GET_CONFIG": _get_config,
    "SET_CONFIG": _ignore,
    "GET_MAX_MEM_SLOTS": _get_max_mem_slots,
    "ADD_MEM_REG": _add_mem_reg,
    "REM_MEM_REG": _rem_mem_reg,
    "RESET_DEVICE": _ignore,
    "SET_STATUS": _set_status,
    "GET_STATUS": _get_status,
}
