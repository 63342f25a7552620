"""Text that fits a terminal: what is too long is cut with an ellipsis, sentences go on in the next line."""

from textwrap import wrap

LEAST = 60  # columns; a narrower terminal has no row that says anything
NARROW = 110  # below, columns are no wider than what is in them
GAP = "  "
DETAIL = 12  # so many columns of the detail stay before the rest of a row is cut


def clipped(text: str, room: int | None) -> str:
    """Text in at most `room` columns; None: as many as it takes."""
    if room is None or len(text) <= room:
        return text
    return text[: room - 1] + "…" if room > 0 else ""


def hung(text: str, room: int | None, indent: int) -> list[str]:
    """A sentence in lines of at most `room` columns, all but the first indented."""
    if room is None or len(text) <= room:
        return [text]
    return wrap(text, room, subsequent_indent=" " * indent, break_on_hyphens=False)


def shared(words: str, rest: list[str], room: int | None) -> tuple[str, list[str]]:
    """Words and what stands behind them, in the columns that there are: the words give way first."""
    if room is None:
        return words, rest
    taken = sum(len(GAP) + len(each) for each in rest if each)
    words = clipped(words, max(room - taken, min(DETAIL, len(words), room)))
    left = room - len(words)
    kept = []
    for each in rest:
        kept.append(clipped(each, max(left - len(GAP), 0)) if left > len(GAP) + 1 else "")
        left -= len(GAP) + len(kept[-1]) if kept[-1] else 0
    return words, kept
