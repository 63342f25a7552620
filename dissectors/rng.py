"""virtio-rng, the entropy device: no features, no configuration space.

Source: virtio, "Entropy Device".
"""

from vutrace.plugin import Device, Evidence


def ring_name(index: int, _features: int) -> str:
    """One ring of buffers to be filled."""
    return f"req{index}"


DEVICE = Device(
    "rng",
    number=4,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-rng\b", r"\bvirtio-id=4\b")),
)
