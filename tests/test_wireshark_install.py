"""`vutrace wireshark`: the plug-in on stdout, installing and removing, and extcap's four calls."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.wireshark_json import needs_tshark

from vutrace.capture import read
from vutrace.cli.errors import explain
from vutrace.dissection.device import Device
from vutrace.dissection.registry import load
from vutrace.proxy.options import IN_DIALOG
from vutrace.records import Event, EventKind, Frame
from vutrace.scapy import GetFeatures, GetFeaturesReply, VhostUser
from vutrace.wireshark import install
from vutrace.wireshark.install import EXTCAP_NAME, LUA_FOLDER
from vutrace.wireshark.lua import literal, quoted
from vutrace.wireshark.plugin import FILE_NAME, plugin
from vutrace.wireshark.ring_names import names_of

REGISTRY = load()


def vutrace(*arguments: str | Path) -> list[str]:
    """The lines that a command prints."""
    command = [sys.executable, "-m", "vutrace", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_lua_is_the_plugin() -> None:
    text = "\n".join(vutrace("wireshark", "lua")) + "\n"
    assert text.rstrip() == plugin(REGISTRY).rstrip()
    assert str(Path.home()) not in text


def test_every_message_field_bit_and_device_is_in_it() -> None:
    text = plugin(REGISTRY)
    for name in ("SET_VRING_ADDR", "GPU_DMABUF_SCANOUT2", "BACKEND_SHMEM_MAP", "VIRTIO_NET_F_MRG_RXBUF"):
        assert f'"{name}"' in text
    assert '"vhost_user.memory_region.guest_address"' in text
    assert all(f'name = "{device.name}"' in text for device in REGISTRY.devices)


@pytest.mark.parametrize("device", REGISTRY.devices, ids=lambda device: device.name)
def test_ring_names_are_the_devices_own(device: Device) -> None:
    bits, rules = names_of(device)
    for number, names in enumerate(rules):
        features = sum(1 << bit for place, bit in enumerate(bits) if number >> place & 1)
        assert [names.of(ring) for ring in range(256)] == [
            device.ring_name(ring, features) for ring in range(256)
        ]


def test_lua_values() -> None:
    assert (
        literal({"a": 1, 2: [True, 'x\n"\\é'], "end": None})
        == r'{ a = 1, [2] = { true, "x\010\034\092\195\169" } }'
    )
    assert quoted("\0") == r'"\000"'
    with pytest.raises(TypeError):
        literal(1.5)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Wireshark's folders, elsewhere."""
    known = {LUA_FOLDER: str(tmp_path / "lua"), "Extcap path": str(tmp_path / "extcap")}
    monkeypatch.setattr(install, "folders", lambda: known)
    return tmp_path


def test_install_and_uninstall_say_what_they_did(places: Path) -> None:
    script, program = places / "lua" / FILE_NAME, places / "extcap" / EXTCAP_NAME
    assert list(install.install(REGISTRY)) == [f"{script}: installed", f"{program}: installed"]
    assert list(install.install(REGISTRY)) == [f"{script}: updated", f"{program}: updated"]
    assert os.access(program, os.X_OK)
    assert (
        subprocess.run([program, "--extcap-interfaces"], capture_output=True, check=True).stdout.count(b"\n")
        == 2
    )
    assert list(install.uninstall(REGISTRY)) == [f"{script}: removed", f"{program}: removed"]
    assert list(install.uninstall(REGISTRY)) == [f"{script}: not there", f"{program}: not there"]
    assert not list(places.rglob("*vhost_user*"))


