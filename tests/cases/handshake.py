"""Cases of the handshake: what one side wanted, and the other did not have."""

from kit.transcript import ask, back, closed, front, noted, protocol, script

from cases.case import Case
from cases.scenes import (
    BLK,
    DISK,
    MQ_BIT,
    NET,
    NET_CARD,
    PACKED,
    QEMU,
    TESTPMD,
    VERSION_1,
    calls,
    enable,
    features,
    hello,
    memory,
    met,
    net,
    ring,
    running,
)
from vutrace.records import EventKind, Side

MQ_ACK = protocol("MQ", "REPLY_ACK")
NO_BACKEND = "the back-end at connect:back.sock cannot be reached: Connection refused"

CASES = (
    # cloud-hypervisor kept its state and asked nobody
    Case(
        4,
        ("negotiation.protocol-unread", "before GET_PROTOCOL_FEATURES told what there is"),
        [
            net(),
            *ask("GET_FEATURES", {"features": NET}),
            front("SET_PROTOCOL_FEATURES", protocol_features=MQ_ACK),
            front("SET_OWNER"),
        ],
    ),
    Case(
        14,
        ("SET_VRING_ENABLE [11] was refused",),
        [
            met(
                "cloud-hypervisor --memory shared=on --net vhost_user=true,socket=front.sock",
                "vhost-device-x",
            ),
            *hello(NET, protocol("REPLY_ACK")),
            features(),
            front("SET_VRING_ENABLE", index=1, num=1, need_reply=True),
            back("SET_VRING_ENABLE", status=1),
            closed(),
        ],
    ),
    Case(
        15,
        ("config.beyond-space", "up to byte 316 of a space of 256"),
        [
            met(QEMU + DISK, "vhost-user-blk -s back.sock", ("qemu-system-x86", "vhost-user-blk")),
            *hello(BLK, protocol("CONFIG")),
            front("GET_CONFIG", offset=0x100, size=60, data=bytes(60)),
            back("GET_CONFIG", offset=0, size=60, data=bytes(60)),
            closed(),
        ],
    ),
    Case(
        16,
        ("The last it had received was SET_VRING_NUM",),
        [
            met("qemu-system-x86_64", "vhost-device-vsock --socket back.sock"),
            *hello(NET, protocol("MQ", "CONFIG")),
            *calls(range(1)),
            features(),
            memory(),
            front("SET_VRING_NUM", index=0, num=1024),
            closed(Side.BACKEND),
        ],
    ),
    Case(
        17,
        ("negotiation.not-offered", "acknowledges what was not offered: VIRTIO_F_RING_PACKED"),
        [net(), *hello(), features(NET | PACKED), closed(Side.BACKEND)],
    ),
    Case(
        42,
        (
            "The back-end (virtiofsd, pid 200) ended with status 1: never got past GET_FEATURES [2]",
            "The back-end (virtiofsd, pid 200) owed the reply to GET_FEATURES [2]",
        ),
        [
            met(QEMU + " -device vhost-user-fs-pci,chardev=c0", "virtiofsd", ("qemu", "virtiofsd")),
            front("GET_FEATURES"),
            closed(Side.BACKEND, backend_process="exited 1"),
        ],
    ),
    Case(
        49,
        ("No session: the back-end at connect:back.sock cannot be reached: Connection refused, 3 tries in",),
        [noted(NO_BACKEND, EventKind.ERROR)] * 3,
    ),
    Case(
        50,
        ("still open: never got past SET_PROTOCOL_FEATURES", "the handshake was not done"),
        [
            net(),
            *ask("GET_FEATURES", {"features": NET}),
            *ask("GET_PROTOCOL_FEATURES", {"protocol_features": MQ_ACK}),
            front("SET_PROTOCOL_FEATURES", protocol_features=MQ_ACK),
        ],
    ),
    Case(
        51,
        ("features were set, and no memory was shared",),
        [net(), *hello(NET, MQ_ACK, 1), *calls(range(2)), features(), closed()],
    ),
    Case(
        61,
        ("setup.single-queue", "the front-end has queues=2, and without the protocol feature MQ there is 1"),
        [
            net(2),
            *ask("GET_FEATURES", {"features": NET}),
            *ask("GET_PROTOCOL_FEATURES", {"protocol_features": 8}),
        ],
    ),
    Case(
        73,
        ("setup.queue-limit", "the front-end has queues=4, the back-end answers 2"),
        [net(4, 4), *hello(NET, MQ_ACK, 2), closed()],
    ),
    Case(
        74,
        ("VIRTIO_F_VERSION_1 was offered and is not acknowledged",),
        [net(), *hello(), features(NET & ~VERSION_1), closed(Side.BACKEND)],
        shows=("check", "--severity", "info"),
    ),
    Case(
        79,
        ("The last it had received was SET_VRING_ENABLE",),
        [
            met(QEMU + " -device vhost-user-fs-pci,chardev=c0", "virtiofsd", ("qemu", "virtiofsd")),
            *hello(),
            *calls(range(2)),
            features(),
            memory(),
            *ring(0),
            *ring(1),
            enable(0),
            closed(Side.BACKEND),
        ],
    ),
    Case(
        46,
        ("It came 4.0 s after session 1 was lost, and ring 0 resumes at avail 2",),
        records=[
            *script(net(), *running(), closed(Side.BACKEND), session=1),
            *script(
                net(),
                *running(base=2),
                closed(),
                session=2,
                start_ns=script(net(), *running(), closed())[-1].time_ns + 4_000_000_000,
            ),
        ],
    ),
    Case(
        47,
        ("The back-end (dpdk-testpmd, pid 200) left: never got past GET_FEATURES",),
        records=[
            *script(net(), *running(), closed(Side.BACKEND), session=1),
            *script(
                net(),
                front("GET_FEATURES"),
                closed(Side.BACKEND),
                session=2,
                start_ns=1_700_000_005_000_000_000,
            ),
        ],
    ),
    Case(
        48,
        (
            "closed the connection (it died, or was stopped) while 2 rings ran",
            "Since then the back-end at connect:back.sock cannot be reached: Connection refused (5 tries)",
        ),
        [net(), *running(), closed(Side.BACKEND), *[noted(NO_BACKEND, EventKind.ERROR)] * 5],
    ),
    Case(44, ("2 tries in",), [noted(NO_BACKEND, EventKind.ERROR), noted(NO_BACKEND, EventKind.ERROR)]),
    Case(
        19,
        ("round",),
        [
            net(2),
            *hello(NET, MQ_ACK, 2),
            *calls(range(2)),
            *ask("GET_FEATURES", {"features": NET}),
            *ask("GET_PROTOCOL_FEATURES", {"protocol_features": MQ_ACK}),
            front("SET_PROTOCOL_FEATURES", protocol_features=MQ_ACK),
            *calls(range(2, 4)),
            features(),
        ],
        shows=("timeline",),
    ),
    Case(58, ("bit 17", "XEN_MMAP"), shows=("explain", "bit", "17")),
    Case(
        65,
        ("ring.beyond-queue-num",),
        [net(2, 2), *hello(NET & ~MQ_BIT, MQ_ACK, 1), *calls(range(4)), features(), memory(), *ring(2)],
    ),
)
NOT_USED = (NET_CARD, TESTPMD)
