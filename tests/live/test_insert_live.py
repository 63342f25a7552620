"""vutrace reaches programs that run already, and starts others: real ends, no guest but its machine."""

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest
from lab import dpdk
from lab.messages import captured, requests
from lab.needs import OVS, STORAGE, TESTPMD, VIRTIOFS, needs
from lab.ovs import Ovs
from lab.process import Lab, Program, until
from lab.proxy import VUTRACE
from lab.qemu import DISK, FILE_SYSTEM, SYSTEM, TRACE, network
from lab.storage import make_share, start_virtiofsd

pytestmark = [pytest.mark.live]
INIT = [1, 15, 16, 17]  # what a machine asks before its guest does anything


def start_machine(lab: Lab, chardev: str, device: list[str], *before: str | Path) -> Program:
    """QEMU whose guest does not run; the messages that it says it exchanged are in its log."""
    return lab.start(
        "machine", *before, SYSTEM, "-M", "q35,accel=tcg", "-m", "64",
        "-nodefaults", "-S", "-display", "none",
        "-object", "memory-backend-memfd,id=mem,size=64M,share=on", "-numa", "node,memdev=mem",
        "-chardev", f"socket,id=c0,{chardev}", *device, "-trace", "vhost_user*",
    )  # fmt: skip


def start_insertion(lab: Lab, path: Path, *words: str) -> tuple[Program, Path]:
    """vutrace in the place of a socket, and its capture."""
    capture = lab.path("trace.pcapng")
    proxy = lab.start("vutrace", VUTRACE, "proxy", "--insert", path, "-w", capture, *words)
    proxy.wait_for("has its place until it ends", 30)
    return proxy, capture


def asked(capture: Path) -> set[int]:
    """The requests that a capture holds."""
    return set(requests(captured(capture))) if capture.exists() else set()


@needs(SYSTEM, *TESTPMD, cpus=2)
def test_a_machine_that_reconnects_comes_through_and_so_does_a_restarted_testpmd(lab: Lab) -> None:
    path = lab.path("vhost.sock")
    testpmd = dpdk.start_vhost(lab, path, queues=1)
    machine = start_machine(lab, f"path={path},reconnect=1", network(queues=1))
    testpmd.wait_for("read message VHOST_USER_GET_FEATURES", 30)
    proxy, capture = start_insertion(lab, path, "--break", "--yes")
    until(lambda: {*INIT} <= asked(capture), 20, "the machine comes back through vutrace")
    assert f"the guest of {SYSTEM} (process {machine.pid}): its link goes down and up again" in proxy.output
    assert "connects again by itself (reconnect=1)" in proxy.output
    first = len(captured(capture))
    dpdk.stop(testpmd)  # it removes the name, which is vutrace's
    again = dpdk.start_vhost(lab, path, queues=1)
    proxy.wait_for("was bound anew, and vutrace took its place again", 20)
    again.wait_for("read message VHOST_USER_GET_FEATURES", 30)
    until(lambda: len(captured(capture)) > first, 20, "the machine comes back once more")
    assert proxy.stop(signal.SIGINT) == 130, proxy.tail()
    assert [each.name for each in lab.directory.glob(".*")] == []
    # every request after the break, of both testpmds, and none that vutrace has not
    read = dpdk.requests_read(testpmd) + dpdk.requests_read(again)
    known = requests(captured(capture))
    assert len(known) < len(read)
    assert read[-len(known) :] == known


@needs(SYSTEM, *OVS, cpus=2)
def test_a_machine_that_listens_is_the_front_end_and_ovs_comes_back_through(lab: Lab) -> None:
    path = lab.path("qemu.sock")
    machine = start_machine(lab, f"path={path},server=on,wait=off", network(queues=1))
    machine.wait_until(path.exists, 30, f"listens on {path}")
    Ovs(lab).add_vhost_client("vhost0", path)
    machine.wait_for("vhost_user_read", 30)
    proxy, capture = start_insertion(lab, path, "--break", "--yes")
    until(lambda: {*INIT} <= asked(capture), 20, "the switch comes back through vutrace")
    assert f"{SYSTEM} (process {machine.pid}) listens there, taken for the front-end" in proxy.output
    assert re.search(
        r"the connection of ovs-vswitchd-dpdk .* is ended: it connects again by itself", proxy.output
    )
    assert proxy.stop(signal.SIGINT) == 130, proxy.tail()


@needs(SYSTEM, *VIRTIOFS, root=True)
def test_a_virtiofsd_serves_its_only_connection_through_vutrace(lab: Lab) -> None:
    path = lab.path("fs.sock")
    daemon = start_virtiofsd(lab, path, make_share(lab, ""))
    proxy, capture = start_insertion(lab, path)
    machine = start_machine(lab, f"path={path}", FILE_SYSTEM)
    until(lambda: {*INIT} <= asked(capture), 20, "the machine asks through vutrace")
    assert machine.stop(signal.SIGTERM) == 0, machine.tail()
    daemon.wait_exit(10)
    assert proxy.stop(signal.SIGINT) == 130, proxy.tail()
    assert [each.name for each in lab.directory.glob(".*")] == []


@needs(SYSTEM, *STORAGE)
def test_a_storage_daemon_and_a_machine_are_started_through_vutrace(lab: Lab) -> None:
    path, image = lab.path("disk.sock"), lab.path("disk.img")
    image.write_bytes(bytes(1 << 20))
    captures = lab.path("daemon.pcapng"), lab.path("machine.pcapng")
    daemon = lab.start(
        "qsd", VUTRACE, "run", "-w", captures[0], "--", "qemu-storage-daemon",
        "--blockdev", f"file,node-name=d0,filename={image}",
        "--export", f"vhost-user-blk,id=e0,node-name=d0,addr.type=unix,addr.path={path},writable=on",
    )  # fmt: skip
    daemon.wait_until(path.exists, 30, f"listens on {path}")
    machine = start_machine(lab, f"path={path}", DISK, VUTRACE, "run", "-w", captures[1], "--")
    until(lambda: 24 in asked(captures[0]), 30, "the machine asks for the disk's size")
    assert machine.stop(signal.SIGTERM) == 0, machine.tail()
    assert daemon.stop(signal.SIGTERM) == 0, daemon.tail()
    assert not path.exists()
    told = [(word == "write", int(request)) for word, request, _ in TRACE.findall(machine.output)]
    for capture in captures:
        known = [(each.sender == "frontend", each.request) for each in captured(capture)]
        assert known == told


@needs(SYSTEM)
def test_libvirts_questions_to_the_real_emulator_pass_through_the_wrapper() -> None:
    words = ["-S", "-no-user-config", "-nodefaults", "-nographic", "-machine", "none,accel=tcg"]
    ask = '{"execute":"qmp_capabilities"}\n{"execute":"query-version"}\n{"execute":"quit"}\n'
    command = [VUTRACE, "run", "--exec", "-q", "--", SYSTEM, *words, "-qmp", "stdio"]
    done = subprocess.run(command, input=ask, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    greeting, *_ = map(json.loads, done.stdout.splitlines())
    assert "version" in greeting["QMP"]
