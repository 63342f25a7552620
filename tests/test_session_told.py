"""What both ends were told when they were started, taken from their command lines."""

import pytest

from vutrace.dissection.registry import load
from vutrace.protocol.bits import VIRTIO_FEATURES
from vutrace.records import Connection, Event, EventKind, Side
from vutrace.session.command_line import program_of, relevant, values_of
from vutrace.session.told import DEVICE_WORDS, told, told_of
from vutrace.session.tracker import Tracker

REGISTRY = load()
SHARED = "-object memory-backend-memfd,id=mem,size=256M,share=on -numa node,memdev=mem"
CHARDEV = "-chardev socket,id=c0,path=/run/vu.sock"
CARD = "-netdev vhost-user,id=n0,chardev=c0,queues=4 -device virtio-net-pci,netdev=n0"


def qemu(words: str) -> str:
    """QEMU's command line with some words."""
    return f"/usr/bin/qemu-system-x86_64 -M q35 {words}"


@pytest.mark.parametrize(
    ("command", "path", "queues", "said"),
    [
        (qemu(f"{CHARDEV} {CARD}"), "/run/vu.sock", 4, "queues=4"),
        (qemu(f"{CHARDEV} -netdev vhost-user,id=n0,chardev=c0"), "/run/vu.sock", 1, "no queues=, so 1"),
        (
            qemu(f'{CHARDEV} -netdev {{"type":"vhost-user","chardev":"c0","queues":3,"id":"n0"}}'),
            "/run/vu.sock",
            3,
            "queues=3",
        ),
        (
            qemu(f"{CHARDEV} -device vhost-user-blk-pci,chardev=c0,num-queues=2"),
            "/run/vu.sock",
            2,
            "num-queues=2",
        ),
        (qemu(f"{CHARDEV} -device vhost-user-blk-pci,chardev=c0"), "/run/vu.sock", None, ""),
        ("dpdk-testpmd --vdev net_vhost0,iface=/x,queues=2 -- --rxq=2", "/x", 2, "queues=2"),
        ("dpdk-testpmd --vdev 'net_vhost0,iface=/x' -- --rxq=2", "/x", 1, "no queues=, so 1"),
        ("dpdk-testpmd --vdev=net_virtio_user0,path=/x,queues=8 -- -i", "/x", 8, "queues=8"),
        ("qemu-storage-daemon --export vhost-user-blk,id=e,addr.path=/x", "/x", 1, "no num-queues=, so 1"),
        ("cloud-hypervisor --net vhost_user=true,socket=/x,num_queues=8", "/x", 4, "num_queues=8"),
        ("passt --vhost-user --socket /x", "/x", None, ""),
    ],
)
def test_queues_are_counted_as_the_program_counts_them(
    command: str, path: str, queues: int | None, said: str
) -> None:
    found = told(command, path, REGISTRY.devices)
    assert (found.queues, found.queues_said) == (queues, said)


def test_features_that_are_asked_for_are_named_with_their_bits() -> None:
    command = qemu(f"{CHARDEV} {CARD},packed=on,mq=on,host_mtu=9000,csum=off,iommu_platform=true")
    found = told(command, "/run/vu.sock", REGISTRY.devices)
    assert {wish.said: wish.mask for wish in found.wishes} == {
        "packed=on": 1 << 34,
        "iommu_platform=true": 1 << 33,
        "mq=on": 1 << 22,
        "host_mtu=9000": 1 << 3,
    }


def test_virtio_users_parameters_are_wishes_too() -> None:
    command = "dpdk-testpmd --vdev net_virtio_user0,path=/x,packed_vq=1,mrg_rxbuf=0 -- -i"
    found = told(command, "/x", REGISTRY.devices)
    assert [wish.feature for wish in found.wishes] == ["VIRTIO_F_RING_PACKED"]


def test_every_feature_of_the_tables_exists() -> None:
    known = {name for device in REGISTRY.devices for name in device.features.values()}
    known |= set(VIRTIO_FEATURES.values())
    assert {name for kind in DEVICE_WORDS for name in (kind.wishes or {}).values()} <= known


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (SHARED, ""),
        ("-object memory-backend-memfd,id=mem,size=256M -machine memory-backend=mem", ""),
        ("-object memory-backend-shm,id=mem,size=1G -numa node,memdev=mem", ""),
        (
            '-object {"qom-type":"memory-backend-file","id":"ram","share":true} -machine memory-backend=ram',
            "",
        ),
        ("", "there is no -object memory-backend-…,share=on"),
        ("-mem-path /dev/hugepages", "-mem-path alone is private"),
        (
            "-object memory-backend-memfd,id=mem,share=off -numa node,memdev=mem",
            "memory-backend-memfd has share=off",
        ),
        (
            "-object memory-backend-file,id=mem,mem-path=/x -numa node,memdev=mem",
            "memory-backend-file has no share=on",
        ),
        (
            "-object memory-backend-memfd,id=mem,share=on",
            "no -numa node,memdev= or -machine memory-backend= uses the memory object",
        ),
        ("-readconfig vm.cfg", ""),
    ],
)
def test_qemus_memory_is_shared_by_an_object_that_is_used(words: str, why: str) -> None:
    assert told(qemu(f"{words} {CHARDEV} {CARD}"), "/run/vu.sock", REGISTRY.devices).private == why


