"""JUnit's XML, as Jenkins and GitLab read it: a session is a suite, a broken rule is a failed case."""

import re
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from vutrace.records import connection_letter
from vutrace.rules.findings import PlacedProblem
from vutrace.rules.report import SessionReport

# What no XML 1.0 document may hold, however it is written.
UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
CLEAN = "all other rules"


def document(reports: Iterable[tuple[str, SessionReport]]) -> str:
    """All sessions of all files."""
    suites = [suite(file, report) for file, report in reports]
    root = ElementTree.Element("testsuites", name="vutrace check")
    for number in ("tests", "failures"):
        root.set(number, str(sum(int(each.get(number, "0")) for each in suites)))
    root.extend(suites)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def suite(file: str, report: SessionReport) -> ElementTree.Element:
    """One session: a case for each rule that is broken, and one for all that are not."""
    assert report.verdict
    place = f"connection {connection_letter(report.connection)}, session {report.session}"
    name = clean(f"{file}: {place}")
    cases = [*broken(name, report), ElementTree.Element("testcase", classname=name, name=CLEAN)]
    made = ElementTree.Element("testsuite", name=name, tests=str(len(cases)), failures=str(len(cases) - 1))
    made.extend(cases)
    ElementTree.SubElement(made, "system-out").text = clean(report.verdict.text)
    return made


def broken(name: str, report: SessionReport) -> Iterator[ElementTree.Element]:
    """A failed case for each rule."""
    for rule in report.counts:
        found = [each for each in report.findings if each.rule.name == rule]
        case = ElementTree.Element("testcase", classname=name, name=rule)
        failure = ElementTree.SubElement(case, "failure", type=rule, message=clean(found[0].problem.text))
        failure.text = clean("\n".join([*map(line, found), found[0].rule.means, found[0].rule.advice]))
        yield case


def line(found: PlacedProblem) -> str:
    """A finding in a line."""
    about = "" if found.problem.ring is None else f"ring {found.problem.ring}: "
    return f"[{found.row}] {found.rule.severity}: {about}{found.problem.text}"


def clean(text: str) -> str:
    """A text without what XML cannot hold."""
    return UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
