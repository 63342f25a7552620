"""Options of the test run, and the exact texts that views are held to.

--update-golden is the option of the plug-in (vutrace.pytest_plugin): here it writes tests/golden/ anew, to be
read through before it is committed.
"""

import os
import re
import signal
from collections.abc import Callable, Iterator
from fcntl import LOCK_EX, LOCK_SH, LOCK_UN, flock
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

GOLDEN = Path(__file__).parent / "golden"

# A shell starts what it runs in the background with SIGINT ignored, and programs pass that on: those that the
# tests interrupt would never hear of it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Wireshark loads the plug-in that is installed in a home: in the tests' own is none. The cache stays.
os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
HOME = TemporaryDirectory(prefix="vutrace-home-")
os.environ["HOME"] = HOME.name

# What the tests run has its output buffered, as users have it.
os.environ.pop("PYTHONUNBUFFERED", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-captures",
        action="store_true",
        help="keep what the live tests capture in captures/, with its manifest",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """A function (file name, text) that fails unless the file in tests/golden/ holds that text."""
    update = any(map(request.config.getoption, ("--update-golden", "--update-captures")))

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert text == path.read_text(), f"{name} differs; if it is to be so: pytest --update-golden"

    return check


# `make check` has fewer examples of what may come.
settings.register_profile("quick", max_examples=10, deadline=None)

# What plays with sockets, processes and time; the rest runs in as many processes as there are processors.
ALONE = re.compile(
    r"live|hostile|conform|evidence|test_(acting|board|cli_peer|counting|insert|peers|program|proxy|replay|rings|run"
    r"|sockets|temporary)"
)
# What starts programs again and again, and minds no neighbour: too slow for `make check`.
PROGRAMS = re.compile(r"test_(api|output|plugin|wireshark)")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put last what has to run alone: with xdist one worker runs it, and the others have ended by then."""
    for item in items:
        place = item.path.relative_to(Path(__file__).parent).parts[0]
        if ALONE.match(place):
            item.add_marker("alone")
            item.add_marker(pytest.mark.xdist_group("alone"))
        elif PROGRAMS.match(place):
            item.add_marker("programs")
    items.sort(key=lambda item: item.get_closest_marker("alone") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let what has to run alone wait for the last tests of the other workers."""
    with open(Path(__file__).parent.parent / "pyproject.toml") as lock:
        flock(lock, LOCK_EX if item.get_closest_marker("alone") else LOCK_SH)
        try:
            return (yield)
        finally:
            flock(lock, LOCK_UN)  # closing is not enough: a process that a test left behind has it open, too
