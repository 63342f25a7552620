"""The command line: one file per verb, wiring only. Verbs import what they need when they run."""

import signal
import sys
from typing import Annotated, NoReturn

import typer

from vutrace import __version__
from vutrace.cli import (
    attach,
    check,
    conform,
    coverage,
    demo,
    diff,
    export,
    help_,
    import_,
    inserting,
    interrupts,
    list_,
    minimise,
    output,
    peer,
    proxy,
    queues,
    replay,
    rings,
    run,
    scrub,
    show,
    stats,
    timeline,
    wireshark,
)
from vutrace.cli import explain as explain_verb
from vutrace.cli.errors import explain
from vutrace.cli.quick import QuickCommand, QuickGroup
from vutrace.errors import VutraceError

EPILOG = (
    "Exit status: 0 fine, 1 the answer is no (verbs that judge), 2 usage, 3 input unreadable, "
    "4 socket or peer error, 130/143 on a signal, always with a whole capture."
)

app = typer.Typer(
    cls=QuickGroup,
    help="Trace, dissect and draw vhost-user.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def print_version(asked: bool) -> None:
    """The answer to --version."""
    if asked:
        typer.echo(f"vutrace {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=print_version, is_eager=True),
    ] = False,
) -> None:
    """Trace, dissect and draw vhost-user."""


app.command("demo", short_help="See vutrace at work: model ends, real sockets.")(demo.demo)
app.command("proxy", cls=QuickCommand, short_help="Between the two ends: forward, record, show.")(proxy.proxy)
app.add_typer(peer.app, name="peer", short_help="One end played by a model, against a program of yours.")
app.command("restore", short_help="Give a socket its place back, after a proxy that was killed.")(
    inserting.restore
)
app.command(
    "run",
    cls=QuickCommand,
    short_help="Start a program with its vhost-user sockets through vutrace.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)(run.run)
app.command("show", short_help="One row per message of a capture.")(show.show)
app.command("timeline", short_help="Phases with their loops, and each ring's states.")(timeline.timeline)
app.command("queues", short_help="The state of every ring, and why.")(queues.queues)
app.command("rings", short_help="What moves in the rings of a running session, at once.")(rings.rings)
app.command("stats", short_help="Counts, sizes, and how long the answers took.")(stats.stats)
app.command("replay", short_help="A capture at its pace, or acted out against a live peer.")(replay.replay)
app.command("diff", short_help="Compare two captures by meaning.")(diff.diff)
app.command("check", short_help="What is wrong, and what became of each session.")(check.check)
app.add_typer(conform.app, name="conform", short_help="Put a back-end or a front-end to the spec.")
app.command(
    "explain",
    short_help="What a message, a bit, a mask, a device, a rule or an error text means.",
    context_settings={"ignore_unknown_options": True},
)(explain_verb.explain)
app.command("attach", short_help="What a running program says on its sockets, by strace.")(attach.attach)
app.command("scrub", short_help="A capture without what is private, to be given away.")(scrub.scrub)
app.command("minimise", short_help="The fewest messages after which a peer still fails.")(minimise.minimise)
app.command("coverage", short_help="What of the spec captures exercised, and what not.")(coverage.coverage)
app.command("import", short_help="A capture of what strace, QEMU, DPDK and others recorded.")(import_.import_)
app.command("export", short_help="Write a capture for stock Wireshark, as JSON or CSV.")(export.export)
app.add_typer(list_.app, name="list", short_help="Messages, features, devices, dissectors, fields, rules.")
app.command("help", short_help="What a verb does, as its --help.")(help_.help_)
app.add_typer(wireshark.app, name="wireshark", short_help="The Wireshark plug-in, and live capture from it.")


def main() -> NoReturn:
    """Run the verb; every error the user can mend is one line on stderr and an exit status."""
    output.prepare()
    try:
        with output.flush_at_end():
            app()
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
        line, status = explain(error)
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
