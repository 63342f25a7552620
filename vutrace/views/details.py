"""What matters in a message, in a few words: a formatter per payload layer, else its fields.

A formatter gets fields that are whole; a payload that is short or unknown is shown field by field.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vutrace.dissection.message import Message
from vutrace.protocol import payloads as p
from vutrace.protocol.layers import Layer, has_secrets
from vutrace.protocol.shows import UUID, Kind
from vutrace.protocol.wire import NOFD
from vutrace.session.context import RING_PACKED, Context
from vutrace.views.fields import shows_of
from vutrace.views.gpu import GPU_DETAILS
from vutrace.views.masks import choice, offer, protocol_names, virtio_names
from vutrace.views.text import REDACTED, address, count, hex_of, size, status, text_of, vring_base

Fields = Mapping[str, Any]
Formatter = Callable[[Message, Fields, Context], str]

REGIONS_SHOWN = 3
CONFIG_WIDTH = 140


def detail(message: Message, context: Context) -> str:
    """The message in a few words; "" where its name says all."""
    layer, fields = message.layer, message.fields
    formatter = DETAILS.get(layer)
    if formatter and len(fields) == len(layer.fields_desc):
        words = formatter(message, fields, context)
    else:
        words = generic(layer, fields, context)
    return f"{words} {leftover(message)}".strip() if message.rest else words


def leftover(message: Message) -> str:
    """The bytes behind the fields; in a message with secrets they may be some."""
    hidden = has_secrets(message.layer)
    return f"{len(message.rest)} bytes {REDACTED}" if hidden else hex_of(message.rest)


def generic(layer: type[Layer], fields: Fields, context: Context, first: Sequence[str] = ()) -> str:
    """Field by field, those named in `first` before the others."""
    shown = [field for field in shows_of(layer) if field.name in fields and field.show.kind is not Kind.PAD]
    shown.sort(key=lambda field: first.index(field.name) if field.name in first else len(first))
    return ", ".join(f"{field.name} {text_of(fields[field.name], field.show, context)}" for field in shown)


def config_words(layer: type[Layer], fields: Fields, context: Context) -> str:
    """What a configuration space says, as far as a row goes: the values that are not zero, by weight."""
    said = {
        name: value for name, value in fields.items() if not isinstance(value, dict) and not is_zero(value)
    }
    words = generic(layer, said, context, layer.glance)
    return words if len(words) <= CONFIG_WIDTH else words[:CONFIG_WIDTH].rpartition(",")[0] + ", …"


def is_zero(value: Any) -> bool:
    """Whether a value, a number or bytes, says nothing."""
    return not value.strip(b"\0") if isinstance(value, bytes) else not value


def features(message: Message, fields: Fields, context: Context) -> str:
    """Virtio features: what is offered, and what of it is not acknowledged."""
    names = virtio_names(context.device)
    if message.reply:
        return offer(fields["features"], context.offered, names)
    return choice(fields["features"], context.features, context.offered, names, tell_taken=False)


def protocol_features(message: Message, fields: Fields, context: Context) -> str:
    """Protocol features: what is offered, what is acknowledged and what is not."""
    if message.reply:
        return offer(fields["protocol_features"], context.protocol_offered, protocol_names)
    known = context.protocol_features, context.protocol_offered
    return choice(fields["protocol_features"], *known, protocol_names, tell_taken=True)


def region(fields: Fields) -> str:
    """One memory region."""
    return f"{size(fields['size'])} at gpa {address(fields['guest_address'])}"


def regions(_message: Message, fields: Fields, _context: Context) -> str:
    """A memory table: its largest facts, the first regions."""
    table: Sequence[Fields] = fields["regions"]
    if not table:
        return "no region"
    told = ", ".join(region(each) for each in table[:REGIONS_SHOWN])
    if len(table) == 1:
        return f"1 region, {told}"
    more = f", {len(table) - REGIONS_SHOWN} more" if len(table) > REGIONS_SHOWN else ""
    return f"{len(table)} regions, {size(sum(each['size'] for each in table))}: {told}{more}"


def single_region(_message: Message, fields: Fields, _context: Context) -> str:
    """The region that comes or goes."""
    return f"{region(fields['region'])}, uva {address(fields['region']['user_address'])}"


def vring_state(message: Message, fields: Fields, _context: Context) -> str:
    """A ring, and its size where that is what the number is."""
    behind = f": {fields['num']} descriptors" if message.name == "SET_VRING_NUM" else ""
    return f"ring {fields['index']}{behind}"


def vring_base_of(_message: Message, fields: Fields, context: Context) -> str:
    """A ring's next index."""
    return f"ring {fields['index']}: {vring_base(fields['num'], context.has_feature(RING_PACKED))}"


def vring_switch(message: Message, fields: Fields, context: Context) -> str:
    """A ring, and what its number stands for."""
    show = shows_of(message.layer)[1].show
    return f"ring {fields['index']}: {text_of(fields['num'], show, context)}"


def vring_fd(message: Message, _fields: Fields, _context: Context) -> str:
    """A ring, and whether a descriptor comes along."""
    return f"ring {message.ring}{' NOFD' if message.nofd else ''}"


