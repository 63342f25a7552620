"""What each side was told when it was started: device, queues, features, memory, as its command line has
them.

The defaults are those of QEMU 11.1, DPDK 25.11, qemu-storage-daemon 11.1 and cloud-hypervisor 48.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.protocol.bits import VIRTIO_FEATURES
from vutrace.records import Connection, Event, Side
from vutrace.session.command_line import Word, about, paths_in, program_of, relevant, words_of
from vutrace.session.recognition import device_said

ON = {"on", "true", "yes", "1"}
OFF = {"off", "false", "no", "0"}
CUT_AT = 4000  # captures before 0.3 keep the first 4096 bytes of a command line: what lacks may stand behind


@dataclass(frozen=True, slots=True)
class Wish:
    """A feature that the command line asks for, in its words."""

    said: str
    feature: str
    mask: int


@dataclass(frozen=True, slots=True)
class Told:
    """What one side was told of the traced device.

    `said` are the words that name `device`. `queues` counts pairs for net, and is None where nothing tells
    it; `queues_said` how it is told. `private` says why guest memory cannot be shared, "" where it can or
    where nothing tells.
    """

    program: str = ""
    device: Device = UNKNOWN_DEVICE
    said: str = ""
    queues: int | None = None
    queues_said: str = ""
    wishes: tuple[Wish, ...] = ()
    private: str = ""


NOTHING_TOLD = Told()
BOTH_UNTOLD: Mapping[Side, Told] = dict.fromkeys(Side, NOTHING_TOLD)

# Parameters of QEMU's -device and the features that the back-end must offer for them.
QEMU_ANY = {
    "packed": "VIRTIO_F_RING_PACKED",
    "in_order": "VIRTIO_F_IN_ORDER",
    "iommu_platform": "VIRTIO_F_ACCESS_PLATFORM",
    "event_idx": "VIRTIO_F_EVENT_IDX",
    "indirect_desc": "VIRTIO_F_INDIRECT_DESC",
    "queue_reset": "VIRTIO_F_RING_RESET",
}
QEMU_NET = QEMU_ANY | {
    "mq": "VIRTIO_NET_F_MQ",
    "host_mtu": "VIRTIO_NET_F_MTU",
    "mrg_rxbuf": "VIRTIO_NET_F_MRG_RXBUF",
    "csum": "VIRTIO_NET_F_CSUM",
    "gso": "VIRTIO_NET_F_GSO",
    "guest_csum": "VIRTIO_NET_F_GUEST_CSUM",
    "guest_tso4": "VIRTIO_NET_F_GUEST_TSO4",
    "guest_tso6": "VIRTIO_NET_F_GUEST_TSO6",
    "guest_ecn": "VIRTIO_NET_F_GUEST_ECN",
    "guest_ufo": "VIRTIO_NET_F_GUEST_UFO",
    "guest_uso4": "VIRTIO_NET_F_GUEST_USO4",
    "guest_uso6": "VIRTIO_NET_F_GUEST_USO6",
    "host_tso4": "VIRTIO_NET_F_HOST_TSO4",
    "host_tso6": "VIRTIO_NET_F_HOST_TSO6",
    "host_ecn": "VIRTIO_NET_F_HOST_ECN",
    "host_ufo": "VIRTIO_NET_F_HOST_UFO",
    "host_uso": "VIRTIO_NET_F_HOST_USO",
    "rss": "VIRTIO_NET_F_RSS",
    "hash": "VIRTIO_NET_F_HASH_REPORT",
}
QEMU_BLK = QEMU_ANY | {"config-wce": "VIRTIO_BLK_F_CONFIG_WCE"}
VIRTIO_USER = {
    "packed_vq": "VIRTIO_F_RING_PACKED",
    "in_order": "VIRTIO_F_IN_ORDER",
    "mrg_rxbuf": "VIRTIO_NET_F_MRG_RXBUF",
}


@dataclass(frozen=True, slots=True)
class DeviceWord:
    """One kind of word that speaks of a device: an option, and how the word begins.

    `queues` is the parameter that counts queues, `rings` of them each; without it there are `default`.
    """

    option: str
    word: str
    queues: str = ""
    default: int | None = None
    rings: int = 1
    wishes: Mapping[str, str] | None = None

    def fits(self, word: Word) -> bool:
        """Whether a word is of this kind."""
        return word.option.lstrip("-") == self.option and re.match(self.word, word.text) is not None


DEVICE_WORDS = (
    DeviceWord("netdev", r"(type=)?vhost-user,|{.*\"type\":\"vhost-user\"", "queues", 1),
    DeviceWord("device", r"(driver=)?virtio-net|{.*\"driver\":\"virtio-net", wishes=QEMU_NET),
    DeviceWord("device", r"(driver=)?vhost-user-blk|{.*\"vhost-user-blk", "num-queues", wishes=QEMU_BLK),
    DeviceWord("device", r"(driver=)?vhost-user-|{.*\"vhost-user-", wishes=QEMU_ANY),
    DeviceWord("export", r"(type=)?vhost-user-blk|{.*\"vhost-user-blk", "num-queues", 1),
    DeviceWord("vdev", r"'?(--vdev=)?'?(net|eth)_vhost", "queues", 1),
    DeviceWord("vdev", r"'?(--vdev=)?'?(net_)?virtio_user", "queues", 1, wishes=VIRTIO_USER),
    DeviceWord("net", r".*\bvhost_user=(true|on)", "num_queues", 2, rings=2),
    DeviceWord("disk", r".*\bvhost_user=(true|on)", "num_queues", 1),
)


def told_of(event: Event, devices: Sequence[Device], endpoints: Connection | None) -> Mapping[Side, Told]:
    """What both sides were told, from the command lines of an OPEN event."""
    paths = paths_in(event.attributes, endpoints)
    commands = {side: event.attributes.get(f"{side}_command", "") for side in Side}
    return {side: told(commands[side], paths[side], devices) for side in Side}


def told(command: str, path: str, devices: Sequence[Device]) -> Told:
    """What one command line says."""
    if not command:
        return NOTHING_TOLD
    device, said = device_said(relevant(command, path), devices)
    spoken = [(kind, word) for word in about(command, path) if (kind := kind_of(word))]
    queues, queues_said = next(filter(None, (count(kind, word) for kind, word in spoken)), (None, ""))
    wishes = tuple(wish for kind, word in spoken for wish in wished(kind, word, device))
    return Told(program_of(command), device, said, queues, queues_said, wishes, private(command))


@lru_cache(4096)  # the same two peers come back in every session
def kind_of(word: Word) -> DeviceWord | None:
    """The first kind that a word is of."""
    return next((kind for kind in DEVICE_WORDS if kind.fits(word)), None)


def count(kind: DeviceWord, word: Word) -> tuple[int, str] | None:
    """How many queues a word tells, and in which words; None where it tells none."""
    said = word.values.get(kind.queues, "") if kind.queues else ""
    number = int(said) if said.isdecimal() else kind.default
    if number is None:
        return None
    return number // kind.rings, f"{kind.queues}={said}" if said else f"no {kind.queues}=, so {number}"


def wished(kind: DeviceWord, word: Word, device: Device) -> Iterator[Wish]:
    """The features that a word asks for."""
    for key, feature in (kind.wishes or {}).items():
        value = word.values.get(key, word.values.get(key.replace("_", "-"), "")).lower()
        if value and value not in OFF and (value in ON or value.isdecimal()):
            yield Wish(f"{key}={value}", feature, mask_of(feature, device))


def mask_of(feature: str, device: Device) -> int:
    """The bit of a feature by its name; 0 where the device has no such feature."""
    known = {name: bit for table in (device.features, VIRTIO_FEATURES) for bit, name in table.items()}
    return 1 << known[feature] if feature in known else 0


@lru_cache(256)
def private(command: str) -> str:
    """Why what a front-end gives its guest as memory cannot be shared; "" where it can or nothing tells."""
    program = program_of(command)
    if re.match(r"qemu-(system|kvm)|kvm$", program):
        return private_in_qemu(words_of(command), len(command) >= CUT_AT)
    if program == "cloud-hypervisor":
        memory = [word.values for word in words_of(command) if word.option == "--memory"]
        shared = any(each.get(key) in ON for each in memory for key in ("shared", "hugepages"))
        return "" if shared else "--memory has no shared=on"
    return ""


def private_in_qemu(words: Sequence[Word], cut: bool) -> str:
    """The same of QEMU, whose memory is shared by an object that some node or the machine uses."""
    backends = [word.values for word in words if word.option == "-object" and "memory-backend" in word.text]
    if cut or any(word.option == "-readconfig" for word in words):
        return ""
    if not backends:
        path = any(word.option == "-mem-path" for word in words)
        return "-mem-path alone is private" if path else "there is no -object memory-backend-…,share=on"
    if not any(map(shares, backends)):
        said = [f"{each.get('', 'an object')} has {told_share(each)}" for each in backends]
        return " and ".join(dict.fromkeys(said))
    used = any(re.search(r"\bmem(ory-backend|dev)\"?[=:]", word.text) for word in words)
    return "" if used else "no -numa node,memdev= or -machine memory-backend= uses the memory object"


def shares(backend: Mapping[str, str]) -> bool:
    """Whether a memory object is shared: memfd and shm are where nothing else is said."""
    said = backend.get("share", "")
    return said in ON if said else backend.get("", "").endswith(("memfd", "shm"))


def told_share(backend: Mapping[str, str]) -> str:
    """How an object is not shared, in the command line's words."""
    return f"share={backend['share']}" if "share" in backend else "no share=on"
