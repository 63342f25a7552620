"""virtio-gpio: lines to read and write; interrupts come over a second ring.

Source: virtio, "GPIO Device".
"""

from vutrace.plugin import SIZE, Device, Evidence, Layer, le16, le32, pad, unit

FEATURES = {0: "VIRTIO_GPIO_F_IRQ"}
RINGS = {0: "req", 1: "event"}


class GpioConfig(Layer):
    """virtio_gpio_config; a size of 0 means that lines have no names."""

    name = "gpio config"
    fields_desc = [le16("ngpio", unit("lines")), pad(2), le32("gpio_names_size", SIZE)]


def ring_name(index: int, _features: int) -> str:
    """Requests, and interrupts where VIRTIO_GPIO_F_IRQ is negotiated."""
    return RINGS.get(index, f"q{index}")


DEVICE = Device(
    "gpio",
    number=41,
    features=FEATURES,
    config=GpioConfig,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-gpio\b", r"\bvirtio-id=41\b")),
)
