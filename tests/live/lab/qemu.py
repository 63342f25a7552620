"""QEMU as a front-end: the command line, the guest's console, and its own record of the messages."""

import re
from pathlib import Path

from lab.guest import Guest
from lab.messages import Message
from lab.process import Lab, Program

SYSTEM = "qemu-system-x86_64"
BOOT_TIMEOUT = 120  # a loaded machine without KVM; it takes about 10 s
TRACE = re.compile(r"vhost_user_(read|write) +req:(\d+)(?: \(\w+\))? flags:0x([0-9a-f]+)")


class Qemu:
    """A guest under emulation, with one vhost-user device."""

    def __init__(self, program: Program, trace: Path) -> None:
        self.program = program
        self.trace = trace

    def wait_boot(self) -> None:
        """Wait until the guest's console takes commands."""
        self.program.wait_for("^guest is ready", BOOT_TIMEOUT)

    def run(self, command: str, timeout: float = 60) -> str:
        """Run a shell command in the guest; what it printed."""
        start = len(self.program.output)
        self.program.type(f'{{ {command}; }} 2>&1; echo "[exit $?]"\n')
        answer = self.program.wait_for(r"\[exit (\d+)\]", timeout, start)
        output = self.program.output[start : start + answer.start()].replace("\r", "")
        assert answer[1] == "0", f"in the guest: {command}: exit {answer[1]}: {output}"
        return output

    def power_off(self) -> None:
        """End the guest's shell, which powers the machine off, and wait for QEMU to exit."""
        self.program.type("poweroff -f\n")
        assert self.program.wait_exit(60) == 0, self.program.tail()

    def messages(self) -> list[Message]:
        """What QEMU says that it wrote and read on the main channel, in order."""
        return [
            Message("frontend" if what == "write" else "backend", int(request), int(flags, 16))
            for what, request, flags in TRACE.findall(self.trace.read_text())
        ]


DISK = ["-device", "vhost-user-blk-pci,chardev=c0"]
FILE_SYSTEM = ["-device", "vhost-user-fs-pci,chardev=c0,tag=lab"]


def network(queues: int, interrupts: str = ",vectors=0") -> list[str]:
    """A network card with `queues` pairs; vectors=0, for 7.2 under TCG crashes in its MSI-X code."""
    return [
        "-netdev", f"vhost-user,id=n0,chardev=c0,queues={queues}",
        "-device", f"virtio-net-pci,netdev=n0,mq=on,mac=52:54:00:00:00:01{interrupts}",
    ]  # fmt: skip


def start_qemu(
    lab: Lab,
    guest: Guest,
    chardev: str,
    device: list[str],
    program: tuple[str, ...] = (SYSTEM,),
) -> Qemu:
    """Start QEMU; `chardev` are the socket's options (`path=S`, `path=S,server=on,wait=off`, …)."""
    trace = lab.path("qemu-trace.log")
    started = lab.start(
        "qemu", *program, "-M", "q35,accel=tcg", "-cpu", "max", "-m", "256", "-no-reboot", "-nodefaults",
        "-object", "memory-backend-memfd,id=mem,size=256M,share=on", "-numa", "node,memdev=mem",
        "-display", "none", "-serial", "stdio",
        "-kernel", guest.kernel, "-initrd", guest.initrd, "-append", "console=ttyS0 quiet panic=-1",
        "-chardev", f"socket,id=c0,{chardev}", *device,
        "-trace", "vhost_user*", "-D", trace,
    )  # fmt: skip
    return Qemu(started, trace)
