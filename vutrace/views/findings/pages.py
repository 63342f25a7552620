"""The rules themselves: the rows of `list rules`, the answer of `explain`, and the manual's page."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from vutrace.problems import Rule
from vutrace.rules.catalogue import MEANT, UNCHECKED
from vutrace.rules.profiles import who

Line = dict[str, Any]


def listed(rules: Iterable[Rule]) -> Iterator[Line]:
    """A line for each rule."""
    for rule in rules:
        yield {
            "name": rule.name,
            "severity": str(rule.severity),
            "heading": rule.heading,
            "means": rule.means,
            "advice": rule.advice,
            "deviates": list(rule.deviates),
        }


def explained(rule: Rule) -> Iterator[str]:
    """One rule in lines."""
    yield f"{rule.name}: {rule.severity}"
    yield f"  means     {rule.means}"
    if rule.advice:
        yield f"  to do     {rule.advice}"
    yield f"  section   {rule.heading}"
    for number, text in enumerate(rule.deviates):
        yield f"  {'' if number else 'known of':<9} {text}"


def page(rules: Iterable[Rule]) -> Iterator[str]:
    """The manual's page of all rules, in Markdown."""
    yield from INTRODUCTION
    for group, known in groupby(rules, key=lambda rule: rule.group):
        yield from ("", f"## {group}", "", MEANT.get(group, ""))
        for rule in known:
            yield from section(rule)
    yield from ("", "## What is not checked", "")
    for name, why in UNCHECKED:
        yield f"* {name}: {why}"


def section(rule: Rule) -> Iterator[str]:
    """One rule."""
    yield from ("", f"### {rule.name}", "", f"*{rule.severity}*, section “{rule.heading}”", "", rule.means)
    if rule.advice:
        yield from ("", f"What to do: {rule.advice}")
    if rule.deviates:
        yield from ("", "Known of:", "")
        yield from (f"* **{who(text)}**{text.removeprefix(who(text))}" for text in rule.deviates)


INTRODUCTION = (
    "# Rules",
    "",
    "What `vutrace check` looks for. This page is made of the rules themselves",
    "(`python -m vutrace.views.findings.pages`); `vutrace list rules` and `vutrace explain NAME` tell the",
    "same.",
    "",
    "An *error* breaks a “must” of the specification, or nothing works after it. A *warning* is rarely",
    "meant, or breaks a “should”. *info* is worth knowing: lawful, or known of an implementation. What an",
    "implementation is known for is told as info where it is recognised (`--profile auto`) or named",
    "(`--profile NAME`); `--profile strict` knows nobody. Sections are those of QEMU's `vhost-user.rst`",
    "unless another document is named. Nothing that needs to know what came before is said of a capture that",
    "begins in the middle of a session.",
)


if __name__ == "__main__":
    from vutrace.dissection.registry import load
    from vutrace.rules.catalogue import rules as all_rules

    print("\n".join(page(all_rules(load().devices).values())))
