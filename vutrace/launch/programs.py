"""Which words of which program mean a vhost-user socket. A fact of a program is a row here, or in a plug-in.

Sources: QEMU 11.1 (chardev/char-socket.c, qemu-options.hx, storage-daemon), DPDK 25.11 (drivers/net/vhost,
drivers/net/virtio, examples), virtiofsd 1.13 and QEMU's up to 7.2, vhost-device 0.3, cloud-hypervisor 48,
crosvm's book, libblkio 1.5, passt.
"""

from collections.abc import Sequence

from vutrace.launch.options import ANY, ANY_PROGRAM, OFF, ON, ArgumentWord, SocketOption
from vutrace.launch.parameters import Parameters
from vutrace.records import Side

FRONTEND, BACKEND = Side.FRONTEND, Side.BACKEND
QEMU = r"qemu-system-.*|qemu-kvm|kvm"
QEMU_TOOLS = rf"{QEMU}|qemu-storage-daemon|qemu-img|qemu-io|qemu-nbd"
ADDRESS = "backend.data.addr.data"
BLKIO = "virtio-blk-vhost-user"
NUMBERED = r"vhost-device-(can|console|gpio|i2c|input|rng|spi)"
DPDK_EXAMPLES = r"(dpdk-)?vhost(_blk|_crypto)?|(dpdk-)?vdpa"


def used_by_vhost_user(chardev: Parameters, words: Sequence[ArgumentWord]) -> bool:
    """Whether a device, a network or an object of QEMU's that speaks vhost-user has this chardev."""
    name = chardev.get("id")
    users = (word.parameters for word in words if word.option in ("device", "netdev", "object", "net"))
    return bool(name) and any("vhost-user" in each.get("") and each.get("chardev") == name for each in users)


def blkio(_word: Parameters, words: Sequence[ArgumentWord]) -> bool:
    """Whether libblkio's driver for vhost-user is named."""
    return any(word.text == BLKIO for word in words)


OVS_PATH = "options:vhost-server-path"

SOCKET_OPTIONS: tuple[SocketOption, ...] = (
    SocketOption(
        QEMU, ("chardev",), FRONTEND, False, path="path", fd="fd",
        requires={"": "socket"}, turned=("server", ON), wanted=used_by_vhost_user,
    ),
    SocketOption(
        QEMU, ("chardev",), FRONTEND, True, path=f"{ADDRESS}.path", fd=f"{ADDRESS}.str",
        requires={"backend.type": "socket"}, turned=("backend.data.server", OFF), wanted=used_by_vhost_user,
    ),
    SocketOption(QEMU_TOOLS, ("blockdev",), FRONTEND, False, path="path", requires={"": BLKIO}),
    SocketOption(
        "qemu-storage-daemon", ("export",), BACKEND, True, path="addr.path", fd="addr.str",
        requires={"": "vhost-user-.*"},
    ),
    SocketOption(
        ANY_PROGRAM, ("vdev",), BACKEND, True, path="iface",
        requires={"": r"(net|eth)_vhost\d*"}, turned=("client", "1"),
    ),
    SocketOption(
        ANY_PROGRAM, ("vdev",), FRONTEND, False, path="path",
        requires={"": r"(net_|crypto_)?virtio_user\d*", "path": r"(?!/dev/).+"}, turned=("server", "1"),
    ),
    SocketOption(
        DPDK_EXAMPLES, ("socket-file",), BACKEND, True, path="", whole=True, turned_by=("client",),
    ),
    SocketOption(r".*virtiofsd", ("socket-path",), BACKEND, True, path="", whole=True),
    SocketOption(r".*virtiofsd", ("fd",), BACKEND, True, fd="", whole=True),
    SocketOption(NUMBERED, ("socket-path", "s"), BACKEND, True, path="", whole=True, numbered=True),
    SocketOption(r"vhost-device-.*", ("socket-path", "socket", "s"), BACKEND, True, path="", whole=True),
    SocketOption(r"vhost-device-vsock", ("vm",), BACKEND, True, path="socket", requires={"socket": ".+"}),
    SocketOption(r"vhost-user-\w+", ("socket-path", "s", "u"), BACKEND, True, path="", whole=True),
    SocketOption(r"vhost-user-\w+", ("fd", "f"), BACKEND, True, fd="", whole=True),
    SocketOption(
        "cloud-hypervisor.*", ("net", "disk"), FRONTEND, False, path="socket",
        requires={"vhost_user": ON, "socket": ".+"}, turned=("vhost_mode", "server"),
    ),
    SocketOption(
        "cloud-hypervisor.*", ("fs", "generic-vhost-user"), FRONTEND, False, path="socket",
        requires={"socket": ".+"},
    ),
    SocketOption("crosvm", ("vhost-user",), FRONTEND, False, path="socket", requires={"socket": ".+"}),
    SocketOption(
        "crosvm", ("block", "net", "console", "serial", "input", "vsock", "fs", "gpu", "snd"), BACKEND, True,
        path="vhost", requires={"vhost": ".+"},
    ),
    SocketOption("ovs-vsctl", (ANY,), BACKEND, False, path=OVS_PATH, requires={OVS_PATH: ".+"}),
    SocketOption("passt.*", ("socket", "s"), BACKEND, True, path="", whole=True,
                 wanted=lambda _, words: any(word.text == "--vhost-user" for word in words)),
    SocketOption("fio", ("libblkio_path",), FRONTEND, False, path="", whole=True, wanted=blkio),
    SocketOption(
        r"nbdkit|blkio-.*", (ANY,), FRONTEND, False, path="path", requires={"path": ".+"}, wanted=blkio,
    ),
)  # fmt: skip
"""The first that fits a word counts."""

NOT_HERE = {
    "ovs-vsctl": "it only tells the switch: vutrace proxy --insert {} traces what the switch has",
    "virsh": "it only tells libvirtd: see the wrapper for <emulator> in docs/run.md",
}
"""Programs that speak of sockets which others have, and what to do instead; {} is the socket."""
