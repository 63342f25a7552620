"""A real crash: qemu-storage-daemon 7.2 and a ring that it does not have."""

import subprocess

import pytest
from lab.captures import DIRECTORY
from lab.messages import captured, requests
from lab.needs import STORAGE, needs
from lab.process import Lab
from lab.proxy import VUTRACE

pytestmark = [pytest.mark.live, needs(*STORAGE)]
SET_VRING_BASE = 10


def test_a_damaged_conversation_becomes_the_one_message_that_ends_the_daemon(lab: Lab) -> None:
    image, small = lab.path("disk.img"), lab.path("small.pcapng")
    image.write_bytes(bytes(1 << 20))
    start = (
        f"qemu-storage-daemon --blockdev file,node-name=d0,filename={image} "
        "--export vhost-user-blk,id=e0,node-name=d0,addr.type=unix,addr.path={socket},writable=on"
    )
    blk = DIRECTORY / "qemu-7.2-storage-daemon-blk.pcapng"
    words = ["minimise", blk, "--mutate", "6", "--start", start, "--until", "signal SEGV", "-o", small]
    ran = subprocess.run([VUTRACE, *words], capture_output=True, text=True, check=False)
    if "does not fail" in ran.stderr:
        pytest.skip("this qemu-storage-daemon looks at the ring's number first")
    assert ran.returncode == 0, ran.stderr
    assert "SET_VRING_BASE: index 0xffffffff" in ran.stderr
    assert requests(captured(small)) == [SET_VRING_BASE]
