"""`vutrace explain`: only wiring. What is said is in `vutrace.views.explain`."""

import sys
from typing import Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import Dissectors
from vutrace.cli.output import say

EXAMPLES = """Examples:

\b
  vutrace explain SET_VRING_CALL                       a message by name, or 13 by number
  vutrace explain REPLY_ACK                            a feature bit
  vutrace explain --device net 0x950448000             a mask, bit by bit
  vutrace explain status 0xf                           a device status
  vutrace explain bit 21                               a bit by its number
  vutrace explain fs                                   a device: its bits, configuration space and rings
  vutrace explain ring.kick-before-addr                a rule of vutrace check
  vutrace explain 'Read -1 instead of 12. Original request 40'
  vutrace explain -r start.pcapng                      where it first went wrong
  journalctl -u vm | vutrace explain - -r vm.pcapng    the errors of a log, and the capture with them
"""


def explain(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WHAT", help="Name, number, mask or error text; - is stdin.", show_default=False
        ),
    ] = None,
    read: Annotated[
        str | None,
        typer.Option(
            "-r",
            "--read",
            metavar="FILE",
            help="Report where the specification was broken.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="The traced device, for its feature bits.")
    ] = "",
    dissector: Dissectors = None,
) -> None:
    """Explain a message, a feature bit, a mask, a status, a device or an error text."""
    from vutrace.cli.reading import judged, load_dissectors, open_capture, rows_of
    from vutrace.views.explain.answer import Explainer, Explanation
    from vutrace.views.explain.capture import look, report

    text = sys.stdin.read() if what == ["-"] else " ".join(what or [])
    if not text.strip() and read is None:
        raise UsageError("what shall be explained? a name, a number, a mask, an error text, or -r FILE")
    registry = load_dissectors(dissector)
    explainer = Explainer(registry, device)
    answer = explainer.answer(text) if text.strip() else Explanation([])
    if text.strip() and not answer.lines and read is None:
        like = explainer.like(text)
        raise UsageError(
            f"nothing is known of '{text[:60]}'" + (f"; like it: {', '.join(like)}" if like else "")
        )
    lines = answer.lines
    if read is not None:
        rows = judged(rows_of(read, open_capture(read, False, None), registry, device))
        found = look(rows, answer.messages)
        lines = [*lines, *([""] if lines else []), *report(read, found, answer.messages)]
    say(lines)


explain.__doc__ = f"{explain.__doc__}\n\n{EXAMPLES}"
