"""What each message carries, and what its reply tells: the device's state to payloads and back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vutrace.dissection.checks import number
from vutrace.dissection.decoder import Fields
from vutrace.dissection.message import Message
from vutrace.peers.device import GuestDevice
from vutrace.peers.memory import RING_SIZE
from vutrace.peers.steps import MessageStep, Position
from vutrace.protocol import payloads as p
from vutrace.protocol.layers import Empty, Layer
from vutrace.sockets.framed import PeerError


@dataclass(frozen=True, slots=True)
class SendContext:
    """A step in its place, on a device."""

    device: GuestDevice
    place: Position
    step: MessageStep


@dataclass(frozen=True, slots=True)
class Content:
    """A payload and the descriptors that go with it; they stay the sender's."""

    payload: Layer
    fds: tuple[int, ...] = ()


def content_of(turn: SendContext) -> Content:
    """What the message of a step carries."""
    make = CONTENTS.get(turn.step.message)
    return make(turn) if make else Content(Empty())


def take(device: GuestDevice, place: Position, name: str, reply: Message | None) -> None:
    """Let the device know that a message was sent, and what was answered; PeerError if that will not do."""
    learn = LEARN.get(name)
    if learn:
        learn(device, place, reply.fields if reply else {})


def features(turn: SendContext) -> Content:
    return Content(p.Features(features=turn.device.features))


def protocol_features(turn: SendContext) -> Content:
    return Content(p.ProtocolFeatures(protocol_features=turn.device.protocol))


def backend_channel(turn: SendContext) -> Content:
    return Content(Empty(), (turn.device.channels.open(),))


def mtu(turn: SendContext) -> Content:
    return Content(p.Mtu(mtu=turn.device.mtu))


def memory_table(turn: SendContext) -> Content:
    memory = turn.device.memory
    return Content(p.MemoryTable(nregions=1, regions=[memory.region()]), (memory.fd,))


def region(turn: SendContext) -> Content:
    memory = turn.device.memory
    return Content(p.SingleRegion(region=memory.region()), (memory.fd,))


def status(turn: SendContext) -> Content:
    return Content(p.Status(status=turn.step.value or 0))


def ring_size(turn: SendContext) -> Content:
    return Content(p.VringState(index=turn.place.ring, num=RING_SIZE))


def ring_base(turn: SendContext) -> Content:
    ring = turn.place.ring
    base = turn.device.bases.get(ring, 0) if turn.step.value is None else turn.step.value
    return Content(p.VringBase(index=ring, num=base))


def ring_address(turn: SendContext) -> Content:
    return Content(turn.device.memory.ring_address(turn.place.ring))


def ring_state(turn: SendContext) -> Content:
    return Content(p.VringState(index=turn.place.ring))


def enable(turn: SendContext) -> Content:
    on = turn.place.pair < turn.device.enabled if turn.step.value is None else turn.step.value
    return Content(p.VringEnable(index=turn.place.ring, num=int(on)))


def config(turn: SendContext) -> Content:
    size = turn.step.value or 0
    return Content(p.Config(offset=0, size=size, data=bytes(size)))


def eventfd(purpose: str) -> Callable[[SendContext], Content]:
    def make(turn: SendContext) -> Content:
        ring = turn.place.ring
        return Content(p.VringFd(u64=ring), (turn.device.notifiers.fd(turn.step.fd or purpose, ring),))

    return make


CONTENTS: Mapping[str, Callable[[SendContext], Content]] = {
    "SET_FEATURES": features,
    "SET_PROTOCOL_FEATURES": protocol_features,
    "SET_BACKEND_REQ_FD": backend_channel,
    "NET_SET_MTU": mtu,
    "SET_MEM_TABLE": memory_table,
    "ADD_MEM_REG": region,
    "SET_STATUS": status,
    "SET_VRING_NUM": ring_size,
    "SET_VRING_BASE": ring_base,
    "SET_VRING_ADDR": ring_address,
    "SET_VRING_KICK": eventfd("kick"),
    "SET_VRING_CALL": eventfd("call"),
    "SET_VRING_ERR": eventfd("error"),
    "SET_VRING_ENABLE": enable,
    "GET_VRING_BASE": ring_state,
    "GET_CONFIG": config,
}


Learn = Callable[[GuestDevice, Position, Fields], None]


def learn_features(device: GuestDevice, place: Position, fields: Fields) -> None:
    device.offered = number(fields, "features")
    # A guest that negotiated cannot be told to do without.
    if missing := device.acked & ~device.offered:
        raise PeerError(f"the back-end does not offer features {missing:#x}, which the guest is using")


def learn_protocol_features(device: GuestDevice, place: Position, fields: Fields) -> None:
    device.protocol_offered = number(fields, "protocol_features")
    if not device.has("MQ") and device.pairs > 1:
        raise PeerError(f"{device.pairs} queue pairs are configured, but the back-end does not offer MQ")


def learn_queue_num(device: GuestDevice, place: Position, fields: Fields) -> None:
    needed, what = (device.queues, "queues") if device.rings else (device.pairs, "queue pairs")
    if (most := number(fields, "queue_num")) < needed:
        raise PeerError(f"{needed} {what} are configured, but the back-end has {most}")


def learn_status(device: GuestDevice, place: Position, fields: Fields) -> None:
    device.status = number(fields, "status")


def learn_base(device: GuestDevice, place: Position, fields: Fields) -> None:
    if (ring := number(fields, "index")) != place.ring:
        raise PeerError(f"GET_VRING_BASE of ring {place.ring} was answered for ring {ring}")
    device.bases[place.ring] = number(fields, "num")


def learn_config(device: GuestDevice, place: Position, fields: Fields) -> None:
    if not number(fields, "size"):
        raise PeerError("the back-end refused GET_CONFIG: its answer has no bytes")


def acknowledged(device: GuestDevice, place: Position, fields: Fields) -> None:
    device.acked = device.features


def channel_passed(device: GuestDevice, place: Position, fields: Fields) -> None:
    device.channels.passed()


def region_added(device: GuestDevice, place: Position, fields: Fields) -> None:
    device.regions_added.add(place.pair)


LEARN: Mapping[str, Learn] = {
    "GET_FEATURES": learn_features,
    "GET_PROTOCOL_FEATURES": learn_protocol_features,
    "GET_QUEUE_NUM": learn_queue_num,
    "GET_STATUS": learn_status,
    "GET_VRING_BASE": learn_base,
    "GET_CONFIG": learn_config,
    "SET_FEATURES": acknowledged,
    "SET_BACKEND_REQ_FD": channel_passed,
    "ADD_MEM_REG": region_added,
}
