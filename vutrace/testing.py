"""A conformance kit for plug-in authors; needs pytest and hypothesis (`pip install vutrace[testing]`).

    from vutrace.testing import DeviceConformance
    from vutrace_acme import DEVICE

    class TestAcme(DeviceConformance):
        device = DEVICE

Each check is a pytest test of its own. Bytes are made for every layer of the plug-in: valid ones, which
must come back as they were put in, and hostile ones, which nothing may raise on.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vutrace.dissection.checks import FDS
from vutrace.dissection.compiler import compile_layer
from vutrace.dissection.decoder import plain_value, scapy_decoder
from vutrace.dissection.device import Device
from vutrace.dissection.dissector import Dissector
from vutrace.dissection.registry import Plugin, Registry
from vutrace.dissection.soundness import NAME, config_layers
from vutrace.protocol.bits import VIRTIO_FEATURES
from vutrace.protocol.layers import (
    Array,
    Fixed,
    Layer,
    Listed,
    Nested,
    Number,
    Tail,
    counted_fields,
    in_order,
)
from vutrace.protocol.messages import TABLES, resolve
from vutrace.protocol.payloads import Config
from vutrace.protocol.spec import MessageSpec
from vutrace.protocol.wire import REPLY, REQUESTER, VERSION
from vutrace.records import Channel, Event, EventKind, FdInfo, FdKind, Frame, Side
from vutrace.session.tracker import Tracker
from vutrace.views.annotated import Annotator
from vutrace.views.json_lines import JsonLines
from vutrace.views.rows import Rows
from vutrace.views.tree import Tree

RINGS = range(256)  # KICK, CALL and ERR have eight bits for a ring
LONGEST_RING_NAME = 12
U64 = st.integers(0, 2**64 - 1)
CONFIG_REQUESTS = sorted(
    row.number for row in TABLES[Channel.MAIN].values() if Config in resolve(row.request)
)
# virtio, "Feature Bits": what is left to a device type, of the 64 bits that vhost-user can carry.
DEVICE_BITS = {*range(24), 41, 42, *range(50, 64)}

# One check runs for many devices, which Hypothesis would take for one test run in different ways.
UNWORRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.differing_executors]
kindly = settings(deadline=None, max_examples=40, suppress_health_check=UNWORRIED)


class DeviceConformance:
    """What holds for every good plug-in; subclass it, set `device`, and let pytest find it."""

    device: ClassVar[Device]

    def test_has_a_name_that_fits_a_column_and_a_filter(self) -> None:
        assert NAME.fullmatch(self.device.name), self.device.name
        assert 0 <= self.device.number < 1 << 16

    def test_names_only_feature_bits_of_its_own(self) -> None:
        for bit, name in self.device.features.items():
            assert name.isprintable(), f"the name of feature bit {bit} is not printable"
            assert bit in DEVICE_BITS, f"{name}: bit {bit} is not a device's ({VIRTIO_FEATURES.get(bit)})"
        assert len(set(self.device.features.values())) == len(self.device.features), "two bits, one name"

    def test_recognises_by_patterns_that_compile_and_messages_that_exist(self) -> None:
        evidence = self.device.evidence
        for pattern in evidence.commands:
            re.compile(pattern)
        own = {spec.name for _, spec in vendor_messages(self.device)}
        known = {spec.name for table in TABLES.values() for spec in table.values()} | own
        assert set(evidence.messages) <= known, f"no message is called {set(evidence.messages) - known}"

    def test_vendor_messages_hide_none_of_the_specs(self) -> None:
        for channel, spec in vendor_messages(self.device):
            assert self.device.messages[channel][spec.number] is spec, (
                f"{spec.name} stands under another number"
            )
            assert spec.number not in TABLES[channel], f"{spec.number} is {TABLES[channel][spec.number].name}"

    @kindly
    @given(features=U64)
    def test_every_ring_has_a_short_name_of_its_own(self, features: int) -> None:
        names = [self.device.name_of_ring(ring, features, queues=8) for ring in RINGS]
        for name in names:
            assert name.isprintable(), name
            assert 0 < len(name) <= LONGEST_RING_NAME, name
        assert len(set(names)) == len(names), "two rings, one name"

    @kindly
    @given(features=U64)
    def test_notes_are_single_lines(self, features: int) -> None:
        for note in self.device.notes(features):
            assert note.isprintable(), note

    @kindly
    @given(data=st.data())
    def test_what_is_put_in_is_read_back(self, data: st.DataObject) -> None:
        for layer in layers_of(self.device):
            fields = data.draw(values(layer), label=layer.__name__)
            for big_endian in (False, True):
                read, _ = compile_layer(layer, big_endian)(built(layer, fields, big_endian))
                put = {name: plain_value(value) for name, value in fields.items()}
                assert {name: read.get(name) for name in put} == put, layer.__name__

    @kindly
    @given(data=st.data())
    def test_compiled_decoders_read_what_scapy_reads(self, data: st.DataObject) -> None:
        for layer in layers_of(self.device):
            for big_endian in (False, True):
                payload = data.draw(payloads(layer, big_endian) | hostile(layer), label=layer.__name__)
                decode, slowly = compile_layer(layer, big_endian), scapy_decoder(layer, big_endian)
                assert decode(payload) == slowly(payload), f"{layer.__name__} of {payload.hex()}"

    @kindly
    @given(data=st.data())
    def test_its_own_messages_are_without_problems(self, data: st.DataObject) -> None:
        dissect = Dissector(self.device.messages)
        for channel, spec in vendor_messages(self.device):
            for layer in resolve(spec.request):
                payload = data.draw(payloads(layer, False), label=spec.name)
                message = dissect(frame(spec.number, payload, channel))
                problems = [problem for problem in message.problems if problem.rule is not FDS]
                assert (message.name, problems, message.rest) == (spec.name, [], b"")

    @kindly
    @given(data=st.data())
    def test_nothing_raises_from_bytes_to_views(self, data: st.DataObject) -> None:
        for line in shown_lines(self.device, data.draw(sessions(self.device))):
            assert "dissector " not in line, line


def layers_of(device: Device) -> list[type[Layer]]:
    """Every layer of a plug-in: its configuration space with variants, and its messages' payloads."""
    payloads = [
        layer for _, spec in vendor_messages(device) for layer in resolve((*spec.request, *spec.reply))
    ]
    return list(dict.fromkeys([*config_layers(device), *payloads]))


