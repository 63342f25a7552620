"""Every action of a rule between a guest's QEMU and testpmd, a session each."""

import re
import struct
from dataclasses import dataclass

import pytest
from lab import dpdk
from lab.guest import Guest
from lab.needs import GUEST, TESTPMD, needs
from lab.process import Lab, until
from lab.proxy import start_proxy
from lab.qemu import network, start_qemu

from vutrace.capture import read
from vutrace.records import Event, Frame

MRG_RXBUF = 1 << 15
BROADCAST, GUEST_MAC = b"\xff" * 6, bytes.fromhex("525400000001")
ARP_SIZE = 42
pytestmark = [pytest.mark.live, needs(*GUEST, *TESTPMD, cpus=2)]


@dataclass(frozen=True)
class Acted:
    """What rules do in a session, and what an end then prints."""

    rules: tuple[str, ...]
    who: str
    words: str


# Each ends its session, and testpmd connects anew. The first three act before there is a driver.
SESSIONS = [
    Acted(("GET_QUEUE_NUM : answer queue_num=0",), "qemu", "you are asking more queues than supported: 0"),
    Acted(("GET_FEATURES request when=first : half-close backend",), "vhost", "vhost peer closed"),
    Acted(
        ("SET_VRING_CALL when=first : close frontend after 15",),
        "vhost",
        "read control message failed",
    ),
    Acted(("SET_MEM_TABLE : answer error; close backend",), "qemu", "vhost_set_mem_table failed"),
    Acted(
        ("SET_MEM_TABLE request : fds 0=unmappable", "SET_MEM_TABLE reply : close backend"),
        "vhost",
        "mmap.*failed",
    ),
    Acted(
        ("SET_VRING_NUM when=first : fds add null",),
        "vhost",
        "expect 0 FDs for request VHOST_USER_SET_VRING_NUM, received 1",
    ),
    Acted(("SET_VRING_NUM when=first : set num=3",), "vhost", "invalid virtqueue size 3"),
    Acted(("SET_VRING_NUM when=first : resize 4096",), "vhost", "invalid msg size: 4096"),
    Acted(
        ("SET_VRING_NUM when=first : size -4",),
        "vhost",
        "allocate memory for vq|incorrect message|was not handled",
    ),
    Acted(("SET_VRING_ENABLE num=1 when=first : set index=300",), "vhost", "invalid vring index: 300"),
]
LAST = len(SESSIONS) + 1
# In the last one nothing ends: the device starts, and packets go.
HARMLESS = (
    "SET_OWNER : note the owner is set",
    "SET_MEM_TABLE request : hold until {go}",
    "SET_VRING_NUM when=first : swap",
    "SET_VRING_BASE when=first : duplicate",
    "SET_VRING_ADDR : delay 1ms..20ms",
    "SET_VRING_CALL when=first : slow 400B/s",
    "SET_VRING_KICK ring=0 : fds 0=closed-pipe",
    "SET_VRING_KICK ring=1 : fds 0=dead-eventfd",
)


def in_session(rule: str, number: int) -> str:
    """The rule for one session only."""
    match, _, action = rule.partition(" : ")
    return f"{match} session={number} : {action}"


def test_each_action_and_what_the_ends_say(lab: Lab, guest: Guest) -> None:
    front, back, go = lab.path("front.sock"), lab.path("back.sock"), lab.path("go")
    rules = [in_session(rule, number) for number, each in enumerate(SESSIONS, 1) for rule in each.rules]
    rules += [in_session(rule.format(go=go), LAST) for rule in HARMLESS]
    options = [word for rule in rules for word in ("--rule", rule)]
    legacy = network(queues=1, interrupts=",vectors=0,disable-modern=on")
    qemu = start_qemu(lab, guest, f"path={front},server=on,wait=off", legacy)
    qemu.program.wait_until(front.exists, 30, "listens")
    looks = "--payload", "net", "--mask-features", "-MRG_RXBUF"
    proxy = start_proxy(lab, f"connect:{front}", f"listen:{back}", *options, *looks)
    vhost = dpdk.start_vhost(lab, back, queues=1, client=True)
    # QEMU waits for its reply, and the guest for QEMU.
    proxy.program.wait_for(f"SET_MEM_TABLE waits until {go} is there", 120)
    go.touch()
    qemu.wait_boot()
    # The driver is one of before virtio 1.0: without MRG_RXBUF its header has 10 bytes, not 12.
    qemu.run("ip addr add 10.0.0.2/24 dev eth0 && ip link set eth0 up")
    frame = struct.pack("=II", ARP_SIZE, ARP_SIZE) + BROADCAST + GUEST_MAC
    until(
        lambda: qemu.run("arping -c 1 -w 1 -I eth0 10.0.0.1 || true") and frame in proxy.capture.read_bytes(),
        20,
        "",
    )
    features = qemu.run("cat /sys/bus/virtio/devices/virtio0/features")
    assert [features.strip()[bit] for bit in (15, 32)] == ["0", "0"]
    proxy.stop()
    assert "never matched" not in proxy.program.output
    said = {"qemu": qemu.program.output, "vhost": vhost.output}
    for each in SESSIONS:
        assert re.search(each.words, said[each.who]), each
    records = [*read(proxy.capture)]
    assert max(record.session for record in records if isinstance(record, Frame | Event)) == LAST
    assert any(isinstance(record, Event) and record.text == "the owner is set" for record in records)
