"""virtio-balloon: memory that the guest gives back; which rings there are, its features decide.

Source: virtio, "Traditional Memory Balloon Device".
"""

from vutrace.plugin import HEX, Device, Evidence, Layer, bit, le32, unit

FEATURES = {
    0: "VIRTIO_BALLOON_F_MUST_TELL_HOST",
    1: "VIRTIO_BALLOON_F_STATS_VQ",
    2: "VIRTIO_BALLOON_F_DEFLATE_ON_OOM",
    3: "VIRTIO_BALLOON_F_FREE_PAGE_HINT",
    4: "VIRTIO_BALLOON_F_PAGE_POISON",
    5: "VIRTIO_BALLOON_F_REPORTING",
}
# Each ring stands behind those before it that exist; the mask is the feature it needs.
RINGS = [
    ("inflate", 0),
    ("deflate", 0),
    ("stats", bit("VIRTIO_BALLOON_F_STATS_VQ", FEATURES)),
    ("free", bit("VIRTIO_BALLOON_F_FREE_PAGE_HINT", FEATURES)),
    ("report", bit("VIRTIO_BALLOON_F_REPORTING", FEATURES)),
]
PAGES = unit("pages", 4096)


class BalloonConfig(Layer):
    """virtio_balloon_config: a device has it as far as its features reach; pages are always 4 KiB."""

    name = "balloon config"
    fields_desc = [
        le32("num_pages", PAGES),
        le32("actual", PAGES),
        le32("free_page_hint_cmd_id"),
        le32("poison_val", HEX),
    ]


def ring_name(index: int, features: int) -> str:
    """The rings that the features leave, in order."""
    present = [name for name, needs in RINGS if features & needs == needs]
    return present[index] if index < len(present) else f"q{index}"


DEVICE = Device(
    "balloon",
    number=5,
    features=FEATURES,
    config=BalloonConfig,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-balloon\b", r"\bvirtio-id=5\b")),
)