def vendor_messages(device: Device) -> Iterator[tuple[Channel, MessageSpec]]:
    """The messages that a plug-in adds."""
    return ((channel, spec) for channel, table in device.messages.items() for spec in table.values())


def payloads(layer: type[Layer], big_endian: bool = False) -> st.SearchStrategy[bytes]:
    """Bytes that are `layer` and nothing else, in the byte order of a host."""
    return values(layer).map(lambda fields: built(layer, fields, big_endian))


def built(layer: type[Layer], fields: dict[str, Any], big_endian: bool) -> bytes:
    """What scapy makes of a layer's fields."""
    return bytes(in_order(layer, big_endian)(**fields))


def hostile(layer: type[Layer]) -> st.SearchStrategy[bytes]:
    """Bytes that may be anything: foreign, cut short, or with more behind them."""
    cut = st.tuples(payloads(layer), st.integers(0, 4096)).map(lambda both: both[0][: both[1]])
    longer = st.tuples(payloads(layer), st.binary(max_size=16)).map(b"".join)
    return st.binary(max_size=512) | cut | longer


def values(layer: type[Layer]) -> st.SearchStrategy[dict[str, Any]]:
    """Values for the fields of a layer; a field of a type that is not ours keeps its default."""
    known = {field.name: made for field in layer.fields_desc if (made := value(layer, field)) is not None}
    return st.fixed_dictionaries(known).map(lambda fields: with_counts(layer, fields))


