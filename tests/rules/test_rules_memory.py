"""Rules about memory, with a trace that breaks each and its lawful neighbours."""

import pytest
from kit.transcript import Line, ask, back, closed, eventfd, front, memfd, protocol, socket, table, virtio
from traces import (
    GPA,
    MIB,
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
    instead,
    memory,
    ring,
    started,
)

from vutrace.protocol.payloads import (
    MemoryRegion,
    SingleRegion,
    XenMemoryRegion,
    XenMemoryTable,
    XenSingleRegion,
)
from vutrace.records import FdInfo, FdKind

PLATFORM = virtio("VIRTIO_F_ACCESS_PLATFORM")
SLOTS = USUAL | protocol("CONFIGURE_MEM_SLOTS")
ALL_ONE = USUAL | protocol("GPA_ADDRESSES")
XEN = USUAL | protocol("XEN_MMAP")
CHANNEL = front("SET_BACKEND_REQ_FD", fds=[socket(77)])


def shared(*table: Line, **how: object) -> list[Line]:
    """A session up to its memory, and no further."""
    return [*hello(**how), *acknowledge(), *table, closed()]  # type: ignore[arg-type]


def slots(number: int = 8, told: int = 0) -> list[Line]:
    """Two ends that tell memory region by region."""
    return [*hello(told=SLOTS | told), *ask("GET_MAX_MEM_SLOTS", {"max_mem_slots": number}), *acknowledge()]


def single(guest: int, size: int, user: int, offset: int = 0) -> SingleRegion:
    """One region as ADD_MEM_REG and REM_MEM_REG tell it."""
    return SingleRegion(
        region=MemoryRegion(guest_address=guest, size=size, user_address=user, mmap_offset=offset)
    )


def add(guest: int, size: int, user: int) -> Line:
    return front("ADD_MEM_REG", single(guest, size, user), fds=[memfd(size, guest + 2001)])


def remove(guest: int, size: int, user: int, *fds: FdInfo) -> Line:
    return front("REM_MEM_REG", single(guest, size, user), fds=fds)


def xen(kind: int) -> Line:
    """A table of one region that Xen maps."""
    region = XenMemoryRegion(guest_address=0, size=RAM, user_address=UVA, xen_mmap_flags=kind)
    return front("SET_MEM_TABLE", XenMemoryTable(nregions=1, regions=[region]), fds=[memfd(RAM)])


def xen_add(kind: int) -> Line:
    """A region by itself that Xen maps."""
    region = XenMemoryRegion(guest_address=0, size=RAM, user_address=UVA, xen_mmap_flags=kind)
    return front("ADD_MEM_REG", XenSingleRegion(region=region), fds=[memfd(RAM)])


def update(iova: int, size: int, user: int, kind: int = 2) -> list[Line]:
    """A translation."""
    told = {"iova": iova, "size": size, "user_address": user, "permission": 3, "type": kind}
    return ask("IOTLB_MSG", {"status": 0}, **told)


def translated(*lines: Line) -> list[Line]:
    """A ring with addresses of its own, and translations."""
    hi = hello(offered=OFFERED | PLATFORM)
    iova = instead(ring(), "SET_VRING_ADDR", addresses(base=0x10000))
    return [*hi, *acknowledge(TAKEN | PLATFORM), *memory(), *iova, *enable(), *lines, *end()]


def placed(**where: int) -> list[Line]:
    """A ring somewhere in memory."""
    return instead([*started(), *end()], "SET_VRING_ADDR", addresses(**where))


HUGE = FdInfo(FdKind.HUGETLBFS, 1, 2)
NINE = [(each * MIB, MIB, UVA + each * MIB) for each in range(9)]
END = UVA + RAM

