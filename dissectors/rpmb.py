"""virtio-rpmb: memory protected against replay.

Source: virtio, "RPMB Device".
"""

from vutrace.plugin import Device, Evidence, Layer, u8, unit


class RpmbConfig(Layer):
    """virtio_rpmb_config; counts are of 256-byte blocks in one request, 0 is no limit."""

    name = "rpmb config"
    fields_desc = [
        u8("capacity", unit("× 128 KiB", 128 * 1024)),
        u8("max_wr_cnt", unit("blocks", 256)),
        u8("max_rd_cnt", unit("blocks", 256)),
    ]


def ring_name(index: int, _features: int) -> str:
    """One ring of requests."""
    return f"req{index}"


DEVICE = Device(
    "rpmb",
    number=28,
    config=RpmbConfig,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-rpmb\b", r"\bvirtio-id=28\b"), config_sizes=(3,)),
)
