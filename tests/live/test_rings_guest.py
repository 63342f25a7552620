"""Rings of a real guest: its pings are frames of the capture, its disk's requests those that it counts."""

import re
import subprocess
from collections.abc import Mapping

import pytest
from lab import dpdk
from lab.guest import Guest
from lab.needs import GUEST, STORAGE, TESTPMD, needs
from lab.process import Lab
from lab.proxy import Proxy, start_proxy
from lab.qemu import DISK, Qemu, network, start_qemu
from lab.storage import start_storage_daemon

from vutrace.capture import read
from vutrace.dissection.registry import load
from vutrace.evidence.qmp import monitor_of, qemu_sessions
from vutrace.records import Event, EventKind, RingSample, Sample
from vutrace.rings.once import RingLook
from vutrace.session.tracker import Tracker

pytestmark = [pytest.mark.live, needs(*GUEST)]
PINGS, READS = 3, 24
FIRST = 100  # page of the disk at which the guest reads; nobody looks for partitions there


def frames(proxy: Proxy) -> list[str]:
    """The frames of all rings of a capture, in Wireshark's words."""
    words = ["tshark", "-r", str(proxy.capture), "-Y", "eth", "-T", "fields", "-e", "_ws.col.Info"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()


@needs(*TESTPMD, "tshark", cpus=2)
def test_the_frames_of_a_guest_that_pings_are_in_the_capture(lab: Lab, guest: Guest) -> None:
    dpdk.start_vhost(lab, lab.path("vhost.sock"), 1, False, "--forward-mode=icmpecho")
    words = ("--payload", "net", "--snaplen", "128", "--count-kicks")
    proxy = start_proxy(lab, lab.path("qemu.sock"), lab.path("vhost.sock"), *words)
    qemu = start_qemu(lab, guest, f"path={lab.path('qemu.sock')}", network(queues=1))
    qemu.wait_boot()
    qemu.run("ip address add 10.0.0.1/24 dev eth0; ip link set eth0 up")
    told = qemu.run(f"ping -c {PINGS} 10.0.0.2")
    statistics = "/sys/class/net/eth0/statistics"
    counts = qemu.run(f"cat {statistics}/rx_packets {statistics}/tx_packets")
    qemu.power_off()
    proxy.stop()

    assert f"{PINGS} packets transmitted, {PINGS} packets received" in told
    seen = frames(proxy)
    for way in ("request", "reply"):  # a buffer may have been used anew before it was read
        assert len({each for each in seen if f"Echo (ping) {way}" in each}) in (PINGS - 1, PINGS), seen
    said = re.search(r"payload: (\d+) frames kept, (\d+) came and went", proxy.program.output)
    assert said
    kept, missed = map(int, said.groups())
    assert len(seen) == kept
    passed = sum(map(int, counts.split()))
    assert passed <= kept + missed <= passed + 4  # those that the guest sent after it was asked


def samples(proxy: Proxy) -> list[RingSample]:
    """Those of all rings, so far."""
    return [ring for each in read(proxy.capture) if isinstance(each, Sample) for ring in each.rings]


def payload(proxy: Proxy) -> list[Mapping[str, str]]:
    """What is told of requests."""
    events = (each for each in read(proxy.capture) if isinstance(each, Event))
    return [each.attributes for each in events if each.kind is EventKind.PAYLOAD]


def counted(qemu: Qemu, proxy: Proxy) -> tuple[int, int, int, int]:
    """By the guest: requests read, and sectors; by vutrace: kicks and calls, once nothing moves any more."""
    reads, _, sectors = map(int, qemu.run("usleep 400000; cat /sys/block/vda/stat").split()[:3])
    latest = {each.ring: each for each in samples(proxy)}.values()
    return reads, sectors, sum(each.kick_total for each in latest), sum(each.call_total for each in latest)


def told_by_qemu(pid: int, monitor: str) -> int:
    """The used index of the disk's ring, which QEMU itself tells where to find."""
    assert monitor_of(pid) == monitor
    ((name, session),) = qemu_sessions(pid, monitor)
    assert name == "virtio-blk"
    look = RingLook(session, Tracker(load(), "blk"))
    (moved,) = look.moved()
    look.close()
    return moved.sample.used


@needs(*STORAGE)
def test_the_requests_of_a_disk_are_those_that_the_guest_counts(lab: Lab, guest: Guest) -> None:
    image = lab.path("disk.img")
    image.write_bytes(bytes(1 << 20))
    start_storage_daemon(lab, lab.path("qsd.sock"), image)
    words = ("--rings", "20ms", "--payload", "blk", "--count-kicks")
    proxy = start_proxy(lab, lab.path("qemu.sock"), lab.path("qsd.sock"), *words)
    monitor = lab.path("qmp.sock")
    device = [*DISK, "-qmp", f"unix:{monitor},server=on,wait=off"]
    qemu = start_qemu(lab, guest, f"path={lab.path('qemu.sock')}", device)
    qemu.wait_boot()
    qemu.run("echo 0 > /sys/block/vda/queue/read_ahead_kb")
    before = counted(qemu, proxy)
    pages = " ".join(str(FIRST + page) for page in range(READS))
    read_page = "dd if=/dev/vda of=/dev/null bs=4096 count=1 skip=$page 2>/dev/null; usleep 40000"
    qemu.run(f"for page in {pages}; do {read_page}; done")
    after = counted(qemu, proxy)
    assert told_by_qemu(qemu.program.pid, str(monitor)) == samples(proxy)[-1].used
    qemu.power_off()
    proxy.stop()

    requests, sectors, kicks, calls = (now - then for now, then in zip(after, before, strict=True))
    told = [each for each in payload(proxy) if int(each.get("sector", 0)) >= FIRST * 8]
    assert (len(told), sum(int(each["length"]) for each in told) // 512) == (requests, sectors)
    assert (requests, kicks, calls) == (READS, READS, READS)
    assert {each["type"] for each in told} == {"read"}
    assert {each["status"] for each in told} <= {"ok", "not readable"}
