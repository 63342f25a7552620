"""What the two ends of a session agreed on and share: negotiation rounds, memory, descriptors, debts."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from vutrace.session.acted import ActedRow
from vutrace.session.memory import MemoryChange
from vutrace.session.model import Owing, SessionTimeline, SideMessages
from vutrace.session.negotiation import Round
from vutrace.views.changes import memory_words
from vutrace.views.masks import Names, choice, protocol_names, virtio_names
from vutrace.views.text import count, size
from vutrace.views.timeline.words import rows_words

LINES_SHOWN = 6
PLACES_SHOWN = 6


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
    for channel, side_channels in groupby(session.side_channels, key=lambda each: each.channel):
        yield Summary(channel.words, "", tuple(map(side_words, side_channels)))
    if session.fds_received:
        again = sum(holding.generation - 1 for holding in session.fds)
        replaced = f", {again} of them replaced an earlier one" if again else ""
        yield Summary("fds", f"{session.fds_received} received{replaced}")

    if session.acted:
        rows = f"{count(len(session.acted), 'message')} that rules of vutrace's acted on"
        yield Summary("acted on", rows, cut(list(acted_lines(session.acted))))


def acted_lines(acted: Iterable[ActedRow]) -> Iterator[str]:
    """What each rule did, and to which rows."""
    ordered = sorted(acted, key=lambda each: (each.rule, each.deed, each.row))
    for (rule, deed), rows in groupby(ordered, key=lambda each: (each.rule, each.deed)):
        places = [f"[{each.row}]" for each in rows]
        more = f" and {len(places) - PLACES_SHOWN} more" if len(places) > PLACES_SHOWN else ""
        yield f"{deed} by '{rule}': {' '.join(places[:PLACES_SHOWN])}{more}"


def side_words(aside: SideMessages) -> str:
    """The messages of one name on another socket."""
    rows = rows_words(aside.first, aside.last)
    return f"{aside.count} × {aside.name} from the {aside.sender.words}, {rows}"


def cut(lines: list[str]) -> tuple[str, ...]:
    """The first lines, and how many more there are."""
    more = [f"… {len(lines) - LINES_SHOWN} more"] if len(lines) > LINES_SHOWN else []
    return (*lines[:LINES_SHOWN], *more)


def distinct(rounds: tuple[Round, ...]) -> list[Round]:
    """Rounds that came to the same, however far apart, counted where the first of them was."""
    found: dict[tuple[int | None, ...], Round] = {}
    for each in rounds:
        before = found.get(each.masks)
        found[each.masks] = replace(before, count=before.count + each.count) if before else each
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
    return f"[{change.number}] {change.message}: {memory_words(change)}"


def owing_words(owing: Owing) -> str:
    """Who left which request without its answer."""
    return f"[{owing.row}] {owing.name} was never answered by the {owing.debtor.words}"
