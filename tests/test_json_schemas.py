"""The JSON of show, timeline, stats and queues is what docs/schemas says, of every capture; and exact."""

import json
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from kit.handshake import REGISTRY, handshake
from kit.transcript import connection

from vutrace.capture import read
from vutrace.dissection.registry import load
from vutrace.session.model import Timeline
from vutrace.session.timeline import timeline
from vutrace.session.tracker import Tracker
from vutrace.views.annotated import Annotator
from vutrace.views.json_lines import JsonLines
from vutrace.views.queues import objects
from vutrace.views.stats.figures import stats_of
from vutrace.views.stats.grouping import Grouping
from vutrace.views.stats.json import stats_json
from vutrace.views.timeline.formats import FORMATS, DrawingOptions

ROOT = Path(__file__).parent.parent
CAPTURES = sorted((ROOT / "captures").glob("*.pcapng"))
SCHEMAS = ROOT / "docs" / "schemas"
ROWS_CHECKED = 120  # of a capture


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    """The published schema, in which nothing that it does not name is allowed."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(closed(schema))


def closed(schema: Any) -> Any:
    """A schema without room for keys that nobody wrote down."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if "properties" in made and isinstance(made.get("type"), str | list):
        made.setdefault("additionalProperties", False)
    return made


def rows_of(tracker: Tracker, records: Any) -> Iterator[str]:
    """The lines of `show --json`."""
    printer, annotator = JsonLines(), Annotator(tracker.connections)
    return (line for row in tracker.rows(records) for line in printer.lines(annotator.annotate(row)))


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_every_capture(path: Path) -> None:
    for line in islice(rows_of(Tracker(load()), read(path)), ROWS_CHECKED):
        validator("row-1").validate(json.loads(line))
    tracker = Tracker(load())
    drawn = timeline(tracker.rows(read(path)), tracker.connections)
    validator("timeline-1").validate(timeline_object(drawn))
    validator("queues-1").validate(json.loads(objects(drawn, None)))
    figures = stats_of(Tracker(load()).rows(read(path)))
    validator("stats-1").validate(json.loads(json.dumps(stats_json(str(path), figures, list(Grouping)))))


def test_every_row_of_the_scripted_session() -> None:
    lines = list(rows_of(Tracker(REGISTRY, "toy"), [connection(), *handshake()]))
    assert lines
    for line in lines:
        validator("row-1").validate(json.loads(line))


def timeline_object(drawn: Timeline) -> Any:
    """What `timeline --format json` prints."""
    pieces = FORMATS["json"].render(drawn, DrawingOptions(lambda: []))
    return json.loads("".join(map(str, pieces)))


def test_times_survive_where_integers_are_rounded() -> None:
    tracker = Tracker(REGISTRY, "toy")
    for line in rows_of(tracker, [connection(), *handshake()]):
        made = json.loads(line, parse_int=float)  # as jq 1.6 and JavaScript do
        assert int(made["time_ns_text"]) == json.loads(line)["time_ns"]


def test_masks_have_names_and_who_closed_is_told() -> None:
    (path,) = (each for each in CAPTURES if each.stem == "qemu-7.2-testpmd-restart")
    tracker = Tracker(load())
    drawn = timeline_object(timeline(tracker.rows(read(path)), tracker.connections))
    first, second = drawn["connections"][0]["sessions"]
    assert (first["closed_by"], second["closed_by"]) == ("backend", "frontend")
    names = [each["names"] for each in first["rounds"] if each["acknowledged"] is not None]
    assert all("VIRTIO_F_VERSION_1" in each["acknowledged"] for each in names)
    assert all("VHOST_F_LOG_ALL" in each["refused"] for each in names)


def test_the_schema_that_is_named_is_published() -> None:
    drawn = timeline_object(Timeline((), 0, 0))
    assert (SCHEMAS / f"{drawn['schema']}.json").exists()
    assert (SCHEMAS / f"{stats_json('', stats_of([]), [])['schema']}.json").exists()


def test_rows_name_their_schema_once_and_queues_at_each_session() -> None:
    tracker = Tracker(REGISTRY, "toy")
    first, *others = map(json.loads, rows_of(tracker, [connection(), *handshake()]))
    assert (SCHEMAS / f"{first['schema']}.json").exists()
    assert not any("schema" in each for each in others)
    drawn = timeline(tracker.rows(handshake()), tracker.connections)
    assert [each["schema"] for each in json.loads(objects(drawn, None))] == ["queues-1"]
