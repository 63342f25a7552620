"""What both ends were told: each rule has a conversation that breaks it, and a neighbour that does not."""

from dataclasses import replace

import pytest
from cases.scenes import BLK, DISK, NET, QEMU, TESTPMD, calls, features, hello, memory, met, net
from kit.transcript import Line, ask, closed, connection, memfd, protocol, script

from vutrace.dissection.registry import load
from vutrace.problems import Problem, Severity
from vutrace.records import FdInfo
from vutrace.rules.judge import Judge
from vutrace.rules.setup import RULES
from vutrace.session.tracker import Tracker

REGISTRY = load()
MQ_ACK = protocol("MQ", "REPLY_ACK")
QSD = "qemu-storage-daemon --export vhost-user-blk,id=e,addr.path=back.sock"
UNSHARED = QEMU.replace("share=on", "share=off")


def found(*lines: Line) -> list[Problem]:
    """The findings about what both ends were told."""
    rows = Judge().rows(Tracker(REGISTRY).rows([connection(), *script(*lines)]))
    return [problem for row in rows for problem in row.problems if problem.rule.group == "setup"]


def names(*lines: Line) -> set[str]:
    """Their rules."""
    return {problem.name for problem in found(*lines)}


def private(size: int = 1 << 30, mapped: str = "private") -> FdInfo:
    """Memory that the front-end has mapped for itself."""
    return replace(memfd(size), mapped=mapped)


def started(told: str, fd: FdInfo) -> list[Line]:
    """Up to the memory table."""
    return [met(told, "vhost"), *hello(NET, MQ_ACK, 1), *calls(range(2)), features(), memory(fds=[fd])]


OFFER = ask("GET_FEATURES", {"features": NET})
BREACHES = {
    "setup.devices-differ": [met(QEMU + DISK, TESTPMD.format(1))],
    "setup.fewer-queues": [net(4, 2)],
    "setup.memory-not-shared": [met(UNSHARED, "virtiofsd")],
    "setup.not-offered": [net(1, more=",packed=on,mq=on"), *OFFER],
    "setup.needed-not-offered": [net(1, more=",iommu_platform=on"), *OFFER],
    "setup.queue-limit": [net(4, 4), *hello(NET, MQ_ACK, 2)],
    "setup.single-queue": [net(2), *hello(NET, protocol("REPLY_ACK"))],
    "setup.no-protocol-features": [net(2), *ask("GET_FEATURES", {"features": NET & ~(1 << 30)})],
    "setup.no-config": [met(QEMU + DISK, QSD), *hello(BLK, protocol("MQ"))],
    "setup.memory-private": started(QEMU, private()),
}
NEIGHBOURS = {
    "setup.devices-differ": [met(QEMU + DISK, QSD)],
    "setup.fewer-queues": [net(2, 4)],
    "setup.memory-not-shared": [met(QEMU, "virtiofsd")],
    "setup.not-offered": [net(1, more=",packed=off,mq=on"), *OFFER],
    "setup.needed-not-offered": [net(1, more=",iommu_platform=off"), *OFFER],
    "setup.queue-limit": [net(2, 2), *hello(NET, MQ_ACK, 2)],
    "setup.single-queue": [net(1), *hello(NET, protocol("REPLY_ACK"))],
    "setup.no-protocol-features": [net(1), *ask("GET_FEATURES", {"features": NET & ~(1 << 30)})],
    "setup.no-config": [met(QEMU + DISK, QSD), *hello(BLK, protocol("CONFIG"))],
    "setup.memory-private": started(QEMU, private(mapped="shared")),
}


def test_every_rule_has_a_breach_and_a_neighbour() -> None:
    assert {rule.name for rule in RULES} == set(BREACHES) == set(NEIGHBOURS)


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_found_and_nothing_else(name: str) -> None:
    assert names(*BREACHES[name]) == {name}


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_its_lawful_neighbour_is_not(name: str) -> None:
    assert names(*NEIGHBOURS[name]) == set()


def test_what_is_asked_for_is_named_in_the_command_lines_words() -> None:
    (problem,) = found(net(1, more=",packed=on,host_mtu=9000"), *OFFER)
    assert problem.text == (
        "asked for on the command line, not offered: "
        "packed=on (VIRTIO_F_RING_PACKED), host_mtu=9000 (VIRTIO_NET_F_MTU)"
    )
    assert problem.severity is Severity.WARNING


def test_the_rings_that_nobody_serves_are_named() -> None:
    (problem,) = found(net(4, 2))
    assert problem.text == "the front-end has queues=4, the back-end queues=2: nobody serves rings 4–7"


def test_one_queue_without_mq_is_no_loss() -> None:
    assert names(net(1, more=",mq=on"), *OFFER) == set()
    (problem,) = found(net(1, more=",mq=on,packed=on"), *OFFER)
    assert "mq=on (VIRTIO_NET_F_MQ)" in problem.text


def test_it_is_told_once_however_often_the_features_are_read() -> None:
    lines = [net(1, more=",packed=on"), *hello(NET, MQ_ACK, 1), *OFFER, *OFFER, closed()]
    assert len(found(*lines)) == 1


def test_nothing_is_found_where_nobody_was_told_anything() -> None:
    assert names(met("", ""), *hello(NET, MQ_ACK, 1), *calls(range(2)), features(), memory()) == set()
