"""The list of all rules: complete, in order, tested, and the manual's page is made of it."""

import re
from pathlib import Path

import pytest
from test_rules_devices import CASES as DEVICES
from test_rules_end import BREACHES as END
from test_rules_frame import CASES as FRAME
from test_rules_memory import CASES as MEMORY
from test_rules_moving import CASES as MOVING
from test_rules_negotiation import CASES as NEGOTIATION
from test_rules_other import CASES as OTHER
from test_rules_ring import CASES as RING
from test_rules_setup import BREACHES as SETUP

from vutrace.dissection.registry import load
from vutrace.problems import Rule
from vutrace.rules.catalogue import CHECKS, GROUPS, rules
from vutrace.rules.profiles import who
from vutrace.views.findings.pages import page

ROOT = Path(__file__).parents[2]
ALL = rules(load().devices)
CASES = (*FRAME, *NEGOTIATION, *MEMORY, *RING, *MOVING, *OTHER, *DEVICES)
TESTED = {*SETUP, *END, *(case.rule for case in CASES), "channel.too-many-descriptors"}


def test_the_manual_has_the_rules_as_they_are() -> None:
    text = "\n".join(page(ALL.values())) + "\n"
    assert (ROOT / "docs" / "rules.md").read_text() == text, (
        "python -m vutrace.views.findings.pages > docs/rules.md"
    )


def test_every_rule_has_a_trace_that_breaks_it() -> None:
    assert set(ALL) - TESTED - {"device.dissector-failed"} == set()


@pytest.mark.parametrize("rule", ALL.values(), ids=lambda rule: rule.name)
def test_a_rule_says_what_it_means_and_what_to_do(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    assert rule.group in GROUPS
    assert rule.heading
    for text in (rule.means, rule.advice):
        assert text.endswith(".")
        assert text[0].isupper() or text[0].isdigit() or text.startswith("virtio")
    for text in rule.deviates:
        assert re.fullmatch(r"[a-z-]+", who(text))
        assert re.search(r"\(.+\)$", text), f"{text}: the source is missing"


def test_two_rules_never_share_a_name() -> None:
    by_name: dict[str, Rule] = {}
    for check in CHECKS:
        assert by_name.setdefault(check.rule.name, check.rule) is check.rule


def test_rules_stand_group_by_group() -> None:
    order = [GROUPS.index(rule.group) for rule in ALL.values()]
    assert order == sorted(order)
