"""Acme's accelerator, as vutrace shows it."""

import vutrace.plugin as vu


class AcmeConfig(vu.Layer):
    name = "acme config"
    fields_desc = [vu.Fixed("tag", 16, vu.TEXT), vu.le32("cache", vu.SIZE), vu.le32("clock", vu.unit("MHz"))]


class SetMode(vu.Layer):
    name = "acme mode"
    fields_desc = [vu.u32("engine"), vu.u32("mode", vu.enum({0: "idle", 1: "eco", 2: "turbo"}))]


def ring_name(index: int, features: int) -> str:
    return "ctrl" if index == 0 else f"job{index - 1}"


DEVICE = vu.Device(
    "acme",
    number=0x4242,
    features={0: "ACME_F_TURBO", 1: "ACME_F_ECC"},
    config=AcmeConfig,
    ring_name=ring_name,
    messages={vu.Channel.MAIN: vu.table(vu.MessageSpec(2001, "ACME_SET_MODE", (SetMode,)))},
    evidence=vu.Evidence(commands=(r"\bacmed\b",), messages=("ACME_SET_MODE",)),
)
