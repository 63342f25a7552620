"""Rules about negotiation and replies, with a trace that breaks each and its lawful neighbours."""

import pytest
from kit.transcript import Line, ask, back, closed, front, opened, protocol, socket, virtio
from traces import (
    OFFERED,
    TAKEN,
    USUAL,
    Case,
    acknowledge,
    before,
    broken_rules,
    enable,
    end,
    hello,
    ids,
    instead,
    memory,
    problems,
    ring,
    started,
    stop,
    without,
)

from vutrace.problems import Severity

PLATFORM = virtio("VIRTIO_F_ACCESS_PLATFORM")
PACKED = virtio("VIRTIO_F_RING_PACKED")
INBAND = USUAL | protocol("INBAND_NOTIFICATIONS")
RUNS = [*started(), *end()]
CHANNEL = front("SET_BACKEND_REQ_FD", fds=[socket(77)])
UPDATE = {"iova": 0x1000, "size": 0x1000, "user_address": 0x7F00_0000_0000, "permission": 3, "type": 2}
MISS = {"iova": 0x1000, "permission": 1, "type": 1}
TRANSLATES = [
    *started(offered=OFFERED | PLATFORM, acknowledged=TAKEN | PLATFORM),
    *ask("IOTLB_MSG", {"status": 0}, **UPDATE),
]
ACKNOWLEDGED = ask("SET_VRING_ENABLE", {"status": 0}, index=0, num=1, need_reply=True)

OTHER = 1 << 35  # IN_ORDER
OFFERED_ONLY = [opened(), *ask("GET_FEATURES", {"features": OFFERED})]
RARP = front("SEND_RARP", mac=bytes.fromhex("525400123456"))


def without_ack(lines: list[Line]) -> list[Line]:
    """The same by a front-end that never acknowledges protocol features."""
    return without(lines, "SET_PROTOCOL_FEATURES")


