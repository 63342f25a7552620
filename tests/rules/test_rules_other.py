"""Rules about migration, in-flight I/O, configuration, status and the passed channels."""

import pytest
from kit.transcript import (
    Line,
    ask,
    back,
    closed,
    eventfd,
    front,
    memfd,
    opened,
    protocol,
    socket,
    table,
    virtio,
)
from traces import (
    OFFERED,
    RAM,
    TAKEN,
    USUAL,
    UVA,
    Case,
    acknowledge,
    addresses,
    broken_rules,
    enable,
    end,
    hello,
    ids,
    memory,
    problems,
    ring,
    started,
    stop,
)

from vutrace.protocol.payloads import Config, CryptoSession, ShmemConfig
from vutrace.records import FdInfo, FdKind

LOGGED = RAM // 4096 // 8
PIPE = FdInfo(FdKind.PIPE, 12, 5)
UFFD = FdInfo(FdKind.USERFAULTFD, 14, 6)
MAC = bytes.fromhex("525400123456")
PACKED = virtio("VIRTIO_F_RING_PACKED")
RARP = USUAL | protocol("RARP")
POSTCOPY = USUAL | protocol("PAGEFAULT")
STATE = USUAL | protocol("DEVICE_STATE")
INFLIGHT = USUAL | protocol("INFLIGHT_SHMFD")
RESET = USUAL | protocol("RESET_DEVICE")
CONFIG = USUAL | protocol("CONFIG")
STATUS = USUAL | protocol("STATUS")
SHMEM = USUAL | protocol("SHMEM")
INBAND = USUAL | protocol("INBAND_NOTIFICATIONS")
OBJECTS = USUAL | protocol("SHARED_OBJECT")
CRYPTO = USUAL | protocol("CRYPTO_SESSION")
NOTIFIER = USUAL | protocol("HOST_NOTIFIER")
RESETS = front("RESET_DEVICE")
CHANNEL = front("SET_BACKEND_REQ_FD", fds=[socket(77)])
NO_LOG = USUAL & ~protocol("LOG_SHMFD")
LOGGING = OFFERED


def log(size: int = LOGGED) -> list[Line]:
    """The area for dirty pages."""
    return ask("SET_LOG_BASE", {"log_size": size}, mmap_size=size, mmap_offset=0, fds=[memfd(size)])


TWO = ((0, RAM, 1 << 40), (1 << 32, RAM, 2 << 40))
ADVISE = [front("POSTCOPY_ADVISE"), back("POSTCOPY_ADVISE", fds=[UFFD])]
LISTEN = ask("POSTCOPY_LISTEN", {"status": 0}, need_reply=True)
FINISH = ask("POSTCOPY_END", {"status": 0})


def incoming(*lines: Line, told: int = POSTCOPY) -> list[Line]:
    """A session that takes over a guest by postcopy."""
    return [*hello(told=told), *acknowledge(), *lines, closed()]


def transfer(
    direction: int = 0, phase: int = 0, answer: int = 0x100, fds: tuple[FdInfo, ...] = ()
) -> list[Line]:
    """The device's state is asked for, or given."""
    told = {"direction": direction, "phase": phase}
    return [
        front("SET_DEVICE_STATE_FD", **told, fds=[PIPE]),
        back("SET_DEVICE_STATE_FD", u64=answer, fds=fds),
    ]


MAPPED = front("SET_MEM_TABLE", table((0, RAM, UVA)), fds=[memfd(RAM)], need_reply=True)
CHECKED = ask("CHECK_DEVICE_STATE", {"status": 0})
STOPPED = [*started(told=STATE), *stop()]


def inflight(name: str, size: int = 4096, queues: int = 1, of: int = 256) -> list[Line]:
    """A buffer is asked for, or handed back."""
    told = {"mmap_size": size, "mmap_offset": 0, "num_queues": queues, "queue_size": of}
    if name == "SET_INFLIGHT_FD":
        return [front(name, **told, fds=[memfd(size)])]
    asked = {**told, "mmap_size": 0}
    return [front(name, **asked), back(name, **told, fds=[memfd(size)])]


