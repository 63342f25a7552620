"""Devices that Debian has a front-end for and no back-end, or a back-end that is only unpacked.

The model back-end takes the place of the missing ones: it negotiates and answers as a real one, and
never works on a request. vhost-user-gpu is QEMU's own and really draws.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab import newer_qemu
from lab.process import Lab, Program
from lab.qemu import SYSTEM, Qemu
from vutrace.dissection.message import Message
from vutrace.peers import BackEnd, Journal, Offer, PeerConnection, Server
from vutrace.peers.encode import encode_reply
from vutrace.protocol.payloads import Ack, Config
from vutrace.sockets.framed import PeerError, close_all

LIBRARIES = "usr/lib/x86_64-linux-gnu"

# INDIRECT_DESC, EVENT_IDX, PROTOCOL_FEATURES, VERSION_1
GENERIC = 1 << 28 | 1 << 29 | 1 << 30 | 1 << 32
MQ, REPLY_ACK, CONFIG, RESET_DEVICE = 1 << 0, 1 << 3, 1 << 9, 1 << 13


@dataclass(frozen=True)
class Model:
    """A device that QEMU has: what a back-end of it offers, and the message its exchange ends with."""

    name: str
    options: str
    offer: Offer
    last: int
    times: int = 1

    @property
    def arguments(self) -> list[str]:
        """QEMU's -device."""
        return ["-device", f"{self.options},chardev=c0"]


def model(
    name: str, last: int, times: int = 1, own: int = 0, protocol: int = 0, config: bytes = b""
) -> Model:
    """One whose QEMU device is vhost-user-NAME-pci; `own` are its feature bits."""
    offer = Offer(GENERIC | own, MQ | REPLY_ACK | protocol, 4, config)
    return Model(name, f"vhost-user-{name}-pci", offer, last, times)


SET_VRING_CALL, SET_VRING_ERR, SET_VRING_ENABLE, GET_CONFIG, SET_CONFIG = 13, 14, 18, 24, 25
MODELS = (
    model("scsi", SET_VRING_CALL, 6, own=0b10, protocol=RESET_DEVICE),  # SeaBIOS starts its disks
    model("i2c", SET_VRING_ERR, own=0b1),
    model("gpio", GET_CONFIG, own=0b1, protocol=CONFIG, config=struct.pack("<HHI", 8, 0, 0)),
)
# What the guest's kernel has drivers for: its rings are started.
DRIVEN = (
    model("vsock", SET_VRING_ENABLE, 2, protocol=CONFIG, config=struct.pack("<Q", 3)),
    model("rng", SET_VRING_ENABLE),
)
# A jack, two streams, a channel map: QEMU 10's newest front-end. It asks no question of its own.
SOUND = model("snd", SET_VRING_ERR, 4, protocol=CONFIG, config=struct.pack("<III", 1, 2, 1))


def start_firmware(lab: Lab, path: Path, *arguments: str, program: tuple[str, ...] = (SYSTEM,)) -> Qemu:
    """QEMU with nothing to boot: what its device says by itself, and what the firmware does with it."""
    trace = lab.path("qemu-trace.log")
    started = lab.start(
        "qemu", *program, "-M", "q35,accel=tcg", "-cpu", "max", "-m", "256", "-no-reboot", "-nodefaults",
        "-object", "memory-backend-memfd,id=mem,size=256M,share=on", "-numa", "node,memdev=mem",
        "-display", "none", "-serial", "none",
        "-chardev", f"socket,id=c0,path={path}", *arguments,
        "-trace", "vhost_user*", "-D", trace,
        env=modules_of(program),
    )  # fmt: skip
    return Qemu(started, trace)


def modules_of(program: tuple[str, ...]) -> dict[str, str]:
    """A QEMU that is only unpacked finds its own modules, not those of the installed one."""
    unpacked = Path(program[0]).is_absolute()
    return {"QEMU_MODULE_DIR": str(Path(program[0]).parents[2] / LIBRARIES / "qemu")} if unpacked else {}


