"""virtio-pmem: memory that stays; requests only flush it.

Source: virtio, "PMEM Device".
"""

from vutrace.plugin import HEX, SIZE, Device, Evidence, Layer, le64

FEATURES = {0: "VIRTIO_PMEM_F_SHMEM_REGION"}


class PmemConfig(Layer):
    """virtio_pmem_config: where the memory is; with VIRTIO_PMEM_F_SHMEM_REGION the region says it."""

    name = "pmem config"
    fields_desc = [le64("start", HEX), le64("size", SIZE)]


def ring_name(index: int, _features: int) -> str:
    """One ring of requests."""
    return f"req{index}"


DEVICE = Device(
    "pmem",
    number=27,
    features=FEATURES,
    config=PmemConfig,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-pmem\b", r"\bvirtio-id=27\b")),
)
