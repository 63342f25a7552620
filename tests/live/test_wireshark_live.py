"""Live: tshark reads the proxy's pipe, tshark starts the proxy through extcap, scapy talks to testpmd."""

import os
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import dpdk
from lab.needs import TESTPMD, needs
from lab.process import Lab, Program, run, until
from lab.proxy import VUTRACE

from vutrace.scapy import (
    GetFeatures,
    GetFeaturesReply,
    SetOwner,
    SetVringCall,
    VhostUser,
)
from vutrace.wireshark.install import EXTCAP_NAME
from vutrace.wireshark.tshark import command

pytestmark = [pytest.mark.live, needs("tshark")]

SHOWN = ["message", "response_to", "features.virtio_f_version_1"]
COLUMNS = ["-T", "fields", *(word for name in SHOWN for word in ("-e", f"vhost_user.{name}"))]


@pytest.fixture
def script(lab: Lab) -> Path:
    """The plug-in."""
    path = lab.path("vhost_user.lua")
    path.write_text(run(VUTRACE, "wireshark", "lua"))
    return path


@pytest.fixture
def listener(lab: Lab) -> Iterator[socket.socket]:
    """A back-end's socket."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(lab.path("back.sock")))
        made.listen()
        yield made


def exchange(lab: Lab, listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    """A front-end and a back-end say a few words; their sockets."""
    frontend = socket.socket(socket.AF_UNIX)
    frontend.connect(str(lab.path("front.sock")))
    backend, _ = listener.accept()
    frontend.sendall(bytes(VhostUser() / GetFeatures()))
    assert backend.recv(100)
    backend.sendall(bytes(VhostUser() / GetFeaturesReply(features=1 << 32)))
    assert frontend.recv(100)
    frontend.sendall(bytes(VhostUser() / SetOwner()))
    assert backend.recv(100)
    return frontend, backend


def check_live(lab: Lab, listener: socket.socket, tshark: Program) -> None:
    """What is said is seen while the connection is open."""
    tshark.wait_until(lab.path("front.sock").exists, 30, "listens")
    frontend, backend = exchange(lab, listener)
    tshark.wait_for(r"^GET_FEATURES\t\d+\t(1|True)", 30)
    tshark.wait_for(r"^SET_OWNER", 30)
    frontend.close()
    backend.close()


def test_tshark_reads_the_proxys_pipe(lab: Lab, listener: socket.socket, script: Path) -> None:
    front, back = lab.path("front.sock"), lab.path("back.sock")
    proxy = f"'{VUTRACE}' proxy {front} {back} -w -"
    tshark = f"{shlex.join(command())} -i - -n -l -X lua_script:{script} {' '.join(COLUMNS)}"
    check_live(lab, listener, lab.start("tshark", "sh", "-c", f"{proxy} | {tshark}"))


@pytest.fixture
def offering(lab: Lab) -> Iterator[dict[str, str]]:
    """The environment of a Wireshark that offers the proxy; root's looks where everybody's does."""
    home, folder = str(lab.directory), lab.path("extcap")
    folder.mkdir()  # where it is missing, Wireshark 4.6 looks nowhere else either
    own = {"HOME": home, "XDG_CONFIG_HOME": home, "WIRESHARK_EXTCAP_DIR": str(folder)}
    installed = lab.start("install", VUTRACE, "wireshark", "install", env=own)
    assert installed.wait_exit(30) == 0
    try:
        yield own
    finally:
        if f"extcap/{EXTCAP_NAME}: installed" in installed.output:  # it was not there before
            removed = lab.start("uninstall", VUTRACE, "wireshark", "install", "--uninstall", env=own)
            assert removed.wait_exit(30) == 0


def test_tshark_starts_the_proxy_through_extcap(
    lab: Lab, listener: socket.socket, script: Path, offering: dict[str, str]
) -> None:
    interfaces = lab.start("interfaces", "tshark", "-D", env=offering)
    assert interfaces.wait_exit(30) == 0
    assert "vhost-user proxy" in interfaces.output
    options = [
        f"extcap.vhost_user.{name}:{lab.path(f'{where}.sock')}"
        for name, where in (("listen", "front"), ("connect", "back"))
    ]
    preferences = [word for option in options for word in ("-o", option)]
    # What captures may be root, and what dissects may not.
    reader = shlex.join([*command(), *["-r", "-", "-n", "-l", "-X"], f"lua_script:{script}", *COLUMNS])
    capturing = shlex.join(["tshark", "-i", "vhost-user", *preferences, "-w", "-"])
    tshark = lab.start("tshark", "bash", "-c", f"exec {capturing} > >({reader})", env=offering)
    check_live(lab, listener, tshark)
    tshark.stop()
    until(lambda: not lab.path("front.sock").exists(), 20, "the proxy ends with tshark")


@needs(*TESTPMD, cpus=2)
def test_the_scapy_recipe_sends_a_descriptor_to_testpmd(lab: Lab) -> None:
    vhost = dpdk.start_vhost(lab, lab.path("back.sock"))
    with socket.socket(socket.AF_UNIX) as backend:
        backend.connect(str(lab.path("back.sock")))
        backend.sendall(bytes(VhostUser() / SetOwner()))
        backend.sendall(bytes(VhostUser() / GetFeatures()))
        reply = VhostUser(backend.recv(100))
        assert reply[GetFeaturesReply].features & 1 << 32
        call = os.eventfd(0)
        socket.send_fds(backend, [bytes(VhostUser() / SetVringCall(u64=0))], [call])
        vhost.wait_for(r"read message VHOST_USER_SET_VRING_CALL", 20)
        vhost.wait_for(r"vring call idx:0 file:\d+", 20)
        os.close(call)
