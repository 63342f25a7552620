"""JUnit's XML, as Jenkins and GitLab read it: a group is a suite; only what decides is a failure."""

from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree

from vutrace.conform.case import CaseResult, CaseVerdict
from vutrace.views.conformance.text import failure
from vutrace.views.findings.junit import clean


def document(results: Sequence[CaseResult], command: Sequence[str], strict: bool) -> str:
    """All cases."""
    root = ElementTree.Element("testsuites", name="vutrace conform", tests=str(len(results)))
    root.set("failures", str(sum(result.fails(strict) for result in results)))
    for group, of_group in groupby(results, lambda result: result.case.group):
        root.append(suite(group, list(of_group), command, strict))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def suite(
    group: str, results: Sequence[CaseResult], command: Sequence[str], strict: bool
) -> ElementTree.Element:
    """A group."""
    made = ElementTree.Element("testsuite", name=group, tests=str(len(results)))
    made.set("failures", str(sum(result.fails(strict) for result in results)))
    made.set("skipped", str(sum(result.verdict is CaseVerdict.SKIP for result in results)))
    made.extend(testcase(result, command, strict) for result in results)
    return made


def testcase(result: CaseResult, command: Sequence[str], strict: bool) -> ElementTree.Element:
    """A case; one that decides nothing has what came in its output."""
    case = result.case
    made = ElementTree.Element("testcase", classname=case.group, name=case.name, time=f"{result.seconds:.3f}")
    if result.verdict is CaseVerdict.SKIP:
        ElementTree.SubElement(made, "skipped", message=clean(result.came))
    elif result.verdict is CaseVerdict.FAIL:
        text = clean("\n".join(line.strip() for line in failure(result, command)))
        if result.fails(strict):
            ElementTree.SubElement(made, "failure", type=case.level, message=clean(result.came)).text = text
        else:
            ElementTree.SubElement(made, "system-out").text = text
    return made
