"""`vutrace list` with the dissectors that are installed."""

import json
import sys
from pathlib import Path

import pytest

from vutrace.cli import main


def listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """What `vutrace list` prints."""
    monkeypatch.setattr(sys, "argv", ["vutrace", "list", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("table", ["messages", "features", "devices", "dissectors", "fields"])
def test_table_and_json_have_the_same_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    objects = [json.loads(line) for line in listed(capsys, monkeypatch, table, "--json").splitlines()]
    lines = listed(capsys, monkeypatch, table).splitlines()
    assert len(lines) == 1 + len(objects)
    assert lines[0].split() == list(objects[0])


def test_every_message_number_is_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = [json.loads(line) for line in listed(capsys, monkeypatch, "messages", "--json").splitlines()]
    assert {each["number"] for each in objects if each["channel"] == "main"} >= set(range(1, 45))


def test_a_devices_own_bits(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "VIRTIO_NET_F_MRG_RXBUF" not in listed(capsys, monkeypatch, "features")
    assert "VIRTIO_NET_F_MRG_RXBUF" in listed(capsys, monkeypatch, "features", "--device", "net")


def test_a_dissector_in_a_file_is_listed_with_its_origin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("from vutrace.plugin import Device\nDEVICE = Device('mine', number=63)\n")
    text = listed(capsys, monkeypatch, "dissectors", "--dissector", str(plugin))
    (line,) = (line for line in text.splitlines() if line.startswith("mine"))
    assert str(plugin) in line
    assert "virtio id 63" in line
