"""What the two ends of a session agreed on and share: negotiation rounds, memory, descriptors, debts."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from vutrace.session.memory import MemoryChange, Region
from vutrace.session.model import Owing, SessionTimeline
from vutrace.session.negotiation import Round
from vutrace.views.masks import Names, choice, protocol_names, virtio_names
from vutrace.views.text import address, count, size

LINES_SHOWN = 6
REGIONS_SHOWN = 3


class Summary(NamedTuple):
    """What `about` is told of, in short and line by line."""

    about: str
    summary: str
    lines: tuple[str, ...] = ()


def facts(session: SessionTimeline) -> Iterator[Summary]:
    """What is known of one session."""
    if session.rounds:
        rounds = count(sum(each.count for each in session.rounds), "round")
        fences = f", {session.barriers} × GET_FEATURES as a barrier" if session.barriers else ""
        lines = cut([round_words(each, session) for each in distinct(session.rounds)])
        yield Summary("agreed", f"{rounds} of negotiation{fences}", lines)
    if session.memory_changes:
        mapped = f"{count(len(session.memory), 'region')}, {size(sum(each.size for each in session.memory))}"
        changes = cut([change_words(each) for each in session.memory_changes])
        yield Summary("memory", f"{mapped} at the end", changes)
    if session.fds_received:
        again = sum(holding.generation - 1 for holding in session.fds)
        yield Summary("fds", f"{session.fds_received} received, {again} of them in place of another")


def cut(lines: list[str]) -> tuple[str, ...]:
    """The first lines, and how many more there are."""
    more = [f"… {len(lines) - LINES_SHOWN} more"] if len(lines) > LINES_SHOWN else []
    return (*lines[:LINES_SHOWN], *more)


def distinct(rounds: tuple[Round, ...]) -> list[Round]:
    """Rounds that came to the same, however far apart, counted where the first of them was."""
    found: dict[Round, Round] = {}
    for each in rounds:
        outcome = replace(each, first=0, last=0, count=0)
        before = found.get(outcome)
        found[outcome] = replace(before, count=before.count + each.count) if before else each
    return list(found.values())


def round_words(each: Round, session: SessionTimeline) -> str:
    """What was offered, acknowledged and refused in one round, or in several equal ones."""
    words = (
        mask_words("features", each.offered, each.acknowledged, virtio_names(session.kind)),
        mask_words("protocol features", each.protocol_offered, each.protocol_acknowledged, protocol_names),
    )
    times = f"{each.count} × " if each.count > 1 else ""
    return f"{times}{'; '.join(filter(None, words))}  (row {each.first})"


def mask_words(what: str, offered: int | None, taken: int | None, names: Names) -> str:
    """One mask of a round; what was refused of it has a minus."""
    offer = [f"offered {offered:#x}"] if offered is not None else []
    answer = (
        [f"acknowledged {choice(taken, None, offered, names, tell_taken=False)}"] if taken is not None else []
    )
    return f"{what} {', '.join(offer + answer)}" if offer or answer else ""


def change_words(change: MemoryChange) -> str:
    """What a message did to the memory map."""
    regions = [*(("+", each) for each in change.added), *(("-", each) for each in change.removed)]
    told = [sign + region_words(each) for sign, each in regions[:REGIONS_SHOWN]]
    if len(regions) > REGIONS_SHOWN:
        told.append(f"{count(len(regions) - REGIONS_SHOWN, 'region')} more")
    return f"[{change.number}] {change.message}: {', '.join(told) or 'as before'}"


def region_words(region: Region) -> str:
    """One memory region."""
    return f"{size(region.size)} at gpa {address(region.guest_address)}"


def owing_words(owing: Owing) -> str:
    """Who left which request without its answer."""
    return f"[{owing.row}] {owing.name} was never answered by the {owing.debtor.words}"
