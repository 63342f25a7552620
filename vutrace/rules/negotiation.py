"""Negotiation: what was offered, what was acknowledged, and what was sent without either.

Sources: vhost-user.rst, "Communication", "Protocol features" and the sections of the messages.
"""

from collections.abc import Iterator, Mapping

from vutrace.problems import Rule, Severity
from vutrace.protocol.bits import PROTOCOL_FEATURES
from vutrace.protocol.check import Check, Once, When, any_of, asks
from vutrace.protocol.effects import Fact, Purpose, RingEffect
from vutrace.protocol.spec import NOTHING, MessageSpec
from vutrace.records import Channel
from vutrace.rules.look import (
    ACCESS_PLATFORM,
    LOG_ALL,
    PROTOCOL_BIT,
    VERSION_1,
    feature_names,
    message_of,
    number,
    protocol_names,
    starts,
)
from vutrace.rules.seen import History
from vutrace.session.row import Row

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
PROTOCOL_BITS = {name: 1 << number for number, name in PROTOCOL_FEATURES.items()}
NEEDS: Mapping[str, tuple[str, ...]] = {
    "INBAND_NOTIFICATIONS": ("BACKEND_REQ", "REPLY_ACK"),
    "GET_VRING_BASE_INFLIGHT": ("INFLIGHT_SHMFD",),
}
"""What is of no use without others ("In-band notifications", "VHOST_USER_GET_VRING_BASE")."""


def learns(fact: Fact) -> When:
    """Requests that tell a fact."""
    return lambda spec, _channel, reply: not reply and spec.tells(fact, False)


def told(fact: Fact) -> When:
    """Replies that tell a fact."""
    return lambda spec, _channel, reply: reply and spec.tells(fact, True)


ACKNOWLEDGES = learns(Fact.FEATURES)
ACKNOWLEDGES_PROTOCOL = learns(Fact.PROTOCOL_FEATURES)
OFFERS_PROTOCOL = told(Fact.PROTOCOL_OFFERED)
OWNS = asks(purpose=Purpose.GREET, request=NOTHING, reply=(), learns=None)


def gated(spec: MessageSpec, _channel: Channel, reply: bool) -> bool:
    """Requests that need a protocol feature."""
    return not reply and spec.gate in PROTOCOL_BITS


def gate_closed(row: Row, _seen: History) -> Iterator[str]:
    """A message without its protocol feature."""
    message, context = message_of(row), row.context
    gate = message.spec.gate
    if context.has_protocol(PROTOCOL_BITS[gate]) or asked_for(message.spec, context.protocol_offered or 0):
        return
    if context.protocol_features is None:
        yield f"needs the protocol feature {gate}; no protocol features were acknowledged"
    else:
        yield f"needs the protocol feature {gate}, which was not acknowledged"


def asked_for(spec: MessageSpec, offered: int) -> bool:
    """Whether the spec asks only that the feature is offered: for the number of queues, and what is net's."""
    counts = spec.tells(Fact.QUEUE_NUM, True)
    lenient = counts or spec.passes is Channel.BACKEND or spec.gate in ("RARP", "MTU")
    return bool(lenient and offered & PROTOCOL_BITS[spec.gate])


def iommu_closed(row: Row, _seen: History) -> Iterator[str]:
    """Translations for a device that uses none."""
    if not row.context.has_feature(ACCESS_PLATFORM):
        yield "VIRTIO_F_ACCESS_PLATFORM is not acknowledged"


def beyond_offer(row: Row, _seen: History) -> Iterator[str]:
    """Features that nobody offered; LOG_ALL is a matter of migration."""
    offered = row.context.offered
    if offered is None:
        return
    if extra := number(row, "features") & ~offered & ~LOG_ALL:
        yield f"acknowledges what was not offered: {feature_names(extra, row.context)}"


def beyond_protocol_offer(row: Row, _seen: History) -> Iterator[str]:
    """Protocol features that nobody offered."""
    offered = row.context.protocol_offered
    extra = 0 if offered is None else number(row, "protocol_features") & ~offered
    if extra:
        yield f"acknowledges what was not offered: {protocol_names(extra)}"


def protocol_unasked(row: Row, _seen: History) -> Iterator[str]:
    """Protocol features before, or without, the bit that announces them."""
    offered = row.context.offered
    if offered is None:
        yield "before GET_FEATURES told whether there are protocol features"
    elif not offered & PROTOCOL_BIT:
        yield "the back-end does not offer VHOST_USER_F_PROTOCOL_FEATURES"


def protocol_unread(row: Row, _seen: History) -> Iterator[str]:
    """Acknowledged without having been read."""
    if row.context.protocol_offered is None:
        yield "before GET_PROTOCOL_FEATURES told what there is"


