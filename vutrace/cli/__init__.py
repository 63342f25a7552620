"""The command line: one file per verb, wiring only. Verbs import what they need when they run."""

import signal
import sys
from typing import NoReturn

import typer

from vutrace.cli import demo, diff, export, list_, proxy, queues, replay, show, timeline, wireshark
from vutrace.cli import explain as explain_verb
from vutrace.cli.errors import explain
from vutrace.cli.quick import QuickCommand, QuickGroup

EPILOG = (
    "Exit status: 0 fine, 1 the answer is no (verbs that judge), 2 usage, 3 input unreadable, "
    "4 socket or peer error, 130/143 on a signal, always with a whole capture."
)

app = typer.Typer(
    cls=QuickGroup,
    help="Trace, dissect and draw vhost-user.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("proxy", cls=QuickCommand)(proxy.proxy)
app.command("show")(show.show)
app.command("timeline")(timeline.timeline)
app.command("queues")(queues.queues)
app.command("replay")(replay.replay)
app.command("diff")(diff.diff)
app.command("explain", context_settings={"ignore_unknown_options": True})(explain_verb.explain)
app.command("export")(export.export)
app.add_typer(list_.app, name="list")
app.add_typer(wireshark.app, name="wireshark")


def main() -> NoReturn:
    """Run the verb; every error the user can mend is one line on stderr and an exit status."""
    try:
        app()
    except SystemExit as end:
        # The reader of our output has gone (| head): typer makes that 1, which is an answer here.
        if isinstance(end.__context__, BrokenPipeError):
            sys.exit(128 + signal.SIGPIPE)
        raise
    except Exception as error:
        line, status = explain(error)
        print(f"vutrace: {line}", file=sys.stderr)
        sys.exit(status)
    sys.exit(0)
