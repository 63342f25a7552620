"""`vutrace stats`: what is counted, and how long answers took."""

import json
from pathlib import Path

import pytest
from kit.transcript import Line, back, closed, connection, front, opened, script
from test_cli_show import Run, run, write  # noqa: F401

from vutrace.dissection.registry import load
from vutrace.session.tracker import Tracker
from vutrace.views.stats.figures import Stats, stats_of
from vutrace.views.stats.grouping import Grouping
from vutrace.views.stats.text import lines

CAPTURES = Path(__file__).parent.parent / "captures"


def counted(*conversation: Line) -> Stats:
    """The figures of a session."""
    return stats_of(Tracker(load(), "net").rows([connection(), *script(*conversation)]))


def asked(after_ms: float) -> tuple[Line, Line]:
    """A question that is answered after so long."""
    return front("GET_FEATURES"), back("GET_FEATURES", features=0, after_ms=after_ms)


def test_latencies_are_those_of_replies_by_nearest_rank() -> None:
    stats = counted(opened(), *(line for ms in range(1, 101) for line in asked(ms)), closed())
    (figures,) = stats.by[Grouping.MESSAGE].values()
    assert figures.percentiles() == {
        "p50": 50_000_000,
        "p90": 90_000_000,
        "p99": 99_000_000,
        "max": 100_000_000,
    }
    assert (figures.messages, figures.requests, figures.replies) == (200, 100, 100)
    assert (figures.bytes, figures.smallest, figures.largest) == (100 * 12 + 100 * 20, 12, 20)


def test_a_refusal_and_a_ring_are_counted_where_they_belong() -> None:
    stats = counted(
        front("GET_PROTOCOL_FEATURES"),
        back("GET_PROTOCOL_FEATURES", protocol_features=8),
        front("SET_PROTOCOL_FEATURES", protocol_features=8),
        front("SET_VRING_ENABLE", index=1, num=1, need_reply=True),
        back("SET_VRING_ENABLE", status=1),
    )
    ring = stats.by[Grouping.RING]["A", 1]
    assert (ring.requests, ring.replies, ring.refused, ring.ring_name) == (1, 1, 1, "tx0")
    assert list(stats.by[Grouping.SESSION]) == [("A", 1)]


def test_nothing_was_answered() -> None:
    stats = counted(front("SET_OWNER"))
    (figures,) = stats.by[Grouping.MESSAGE].values()
    assert (figures.percentiles(), figures.rate, figures.busiest) == ({}, None, 1)
    assert "no message names a ring" in list(lines(stats, list(Grouping), None))


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcapng")), ids=lambda path: path.stem)
def test_every_capture_has_as_many_as_show(run: Run, path: Path) -> None:  # noqa: F811
    told = json.loads(run("stats", path, "--json").out)
    replies = [json.loads(line)["latency"] for line in run("show", path, "--json").lines]
    latencies = [each for each in replies if each is not None]
    assert told["all"]["messages"] == sum(each["messages"] for each in told["by_session"])
    assert told["all"]["latency"]["max"] == max(latencies)
    assert told["all"]["messages"] == sum(each["messages"] for each in told["by_message"])


def test_several_files_and_a_choice(run: Run, tmp_path: Path) -> None:  # noqa: F811
    one = write(tmp_path / "one.pcapng", script(opened(), *asked(1), front("SET_OWNER"), closed()))
    ran = run("stats", one, one, "--by", "message", "--filter", "SET_OWNER")
    assert ran.status == 0
    assert ran.out.count("SET_OWNER") == 2
    assert "GET_FEATURES" not in ran.out
    assert ran.out.count("one.pcapng") == 2
