"""The figures as tables."""

from collections.abc import Iterator, Sequence

from vutrace.outgoing import printable
from vutrace.views.colour import Paint, bare
from vutrace.views.stats.figures import GROUPINGS, Figures, Key, Stats
from vutrace.views.stats.grouping import Grouping
from vutrace.views.tables import table
from vutrace.views.text import count, duration, size

LATENCIES = ("p50", "p90", "p99", "max")
HEADERS = ("requests", "replies", "refused", *LATENCIES, "per s", "busiest s", "bytes")


def lines(
    stats: Stats, groupings: Sequence[Grouping], width: int | None, paint: Paint = bare
) -> Iterator[str]:
    """A line about the whole, then a table for each grouping."""
    yield paint(summary(stats.all), "heading")
    for grouping in groupings:
        found = stats.by[grouping]
        yield ""
        if not found:
            yield f"no message names a {grouping}"
            continue
        names = tuple(name.replace("_", " ") for name in GROUPINGS[grouping].names)
        rows = [
            [*words(grouping, key, figures), *cells(figures)] for key, figures in ordered(grouping, found)
        ]
        yield from table(rows, (*names, *HEADERS), "simple", width)


def summary(figures: Figures) -> str:
    """All messages of a capture."""
    parts = [count(figures.messages, "message"), count(figures.replies, "reply").replace("replys", "replies")]
    more = " and what is not known"
    parts.append(count(figures.descriptors, "descriptor") + more * figures.undescribed)
    parts.append(size(figures.bytes) + more * bool(figures.unsized))
    if figures.messages > 1 and figures.timed:
        parts.append(f"in {duration(figures.last_ns - figures.first_ns)}")
    if told := figures.percentiles():
        parts.append("answered in " + ", ".join(f"{name} {duration(told[name])}" for name in LATENCIES))
    return ", ".join(parts)


def ordered(grouping: Grouping, found: dict[Key, Figures]) -> list[tuple[Key, Figures]]:
    """Messages with the slowest answers first; rings and sessions as they are numbered."""
    if grouping is Grouping.MESSAGE:
        return sorted(found.items(), key=lambda item: -item[1].percentiles().get("max", -1))
    return sorted(found.items(), key=lambda item: (len(item[0][0]), item[0]))


def words(grouping: Grouping, key: Key, figures: Figures) -> list[str]:
    """What a row of a table is about."""
    parts = [printable(str(part)) for part in key]
    return (
        [*parts[:-1], f"{parts[-1]} {printable(figures.ring_name)}"] if grouping is Grouping.RING else parts
    )


def cells(figures: Figures) -> list[str]:
    """A row of a table behind its key."""
    told = figures.percentiles()
    return [
        str(figures.requests),
        str(figures.replies),
        str(figures.refused),
        *(duration(told[name]) if told else "-" for name in LATENCIES),
        f"{figures.rate:.3g}" if figures.rate is not None else "-",
        str(figures.busiest) if figures.timed else "-",
        sizes(figures),
    ]


def sizes(figures: Figures) -> str:
    """How many bytes in all, and how large one is."""
    if figures.unsized:
        return "?" if figures.unsized == figures.messages else f"{figures.bytes} + ?"
    each = str(figures.smallest)
    if figures.largest != figures.smallest:
        each += f"–{figures.largest}"
    return f"{figures.bytes} ({each} each)"