def start_gpu(lab: Lab, tree: Path, path: Path) -> Program:
    """Start vhost-user-gpu without virgl; returns when it listens."""
    lab.path("gpu").symlink_to(tree)
    libraries = {"LD_LIBRARY_PATH": str(tree / LIBRARIES)}
    program = lab.start(
        "vhost-user-gpu", lab.path("gpu") / "usr/lib/qemu/vhost-user-gpu", "-s", path, env=libraries
    )
    program.wait_until(path.exists, 30, f"listens on {path}")
    return program


def start_drawing(lab: Lab, tree: Path, path: Path) -> Qemu:
    """QEMU 10 with OVMF, whose driver puts its screen on the device. (7.2 wants KVM for this device.)"""
    variables = lab.path("variables.fd")
    variables.write_bytes((tree / "usr/share/OVMF/OVMF_VARS_4M.fd").read_bytes())
    firmware = lab.path("gpu") / "usr/share/OVMF/OVMF_CODE_4M.fd"
    return start_firmware(
        lab,
        path,
        "-drive", f"if=pflash,format=raw,readonly=on,file={firmware}",
        "-drive", f"if=pflash,format=raw,file={variables}",
        "-device", "vhost-user-gpu-pci,chardev=c0",
        program=qemu_10(lab),
    )  # fmt: skip


def qemu_10(lab: Lab) -> tuple[str, ...]:
    """How to call QEMU 10 by a path that tells nothing of this machine."""
    lab.path("qemu-10").symlink_to(newer_qemu.find() or "")
    return newer_qemu.command(lab.path("qemu-10"))


@dataclass
class Tablet:
    """virtio-input's configuration space: what select and subsel ask for (virtio, "Input Device")."""

    answers: Mapping[tuple[int, int], bytes]
    asked: tuple[int, int] = field(default=(0, 0))

    def space(self) -> bytes:
        """All 136 bytes of it."""
        answer = self.answers.get(self.asked, b"")
        return (bytes([*self.asked, len(answer)]) + bytes(5) + answer).ljust(136, b"\0")


# A name, ids, two buttons and an axis.
TABLET = {
    (0x01, 0): b"vutrace tablet",
    (0x03, 0): struct.pack("<4H", 6, 0x627, 3, 1),
    (0x11, 1): bytes(34) + b"\3",  # KEY: BTN_LEFT, BTN_RIGHT
    (0x11, 3): b"\1",  # ABS: X
    (0x12, 0): struct.pack("<5I", 0, 0x7FFF, 0, 0, 0),
}


RINGS = 2  # events and status


class InputBackEnd(BackEnd):
    """The model back-end with a configuration space that answers questions."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(Offer(GENERIC, MQ | REPLY_ACK | CONFIG, RINGS), journal.add)
        self.tablet = Tablet(TABLET)

    def handle(self, message: Message, fds: list[int]) -> bytes | None:
        """GET_CONFIG and SET_CONFIG here, everything else as ever."""
        if message.name not in ("GET_CONFIG", "SET_CONFIG"):
            return super().handle(message, fds)
        offset, size = message.number_in("offset") or 0, message.number_in("size") or 0
        if message.name == "SET_CONFIG":
            data = message.fields["data"]
            assert isinstance(data, bytes)
            self.tablet.asked = (data[0], data[1])
            return encode_reply(message.spec, Ack(status=0)) if message.need_reply else None
        data = self.tablet.space()[offset : offset + size]
        return encode_reply(message.spec, Config(offset=offset, size=size, data=data))


class InputServer(Server):
    """Its socket."""

    def _serve(self, end: object) -> None:
        connection = self.connection(end)  # type: ignore[arg-type]
        self._connections.append(connection)
        backend = InputBackEnd(self.journal)
        try:
            answer_all(backend, connection)
        except PeerError as error:
            self.journal.add(str(error))
        finally:
            backend.close()
            connection.close()
            self._connections.remove(connection)


def answer_all(backend: BackEnd, connection: PeerConnection) -> None:
    """Answer until the front-end closes."""
    while received := connection.receive("a request"):
        reply = backend.handle(received.message, received.fds)
        close_all(received.fds)
        if reply is not None:
            connection.send(reply, (), f"the reply to {received.message.name}")
