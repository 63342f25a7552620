"""virtio-spi: an SPI controller.

Source: virtio, "SPI Controller Device".
"""

from vutrace.plugin import HEX, Device, Evidence, Layer, enum, flags, le32, u8, unit

NBITS = flags({0: "DUAL", 1: "QUAD", 2: "OCTAL"})
MODES = flags(
    {
        0: "CPHA_0",
        1: "CPHA_1",
        2: "CPOL_0",
        3: "CPOL_1",
        4: "CS_HIGH",
        5: "LSB_FIRST",
        6: "LOOPBACK",
    }
)
NANOSECONDS = unit("ns")


class SpiConfig(Layer):
    """virtio_spi_config; a frequency of 0 means no limit, a delay of 0 that it cannot be set."""

    name = "spi config"
    fields_desc = [
        u8("cs_max_number"),
        u8("cs_change_supported", enum({0: "no", 1: "yes"})),
        u8("tx_nbits_supported", NBITS),
        u8("rx_nbits_supported", NBITS),
        le32("bits_per_word_mask", HEX),
        le32("mode_func_supported", MODES),
        le32("max_freq_hz", unit("Hz")),
        le32("max_word_delay_ns", NANOSECONDS),
        le32("max_cs_setup_ns", NANOSECONDS),
        le32("max_cs_hold_ns", NANOSECONDS),
        le32("max_cs_inactive_ns", NANOSECONDS),
    ]


def ring_name(index: int, _features: int) -> str:
    """One ring of transfers."""
    return f"req{index}"


DEVICE = Device(
    "spi",
    number=45,
    config=SpiConfig,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-spi\b", r"\bvirtio-id=45\b"), config_sizes=(32,)),
)
