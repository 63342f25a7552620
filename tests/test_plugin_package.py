"""docs/examples/vutrace-acme, installed with pip or as a single file, gets all that our own devices get."""

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vutrace.capture import Writer
from vutrace.protocol.wire import NEED_REPLY, REPLY, VERSION
from vutrace.records import Connection, Event, EventKind, Frame, Side
from vutrace.testing import frame

DOCS = Path(__file__).parent.parent / "docs"
PACKAGE = DOCS / "examples" / "vutrace-acme"
PLUGIN = PACKAGE / "vutrace_acme.py"
CONFIG = struct.pack("<16sII", b"north", 1 << 20, 900)

Run = Callable[..., str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip installed the package; hatchling is part of the dev extra, so that no index is asked."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(target), str(PACKAGE)]
    subprocess.run(pip + offline, check=True, capture_output=True)
    return target


@pytest.fixture(params=["installed", "single file"])
def vutrace(request: pytest.FixtureRequest) -> Run:
    """Runs the verb with the plug-in, had in one of the two ways."""
    single = request.param == "single file"
    path = "" if single else str(request.getfixturevalue("site"))

    def run(*arguments: str) -> str:
        command = [
            sys.executable,
            "-m",
            "vutrace",
            *arguments,
            *(["--dissector", str(PLUGIN)] if single else []),
        ]
        environment = os.environ | {"PYTHONPATH": path}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    return run


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A session of the vendor's device."""
    path = tmp_path_factory.mktemp("capture") / "acme.pcapng"
    with Writer(path) as writer:
        writer.write(Connection(0, "front.sock", "back.sock"))
        for message in session():  # from the middle: nothing was negotiated
            writer.write(message)
        writer.write(Event(0, 0, 1, EventKind.CLOSE, "closed", sender=Side.FRONTEND))
    return str(path)


def session() -> list[Frame]:
    """Its own message, its features, its configuration space, one ring."""
    asked = struct.pack("<III", 0, len(CONFIG), 0) + bytes(len(CONFIG))
    return [
        frame(2001, struct.pack("<II", 3, 2), flags=VERSION | NEED_REPLY),
        frame(2001, struct.pack("<Q", 0), flags=VERSION | REPLY),
        frame(2, struct.pack("<Q", 1 << 32 | 3)),
        frame(24, asked),
        frame(24, asked[:12] + CONFIG, flags=VERSION | REPLY),
        frame(12, struct.pack("<Q", 1), fds=1),
    ]


def test_explain_does_not_claim_that_its_message_is_in_the_spec(vutrace: Run) -> None:
    told = vutrace("explain", "ACME_SET_MODE")
    assert "vhost-user.rst" not in told
    assert "VHOST_USER_" not in told
    assert "not in it: a message that a plug-in adds" in told


def test_the_plugin_is_thirty_lines_at_most() -> None:
    assert len(PLUGIN.read_text().splitlines()) <= 30


def test_rows_name_its_message_and_its_rings(vutrace: Run, capture: str) -> None:
    rows = vutrace("show", capture)
    assert re.search(r"ACME_SET_MODE +need-reply engine 3, mode turbo", rows)
    assert re.search(r"ACME_SET_MODE +reply +ok", rows)
    assert re.search(r"job0 +SET_VRING_KICK", rows)
    assert "tag north, cache 1 MiB, clock 900 MHz" in rows
    assert "device acme: only acme uses ACME_SET_MODE" in rows
    assert " ! " not in rows


def test_the_tree_has_its_bits_and_fields(vutrace: Run, capture: str) -> None:
    tree = vutrace("show", capture, "-V")
    assert " 0 ACME_F_TURBO" in tree
    assert "mode: 2 (turbo)" in tree
    assert "acme config:" in tree


def test_json_has_its_fields(vutrace: Run, capture: str) -> None:
    objects = [json.loads(line) for line in vutrace("show", capture, "--json").splitlines()]
    mode = next(each for each in objects if each["name"] == "ACME_SET_MODE")
    assert mode["fields"] == {"engine": 3, "mode": 2}
    reply = next(each for each in objects if each["name"] == "GET_CONFIG" and each["reply"])
    assert reply["fields"]["config"]["cache"] == 1 << 20


def test_the_timeline_has_its_ring_names(vutrace: Run, capture: str) -> None:
    rings = json.loads(vutrace("timeline", capture, "--format", "json"))["connections"][0]["sessions"][0][
        "rings"
    ]
    assert [ring["name"] for ring in rings] == ["job0"]


def test_it_is_listed_and_explained(vutrace: Run) -> None:
    assert re.search(
        r"acme .*virtio id 16962, 2 feature bits, 24 bytes.*ACME_SET_MODE", vutrace("list", "dissectors")
    )
    assert "vhost_user.config.acme" in vutrace("list", "fields") or "acme config" in vutrace("list", "fields")
    assert vutrace("explain", "ACME_SET_MODE").startswith("ACME_SET_MODE: request 2001")
    assert "  0 ACME_F_TURBO" in vutrace("explain", "--device", "acme", "features 0x1")


def test_its_layers_are_scapy_layers(site: Path) -> None:
    program = f"from vutrace_acme import AcmeConfig; AcmeConfig({CONFIG!r}).show()"
    command = [sys.executable, "-c", program]
    environment = os.environ | {"PYTHONPATH": str(site)}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "acme config" in shown
    assert re.search(r"clock += 900 MHz", shown)


def test_wireshark_gets_its_fields(site: Path) -> None:
    imports = "from vutrace.dissection.registry import load; from vutrace.wireshark.plugin import plugin"
    program = f"{imports}; print(plugin(load()))"
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-c", program]
    lua = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "vhost_user.config.acme.cache" in lua
    assert "vhost_user.acme.set_mode.mode" in lua
    assert "job%d" in lua


def test_its_own_tests_pass_the_conformance_kit(site: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(PACKAGE)]
    environment = os.environ | {"PYTHONPATH": str(site)}
    ran = subprocess.run(command, env=environment, cwd=site, capture_output=True, text=True, check=False)
    assert re.search(r"\b\d+ passed", ran.stdout), ran.stdout


def test_the_guide_shows_the_plugin_as_it_is() -> None:
    assert PLUGIN.read_text().strip() in (DOCS / "writing-a-dissector.md").read_text()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError"),
        ("x = 1", "defines no vutrace.plugin.Device"),
        ("raise SystemExit('no')", "SystemExit"),
        ("from vutrace.plugin import Device\nD = Device(7)", "name is 7"),
    ],
)
def test_a_file_that_is_no_plugin_is_one_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    command = [sys.executable, "-m", "vutrace", "list", "dissectors", "--dissector", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert reason in ran.stderr


def test_two_plugins_that_claim_the_same_are_told(tmp_path: Path) -> None:
    path = tmp_path / "two.py"
    path.write_text(
        "import vutrace.plugin as vu\n"
        "A = vu.Device('blk', number=2)\n"
        "B = vu.Device('other', number=1, messages={vu.Channel.MAIN: vu.table(vu.MessageSpec(5, 'MINE'))})\n"
    )
    command = [sys.executable, "-m", "vutrace", "list", "dissectors", "--json", "--dissector", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    told = {(line["name"], line["origin"]): line["conflicts"] for line in lines if line["conflicts"]}
    ours = "vutrace (vutrace_dissectors.{})"
    assert told == {
        ("blk", str(path)): [f"the name is also that of {ours.format('blk')}: this one is used"],
        ("blk", ours.format("blk")): [f"the name is also that of {path}: that one is used"],
        ("net", ours.format("net")): [f"virtio id 1 is also that of other, {path}"],
        ("other", str(path)): [
            "request 5 (main) replaces SET_MEM_TABLE",
            f"virtio id 1 is also that of net, {ours.format('net')}",
        ],
    }
