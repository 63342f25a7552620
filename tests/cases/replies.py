"""Cases of replies: owed, late, one too many, of another size."""

from kit.transcript import back, closed, front, protocol

from cases.case import Case
from cases.scenes import (
    BLK,
    DISK,
    LOG_ALL,
    NET,
    QEMU,
    calls,
    enable,
    features,
    hello,
    memory,
    met,
    net,
    running,
)
from vutrace.records import Side

CASES = (
    Case(
        3,
        ("The back-end (virtiofsd, pid 200) owes the reply to CHECK_DEVICE_STATE",),
        [
            met(
                "cloud-hypervisor --fs tag=t,socket=front.sock", "virtiofsd", ("cloud-hyperviso", "virtiofsd")
            ),
            *hello(NET, protocol("DEVICE_STATE", "REPLY_ACK")),
            front("CHECK_DEVICE_STATE"),
        ],
    ),
    Case(
        5,
        ("reply.unasked", "a reply that no request waits for"),
        [net(), *hello(NET, protocol("MQ"), 1), features(), back("SET_FEATURES", status=0)],
    ),
    Case(
        6,
        ("owes the reply to SET_LOG_BASE",),
        [
            net(),
            *hello(NET | LOG_ALL, protocol("LOG_SHMFD", "MQ"), 1),
            front("SET_LOG_BASE", mmap_size=4096, mmap_offset=0),
        ],
    ),
    Case(
        7,
        ("owes the reply to SET_LOG_BASE",),
        [
            met(QEMU + DISK, "vhost -S /var/tmp", ("qemu-system-x86", "reactor_0")),
            *hello(BLK | LOG_ALL, protocol("LOG_SHMFD", "CONFIG")),
            front("SET_LOG_BASE", mmap_size=4096, mmap_offset=0),
        ],
    ),
    Case(
        23,
        ("SET_VRING_CALL [12] was refused",),
        [
            net(),
            *hello(NET, protocol("MQ", "REPLY_ACK"), 1),
            front("SET_VRING_CALL", u64=0x100, need_reply=True),
            back("SET_VRING_CALL", status=1),
        ],
    ),
    Case(
        24,
        ("ring 1 NOFD",),
        [net(), *hello(), front("SET_VRING_CALL", u64=0x101)],
        shows=("show", "--message", "SET_VRING_CALL"),
    ),
    Case(
        40,
        ("The last it had received was GET_STATUS",),
        [net(), *running(), front("GET_STATUS"), closed(Side.BACKEND)],
    ),
    Case(
        55,
        ("reply.unasked",),
        [
            net(),
            *hello(NET, protocol("MQ", "REPLY_ACK"), 1),
            *calls(range(1)),
            features(),
            memory(need_reply=True),
            back("SET_MEM_TABLE", status=0),
            back("SET_MEM_TABLE", status=0),
        ],
    ),
    # each waits for the other, on two channels
    Case(
        60,
        (
            "the back-end (dpdk-testpmd, pid 200) owes the reply to GET_VRING_BASE",
            "the front-end (qemu-system-x86, pid 100) owes the reply to BACKEND_IOTLB_MSG",
        ),
        [
            net(),
            *hello(NET, protocol("MQ", "REPLY_ACK", "BACKEND_REQ"), 1),
            front("GET_VRING_BASE", index=0),
            back("BACKEND_IOTLB_MSG", iova=0x1000, permission=1, type=1, need_reply=True),
        ],
    ),
    Case(
        75,
        ("config.refused",),
        [
            met(
                QEMU + " -device vhost-user-input-pci,chardev=c0",
                "vhost-user-input",
                ("qemu", "vhost-user-inp"),
            ),
            *hello(NET, protocol("CONFIG")),
            front("GET_CONFIG", offset=0, size=136, data=bytes(136)),
            back("GET_CONFIG", b"\0" * 8),
        ],
    ),
    Case(
        41,
        ("blk_size", "512"),
        [
            met(QEMU + DISK, "vhost-user-blk -s back.sock", ("qemu", "vhost-user-blk")),
            *hello(BLK, protocol("CONFIG")),
            front("GET_CONFIG", offset=0, size=60, data=bytes(60)),
            back("GET_CONFIG", offset=0, size=60, data=bytes(20) + (512).to_bytes(4, "little") + bytes(36)),
        ],
        shows=("show", "-V", "--message", "GET_CONFIG"),
    ),
    Case(
        43,
        ("only in A",),
        [met(QEMU, "virtiofsd", ("qemu", "virtiofsd")), *hello(), *calls(range(2))],
        shows=("diff",),
        against=[met(QEMU, "virtiofsd", ("qemu", "virtiofsd")), front("GET_FEATURES"), closed(Side.BACKEND)],
    ),
    Case(
        78,
        ("only in A",),
        [net(), *running()],
        shows=("diff",),
        against=[net(), *hello(), *calls(range(2)), features()],
    ),
    Case(77, ("SET_VRING_KICK", "rx0"), [net(), *running(), enable(0)], shows=("show",)),
    Case(80, ("A rx0 SET_VRING_KICK",), [net(), *running()], shows=("show",)),
)
