"""virtio-fs: a file system served by virtiofsd.

Source: virtio, "File System Device".
"""

from collections.abc import Iterator

from vutrace.plugin import (
    SIZE,
    TEXT,
    Check,
    Device,
    Evidence,
    Fact,
    Fixed,
    History,
    Layer,
    Row,
    Rule,
    Severity,
    answers,
    bit,
    le32,
    number,
    space_of,
)

FEATURES = {0: "VIRTIO_FS_F_NOTIFICATION"}
LEAST = 2
NOTIFICATION = bit("VIRTIO_FS_F_NOTIFICATION", FEATURES)


class FsConfig(Layer):
    """virtio_fs_config; notify_buf_size is there with VIRTIO_FS_F_NOTIFICATION."""

    name = "fs config"
    fields_desc = [
        Fixed("tag", 36, TEXT),
        le32("num_request_queues"),
        le32("notify_buf_size", SIZE),
    ]


def ring_name(index: int, features: int) -> str:
    """hiprio, the notification queue where negotiated, then requests."""
    special = ["hiprio", "notify"] if features & NOTIFICATION else ["hiprio"]
    return special[index] if index < len(special) else f"req{index - len(special)}"


def few_queues(row: Row, _seen: History) -> Iterator[str]:
    """Fewer rings than a file system has."""
    if 0 < number(row, "queue_num") < LEAST:
        yield f"{number(row, 'queue_num')} queue; there are hiprio and one for requests at least"


def no_request_queue(row: Row, _seen: History) -> Iterator[str]:
    """Nothing to ask on."""
    if space_of(row).get("num_request_queues") == 0:
        yield "num_request_queues is 0"


def hiprio_unstarted(row: Row, seen: History) -> Iterator[str]:
    """Requests, and no way to forget them."""
    if seen.started_ns and 0 not in seen.started_ns:
        yield "hiprio (ring 0) was never started, and others were"


CHECKS = (
    Check(
        Rule(
            "device.fs-few-queues",
            Severity.WARNING,
            "virtio, File System Device",
            "A file system has a ring for urgent requests and one or more for the others.",
            "Look at the back-end: it tells 2 or more.",
        ),
        lambda spec, _channel, reply: reply and spec.tells(Fact.QUEUE_NUM, True),
        few_queues,
        anytime=True,
    ),
    Check(
        Rule(
            "device.fs-no-request-queue",
            Severity.WARNING,
            "virtio, File System Device",
            "The guest has no ring to send its requests on: mount fails.",
            "Look at num-request-queues of the device.",
        ),
        answers(request="Config", reply="Config"),
        no_request_queue,
        anytime=True,
    ),
    Check(
        Rule(
            "device.fs-hiprio",
            Severity.WARNING,
            "virtio, File System Device",
            "Firmware starts only what it needs, and virtiofsd may wait for the other ring.",
            "If the firmware hangs here, use a newer virtiofsd, or boot from another device.",
        ),
        None,
        hiprio_unstarted,
    ),
)

DEVICE = Device(
    "fs",
    number=26,
    features=FEATURES,
    config=FsConfig,
    ring_name=ring_name,
    checks=CHECKS,
    evidence=Evidence(
        commands=(
            r"\bvhost-user-fs[\w-]*",  # QEMU -device
            r"\bvirtiofsd\b",
            r"--fs\b.*\bsocket=",  # cloud-hypervisor
            r"--vhost-user(-fs\b| (type=)?fs\b)",  # crosvm
        ),
        config_sizes=(40, 44),
    ),
)
