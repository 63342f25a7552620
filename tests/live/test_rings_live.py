"""Rings of real programs: what vutrace says moved is what the program says; who stands still is told."""

import os
import re
import signal
from collections.abc import Iterator

import pytest
from lab import dpdk
from lab.needs import TESTPMD, needs
from lab.process import Lab, Program
from lab.proxy import Proxy, start_proxy

from vutrace.capture import read
from vutrace.dissection.registry import load
from vutrace.records import Connection, Sample, SampleFlag
from vutrace.rules.judge import Judge
from vutrace.session.activity import Moved
from vutrace.session.row import Row
from vutrace.session.tracker import Tracker

pytestmark = [pytest.mark.live, needs(*TESTPMD, cpus=2)]
RX, TX = 0, 1  # rings of the front-end's only pair, as it calls them


def start(lab: Lab, options: str = "") -> tuple[Program, Program, Proxy]:
    """testpmd with testpmd, and a proxy that looks ten times a second."""
    front, back = lab.path("front.sock"), lab.path("back.sock")
    vhost = dpdk.start_vhost(lab, back, queues=1)
    proxy = start_proxy(lab, front, back, "--rings", "100ms")
    vdev = f"net_virtio_user0,path={front},queues=1{options}"
    virtio_user = dpdk.start_testpmd(lab, "virtio-user", vdev, 1, "--forward-mode=flowgen")
    virtio_user.wait_for("RX-packets: [1-9]", 60)
    return vhost, virtio_user, proxy


def rows(proxy: Proxy) -> list[Row]:
    """The capture so far, judged."""
    tracker = Tracker(load())
    records = (item for item in read(proxy.capture) if not isinstance(item, Connection))
    return [Judge().judge(tracker.feed(record)) for record in records]


def moves(proxy: Proxy, ring: int) -> Iterator[Moved]:
    """What is known of a ring, sample by sample."""
    return (moved for row in rows(proxy) for moved in row.changes.moved if moved.sample.ring == ring)


def packets_of(program: Program) -> tuple[int, int]:
    """Packets received and sent, out of the last statistics of a stopped testpmd."""
    totals = (re.findall(rf"{way}-packets: (\d+) +{way}-dropped", program.output) for way in ("RX", "TX"))
    received, sent = (int(found[-1]) for found in totals)
    return received, sent


def used(proxy: Proxy, ring: int) -> int:
    """How much of a ring came back, as far as it is known."""
    return [*moves(proxy, ring)][-1].sample.used_total


def stop(virtio_user: Program, vhost: Program, proxy: Proxy) -> None:
    """End all three."""
    dpdk.stop(virtio_user)
    dpdk.stop(vhost)
    proxy.stop()


@dpdk.patiently
def test_what_moved_is_what_testpmd_says_and_who_stands_still_is_told(lab: Lab) -> None:
    vhost, virtio_user, proxy = start(lab)
    proxy.program.wait_until(lambda: any(moves(proxy, TX)), 20, "sampled a ring")
    os.kill(vhost.pid, signal.SIGSTOP)
    proxy.program.wait_until(lambda: stuck(proxy), 10, "said that a ring is stuck")
    os.kill(vhost.pid, signal.SIGCONT)
    last = used(proxy, TX)
    proxy.program.wait_until(
        lambda: [*moves(proxy, TX)][-1].sample.used_total > last, 10, "saw it move again"
    )
    stop(virtio_user, vhost, proxy)

    received, sent = packets_of(virtio_user)
    for ring, packets in ((TX, sent), (RX, received)):
        known = [*moves(proxy, ring)]
        fastest = max(each.used for each in known)
        missing = packets - known[-1].sample.used_total
        if known[-1].sample.has(SampleFlag.AT_LEAST):  # the sampler came late: the index may have gone round
            missing = (missing + 256) % 65536 - 256
        # not counted: what came after the last look, and what testpmd left in the ring at its end
        assert -256 <= missing <= max(2 * 256, 0.5 * fastest), (missing, packets, fastest)


def stuck(proxy: Proxy) -> bool:
    """Whether that was said, within 2 s of the last thing that moved."""
    for row in rows(proxy):
        for problem in row.problems:
            if problem.name == "ring.stuck":
                moved = next(each for each in row.changes.moved if each.sample.ring == problem.ring)
                assert moved.time_ns - moved.still_ns <= 2_000_000_000
                assert "it polls" in problem.text
                return True
    return False


@dpdk.patiently
def test_packed_rings_move_and_nothing_is_wrong_with_them(lab: Lab) -> None:
    vhost, virtio_user, proxy = start(lab, ",packed_vq=1")
    proxy.program.wait_until(lambda: len([*moves(proxy, TX)]) > 5, 20, "sampled a ring")
    stop(virtio_user, vhost, proxy)
    for ring, packets in zip((RX, TX), packets_of(virtio_user), strict=True):
        known = [*moves(proxy, ring)]
        assert all(each.sample.has(SampleFlag.PACKED) for each in known)
        assert all(each.sample.has(SampleFlag.INDEXES) for each in known)
        assert all(each.sample.in_flight <= 256 for each in known)
        assert 0 < known[-1].sample.used_total <= packets + 256
    assert not [problem for row in rows(proxy) if isinstance(row.what, Sample) for problem in row.problems]
