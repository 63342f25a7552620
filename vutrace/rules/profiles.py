"""Which breaches are known of an implementation: they are told as `info`, with the source.

A rule's `deviates` are texts like "qemu: sets it always (vhost-user.c)": the word before the colon is who.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from vutrace.problems import Problem, Rule, Severity

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
    return deviation.partition(":")[0]


@dataclass(slots=True)
class DeviationProfile:
    """`name` is an implementation, `strict` for none, or `auto` for those that are recognised."""

    name: str = AUTO
    _lowered: dict[tuple[str, str], Rule] = field(default_factory=dict)

    def programs(self, recognised: Iterable[str]) -> set[str]:
        """Whose deviations are known, with what is inside them."""
        names = recognised if self.name == AUTO else () if self.name == STRICT else (self.name,)
        return {inner for name in names for inner in (name, *INSIDE.get(name, ()))}

    def weigh(self, problem: Problem, recognised: Iterable[str]) -> Problem:
        """The problem, or what is left of it where an implementation is known for it."""
        if not problem.rule.deviates or problem.severity is Severity.INFO:
            return problem
        programs = self.programs(recognised)
        known = next((text for text in problem.rule.deviates if who(text) in programs), "")
        if not known:
            return problem
        advice = f"Nothing to do where it is {who(known)}."
        lowered = replace(problem.rule, severity=Severity.INFO, advice=advice)
        lowered = self._lowered.setdefault((problem.name, known), lowered)
        return replace(problem, rule=lowered, text=f"{problem.text}; known of {known}")


def known_names(rules: Iterable[Rule]) -> list[str]:
    """What --profile may name."""
    return [AUTO, STRICT, *sorted({who(text) for rule in rules for text in rule.deviates})]
