"""The same facts of a message from `vutrace show --json` and from tshark with the plug-in."""

import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from vutrace.dissection.registry import Registry
from vutrace.wireshark.names import word
from vutrace.wireshark.plugin import plugin
from vutrace.wireshark.tables import tables
from vutrace.wireshark.tshark import command as unprivileged_tshark

Pairs = list[tuple[str, Any]]
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


@dataclass
class Facts:
    """One packet: values by leaf name, names of set bits, ring states, and the rest by its own name."""

    values: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    bits: dict[str, list[set[str]]] = field(default_factory=lambda: defaultdict(list))
    whole: dict[str, Any] = field(default_factory=dict)
    fds: list[dict[str, Any]] = field(default_factory=list)
    rings: list[tuple[str | None, str]] = field(default_factory=list)


def write_plugin(registry: Registry, folder: Path) -> Path:
    """The generated plug-in as a file."""
    path = folder / "vhost_user.lua"
    path.write_text(plugin(registry), encoding="utf-8")
    return path


def tshark(capture: Path, lua: Path, *arguments: str) -> str:
    """tshark's output with the plug-in; anything on stderr that speaks of Lua fails."""
    command = [*unprivileged_tshark(), "-n", "-X", f"lua_script:{lua}", "-r", str(capture), *arguments]
    ran = subprocess.run(command, capture_output=True, check=True)
    errors = ran.stderr.decode(errors="replace")
    assert "Lua" not in errors, errors
    return ran.stdout.decode(errors="replace")


def from_tshark(capture: Path, lua: Path, kinds: dict[str, str], *options: str) -> list[Facts]:
    """What tshark says of each packet."""
    options = ("-T", "json", "-J", "vhost_user", "-o", "vhost_user.secrets:TRUE", *(options or ["-2"]))
    text = tshark(capture, lua, *options)
    assert "Lua Error" not in text, text[text.index("Lua Error") :][:500]
    packets = json.loads(text or "[]", object_pairs_hook=list)
    return [facts_of(layer(packet), kinds) for packet in packets]


def layer(packet: Pairs) -> Pairs:
    """The vhost_user part of one packet."""
    source = dict(packet)["_source"]
    found: Pairs = dict(dict(source)["layers"])["vhost_user"]
    return found


def field_kinds(registry: Registry) -> dict[str, str]:
    """The kind of each field of the payloads by its filter name."""
    layers: Any = tables(registry)["LAYERS"]
    fields = [each for table in layers.values() for each in table["fields"]]
    parts = {f"{each['filter']}.{part['name']}": "dec" for each in fields for part in each.get("parts", ())}
    return {each["filter"]: each.get("kind", "") for each in fields} | parts


WHOLE = [
    "message",
    "request",
    "size",
    "ring",
    "ring_name",
    "connection",
    "session",
    "channel",
    "sender",
    "rest",
]
WHOLE += ["response_to", "time", "detail", "event", "event.text", "device"]


def facts_of(pairs: Pairs, kinds: dict[str, str]) -> Facts:
    """The facts in tshark's JSON of one packet."""
    facts = Facts()
    facts.whole["problems"] = []
    take(pairs, kinds, facts)
    return facts


def take(pairs: Pairs, kinds: dict[str, str], facts: Facts) -> None:
    """Walk the tree."""
    for number, (key, value) in enumerate(pairs):
        name = key.removeprefix("vhost_user.")
        if key in kinds:
            take_value(key, value, kinds[key], facts)
            if kinds[key] in ("flags", "features"):
                below = pairs[number + 1][1] if number + 1 < len(pairs) else []
                names = {bit.rpartition(".")[2] for bit, on in below if on in ("1", "True")}
                facts.bits[leaf(key)].append(names)
        elif name == "fd_tree":
            facts.fds.append({word(bit): text for bit, text in fd_of(value)})
        elif name == "ring.state_after":
            below = (
                dict(pairs[number + 1][1])
                if pairs[number + 1 :] and pairs[number + 1][0] == f"{key}_tree"
                else {}
            )
            facts.rings.append((below.get("vhost_user.ring.state_before"), value))
        elif name == "problem":
            facts.whole["problems"].append(value)
        elif name in WHOLE:
            facts.whole.setdefault(name, value)
        elif name.startswith("flags.") and name != "flags.version":
            facts.whole[name] = value in ("1", "True")
        if isinstance(value, list) and not is_bits(key, kinds):
            take(value, kinds, facts)


def is_bits(key: str, kinds: dict[str, str]) -> bool:
    """Whether a subtree holds the bits of a word."""
    return kinds.get(key.removesuffix("_tree")) in ("flags", "features")


def fd_of(pairs: Pairs) -> Pairs:
    """A descriptor's facts, its own names."""
    return [(key.rpartition(".")[2], value) for key, value in pairs if not isinstance(value, list)]


def leaf(key: str) -> str:
    """The last part of a filter name."""
    return key.rpartition(".")[2]


def take_value(key: str, value: Any, kind: str, facts: Facts) -> None:
    """One field of the payload; structures are walked into, padding is not compared."""
    if kind == "" or kind == "pad" or isinstance(value, list):
        return
    facts.values[leaf(key)].append(plain(value, kind))


def plain(value: str, kind: str) -> Any:
    """A number, or hex digits of bytes."""
    if kind == "uuid":
        return UUID(value).hex
    if kind in ("mac", "bytes", "config"):
        return value.replace(":", "")
    if kind == "secret" and ":" in value:
        return value.replace(":", "")
    if kind == "text":
        return words(value)
    return int(value, 0)


def words(text: str) -> str:
    """Text up to its end; programs differ in how many marks stand for bytes that are no text."""
    return "text " + re.sub("\ufffd+", "\ufffd", text)


def words_of_hex(digits: str) -> str:
    """The same of bytes."""
    return words(bytes.fromhex(digits).split(b"\0")[0].decode(errors="replace"))


def from_vutrace(capture: Path) -> list[dict[str, Any]]:
    """`vutrace show --json`."""
    command = [sys.executable, "-m", "vutrace", "show", "--json", "--secrets", str(capture)]
    ran = subprocess.run(command, capture_output=True, check=True)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def expected_values(fields: dict[str, Any]) -> dict[str, list[Any]]:
    """The leaves of `fields` by name, in order; empty bytes are not to be seen in a packet."""
    found: dict[str, list[Any]] = defaultdict(list)
    flatten(fields, found)
    return found


def flatten(value: dict[str, Any], found: dict[str, list[Any]]) -> None:
    """Collect leaves."""
    for name, item in value.items():
        for each in item if isinstance(item, list) else [item]:
            if isinstance(each, dict):
                flatten(each, found)
            elif each != "":
                found[word(name)].append(each)
