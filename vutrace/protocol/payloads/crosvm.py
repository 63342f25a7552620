"""crosvm's own messages on the back-end channel (third_party/vmm_vhost)."""

from vutrace.protocol.layers import Fixed, Layer, pad, u8, u32, u64
from vutrace.protocol.shows import HEX, SECRET, SIZE, UUID


class GpuMap(Layer):
    """crosvm's GPU_MAP (1006)."""

    name = "GPU map"
    fields_desc = [
        u8("shmid"),
        pad(7),
        u64("shm_offset", HEX),
        u64("len", SIZE),
        u32("memory_idx"),
        u32("handle_type"),
        Fixed("device_uuid", 16, UUID),
        Fixed("driver_uuid", 16, UUID),
    ]


class ExternalMap(Layer):
    """crosvm's EXTERNAL_MAP (1007)."""

    name = "external map"
    fields_desc = [
        u8("shmid"),
        pad(7),
        u64("shm_offset", HEX),
        u64("len", SIZE),
        u64("ptr", SECRET),
    ]
