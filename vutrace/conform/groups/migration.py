"""Migration: the log of dirty pages, the device's state, and memory that comes later (postcopy)."""

import contextlib
import os
import select
import time
from collections.abc import Iterator

from vutrace.conform.case import Case, Level, UnmetError
from vutrace.conform.contents import prepared, valid
from vutrace.conform.driver import Driver, running, works
from vutrace.conform.probe import Probe
from vutrace.protocol import payloads as p

SAVE, LOAD = 0, 1
ERROR, NO_FD = 0xFF, 0x100
MOST = 1 << 24
GARBAGE = bytes(range(256)) * 4
USERFAULTFD = "userfaultfd"


def log_replied(probe: Probe) -> None:
    content = prepared(probe, "SET_LOG_BASE")
    probe.send("SET_LOG_BASE", content.payload, content.fds)
    probe.reply("SET_LOG_BASE")
    probe.silent("SET_LOG_BASE")


# Transfer of the device's state


def transfer(probe: Probe, direction: int, phase: int, fd: int) -> int:
    """SET_DEVICE_STATE_FD; where the state goes through, which is another descriptor if one came back."""
    reply = probe.ask("SET_DEVICE_STATE_FD", p.DeviceState(direction=direction, phase=phase), [fd])
    told = reply.number_in("u64") or 0
    if told & ERROR:
        raise UnmetError(f"error {told & ERROR}")
    if not told & NO_FD and len(probe.passed) != 1:
        raise UnmetError(f"neither the bit that says so nor a descriptor: {told:#x}")
    return -1 if told & NO_FD else probe.passed[0]


def checked(probe: Probe) -> int | None:
    """What CHECK_DEVICE_STATE says."""
    return probe.number("CHECK_DEVICE_STATE", "status")


def saved(probe: Probe) -> bytes:
    """The state of a device that is stopped."""
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    probe.guest.keep(ours)
    other = transfer(probe, SAVE, 0, theirs)
    os.close(theirs)
    state = whole(ours if other < 0 else other, probe.timeout)
    if status := checked(probe):
        raise UnmetError(f"CHECK_DEVICE_STATE says {status} of a state that was saved")
    return state


def whole(fd: int, timeout: float) -> bytes:
    """Everything up to the end; UnmetError where it does not come."""
    deadline, parts = time.monotonic() + timeout, bytearray()
    while len(parts) < MOST:
        if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise UnmetError(f"{len(parts)} bytes of state and no end within {timeout:g} s")
        piece = os.read(fd, 1 << 16)
        if not piece:
            return bytes(parts)
        parts += piece
    raise UnmetError(f"more than {MOST} bytes of state")


def loaded(probe: Probe, state: bytes) -> int | None:
    """Give it a state; what CHECK_DEVICE_STATE says then."""
    theirs, ours = os.pipe2(os.O_CLOEXEC)
    other = transfer(probe, LOAD, 0, theirs)
    os.close(theirs)
    end = ours if other < 0 else os.dup(other)
    if other >= 0:
        os.close(ours)
    with contextlib.suppress(BrokenPipeError), open(end, "wb", buffering=0) as stream:
        stream.write(state)  # as far as it is read: enough may have come to refuse it
    if other >= 0:
        probe.guest.let_go(other)
    return checked(probe)


def start_anew(probe: Probe) -> None:
    """Another connection, to another process where each case has one: the migration's destination."""
    probe.disconnect()
    if died := probe.target.rest():
        raise UnmetError(died)
    probe.connect()


def saves(probe: Probe) -> None:
    probe.hello()
    probe.memory()
    saved(probe)


def loads(probe: Probe) -> None:
    running(probe).stop()
    state = saved(probe)
    start_anew(probe)
    probe.hello()
    if status := loaded(probe, state):
        raise UnmetError(f"CHECK_DEVICE_STATE says {status} of {len(state)} bytes that it had saved itself")


def works_after(probe: Probe) -> None:
    driver = running(probe)
    driver.work_once()
    driver.stop()
    state = saved(probe)
    start_anew(probe)
    probe.guest.renew()
    probe.hello()
    loaded(probe, state)
    probe.memory()
    driver = Driver(probe)
    driver.start()
    driver.work_once()


def garbage(probe: Probe) -> None:
    probe.hello()
    if loaded(probe, GARBAGE) == 0:
        raise UnmetError("1024 bytes of garbage were taken as a state")


def state_bad(probe: Probe) -> None:
    probe.hello()
    probe.send("SET_DEVICE_STATE_FD", p.DeviceState(direction=9, phase=9), [probe.guest.eventfd()])
    reply = probe.whatever()
    if reply and not (reply.number_in("u64") or 0) & ERROR:
        raise UnmetError("it was accepted")
    probe.survives()


def check_alone(probe: Probe) -> None:
    probe.hello()
    probe.send("CHECK_DEVICE_STATE")
    probe.survives()


