"""Cases of memory, descriptors and migration."""

from kit.transcript import back, closed, front, memfd, protocol, socket, table

from cases.case import Case
from cases.scenes import (
    BLK,
    DISK,
    GIB,
    LOG_ALL,
    MIB,
    NET,
    PACKED,
    QEMU,
    UVA,
    calls,
    features,
    hello,
    memory,
    met,
    net,
    ring,
    running,
)
from vutrace.records import FrameFlag, Side

HUGE = 2 * MIB

CASES = (
    Case(
        2,
        ("never got past SET_INFLIGHT_FD", "The last it had received was SET_INFLIGHT_FD"),
        [
            net(),
            *hello(NET, protocol("MQ", "INFLIGHT_SHMFD"), 1),
            front(
                "SET_INFLIGHT_FD",
                mmap_size=4096,
                mmap_offset=0,
                num_queues=2,
                queue_size=256,
                fds=[memfd(4096)],
            ),
            closed(Side.BACKEND, backend_process="killed 11"),
        ],
    ),
    Case(
        25,
        ("frame.descriptors-lost",),
        [net(), *hello(), memory(fds=[]), front("SET_VRING_KICK", u64=0, marks=FrameFlag.FDS_LOST)],
    ),
    Case(
        26,
        ("frame.descriptor-count",),
        [
            net(),
            *hello(NET, protocol("INFLIGHT_SHMFD")),
            front("GET_INFLIGHT_FD", num_queues=2, queue_size=256, fds=[memfd(4096), memfd(4096)]),
        ],
    ),
    Case(
        31,
        ("frame.descriptor-count",),
        [net(), *hello(), front("SET_VRING_KICK", u64=0, fds=[memfd(4096), memfd(4096)])],
    ),
    Case(
        32,
        ("1 GiB", "gpa 0"),
        [net(), *hello(), *calls(range(2)), features(), memory()],
        shows=("show", "-V", "--message", "SET_MEM_TABLE"),
    ),
    Case(
        33,
        ("memory.not-whole-pages",),
        [
            net(),
            *hello(),
            *calls(range(2)),
            features(),
            front("SET_MEM_TABLE", table((0, GIB + 4096 + 512, UVA)), fds=[memfd(2 * GIB)]),
        ],
    ),
    Case(
        34,
        ("memory.table-while-running",),
        [
            met(QEMU + DISK, "vhost -S /var/tmp", ("qemu-system-x86", "reactor_0")),
            *running(1, BLK),
            front(
                "SET_MEM_TABLE",
                table((0, GIB, UVA), (4 * GIB, GIB, UVA + 4 * GIB)),
                fds=[memfd(GIB), memfd(GIB, 2002)],
            ),
        ],
        shows=("check", "--severity", "info"),
    ),
    # no shared memory: nothing that could be passed
    Case(
        35,
        ("setup.memory-not-shared", "there is no -object memory-backend-…,share=on"),
        [
            met(
                "qemu-system-x86_64 -chardev socket,id=c0,path=front.sock -device "
                "vhost-user-fs-pci,chardev=c0",
                "virtiofsd --socket-path=back.sock",
                ("qemu-system-x86", "virtiofsd"),
            ),
            *hello(),
            *calls(range(2)),
            features(),
            closed(),
        ],
    ),
    Case(
        36,
        ("memory.ring-outside",),
        [net(), *hello(), *calls(range(1)), features(), memory(12 * 1024), *ring(0)],
    ),
    Case(
        37,
        ("migration.log-too-small",),
        [
            net(),
            *running(2, NET | LOG_ALL, NET),
            front("SET_LOG_BASE", mmap_size=4096, mmap_offset=0, fds=[memfd(4096)]),
            features(NET | LOG_ALL),
        ],
    ),
    Case(
        38,
        ("BACKEND_IOTLB_MSG", "[miss 11, "),
        [
            net(),
            *hello(NET, protocol("BACKEND_REQ", "REPLY_ACK")),
            front("SET_BACKEND_REQ_FD", fds=[socket(9)]),
            back("BACKEND_IOTLB_MSG", iova=0x1000, permission=1, type=1),
            front("IOTLB_MSG", iova=0x1000, size=4096, user_address=UVA, permission=3, type=2),
        ],
        shows=("show",),
    ),
    Case(
        53,
        ("RING_PACKED",),
        [net(), *hello(NET | PACKED, protocol("INFLIGHT_SHMFD")), features(NET | PACKED)],
        shows=("show", "-V", "--message", "SET_FEATURES"),
    ),
    Case(
        59,
        ("BACKEND_VRING_HOST_NOTIFIER_MSG",),
        [
            net(),
            *hello(NET, protocol("BACKEND_REQ", "BACKEND_SEND_FD", "HOST_NOTIFIER")),
            front("SET_BACKEND_REQ_FD", fds=[socket(9)]),
            back("BACKEND_VRING_HOST_NOTIFIER_MSG", u64=0, size=4096, offset=0, fds=[memfd(4096)]),
        ],
        shows=("show",),
    ),
)
