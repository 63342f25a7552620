"""Rules that act between real programs, and what the ends then say."""

import re
from pathlib import Path

import pytest
from lab import dpdk
from lab.needs import TESTPMD, needs
from lab.process import Lab, Program, run, until
from lab.proxy import VUTRACE, Proxy, start_proxy
from lab.qemu import SYSTEM

from vutrace.capture import read
from vutrace.records import Deed, Event, EventKind, Frame

MRG_RXBUF = 1 << 15
pytestmark = [pytest.mark.live, needs(SYSTEM, *TESTPMD, cpus=2)]


def between(lab: Lab, *options: str) -> tuple[Program, Proxy, Path]:
    """testpmd, vutrace with rules before it, and where a front-end connects."""
    front, back = lab.path("front.sock"), lab.path("back.sock")
    return dpdk.start_vhost(lab, back, queues=1), start_proxy(lab, front, back, *options), front


def judged(proxy: Proxy) -> str:
    """What `check` says, on one line."""
    proxy.stop()
    assert "never matched" not in proxy.program.output
    return " ".join(run("sh", "-c", f"{VUTRACE} check {proxy.capture} || true").split())


@dpdk.patiently
def test_masked_features_and_a_delayed_kick(lab: Lab) -> None:
    front, back = lab.path("front.sock"), lab.path("back.sock")
    vhost = dpdk.start_vhost(lab, back)
    rules = "--mask-features", "-MRG_RXBUF", "--rule", "SET_VRING_KICK ring=1 : delay 500ms"
    proxy = start_proxy(lab, front, back, *rules)
    virtio_user = dpdk.start_virtio_user(lab, front)
    virtio_user.wait_for("RX-packets: [1-9]", 60)
    dpdk.stop(virtio_user)
    vhost.wait_for("vhost peer closed", 20)
    proxy.stop()
    assert "never matched" not in proxy.program.output
    negotiated = re.findall(r"negotiated Virtio features: (0x[0-9a-f]+)", vhost.output)
    assert negotiated
    assert not any(int(mask, 16) & MRG_RXBUF for mask in negotiated)
    frames = [record for record in read(proxy.capture) if isinstance(record, Frame) and record.acted]
    kicks = [frame for frame in frames if frame.acted and frame.acted.deed is Deed.HELD]
    assert kicks
    assert all(0.4e9 < kick.time_ns - kick.acted.came_ns < 2e9 for kick in kicks if kick.acted)
    assert any(frame.acted and frame.acted.deed is Deed.CHANGED for frame in frames)


# The rule, what testpmd's vhost or virtio-user then says, and `check`.
SAID = {
    "SET_MEM_TABLE request : fds none": (
        "vhost",
        "expect 1 FDs for request VHOST_USER_SET_MEM_TABLE, received 0",
        "frame.descriptor-count",
    ),
    "SET_MEM_TABLE request : fds 0=smaller": ("vhost", "", "was killed (SIGBUS)"),
    "GET_FEATURES reply when=first : duplicate": (
        "virtio-user",
        "virtio_user_dev_init fails",
        "reply.unasked",
    ),
}


@pytest.mark.parametrize("rule", SAID)
def test_what_testpmd_says_of_a_rule(lab: Lab, rule: str) -> None:
    who, words, verdict = SAID[rule]
    vhost, proxy, front = between(lab, "--rule", rule)
    virtio_user = dpdk.start_virtio_user(lab, front, queues=1)
    wait_acted(proxy)
    program = vhost if who == "vhost" else virtio_user
    until(lambda: words in program.output if words else not program.running, 30, f"{who} says it")
    until(lambda: sessions(proxy, EventKind.CLOSE) or program.running, 10, "the session ends")
    assert verdict in judged(proxy)


def wait_acted(proxy: Proxy) -> None:
    """Until a rule has done something."""

    def acted() -> bool:
        return proxy.capture.exists() and any(map(is_acted, read(proxy.capture)))

    proxy.program.wait_until(acted, 60, "acts")


def is_acted(record: object) -> bool:
    """Whether a rule did something to it."""
    if isinstance(record, Event):
        return record.kind is EventKind.DROPPED
    return isinstance(record, Frame) and record.acted is not None


def sessions(proxy: Proxy, kind: EventKind) -> int:
    """How many sessions there are in the capture that opened, or closed."""
    there = read(proxy.capture) if proxy.capture.exists() else ()
    return sum(isinstance(each, Event) and each.kind is kind for each in there)


def start_firmware(lab: Lab, chardev: str) -> Program:
    """QEMU with nothing but its firmware, which starts a network card to boot from."""
    return lab.start(
        "qemu", SYSTEM, "-M", "q35,accel=tcg", "-m", "256", "-no-reboot", "-nodefaults",
        "-object", "memory-backend-memfd,id=mem,size=256M,share=on", "-numa", "node,memdev=mem",
        "-display", "none", "-chardev", f"socket,id=c0,{chardev}",
        "-netdev", "vhost-user,id=n0,chardev=c0",
        "-device", "virtio-net-pci,netdev=n0,vectors=0", "-boot", "n",
    )  # fmt: skip


def test_qemu_hangs_without_the_reply_to_its_memory_table(lab: Lab) -> None:
    _, proxy, front = between(lab, "--rule", "SET_MEM_TABLE reply when=first : drop")
    qemu = start_firmware(lab, f"path={front}")
    wait_acted(proxy)
    stalled = "a rule dropped SET_MEM_TABLE, or its reply"
    proxy.program.wait_until(lambda: stalled in proxy.program.output, 10, "tells that somebody waits")
    assert qemu.running
    assert "never came: a rule of vutrace's dropped its reply" in judged(proxy)


def test_a_back_end_goes_at_get_features_of_a_reconnect_and_comes_again(lab: Lab) -> None:
    front, back = lab.path("front.sock"), lab.path("back.sock")
    rules = (
        "SET_VRING_CALL session=1 when=first : close backend",
        "GET_FEATURES request session=2 when=first : close backend",
    )
    qemu = start_firmware(lab, f"path={front},server=on,wait=off")
    qemu.wait_until(front.exists, 30, "listens")
    options = [word for rule in rules for word in ("--rule", rule)]
    proxy = start_proxy(lab, f"connect:{front}", f"listen:{back}", *options)
    dpdk.start_vhost(lab, back, queues=1, client=True)
    proxy.program.wait_until(lambda: sessions(proxy, EventKind.OPEN) >= 3, 60, "sees three sessions")
    proxy.program.wait_until(lambda: "SET_OWNER" in proxy.program.output, 10, "goes on")
    verdict = judged(proxy)
    assert "closed the connection to the back-end" in verdict
    assert "Read 0 instead of 12. Original request 1" in qemu.output
