"""What is known of an implementation lowers a finding, for the versions that it is known of."""

import pytest

from vutrace.problems import Rule, Severity
from vutrace.rules.implementations import Certainty, Implementation
from vutrace.rules.profiles import DeviationProfile
from vutrace.rules.version_ranges import range_of

RULE = Rule(
    "memory.odd",
    Severity.WARNING,
    "Memory",
    "It is odd.",
    "Mend it.",
    deviates=("qemu 5.1 to 7.0: does so (a.c)", "vpp before 3.0: does so (b.c)", "dpdk: always (c.c)"),
)


def weighed(name: str, version: str, profile: str = "auto") -> Severity:
    """How bad the rule's breach is with a program at one end."""
    program = Implementation(name, version, "its command line", Certainty.CERTAIN)
    return DeviationProfile(profile).weigh(RULE.problem("odd"), [program]).severity


MET = ("", "5.1", "7.0", "6.2", "7.0 or later", "up to 5.1", "7.0 to 8.0", "before 5.2")
MISSED = ("5.0", "7.1", "10.0", "7.1 or later", "up to 5.0", "7.1 to 8.0", "before 5.1")


@pytest.mark.parametrize("version", MET)
def test_a_version_that_may_be_one_of_those_is_known_for_it(version: str) -> None:
    assert weighed("qemu", version) is Severity.INFO


@pytest.mark.parametrize("version", MISSED)
def test_another_version_is_not(version: str) -> None:
    assert weighed("qemu", version) is Severity.WARNING


def test_before_a_version_is_not_that_version() -> None:
    assert weighed("vpp", "2.17") is Severity.INFO
    assert weighed("vpp", "3.0") is Severity.WARNING
    assert weighed("vpp", "3.0 or later") is Severity.WARNING
    assert weighed("vpp", "up to 3.0") is Severity.INFO


def test_what_is_inside_a_program_may_be_any_version() -> None:
    assert weighed("ovs", "3.0") is Severity.INFO  # DPDK is inside


def test_a_named_profile_is_every_version_and_strict_is_nobody() -> None:
    assert weighed("passt", "", "qemu") is Severity.INFO
    assert weighed("qemu", "6.0", "strict") is Severity.WARNING


def test_the_finding_says_of_which_versions_it_is_known() -> None:
    program = Implementation("qemu", "6.2", "its command line", Certainty.CERTAIN)
    problem = DeviationProfile().weigh(RULE.problem("odd"), [program])
    assert problem.text == "odd; known of qemu 5.1 to 7.0: does so (a.c)"
    assert problem.rule.advice == "Nothing to do where it is qemu 5.1 to 7.0."


def test_words_that_are_no_version_are_any() -> None:
    assert range_of("the one of Tuesday") == range_of("")
