"""The device: configuration space, in-flight buffer, shared objects, state transfer."""

from vutrace.protocol.layers import Fixed, Layer, Tail, pad, u16, u32, u64
from vutrace.protocol.shows import CONFIG, HEX, SIZE, UUID, enum, parts

# The spec has 0 for what the guest may write, and 1 for a migration. rust-vmm's vhost and crosvm count from
# 1, so that 1 is what their front-ends always send.
CONFIG_FLAGS = {
    0: "ordinary access",
    1: "live migration; ordinary access from rust-vmm and crosvm",
    2: "live migration from rust-vmm and crosvm",
}


class Config(Layer):
    """The spec's "Virtio device config space"; the device's dissector reads `data`."""

    name = "config space"
    words = "{size:count byte} at {offset}"
    fields_desc = [
        u32("offset"),
        u32("size"),
        u32("flags", enum(CONFIG_FLAGS)),
        Tail("data", CONFIG, count="size"),
    ]


class Inflight(Layer):
    """The spec's "Inflight description"; 24 bytes on every known wire, 4 of them tail padding."""

    name = "inflight"
    words = "{num_queues:count queue} of {queue_size}[mmap_size?, {mmap_size:size}]"
    fields_desc = [
        u64("mmap_size", SIZE),
        u64("mmap_offset", HEX),
        u16("num_queues"),
        u16("queue_size"),
        pad(4),
    ]


class Uuid(Layer):
    """The spec's "VhostUserShared": the UUID of a shared object."""

    name = "shared object"
    words = "{uuid}"
    fields_desc = [Fixed("uuid", 16, UUID)]


class DeviceState(Layer):
    """The spec's "Device state transfer parameters"."""

    name = "device state transfer"
    fields_desc = [
        u32("direction", enum({0: "save", 1: "load"})),
        u32("phase", enum({0: "stopped"})),
    ]


class DeviceStateReply(Layer):
    """SET_DEVICE_STATE_FD's reply: an error number, and bit 8 when no descriptor comes along."""

    name = "device state reply"
    words = "{u64&0xff:status}[u64&0x100? NOFD]"
    fields_desc = [u64("u64", parts(error=0xFF, nofd=0x100))]
