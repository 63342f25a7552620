"""One JSON object for each session (design §6: keys are added, never renamed)."""

from typing import Any

from vutrace.outgoing import json_text
from vutrace.records import connection_letter
from vutrace.rules.report import SessionReport
from vutrace.rules.verdict import OwedReply, Verdict
from vutrace.views.findings.objects import finding

Object = dict[str, Any]


def session(file: str, report: SessionReport) -> Object:
    """One session of a file."""
    assert report.verdict
    return {
        "file": file,
        "connection": connection_letter(report.connection),
        "session": report.session,
        "device": report.device.name,
        "device_reason": report.reason,
        "frontend": end(report.verdict.frontend),
        "backend": end(report.verdict.backend),
        "rows": report.rows,
        "verdict": verdict(report.verdict),
        "findings": [finding(each) for each in report.findings],
        "counts": dict(report.counts),
    }


def end(known: Any) -> Object | None:
    """What is at one end, and how sure that is."""
    if known is None:
        return None
    return {
        "name": known.name,
        "version": known.version,
        "reason": known.reason,
        "certainty": str(known.certainty),
    }


def verdict(told: Verdict) -> Object:
    return {
        "text": told.text,
        "orderly": told.orderly,
        "ended_by": told.ended_by or None,
        "got_to": str(told.got_to),
        "owing": [owing(each) for each in told.owing],
    }


def owing(debt: OwedReply) -> Object:
    """A reply that is owed; `since` is seconds."""
    return {
        "row": debt.row,
        "name": debt.name,
        "channel": str(debt.channel),
        "debtor": str(debt.debtor),
        "since": debt.since_ns / 1e9,
    }


def line(file: str, report: SessionReport) -> str:
    """A session in one line."""
    return json_text(session(file, report), default=str)
