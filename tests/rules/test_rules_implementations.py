"""Which program speaks: by command lines, offers and habits; and how old it is."""

import json
from pathlib import Path

import pytest
from cases.scenes import NET, calls, enable, features, hello, memory, met, ring, running, stop
from kit.transcript import Line, ask, back, connection, front, opened, protocol, script

from vutrace.capture import read
from vutrace.dissection.registry import load
from vutrace.protocol.backend_messages import BACKEND_MESSAGES
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.records import Side
from vutrace.rules import habits
from vutrace.rules.implementations import TITLES, Certainty, Implementation, by_command, by_offer
from vutrace.rules.recognised import Recogniser
from vutrace.session.tracker import Tracker

REGISTRY = load()
CAPTURES = Path(__file__).parents[2] / "captures"
FRONT, BACK = Side.FRONTEND, Side.BACKEND
MQ_ACK = protocol("MQ", "REPLY_ACK")


def seen(*lines: Line) -> Recogniser:
    """What is recognised of a conversation."""
    recogniser = Recogniser()
    for row in Tracker(REGISTRY).rows([connection(), *script(*lines)]):
        recogniser.feed(row)
    return recogniser


@pytest.mark.parametrize(
    ("side", "command", "name"),
    [
        (FRONT, "/usr/bin/qemu-system-x86_64 -M q35", "qemu"),
        (FRONT, "/usr/libexec/qemu-kvm -M q35", "qemu"),
        (FRONT, "dpdk-testpmd --vdev net_virtio_user0,path=/x", "virtio-user"),
        (FRONT, "cloud-hypervisor --net vhost_user=true,socket=/x", "cloud-hypervisor"),
        (FRONT, "crosvm run --vhost-user net,socket=/x", "crosvm"),
        (BACK, "dpdk-testpmd --vdev net_vhost0,iface=/x", "dpdk"),
        (BACK, "ovs-vswitchd unix:/db", "ovs"),
        (BACK, "/opt/spdk/build/bin/vhost -S /var/tmp", "spdk"),
        (BACK, "qemu-storage-daemon --export vhost-user-blk,id=e", "libvhost-user"),
        (BACK, "/usr/libexec/virtiofsd --socket-path=/x", "rust-vmm"),
        (BACK, "/usr/lib/qemu/virtiofsd --socket-path=/x -o source=/s", "libvhost-user"),
        (BACK, "vhost-device-vsock --socket /x", "rust-vmm"),
        (BACK, "passt --vhost-user", "passt"),
        (BACK, "/usr/bin/vpp -c /etc/vpp/startup.conf", "vpp"),
        (BACK, "/usr/bin/frobnicate", None),
    ],
)
def test_a_command_line_is_certain(side: Side, command: str, name: str | None) -> None:
    found = by_command(side, command, "")
    assert (found.name if found else None) == name
    assert found is None or found.certainty is Certainty.CERTAIN


def test_the_name_of_a_process_is_taken_where_there_is_no_command() -> None:
    found = by_command(BACK, "", "reactor_0")
    assert found
    assert (found.name, found.reason) == ("spdk", "the back-end is reactor_0")


def test_a_machine_type_is_the_least_version() -> None:
    found = by_command(FRONT, "qemu-system-x86_64 -machine pc-q35-8.2,accel=kvm", "")
    assert found
    assert found.text == "QEMU 8.2 or later"


@pytest.mark.parametrize(
    ("offered", "text"),
    [
        (0x0CBF, "DPDK vhost before 20.08"),
        (0x10CBF, "DPDK vhost 20.08 or later"),
        (0x10DBF, "DPDK vhost 20.08 or later"),
        (0x18CBF, "DPDK vhost 26.07 or later"),
        (0x11CBF, "SPDK"),
        (0x11EBF, "SPDK"),
        (0x8F2B, "libvhost-user"),
        (0x8C2B, "libvhost-user"),
        (0x8A42B, "rust-vmm"),
        (0x8000E, "passt"),
        (0x8, "passt"),
        (0x3, "VPP"),
        (0x209, None),
        (0, None),
    ],
)
def test_the_protocol_features_tell_a_back_end(offered: int, text: str | None) -> None:
    found = by_offer(offered)
    assert (found.text if found else None) == text


