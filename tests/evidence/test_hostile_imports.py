"""Whatever a file holds, an import makes records of it or says in one line that it cannot."""

import contextlib
import io
import random

import pytest
from test_imports import FORMS, HERE, LIBVHOST_USER, PROXY, qemu_log, simpletrace, sockdump

from vutrace.capture import Writer, read
from vutrace.dissection.registry import load
from vutrace.evidence.errors import EvidenceError
from vutrace.evidence.sources import SOURCES
from vutrace.session.tracker import Tracker

REGISTRY = load()
WHOLE = {
    "strace": (HERE / "backend.strace").read_bytes(),
    "dpdk": (HERE / "dpdk.log").read_bytes(),
    "qemu": "\n".join(qemu_log(PROXY, FORMS[1])).encode(),
    "simpletrace": b"".join(simpletrace(PROXY, False)),
    "libvhost-user": LIBVHOST_USER.encode(),
    "sockdump": b"".join(sockdump(PROXY)),
}


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, some left out, some doubled."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 30)):
        at, length = chance.randrange(len(made)), chance.randint(1, 40)
        match chance.randrange(4):
            case 0:
                made[at] = chance.randrange(256)
            case 1:
                del made[at : at + length]
            case 2:
                made[at:at] = made[at : at + length]
            case _:
                made[at:at] = str(chance.choice([-1, 0, 1 << 31, 1 << 64, 10**30])).encode()
        if not made:
            return b""
    return bytes(made)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("seed", range(15))
def test_damage_is_no_traceback(source: str, seed: int) -> None:
    data = damaged(WHOLE[source], random.Random(f"{source} {seed}"))
    with contextlib.suppress(EvidenceError):
        file = io.BytesIO()
        with Writer(file) as writer:
            for item in SOURCES[source].read(io.BytesIO(data)):
                writer.write(item)
        file.seek(0)
        for row in Tracker(REGISTRY).rows(read(file)):
            assert row.number
