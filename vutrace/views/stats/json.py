"""The figures as one JSON object; times are seconds, sizes bytes (docs/stats.md)."""

from collections.abc import Sequence
from typing import Any

from vutrace.views.stats.figures import GROUPINGS, SECOND, Figures, Stats
from vutrace.views.stats.grouping import Grouping

Json = dict[str, Any]
SCHEMA = "stats-1"  # docs/schemas


def stats_json(file: str, stats: Stats, groupings: Sequence[Grouping]) -> Json:
    """A capture's figures: `all`, and a list for each grouping."""
    made: Json = {"schema": SCHEMA, "file": file, "all": figures_json(stats.all)}
    for grouping in groupings:
        names = GROUPINGS[grouping].names
        made[f"by_{grouping}"] = [
            {**dict(zip(names, key, strict=True)), **named(grouping, figures), **figures_json(figures)}
            for key, figures in stats.by[grouping].items()
        ]
    return made


def named(grouping: Grouping, figures: Figures) -> Json:
    """What a ring is called."""
    return {"ring_name": figures.ring_name} if grouping is Grouping.RING else {}


def figures_json(figures: Figures) -> Json:
    """One set of figures; null is what nobody knows, and `latency` where nothing was answered."""
    told = {name: value / SECOND for name, value in figures.percentiles().items()}
    sized, timed = not figures.unsized, figures.timed
    return {
        "messages": figures.messages,
        "requests": figures.requests,
        "replies": figures.replies,
        "refused": figures.refused,
        "need_reply": None if figures.unflagged else figures.need_reply,
        "descriptors": None if figures.undescribed else figures.descriptors,
        "bytes": figures.bytes if sized else None,
        "smallest": figures.smallest if sized else None,
        "largest": figures.largest if sized else None,
        "first": figures.first_ns / SECOND if timed else None,
        "last": figures.last_ns / SECOND if timed else None,
        "per_second": figures.rate if timed else None,
        "busiest_second": figures.busiest if timed else None,
        "latency": told or None,
    }