def lacks_needed(row: Row, _seen: History) -> Iterator[str]:
    """A protocol feature without those that it builds on."""
    taken = number(row, "protocol_features")
    for name, needed in NEEDS.items():
        missing = [each for each in needed if not taken & PROTOCOL_BITS[each]]
        if taken & PROTOCOL_BITS[name] and missing:
            yield f"{name} is acknowledged without {' and '.join(missing)}"


def iommu_alone(row: Row, _seen: History) -> Iterator[str]:
    """Translations are agreed on, and there is no way to ask for one."""
    needed = PROTOCOL_BITS["BACKEND_REQ"] | PROTOCOL_BITS["REPLY_ACK"]
    missing = needed & ~(row.context.protocol_features or 0)
    if number(row, "features") & ACCESS_PLATFORM and missing:
        yield f"VIRTIO_F_ACCESS_PLATFORM is acknowledged without {protocol_names(missing)}"


def version_1_refused(row: Row, _seen: History) -> Iterator[str]:
    """A driver of the old kind."""
    if (row.context.offered or 0) & VERSION_1 and not number(row, "features") & VERSION_1:
        yield "VIRTIO_F_VERSION_1 was offered and is not acknowledged"


def platform_refused(row: Row, _seen: History) -> Iterator[str]:
    """A back-end behind an IOMMU is to do without."""
    if (row.context.offered or 0) & ACCESS_PLATFORM and not number(row, "features") & ACCESS_PLATFORM:
        yield "VIRTIO_F_ACCESS_PLATFORM was offered and is not acknowledged"


def protocol_bit_dropped(row: Row, _seen: History) -> Iterator[str]:
    """Protocol features are used, and their announcement is not acknowledged."""
    if row.context.protocol_features and not number(row, "features") & PROTOCOL_BIT:
        yield "VHOST_USER_F_PROTOCOL_FEATURES is not acknowledged, and protocol features are used"


def features_while_running(row: Row, _seen: History) -> Iterator[str]:
    """Other features than the log for rings that are started."""
    before = row.context.features
    changed = 0 if before is None else (before ^ number(row, "features")) & ~LOG_ALL
    if changed and row.state.rings.started:
        yield f"changes while rings are started: {feature_names(changed, row.context)}"


def owned_again(_row: Row, seen: History) -> Iterator[str]:
    """A second owner in one session."""
    if seen.owned:
        yield "the session has an owner already"


def unowned(row: Row, seen: History) -> Iterator[str]:
    """A start without an owner."""
    if starts(row) and not seen.owned:
        yield "a ring is started, and SET_OWNER was never sent"


def owner_reset(_row: Row, _seen: History) -> Iterator[str]:
    """A message that nobody should send."""
    yield "deprecated: the spec has it only disable rings, DPDK forgets everything"


def no_mq(row: Row, _seen: History) -> Iterator[str]:
    """A back-end that does not tell its queues."""
    if not number(row, "protocol_features") & PROTOCOL_BITS["MQ"]:
        yield "MQ is not offered"


