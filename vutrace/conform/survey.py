"""What the peer offers, found out once before the cases, so that each is skipped for a reason."""

from collections.abc import Mapping
from dataclasses import dataclass

from vutrace.conform.case import Case
from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit


@dataclass(frozen=True, slots=True)
class Survey:
    """The peer's offer: masks, queues (pairs for net); `command` is its command line, if that is seen."""

    features: int = 0
    protocol: int = 0
    queues: int = 0
    device: Device = UNKNOWN_DEVICE
    command: str = ""

    def tables(self) -> tuple[tuple[int, Mapping[int, str]], ...]:
        """Each mask with the names of its bits."""
        return (
            (self.protocol, PROTOCOL_FEATURES),
            (self.features, VIRTIO_FEATURES),
            (self.features, self.device.features),
        )

    def offers(self, name: str) -> bool:
        """Whether a feature of any kind is offered."""
        return any(name in names.values() and mask & bit(name, names) for mask, names in self.tables())

    def why_not(self, case: Case) -> str:
        """Why a case has no sense here; "" if it has."""
        if case.device and case.device != self.device.name:
            return f"for {case.device}; this is {self.device.name}"
        missing = [name for name in case.needs if not self.offers(name)]
        return f"not offered: {', '.join(missing)}" if missing else ""

    def masks(self, needs: tuple[str, ...]) -> tuple[int, int]:
        """The features and protocol features to acknowledge for these; others of a name are left out."""
        features = protocol = 0
        for name in needs:
            if name in PROTOCOL_FEATURES.values():
                protocol |= bit(name, PROTOCOL_FEATURES) & self.protocol
            for names in (VIRTIO_FEATURES, self.device.features):
                if name in names.values():
                    features |= bit(name, names) & self.features
        return features, protocol
