"""Which program speaks: by its command line, by the features it offers, by its habits.

The rows are what is known of implementations; the versions are the first that do so, from the history of
their sources. A message is named here as its spec has it, since a habit is about one message of one program.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from vutrace.protocol.bits import PROTOCOL_FEATURES
from vutrace.records import Side
from vutrace.session.command_line import program_of


class Certainty(StrEnum):
    """How sure it is."""

    CERTAIN = "certain"  # its command line
    LIKELY = "likely"  # nothing else that is known does so
    POSSIBLE = "possible"  # others may as well


@dataclass(frozen=True, slots=True)
class Implementation:
    """A program that speaks vhost-user.

    `name` is that of a profile (`qemu`), `version` a range in words ("7.2 to 8.0") or "", `reason` what it
    was recognised by.
    """

    name: str
    version: str
    reason: str
    certainty: Certainty

    @property
    def text(self) -> str:
        """In words: "QEMU 7.2 to 8.0"."""
        return " ".join(filter(None, (TITLES.get(self.name, self.name), self.version)))


TITLES = {
    "qemu": "QEMU",
    "dpdk": "DPDK vhost",
    "virtio-user": "DPDK virtio-user",
    "ovs": "OVS",
    "spdk": "SPDK",
    "libvhost-user": "libvhost-user",
    "rust-vmm": "rust-vmm",
    "libblkio": "libblkio",
    "passt": "passt",
    "cloud-hypervisor": "cloud-hypervisor",
    "firecracker": "Firecracker",
    "libkrun": "libkrun",
    "crosvm": "crosvm",
    "vpp": "VPP",
    "vutrace": "vutrace's model",
}

# A pattern for the program's name, and for its command line where the name leaves it open.
PROGRAMS: Mapping[Side, tuple[tuple[str, str, str], ...]] = {
    Side.FRONTEND: (
        (r"qemu-(system-|kvm)|kvm$", "", "qemu"),
        (r"cloud-hyperviso", "", "cloud-hypervisor"),
        (r"firecracker", "", "firecracker"),
        (r"crosvm", "", "crosvm"),
        (r"krun", "", "libkrun"),
        (r"", r"\b(net_)?virtio_user\d", "virtio-user"),
        (r"spdk|reactor_\d", "", "spdk"),
        (r"", r"\blibblkio\b|\bnbd_?blkio\b", "libblkio"),
        (r"vutrace", "", "vutrace"),
    ),
    Side.BACKEND: (
        (r"qemu-storage-da|vhost-user-(gpu|blk|scsi|input|bridge|vsock)", "", "libvhost-user"),
        (r"ovs-vswitchd", "", "ovs"),
        (r"", r"\b(net|eth)_vhost\d", "dpdk"),
        (r"dpdk|testpmd", "", "dpdk"),
        (r"vhost$|spdk|reactor_\d|nvmf_tgt", "", "spdk"),
        (r"virtiofsd", r"/lib/qemu/|\s-o\s", "libvhost-user"),
        (r"virtiofsd|vhost-device-|vhost-user-", "", "rust-vmm"),
        (r"crosvm", "", "crosvm"),
        (r"passt|pasta", "", "passt"),
        (r"vpp", "", "vpp"),
        (r"cloud-hyperviso|vhost_user_(net|blk)", "", "rust-vmm"),
        (r"vutrace", "", "vutrace"),
    ),
}

DPDK = 0x0CBF
LATER_DPDK = {0x8000: "26.07", 0x10000: "20.08"}
FREE_IN_DPDK = 0x100 | sum(LATER_DPDK)  # postcopy is the application's, the others came later
LIBVHOST_USER = 0x0C2B  # of every version since 4.0
QEMU_KNOWS = {"CONFIGURE_MEM_SLOTS": "5.1", "STATUS": "7.2", "SHARED_OBJECT": "8.2", "DEVICE_STATE": "8.2"}


@lru_cache(4096)  # the same two peers come back in every session
def by_command(side: Side, command: str, name: str) -> Implementation | None:
    """The implementation that a process's command line tells; `name` is the process's own."""
    program = program_of(command) or name
    for pattern, line, known in PROGRAMS[side]:
        told = re.match(pattern, program) if pattern else program
        if told and (not line or re.search(line, command)):
            reason = f"the {side.words} is {program}"
            return Implementation(
                known, machine(command) if known == "qemu" else "", reason, Certainty.CERTAIN
            )
    return None


def machine(command: str) -> str:
    """The least version that can have the machine type of QEMU's command line."""
    found = re.search(r"\b(?:pc-(?:q35|i440fx)|virt|pseries)-(\d+\.\d+)\b", command)
    return f"{found[1]} or later" if found else ""


def by_offer(offered: int) -> Implementation | None:
    """The back-end that offers these protocol features."""
    for name, version, fits in OFFERS:
        if fits(offered):
            reason = f"protocol features {offered:#x} are offered"
            certainty = Certainty.LIKELY if offered.bit_count() > 3 else Certainty.POSSIBLE
            return Implementation(name, version(offered), reason, certainty)
    return None


def dpdk_version(offered: int) -> str:
    """The releases of DPDK that offer them."""
    known = [version for bit, version in LATER_DPDK.items() if offered & bit]
    return f"{max(known)} or later" if known else "before 20.08"


def unknown(_offered: int) -> str:
    """No version can be told."""
    return ""


BITS = {name: 1 << number for number, name in PROTOCOL_FEATURES.items()}
# The most particular first.
OFFERS: tuple[tuple[str, Callable[[int], str], Callable[[int], bool]], ...] = (
    ("dpdk", dpdk_version, lambda offered: offered & ~FREE_IN_DPDK == DPDK),
    (
        "spdk",
        unknown,
        lambda offered: offered & ~(FREE_IN_DPDK | BITS["CONFIG"]) == DPDK | BITS["INFLIGHT_SHMFD"],
    ),
    ("passt", unknown, lambda offered: offered in (0x8, 0xA, 0xE, 0x8000A, 0x8000E)),
    ("vpp", unknown, lambda offered: offered == BITS["MQ"] | BITS["LOG_SHMFD"]),
    (
        "libvhost-user",
        unknown,
        lambda offered: offered & LIBVHOST_USER == LIBVHOST_USER and not offered & BITS["STATUS"],
    ),
    (
        "rust-vmm",
        unknown,
        lambda offered: (
            not offered & (BITS["HOST_NOTIFIER"] | BITS["RARP"] | BITS["STATUS"])
            and bool(offered & (BITS["DEVICE_STATE"] | BITS["RESET_DEVICE"]))
        ),
    ),
    ("crosvm", unknown, lambda offered: offered & ~BITS["SHMEM"] == 0x80221),
)
