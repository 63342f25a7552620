"""vutrace.testing passes what is good and finds what is not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from vutrace.dissection.registry import load
from vutrace.plugin import (
    Channel,
    Device,
    Fixed,
    Layer,
    MessageSpec,
    Nested,
    enum,
    le16,
    le32,
    table,
    u8,
    u32,
)
from vutrace.testing import DeviceConformance, frame, shown_lines


class Inner(Layer):
    """Two numbers."""

    name = "inner"
    fields_desc = [le16("a"), u8("b")]


class Config(Layer):
    """A configuration space with a structure in it."""

    name = "acme config"
    fields_desc = [le32("version"), Nested("inner", Inner), Fixed("serial", 8)]


class Ping(Layer):
    """A vendor's payload."""

    name = "ping"
    fields_desc = [u32("sequence"), u32("mode", enum({1: "echo"}))]


PING = MessageSpec(2001, "ACME_PING", (Ping,))
GOOD = Device(
    "acme",
    number=77,
    features={0: "ACME_F_FAST"},
    config=Config,
    messages={Channel.MAIN: table(PING)},
)


class TestGoodPlugin(DeviceConformance):
    device = GOOD


def failing(check: str, device: Device) -> Callable[[], None]:
    """One check of the kit, for one device."""
    kit = type("Kit", (DeviceConformance,), {"device": device})()
    method: Callable[[], None] = getattr(kit, check)
    return method


class Lossy(Layer):
    """Does not write what it read."""

    name = "lossy"
    fields_desc = [u32("value")]

    def self_build(self) -> bytes:
        """Always the same."""
        return b"\0\0\0\1"


def raising(index: int, features: int) -> str:
    raise KeyError(index)


@pytest.mark.parametrize(
    ("check", "device"),
    [
        ("test_has_a_name_that_fits_a_column_and_a_filter", replace(GOOD, name="Acme Inc.")),
        ("test_names_only_feature_bits_of_its_own", replace(GOOD, features={32: "ACME_F_NEW"})),
        ("test_names_only_feature_bits_of_its_own", replace(GOOD, features={0: "ACME_F", 1: "ACME_F"})),
        (
            "test_vendor_messages_hide_none_of_the_specs",
            replace(GOOD, messages={Channel.MAIN: table(replace(PING, number=5))}),
        ),
        ("test_every_ring_has_a_short_name_of_its_own", replace(GOOD, ring_name=lambda index, features: "q")),
        ("test_every_ring_has_a_short_name_of_its_own", replace(GOOD, ring_name=lambda index, features: "")),
        ("test_notes_are_single_lines", replace(GOOD, notes=lambda features: ["one\ntwo"])),
        ("test_what_is_put_in_is_read_back", replace(GOOD, config=Lossy)),
        ("test_nothing_raises_from_bytes_to_views", replace(GOOD, notes=raising)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_plugin_fails(check: str, device: Device) -> None:
    with pytest.raises((AssertionError, KeyError)):
        failing(check, device)()


def test_a_ring_name_that_raises_is_a_problem_of_the_row_and_no_crash() -> None:
    lines = list(shown_lines(replace(GOOD, ring_name=raising), [frame(8, bytes(8))]))
    assert any("dissector acme: KeyError" in line for line in lines)


@pytest.mark.parametrize("name", [7, None, "\x1b[31mred", "two\nlines"])
def test_a_ring_name_that_is_none_is_a_problem_of_the_row_too(name: object) -> None:
    named = replace(GOOD, ring_name=lambda index, features: name)  # type: ignore[arg-type, return-value]
    lines = list(shown_lines(named, [frame(8, bytes(8))]))
    assert any("q0" in line and "is no name of ring 0" in line for line in lines)
    assert all(line.isprintable() for line in lines)


OURS = load().devices


@pytest.mark.parametrize("check", [name for name in vars(DeviceConformance) if name.startswith("test_")])
@pytest.mark.parametrize("device", OURS, ids=lambda device: device.name)
def test_our_own_dissectors_pass_the_kit(device: Device, check: str) -> None:
    failing(check, device)()
