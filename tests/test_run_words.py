"""Which words of a command line mean a vhost-user socket, and what becomes of them."""

import shlex
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from vutrace.launch.between import names_of
from vutrace.launch.programs import SOCKET_OPTIONS
from vutrace.launch.sockets import changed_command, sockets_of
from vutrace.launch.table import GROUP, TableError, load_table
from vutrace.records import Side

QEMU = "qemu-system-x86_64 -netdev vhost-user,id=n0,chardev=c0,queues=2 -device virtio-net-pci,netdev=n0"
NESTED = (
    '{"id":"c0","backend":{"type":"socket","data":{"addr":{"type":"unix","data":{"path":"/r/s"}},'
    '"server":%s}}}'
)
EXPORT = '{"type":"vhost-user-blk","id":"e","node-name":"d","addr":{"type":"unix","path":"/r/s"}}'

TOLD = [
    # front-ends that connect
    (f"{QEMU} -chardev socket,id=c0,path=/r/s,reconnect=1", "front connects"),
    (f"{QEMU} --chardev socket,path=/r/s,id=c0,server=off", "front connects"),
    (f"{QEMU} -chardev '{NESTED % 'false'}'", "front connects"),
    ("qemu-kvm -chardev socket,id=a,path=/r/s -device '{\"driver\":\"vhost-user-fs-pci\",\"chardev\":\"a\"}'",
     "front connects"),
    ("kvm -chardev socket,id=a,path=/r/s -object vhost-user-backend,id=v,chardev=a", "front connects"),
    ("qemu-system-arm -blockdev virtio-blk-vhost-user,node-name=d,path=/r/s", "front connects"),
    ("qemu-img map --blockdev '{\"driver\":\"virtio-blk-vhost-user\",\"path\":\"/r/s\"}'", "front connects"),
    ("dpdk-testpmd --vdev net_virtio_user0,path=/r/s,queues=2 -- -i", "front connects"),
    ("app --vdev=virtio_user3,mac=52:54:00:00:00:01,path=/r/s", "front connects"),
    ("cloud-hypervisor --net mac=1,vhost_user=true,socket=/r/s,num_queues=4", "front connects"),
    ("cloud-hypervisor --disk path=a.raw vhost_user=on,socket=/r/s", "front connects"),
    ("cloud-hypervisor --fs tag=t,socket=/r/s,num_queues=1", "front connects"),
    ("crosvm run --vhost-user block,socket=/r/s bzImage", "front connects"),
    ("blkio-bench virtio-blk-vhost-user path=/r/s", "front connects"),
    ("nbdkit -U - blkio virtio-blk-vhost-user path=/r/s", "front connects"),
    ("fio --libblkio_driver=virtio-blk-vhost-user --libblkio_path=/r/s", "front connects"),
    # front-ends that listen
    (f"{QEMU} -chardev socket,id=c0,path=/r/s,server=on,wait=off", "front listens"),
    (f"{QEMU} -chardev socket,id=c0,path=/r/s,server,nowait", "front listens"),
    (f"{QEMU} -chardev '{NESTED % 'true'}'", "front listens"),
    ("dpdk-testpmd --vdev net_virtio_user0,path=/r/s,server=1", "front listens"),
    ("cloud-hypervisor --net vhost_user=true,socket=/r/s,vhost_mode=server", "front listens"),
    # back-ends that listen
    ("dpdk-testpmd -l 0 --vdev net_vhost0,iface=/r/s,queues=1 -- -i", "back listens"),
    ("app --vdev eth_vhost1,iface=/r/s,client=0", "back listens"),
    ("dpdk-vhost -l 0 -- --socket-file /r/s", "back listens"),
    ("/usr/libexec/virtiofsd --socket-path=/r/s --shared-dir=/srv", "back listens"),
    ("virtiofsd --socket-path /r/s -o source=/srv", "back listens"),
    ("qemu-storage-daemon --export vhost-user-blk,id=e,addr.type=unix,addr.path=/r/s", "back listens"),
    (f"qemu-storage-daemon --export '{EXPORT}'", "back listens"),
    ("vhost-device-vsock --guest-cid 3 --socket /r/s --uds-path /tmp/v", "back listens"),
    ("vhost-device-vsock --vm guest-cid=3,uds-path=/tmp/v,socket=/r/s", "back listens"),
    ("vhost-device-sound --socket /r/s --backend null", "back listens"),
    ("vhost-user-gpu -s /r/s", "back listens"),
    ("passt --foreground --vhost-user --socket /r/s", "back listens"),
    ("crosvm devices --block vhost=/r/s,path=disk.img", "back listens"),
    ("/lib/ld-linux-x86-64.so.2 --library-path /lib /usr/virtiofsd --socket-path /r/s", "back listens"),
    ("sudo -u nobody numactl -N 0 virtiofsd --socket-path=/r/s", "back listens"),
    # back-ends that connect
    ("dpdk-testpmd --vdev net_vhost0,iface=/r/s,client=1", "back connects"),
    ("dpdk-vhost -- --socket-file /r/s --client", "back connects"),
    ("ovs-vsctl add-port br0 v0 -- set Interface v0 type=dpdkvhostuserclient options:vhost-server-path=/r/s",
     "back connects"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "role"), TOLD, ids=[command.split()[0] for command, _ in TOLD])