@pytest.mark.parametrize(
    "call",
    [
        "--extcap-interfaces --extcap-version=4.6",
        "--extcap-dlts --extcap-interface vhost-user",
        "--extcap-config --extcap-interface=vhost-user",
    ],
)
def test_the_questions_of_wiresharks_start_are_answered_without_python(
    call: str, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    list(install.install(REGISTRY))
    program = places / "extcap" / EXTCAP_NAME
    ran = subprocess.run([program, *call.split()], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    monkeypatch.undo()
    assert ran.stdout.splitlines() == vutrace("wireshark", "extcap", *call.split())


@pytest.mark.parametrize(
    "call", ["", "--extcap-interface eth0 --extcap-dlts", "--capture --extcap-config", "--extcap-dlts=1"]
)
def test_every_other_call_is_pythons(call: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/echo")
    list(install.install(REGISTRY))
    ran = subprocess.run([places / "extcap" / EXTCAP_NAME, *call.split()], capture_output=True, text=True)
    assert ran.stdout.split() == ["-m", "vutrace", "wireshark", "extcap", *call.split()]


def test_root_is_told_that_wireshark_loads_no_plugin_for_root(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "WIRESHARK_EXTCAP_DIR": str(tmp_path / "extcap")}
    environment.pop("XDG_CONFIG_HOME", None)
    command = [sys.executable, "-m", "vutrace", "wireshark", "install"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0
    assert ("when root runs them" in ran.stderr) == (os.geteuid() == 0)


def test_what_vutrace_did_not_write_stays(places: Path) -> None:
    script = places / "lua" / FILE_NAME
    script.parent.mkdir()
    script.write_text("-- mine\n")
    for lines in (install.install(REGISTRY), install.uninstall(REGISTRY)):
        assert next(iter(lines)) == f"{script}: left alone, vutrace did not write it"
    assert script.read_text() == "-- mine\n"


def test_a_folder_that_cannot_be_written_does_not_keep_the_other(places: Path) -> None:
    (places / "extcap").write_text("a file, where a folder should be")
    first, second = install.install(REGISTRY)
    assert first.endswith(": installed")
    assert ": left out: " in second


def test_it_fails_where_nothing_can_be_written(places: Path) -> None:
    for folder in ("lua", "extcap"):
        (places / folder).write_text("a file, where a folder should be")
    lines = install.install(REGISTRY)
    assert [": left out: " in next(lines) for _ in range(2)] == [True, True]
    with pytest.raises(install.InstallError) as caught:
        next(lines)
    assert explain(caught.value) == ("nothing of it could be written", 3)


@needs_tshark
def test_wiresharks_own_folders() -> None:
    assert LUA_FOLDER in install.folders()


def test_extcap_offers_one_interface_with_options() -> None:
    assert "interface {value=vhost-user}{display=vhost-user proxy}" in vutrace(
        "wireshark", "extcap", "--extcap-interfaces", "--extcap-version=4.0"
    )
    interface = ("wireshark", "extcap", "--extcap-interface", "vhost-user")
    assert vutrace(*interface, "--extcap-dlts")[0].startswith("dlt {number=252}")
    options = vutrace(*interface, "--extcap-config")
    assert options[0].startswith("arg {number=0}{call=--listen}")
    assert "value {arg=2}{value=net}{display=net}{default=false}" in options
    for shared in IN_DIALOG:
        [line] = [line for line in options if f"{{call={shared.call}}}" in line]
        assert f"{{display={shared.label}}}" in line
        assert shared.help.removesuffix(".") in line


def test_what_the_dialog_offers_the_proxy_takes() -> None:
    text = " ".join(" ".join(vutrace("proxy", "--help")).split())
    for shared in IN_DIALOG:
        assert f"{shared.call} {shared.metavar}" in text


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ([], "extcap needs one of --extcap-interfaces"),
        (["--extcap-interface", "eth0", "--extcap-dlts"], "there is only vhost-user"),
        (["--extcap-config", "--extcap-interface"], "expected one argument"),
        (["--capture", "--fifo", "pipe"], "needs --fifo, --listen and --connect"),
    ],
)
def test_an_extcap_call_that_cannot_be_answered_is_one_line(call: list[str], said: str) -> None:
    command = [sys.executable, "-m", "vutrace", "wireshark", "extcap", *call]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert said in ran.stderr


def test_extcaps_help_has_the_calls() -> None:
    text = "\n".join(vutrace("wireshark", "extcap", "--help"))
    for call in ("--extcap-interfaces", "--extcap-dlts", "--extcap-config", "--capture --fifo PIPE"):
        assert call in text


def wait_for(look: Callable[[], bool]) -> None:
    """Wait until it is true."""
    deadline = time.monotonic() + 20
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("device", ["", "net"])
def test_extcap_captures_until_it_is_told_to_stop(device: str, tmp_path: Path) -> None:
    fifo, out, front, back = (tmp_path / name for name in ("fifo", "out.pcapng", "front", "back"))
    os.mkfifo(fifo)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(back))
    listener.listen()
    arguments = ["--listen", front, "--connect", back, *(["--device", device] if device else [])]
    command = [
        sys.executable,
        "-m",
        "vutrace",
        "wireshark",
        "extcap",
        "--extcap-interface",
        "vhost-user",
        "--capture",
    ]
    with out.open("wb") as copied:
        reader = subprocess.Popen(["cat", fifo], stdout=copied)
        extcap = subprocess.Popen([*command, "--fifo", fifo, *arguments])
        wait_for(front.exists)
        with socket.socket(socket.AF_UNIX) as frontend:
            frontend.connect(str(front))
            backend, _ = listener.accept()
            exchange(frontend, backend)
            wait_for(lambda: out.stat().st_size > 500)
            extcap.send_signal(signal.SIGTERM)
            extcap.wait(20)
            backend.close()
        reader.wait(20)
    listener.close()
    records = [item for item in read(out) if isinstance(item, Frame | Event)]
    assert [len(each.data) for each in records if isinstance(each, Frame)] == [12, 20]
    opened = next(each for each in records if isinstance(each, Event) and each.kind is EventKind.OPEN)
    assert opened.attributes.get("device", "") == device


def exchange(frontend: socket.socket, backend: socket.socket) -> None:
    """One request and its reply."""
    frontend.sendall(bytes(VhostUser() / GetFeatures()))
    assert backend.recv(100)
    backend.sendall(bytes(VhostUser() / GetFeaturesReply(features=1 << 32)))
    assert frontend.recv(100)