GOT, GIVEN = inflight("GET_INFLIGHT_FD"), inflight("SET_INFLIGHT_FD")


def before_start(*lines: Line, told: int = INFLIGHT) -> list[Line]:
    """A session with something before its ring starts."""
    return [*hello(told=told), *acknowledge(), *memory(), *lines, *ring(), *enable(), *end()]


def config(offset: int = 0, size: int = 8, flags: int = 0) -> list[Line]:
    """Configuration space is written."""
    return [front("SET_CONFIG", Config(offset=offset, size=size, flags=flags, data=bytes(size)))]


def read(size: int = 8, answer: int = 8) -> list[Line]:
    """Configuration space is read."""
    return [
        front("GET_CONFIG", Config(offset=0, size=size, data=bytes(size))),
        back("GET_CONFIG", Config(offset=0, size=answer, data=bytes(answer))),
    ]


def status(*values: int) -> list[Line]:
    """The driver's steps."""
    return [*hello(told=STATUS), *(front("SET_STATUS", status=value) for value in values), closed()]


def served(told: int, *lines: Line) -> list[Line]:
    """A session whose back-end asks something while a ring runs."""
    return [*started(told=told), CHANNEL, *lines, *end()]


def regions(*sizes: int, number: int | None = None) -> list[Line]:
    """The shared memory regions of a back-end."""
    told = [*sizes, *[0] * (256 - len(sizes))]
    count = len([size for size in sizes if size]) if number is None else number
    return [
        front("GET_SHMEM_CONFIG"),
        back("GET_SHMEM_CONFIG", ShmemConfig(num_regions=count, memory_sizes=told)),
    ]


def mapping(name: str, offset: int, length: int, shmid: int = 0) -> Line:
    """A piece is mapped, or no longer."""
    told = {"shmid": shmid, "fd_offset": 0, "shm_offset": offset, "len": length, "flags": 1}
    return back(name, **told, fds=[memfd(1 << 20)] if name == "BACKEND_SHMEM_MAP" else [])


MAP, UNMAP = "BACKEND_SHMEM_MAP", "BACKEND_SHMEM_UNMAP"


def gpu(*lines: Line, taken: int | None = None) -> list[Line]:
    """A session with a GPU channel."""
    acked = [back("GPU_SET_PROTOCOL_FEATURES", protocol_features=taken)] if taken is not None else []
    return [*hello(), front("GPU_SET_SOCKET", fds=[socket(9)]), *acked, *lines, closed()]


EDID = [back("GPU_GET_EDID", scanout_id=0), front("GPU_GET_EDID")]
UUID, OTHER = bytes(range(16)), bytes(16)
FOUND_OBJECT = [
    back("BACKEND_SHARED_OBJECT_LOOKUP", uuid=UUID),
    front("BACKEND_SHARED_OBJECT_LOOKUP", status=0, fds=[FdInfo(FdKind.DMABUF, 12, 9)]),
]
ADDED = back("BACKEND_SHARED_OBJECT_ADD", uuid=UUID)


def crypto(answer: int) -> list[Line]:
    """A crypto session is asked for."""
    return [
        front("CREATE_CRYPTO_SESSION", CryptoSession()),
        back("CREATE_CRYPTO_SESSION", CryptoSession(session_id=answer)),
    ]


