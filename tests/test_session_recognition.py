"""Which device a session is about, when nobody said so."""

import struct

import pytest

from vutrace.dissection.device import Device, Evidence
from vutrace.dissection.dissector import Dissector
from vutrace.dissection.registry import load
from vutrace.records import Channel, Connection, Event, EventKind, Frame, Side
from vutrace.session.command_line import path_of, relevant
from vutrace.session.recognition import from_user, telling
from vutrace.session.row import Row
from vutrace.session.session import Session
from vutrace.session.tracker import Tracker

SOCKET = "/run/vm/vu.sock"
REGISTRY = load()

QEMU = (
    "qemu-system-x86_64 -M q35 -chardev socket,id=mon,path=/run/vm/monitor,server=on -mon chardev=mon"
    " -chardev socket,id=c0,path=/run/vm/vu.sock -netdev vhost-user,id=n0,chardev=c0,queues=4"
    " -device virtio-net-pci,netdev=n0,mq=on"
    " -chardev socket,id=c01,path=/run/vm/vu.sock2 -device vhost-user-blk-pci,chardev=c01,num-queues=2"
    " -chardev socket,id=c2,path=/run/vm/fs.sock -device vhost-user-fs-pci,chardev=c2,tag=host"
)
LIBVIRT = (
    "/usr/bin/qemu-system-x86_64 -name guest=vm"
    " -chardev socket,id=charnet0,path=/run/vm/vu.sock,server=on"
    ' -netdev {"type":"vhost-user","chardev":"charnet0","id":"hostnet0"}'
    ' -device {"driver":"virtio-net-pci","netdev":"hostnet0","id":"net0"}'
    " -chardev socket,id=chr-vu-fs0,path=/run/vm/fs.sock"
    ' -device {"driver":"vhost-user-fs-pci","id":"fs0","chardev":"chr-vu-fs0","tag":"host"}'
)
# command of one side, path of its socket, device
COMMANDS = [
    (QEMU, "/run/vm/vu.sock", "net"),
    (QEMU, "/run/vm/vu.sock2", "blk"),
    (QEMU, "/run/vm/fs.sock", "fs"),
    (QEMU, "/run/vm/vu", "unknown"),
    (LIBVIRT, "/run/vm/vu.sock", "net"),
    (LIBVIRT, "/run/vm/fs.sock", "fs"),
    ("qemu-system-x86_64 -chardev socket,path=/x,id=c -netdev type=vhost-user,id=n,chardev=c", "/x", "net"),
    ("dpdk-testpmd -l 0-1 --no-pci --vdev net_vhost0,iface=/run/vm/vu.sock,queues=4 -- -i", SOCKET, "net"),
    ("dpdk-testpmd --vdev=net_virtio_user0,path=/run/vm/vu.sock,queues=2 -- -i", SOCKET, "net"),
    ("dpdk-testpmd --vdev 'eth_vhost0,iface=/run/vm/vu.sock' -- -i", SOCKET, "net"),
    ("dpdk-testpmd --vdev virtio_user0,path=vu.sock -- -i", SOCKET, "net"),
    ("ovs-vswitchd unix:/run/openvswitch/db.sock -vconsole:emer --mlockall", SOCKET, "net"),
    ("passt --vhost-user --socket /run/vm/vu.sock", SOCKET, "net"),
    (
        "qemu-storage-daemon --blockdev driver=file,node-name=d,filename=d.img"
        " --export type=vhost-user-blk,id=e,node-name=d,addr.type=unix,addr.path=/run/vm/vu.sock",
        SOCKET,
        "blk",
    ),
    ("/usr/libexec/virtiofsd --socket-path=/run/vm/vu.sock --shared-dir /srv", SOCKET, "fs"),
    ("virtiofsd --socket-path=/run/vm/vhost-user-blk.sock", "/run/vm/vhost-user-blk.sock", "fs"),
    (
        "cloud-hypervisor --net vhost_user=true,socket=/run/vm/vu.sock --disk vhost_user=true,socket=/d",
        "/d",
        "blk",
    ),
    (
        "cloud-hypervisor --net vhost_user=true,socket=/run/vm/vu.sock --fs tag=t,socket=/f",
        SOCKET,
        "net",
    ),
    ("cloud-hypervisor --fs tag=t,socket=/f --net tap=", "/f", "fs"),
    ("crosvm run --vhost-user type=net,socket=/n --vhost-user type=block,socket=/b", "/b", "blk"),
    ("vhost -S /var/tmp -m 0x3", "/var/tmp/vhost.0", "unknown"),  # SPDK: blk or scsi, its features tell
    ("", SOCKET, "unknown"),
]


def recognised(command: str, path: str, side: str) -> Row:
    """The row of an OPEN event that has one peer's command line."""
    ends = {"frontend": f"listen:{path}", "backend": f"connect:{path}"}
    other = {"frontend": "backend", "backend": "frontend"}[side]
    tracker = Tracker(REGISTRY)
    ends[other] = "connect:/elsewhere"
    opened = Event(0, 0, 1, EventKind.OPEN, "open", attributes={f"{side}_command": command})
    (row,) = tracker.rows([Connection(0, ends["frontend"], ends["backend"]), opened])
    return row


