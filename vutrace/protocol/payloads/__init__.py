"""The payloads of all channels, one scapy layer per structure.

Field names are those of the spec's structures (vhost-user.rst, "Message Specification" and its
payload sections). Where implementations lay a payload out in more than one way, each way is a layer
and the message's row lists them.
"""

from vutrace.protocol.payloads.crosvm import ExternalMap, GpuMap
from vutrace.protocol.payloads.crypto import (
    CRYPTO_OPERATIONS,
    SYMMETRIC,
    AsymmetricCryptoSession,
    CryptoSession,
    CryptoSessionId,
    OldCryptoSession,
)
from vutrace.protocol.payloads.device import Config, DeviceState, DeviceStateReply, Inflight, Uuid
from vutrace.protocol.payloads.generic import U64, Ack, Blob
from vutrace.protocol.payloads.gpu import (
    CursorPos,
    CursorUpdate,
    DisplayInfo,
    DmabufScanout,
    DmabufScanout2,
    Edid,
    GpuProtocolFeatures,
    Scanout,
    ScanoutId,
    Update,
)
from vutrace.protocol.payloads.memory import (
    IOTLB_TYPES,
    Iotlb,
    Log,
    LogSize,
    MemoryRegion,
    MemoryTable,
    Mmap,
    ShmemConfig,
    SingleRegion,
    XenMemoryRegion,
    XenMemoryTable,
    XenSingleRegion,
)
from vutrace.protocol.payloads.negotiation import (
    Features,
    MemSlots,
    Mtu,
    ProtocolFeatures,
    QueueNum,
    Rarp,
    Status,
)
from vutrace.protocol.payloads.rings import (
    RING_WITH_FD,
    Area,
    VringAddr,
    VringBase,
    VringEnable,
    VringEndian,
    VringFd,
    VringState,
)

__all__ = [
    "CRYPTO_OPERATIONS",
    "IOTLB_TYPES",
    "RING_WITH_FD",
    "SYMMETRIC",
    "U64",
    "Ack",
    "Area",
    "AsymmetricCryptoSession",
    "Blob",
    "Config",
    "CryptoSession",
    "CryptoSessionId",
    "CursorPos",
    "CursorUpdate",
    "DeviceState",
    "DeviceStateReply",
    "DisplayInfo",
    "DmabufScanout",
    "DmabufScanout2",
    "Edid",
    "ExternalMap",
    "Features",
    "GpuMap",
    "GpuProtocolFeatures",
    "Inflight",
    "Iotlb",
    "Log",
    "LogSize",
    "MemSlots",
    "MemoryRegion",
    "MemoryTable",
    "Mmap",
    "Mtu",
    "OldCryptoSession",
    "ProtocolFeatures",
    "QueueNum",
    "Rarp",
    "Scanout",
    "ScanoutId",
    "ShmemConfig",
    "SingleRegion",
    "Status",
    "Update",
    "Uuid",
    "VringAddr",
    "VringBase",
    "VringEnable",
    "VringEndian",
    "VringFd",
    "VringState",
    "XenMemoryRegion",
    "XenMemoryTable",
    "XenSingleRegion",
]
