"""Captures for programs: records, rows, timelines and verdicts (docs/python.md).

These functions, their parameters and the attributes that docs/python.md names stay as they are within a major
version; more may come. What can be wrong with a capture is a `vutrace.errors.VutraceError`.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from vutrace import capture
from vutrace.dissection.registry import Registry, load
from vutrace.problems import Severity
from vutrace.records import Connection, Record
from vutrace.rules.findings import Choice
from vutrace.rules.judge import Judge
from vutrace.rules.profiles import DeviationProfile
from vutrace.rules.report import Reporter, SessionReport
from vutrace.session import timeline as session_timeline
from vutrace.session.model import Timeline
from vutrace.session.row import Row
from vutrace.session.tracker import Tracker
from vutrace.views.annotated import Annotator
from vutrace.views.json_lines import JsonLines

CapturePath = str | os.PathLike[str]


def read(path: CapturePath) -> Iterator[Record | Connection]:
    """What a capture holds, in its order: connections, frames (bytes and descriptors) and events."""
    return iter(capture.read(path))


def rows(path: CapturePath, *, device: str = "", dissectors: Iterable[Path] = ()) -> Iterator[Row]:
    """The messages and events of a capture, dissected, with what changed and what is wrong.

    `device` says what is traced ("net", "blk", …) where the capture does not tell; `dissectors` are files
    with further ones. A row's `state` is live: it is that of this row until the next one is asked for.
    """
    return Judge(least=Severity.INFO).rows(tracked(path, Tracker(registry_of(dissectors), device)))


def objects(path: CapturePath, *, device: str = "", secrets: bool = False) -> Iterator[dict[str, Any]]:
    """The rows as the objects of `vutrace show --json`; `secrets` has keys and host pointers, too."""
    printer = JsonLines(secrets)
    for shown in Annotator().annotate_all(rows(path, device=device)):
        for line in printer.lines(shown):
            yield json.loads(line)


def timeline(path: CapturePath, *, device: str = "") -> Timeline:
    """The sessions of a capture with their phases, loops, memory and rings."""
    tracker = Tracker(registry_of(()), device)
    judged = Judge(least=Severity.WARNING).rows(tracked(path, tracker))
    return session_timeline.timeline(judged, tracker.connections)


def check(
    path: CapturePath,
    *,
    device: str = "",
    profile: str = "auto",
    severity: str = "warning",
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
) -> list[SessionReport]:
    """The verdict and the findings of each session, as `vutrace check` has them.

    `select` and `ignore` are names of rules or of their groups; `severity` is error, warning or info.
    """
    choice = Choice(Severity(severity), frozenset(select), frozenset(ignore))
    reporter = Reporter(Judge(DeviationProfile(profile)), choice)
    return list(reporter.reports(tracked(path, Tracker(registry_of(()), device))))


def registry_of(files: Iterable[Path]) -> Registry:
    """The installed dissectors, and those in files."""
    return load(list(files))


def tracked(path: CapturePath, tracker: Tracker) -> Iterator[Row]:
    """The rows of a capture, judged by nobody yet."""
    for batch in capture.read(path).batches():
        yield from tracker.rows(batch)