@pytest.mark.parametrize("side", ["frontend", "backend"])
@pytest.mark.parametrize(("command", "path", "device"), COMMANDS)
def test_a_command_line_tells_the_device(command: str, path: str, device: str, side: str) -> None:
    row = recognised(command, path, side)
    assert row.context.device.name == device
    said = row.context.reason.startswith(f"the {Side(side).words}'s command line has '")
    assert said == (device != "unknown")


def test_the_reason_shows_what_was_seen() -> None:
    row = recognised(QEMU, SOCKET, "frontend")
    assert row.context.reason == ("the front-end's command line has 'vhost-user,id=n0,chardev=c0,queues=4'")


def test_each_sides_command_is_read_with_that_sides_path() -> None:
    ends = Connection(0, "listen:/run/vm/vu.sock2", "connect:/run/vm/vu.sock")
    opened = Event(0, 0, 1, EventKind.OPEN, "open", attributes={"frontend_command": QEMU})
    assert (
        Session(REGISTRY.devices, telling(REGISTRY.devices), endpoints=ends)
        .event(1, 0, opened)
        .context.device.name
        == "blk"
    )


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [("listen:/a", "/a"), ("connect:/a:b", "/a:b"), ("fd:7", ""), ("/bare", "/bare"), ("", "")],
)
def test_the_path_of_an_endpoint(endpoint: str, path: str) -> None:
    assert path_of(endpoint) == path


def test_a_command_that_does_not_name_the_socket_counts_as_a_whole() -> None:
    assert relevant("ovs-vswitchd --pidfile", "/run/x") == "ovs-vswitchd --pidfile"
    assert relevant("testpmd --vdev a,iface=/x --vdev b,iface=/y", "/y") == "testpmd --vdev b,iface=…"


OFFERS = [
    (0x1_5020_8000, "net"),  # VERSION_1, PROTOCOL_FEATURES, GUEST_ANNOUNCE, MRG_RXBUF
    (0x1_7000_7646, "blk"),  # qemu-storage-daemon
    (0x1_4000_0000, "unknown"),  # virtiofsd: nothing of its own
]


def message(number: int, payload: bytes = b"", reply: bool = False) -> Frame:
    """A frame of the main channel."""
    data = struct.pack("<III", number, 5 if reply else 1, len(payload)) + payload
    sender = Side.BACKEND if reply else Side.FRONTEND
    return Frame(0, 0, 1, Channel.MAIN, sender, data, wire_size=len(data))


@pytest.mark.parametrize(("offer", "device"), OFFERS)
def test_offered_features_tell_net_from_blk(offer: int, device: str) -> None:
    tracker = Tracker(REGISTRY)
    tracker.feed(message(1))
    row = tracker.feed(message(1, struct.pack("<Q", offer), reply=True))
    assert row.context.device.name == device
    assert ("offered" in row.context.reason) == (device != "unknown")


@pytest.mark.parametrize(("size", "device"), [(57, "blk"), (60, "blk"), (96, "blk"), (40, "fs"), (24, "net")])
def test_the_size_of_the_configuration_space_tells_the_device(size: int, device: str) -> None:
    request = struct.pack("<III", 0, size, 0) + bytes(size)
    row = Tracker(REGISTRY).feed(message(24, request))
    assert row.context.device.name == device
    assert row.context.reason == f"a configuration space of {size} bytes"


@pytest.mark.parametrize("number", [19, 20])
def test_a_message_that_only_one_device_uses(number: int) -> None:
    row = Tracker(REGISTRY).feed(message(number, bytes(8)))
    assert row.context.device.name == "net"
    assert row.context.reason.startswith("only net uses ")


def test_stronger_evidence_replaces_weaker_and_not_the_other_way() -> None:
    tracker = Tracker(REGISTRY)
    names = [
        tracker.feed(record).context.device.name
        for record in (
            message(1, struct.pack("<Q", 0x1_7000_7646), reply=True),
            message(24, struct.pack("<III", 0, 40, 0)),
            message(20, bytes(8)),
            message(24, struct.pack("<III", 0, 40, 0)),
        )
    ]
    assert names == ["blk", "fs", "net", "net"]


def test_the_users_word_is_final() -> None:
    tracker = Tracker(REGISTRY, device="fs")
    opened = Event(0, 0, 1, EventKind.OPEN, "open", attributes={"backend_command": "ovs-vswitchd"})
    row = tracker.feed(opened)
    assert (row.context.device.name, row.context.reason) == ("fs", "named with --device")


def test_a_ring_name_that_raises_is_a_problem_on_the_row() -> None:
    def broken(index: int, features: int) -> str:
        raise ZeroDivisionError("no rings")

    device = Device("acme", ring_name=broken, evidence=Evidence())
    session = Session([device], telling([device]), said=from_user(device))
    frame = message(8, struct.pack("<II", 3, 256))

    row = session.message(1, 0, Dissector()(frame))
    assert row.ring_name == "q3"
    assert [problem.text for problem in row.problems] == ["dissector acme: ZeroDivisionError: no rings"]
