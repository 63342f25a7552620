"""The verbs: where each is, and what it is in a line. Only those that are asked for are loaded.

To load them all takes longer than the relay may take until it listens.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import typer

from vutrace.cli.quick import QuickCommand


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: `function` of a module of this room, which may be a group of verbs.

    `quick` ones take their values as the texts they are; `settings` are click's.
    """

    name: str
    module: str
    function: str
    short_help: str
    quick: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    def add_to(self, program: typer.Typer) -> None:
        """Load it, and make it a verb of the program."""
        found = getattr(import_module(f"vutrace.cli.{self.module}"), self.function)
        if isinstance(found, typer.Typer):
            program.add_typer(found, name=self.name, short_help=self.short_help)
            return
        how: dict[str, Any] = {"cls": QuickCommand} if self.quick else {}
        if self.settings:
            how["context_settings"] = self.settings
        program.command(self.name, short_help=self.short_help, **how)(found)


OTHERS_WORDS = {"ignore_unknown_options": True}
VERBS = (
    Verb("demo", "demo", "demo", "See vutrace at work on model ends."),
    Verb("proxy", "proxy", "proxy", "Forward, record and show messages between the two ends.", quick=True),
    Verb("peer", "peer", "app", "Run a model of one end against your own program."),
    Verb("restore", "inserting", "restore", "Undo --insert after a proxy was killed."),
    Verb(
        "run",
        "run",
        "run",
        "Start a program whose vhost-user sockets go through vutrace.",
        quick=True,
        settings={**OTHERS_WORDS, "allow_interspersed_args": False},
    ),
    Verb("show", "show", "show", "Print one row per message of a capture."),
    Verb("timeline", "timeline", "timeline", "Draw the phases with their loops, and each ring's states."),
    Verb("queues", "queues", "queues", "Show the state of every ring, and why."),
    Verb("rings", "rings", "rings", "Look into the rings of a running session."),
    Verb("stats", "stats", "stats", "Count messages and bytes, and measure reply times."),
    Verb("replay", "replay", "replay", "Play a capture back, or play one side of it to a live peer."),
    Verb("diff", "diff", "diff", "Compare two captures by meaning."),
    Verb("check", "check", "check", "Say what is wrong, and how each session ended."),
    Verb("conform", "conform", "app", "Test a back-end or a front-end against the specification."),
    Verb(
        "explain",
        "explain",
        "explain",
        "Explain a message, bit, mask, device, rule or error text.",
        settings=OTHERS_WORDS,
    ),
    Verb("attach", "attach", "attach", "Watch the sockets of a running program with strace."),
    Verb("scrub", "scrub", "scrub", "Remove private data from a capture."),
    Verb("minimise", "minimise", "minimise", "Find the shortest conversation that makes a peer fail."),
    Verb("coverage", "coverage", "coverage", "Say which parts of the specification captures exercise."),
    Verb("import", "import_", "import_", "Make a capture from a log of strace, QEMU, DPDK and others."),
    Verb("export", "export", "export", "Write a capture for stock Wireshark, as JSON or CSV."),
    Verb("list", "list_", "app", "List messages, features, devices, dissectors, fields or rules."),
    Verb("help", "help_", "help_", "Print the help of a verb."),
    Verb("wireshark", "wireshark", "app", "The Wireshark plug-in, and live capture in Wireshark."),
)
NEEDS_ALL = "help"


def wanted(words: list[str]) -> Iterable[Verb]:
    """The verbs that a command line needs: the one that it names, else all."""
    first = words[0] if words else ""
    return [verb for verb in VERBS if verb.name == first and first != NEEDS_ALL] or VERBS