def test_a_command_line_that_was_cut_says_nothing_of_what_it_lacks() -> None:
    long = qemu(f"{CHARDEV} {CARD} -name " + "x" * 4096)
    assert told(long, "/run/vu.sock", REGISTRY.devices).private == ""


@pytest.mark.parametrize(
    ("memory", "why"),
    [("size=1G,shared=on", ""), ("size=1G,hugepages=on", ""), ("size=1G", "--memory has no shared=on")],
)
def test_cloud_hypervisors_memory(memory: str, why: str) -> None:
    command = f"cloud-hypervisor --memory {memory} --net vhost_user=true,socket=/x"
    assert told(command, "/x", REGISTRY.devices).private == why


TWO = (
    "-chardev socket,id=c0,path=/a/net.sock -netdev vhost-user,id=n0,chardev=c0"
    " -device virtio-net-pci,netdev=n0"
    " -chardev socket,id=c1,path=/a/blk.sock -device vhost-user-blk-pci,chardev=c1"
)


@pytest.mark.parametrize(
    ("words", "path", "device"),
    [
        (TWO, "/srv/root/a/blk.sock", "blk"),  # in a chroot, the end of the path is the same
        (TWO, "/a/net.sock", "net"),
        (TWO, "/elsewhere", "unknown"),  # which of the two?
        (f"{CHARDEV} {CARD}", "/elsewhere", "net"),  # there is one
        ("-chardev socket,id=c0,fd=9 -device vhost-user-fs-pci,chardev=c0", "/x", "fs"),
        (
            "-chardev socket,id=c0,path=front.sock -device vhost-user-rng-pci,chardev=c0",
            "/t/front.sock",
            "rng",
        ),
        (
            "-chardev socket,id=mon,path=/m -mon chardev=mon -chardev socket,id=c0,path=/y "
            "-device vhost-user-gpio-pci,chardev=c0",
            "/x",
            "gpio",
        ),
    ],
)
def test_the_device_is_found_across_chroots_and_containers(words: str, path: str, device: str) -> None:
    assert told(qemu(words), path, REGISTRY.devices).device.name == device


def test_a_path_that_looks_like_a_device_names_none() -> None:
    command = "virtiofsd --socket-path=/in/vhost-user-blk.sock"
    assert told(command, "/srv/in/vhost-user-blk.sock", REGISTRY.devices).device.name == "fs"
    assert relevant(command, "/srv/in/vhost-user-blk.sock") == "virtiofsd --socket-path --socket-path=…"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/bin/qemu-system-x86_64 -M q35", "qemu-system-x86_64"),
        ("/l/ld-linux-x86-64.so.2 --library-path /l /usr/bin/passt --vhost-user", "passt"),
        ("", ""),
    ],
)
def test_the_program_of_a_command_line(command: str, name: str) -> None:
    assert program_of(command) == name


def test_parameters_are_read_as_their_programs_write_them() -> None:
    assert values_of("vhost-user,id=n0,queues=2") == {"": "vhost-user", "id": "n0", "queues": "2"}
    assert values_of('{"driver":"virtio-net-pci","mq":true}')["mq"] == "on"
    assert values_of('{"driver":"virtio-net-pci"}')[""] == "virtio-net-pci"
    assert values_of("{not json") == {}


def test_both_sides_are_told_by_an_open_event() -> None:
    attributes = {
        "frontend_command": qemu(f"{SHARED} {CHARDEV} {CARD}"),
        "backend_command": "passt --socket /p",
    }
    opened = Event(0, 0, 1, EventKind.OPEN, "open", attributes=attributes)
    found = told_of(opened, REGISTRY.devices, Connection(0, "listen:/run/vu.sock", "connect:/p"))
    assert found[Side.FRONTEND].queues == 4
    assert found[Side.BACKEND].device.name == "net"
    assert found[Side.BACKEND].program == "passt"


def test_a_session_keeps_what_its_ends_were_told() -> None:
    attributes = {"frontend_command": qemu(f"{SHARED} {CHARDEV} {CARD}"), "backend_command": ""}
    opened = Event(0, 0, 1, EventKind.OPEN, "open", attributes=attributes)
    (row,) = Tracker(REGISTRY).rows([Connection(0, "listen:/run/vu.sock", "connect:/p"), opened])
    assert row.state.told[Side.FRONTEND].queues == 4
    assert row.state.told[Side.BACKEND].program == ""
