"""Features, protocol features, ownership, queues."""

from collections.abc import Iterator
from functools import partial

from vutrace.conform.case import Case, Level, UnmetError
from vutrace.conform.probe import Probe
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit, bit_names
from vutrace.protocol.layers import Empty
from vutrace.protocol.wire import HEADER_SIZE

PROTOCOL = "VHOST_USER_F_PROTOCOL_FEATURES"
KNOWN = sum(1 << number for number in PROTOCOL_FEATURES)
# What a protocol feature needs beside itself ("In-band notifications", "VHOST_USER_GET_VRING_BASE").
TOGETHER = {
    "INBAND_NOTIFICATIONS": ("BACKEND_REQ", "REPLY_ACK"),
    "GET_VRING_BASE_INFLIGHT": ("INFLIGHT_SHMFD",),
    "BACKEND_SEND_FD": ("BACKEND_REQ",),
    "HOST_NOTIFIER": ("BACKEND_REQ", "BACKEND_SEND_FD"),
    "PAGEFAULT": ("BACKEND_REQ", "BACKEND_SEND_FD"),
    "SHMEM": ("BACKEND_REQ",),
    "SHARED_OBJECT": ("BACKEND_REQ",),
    "MTU": ("VIRTIO_NET_F_MTU",),
}
MOST_QUEUES = 1 << 15


def offered(probe: Probe) -> int:
    return probe.number("GET_FEATURES", "features")


def stable(probe: Probe) -> None:
    first = offered(probe)
    probe.tell("SET_OWNER")
    if (second := offered(probe)) != first:
        raise UnmetError(f"{first:#x} first, {second:#x} after SET_OWNER")


def same_after(probe: Probe) -> None:
    first = offered(probe)
    probe.hello()
    if (second := offered(probe)) != first:
        raise UnmetError(f"{first:#x} first, {second:#x} after SET_FEATURES")


def same_again(probe: Probe) -> None:
    probe.ask("GET_FEATURES")
    first = probe.number("GET_PROTOCOL_FEATURES", "protocol_features")
    if (second := probe.number("GET_PROTOCOL_FEATURES", "protocol_features")) != first:
        raise UnmetError(f"{first:#x} first, {second:#x} then")


def has_bit(name: str, probe: Probe) -> None:
    if not offered(probe) & bit(name, VIRTIO_FEATURES):
        raise UnmetError(f"features {offered(probe):#x} without {name}")


def has_protocol(name: str, probe: Probe) -> None:
    probe.ask("GET_FEATURES")
    told = probe.number("GET_PROTOCOL_FEATURES", "protocol_features")
    if not told & bit(name, PROTOCOL_FEATURES):
        raise UnmetError(f"protocol features {told:#x} without {name}")


def only_known(probe: Probe) -> None:
    probe.ask("GET_FEATURES")
    told = probe.number("GET_PROTOCOL_FEATURES", "protocol_features")
    if told & ~KNOWN:
        raise UnmetError(f"{', '.join(bit_names(told & ~KNOWN))}, of which the spec knows nothing")


def complete(name: str, probe: Probe) -> None:
    probe.ask("GET_FEATURES")
    told = probe.number("GET_PROTOCOL_FEATURES", "protocol_features")
    others = [each for each in TOGETHER[name] if each in PROTOCOL_FEATURES.values()]
    lacking = [each for each in others if not told & bit(each, PROTOCOL_FEATURES)]
    if lacking:
        raise UnmetError(f"{name} is offered without {', '.join(lacking)}")


def before_features(probe: Probe) -> None:
    probe.ask("GET_FEATURES")
    told = probe.number("GET_PROTOCOL_FEATURES", "protocol_features")
    probe.send("SET_PROTOCOL_FEATURES", p.ProtocolFeatures(protocol_features=told & ~inband()))
    probe.silent("SET_PROTOCOL_FEATURES")


def inband() -> int:
    return bit("INBAND_NOTIFICATIONS", PROTOCOL_FEATURES)


def inband_alone(probe: Probe) -> None:
    probe.ask("GET_FEATURES")
    probe.ask("GET_PROTOCOL_FEATURES")
    probe.send("SET_PROTOCOL_FEATURES", p.ProtocolFeatures(protocol_features=inband()))
    if probe.answers():
        raise UnmetError("the connection goes on")


def accepts(name: str, probe: Probe) -> None:
    probe.hello("REPLY_ACK", name, *TOGETHER.get(name, ()))
    probe.silent("SET_PROTOCOL_FEATURES")


def without_protocol(probe: Probe) -> None:
    features = offered(probe) & bit("VIRTIO_F_VERSION_1", VIRTIO_FEATURES)
    probe.send("SET_OWNER")
    probe.send("SET_FEATURES", p.Features(features=features))
    probe.silent("SET_FEATURES")


def no_features(probe: Probe) -> None:
    probe.hello()
    probe.tell("SET_FEATURES", p.Features(features=0))


def twice(name: str, probe: Probe) -> None:
    probe.hello()
    payload = p.Features(features=probe.features) if name == "SET_FEATURES" else Empty()
    probe.tell(name, payload)
    probe.silent(name)


def foreign_feature(probe: Probe) -> None:
    told = offered(probe)
    probe.hello()
    # the highest bit that a device may have and does not offer
    missing = next(1 << number for number in range(63, 31, -1) if not told & 1 << number)
    probe.refused("SET_FEATURES", p.Features(features=probe.features | missing))


def foreign_protocol(probe: Probe) -> None:
    probe.hello()
    wanted = probe.protocol | 1 << 63
    probe.refused("SET_PROTOCOL_FEATURES", p.ProtocolFeatures(protocol_features=wanted))


