"""virtio-console: ports of two rings each; with MULTIPORT a pair of control rings stands behind the first.

Source: virtio, "Console Device".
"""

from vutrace.plugin import HEX, Device, Evidence, Layer, bit, le16, le32, unit

FEATURES = {
    0: "VIRTIO_CONSOLE_F_SIZE",
    1: "VIRTIO_CONSOLE_F_MULTIPORT",
    2: "VIRTIO_CONSOLE_F_EMERG_WRITE",
}
MULTIPORT = bit("VIRTIO_CONSOLE_F_MULTIPORT", FEATURES)
CONTROL = 1  # which pair of rings it is


class ConsoleConfig(Layer):
    """virtio_console_config: a device has it as far as its features reach."""

    name = "console config"
    fields_desc = [
        le16("cols", unit("columns")),
        le16("rows", unit("rows")),
        le32("max_nr_ports", unit("ports")),
        le32("emerg_wr", HEX),
    ]


def ring_name(index: int, features: int) -> str:
    """Even rings receive (the guest's view), odd ones transmit; the number is the port's."""
    pair, way = index // 2, "tx" if index % 2 else "rx"
    if features & MULTIPORT and pair == CONTROL:
        return f"ctrl-{way}"
    return f"{way}{pair - 1 if features & MULTIPORT and pair > CONTROL else pair}"


DEVICE = Device(
    "console",
    number=3,
    features=FEATURES,
    config=ConsoleConfig,
    ring_name=ring_name,
    evidence=Evidence(
        commands=(
            r"\bvhost-(user|device)-console\b",
            r"--vhost-user(-console\b| .*\btype=console\b)",  # crosvm
            r"\bvirtio-id=3\b",
        )
    ),
)
