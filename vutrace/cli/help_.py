"""`vutrace help VERB`: what `vutrace VERB --help` prints."""

from typing import Annotated, Any

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.output import say


def help_(
    context: typer.Context,
    verb: Annotated[list[str] | None, typer.Argument(help="The verb, or a verb and its subcommand.")] = None,
) -> None:
    """Show what a verb does, as its --help does.

    \b
    vutrace help
    vutrace help show
    vutrace help list messages
    """
    found: Any = context.find_root()
    for word in verb or ():
        commands = getattr(found.command, "commands", {})
        if word not in commands:
            raise UsageError(f"there is no verb '{' '.join(verb or ())}'; vutrace --help lists them all")
        found = type(found)(commands[word], info_name=word, parent=found)
    say([found.get_help()])
