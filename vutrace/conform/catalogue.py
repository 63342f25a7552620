"""All cases, by name."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache

from vutrace.conform.case import Case
from vutrace.conform.groups import (
    back_talk,
    broken_rings,
    channels,
    framing,
    frontends,
    gpu,
    guest_memory,
    iotlb,
    memory,
    migration,
    negotiation,
    network,
    requests,
    restarts,
    rings,
    rows,
    settings,
)

MODULES = (
    framing,
    negotiation,
    rows,
    memory,
    rings,
    settings,
    requests,
    restarts,
    guest_memory,
    broken_rings,
    migration,
    channels,
    iotlb,
    network,
    gpu,
)


@cache
def backend_cases() -> Mapping[str, Case]:
    """Every case that a back-end is put to, in order of its group."""
    return by_name(case for module in MODULES for case in module.cases())


@cache
def frontend_cases() -> Mapping[str, Case]:
    """Every case that a front-end is put to."""
    return by_name([*frontends.cases(), *back_talk.cases()])


def by_name(cases: Iterable[Case]) -> Mapping[str, Case]:
    """Cases by name, the groups together, in the order in which they first come."""
    found = {case.name: case for case in cases}
    groups = list(dict.fromkeys(case.group for case in found.values()))
    return dict(sorted(found.items(), key=lambda item: groups.index(item[1].group)))


def chosen(cases: Mapping[str, Case], only: Iterable[str]) -> list[Case]:
    """The cases of these names, groups or patterns; all without any. LookupError for what is no case."""
    picked: dict[str, Case] = {}
    for text in only:
        found = [each for each in cases.values() if text == each.group or fnmatchcase(each.name, text)]
        if not found:
            raise LookupError(text)
        picked |= {each.name: each for each in found}
    return [case for name, case in cases.items() if not picked or name in picked]
