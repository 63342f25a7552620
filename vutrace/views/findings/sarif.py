"""SARIF 2.1.0, the format that code hosts and editors read findings in."""

from collections.abc import Iterable
from typing import Any

from vutrace.problems import Rule, Severity
from vutrace.records import connection_letter
from vutrace.rules.findings import PlacedProblem
from vutrace.rules.report import SessionReport

Object = dict[str, Any]
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def log(version: str, rules: Iterable[Rule], reports: Iterable[tuple[str, SessionReport]]) -> Object:
    """A SARIF log with one run; each result is at a row of a file, which is told as a line."""
    known = list(rules)
    places = {rule.name: place for place, rule in enumerate(known)}
    results = [result(file, found, places) for file, report in reports for found in report.findings]
    driver = {
        "name": "vutrace",
        "semanticVersion": version,
        "rules": [descriptor(rule) for rule in known],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def descriptor(rule: Rule) -> Object:
    """A rule."""
    told: Object = {
        "id": rule.name,
        "name": "".join(word.capitalize() for word in rule.name.replace(".", "-").split("-")),
        "shortDescription": {"text": rule.means or rule.name},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {"heading": rule.heading},
    }
    return told | ({"help": {"text": rule.advice}} if rule.advice else {})


def result(file: str, found: PlacedProblem, places: dict[str, int]) -> Object:
    """A finding."""
    rule = found.rule
    place = f"connection {connection_letter(found.connection)}, session {found.session}, row {found.row}"
    about = "" if found.problem.ring is None else f", ring {found.problem.ring}"
    told: Object = {
        "ruleId": rule.name,
        "level": LEVELS[rule.severity],
        "message": {"text": f"{found.problem.text} ({place}{about})"},
        "locations": [location(file, found)],
    }
    return told | ({"ruleIndex": places[rule.name]} if rule.name in places else {})


def location(file: str, found: PlacedProblem) -> Object:
    """Where: a capture has rows as a text has lines."""
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": uri(file)},
            "region": {"startLine": found.row},
        },
        "logicalLocations": [
            {"fullyQualifiedName": f"{connection_letter(found.connection)}/{found.session}/{found.row}"}
        ],
    }


def uri(file: str) -> str:
    """A file's name as a URI reference."""
    from urllib.parse import quote

    return "stdin" if file == "-" else quote(file, errors="surrogateescape")
