"""virtio-9p: a file system by the 9P protocol.

Source: virtio, "9P"; Linux, virtio_9p.h.
"""

from vutrace.plugin import TEXT, Device, Evidence, Layer, Tail, le16, unit

FEATURES = {0: "VIRTIO_9P_MOUNT_TAG"}


class NinePConfig(Layer):
    """virtio_9p_config: there with VIRTIO_9P_MOUNT_TAG."""

    name = "9p config"
    fields_desc = [le16("tag_len", unit("bytes")), Tail("tag", TEXT)]


def ring_name(index: int, _features: int) -> str:
    """One ring of requests."""
    return f"req{index}"


DEVICE = Device(
    "9p",
    number=9,
    features=FEATURES,
    config=NinePConfig,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-9p\b", r"\bvirtio-id=9\b")),
)