def vring_addr(_message: Message, fields: Fields, _context: Context) -> str:
    """Where a ring lies."""
    log = f" log {address(fields['log'])}" if fields["flags"] & 1 else ""
    places = " ".join(
        f"{word} {address(fields[name])}"
        for word, name in (("desc", "descriptor"), ("avail", "available"), ("used", "used"))
    )
    return f"ring {fields['index']}: {places}{log}"


def area(message: Message, fields: Fields, context: Context) -> str:
    """A ring's doorbell."""
    mapped = f": {size(fields['size'])} at offset {address(fields['offset'])}"
    return vring_fd(message, fields, context) + ("" if message.nofd else mapped)


def log(_message: Message, fields: Fields, _context: Context) -> str:
    """The dirty log's area."""
    return f"{size(fields['mmap_size'])} at offset {address(fields['mmap_offset'])}"


def inflight(_message: Message, fields: Fields, _context: Context) -> str:
    """The area of requests in flight; nothing is mapped in the request that asks for it."""
    queues = f"{count(fields['num_queues'], 'queue')} of {fields['queue_size']}"
    return f"{queues}, {size(fields['mmap_size'])}" if fields["mmap_size"] else queues


def iotlb(message: Message, fields: Fields, context: Context) -> str:
    """A translation that is asked for, given or withdrawn."""
    shows = {field.name: field.show for field in shows_of(message.layer)}
    kind, permission = (text_of(fields[name], shows[name], context) for name in ("type", "permission"))
    place = f"{kind} iova {address(fields['iova'])}"
    match kind:
        case "update":
            return f"{place} +{size(fields['size'])} = uva {address(fields['user_address'])} {permission}"
        case "invalidate":
            return f"{place} +{size(fields['size'])}"
    return f"{place} {permission}"


def mmap(message: Message, fields: Fields, _context: Context) -> str:
    """A mapping in a shared memory region that comes or goes."""
    place = f"shmid {fields['shmid']}: {size(fields['len'])} at {address(fields['shm_offset'])}"
    if message.name.endswith("UNMAP"):
        return place
    access = "read-write" if fields["flags"] & 1 else "read-only"
    return f"{place}, fd offset {address(fields['fd_offset'])}, {access}"


def shmem_config(_message: Message, fields: Fields, _context: Context) -> str:
    """The shared memory regions that there are."""
    sizes = [(shmid, length) for shmid, length in enumerate(fields["memory_sizes"]) if length]
    return ", ".join(f"shmid {shmid}: {size(length)}" for shmid, length in sizes) or "no region"


def device_state(_message: Message, fields: Fields, _context: Context) -> str:
    """Whether the back-end took the transfer, and over whose pipe."""
    word = fields["u64"]
    return f"{status(word & 0xFF)}{' NOFD' if word & NOFD else ''}"


def device_status(message: Message, fields: Fields, context: Context) -> str:
    """The status bits; none of them is a reset."""
    if not fields["status"]:
        return "0" if message.reply else "0 (reset)"
    show = shows_of(message.layer)[0].show
    return f"{fields['status']:#x} {text_of(fields['status'], show, context)}"


def crypto(message: Message, fields: Fields, _context: Context) -> str:
    """Whether a session was made; its keys are nobody's business."""
    number = fields["session_id"]
    if message.reply:
        return f"session {number}" if number >= 0 else status(number & 0xFFFFFFFFFFFFFFFF)
    return "cipher {cipher_alg} with {key_len} bytes of key, hash {hash_alg}".format_map(fields)


def queue_num(_message: Message, fields: Fields, context: Context) -> str:
    """How many queues: pairs of rings where the device has such."""
    return count(fields["queue_num"], "queue pair" if context.device.pairs else "queue")


def config(_message: Message, fields: Fields, _context: Context) -> str:
    """Which part of the configuration space; what it says is told behind."""
    return f"{count(fields['size'], 'byte')} at {fields['offset']}"


DETAILS: Mapping[type[Layer], Formatter] = {
    p.Ack: lambda message, fields, context: status(fields["status"]),
    p.U64: lambda message, fields, context: address(fields["u64"]),
    p.Features: features,
    p.ProtocolFeatures: protocol_features,
    p.Status: device_status,
    p.QueueNum: queue_num,
    p.MemSlots: lambda message, fields, context: count(fields["max_mem_slots"], "slot"),
    p.Mtu: lambda message, fields, context: count(fields["mtu"], "byte"),
    p.CryptoSessionId: lambda message, fields, context: f"session {fields['session_id']}",
    p.Rarp: lambda message, fields, context: fields["mac"].hex(":"),
    p.Uuid: lambda message, fields, context: text_of(fields["uuid"], UUID, context),
    p.VringState: vring_state,
    p.VringBase: vring_base_of,
    p.VringEnable: vring_switch,
    p.VringEndian: vring_switch,
    p.VringFd: vring_fd,
    p.VringAddr: vring_addr,
    p.Area: area,
    p.MemoryTable: regions,
    p.XenMemoryTable: regions,
    p.SingleRegion: single_region,
    p.XenSingleRegion: single_region,
    p.Log: log,
    p.Inflight: inflight,
    p.Iotlb: iotlb,
    p.Mmap: mmap,
    p.ShmemConfig: shmem_config,
    p.DeviceStateReply: device_state,
    p.Config: config,
    p.CryptoSession: crypto,
    p.OldCryptoSession: crypto,
    p.Blob: lambda message, fields, context: hex_of(fields["data"]),
    **GPU_DETAILS,
}
