"""Coverage as an object: `{sections: [{name, seen, of, counts: {name: how often}}]}`."""

from collections.abc import Sequence
from typing import Any

from vutrace.views.coverage.counting import CoveredSection


def coverage_json(files: Sequence[str], sessions: int, sections: Sequence[CoveredSection]) -> dict[str, Any]:
    """The whole, fit for JSON."""
    return {
        "files": list(files),
        "sessions": sessions,
        "sections": [
            {
                "name": section.name,
                "seen": len(section.seen),
                "of": len(section.counts),
                "counts": dict(section.counts),
            }
            for section in sections
        ],
    }
