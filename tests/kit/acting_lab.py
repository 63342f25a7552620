"""A relay with rules, and two peers that talk through it."""

from pathlib import Path

from kit.proxy_lab import Lab
from vutrace.tap.launch import launch


class ActingLab(Lab):
    """A lab whose relay has rules; `never` are those that never matched, once it has stopped."""

    def __init__(
        self,
        place: Path,
        *rules: str,
        listen: bool = True,
        stall: float = 1.0,
        **wanted: object,
    ) -> None:
        taps = launch({"rule": list(rules), **wanted})  # type: ignore[dict-item]
        self.never: list[str] = []
        close = taps.close

        def noting() -> list[str]:
            self.never = close()
            return self.never

        taps.close = noting  # type: ignore[method-assign]
        super().__init__(place, listen=listen, taps=taps, stall=stall)
