"""Plug-ins are found, and one that does not work is one line, never a crash."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from vutrace.dissection import registry
from vutrace.dissection.registry import DissectorError, load
from vutrace.records import Channel

OURS = {"net", "blk", "fs"}
IMPORT = "from vutrace.plugin import *\n"
GOOD = """
class Config(Layer):
    fields_desc = [le32("speed")]

class Ping(Layer):
    fields_desc = [u32("sequence")]

PING = MessageSpec(2000, "ACME_PING", (Ping,))
DEVICE = Device("acme", number=77, config=Config, messages={Channel.MAIN: table(PING)})
"""
BAD = {
    "raise RuntimeError('no\\nlicence')": "RuntimeError: no licence",
    "import no_such_module": "ModuleNotFoundError: No module named 'no_such_module'",
    "def broken(:": "SyntaxError",
    "raise SystemExit(3)": "SystemExit: 3",
    "DEVICE = 'net'": "defines no vutrace.plugin.Device",
    "DEVICE = Device('x', config=42)": "TypeError: config is 42",
    "DEVICE = Device('x', config=object)": "TypeError: config is <class 'object'>",
    "DEVICE = Device('x', ring_name='rx')": "ring_name and notes",
    "DEVICE = Device('x', evidence=None)": "TypeError: evidence is None",
    "DEVICE = Device('x', evidence=Evidence(messages=None))": "TypeError: messages is None",
    "DEVICE = Device('x', features={0: 5})": "features has 0: 5",
    "DEVICE = Device('x', features={'A': 0})": "features has 'A': 0",
    "DEVICE = Device('x', features={0: 'A\\x1b[31m'})": r"features has 0: 'A\\x1b\[31m'",
    "DEVICE = Device('X y')": "the name 'X y' is not of small letters",
    "DEVICE = Device('')": "the name '' is not",
    "DEVICE = Device('x', evidence=Evidence(commands=('(',)))": "error: ",
    "class C(Layer):\n  fields_desc = [u8('key', SECRET)]\nDEVICE = Device('x', config=C)": "SECRET is for",
    "class L(Layer):\n  fields_desc = [Listed('items', Layer, 'n')]": "ValueError",
    "DEVICE = Device('x', messages={Channel.MAIN: {7: MessageSpec(7, 'A', ())}})": "IndexError",
}


def written(tmp_path: Path, text: str) -> Path:
    """A plug-in file."""
    path = tmp_path / "acme.py"
    path.write_text(IMPORT + text)
    return path


def test_installed_dissectors_load_without_failure() -> None:
    found = load()
    assert found.failures == ()
    assert found.plugins.keys() >= OURS
    assert all(plugin.version and "vutrace" in plugin.origin for plugin in found.plugins.values())


def test_a_file_is_a_plugin_too(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    found = load([path])
    assert found.device("acme").number == 77
    assert found.plugins["acme"].origin == str(path)
    assert found.messages[Channel.MAIN][2000].name == "ACME_PING"
    assert found.plugins.keys() >= OURS


def test_a_file_replaces_the_installed_dissector_of_its_name(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace('"acme"', '"net"'))
    assert load([path]).device("net").number == 77


@pytest.mark.parametrize(("text", "reason"), BAD.items(), ids=range(len(BAD)))
def test_a_file_that_is_no_dissector_is_one_line(tmp_path: Path, text: str, reason: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DissectorError, match=reason) as raised:
        load([path])
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DissectorError, match="not a Python file"):
        load([tmp_path / "nothing.py"])


def test_an_unknown_device_is_told_with_those_there_are() -> None:
    with pytest.raises(DissectorError, match=r"no dissector for device 'nett'; installed: .*\bnet\b"):
        load().device("nett")


@pytest.mark.parametrize(("text", "reason"), BAD.items(), ids=range(len(BAD)))
def test_an_installed_plugin_that_fails_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    written(tmp_path, text).rename(tmp_path / "vendor_acme.py")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "vendor_acme", raising=False)
    real = registry.entry_points(group=registry.GROUP)
    fake = EntryPoint("acme", "vendor_acme:DEVICE", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [*real, fake])
    found = load()
    assert found.plugins.keys() >= OURS
    (failure,) = found.failures
    assert failure.name == "acme"
    assert failure.reason
    assert "\n" not in failure.reason
