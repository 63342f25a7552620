"""The command line: one file per verb, wiring only. Verbs import what they need when they run."""

import signal
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from vutrace import __version__
from vutrace.cli import errors, interrupts, output
from vutrace.cli.quick import QuickGroup
from vutrace.cli.verbs import VERBS, Verb, wanted
from vutrace.errors import VutraceError

if TYPE_CHECKING:
    app: typer.Typer

EPILOG = (
    "Exit status: 0 fine, 1 the answer is no (verbs that judge), 2 usage, 3 input unreadable, "
    "4 socket or peer error, 130/143 on a signal, always with a whole capture."
)


def print_version(asked: bool) -> None:
    """The answer to --version."""
    if asked:
        typer.echo(f"vutrace {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=print_version, is_eager=True),
    ] = False,
) -> None:
    """Trace, dissect and draw vhost-user."""


def program(verbs: Iterable[Verb]) -> typer.Typer:
    """The program with these verbs."""
    made = typer.Typer(
        cls=QuickGroup,
        help="Trace, dissect and draw vhost-user.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(root)
    for verb in verbs:
        verb.add_to(made)
    return made


def __getattr__(name: str) -> Any:
    """`app`, the program with every verb, when somebody asks for it."""
    if name == "app":
        return program(VERBS)
    raise AttributeError(f"module 'vutrace.cli' has no attribute '{name}'")


def main() -> NoReturn:
    """Run the verb; every error the user can mend is one line on stderr and an exit status."""
    output.prepare()
    try:
        with output.flush_at_end():
            program(wanted(sys.argv[1:]))()
    except SystemExit as end:
        # The reader of our output has gone (| head): typer makes that 1, which is an answer here.
        if isinstance(end.__context__, BrokenPipeError):
            end_unread()
        if output.ENDS_WITH and end.code in (None, 0, 1):
            sys.exit(output.ENDS_WITH[0])
        raise
    except BrokenPipeError as error:
        if error.filename is not None:
            raise
        end_unread()
    except KeyboardInterrupt:
        sys.exit(interrupts.STATUS)
    except Exception as error:
        if interrupts.caused(error):
            sys.exit(interrupts.STATUS)
        line, status = errors.explain(error)
        output.give_up()
        lines = line.split("\n") if isinstance(error, VutraceError) and error.several_lines else [line]
        output.note(lines[0])
        for more in lines[1:]:
            output.tell(more)
        sys.exit(status)
    sys.exit(max(output.ENDS_WITH, default=0))


def end_unread() -> NoReturn:
    """End as a program ends whose output nobody reads."""
    output.give_up()
    sys.exit(128 + signal.SIGPIPE)