def value(layer: type[Layer], field: Any) -> st.SearchStrategy[Any] | None:
    """Values for one field; a number that marks the layer has one of its values."""
    if isinstance(field, Number):
        if layer.marks and field.name == layer.marks[0]:
            return st.sampled_from(sorted(layer.marks[1]))
        return integers(field.code)
    if isinstance(field, Array):
        return st.lists(integers(field.code), min_size=field.count, max_size=field.count)
    if isinstance(field, Nested):
        return values(field.layer).map(lambda inner: field.layer(**inner))
    if isinstance(field, Listed):
        return st.lists(values(field.layer).map(lambda inner: field.layer(**inner)), max_size=4)
    if isinstance(field, Fixed):
        return st.binary(min_size=field.sz, max_size=field.sz)
    return st.binary(max_size=64) if isinstance(field, Tail) else None


def with_counts(layer: type[Layer], fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, with every count that of its list or its bytes."""
    return fields | {field.count: len(fields[field.name]) for field in counted_fields(layer)}


def integers(code: str) -> st.SearchStrategy[int]:
    """What struct's `code` can hold."""
    bits = 8 * struct.calcsize("<" + code)
    return (
        st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)
        if code.islower()
        else st.integers(0, (1 << bits) - 1)
    )


def sessions(device: Device) -> st.SearchStrategy[list[Frame]]:
    """Frames of a session with this device: negotiation, configuration space, its own messages; any bytes."""
    features = st.builds(lambda mask: frame(2, struct.pack("<Q", mask)), U64)
    own = [vendor_frames(channel, spec) for channel, spec in vendor_messages(device)]
    return st.lists(st.one_of(features, config_frames(device), *own), max_size=6)


def config_frames(device: Device) -> st.SearchStrategy[Frame]:
    """Messages about configuration space, also of a part of it, also of nonsense."""
    layer = device.config
    space = payloads(layer) | hostile(layer) if layer else st.binary(max_size=64)
    return st.builds(
        lambda number, flags, offset, data: frame(
            number, struct.pack("<III", offset, len(data), 0) + data, flags=flags
        ),
        st.sampled_from(CONFIG_REQUESTS),
        st.sampled_from([VERSION, VERSION | REPLY]),
        st.integers(0, 64) | st.integers(0, 2**32 - 1),
        space,
    )


def vendor_frames(channel: Channel, spec: MessageSpec) -> st.SearchStrategy[Frame]:
    """A vendor's message, or what is left of it."""
    requests = [payloads(layer) | hostile(layer) for layer in resolve(spec.request)]
    return st.builds(
        lambda payload, fds: frame(spec.number, payload, channel, fds=fds),
        st.one_of(requests),
        st.integers(0, 2),
    )


def frame(
    number: int, payload: bytes, channel: Channel = Channel.MAIN, flags: int = VERSION, fds: int = 0
) -> Frame:
    """One message as it would be recorded; replies come from the other side."""
    data = struct.pack("<III", number, flags, len(payload)) + payload
    sender = REQUESTER[channel].peer if flags & REPLY else REQUESTER[channel]
    passed = (FdInfo(FdKind.EVENTFD, eventfd_id=1),) * fds
    return Frame(0, 0, 1, channel, sender, data, passed, wire_size=len(data))


def shown_lines(device: Device, frames: Iterable[Frame]) -> Iterator[str]:
    """Every line that the views make of frames, from open to close."""
    ends = [
        Event(0, 0, 1, EventKind.OPEN, "open"),
        Event(0, 0, 1, EventKind.CLOSE, "closed", sender=Side.FRONTEND),
    ]
    tracker = Tracker(Registry({device.name: Plugin(device, "under test")}), device.name)
    for row in Annotator().annotate_all(tracker.rows([ends[0], *frames, ends[1]])):
        yield from Rows().lines(row)
        yield from Tree().lines(row)
        yield from JsonLines().lines(row)