SPDK = [
    front("SET_OWNER"),
    *ask("GET_FEATURES", {"features": NET}),
    features(),
    *ask("GET_PROTOCOL_FEATURES", {"protocol_features": MQ_ACK}),
    front("SET_PROTOCOL_FEATURES", protocol_features=1),
    *ask("GET_QUEUE_NUM", {"queue_num": 1}),
]
VIRTIO_USER = [
    front("SET_OWNER"),
    *ask("GET_FEATURES", {"features": NET}),
    *ask("GET_PROTOCOL_FEATURES", {"protocol_features": MQ_ACK}),
    front("SET_PROTOCOL_FEATURES", protocol_features=MQ_ACK),
    *calls(range(2)),
    features(),
]
CROSVM = [
    front("SET_OWNER"),
    *ask("GET_FEATURES", {"features": NET}),
    *ask("GET_PROTOCOL_FEATURES", {"protocol_features": MQ_ACK}),
    front("SET_PROTOCOL_FEATURES", protocol_features=MQ_ACK),
    front("SET_BACKEND_REQ_FD"),
    *ask("GET_QUEUE_NUM", {"queue_num": 1}),
]
CLOUD = [
    front("SET_OWNER"),
    *ask("GET_FEATURES", {"features": NET}),
    *ask("GET_PROTOCOL_FEATURES", {"protocol_features": MQ_ACK}),
    front("SET_PROTOCOL_FEATURES", protocol_features=MQ_ACK),
    front("GET_QUEUE_NUM", need_reply=True),
    back("GET_QUEUE_NUM", queue_num=1),
    front("SET_FEATURES", features=NET, need_reply=True),
    memory(need_reply=True),
]


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (hello(NET, MQ_ACK, 1), "qemu"),
        (SPDK, "spdk"),
        (VIRTIO_USER, "virtio-user"),
        (CROSVM, "crosvm"),
        (CLOUD, "cloud-hypervisor"),
        ([front("SET_OWNER"), *ask("GET_FEATURES", {"features": NET})], None),
    ],
)
def test_a_front_end_is_known_by_its_greeting(lines: list[Line], name: str | None) -> None:
    found = seen(opened(), *lines).who(FRONT)
    assert (found.name if found else None) == name
    assert found is None or (found.certainty is Certainty.LIKELY and "first requests" in found.reason)


ERR = front("SET_VRING_ERR", u64=0)


def version(*lines: Line) -> str:
    """QEMU's version, as far as its habits tell."""
    return seen(
        opened(), *hello(NET, protocol("MQ", "REPLY_ACK", "STATUS"), 1), *lines
    ).habits.qemu_version()[0]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "7.2 or later"),
        ([front("SET_VRING_CALL", u64=0)], "7.2 to 10.1"),
        ([front("SET_VRING_CALL", u64=0, need_reply=True)], "10.2 or later"),
        ([front("SET_VRING_CALL", u64=0), enable(0)], "7.2 to 8.1"),
        (
            [front("SET_VRING_CALL", u64=0), front("SET_VRING_ENABLE", index=0, num=1, need_reply=True)],
            "8.2 to 10.1",
        ),
        (
            [*calls(range(1)), ERR, features(), memory(), *ring(0), front("SET_STATUS", status=0), *stop(0)],
            "7.2 to 8.0",
        ),
        (
            [*calls(range(1)), ERR, features(), memory(), *ring(0), *stop(0), front("SET_STATUS", status=0)],
            "8.1 to 10.1",
        ),
        ([ERR, front("RESET_DEVICE")], "9.2 to 10.1"),
    ],
)
def test_habits_bound_the_version_of_qemu(lines: list[Line], told: str) -> None:
    assert version(*lines) == told


def test_contradicting_habits_tell_no_version() -> None:
    assert version(enable(0), front("SET_VRING_CALL", u64=0, need_reply=True)) == ""


def test_an_old_qemu_sends_no_error_descriptors() -> None:
    recogniser = seen(met("qemu-system-x86_64", ""), *running(1))
    found = recogniser.who(FRONT)
    assert found
    assert found.text == "QEMU up to 7.0"


def test_a_capture_that_begins_in_the_middle_says_nothing_of_what_it_lacks() -> None:
    assert seen(*running(1)).habits.qemu_version()[0] == "up to 8.1"


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("qemu-*.pcapng")), ids=lambda path: path.stem)
def test_the_kept_captures_name_the_qemu_that_they_were_made_with(path: Path) -> None:
    made = path.stem.split("-")[1]
    recogniser = Recogniser()
    with path.open("rb") as file:
        for row in Tracker(REGISTRY).rows(read(file)):
            if row.session == 1:
                recogniser.feed(row)
    found = recogniser.who(FRONT)
    assert found
    assert found.name == "qemu"
    assert within(found, made)


def within(found: Implementation, release: str) -> bool:
    """Whether a release is in the range that was recognised."""
    low, to, high = found.version.partition(" to ")
    if not to:
        low, high = found.version.removesuffix(" or later"), "11.1"
    first, last, at = (habits.order(each) for each in (low, high or low, release))
    return first <= at <= last


def test_habits_speak_of_messages_that_there_are() -> None:
    known = {row.name for table in (FRONTEND_MESSAGES, BACKEND_MESSAGES) for row in table.values()}
    words = json.dumps([habits.SINCE, habits.BEFORE]).replace('"', " ").split()
    assert {word for word in words if word.startswith(("SET_", "GET_"))} <= known
    assert {name for name, _ in habits.GREETINGS} <= set(TITLES)
