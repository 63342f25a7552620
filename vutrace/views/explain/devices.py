"""One device type: its feature bits, its configuration space, what its rings are called."""

from collections.abc import Iterator

from vutrace.dissection.device import Device
from vutrace.views.explain.facts import headed, layouts
from vutrace.views.listing import ring_names


def device(about: Device) -> Iterator[str]:
    yield f"{about.name}: virtio device {about.number}"
    yield from headed(sections(about))


def sections(about: Device) -> Iterator[tuple[str, list[str]]]:
    """What there is to say, under headings."""
    control = f"; {about.control_ring} behind those that GET_QUEUE_NUM counts" if about.control_ring else ""
    yield "features", [f"{bit:>2} {name}" for bit, name in sorted(about.features.items())]
    yield "config", list(layouts((about.config,))) if about.config else []
    yield "rings", [", ".join([*ring_names(about), "…"]) + control]
    yield "messages", [spec.name for table in about.messages.values() for spec in table.values()]
