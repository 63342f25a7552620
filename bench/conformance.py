"""What `vutrace conform` says of the programs that Debian has: the table of docs/conformance.md.

    python bench/conformance.py [--list] [NAME ...]

A program that is not here is left out, and said; `make test` fetches those of later Debians. Each row of the
table is followed by what fails. It takes some minutes in all, of one processor.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "live"))

from lab import blkio_reader, debian_13, gpu, newer_qemu, sid, storage  # noqa: E402
from lab.devices import modules_of  # noqa: E402
from lab.dpdk import PROGRAM as TESTPMD  # noqa: E402
from lab.needs import OVS, lacking  # noqa: E402
from lab.ovs import Ovs  # noqa: E402
from lab.process import Lab  # noqa: E402
from lab.qemu import DISK, FILE_SYSTEM, network  # noqa: E402
from lab.qemu import SYSTEM as QEMU  # noqa: E402

Words = tuple[str, ...]
GUEST_MEMORY = (
    "-M", "q35,accel=tcg", "-cpu", "max", "-m", "256", "-no-reboot", "-nodefaults",
    "-display", "none", "-serial", "none",
    "-object", "memory-backend-memfd,id=mem,size=256M,share=on", "-numa", "node,memdev=mem",
    "-chardev", "socket,id=c0,path={socket}",
)  # fmt: skip
EAL = ("-l", "0,1", "--no-huge", "-m", "256", "--no-pci", "--file-prefix=conform")
PASST = (
    "--foreground", "--vhost-user", "--socket", "{socket}", "--ipv4-only", "--address", "192.0.2.15",
    "--netmask", "24", "--gateway", "192.0.2.1",
)  # fmt: skip
FORWARD = (
    "--", "--nb-cores=1", "--no-mlockall", "--total-num-mbufs=2048", "--auto-start", "--stats-period=1",
)  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """A program: how it is started in a directory (`{socket}` and `{dir}` in its words), and as what."""

    name: str
    words: Words
    options: Words = ()
    frontend: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def candidates() -> Iterator[Candidate]:
    """All that this machine has, and says what it has not."""
    yield from (each for each in all_of_them() if here(each))


def here(candidate: Candidate) -> bool:
    """Whether its program is there."""
    program = next(
        (word for word in candidate.words if word.startswith("/") and ".so" not in word), candidate.words[0]
    )
    lacks = lacking(program)
    if lacks:
        print(f"left out: {candidate.name}: {lacks[0]}", file=sys.stderr)
    return not lacks


def all_of_them() -> Iterator[Candidate]:
    """By kind, each in its versions."""
    later, ten, newest = debian_13.find(), newer_qemu.find(), sid.find()
    yield daemon("qemu-storage-daemon 7.2", ("qemu-storage-daemon",))
    if ten:
        yield daemon("qemu-storage-daemon 10", (f"{ten}/usr/bin/qemu-storage-daemon",))
    if newest:
        yield daemon("qemu-storage-daemon 11.1", sid.program(newest, "qemu-storage-daemon"))
    shared = ("--socket-path={socket}", "-o", "source={dir},sandbox=chroot")
    yield Candidate("virtiofsd of QEMU 7.2 (C)", (storage.VIRTIOFSD, *shared))
    if tree := gpu.find():
        program = (f"{tree}/usr/lib/qemu/vhost-user-gpu", "-s", "{socket}")
        libraries = {"LD_LIBRARY_PATH": f"{tree}/usr/lib/x86_64-linux-gnu"}
        yield Candidate("vhost-user-gpu of QEMU 7.2", program, environment=libraries)
    for tree, which in ((later, "1.13.2"), (newest, "1.14.0")):
        if tree:
            own = ("--socket-path", "{socket}", "--shared-dir", "{dir}", "--sandbox", "none")
            yield Candidate(f"virtiofsd {which} (Rust)", (*loaded(tree, "usr/libexec/virtiofsd"), *own))
            release = "Debian 13" if tree is later else "Debian sid"
            yield Candidate(f"passt of {release}", (*loaded(tree, "usr/bin/passt"), *PASST))
    if later:
        vsock = ("--guest-cid", "3", "--socket", "{socket}", "--uds-path", "{dir}/host.sock")
        yield Candidate("vhost-device-vsock 0.3", (*loaded(later, "usr/bin/vhost-device-vsock"), *vsock))
    for name, testpmd in versions_of_testpmd():
        device = "net_vhost0,iface={socket},iommu-support=1,postcopy-support=1"
        words = (*testpmd, *EAL, "--vdev", device, *FORWARD)
        yield Candidate(f"{name}, net_vhost", words, ("--share",))
        user = ("--vdev", "net_virtio_user0,path={socket},queues=1", *FORWARD, "--forward-mode=flowgen")
        yield Candidate(f"{name}, virtio-user", (*testpmd, *EAL, *user), frontend=True)
    for name, qemu in versions_of_qemu():
        for device, arguments in DEVICES.items():
            yield Candidate(
                f"{name}, {device}",
                (*qemu, *GUEST_MEMORY, *arguments),
                ("--device", device),
                True,
                modules_of(qemu),
            )
    if later:
        library = f"{later}/{debian_13.LIBRARIES}/libblkio.so.1"
        reader = (sys.executable, blkio_reader.__file__, library, "{socket}")
        yield Candidate("libblkio 1.5", reader, ("--device", "blk"), frontend=True)


DEVICES: Mapping[str, list[str]] = {
    "net": network(queues=1),
    "blk": DISK,
    "fs": FILE_SYSTEM,
    "rng": ["-device", "vhost-user-rng-pci,chardev=c0"],
    "scsi": ["-device", "vhost-user-scsi-pci,chardev=c0"],
    "vsock": ["-device", "vhost-user-vsock-pci,chardev=c0"],
}


def daemon(name: str, program: Words) -> Candidate:
    """A storage daemon with a disk of 1 MiB."""
    export = "vhost-user-blk,id=e0,node-name=d0,addr.type=unix,addr.path={socket},writable=on"
    return Candidate(
        name, (*program, "--blockdev", "file,node-name=d0,filename={dir}/disk.img", "--export", export)
    )


def loaded(tree: Path, program: str) -> Words:
    """A program of another Debian, on its own libraries."""
    libraries = f"{tree}/{sid.LIBRARIES}"
    return (f"{libraries}/ld-linux-x86-64.so.2", "--library-path", libraries, f"{tree}/{program}")


def versions_of_testpmd() -> Iterator[tuple[str, Words]]:
    """Debian 12's, sid's."""
    yield "dpdk-testpmd 22.11", TESTPMD
    if tree := sid.find():
        yield "dpdk-testpmd 25.11", sid.testpmd(tree)


def versions_of_qemu() -> Iterator[tuple[str, Words]]:
    """Debian 12's, that of its backports, sid's."""
    yield "QEMU 7.2", (QEMU,)
    if tree := newer_qemu.find():
        yield "QEMU 10", newer_qemu.command(tree)
    if tree := sid.find():
        yield "QEMU 11.1", sid.qemu(tree)


def put(candidate: Candidate, extra: Words) -> list[dict[str, str]]:
    """The results of all cases."""
    with tempfile.TemporaryDirectory(prefix="conform-") as directory:
        (Path(directory) / "disk.img").write_bytes(bytes(1 << 20))
        command = " ".join(word.replace("{dir}", directory) for word in candidate.words)
        kind = "frontend" if candidate.frontend else "backend"
        return results((kind, "--start", command, *candidate.options, *extra), candidate.environment)


def put_ovs(extra: Words) -> list[dict[str, str]]:
    """Open vSwitch connects to us, again and again; one process for all cases."""
    with Lab() as lab:
        path = lab.path("conform.sock")
        Ovs(lab).add_vhost_client("vhost0", path)
        return results(("backend", "--to", f"listen:{path}", *extra), {})


def results(words: Words, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """What a run prints as JSON; what it says instead where it cannot run."""
    command = [sys.executable, "-m", "vutrace", "conform", *words, "--json"]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    if ran.stderr:
        print(ran.stderr.strip(), file=sys.stderr)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def tell(name: str, found: list[dict[str, str]], seconds: float) -> None:
    """A row of the table, and what fails."""
    counts = Counter(kind_of(each) for each in found)
    cells = " | ".join(str(counts[kind]) for kind in ("pass", "fail", "should", "may", "skip"))
    print(f"| {name} | {cells} | {seconds:.0f} s |", flush=True)
    for each in found:
        if each["verdict"] == "fail" and kind_of(each) != "may":
            print(f"    {kind_of(each):6} {each['case']}: {each['came']} [{each['known'] or 'not known'}]")


def kind_of(result: dict[str, str]) -> str:
    """In which column a result counts."""
    if result["verdict"] != "fail":
        return result["verdict"]
    return "fail" if result["crash"] or result["level"] == "must" else result["level"]


def main() -> None:
    """Run those whose names have one of the words."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--list", action="store_true", help="the names")
    options.add_argument("names", nargs="*", help="only programs with one of these in their names")
    asked, extra = options.parse_known_args()
    runs: dict[str, Callable[[], list[dict[str, str]]]] = {
        each.name: lambda each=each: put(each, tuple(extra))
        for each in candidates()  # type: ignore[misc]
    }
    if not lacking(*OVS, cpus=2):
        runs["OVS-DPDK 3.1, dpdkvhostuserclient"] = lambda: put_ovs(tuple(extra))
    for name, run in runs.items():
        if asked.list:
            print(name)
        elif not asked.names or any(word in name for word in asked.names):
            began = time.monotonic()
            tell(name, run(), time.monotonic() - began)


if __name__ == "__main__":
    main()