def queue_count(probe: Probe) -> None:
    probe.hello()
    count = probe.number("GET_QUEUE_NUM", "queue_num")
    if not 0 < count <= MOST_QUEUES:
        raise UnmetError(f"{count} queues")


def owner_missing(probe: Probe) -> None:
    told = offered(probe) & bit("VIRTIO_F_VERSION_1", VIRTIO_FEATURES)
    probe.send("SET_FEATURES", p.Features(features=told))
    probe.survives()


def owner_reset(probe: Probe) -> None:
    probe.hello()
    probe.send("RESET_OWNER")
    probe.survives()


def size_of_reply(name: str, probe: Probe) -> None:
    reply = probe.ask(name)
    if len(reply.frame.data) - HEADER_SIZE != 8:
        raise UnmetError(f"{len(reply.frame.data) - HEADER_SIZE} bytes")


def cases() -> Iterator[Case]:
    """All of them."""
    should, may, gated = Level.SHOULD, Level.MAY, (PROTOCOL,)
    get, put, owner = "VHOST_USER_GET_FEATURES", "VHOST_USER_SET_FEATURES", "VHOST_USER_SET_OWNER"
    get_protocol = "VHOST_USER_GET_PROTOCOL_FEATURES"
    put_protocol = "VHOST_USER_SET_PROTOCOL_FEATURES"
    yield from (
        Case("negotiation/features-are-8-bytes", get, "GET_FEATURES", "a payload of 8 bytes",
             partial(size_of_reply, "GET_FEATURES")),
        Case("negotiation/features-stay", get, "GET_FEATURES before and after SET_OWNER", "the same features",
             stable),
        Case("negotiation/features-stay-after-set", get, "GET_FEATURES before and after SET_FEATURES",
             "the same features: it asks what is offered, not what is acknowledged", same_after),
        Case("negotiation/offers-version-1", "VIRTIO_F_VERSION_1", "GET_FEATURES",
             "VIRTIO_F_VERSION_1 among the features", partial(has_bit, "VIRTIO_F_VERSION_1"), should),
        Case("negotiation/offers-protocol-features", "Communication", "GET_FEATURES",
             f"{PROTOCOL} among the features", partial(has_bit, PROTOCOL), should),
        Case("negotiation/protocol-features-stay", get_protocol, "GET_PROTOCOL_FEATURES twice",
             "the same protocol features", same_again, needs=gated),
        Case("negotiation/protocol-features-known", "Protocol features", "GET_PROTOCOL_FEATURES",
             "only bits that the spec knows", only_known, should, gated),
        Case("negotiation/protocol-features-before-features", put_protocol,
             "GET and SET_PROTOCOL_FEATURES without SET_FEATURES", "both work", before_features, needs=gated),
        Case("negotiation/offers-mq", "Multiple queue support", "GET_PROTOCOL_FEATURES",
             "MQ, also of a device with a fixed number of queues", partial(has_protocol, "MQ"), should,
             gated),
        Case("negotiation/offers-reply-ack", "VHOST_USER_PROTOCOL_F_REPLY_ACK", "GET_PROTOCOL_FEATURES",
             "REPLY_ACK, without which nothing can be refused in words", partial(has_protocol, "REPLY_ACK"),
             may, gated),
        Case("negotiation/without-protocol-features", put, f"SET_FEATURES without {PROTOCOL}",
             "it is accepted: old front-ends go on working", without_protocol),
        Case("negotiation/no-features", put, "SET_FEATURES with 0",
             "it is accepted: every feature is optional",
             no_features, should),
        Case("negotiation/features-twice", put, "SET_FEATURES twice with the same", "both are accepted",
             partial(twice, "SET_FEATURES"), should),
        Case("negotiation/owner-twice", owner, "SET_OWNER twice", "both are accepted",
             partial(twice, "SET_OWNER"), may),
        Case("negotiation/owner-missing", owner, "SET_FEATURES without SET_OWNER",
             "it goes on or closes, and does not die", owner_missing, may),
        Case("reset/owner", "VHOST_USER_RESET_OWNER", "RESET_OWNER, which is deprecated",
             "it is ignored, or disables all rings", owner_reset, should),
        Case("negotiation/features-not-offered", put, "SET_FEATURES with a bit that was not offered",
             "an error or the end of the connection", foreign_feature, should),
        Case("negotiation/protocol-features-not-offered", put_protocol,
             "SET_PROTOCOL_FEATURES with a bit that was not offered", "an error or the end of the connection",
             foreign_protocol, should, (*gated, "REPLY_ACK")),
        Case("multi-queue/queue-count", "VHOST_USER_GET_QUEUE_NUM", "GET_QUEUE_NUM", "at least one queue",
             queue_count, needs=("MQ",)),
        Case("negotiation/in-band-alone", "In-band notifications",
             "SET_PROTOCOL_FEATURES with INBAND_NOTIFICATIONS alone", "the connection is closed",
             inband_alone,
             should, ("INBAND_NOTIFICATIONS",)),
    )  # fmt: skip
    yield from bit_cases()


def bit_cases() -> Iterator[Case]:
    """One for each protocol feature, and what belongs to it."""
    for name in PROTOCOL_FEATURES.values():
        word = name.lower().replace("_", "-")
        yield Case(
            f"protocol-features/{word}", "Protocol features", f"{name} acknowledged, with what it needs",
            "it is accepted and the session goes on", partial(accepts, name), needs=(name,),
        )  # fmt: skip
        if name in TOGETHER and name != "MTU":
            yield Case(
                f"protocol-features/{word}-is-complete", "Protocol features", "GET_PROTOCOL_FEATURES",
                f"{name} only together with {', '.join(TOGETHER[name])}", partial(complete, name),
                needs=(name,),
            )  # fmt: skip
