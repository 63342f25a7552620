"""What both ends were told when they were started, against each other and against what they then said.

The command lines are in the capture; sources are QEMU's and DPDK's documentation of their parameters.
"""

from collections.abc import Iterator

from vutrace.problems import Rule, Severity
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit
from vutrace.protocol.check import Check, Once, When, asks
from vutrace.protocol.effects import Fact, MemoryEffect
from vutrace.records import Channel, Side
from vutrace.rules.seen import History
from vutrace.session.row import Row
from vutrace.session.told import Told, Wish

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
MQ = bit("MQ", PROTOCOL_FEATURES)
CONFIG = bit("CONFIG", PROTOCOL_FEATURES)
PROTOCOL_BIT = bit("VHOST_USER_F_PROTOCOL_FEATURES", VIRTIO_FEATURES)
VITAL = frozenset({"VIRTIO_F_ACCESS_PLATFORM"})  # without it QEMU gives up, without the others it goes on
NEED_CONFIG = frozenset(
    {"blk", "input", "gpu"}
)  # QEMU's devices that ask the back-end for their configuration


def front(row: Row) -> Told:
    """What the front-end was told."""
    return row.state.told[Side.FRONTEND]


def back(row: Row) -> Told:
    """What the back-end was told."""
    return row.state.told[Side.BACKEND]


def devices_differ(row: Row, _seen: History) -> Iterator[str]:
    """One is blk, and the other net."""
    ours, theirs = front(row), back(row)
    if ours.said and theirs.said and ours.device is not theirs.device:
        yield (
            f"the front-end is {ours.device.name} ('{ours.said}'), "
            f"the back-end is {theirs.device.name} ('{theirs.said}')"
        )


def fewer_queues(row: Row, _seen: History) -> Iterator[str]:
    """The back-end was told of fewer queues than the front-end."""
    ours, theirs = front(row), back(row)
    if (
        ours.device is not theirs.device
        or not ours.queues
        or not theirs.queues
        or ours.queues <= theirs.queues
    ):
        return
    each = 2 if ours.device.pairs else 1
    first, last = theirs.queues * each, ours.queues * each - 1
    rings = f"rings {first}–{last}" if last > first else f"ring {first}"
    yield f"the front-end has {ours.queues_said}, the back-end {theirs.queues_said}: nobody serves {rings}"


def not_shared(row: Row, _seen: History) -> Iterator[str]:
    """No memory that could be passed."""
    if why := front(row).private:
        yield f"the front-end's guest memory is not shared: {why}"


def missing(row: Row, vital: bool) -> list[Wish]:
    """What was asked for on the front-end's command line and is not offered; told at the first offer."""
    offered = row.state.context.offered
    if row.context.offered is not None or offered is None:
        return []
    wishes = [wish for wish in front(row).wishes if wish.mask and not offered & wish.mask]
    return [wish for wish in wishes if (wish.feature in VITAL) is vital]


def not_offered(row: Row, _seen: History) -> Iterator[str]:
    """A feature that was asked for in vain."""
    told, lacking = front(row), missing(row, vital=False)
    harmless = {"VIRTIO_NET_F_MQ"} if told.queues == 1 else set()  # one pair is all that there is
    if any(wish.feature not in harmless for wish in lacking):
        yield f"asked for on the command line, not offered: {in_words(lacking)}"


def vital_not_offered(row: Row, _seen: History) -> Iterator[str]:
    """One without which the front-end gives up."""
    if lacking := missing(row, vital=True):
        yield f"the front-end has {in_words(lacking)}, which is not offered: QEMU gives up"


def in_words(wishes: list[Wish]) -> str:
    """Wishes as the command line and the spec have them: "packed=on (VIRTIO_F_RING_PACKED)"."""
    return ", ".join(f"{wish.said} ({wish.feature})" for wish in wishes)


def queue_limit(row: Row, _seen: History) -> Iterator[str]:
    """The back-end answers that it has fewer queues."""
    told, limit = front(row).queues, row.state.context.queue_num
    if row.context.queue_num is None and told and limit is not None and limit < told:
        yield f"the front-end has {front(row).queues_said}, the back-end answers {limit}: QEMU gives up"


def no_queue_limit(row: Row, _seen: History) -> Iterator[str]:
    """The back-end cannot tell how many it has, so there is one."""
    told = front(row)
    if (told.queues or 1) > 1 and first_protocol_offer(row, MQ):
        yield f"the front-end has {told.queues_said}, and without the protocol feature MQ there is 1"


def no_protocol(row: Row, _seen: History) -> Iterator[str]:
    """No protocol features at all, and more than one queue."""
    told, offered = front(row), row.state.context.offered
    plain = row.context.offered is None and offered is not None and not offered & PROTOCOL_BIT
    if plain and (told.queues or 1) > 1:
        yield f"the front-end has {told.queues_said}, and a back-end without protocol features has 1"


