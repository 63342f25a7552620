"""Cases of rings: started, enabled, stopped, and where they stood."""

from kit.transcript import closed, eventfd, front, protocol

from cases.case import Case
from cases.scenes import (
    LOG_ALL,
    MRG_RXBUF,
    NET,
    PROTOCOL_BIT,
    VERSION_1,
    calls,
    enable,
    features,
    hello,
    memory,
    net,
    ring,
    running,
    stop,
)
from vutrace.records import Side

MQ_ACK = protocol("MQ", "REPLY_ACK")

CASES = (
    # the first ring of a pair is enabled, and the second is not there yet
    Case(
        1,
        (
            "device.net-half-a-pair",
            "ring 1 of the same pair is not set up yet",
        ),
        [net(), *hello(), *calls(range(2)), features(), memory(), *ring(0), enable(0), *ring(1), enable(1)],
    ),
    Case(
        10,
        ("-LOG_ALL", "0x144008000 as before, but +LOG_ALL"),
        [net(), *running(2, NET | LOG_ALL, NET), features(NET | LOG_ALL)],
        shows=("show", "--message", "SET_FEATURES"),
    ),
    Case(
        11,
        ("enabled: PROTOCOL_FEATURES is not negotiated",),
        [net(), *hello(), *calls(range(1)), features(NET & ~PROTOCOL_BIT), memory(), *ring(0)],
        shows=("queues",),
    ),
    # an old back-end answers 0 whatever was done
    Case(
        12,
        ("ring.base-restarts", "begins anew at 0"),
        [net(), *running(1), *stop(0, 77), *ring(0, 0)],
        shows=("check", "--severity", "info"),
    ),
    Case(
        54,
        ("ring.base-differs", "base 5 is set; when it was stopped the base was 77"),
        [net(), *running(1), *stop(0, 77), *ring(0, 5)],
    ),
    Case(
        20,
        ("VIRTIO_NET_F_MRG_RXBUF", "12 bytes"),
        [net(), *hello(), features()],
        shows=("show", "-V", "--message", "SET_FEATURES"),
    ),
    Case(
        21,
        ("MRG_RXBUF",),
        [net(), *running(2, NET, NET & ~MRG_RXBUF)],
        shows=("diff",),
        against=[net(), *running(2, NET, NET)],
    ),
    Case(
        22,
        ("10 bytes",),
        [net(), *hello(), features(NET & ~MRG_RXBUF & ~VERSION_1)],
        shows=("show", "-V", "--message", "SET_FEATURES"),
    ),
    Case(
        57,
        ("rings were started, and none was enabled",),
        [net(), *hello(), *calls(range(2)), features(), memory(), *ring(0), *ring(1), closed()],
    ),
    Case(
        64,
        ("enabled: PROTOCOL_FEATURES is not negotiated",),
        [
            net(),
            *hello(NET & ~PROTOCOL_BIT),
            *calls(range(2)),
            features(NET & ~PROTOCOL_BIT),
            memory(),
            *ring(0),
        ],
        shows=("queues",),
    ),
    Case(
        66,
        ("ring.call-replaced",),
        [net(), *running(1), front("SET_VRING_CALL", u64=0, fds=[eventfd(99)])],
        shows=("check", "--severity", "info"),
    ),
    Case(
        67,
        ("eventfd#99",),
        [net(), *running(1), front("SET_VRING_CALL", u64=0, fds=[eventfd(99)])],
        shows=("queues",),
    ),
    Case(
        70,
        ("Still open: 2 of 8 rings run",),
        [
            net(4, 4),
            *hello(NET, MQ_ACK, 4),
            *calls(range(8)),
            features(),
            memory(),
            *ring(0),
            *ring(1),
            enable(0),
            enable(1),
        ],
    ),
    Case(
        71,
        ("hiprio", "req0"),
        [
            net(),
            *hello(),
            *calls(range(2)),
            features(),
            memory(),
            *ring(1),
            enable(1),
        ],
        shows=("queues", "--device", "fs"),
    ),
    # the order of a stop in two releases
    Case(
        72,
        ("SET_VRING_ENABLE",),
        [net(), *running(1), *stop(0)],
        shows=("diff",),
        against=[net(), *running(1), enable(0, on=False), *stop(0)],
    ),
    Case(
        63,
        ("status.reset-again",),
        [
            net(),
            *hello(NET, protocol("RESET_DEVICE", "MQ"), 1),
            *calls(range(2)),
            front("RESET_DEVICE"),
            front("RESET_DEVICE"),
        ],
        shows=("check", "--severity", "info"),
    ),
    Case(62, ("negotiation.owner-reset",), [net(), *running(1), front("RESET_OWNER")]),
    Case(
        39,
        ("The back-end (dpdk-testpmd, pid 200) was killed (SIGKILL) while 2 rings ran",),
        [net(), *running(), closed(Side.BACKEND, backend_process="killed 9")],
    ),
)
