"""Which breaches are known of an implementation: they are told as `info`, with the source.

A rule's `deviates` are texts like "qemu: sets it always (vhost-user.c)" or "qemu 5.1 to 7.0: so (…)": the
first word is who, and what follows it before the colon are the versions that do.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from vutrace.problems import Problem, Rule, Severity
from vutrace.rules.implementations import Implementation
from vutrace.rules.version_ranges import VersionRange, range_of

AUTO, STRICT = "auto", "strict"
# What another implementation has inside.
INSIDE: Mapping[str, tuple[str, ...]] = {
    "ovs": ("dpdk",),
    "spdk": ("dpdk",),
    "cloud-hypervisor": ("rust-vmm",),
    "firecracker": ("rust-vmm",),
    "libkrun": ("rust-vmm",),
}


def who(deviation: str) -> str:
    """The implementation that a deviation is about."""
    return deviation.partition(":")[0].partition(" ")[0]


def versions(deviation: str) -> VersionRange:
    """The versions that it is about."""
    return range_of(deviation.partition(":")[0].partition(" ")[2])


@dataclass(slots=True)
class DeviationProfile:
    """`name` is an implementation, `strict` for none, or `auto` for those that are recognised."""

    name: str = AUTO
    _lowered: dict[tuple[str, str], Rule] = field(default_factory=dict)

    def programs(self, recognised: Iterable[Implementation]) -> Mapping[str, VersionRange]:
        """Whose deviations are known, with what is inside them; and which versions they may be."""
        if self.name != AUTO:
            told = {} if self.name == STRICT else {self.name: VersionRange()}
        else:
            told = {each.name: range_of(each.version) for each in recognised}
        inside = {inner: VersionRange() for name in told for inner in INSIDE.get(name, ())}
        return {**inside, **told}

    def weigh(self, problem: Problem, recognised: Iterable[Implementation]) -> Problem:
        """The problem, or what is left of it where an implementation is known for it."""
        if not problem.rule.deviates or problem.severity is Severity.INFO:
            return problem
        programs = self.programs(recognised)
        known = next((text for text in problem.rule.deviates if is_known(text, programs)), "")
        if not known:
            return problem
        advice = f"Nothing to do where it is {known.partition(':')[0]}."
        lowered = replace(problem.rule, severity=Severity.INFO, advice=advice)
        lowered = self._lowered.setdefault((problem.name, known), lowered)
        return replace(problem, rule=lowered, text=f"{problem.text}; known of {known}")


def is_known(deviation: str, programs: Mapping[str, VersionRange]) -> bool:
    """Whether one of the programs may be a version that deviates so."""
    theirs = programs.get(who(deviation))
    return theirs is not None and versions(deviation).meets(theirs)


def known_names(rules: Iterable[Rule]) -> list[str]:
    """What --profile may name."""
    return [AUTO, STRICT, *sorted({who(text) for rule in rules for text in rule.deviates})]
