"""The conformance suite over a real back-end: what works works, and what crashes is known."""

import json
import subprocess
import sys
from pathlib import Path

from lab.needs import STORAGE, needs


@needs(*STORAGE)
def test_the_storage_daemon_reads_sectors_and_falls_over_a_ring_that_it_has_not(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    start = (
        f"qemu-storage-daemon --blockdev file,node-name=d0,filename={image} "
        "--export vhost-user-blk,id=e0,node-name=d0,addr.type=unix,addr.path={socket},writable=on"
    )
    only = ("split", "replies", "memory/works*", "rings/no-such-ring-index-huge")
    chosen = [word for name in only for word in ("--only", name)]
    ran = subprocess.run(
        [sys.executable, "-m", "vutrace", "conform", "backend", "--start", start, *chosen, "--json"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    found = {each["case"]: each for each in map(json.loads, ran.stdout.splitlines())}
    crash = found.pop("rings/no-such-ring-index-huge")
    assert (crash["crash"], ran.returncode) == ("killed by SIGSEGV", 1)
    assert "vu_set_vring_num_exec" in crash["known"]
    assert {each["case"] for each in found.values() if each["verdict"] == "fail"} == set()
    assert found["split/request"]["verdict"] == "pass"
    assert found["split/around"]["verdict"] == "pass"
