"""Commands that take their values as the texts they are, and so start in half the time.

typer 0.26 and later have pydantic convert all values, whose import alone takes as long as the relay may take
until it listens. Other versions do not have what is replaced here, and lose nothing.
"""

import os
from typing import Any

from typer.core import TyperCommand, TyperGroup

from vutrace.cli import interrupts
from vutrace.cli.errors import UsageError


class AsItIs:
    """In place of typer's conversion."""

    def coerce(self, value: Any, param: Any, ctx: object) -> Any:
        """The value; what is not given is None, or an empty tuple where there may be several."""
        several = param.multiple or param.nargs == -1
        return () if several and value is None else value


def unconverted(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "_runtime_param", param) is None:
            param._runtime_param = AsItIs()
    return params


class QuickCommand(TyperCommand):
    """For a verb whose parameters are texts, flags and counts; it takes signals when it is ready for them."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The same parameters, unconverted."""
        return unconverted(super().get_params(ctx))


# What other programs call it, and how it is written here.
ELSEWHERE = {
    "read": "show FILE",
    "print": "show FILE",
    "cat": "show FILE",
    "decode": "show -V FILE",
    "dissect": "show -V FILE",
    "dump": "show -x FILE",
    "tail": "show --follow FILE",
    "record": "proxy FRONTEND BACKEND -w FILE",
    "capture": "proxy FRONTEND BACKEND -w FILE",
    "trace": "proxy FRONTEND BACKEND",
    "lint": "check FILE",
    "validate": "check FILE",
    "compare": "diff A B",
    "convert": "export FILE -o OUT",
    "rules": "list rules",
    "messages": "list messages",
    "version": "--version",
}
OWN_OPTIONS = ("--version", "--install-completion", "--show-completion", "-h", "--help")


def hint(args: list[str]) -> None:
    """UsageError for a file without a verb, and for a verb that is called otherwise here."""
    name, *rest = args
    if os.path.exists(name) or name.partition(".")[2].startswith(("pcap", "pcapng")):
        raise UsageError(
            f"{name} is a file, and a verb comes first, as in: vutrace show {' '.join([name, *rest])}"
        )
    if name in ELSEWHERE:
        raise UsageError(f"there is no verb '{name}'; it is: vutrace {ELSEWHERE[name]}")


class QuickGroup(TyperGroup):
    """For a program without options of its own but --help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words; UsageError for an option of a verb that stands where the verb should."""
        if args and args[0].startswith("-") and args[0] not in OWN_OPTIONS:
            raise UsageError(f"{args[0]}: a verb comes first, as in: vutrace show {' '.join(args)}")
        return list(super().parse_args(ctx, args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that is to run; Ctrl-C is its own matter from now on."""
        if args and args[0] not in self.commands:
            hint(args)
        found = super().resolve_command(ctx, args)
        if not isinstance(found[1], QuickCommand):
            interrupts.begin()
        return found

    def get_params(self, ctx: Any) -> list[Any]:
        """The same parameters, unconverted."""
        return unconverted(super().get_params(ctx))