CASES = [
    Case(  # for the number of queues, too; not for the status
        "negotiation.gate-closed",
        without_ack([*hello(told=USUAL | protocol("STATUS")), *ask("GET_STATUS", {"status": 0}), closed()]),
        without_ack([*hello(told=USUAL), closed()]),
    ),
    Case(
        "negotiation.gate-closed",
        [*hello(told=USUAL), RARP, closed()],
        [*hello(told=USUAL | protocol("RARP"), taken=USUAL), RARP, closed()],
    ),
    Case(
        "negotiation.not-offered",
        [*hello(offered=1 << 30), *acknowledge(TAKEN), closed()],
        [opened(), *acknowledge(TAKEN), closed()],
    ),
    Case(
        "negotiation.iommu-alone",
        [
            opened(),
            *ask("GET_FEATURES", {"features": OFFERED | PLATFORM}),
            *acknowledge(TAKEN | PLATFORM),
            closed(),
        ],
        [opened(), *ask("GET_FEATURES", {"features": OFFERED | PLATFORM}), closed()],
    ),
    Case(
        "negotiation.features-while-running",
        [*started(offered=OFFERED | OTHER), *acknowledge(TAKEN | OTHER), *end()],
        [*started(offered=OFFERED | OTHER), *stop(), *acknowledge(TAKEN | OTHER), closed()],
        more=[[*hello(), *memory(), *ring(), *acknowledge(), *enable(), *end()]],
    ),
    Case(
        "negotiation.no-owner",
        without([*started(told=INBAND), *ring(1), *enable(1), *end(0, 1)], "SET_OWNER"),
        [*started(), *ring(1), *enable(1), *end(0, 1)],
    ),
    Case(
        "negotiation.gate-closed",
        [*started(), *ask("GET_STATUS", {"status": 15}), *end()],
        [*started(told=USUAL | protocol("STATUS")), *ask("GET_STATUS", {"status": 15}), *end()],
    ),
    Case(
        "negotiation.gate-closed",
        [opened(), *ask("GET_FEATURES", {"features": OFFERED}), *ask("GET_STATUS", {"status": 0}), closed()],
        [opened(), *ask("GET_FEATURES", {"features": OFFERED}), closed()],
    ),
    Case(
        "negotiation.gate-closed",  # for the channel it is enough that the feature is offered
        [*started(told=USUAL & ~protocol("BACKEND_REQ")), CHANNEL, *end()],
        [*started(taken=USUAL & ~protocol("BACKEND_REQ")), CHANNEL, *end()],
    ),
    Case(
        "negotiation.gate-closed",
        [*started(), CHANNEL, back("BACKEND_CONFIG_CHANGE_MSG"), *end()],
        [*started(told=USUAL | protocol("CONFIG")), CHANNEL, back("BACKEND_CONFIG_CHANGE_MSG"), *end()],
    ),
    Case(
        "negotiation.iommu-closed",
        [*started(), *ask("IOTLB_MSG", {"status": 0}, **UPDATE), *end()],
        [*TRANSLATES, *end()],
    ),
    Case(
        "negotiation.iommu-closed",
        [*started(), CHANNEL, back("BACKEND_IOTLB_MSG", **MISS), *end()],
        [*TRANSLATES, CHANNEL, back("BACKEND_IOTLB_MSG", **MISS), *end()],
    ),
    Case(
        "negotiation.not-offered",
        [*started(acknowledged=TAKEN | PACKED), *end()],
        [*started(offered=OFFERED | PACKED, acknowledged=TAKEN), *end()],
    ),
    Case(
        "negotiation.protocol-not-offered",
        [*started(taken=USUAL | protocol("MTU")), *end()],
        [*started(taken=USUAL & ~protocol("LOG_SHMFD")), *end()],
    ),
    Case(
        "negotiation.protocol-unannounced",
        [
            opened(),
            *ask("GET_FEATURES", {"features": virtio("VIRTIO_F_VERSION_1")}),
            *ask("GET_PROTOCOL_FEATURES", {"protocol_features": USUAL}),
            closed(),
        ],
        [
            opened(),
            *ask("GET_FEATURES", {"features": OFFERED}),
            *ask("GET_PROTOCOL_FEATURES", {"protocol_features": USUAL}),
            closed(),
        ],
    ),
    Case(
        "negotiation.protocol-unannounced",
        [opened(), *ask("GET_PROTOCOL_FEATURES", {"protocol_features": USUAL}), closed()],
        [opened(), *ask("GET_FEATURES", {"features": OFFERED}), closed()],
    ),
    Case(
        "negotiation.protocol-unread",
        without(without(RUNS, "GET_PROTOCOL_FEATURES", 1), "GET_PROTOCOL_FEATURES"),
        RUNS,
    ),
    Case(
        "negotiation.lacks-needed",
        [*started(told=protocol("MQ", "INBAND_NOTIFICATIONS", "BACKEND_REQ")), *end()],
        [*started(told=USUAL | protocol("INBAND_NOTIFICATIONS")), *end()],
    ),
    Case(
        "negotiation.lacks-needed",
        [*started(told=USUAL | protocol("GET_VRING_BASE_INFLIGHT")), *end()],
        [*started(told=USUAL | protocol("GET_VRING_BASE_INFLIGHT", "INFLIGHT_SHMFD")), *end()],
    ),
    Case(
        "negotiation.iommu-alone",
        [*started(told=protocol("MQ"), offered=OFFERED | PLATFORM, acknowledged=TAKEN | PLATFORM), *end()],
        [*started(offered=OFFERED | PLATFORM, acknowledged=TAKEN | PLATFORM), *end()],
    ),
    Case(
        "negotiation.version-1-refused",
        [*started(acknowledged=TAKEN & ~virtio("VIRTIO_F_VERSION_1")), *end()],
        [*started(offered=virtio("VHOST_USER_F_PROTOCOL_FEATURES"), acknowledged=1 << 30), *end()],
    ),
    Case(
        "negotiation.platform-refused",
        [*started(offered=OFFERED | PLATFORM), *end()],
        [*started(offered=OFFERED | PLATFORM, acknowledged=TAKEN | PLATFORM), *end()],
    ),
    Case(
        "negotiation.protocol-bit-dropped",
        [*hello(), *acknowledge(virtio("VIRTIO_F_VERSION_1")), *memory(), *ring(), *end()],
        [*hello(), *acknowledge(), *memory(), *ring(), *enable(), *end()],
        more=[[*OFFERED_ONLY, *acknowledge(virtio("VIRTIO_F_VERSION_1")), closed()]],
    ),
    Case(
        "negotiation.gate-closed",
        [*OFFERED_ONLY, *ask("GET_QUEUE_NUM", {"queue_num": 1}), closed()],
        [*OFFERED_ONLY, closed()],
    ),
    Case(
        "ring.enable-needless",
        [
            opened(),
            *ask("GET_FEATURES", {"features": OFFERED}),
            front("SET_OWNER"),
            *acknowledge(virtio("VIRTIO_F_VERSION_1")),
            *memory(),
            *ring(),
            *enable(),
            *end(),
        ],
        [
            opened(),
            *ask("GET_FEATURES", {"features": OFFERED}),
            front("SET_OWNER"),
            *acknowledge(virtio("VIRTIO_F_VERSION_1")),
            *memory(),
            *ring(),
            *end(),
        ],
    ),
    Case(
        "negotiation.features-while-running",
        [*started(offered=OFFERED | PACKED), *acknowledge(TAKEN | PACKED), *end()],
        [
            *started(),
            *ask("SET_LOG_BASE", {"log_size": 8192}, mmap_size=8192, mmap_offset=0, fds=[socket(3)]),
            *acknowledge(OFFERED),
            *end(),
        ],
    ),
    Case("negotiation.owner-again", before(RUNS, "SET_FEATURES", front("SET_OWNER")), RUNS),
    Case("negotiation.no-owner", without(RUNS, "SET_OWNER"), without(hello(), "SET_OWNER")),
    Case("negotiation.owner-reset", [*RUNS[:-1], front("RESET_OWNER"), closed()], RUNS),
    Case(
        "negotiation.no-mq",
        [*without(without(started(told=protocol("REPLY_ACK")), "GET_QUEUE_NUM"), "GET_QUEUE_NUM"), *end()],
        [*started(told=protocol("REPLY_ACK", "MQ")), *end()],
    ),
    Case(
        "reply.unagreed",
        [*started(told=protocol("MQ")), *ACKNOWLEDGED, *end()],
        [*started(), *ACKNOWLEDGED, *end()],
    ),
    Case(
        "reply.asks-back",
        instead(RUNS, "GET_VRING_BASE", back("GET_VRING_BASE", index=0, num=0, need_reply=True), nth=1),
        RUNS,
    ),
    Case(
        "reply.refused",
        [*started(), *ask("SET_VRING_ENABLE", {"status": 1}, index=0, num=0, need_reply=True), *end()],
        [*started(), *ask("SET_VRING_ENABLE", {"status": 0}, index=0, num=0, need_reply=True), *end()],
    ),
    Case(
        "reply.refused",
        [
            *started(),
            *ask("SET_VRING_ENABLE", {"status": 2**64 - 22}, index=0, num=0, need_reply=True),
            *end(),
        ],
        [*started(), *(line for line in ACKNOWLEDGED for _ in range(2)), *end()],
    ),
    Case(
        "reply.several-owed",
        [
            *started(),
            front("GET_FEATURES"),
            front("GET_QUEUE_NUM"),
            back("GET_FEATURES", features=OFFERED),
            back("GET_QUEUE_NUM", queue_num=4),
            *end(),
        ],
        [
            *started(),
            *ask("GET_FEATURES", {"features": OFFERED}),
            *ask("GET_QUEUE_NUM", {"queue_num": 4}),
            *end(),
        ],
    ),
]

