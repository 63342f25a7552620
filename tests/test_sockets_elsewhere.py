"""A socket has another name where the other process lives; the device is recognised even so."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from kit.proxy_lab import Lab, events, wait_for

from vutrace.dissection.registry import load
from vutrace.records import Event, EventKind
from vutrace.session.tracker import Tracker
from vutrace.sockets.elsewhere import called_there

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="a mount namespace needs root and unshare"
)
# A program in a mount namespace of its own that connects to the second of two sockets of the same name.
CONNECTS = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.recv(1)"
QEMU = (
    "-chardev socket,id=c0,path={0}/one/front -device vhost-user-blk-pci,chardev=c0 "
    "-chardev socket,id=c1,path={0}/two/front -device vhost-user-fs-pci,chardev=c1"
)


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path for sockets."""
    with TemporaryDirectory(prefix="vutrace-") as directory:
        yield Path(directory)


def bound(path: Path) -> socket.socket:
    """A socket with a file."""
    end = socket.socket(socket.AF_UNIX)
    end.bind(str(path))
    return end


def test_a_relative_name_and_another_way_to_the_same_file_are_found(place: Path) -> None:
    (place / "real").mkdir()
    (place / "link").symlink_to("real")
    with bound(place / "real" / "vhost"):
        path, linked = str(place / "real" / "vhost"), f"{place}/link/vhost"
        assert called_there(os.getpid(), f"qemu -chardev socket,path={linked},server=on", path) == linked
        relative = os.path.relpath(path)
        assert called_there(os.getpid(), f"qemu --vdev 'net_vhost0,iface={relative}'", path) == relative


def test_the_very_name_no_name_and_no_file_are_not_told(place: Path) -> None:
    path = str(place / "vhost")
    assert called_there(os.getpid(), f"qemu path={place}/other", path) == ""
    with bound(place / "vhost"), bound(place / "other"):
        assert called_there(os.getpid(), f"qemu path={path} path={place}/other", path) == ""
        assert called_there(os.getpid(), f"qemu path={place}/other path={place}/none", path) == ""
        assert called_there(0, f"qemu path={place}/./vhost", path) == ""


@needs_root
def test_of_two_sockets_of_one_name_that_of_the_namespace_tells_the_device(place: Path) -> None:
    for name in ("one", "two"):
        (place / name).mkdir()
    lab = Lab(place)
    mount = f'mount --bind {place} {place}/two && exec "$0" "$@"'
    words = QEMU.format(place).split()
    child = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", mount, sys.executable, "-c", CONNECTS, f"{place}/two/front", *words]
    )
    try:
        wait_for(lambda: any(isinstance(item, Event) for item in lab.items()))
    finally:
        child.kill()
        child.wait()
    (opened,) = events(lab.stop(), EventKind.OPEN)
    assert opened.attributes["frontend_path"] == f"{place}/two/front"
    *_, last = Tracker(load()).rows(lab.items())
    assert last.context.device.name == "fs"