CASES = [
    # migration
    Case(
        "migration.log-not-offered",
        [*hello(offered=TAKEN), *acknowledge(LOGGING), closed()],
        [*hello(), *acknowledge(LOGGING), closed()],
        more=[[*hello(offered=TAKEN), *acknowledge(), closed()], [opened(), *acknowledge(LOGGING), closed()]],
    ),
    Case(
        "migration.log-layout",
        [*started(), *ask("SET_LOG_BASE", {"log_size": LOGGED}, mmap_size=LOGGED), *end()],
        [*started(), *log(), *end()],
        more=[[*started(told=NO_LOG), front("SET_LOG_BASE", u64=0), *end()]],
    ),
    Case(
        "migration.log-layout",
        [*started(), *ask("SET_LOG_BASE", {"log_size": LOGGED}, u64=LOGGED, fds=[memfd(LOGGED)]), *end()],
        [*started(), *log(), *end()],
    ),
    Case(
        "migration.log-too-small", [*started(), *log(LOGGED - 1), *end()], [*started(), *log(LOGGED), *end()]
    ),
    Case(
        "migration.log-without-base",
        [*started(), *acknowledge(LOGGING), *end()],
        [*started(), *log(), *acknowledge(LOGGING), *end()],
        more=[
            [*hello(), *acknowledge(LOGGING), *memory(), *ring(), *enable(), *end()],
            [*started(acknowledged=LOGGING), *acknowledge(LOGGING), *end()],
            [*started(), *acknowledge(), *end()],
        ],
    ),
    Case(
        "migration.log-address-outside",
        [*started(), *log(), addresses(flags=1, log=RAM - 2048), *end()],
        [*started(), *log(), addresses(flags=1, log=RAM - 2052), *end()],
        more=[
            [*started(), *log(), addresses(flags=0, log=RAM), *end()],
            [*started(), addresses(flags=1, log=RAM), *end()],
            [*started(), *log(), addresses(1, flags=1, log=RAM), *end()],
            [
                *started(offered=OFFERED | PACKED, acknowledged=TAKEN | PACKED),
                *log(),
                addresses(flags=1),
                *end(),
            ],
        ],
    ),
    Case(
        "migration.rarp-address",
        [*started(told=RARP), front("SEND_RARP", mac=b"\x01" + MAC[1:]), *end()],
        [*started(told=RARP), front("SEND_RARP", mac=MAC), *end()],
    ),
    Case(
        "migration.rarp-address",
        [*started(told=RARP), front("SEND_RARP", mac=bytes(6)), *end()],
        [*started(told=RARP), front("SEND_RARP", mac=MAC), *end()],
    ),
    Case(
        "migration.rarp-padding",
        [*started(told=RARP), front("SEND_RARP", MAC + b"\0\1"), *end()],
        [*started(told=RARP), front("SEND_RARP", MAC + b"\0\0"), *end()],
    ),
    Case("migration.listen-unadvised", incoming(*LISTEN, *FINISH), incoming(*ADVISE, *LISTEN, *FINISH)),
    Case("migration.end-unbegun", incoming(*ADVISE, *FINISH), incoming(*ADVISE, *LISTEN, *FINISH)),
    Case(
        "migration.end-unbegun",
        incoming(*ADVISE, *LISTEN, *FINISH, *FINISH),
        incoming(*ADVISE, *LISTEN, *FINISH, *ADVISE, *LISTEN, *FINISH),
    ),
    Case(
        "migration.postcopy-with-slots",
        incoming(*ADVISE, *LISTEN, *FINISH, told=POSTCOPY | protocol("CONFIGURE_MEM_SLOTS")),
        incoming(told=POSTCOPY | protocol("CONFIGURE_MEM_SLOTS")),
    ),
    Case(
        "migration.table-differs",
        incoming(*ADVISE, *LISTEN, *memory(), back("SET_MEM_TABLE", table(*TWO)), *FINISH),
        incoming(*ADVISE, *LISTEN, *memory(), back("SET_MEM_TABLE", table((0, RAM, 1 << 40))), *FINISH),
        more=[incoming(*ADVISE, *LISTEN, MAPPED, back("SET_MEM_TABLE", status=0), *FINISH)],
    ),
    Case(
        "migration.error-with-descriptor",
        [*STOPPED, *transfer(answer=1, fds=(PIPE,)), *CHECKED, closed()],
        [*STOPPED, *transfer(answer=0x101), *CHECKED, closed()],
        more=[[*STOPPED, *transfer(answer=0, fds=(PIPE,)), *CHECKED, closed()]],
    ),
    Case(
        "migration.transfer-while-running",
        [*started(told=STATE), *transfer(), *CHECKED, *end()],
        [*STOPPED, *transfer(), *CHECKED, closed()],
    ),
    Case(
        "migration.transfer-parameters",
        [*STOPPED, *transfer(direction=2), *CHECKED, closed()],
        [*STOPPED, *transfer(direction=1), *CHECKED, closed()],
    ),
    Case(
        "migration.transfer-parameters",
        [*STOPPED, *transfer(phase=1), *CHECKED, closed()],
        [*STOPPED, *transfer(phase=0), *CHECKED, closed()],
    ),
    Case(
        "migration.check-without-transfer",
        [*STOPPED, *CHECKED, closed()],
        [*STOPPED, *transfer(), *CHECKED, closed()],
    ),
    Case(
        "migration.start-unchecked",
        [*before_start(*transfer(1), told=STATE)[:-3], *stop(), *CHECKED, closed()],
        before_start(*transfer(1), *CHECKED, told=STATE),
    ),
    Case("migration.never-checked", [*STOPPED, *transfer(), closed()], [*STOPPED, closed()]),
    # inflight
    Case(
        "inflight.sizes-differ",
        before_start(*GOT, *inflight("SET_INFLIGHT_FD", queues=2)),
        before_start(*GOT, *GIVEN),
    ),
    Case("inflight.never-got", before_start(*GIVEN), before_start(*GOT, *GIVEN)),
    Case(
        "inflight.late",
        [*started(told=INFLIGHT), *GOT, *GIVEN, *end()],
        before_start(*GOT, *GIVEN),
    ),
    Case(
        "inflight.kept-over-reset",
        [
            *before_start(*GOT, *GIVEN, told=INFLIGHT | RESET)[:-1],
            front("RESET_DEVICE"),
            *ring(),
            *enable(),
            *end(),
        ],
        [
            *before_start(*GOT, *GIVEN, told=INFLIGHT | RESET)[:-1],
            front("RESET_DEVICE"),
            *GOT,
            *GIVEN,
            *ring(),
            *enable(),
            *end(),
        ],
    ),
    # config and status
    Case(
        "config.beyond-space",
        [*hello(told=CONFIG), *config(offset=252), closed()],
        [*hello(told=CONFIG), *config(offset=248), closed()],
    ),
    Case(
        "config.refused",
        [*hello(told=CONFIG), *read(answer=0), closed()],
        [*hello(told=CONFIG), *read(), closed()],
    ),
    Case(
        "config.unknown-flags",
        [*hello(told=CONFIG), *config(flags=2), closed()],
        [*hello(told=CONFIG), *config(flags=1), closed()],
    ),
    Case("status.out-of-order", status(8), status(1, 3, 11, 15)),
    Case("status.out-of-order", status(2), status(0, 1)),
    Case("status.out-of-order", status(7), status(0x83)),
    Case("status.bit-cleared", status(1, 3, 1), status(1, 3, 0, 1)),
    Case(
        "status.reset-again",
        [*started(told=RESET), *stop(), front("RESET_DEVICE"), front("RESET_DEVICE"), closed()],
        [
            *started(told=RESET),
            *stop(),
            front("RESET_DEVICE"),
            *acknowledge(),
            front("RESET_DEVICE"),
            closed(),
        ],
    ),
    # channels
    Case(
        "channel.not-a-socket",
        [*hello(), front("SET_BACKEND_REQ_FD", fds=[PIPE]), closed()],
        [*hello(), CHANNEL, closed()],
    ),
    Case(
        "channel.descriptor-unagreed",
        served(
            NOTIFIER & ~protocol("BACKEND_SEND_FD"),
            back("BACKEND_VRING_HOST_NOTIFIER_MSG", u64=0, size=4096, offset=0, fds=[PIPE]),
        ),
        served(NOTIFIER, back("BACKEND_VRING_HOST_NOTIFIER_MSG", u64=0, size=4096, offset=0, fds=[PIPE])),
        more=[
            served(CONFIG & ~protocol("BACKEND_SEND_FD"), back("BACKEND_CONFIG_CHANGE_MSG")),
            served(OBJECTS & ~protocol("BACKEND_SEND_FD"), *FOUND_OBJECT),
        ],
    ),
    Case(
        "channel.while-suspended",
        [*started(told=CONFIG), CHANNEL, *stop(), back("BACKEND_CONFIG_CHANGE_MSG"), closed()],
        [*hello(told=CONFIG), CHANNEL, back("BACKEND_CONFIG_CHANGE_MSG"), closed()],
    ),
    Case(
        "channel.notice-of-stopped",
        served(INBAND, back("BACKEND_VRING_CALL", index=1, num=0)),
        served(INBAND, back("BACKEND_VRING_CALL", index=0, num=0)),
        more=[[*hello(told=INBAND), CHANNEL, back("BACKEND_VRING_CALL", index=0, num=0), closed()]],
    ),
    Case(
        "channel.notifier-size",
        served(NOTIFIER, back("BACKEND_VRING_HOST_NOTIFIER_MSG", u64=0, size=100, offset=0, fds=[PIPE])),
        served(NOTIFIER, back("BACKEND_VRING_HOST_NOTIFIER_MSG", u64=0x100, size=0, offset=0)),
    ),
    Case(
        "channel.notifier-size",
        served(NOTIFIER, back("BACKEND_VRING_HOST_NOTIFIER_MSG", u64=0, size=0, offset=0, fds=[PIPE])),
        served(NOTIFIER, back("BACKEND_VRING_HOST_NOTIFIER_MSG", u64=0, size=8192, offset=0, fds=[PIPE])),
    ),
    Case(
        "channel.map-overlaps",
        served(SHMEM, *regions(1 << 20), mapping(MAP, 0, 8192), mapping(MAP, 4096, 4096)),
        served(SHMEM, *regions(1 << 20), mapping(MAP, 0, 4096), mapping(MAP, 4096, 4096)),
        more=[served(SHMEM, *regions(1 << 20, 1 << 20), mapping(MAP, 0, 8192), mapping(MAP, 0, 8192, 1))],
    ),
    Case(
        "channel.map-beyond",
        served(SHMEM, *regions(8192), mapping(MAP, 4096, 8192)),
        served(SHMEM, *regions(8192), mapping(MAP, 4096, 4096)),
    ),
    Case(
        "channel.map-beyond",
        served(SHMEM, *regions(8192), mapping(MAP, 0, 4096, 1)),
        served(SHMEM, *regions(8192, 8192), mapping(MAP, 0, 4096, 1)),
    ),
    Case(
        "channel.unmap-unknown",
        served(SHMEM, *regions(8192), mapping(MAP, 0, 8192), mapping(UNMAP, 0, 4096)),
        served(SHMEM, *regions(8192), mapping(MAP, 0, 8192), mapping(UNMAP, 0, 8192)),
    ),
    Case(
        "channel.unmap-unknown",
        served(
            SHMEM, *regions(8192), mapping(MAP, 0, 4096), mapping(UNMAP, 0, 4096), mapping(UNMAP, 0, 4096)
        ),
        served(SHMEM, *regions(8192), mapping(MAP, 0, 4096), mapping(UNMAP, 0, 4096), mapping(MAP, 0, 4096)),
    ),
    Case(
        "channel.shmem-changed",
        served(SHMEM, *regions(8192), *regions(4096)),
        served(SHMEM, *regions(8192), *regions(8192)),
    ),
    Case("channel.shmem-not-pages", served(SHMEM, *regions(100)), served(SHMEM, *regions(0, 4096))),
    Case(
        "channel.shmem-count",
        served(SHMEM, *regions(4096, number=2)),
        served(SHMEM, *regions(4096, number=1)),
    ),
    Case("gpu.gate-closed", gpu(*EDID), gpu(*EDID, taken=1)),
    Case("gpu.gate-closed", gpu(*EDID, taken=2), gpu(*EDID, taken=3)),
    # devices
    Case(
        "device.crypto-session-refused",
        [*hello(told=CRYPTO), *crypto(-1), closed()],
        [*hello(told=CRYPTO), *crypto(0), closed()],
    ),
    Case(
        "device.crypto-session-unknown",
        [*hello(told=CRYPTO), *crypto(5), front("CLOSE_CRYPTO_SESSION", session_id=6), closed()],
        [*hello(told=CRYPTO), *crypto(5), front("CLOSE_CRYPTO_SESSION", session_id=5), closed()],
    ),
    Case(
        "device.crypto-session-unknown",
        [
            *hello(told=CRYPTO),
            *crypto(5),
            *(front("CLOSE_CRYPTO_SESSION", session_id=5) for _ in range(2)),
            closed(),
        ],
        [*hello(told=CRYPTO), *crypto(5), front("CLOSE_CRYPTO_SESSION", session_id=5), *crypto(5), closed()],
    ),
    Case(
        "device.object-unknown",
        served(
            OBJECTS,
            back("BACKEND_SHARED_OBJECT_ADD", uuid=UUID),
            back("BACKEND_SHARED_OBJECT_REMOVE", uuid=OTHER),
        ),
        served(
            OBJECTS,
            back("BACKEND_SHARED_OBJECT_ADD", uuid=UUID),
            back("BACKEND_SHARED_OBJECT_REMOVE", uuid=UUID),
        ),
    ),
]

