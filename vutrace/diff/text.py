"""Differences in words, and as JSON."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from vutrace.diff.compare import Change, Pairing
from vutrace.diff.courses import Account
from vutrace.diff.tokens import Fact
from vutrace.records import connection_letter
from vutrace.session.row import Row

Line = Callable[[Row], str]
"""A row as it is shown."""


def text(pairs: list[Pairing], line: Line) -> Iterator[str]:
    """All pairings, line by line."""
    total = 0
    for pair in pairs:
        yield f"A: {title(pair.a)}"
        yield f"B: {title(pair.b)}"
        total += len(pair.changes) or not (pair.a and pair.b)
        for change in pair.changes:
            yield ""
            yield from told(change, pair, line)
        yield ""
    yield "no difference" if not total else f"{total} difference{'s' * (total != 1)}"


def title(account: Account | None) -> str:
    """Which session."""
    if account is None:
        return "no such session"
    letter = connection_letter(account.connection)
    return f"connection {letter}, session {account.session}, {account.device}, {account.messages} requests"


def told(change: Change, pair: Pairing, line: Line) -> Iterator[str]:
    """One difference: what it is, then both rows."""
    a, b = words(change.a, change.b)
    times = f" ({change.count} times)" if change.count > 1 else ""
    yield f"{heading(change)}: {said(a, b)}{times}"
    for side, account, row in (("A", pair.a, change.row_a), ("B", pair.b, change.row_b)):
        shown = account.rows.get(row) if account and row is not None else None
        missing = change.b == "sent" if side == "A" else change.a == "sent"
        before = " after" if missing else ""
        if shown:
            yield f"  {side}{before} {line(shown).rstrip()}"


def heading(change: Change) -> str:
    """What differs, of which rings."""
    subject = change.subject.replace("ring", "rings", 1) if len(change.names) > 1 else change.subject
    return f"{' '.join((subject, *change.names))}, {change.what}"


def said(a: str, b: str) -> str:
    """Both sides in a sentence."""
    if a == "sent" and not b:
        return "only in A"
    if b == "sent" and not a:
        return "only in B"
    return f"A {a or 'nothing'}; B {b or 'nothing'}"


def words(a: Fact, b: Fact) -> tuple[str, str]:
    """Both sides; of two masks what each has alone."""
    if isinstance(a, frozenset) and isinstance(b, frozenset):
        return alone(a, b), alone(b, a)
    return plain(a), plain(b)


def alone(mine: frozenset[str], theirs: frozenset[str]) -> str:
    """The names that only one has."""
    only = " ".join(sorted(mine - theirs))
    return f"has {only}" if only else "has no other"


def plain(fact: Fact) -> str:
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
    return json.dumps({"same": same(pairs), "sessions": found}, indent=1, ensure_ascii=False)


def same(pairs: list[Pairing]) -> bool:
    """Whether nothing differs."""
    return all(pair.a and pair.b and not pair.changes for pair in pairs)


def account_object(account: Account | None) -> dict[str, Any] | None:
    """Which session."""
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
    """One difference; a mask is a list of names."""
    return {
        "subject": change.subject,
        "rings": list(change.names),
        "what": change.what,
        "a": value(change.a),
        "b": value(change.b),
        "row_a": change.row_a,
        "row_b": change.row_b,
        "count": change.count,
    }


def value(fact: Fact) -> str | list[str]:
    """A fact in JSON."""
    return fact if isinstance(fact, str) else sorted(fact)
