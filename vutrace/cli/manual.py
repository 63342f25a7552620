"""Manual pages, one for each verb, out of what `--help` knows.

`python -m vutrace.cli.manual DIRECTORY` writes them.
"""

import re
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

from vutrace import __version__

SECTION = "1"
SEE_ALSO = "The documentation: docs/ in the source, beginning with docs/index.md."


def pages(root: Any, name: str = "vutrace") -> Iterator[tuple[str, str]]:
    """(file name, text) of the program and of all its verbs; `root` is the command of the program."""
    yield f"{name.replace(' ', '-')}.{SECTION}", page(root, name)
    for verb, command in sorted(getattr(root, "commands", {}).items()):
        yield from pages(command, f"{name} {verb}")


def page(command: Any, name: str) -> str:
    """One manual page."""
    title = name.replace(" ", "-")
    text = cleandoc(command.help or "")
    first, _, rest = text.partition("\n")
    parts = [
        f'.TH {quoted(title.upper())} {SECTION} "" "vutrace {__version__}" "User Commands"',
        f".SH NAME\n{escaped(title)} \\- {escaped(first.rstrip('.'))}",
        f".SH SYNOPSIS\n.B {escaped(name)}\n{escaped(usage(command))}",
        f".SH DESCRIPTION\n{body(first + rest_of(rest))}",
        *listed("OPTIONS", options(command)),
        *listed("COMMANDS", verbs(command, name)),
        f".SH EXIT STATUS\n{escaped(EXIT_STATUS)}",
        f".SH SEE ALSO\n{escaped(SEE_ALSO)}",
    ]
    return "\n".join(parts) + "\n"


EXIT_STATUS = (
    "0 fine, 1 the answer is no (verbs that judge), 2 usage, 3 input unreadable, 4 socket or peer error, "
    "130 or 143 on a signal."
)


def usage(command: Any) -> str:
    """What may stand behind the name."""
    context = command.make_context("", [], resilient_parsing=True)
    return " ".join(command.collect_usage_pieces(context))


def options(command: Any) -> Iterator[tuple[str, str]]:
    """(how it is written, what it does) of each option."""
    for each in command.params:
        if each.param_type_name == "option" and not each.hidden:
            value = "" if each.is_flag or each.count else f" {each.metavar or each.name.upper()}"
            yield ", ".join([*each.opts, *each.secondary_opts]) + value, each.help or ""


def verbs(command: Any, name: str) -> Iterator[tuple[str, str]]:
    """(verb, what it does)."""
    for verb, each in getattr(command, "commands", {}).items():
        yield f"{name} {verb}", each.get_short_help_str(200)


def listed(heading: str, items: Iterator[tuple[str, str]]) -> list[str]:
    """A section of terms; nothing where there are none."""
    lines = [f".TP\n.B {escaped(term)}\n{escaped(' '.join(text.split()))}" for term, text in items]
    return [f".SH {heading}", *lines] if lines else []


def rest_of(text: str) -> str:
    """What stands below the first line."""
    return f"\n{text}" if text.strip() else ""


def body(text: str) -> str:
    """Paragraphs; one that \\b begins keeps its lines."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n.PP\n".join(paragraph(each) for each in paragraphs)


def paragraph(text: str) -> str:
    """Filled, or as it is."""
    if text.startswith("\b"):
        return f".nf\n{escaped(text.removeprefix(chr(8)).strip(chr(10)))}\n.fi"
    return escaped(" ".join(text.split()))


def escaped(text: str) -> str:
    """Text that roff takes for nothing else."""
    return re.sub(r"(?m)^([.'])", r"\\&\1", text.replace("\\", "\\e").replace("-", "\\-"))


def quoted(text: str) -> str:
    return f'"{text}"'


def write(directory: Path) -> None:
    """All pages into a directory."""
    from typer.main import get_command

    from vutrace.cli import app

    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages(get_command(app)):
        (directory / name).write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
