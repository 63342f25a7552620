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
    Verb("demo", "demo", "demo", "See vutrace at work: model ends, real sockets."),
    Verb("proxy", "proxy", "proxy", "Between the two ends: forward, record, show.", quick=True),
    Verb("peer", "peer", "app", "One end played by a model, against a program of yours."),
    Verb("restore", "inserting", "restore", "Give a socket its place back, after a proxy that was killed."),
    Verb(
        "run",
        "run",
        "run",
        "Start a program with its vhost-user sockets through vutrace.",
        quick=True,
        settings={**OTHERS_WORDS, "allow_interspersed_args": False},
    ),
    Verb("show", "show", "show", "One row per message of a capture."),
    Verb("timeline", "timeline", "timeline", "Phases with their loops, and each ring's states."),
    Verb("queues", "queues", "queues", "The state of every ring, and why."),
    Verb("rings", "rings", "rings", "What moves in the rings of a running session, at once."),
    Verb("stats", "stats", "stats", "Counts, sizes, and how long the answers took."),
    Verb("replay", "replay", "replay", "A capture at its pace, or acted out against a live peer."),
    Verb("diff", "diff", "diff", "Compare two captures by meaning."),
    Verb("check", "check", "check", "What is wrong, and what became of each session."),
    Verb("conform", "conform", "app", "Put a back-end or a front-end to the spec."),
    Verb(
        "explain",
        "explain",
        "explain",
        "What a message, a bit, a mask, a device, a rule or an error text means.",
        settings=OTHERS_WORDS,
    ),
    Verb("attach", "attach", "attach", "What a running program says on its sockets, by strace."),
    Verb("scrub", "scrub", "scrub", "A capture without what is private, to be given away."),
    Verb("minimise", "minimise", "minimise", "The fewest messages after which a peer still fails."),
    Verb("coverage", "coverage", "coverage", "What of the spec captures exercised, and what not."),
    Verb("import", "import_", "import_", "A capture of what strace, QEMU, DPDK and others recorded."),
    Verb("export", "export", "export", "Write a capture for stock Wireshark, as JSON or CSV."),
    Verb("list", "list_", "app", "Messages, features, devices, dissectors, fields, rules."),
    Verb("help", "help_", "help_", "What a verb does, as its --help."),
    Verb("wireshark", "wireshark", "app", "The Wireshark plug-in, and live capture from it."),
)
NEEDS_ALL = "help"


def wanted(words: list[str]) -> Iterable[Verb]:
    """The verbs that a command line needs: the one that it names, else all."""
    first = words[0] if words else ""
    return [verb for verb in VERBS if verb.name == first and first != NEEDS_ALL] or VERBS