# Postcopy


def advised(probe: Probe) -> None:
    """Postcopy is announced; the descriptor that faults come over is in `probe.passed`."""
    probe.hello()
    probe.ask("POSTCOPY_ADVISE")
    if len(probe.passed) != 1:
        raise UnmetError(f"{len(probe.passed)} descriptors")


def faults_come_over(probe: Probe) -> None:
    advised(probe)
    kind = os.readlink(f"/proc/self/fd/{probe.passed[0]}")
    if USERFAULTFD not in kind:
        raise UnmetError(f"the descriptor is {kind}")


def listens(probe: Probe) -> None:
    """Postcopy has begun."""
    advised(probe)
    probe.tell("POSTCOPY_LISTEN")


def listens_alone(probe: Probe) -> None:
    probe.hello()
    probe.send("POSTCOPY_LISTEN", need_reply=True)
    probe.whatever()
    probe.survives()


def table_told(probe: Probe) -> None:
    """The table comes back, with the addresses at which the back-end has it; no page of it is missing."""
    probe.guest.regions[0].fill()
    listens(probe)
    content = valid(probe, "SET_MEM_TABLE")
    reply = probe.ask("SET_MEM_TABLE", content.payload, content.fds)
    told = reply.fields["regions"]
    assert isinstance(told, list)
    addresses = [region["user_address"] for region in told if isinstance(region, dict)]
    if len(addresses) != 1 or not addresses[0]:
        raise UnmetError(f"addresses {addresses} of 1 region")
    probe.send("SET_MEM_TABLE", p.U64(u64=0))
    probe.silent("SET_MEM_TABLE")


def ends(probe: Probe) -> None:
    table_told(probe)
    if status := probe.number("POSTCOPY_END", "status"):
        raise UnmetError(f"status {status}")
    probe.silent("POSTCOPY_END")


def works_after_end(probe: Probe) -> None:
    """All memory is there already: nothing faults, and the device works."""
    works(probe)
    ends(probe)
    driver = Driver(probe)
    driver.start()
    driver.work_once()


def cases() -> Iterator[Case]:
    """All of them."""
    put, check = "VHOST_USER_SET_DEVICE_STATE_FD", "VHOST_USER_CHECK_DEVICE_STATE"
    state, later, should = ("DEVICE_STATE",), ("PAGEFAULT",), Level.SHOULD
    moving = "Migrating back-end state"
    yield from (
        Case("migration/log-is-answered", "VHOST_USER_SET_LOG_BASE", "SET_LOG_BASE with a log",
             "one reply: LOG_SHMFD is acknowledged", log_replied, needs=("LOG_SHMFD",)),
        Case("migration/device-state-bad", put, "a direction and a phase there are not",
             "an error or the end of the connection", state_bad, should, state),
        Case("device-state/saved", put, "a pipe to save into", "the state, its end, and a check that says 0",
             saves, needs=state),
        Case("device-state/loaded", put, "a state that it has saved itself, to another process or connection",
             "a check that says 0", loads, needs=state),
        Case("device-state/works-again", moving, "a state saved, and loaded to another process or connection",
             "requests come back", works_after, needs=state),
        Case("device-state/garbage", check, "a state of 1024 bytes that it never saved",
             "a check that says that it is wrong", garbage, should, state),
        Case("device-state/check-alone", check, "CHECK_DEVICE_STATE without a transfer",
             "it goes on or closes, and does not die", check_alone, Level.MAY, state),
        Case("postcopy/advise", "VHOST_USER_POSTCOPY_ADVISE", "POSTCOPY_ADVISE",
             "an empty reply with one descriptor", advised, needs=later),
        Case("postcopy/faults-come-over", "VHOST_USER_POSTCOPY_ADVISE", "POSTCOPY_ADVISE",
             "the descriptor is a userfaultfd", faults_come_over, should, needs=later),
        Case("postcopy/listen", "VHOST_USER_POSTCOPY_LISTEN", "POSTCOPY_ADVISE, POSTCOPY_LISTEN",
             "both are accepted", listens, needs=later),
        Case("postcopy/listen-alone", "VHOST_USER_POSTCOPY_LISTEN", "POSTCOPY_LISTEN without POSTCOPY_ADVISE",
             "it goes on or closes, and does not die", listens_alone, Level.MAY, (*later, "REPLY_ACK")),
        Case("postcopy/table-is-told", "VHOST_USER_SET_MEM_TABLE", "a memory table after POSTCOPY_LISTEN",
             "the table, with the back-end's own addresses", table_told, needs=later),
        Case("postcopy/end", "VHOST_USER_POSTCOPY_END", "POSTCOPY_END", "a u64 of 0, once", ends,
             needs=later),
        Case("postcopy/works-after-end", "VHOST_USER_POSTCOPY_END", "a request after POSTCOPY_END",
             "it comes back, carried out", works_after_end, needs=later),
    )  # fmt: skip
