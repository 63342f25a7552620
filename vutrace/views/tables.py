"""Tables that fit a terminal: as they are, else their widest columns wrapped, else each row in words."""

from collections.abc import Sequence
from textwrap import wrap

from tabulate import tabulate

NAMES = 2  # so many first columns say what a row is about
INDENT = "    "


def table(rows: Sequence[Sequence[str]], headers: Sequence[str], style: str, width: int | None) -> list[str]:
    """The lines of a table in a `style` of tabulate's, for `width` columns (None: as many as it takes)."""
    drawn = draw(rows, headers, style, None)
    across = max(map(len, drawn), default=0)
    if width is None or across <= width or not rows:
        return drawn
    sizes = narrowed([*zip(headers, *rows, strict=True)], across - width)
    if sizes:
        return draw(rows, headers, style, sizes)
    return sentences(rows, headers, width)


def draw(
    rows: Sequence[Sequence[str]], headers: Sequence[str], style: str, sizes: Sequence[int] | None
) -> list[str]:
    """The lines of a table whose columns are no wider than `sizes`."""
    text = tabulate(rows, headers, style, disable_numparse=True, maxcolwidths=sizes)
    return [line.rstrip() for line in text.splitlines()]


def narrowed(columns: Sequence[Sequence[str]], excess: int) -> list[int] | None:
    """The columns' sizes, the widest narrowed by `excess` in all; None where that would break words."""
    sizes = [max(map(len, column)) for column in columns]
    least = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    for _ in range(excess):
        spare, widest = max(
            (size if size > low else 0, n) for n, (size, low) in enumerate(zip(sizes, least, strict=True))
        )
        if not spare:
            return None
        sizes[widest] -= 1
    return sizes


def sentences(rows: Sequence[Sequence[str]], headers: Sequence[str], width: int) -> list[str]:
    """The rows in words, wrapped."""
    return [line for row in rows for line in wrap(sentence(row, headers), width, subsequent_indent=INDENT)]


def sentence(row: Sequence[str], headers: Sequence[str]) -> str:
    """A row in words: what it is about, then what is known of it."""
    known = [f"{header} {cell}" for header, cell in zip(headers[NAMES:], row[NAMES:], strict=True) if cell]
    return " ".join(filter(None, row[:NAMES])) + (f": {'; '.join(known)}" if known else "")