POSTCOPY = [
    front("POSTCOPY_ADVISE"),
    back("POSTCOPY_ADVISE", fds=[FdInfo(FdKind.USERFAULTFD, 14, 6)]),
    *ask("POSTCOPY_LISTEN", {"status": 0}, need_reply=True),
    *memory((0, 2 * RAM, UVA)),
    back("SET_MEM_TABLE", table((0, 2 * RAM, 1 << 40))),
    *ask("POSTCOPY_END", {"status": 0}),
]
CASES = [
    Case(
        "memory.guest-overlap",
        shared(*memory((0, 2 * MIB, UVA), (MIB, MIB, UVA + 8 * MIB))),
        shared(*memory((0, MIB, UVA), (MIB, MIB, UVA + 8 * MIB))),
    ),
    Case(
        "memory.user-overlap",
        shared(*memory((0, MIB, UVA), (8 * MIB, MIB, UVA))),
        shared(*memory((0, MIB, UVA), (8 * MIB, MIB, UVA + MIB))),
    ),
    Case(
        "memory.overlaps-existing",
        [*slots(), add(0, MIB, UVA), add(0, 2 * MIB, UVA + 8 * MIB), closed()],
        [*slots(), add(0, MIB, UVA), remove(0, MIB, UVA), add(0, 2 * MIB, UVA + 8 * MIB), closed()],
    ),
    Case(
        "memory.overlaps-existing",
        [*slots(), add(0, MIB, UVA), add(8 * MIB, MIB, UVA + 0x1000), closed()],
        [*slots(), add(0, MIB, UVA), add(8 * MIB, MIB, UVA + MIB), closed()],
    ),
    Case("memory.too-many-regions", shared(*memory(*NINE)), shared(*memory(*NINE[:8]))),
    Case(
        "memory.beyond-slots",
        [*slots(1), add(0, MIB, UVA), add(MIB, MIB, UVA + MIB), closed()],
        [*slots(2), add(0, MIB, UVA), add(MIB, MIB, UVA + MIB), closed()],
    ),
    Case(
        "memory.unknown-region",
        [*slots(), add(0, MIB, UVA), remove(0, MIB, UVA + MIB), closed()],
        [*slots(), add(0, MIB, UVA), remove(0, MIB, UVA), closed()],
    ),
    Case(
        "memory.needless-descriptor",
        [*slots(), add(0, MIB, UVA), remove(0, MIB, UVA, memfd(MIB)), closed()],
        [*slots(), add(0, MIB, UVA), remove(0, MIB, UVA), closed()],
    ),
    Case("memory.empty-region", shared(*memory((0, 0, UVA))), shared(*memory((0, 4096, UVA)))),
    Case(
        "memory.guest-is-not-user",
        shared(*memory((0, MIB, UVA)), told=ALL_ONE),
        shared(*memory((UVA, MIB, UVA)), told=ALL_ONE),
        more=[shared(*memory((0, MIB, UVA)))],
    ),
    Case(
        "memory.ring-outside",
        placed(used=END - 4096 + 2048),
        placed(used=END - 4096),
    ),
    Case(
        "memory.ring-outside",
        [*hello(), *acknowledge(), *memory((GPA, 4096, UVA)), *ring(size=512), *enable(), *end()],
        [*hello(), *ring(), closed()],
    ),
    Case("memory.ring-outside", placed(descriptor=UVA - 4096), placed(descriptor=END - 4096)),
    Case("memory.ring-outside", placed(available=END - 512), placed(available=END - 516)),
    Case(
        "memory.ring-outside",
        [
            *hello(told=ALL_ONE),
            *acknowledge(),
            *memory((UVA + MIB, RAM, UVA + MIB)),
            *ring(),
            *enable(),
            *end(),
        ],
        [*shared(*memory((UVA, RAM, UVA)), told=ALL_ONE)[:-1], *ring(), *enable(), *end()],
    ),
    Case(
        "memory.translation-outside",
        translated(*update(0x10000, 0x4000, END - 0x2000)),
        translated(*update(0x10000, 0x4000, END - 0x4000)),
        more=[translated(*update(0x10000, 0x4000, 0, kind=3))],
    ),
    Case(
        "memory.translation-permission",
        translated(CHANNEL, back("BACKEND_IOTLB_MSG", iova=0x10000, permission=0, type=1)),
        translated(CHANNEL, back("BACKEND_IOTLB_MSG", iova=0x10000, permission=2, type=1)),
        more=[translated(CHANNEL, back("BACKEND_IOTLB_MSG", iova=0x10000, permission=0, type=4))],
    ),
    Case(
        "memory.ring-partly-translated",
        translated(*update(0x10000, 0x800, UVA), *update(0x11000, 0x3000, UVA + 0x1000)),
        translated(*update(0x10000, 0x1000, UVA), *update(0x11000, 0x3000, UVA + 0x1000)),
        more=[
            translated(*update(0x10000, 0x2000, UVA)),
            translated(*update(0x10000, 0x3000, UVA), *update(0x11000, 0x3000, UVA + 0x1000)),
            [*hello(), *acknowledge(), front("SET_VRING_NUM", index=0, num=256), closed()],
        ],
    ),
    Case(
        "memory.ring-partly-translated",
        translated(*update(0x11000, 0x3000, UVA), *update(0x10000, 0x400, UVA), *update(0x10200, 0x600, UVA)),
        translated(*update(0x11000, 0x3000, UVA), *update(0x10000, 0x400, UVA), *update(0x10400, 0xC00, UVA)),
    ),
    Case(
        "memory.table-while-running",
        [*started(), *memory((0, RAM, UVA), (1 << 32, MIB, UVA - MIB)), *end()],
        [*started(), *end()[:-1], *memory((0, RAM, UVA), (1 << 32, MIB, UVA - MIB)), closed()],
        more=[[*started(told=USUAL | protocol("PAGEFAULT")), *POSTCOPY, *end()]],
    ),
    Case(
        "memory.same-table",
        shared(*memory(), *memory()),
        shared(*memory(), *memory((0, 2 * RAM, UVA))),
        more=[shared(*memory((0, RAM, UVA), (1 << 32, MIB, UVA - MIB)), *memory())],
    ),
    Case(
        "memory.mixed-messages",
        [*slots(), add(0, MIB, UVA), *memory(), closed()],
        [*slots(), *memory(), add(1 << 32, MIB, UVA - MIB), closed()],
    ),
    Case("memory.xen-flags", shared(xen(3), told=XEN), shared(xen(2), told=XEN)),
    Case(
        "memory.xen-flags", [*slots(told=XEN), xen_add(0), closed()], [*slots(told=XEN), xen_add(1), closed()]
    ),
    Case("memory.xen-flags", shared(xen(0x100), told=XEN), shared(xen(0x101), told=XEN)),
    Case("memory.beyond-file", shared(*memory(file_size=RAM - 4096)), shared(*memory(file_size=RAM))),
    Case(
        "memory.not-whole-pages",
        shared(*memory((GPA, 4097, UVA), file_size=8192)),
        shared(*memory((GPA, 4096, UVA), file_size=8192)),
    ),
    Case(
        "memory.not-whole-pages",
        [*slots(), front("ADD_MEM_REG", single(0, MIB, UVA, 100), fds=[memfd(2 * MIB)]), closed()],
        [*slots(), front("ADD_MEM_REG", single(0, MIB, UVA, 4096), fds=[memfd(2 * MIB)]), closed()],
    ),
    Case(
        "memory.not-whole-pages",
        [*slots(), front("ADD_MEM_REG", single(0, MIB, UVA), fds=[HUGE]), closed()],
        [
            *slots(),
            front("ADD_MEM_REG", single(0, 2 * MIB, UVA), fds=[HUGE]),
            closed(),
        ],
    ),
    Case(
        "memory.not-memory",
        [*slots(), front("ADD_MEM_REG", single(0, MIB, UVA), fds=[eventfd(3)]), closed()],
        [*slots(), front("ADD_MEM_REG", single(0, MIB, UVA), fds=[FdInfo(FdKind.OTHER)]), closed()],
    ),
]

OTHERS = [
    ([*started(), addresses(base=END), front("SET_VRING_KICK", u64=0, fds=[eventfd(9)]), *end()], ""),
    (shared(front("SET_MEM_TABLE", table((0, RAM, UVA)))), ""),
    ([*slots(), front("REM_MEM_REG", b"\0"), closed()], ""),
]


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_a_trace_breaks_its_rule_and_no_other(case: Case) -> None:
    assert broken_rules(case.broken, case.device) == [case.rule] * case.breaches


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_its_lawful_neighbours_break_none(case: Case) -> None:
    for lawful in (case.lawful, *case.more):
        assert broken_rules(lawful, case.device) == []


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (0, ["ring.moved-while-running", "ring.kick-replaced"]),
        (1, ["frame.descriptor-count"]),
        (2, ["frame.payload-size"]),
    ],
)
def test_what_is_told_once_is_not_told_again_in_other_words(other: int, told: list[str]) -> None:
    assert broken_rules(OTHERS[other][0]) == told
