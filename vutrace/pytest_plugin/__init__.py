"""pytest-vutrace: vhost-user in tests. pytest finds it by the entry point `pytest11`; see docs/pytest.md.

Nothing of vutrace is loaded before a test asks for one of the fixtures.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vutrace.pytest_plugin.ends import TestEnds
    from vutrace.pytest_plugin.trace import Golden

DIRECTORY = "vutrace-captures"
KEPT = pytest.StashKey[list[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """--update-golden, unless the project has one of its own, and where captures of failed tests go."""
    group = parser.getgroup("vutrace")
    with contextlib.suppress(ValueError):
        group.addoption(
            "--update-golden", action="store_true", help="keep what is recorded now as the golden captures"
        )
    group.addoption(
        "--vutrace-captures",
        metavar="DIR",
        default=DIRECTORY,
        help=f"where the captures of failed tests are kept ({DIRECTORY})",
    )


@pytest.fixture
def vhost(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestEnds]:
    """Processes, proxies, model front-ends and back-ends of one test; all end with it."""
    from vutrace.pytest_plugin.ends import TestEnds

    captures = request.node.stash.setdefault(KEPT, [])
    ends = TestEnds(tmp_path, captures)
    with contextlib.closing(ends):
        yield ends


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str], Golden]:
    """A capture beside the test's file, in `golden/`, to be compared with a trace by its meaning."""
    from vutrace.pytest_plugin.trace import Golden

    directory = request.path.parent / "golden"
    update = bool(request.config.getoption("--update-golden"))
    return lambda name: Golden(directory / name, update)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """What differs between a trace and a golden capture, as `vutrace diff` says it."""
    if op != "==" or "Golden" not in (type(left).__name__, type(right).__name__):
        return None
    from vutrace.pytest_plugin.trace import Golden, Trace

    trace, expected = (left, right) if isinstance(left, Trace) else (right, left)
    if isinstance(trace, Trace) and isinstance(expected, Golden):
        return [f"the trace differs from {expected.path}", *expected.differences(trace)]
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A failed test's captures are kept, and its report has their timelines."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    captures = item.stash.get(KEPT, [])
    if report.when == "call" and report.failed and captures:
        report.sections += [(f"vutrace {path.name}", told(item, path)) for path in captures if path.exists()]
    return report  # type: ignore[return-value]


def told(item: pytest.Item, path: Path) -> str:
    """Where a capture is kept, and what is in it."""
    from vutrace.pytest_plugin.trace import Trace

    Trace(path).settle()
    directory = item.config.rootpath / item.config.getoption("--vutrace-captures")
    directory.mkdir(parents=True, exist_ok=True)
    place = directory / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', item.nodeid)}-{path.name}"
    shutil.copyfile(path, place)
    return f"kept as {place}\n{Trace(place).timeline()}"
