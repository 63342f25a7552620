"""A script: a file with `message(message)`, and perhaps `opened(session)`, `closed(session)`, `WATCH`."""

import importlib.util
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from vutrace.dissection.registry import Registry
from vutrace.errors import USAGE, VutraceError
from vutrace.matching.grammar import parse_match
from vutrace.matching.matcher import Matcher
from vutrace.matching.names import UnknownMessageError
from vutrace.matching.values import MatchError


class ScriptError(VutraceError):
    """A script that cannot be used; the text says why."""

    status = USAGE


def nothing(_what: Any) -> None:
    """Where a script has no such function."""


@dataclass(frozen=True, slots=True)
class ActingScript:
    """Its functions; `matcher` chooses the messages that it is given."""

    name: str
    matcher: Matcher
    opened: Callable[[Any], object]
    message: Callable[[Any], object]
    closed: Callable[[Any], object]


def load_script(path: str, registry: Registry) -> ActingScript:
    """The script in a file; ScriptError where it is none."""
    try:
        module = run_file(Path(path))
        matcher = parse_match(str(getattr(module, "WATCH", "*")), registry)
    except (MatchError, UnknownMessageError) as error:
        raise ScriptError(f"-s {path}: WATCH: {error}") from None
    except VutraceError:
        raise
    except (Exception, SystemExit) as error:
        raise ScriptError(f"-s {path}: {where(error, path)}") from None
    known = {name: getattr(module, name, nothing) for name in ("opened", "message", "closed")}
    if all(each is nothing for each in known.values()):
        raise ScriptError(f"-s {path}: it has none of the functions opened, message and closed")
    return ActingScript(Path(path).name, matcher, **known)


def run_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"vutrace_script_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ScriptError(f"-s {path}: no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def where(error: BaseException, path: str) -> str:
    """An exception in one line, with the line of the script."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    line = f"line {lines[-1]}: " if lines else ""
    return f"{line}{type(error).__name__}: {error}"