def no_config(row: Row, _seen: History) -> Iterator[str]:
    """The device's configuration cannot be had."""
    told = front(row)
    if (
        told.device.name in NEED_CONFIG
        and told.program.startswith("qemu")
        and first_protocol_offer(row, CONFIG)
    ):
        yield f"{told.said} needs the protocol feature CONFIG, which is not offered: QEMU gives up"


def first_protocol_offer(row: Row, lacks: int) -> bool:
    """Whether this is the first offer of protocol features, and lacks some."""
    return row.context.protocol_offered is None and not offers(row, lacks)


def offers(row: Row, mask: int) -> bool:
    """Whether protocol features are offered."""
    return bool((row.state.context.protocol_offered or 0) & mask)


def private_memory(row: Row, _seen: History) -> Iterator[str]:
    """Memory that the front-end mapped for itself."""
    for region in row.state.memory.regions:
        fd = region.fd
        if fd is not None and fd.mapped == "private":
            yield (
                f"the front-end has mapped {fd.name or fd.kind} privately (/proc/PID/maps): "
                "the back-end will see empty rings"
            )
            return


def tells(fact: Fact) -> When:
    """Replies that tell a fact."""
    return lambda spec, channel, reply: channel is Channel.MAIN and reply and spec.tells(fact, True)


OFFER, PROTOCOL_OFFER, QUEUES = tells(Fact.OFFERED), tells(Fact.PROTOCOL_OFFERED), tells(Fact.QUEUE_NUM)
MEMORY = asks(memory=frozenset({MemoryEffect.TABLE, MemoryEffect.ADD}))
COMMANDS = "both command lines"

# Found when a session is opened: the command lines alone tell.
OPENING = (
    Check(
        Rule(
            "setup.devices-differ",
            ERROR,
            COMMANDS,
            "A front-end of one device type talks to a back-end of another: it cannot work, and mostly ends "
            "in the handshake.",
            "Connect each front-end to the socket of a back-end of its own type.",
        ),
        None,
        devices_differ,
    ),
    Check(
        Rule(
            "setup.fewer-queues",
            WARNING,
            COMMANDS,
            "The guest gets queues that the back-end's application does not serve: what is sent there is "
            "lost. DPDK answers GET_QUEUE_NUM with 128 whatever it was told.",
            "Give both ends the same number of queues.",
        ),
        None,
        fewer_queues,
    ),
    Check(
        Rule(
            "setup.memory-not-shared",
            ERROR,
            COMMANDS,
            "Guest memory cannot be passed to the back-end: QEMU sends no memory table, or one whose pages "
            "the back-end never sees written.",
            "QEMU: -object memory-backend-memfd,id=mem,size=…,share=on and -numa node,memdev=mem (or "
            "-machine memory-backend=mem); cloud-hypervisor: --memory shared=on.",
        ),
        None,
        not_shared,
    ),
)
# Found when the other side answers.
CHECKS = (
    Check(
        Rule(
            "setup.not-offered",
            WARNING,
            "VHOST_USER_GET_FEATURES",
            "The front-end was told to use features that this back-end does not have; it goes on without "
            "them.",
            "Use a back-end that offers them, or take them from the command line.",
        ),
        OFFER,
        not_offered,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "setup.needed-not-offered",
            ERROR,
            "IOMMU support",
            "The front-end was told to keep the device behind an IOMMU, and the back-end cannot.",
            "Turn IOMMU support of the back-end on (DPDK: iommu-support=1, OVS: vhost-iommu-support), or "
            "leave iommu_platform=on out.",
        ),
        OFFER,
        vital_not_offered,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "setup.queue-limit",
            ERROR,
            "VHOST_USER_GET_QUEUE_NUM",
            "The front-end wants more queues than the back-end has; QEMU says 'you are asking more queues "
            "than supported' and ends.",
            "Lower queues= (num-queues=) of the front-end, or raise it in the back-end.",
        ),
        QUEUES,
        queue_limit,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "setup.single-queue",
            ERROR,
            "Multiple queue support",
            "The back-end does not say how many queues it has, so that front-ends take it for one; QEMU "
            "says 'you are asking more queues than supported: 1' and ends.",
            "Use queues=1, or a back-end that has multiqueue.",
        ),
        PROTOCOL_OFFER,
        no_queue_limit,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "setup.no-protocol-features",
            ERROR,
            "Multiple queue support",
            "A back-end without protocol features has one queue (pair).",
            "Use queues=1, or a back-end that has multiqueue.",
        ),
        OFFER,
        no_protocol,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "setup.no-config",
            ERROR,
            "VHOST_USER_GET_CONFIG",
            "The device's configuration space is the back-end's to tell, and this one does not.",
            "Check that the socket is of a back-end of the same device type.",
        ),
        PROTOCOL_OFFER,
        no_config,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "setup.memory-private",
            ERROR,
            "Memory region description",
            "The front-end's mapping of the memory that it passes is private: what the guest writes stays "
            "in the front-end's own copy.",
            "Use share=on for the memory object.",
        ),
        MEMORY,
        private_memory,
        once=Once.SESSION,
    ),
)
RULES = tuple(check.rule for check in (*OPENING, *CHECKS))
