"""Differences in words, and as JSON."""

from collections.abc import Callable, Iterator
from typing import Any

from vutrace.diff.align import Edit, EditKind
from vutrace.diff.compare import Change, Pairing
from vutrace.diff.sections import Account
from vutrace.diff.tokens import FactText
from vutrace.outgoing import json_text, printable
from vutrace.records import connection_letter
from vutrace.session.row import Row

ONLY = {EditKind.ONLY_A: "only in A", EditKind.ONLY_B: "only in B"}
NAMED = 40  # rings of one difference that are told by name
Line = Callable[[Row], str]
"""A row as it is shown."""


def text(pairs: list[Pairing], line: Line) -> Iterator[str]:
    """All pairings, line by line."""
    return map(printable, lines(pairs, line))


def lines(pairs: list[Pairing], line: Line) -> Iterator[str]:
    """The same, with what peers named as it came."""
    total = 0
    for pair in pairs:
        yield f"A: {title(pair.a)}"
        yield f"B: {title(pair.b)}"
        total += len(pair.changes) or not (pair.a and pair.b)
        for change in pair.changes:
            yield ""
            yield from change_lines(change, pair, line)
        yield ""
    yield "no difference" if not total else f"{total} difference{'s' * (total != 1)}"


def title(account: Account | None) -> str:
    """Which session."""
    if account is None:
        return "no such session"
    letter = connection_letter(account.connection)
    return f"connection {letter}, session {account.session}, {account.device}, {account.messages} requests"


def change_lines(change: Change, pair: Pairing, line: Line) -> Iterator[str]:
    """One difference: what it is, then both rows."""
    edit, times = change.edit, f" ({change.count} times)" if change.count > 1 else ""
    yield f"{heading(change)}: {both_sides(edit)}{times}"
    for side, account, row, missing in (
        ("A", pair.a, edit.row_a, edit.kind is EditKind.ONLY_B),
        ("B", pair.b, edit.row_b, edit.kind is EditKind.ONLY_A),
    ):
        shown = account.rows.get(row) if account and row is not None else None
        if shown:
            yield f"  {side}{' after' * missing} {line(shown).rstrip()}"


def heading(change: Change) -> str:
    """What differs, of which rings."""
    subject = change.subject.replace("ring", "rings", 1) if len(change.names) > 1 else change.subject
    names = change.names
    more = [f"and {len(names) - NAMED} more"] if len(names) > NAMED else []
    return f"{' '.join([subject, *names[:NAMED], *more])}, {change.what}"


def both_sides(edit: Edit) -> str:
    """What A and B have, in a sentence."""
    if edit.kind in ONLY:
        return ONLY[edit.kind]
    a, b = words(edit.a, edit.b)
    return f"A {a or 'nothing'}; B {b or 'nothing'}"


def words(a: FactText, b: FactText) -> tuple[str, str]:
    """Both sides; of two masks what each has alone."""
    if isinstance(a, frozenset) and isinstance(b, frozenset):
        return own_names(a, b), own_names(b, a)
    return plain(a), plain(b)


def own_names(mine: frozenset[str], theirs: frozenset[str]) -> str:
    """The names that only one has."""
    only = " ".join(sorted(mine - theirs))
    return f"has {only}" if only else "has no other"


def plain(fact: FactText) -> str:
    """A fact by itself."""
    return fact if isinstance(fact, str) else " ".join(sorted(fact)) or "none"


def objects(pairs: list[Pairing]) -> str:
    """The same as one JSON object; keys are fixed."""
    found = [
        {
            "a": account_object(pair.a),
            "b": account_object(pair.b),
            "differences": list(map(change_object, pair.changes)),
        }
        for pair in pairs
    ]
    return json_text({"same": same(pairs), "sessions": found}, indent=1)


def same(pairs: list[Pairing]) -> bool:
    """Whether nothing differs."""
    return all(pair.a and pair.b and not pair.changes for pair in pairs)


def account_object(account: Account | None) -> dict[str, Any] | None:
    if account is None:
        return None
    letter = connection_letter(account.connection)
    return {
        "connection": letter,
        "session": account.session,
        "device": account.device,
        "requests": account.messages,
    }


def change_object(change: Change) -> dict[str, Any]:
    """One difference; a mask is a list of names, and a step that only one has is "sent" there."""
    edit = change.edit
    return {
        "subject": change.subject,
        "rings": list(change.names),
        "what": change.what,
        "a": "sent" if edit.kind is EditKind.ONLY_A else value(edit.a),
        "b": "sent" if edit.kind is EditKind.ONLY_B else value(edit.b),
        "row_a": edit.row_a,
        "row_b": edit.row_b,
        "count": change.count,
    }


def value(fact: FactText) -> str | list[str]:
    return fact if isinstance(fact, str) else sorted(fact)