CHECKS = (
    Check(
        Rule(
            "negotiation.gate-closed",
            ERROR,
            "Communication",
            "The message belongs to a protocol feature that the two ends did not agree on: the receiver may "
            "not know it, and close the connection.",
            "Negotiate the feature, or do not send the message.",
            deviates=(
                "spdk: its front-end asks for GET_QUEUE_NUM without MQ (lib/virtio/virtio_vhost_user.c)",
                "crosvm: asks for GET_SHMEM_CONFIG without SHMEM (third_party/vmm_vhost)",
            ),
        ),
        gated,
        gate_closed,
    ),
    Check(
        Rule(
            "negotiation.iommu-closed",
            ERROR,
            "IOMMU support",
            "The device uses no translation, so that the receiver has no use for one.",
            "Acknowledge VIRTIO_F_ACCESS_PLATFORM (QEMU: iommu_platform=on), or send no IOTLB messages.",
        ),
        any_of(*(asks(on, gate="VIRTIO_F_ACCESS_PLATFORM") for on in (Channel.MAIN, Channel.BACKEND))),
        iommu_closed,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "negotiation.not-offered",
            ERROR,
            "VHOST_USER_SET_FEATURES",
            "The front-end relies on what the back-end does not have; DPDK and OVS end the session at this.",
            "Mend the front-end: only what GET_FEATURES told may be acknowledged.",
        ),
        ACKNOWLEDGES,
        beyond_offer,
    ),
    Check(
        Rule(
            "negotiation.protocol-not-offered",
            ERROR,
            "Protocol features",
            "The front-end relies on messages that the back-end does not have.",
            "Mend the front-end: only what GET_PROTOCOL_FEATURES told may be acknowledged.",
        ),
        ACKNOWLEDGES_PROTOCOL,
        beyond_protocol_offer,
    ),
    Check(
        Rule(
            "negotiation.protocol-unannounced",
            ERROR,
            "VHOST_USER_GET_PROTOCOL_FEATURES",
            "A back-end without protocol features does not know this message, and may close the connection.",
            "Send GET_FEATURES first, and go on only if it has VHOST_USER_F_PROTOCOL_FEATURES.",
        ),
        asks(gate="VHOST_USER_F_PROTOCOL_FEATURES", purpose=Purpose.GREET),
        protocol_unasked,
    ),
    Check(
        Rule(
            "negotiation.protocol-unread",
            WARNING,
            "VHOST_USER_SET_PROTOCOL_FEATURES",
            "The back-end may be another one, with other features, than the one that was asked before; a "
            "reply that is then expected never comes.",
            "Send GET_PROTOCOL_FEATURES on each connection.",
            deviates=(
                "cloud-hypervisor: after a reconnect it acknowledges what it knew (vu_common_ctrl.rs)",
            ),
        ),
        ACKNOWLEDGES_PROTOCOL,
        protocol_unread,
    ),
    Check(
        Rule(
            "negotiation.lacks-needed",
            WARNING,
            "Protocol features",
            "The feature cannot work alone; the back-end should close the connection.",
            "Acknowledge the others as well, or none.",
            deviates=("qemu: acknowledges INBAND_NOTIFICATIONS where it is offered (vhost-user.c)",),
        ),
        ACKNOWLEDGES_PROTOCOL,
        lacks_needed,
    ),
    Check(
        Rule(
            "negotiation.iommu-alone",
            WARNING,
            "IOMMU support",
            "The back-end has no channel to ask for a translation on: it cannot find a single buffer.",
            "Use a back-end with BACKEND_REQ and REPLY_ACK, or turn iommu_platform off.",
        ),
        ACKNOWLEDGES,
        iommu_alone,
    ),
    Check(
        Rule(
            "negotiation.version-1-refused",
            INFO,
            "virtio, Reserved Feature Bits",
            "The driver is of the time before virtio 1.0; libvhost-user and others want VERSION_1.",
            "If the back-end gives up after this: a newer driver, or disable-legacy=on in QEMU.",
        ),
        ACKNOWLEDGES,
        version_1_refused,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "negotiation.platform-refused",
            INFO,
            "IOMMU support",
            "The back-end offers to live behind an IOMMU and is used without one; some insist on it.",
            "QEMU: iommu_platform=on, if memory is to be protected.",
        ),
        ACKNOWLEDGES,
        platform_refused,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "negotiation.protocol-bit-dropped",
            INFO,
            "VHOST_USER_SET_FEATURES",
            "All rings count as enabled, and rust-vmm's back-ends acknowledge nothing.",
            "Harmless with QEMU before 7.2; a front-end that enables rings must acknowledge the bit.",
            deviates=("qemu up to 7.1: for devices other than net (hw/virtio/vhost-user.c)",),
        ),
        ACKNOWLEDGES,
        protocol_bit_dropped,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "negotiation.features-while-running",
            WARNING,
            "Migration",
            "Only the log of dirty pages may change on the fly: DPDK refuses anything else.",
            "Stop the rings first.",
        ),
        ACKNOWLEDGES,
        features_while_running,
    ),
    Check(
        Rule(
            "negotiation.owner-again",
            WARNING,
            "VHOST_USER_SET_OWNER",
            "The message claims the session, once; rust-vmm's back-ends take a second one for an error.",
            "Send it once for each connection; RESET_DEVICE does not end the ownership.",
        ),
        OWNS,
        owned_again,
    ),
    Check(
        Rule(
            "negotiation.no-owner",
            INFO,
            "VHOST_USER_SET_OWNER",
            "The session was never claimed; back-ends that are known start the rings all the same.",
            "Send SET_OWNER at the beginning of each connection.",
            deviates=("virtio-user: not to one that connects again (virtio_user_dev_server_reconnect)",),
        ),
        asks(effect=RingEffect.KICK),
        unowned,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "negotiation.owner-reset",
            WARNING,
            "VHOST_USER_RESET_OWNER",
            "Deprecated: back-ends do very different things at it; SPDK's disks are gone after it.",
            "Use RESET_DEVICE, or SET_STATUS 0.",
        ),
        asks(effect=RingEffect.RESET_OWNER),
        owner_reset,
        anytime=True,
    ),
    Check(
        Rule(
            "negotiation.no-mq",
            INFO,
            "Multiple queue support",
            "The front-end cannot find out how many queues there are, and believes in the least.",
            "Back-ends should offer MQ, also where the number of queues is fixed.",
            deviates=("passt: offers REPLY_ACK and what migration needs (vhost_user.c)",),
        ),
        OFFERS_PROTOCOL,
        no_mq,
        once=Once.SESSION,
    ),
)
