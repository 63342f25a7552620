"""Commands that take their values as the texts they are, and so start in half the time.

typer 0.26 and later have pydantic convert all values, whose import alone takes as long as the relay may take
until it listens. Other versions do not have what is replaced here, and lose nothing.
"""

from typing import Any

from typer.core import TyperCommand, TyperGroup

from vutrace.cli import interrupts


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


class QuickGroup(TyperGroup):
    """For a program without options of its own but --help."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that is to run; Ctrl-C is its own matter from now on."""
        found = super().resolve_command(ctx, args)
        if not isinstance(found[1], QuickCommand):
            interrupts.begin()
        return found

    def get_params(self, ctx: Any) -> list[Any]:
        """The same parameters, unconverted."""
        return unconverted(super().get_params(ctx))
