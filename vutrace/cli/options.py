"""The parameters that several verbs share, each spelled once; see the verbs for the others."""

from pathlib import Path
from typing import Annotated

import typer

from vutrace.proxy.options import DEVICE
from vutrace.records import Channel, Side
from vutrace.views.colour import When

TIME = (
    "The time column: r, seconds since the first record; d, since the record before; dd, since the row "
    "before; a, the time of day; ad, date and time; u and ud, the same in UTC; e, seconds since 1970."
)
CaptureFile = Annotated[
    str | None, typer.Argument(metavar="FILE", help="A capture; - is stdin.", show_default=False)
]
ReadFile = Annotated[
    str | None,
    typer.Option("-r", "--read", metavar="FILE", help="Same as FILE, as in tshark.", show_default=False),
]
Output = Annotated[str, typer.Option("-o", "--output", metavar="OUT", help="Output file; - is stdout.")]
Device = Annotated[str, typer.Option(DEVICE.call, metavar=DEVICE.metavar, help=DEVICE.help)]
Dissectors = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE.py", help="A dissector to load; may be repeated.", show_default=False),
]
Color = Annotated[When, typer.Option(help="Colour; NO_COLOR is honoured.")]
Width = Annotated[
    int | None,
    typer.Option(min=20, metavar="N", help="Columns; default: the terminal's.", show_default=False),
]
Secrets = Annotated[bool, typer.Option("--secrets", help="Show keys and host pointers too.")]

# What is let through.
DisplayFilter = Annotated[
    str, typer.Option("-Y", metavar="FILTER", help="Only what matches this Wireshark display filter.")
]
PlainFilter = Annotated[
    str,
    typer.Option(
        "--filter",
        metavar="MATCH",
        help="Only what matches, in the syntax of rules: 'SET_VRING_KICK ring=1'.",
    ),
]
Messages = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Only this message; may be repeated.", show_default=False),
]
OneRing = Annotated[
    str, typer.Option(metavar="N|NAME", help="Only this ring: its index, or a name such as rx0.")
]
TimeStyle = Annotated[str, typer.Option("-t", "--time", metavar="STYLE", help=TIME)]
Tree = Annotated[bool, typer.Option("-V", "--tree", help="Print every field of each message.")]
Hex = Annotated[bool, typer.Option("-x", "--hex", help="Print the bytes of each message.")]
Fold = Annotated[
    bool | None,
    typer.Option(
        "--fold/--no-fold",
        help="A request and its plain ok are one row: usual for rows that are shown as they come.",
        show_default=False,
    ),
]
OneChannel = Annotated[Channel | None, typer.Option(help="Only this socket.", show_default=False)]
Sender = Annotated[
    Side | None, typer.Option("--from", help="Only messages from this side.", show_default=False)
]
