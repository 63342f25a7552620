"""`vutrace list`: the tables that everything else is derived from."""

import typer

app = typer.Typer(help="Messages, feature bits, devices, dissectors and fields.", no_args_is_help=True)
