"""virtio-i2c: an I2C adapter; no configuration space.

Source: virtio, "I2C Adapter Device".
"""

from collections.abc import Iterator

from vutrace.plugin import Device, Evidence, bit

FEATURES = {0: "VIRTIO_I2C_F_ZERO_LENGTH_REQUEST"}
ZERO_LENGTH_REQUEST = bit("VIRTIO_I2C_F_ZERO_LENGTH_REQUEST", FEATURES)


def ring_name(index: int, _features: int) -> str:
    """One ring of requests."""
    return f"req{index}"


def notes(features: int) -> Iterator[str]:
    """The feature that is not optional."""
    if not features & ZERO_LENGTH_REQUEST:
        yield "VIRTIO_I2C_F_ZERO_LENGTH_REQUEST is mandatory: a driver must give up without it"


DEVICE = Device(
    "i2c",
    number=34,
    features=FEATURES,
    ring_name=ring_name,
    notes=notes,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-i2c\b", r"\bvirtio-id=34\b")),
)
