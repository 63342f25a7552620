"""How a back-end's own tests look: build it, start it, talk to it, assert on what passed.

pip install vutrace pytest
pytest                             builds rng.c, and rng.rs where there is a Rust compiler
pytest --update-golden             keeps what passes now as golden/start-*.pcapng
"""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BUILDS = {
    "c": ("cc", "-O2", "-Wall", "-o", "{out}", str(HERE / "rng.c")),
    "rust": ("rustc", "--edition", "2021", "-O", "-o", "{out}", str(HERE / "rng.rs")),
}


@pytest.fixture(scope="session", params=list(BUILDS))
def rng(request, tmp_path_factory):
    """The program, built once."""
    if shutil.which(BUILDS[request.param][0]) is None:
        pytest.skip(f"{BUILDS[request.param][0]} is not installed")
    out = tmp_path_factory.mktemp("build") / f"rng-{request.param}"
    subprocess.run([word.format(out=out) for word in BUILDS[request.param]], check=True)
    return str(out)


def test_entropy_is_drawn(vhost, rng):
    frontend = vhost.frontend(vhost.process(f"{rng} {{socket}}").socket, "MQ", device="rng")
    frontend.request()
    assert frontend.trace.rings[0].running
    assert frontend.trace.negotiated("MQ")
    assert not frontend.trace.negotiated("STATUS")
    assert frontend.trace.findings == []


def test_a_stopped_ring_stays_where_it_was(vhost, rng):
    frontend = vhost.frontend(vhost.process(f"{rng} {{socket}}").socket, device="rng")
    for _ in range(3):
        frontend.request()
    assert frontend.stop() == 3
    assert not frontend.trace.rings[0].started


def test_through_a_proxy_it_is_the_same(vhost, rng):
    proxy = vhost.proxy(vhost.process(f"{rng} {{socket}}").socket)
    vhost.frontend(proxy.socket, device="rng").request()
    assert proxy.trace.messages[:2] == ["GET_FEATURES", "GET_PROTOCOL_FEATURES"]
    assert proxy.trace.rings[0].running


def test_the_start_is_as_it_was(vhost, rng, golden):
    frontend = vhost.frontend(vhost.process(f"{rng} {{socket}}").socket, device="rng")
    frontend.request()
    assert frontend.trace == golden("start.pcapng")


def test_it_keeps_to_the_spec(vhost, rng):
    failed = vhost.conform(f"{rng} {{socket}}", "split", device="rng")
    assert [result.case.name for result in failed] == []
