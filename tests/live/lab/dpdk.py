"""DPDK's testpmd: as a back-end (vhost) and as a front-end without a VM (virtio-user)."""

import re
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path

from lab.messages import captured, requests
from lab.process import Lab, Program

# DPDK's words (lib/vhost/vhost_user.h) by request number: not vutrace's, so that they are a second witness
_NAMES = (
    "NONE GET_FEATURES SET_FEATURES SET_OWNER RESET_OWNER SET_MEM_TABLE SET_LOG_BASE SET_LOG_FD "
    "SET_VRING_NUM SET_VRING_ADDR SET_VRING_BASE GET_VRING_BASE SET_VRING_KICK SET_VRING_CALL SET_VRING_ERR "
    "GET_PROTOCOL_FEATURES SET_PROTOCOL_FEATURES GET_QUEUE_NUM SET_VRING_ENABLE SEND_RARP NET_SET_MTU "
    "SET_SLAVE_REQ_FD IOTLB_MSG"
)
REQUESTS = {name: number for number, name in enumerate(_NAMES.split())}
REQUESTS |= {"SET_BACKEND_REQ_FD": 21, "GET_CONFIG": 24, "SET_CONFIG": 25, "SET_STATUS": 39, "GET_STATUS": 40}

READ = re.compile(r"read message VHOST_USER_(\w+)")
STREAM = re.compile(r"Queue= *(\d+) -> TX Port= *\d+/Queue= *\d+ -+\s+RX-packets: (\d+) +TX-packets: (\d+)")


PROGRAM = ("dpdk-testpmd",)


def start_testpmd(
    lab: Lab, name: str, vdev: str, queues: int, *options: str, program: tuple[str, ...] = PROGRAM
) -> Program:
    """Start testpmd on one virtual device; it forwards what it receives until it is stopped."""
    # fewer buffers than usual, else they do not fit into 256 MiB without hugepages
    return lab.start(
        name, *program, "-l", "0,1", "--no-huge", "-m", "256", "--no-pci", f"--file-prefix={name}",
        "--vdev", vdev, "--",
        f"--rxq={queues}", f"--txq={queues}", "--nb-cores=1", "--no-mlockall", "--total-num-mbufs=2048",
        "--auto-start", "--stats-period=1", *options,
        env={"RUNTIME_DIRECTORY": str(lab.directory)},
    )  # fmt: skip


def start_vhost(lab: Lab, path: Path, queues: int = 2, client: bool = False, *options: str) -> Program:
    """testpmd as the back-end; returns when it listens (or, as client, tries to connect)."""
    vdev = f"net_vhost0,iface={path},queues={queues},client={int(client)}"
    program = start_testpmd(lab, "vhost", vdev, queues, *options)
    program.wait_for("Port 0: .*:", 60)
    if not client:
        program.wait_until(path.exists, 30, f"listens on {path}")
    return program


def start_virtio_user(
    lab: Lab, path: Path, queues: int = 2, server: bool = False, program: tuple[str, ...] = PROGRAM
) -> Program:
    """testpmd as the front-end; it makes packets for ever, as a single burst may come too early."""
    vdev = f"net_virtio_user0,path={path},queues={queues},server={int(server)}"
    return start_testpmd(lab, "virtio-user", vdev, queues, "--forward-mode=flowgen", program=program)


class LostReplyError(Exception):
    """virtio-user took one reply for another when it stopped.

    Its interrupt thread makes the socket non-blocking for a moment, to look whether the link is up; a wait
    of the other thread for a reply fails then, and the reply is there when the next one is expected.
    """


def patiently(test: Callable[..., None]) -> Callable[..., None]:
    """Begin a test anew, six times at most in all, where virtio-user lost a reply."""

    @wraps(test)
    def attempts(lab: Lab, **others: object) -> None:
        for _ in range(5):
            with suppress(LostReplyError):
                return test(lab=lab, **others)
            lab.clear()
        return test(lab=lab, **others)

    return attempts


def stop(program: Program) -> None:
    """Stop it the way that makes it print its last statistics."""
    status = program.stop(signal.SIGINT, 30)
    if "Failed to get vring base" in program.output:
        raise LostReplyError(program.tail())
    assert status == 0, program.tail()


def requests_read(program: Program) -> list[int]:
    """The requests that a vhost back-end says it read, in order (replies are not logged)."""
    return [REQUESTS[name] for name in READ.findall(program.output)]


def wait_read(program: Program, capture: Path) -> None:
    """Wait until a back-end has read what vutrace forwarded so far, so that killing it loses nothing."""
    program.wait_until(
        lambda: requests_read(program) == requests(captured(capture)), 30, "reads all that was sent"
    )


def packets(program: Program) -> dict[int, tuple[int, int]]:
    """Per queue, packets received and sent, out of the statistics of a stopped testpmd."""
    return {int(queue): (int(rx), int(tx)) for queue, rx, tx in STREAM.findall(program.output)}