def test_a_socket_is_found_and_changed(command: str, role: str) -> None:
    words = shlex.split(command)
    (found,) = sockets_of(words, SOCKET_OPTIONS)
    side = "front" if found.side is Side.FRONTEND else "back"
    assert (found.path, f"{side} {'listens' if found.listens else 'connects'}") == ("/r/s", role)
    changed = changed_command(words, [(found, "/p/s")])
    assert [new for new, old in zip(changed, words, strict=True) if new != old] == [found.changed("/p/s")]
    assert "/r/s" not in " ".join(changed)
    (again,) = sockets_of(changed, SOCKET_OPTIONS)
    assert (again.path, again.listens) == ("/p/s", found.listens)


@pytest.mark.parametrize(
    "command",
    [
        "qemu-system-x86_64 -S -no-user-config -machine none,accel=kvm:tcg -qmp unix:/q,server=on",
        "qemu-system-x86_64 -chardev socket,id=mon,path=/q,server=on -mon chardev=mon,mode=control",
        "qemu-system-x86_64 -chardev socket,id=s,path=/q -device virtio-serial -device virtconsole,chardev=s",
        f"{QEMU} -chardev stdio,id=c0",
        "dpdk-testpmd --vdev net_virtio_user0,path=/dev/vhost-net",
        "cloud-hypervisor --net tap=tap0 --api-socket /q",
        "qemu-storage-daemon --export nbd,id=e,node-name=d --nbd-server addr.type=unix,addr.path=/q",
        "passt --socket /q",
        "nbdkit -U - file path=/q",
        "sh -c true",
    ],
)
def test_what_is_no_vhost_user_socket_is_left_alone(command: str) -> None:
    assert sockets_of(shlex.split(command), SOCKET_OPTIONS) == []


@pytest.mark.parametrize(
    "command",
    [
        "virtiofsd --fd=29 --shared-dir=/srv",
        f"{QEMU} -chardev socket,id=c0,fd=29,server=on",
        "qemu-storage-daemon --export vhost-user-blk,id=e,node-name=d,addr.type=fd,addr.str=29",
    ],
)
def test_an_inherited_descriptor_is_found_and_keeps_its_number(command: str) -> None:
    words = shlex.split(command)
    (found,) = sockets_of(words, SOCKET_OPTIONS)
    assert found.fd == 29
    assert changed_command(words, [(found, "/p/s")]) == words


def test_a_comma_in_a_value_of_qemu_stays_one() -> None:
    words = shlex.split(f"{QEMU} -chardev socket,id=c0,path=/r/a,,b -name guest=a,,b")
    (found,) = sockets_of(words, SOCKET_OPTIONS)
    assert found.path == "/r/a,b"
    assert changed_command(words, [(found, "/p/s")])[-3:] == ["socket,id=c0,path=/p/s", "-name", "guest=a,,b"]


def test_several_sockets_of_one_command_have_names_of_their_own() -> None:
    words = shlex.split("cloud-hypervisor --net vhost_user=on,socket=/a/s vhost_user=on,socket=/b/s")
    found = sockets_of(words, SOCKET_OPTIONS)
    assert names_of(found, "/p") == ["/p/s", "/p/1"]
    changed = changed_command(words, list(zip(found, names_of(found, "/p"), strict=True)))
    assert changed[2:] == ["vhost_user=on,socket=/p/s", "vhost_user=on,socket=/p/1"]


def test_numbered_sockets_are_all_expected() -> None:
    (found,) = sockets_of(shlex.split("vhost-device-gpio -s /r/s -c 2 -l 0:1"), SOCKET_OPTIONS)
    assert found.endings == ("", "0", "1")


def test_a_file_brings_rows_that_come_first(tmp_path: Path) -> None:
    path = tmp_path / "acme.py"
    path.write_text(
        "from vutrace.plugin import SocketOption, Side\n"
        "ROWS = [SocketOption('acme.*', ('vhu',), Side.BACKEND, True, path='at')]\n"
    )
    table, _ = load_table([path])
    (found,) = sockets_of(["acme-switch", "--vhu", "port0,at=/r/s"], table)
    assert found.path == "/r/s"
    assert len(table) == 1 + len(SOCKET_OPTIONS)


def test_plug_ins_bring_rows_and_one_that_fails_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        EntryPoint("good", "program_rows:ROW", GROUP),
        EntryPoint("bad", "program_rows:NOTHING", GROUP),
    ]
    module = ModuleType("program_rows")
    module.ROW = SOCKET_OPTIONS[0]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "program_rows", module)
    monkeypatch.setattr("vutrace.launch.table.entry_points", lambda group: entries)
    table, troubles = load_table()
    assert table == [SOCKET_OPTIONS[0], *SOCKET_OPTIONS]
    assert len(troubles) == 1
    assert troubles[0].startswith("plug-in bad: AttributeError: ")


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.py").touch()
    with pytest.raises(TableError, match="defines no"):
        load_table([tmp_path / "empty.py"])