ACKED = ask("SET_FEATURES", {"status": 0}, features=TAKEN, need_reply=True)
OTHERS = [
    ([*hello(), back("SET_VRING_ENABLE", status=1), closed()], ""),
    ([*hello(), *ACKED, *memory(), *ring(), *enable(), *end()], ""),
]


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_a_trace_breaks_its_rule_and_no_other(case: Case) -> None:
    assert broken_rules(case.broken, case.device) == [case.rule] * case.breaches


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_its_lawful_neighbours_break_none(case: Case) -> None:
    for lawful in (case.lawful, *case.more):
        assert broken_rules(lawful, case.device) == []


def test_an_acknowledgement_of_features_is_not_taken_for_features() -> None:
    assert broken_rules(OTHERS[1][0]) == []


def test_an_error_of_a_c_program_is_a_negative_number() -> None:
    refused = ask("SET_VRING_ENABLE", {"status": 2**64 - 22}, index=0, num=0, need_reply=True)
    (problem,) = problems([*started(), *refused, *end()])
    assert problem.text.endswith("was refused: -22")
    assert problem.row is not None


def test_what_an_implementation_is_known_for_is_info_under_its_profile() -> None:
    early = [*hello(), *enable(), *acknowledge(), *memory(), *ring(), *end()]
    (strict,) = problems(early)
    (known,) = problems(early, profile="qemu")
    assert strict.severity is Severity.WARNING
    assert (known.name, known.severity) == (strict.name, Severity.INFO)
    assert "known of qemu: " in known.text


@pytest.mark.parametrize("begin", range(1, 20))
def test_nothing_is_said_of_what_came_before_a_trace_that_begins_in_the_middle(begin: int) -> None:
    assert broken_rules(RUNS[begin:]) == []