OTHERS = [
    ([*started(told=RARP), front("SEND_RARP", b"\0"), *end()], ""),
    ([*STOPPED, *transfer(answer=1), *CHECKED, closed()], ""),
    ([*STOPPED, *transfer(answer=0x101, fds=(PIPE,)), *CHECKED, closed()], ""),
    ([*hello(), MAPPED, back("SET_MEM_TABLE", table(*TWO)), closed()], ""),
    (served(CONFIG, back("BACKEND_CONFIG_CHANGE_MSG", fds=[eventfd(n) for n in range(9)])), ""),
    (served(CONFIG, back("BACKEND_CONFIG_CHANGE_MSG", fds=[eventfd(n) for n in range(8)])), ""),
    (served(SHMEM, *regions(4096), front("GET_SHMEM_CONFIG"), back("GET_SHMEM_CONFIG", b"\0")), ""),
    ([*hello(told=CONFIG), back("GET_CONFIG", Config(offset=0, size=0)), closed()], ""),
    ([*hello(told=CONFIG), front("SET_CONFIG", b"\0"), closed()], ""),
    ([*hello(told=CRYPTO), *crypto(-1)[1:], closed()], ""),
    ([*hello(told=STATUS), *ask("SET_STATUS", {"status": 4}, status=1, need_reply=True), closed()], ""),
]


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_a_trace_breaks_its_rule_and_no_other(case: Case) -> None:
    assert broken_rules(case.broken, case.device) == [case.rule] * case.breaches


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_its_lawful_neighbours_break_none(case: Case) -> None:
    for lawful in (case.lawful, *case.more):
        assert broken_rules(lawful, case.device) == []


