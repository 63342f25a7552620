"""The options of `show` that `proxy` takes for its rows: checked here, handed on to the viewer."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vutrace.cli.errors import UsageError


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """How the rows of a live session are shown, as texts and flags."""

    tree: bool = False
    dump: bool = False
    json: bool = False
    fold: bool | None = None
    time: str = "r"
    messages: tuple[str, ...] = ()
    ring: str = ""
    filter_: str = ""
    color: str = "auto"

    def words(self) -> Iterator[str]:
        """The options as `show` takes them."""
        flags = {"-V": self.tree, "-x": self.dump, "--json": self.json}
        yield from (flag for flag, given in flags.items() if given)
        if self.fold is not None:
            yield "--fold" if self.fold else "--no-fold"
        values = {"-t": ("r", self.time), "--ring": ("", self.ring), "--filter": ("", self.filter_)}
        values["--color"] = ("auto", self.color)
        for option, (usual, value) in values.items():
            if value != usual:
                yield from (option, value)
        for name in self.messages:
            yield from ("--message", name)

    def check(self, quiet: bool, board: bool, dissectors: list[str]) -> None:
        """UsageError for what makes no sense, or not together."""
        of_rows = ViewOptions(color=self.color) != self
        if of_rows and (quiet or board):
            why = "nothing is shown" if quiet else "--board shows rings, not rows"
            raise UsageError(f"{why}: nothing that chooses or formats rows goes with it")
        if self.json and (self.tree or self.dump):
            raise UsageError("-V and -x are for rows: JSON has everything in it")
        if self.fold and (self.tree or self.dump or self.json):
            raise UsageError("--fold is for rows alone: JSON, -V and -x have every message")
        if self.color not in ("auto", "always", "never"):
            raise UsageError(f"--color {self.color}: auto, always or never is needed")
        if self.time != "r" or self.messages or self.filter_:  # who names none does not wait for these
            self._look_up(dissectors)

    def _look_up(self, dissectors: list[str]) -> None:
        from vutrace.cli.filtering import row_filter
        from vutrace.cli.reading import load_dissectors
        from vutrace.views.times import STYLES

        if self.time not in STYLES:
            raise UsageError(f"-t {self.time}: one of {', '.join(STYLES)} is needed")
        registry = load_dissectors([Path(each) for each in dissectors])
        row_filter(registry, list(self.messages), self.ring, text=self.filter_)
