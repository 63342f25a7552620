"""Nothing wrong is found in what real programs did, and what they do against the letter is known of them."""

from pathlib import Path

import pytest

from vutrace.capture import read
from vutrace.dissection.registry import load
from vutrace.problems import Severity
from vutrace.rules.judge import Judge
from vutrace.session.tracker import Tracker

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))
REGISTRY = load()
# The model of a tablet told of one queue, and QEMU uses the two that every input device has.
# In two the back-end is ended, and started again, under a running guest: that is what they show.
KNOWN = {
    ("qemu-7.2-ovs-dpdk", "end.backend-left-running"),
    ("qemu-7.2-testpmd-restart", "end.backend-left-running"),
}


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_a_kept_capture_breaks_no_rule(path: Path) -> None:
    judge = Judge()
    rows = [*judge.rows(Tracker(REGISTRY).rows(read(path))), *judge.end()]
    found = {
        (path.stem, problem.name)
        for row in rows
        for problem in row.problems
        if problem.severity is not Severity.INFO
    }
    assert found == {known for known in KNOWN if known[0] == path.stem}