def test_a_buffer_that_a_session_got_is_handed_back_in_the_next() -> None:
    first = before_start(*GOT, *GIVEN)
    assert problems(first, sessions=[before_start(*GIVEN)]) == []
    other = problems(first, sessions=[before_start(*inflight("SET_INFLIGHT_FD", of=128))])
    assert [problem.name for problem in other] == ["inflight.sizes-differ"]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (0, ["frame.payload-size"]),
        (1, ["frame.descriptor-count", "migration.error-with-descriptor"]),
        (2, ["frame.descriptor-count", "migration.error-with-descriptor"]),
        (3, []),
        (4, ["frame.descriptor-count", "channel.too-many-descriptors"]),
        (5, ["frame.descriptor-count"]),
        (6, ["frame.payload-size"]),
        (7, ["reply.unasked"]),
        (8, ["frame.payload-size"]),
        (9, ["reply.unasked"]),
        (10, ["reply.refused"]),
    ],
)
def test_what_a_single_message_shows_is_told_besides(other: int, told: list[str]) -> None:
    assert broken_rules(OTHERS[other][0]) == told


def test_a_buffer_that_came_before_the_trace_is_no_fault_of_a_later_session() -> None:
    assert problems(before_start(), sessions=[before_start(*GIVEN)]) == []
