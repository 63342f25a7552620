"""How `vutrace conform` tells its results."""

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vutrace.cli.errors import UsageError
from vutrace.cli.output import say
from vutrace.views.colour import When, painter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vutrace.conform.case import CaseResult
    from vutrace.views.colour import Paint


@dataclass(frozen=True)
class Form:
    """How results are told: as text, or as the format called `name`; `command` is what runs a case again."""

    command: list[str]
    strict: bool
    name: str
    paint: "Paint"

    def tell(self, results: "Iterable[CaseResult]", count: int) -> "list[CaseResult]":
        """Tell each result when it is there; all of them."""
        from vutrace.views.conformance import junit, tap, text

        say(tap.head(count) if self.name == "tap" else ())
        kept: list[CaseResult] = []
        for result in results:
            kept.append(result)
            say(self.lines(len(kept), result))
            sys.stdout.flush()
        say([junit.document(kept, self.command, self.strict)] if self.name == "junit" else ())
        say([] if self.name else [text.summary(kept, self.strict)])
        return kept

    def lines(self, number: int, result: "CaseResult") -> "Iterable[str]":
        """What is told of a case at once."""
        from vutrace.views.conformance import json, tap, text

        match self.name:
            case "json":
                return [json.line(result, self.command)]
            case "tap":
                return tap.lines(number, result, self.command, self.strict)
            case "junit":
                return []
        return text.lines(result, self.command, self.paint)


def form_of(command: list[str], strict: bool, json: bool, junit: bool, tap: bool, color: When) -> Form:
    """How results are told; UsageError for two ways at once."""
    if json + junit + tap > 1:
        raise UsageError("one of --json, --junit and --tap at a time")
    name = "json" if json else "junit" if junit else "tap" if tap else ""
    return Form(command, strict, name, painter(color, os.environ, sys.stdout.isatty()))
