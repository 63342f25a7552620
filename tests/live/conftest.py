"""The lab as fixtures; when a test fails, its report has the logs of every program that it ran."""

import subprocess
import tempfile
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import pytest
from lab.captures import Keeper
from lab.guest import DRIVERS, Guest, build
from lab.process import Lab

DEVICE_DRIVERS = ("virtio_pci", "virtio_input", "virtio-rng", "vmw_vsock_virtio_transport")


@pytest.fixture(scope="session")
def guest() -> Iterator[Guest]:
    """A guest to boot, built once."""
    yield from built(DRIVERS)


@pytest.fixture(scope="session")
def device_guest() -> Iterator[Guest]:
    """A guest with the drivers of rarer devices."""
    yield from built(DEVICE_DRIVERS)


def built(drivers: Iterable[str]) -> Iterator[Guest]:
    """A guest while it is needed; a skip where it cannot be had."""
    # not pytest's directories: their name has the user's, and a command line ends up in captures
    with tempfile.TemporaryDirectory(prefix="vutrace-guest-") as directory:
        try:
            yield build(Path(directory), drivers)
        except (subprocess.CalledProcessError, LookupError, OSError, StopIteration) as error:
            pytest.skip(f"no kernel for the guest: {error}")


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A directory and the programs of one test, which end with it."""
    with Lab() as running:
        yield running


@pytest.fixture
def keep(request: pytest.FixtureRequest, lab: Lab) -> Keeper:
    """Keeps a capture in captures/ when the run is to update them."""
    return Keeper(lab, request.node.nodeid, bool(request.config.getoption("--update-captures")))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the programs' logs while they still exist."""
    report = yield
    running = getattr(item, "funcargs", {}).get("lab")
    if report.when == "call" and report.failed and running is not None:
        report.sections.extend(running.logs())
    return report
