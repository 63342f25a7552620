"""What `proxy` and `run` are told in the same words: how the relay records, what it looks at, what acts."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vutrace.cli.proxy_words import (
    parse_interval,
    parse_payload,
    parse_seconds,
    parse_size,
    refuse_unknown,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vutrace.proxy.taps import Taps

USUAL_INTERVAL = "100ms"
LEAST_BUFFER, LEAST_SPOOL = 64 << 20, 1 << 20


class WhenFull(StrEnum):
    """What happens when more comes than can be recorded."""

    COUNT = "count"
    WAIT = "wait"


Stall = Annotated[str, typer.Option(metavar="S", help="Report a reply that is S seconds late; 0: never.")]
Payload = Annotated[
    str,
    typer.Option(
        metavar="net|blk|fs|vsock",
        help="Keep what goes through the rings of such a device, too: the first bytes of frames and "
        "packets, the headers of requests. It samples; and it is what the guest does.",
    ),
]
Snaplen = Annotated[str, typer.Option(metavar="N", help="Bytes of each packet to keep with --payload.")]
Sampled = Annotated[
    str,
    typer.Option(
        "--rings",
        metavar="TIME",
        help="Sample every ring in guest memory at this interval (100ms, 1s). Read-only.",
    ),
]
CountKicks = Annotated[
    bool,
    typer.Option(
        "--count-kicks",
        help="Count and time every kick and call. Eventfds are replaced; each takes some 30 µs longer.",
    ),
]
DissectorFiles = Annotated[
    list[str] | None,
    typer.Option(metavar="FILE.py", help="A dissector to load; may be repeated.", show_default=False),
]
Rule = Annotated[
    list[str] | None,
    typer.Option(metavar="'MATCH : ACTION'", help="Act on messages; may be repeated.", show_default=False),
]
RuleFiles = Annotated[
    list[str] | None,
    typer.Option(metavar="FILE", help="A file of rules, one per line; may be repeated.", show_default=False),
]
Scripts = Annotated[
    list[str] | None,
    typer.Option(
        "-s", "--script", metavar="FILE.py", help="A Python script that acts on messages.", show_default=False
    ),
]
MaskFeatures = Annotated[
    str, typer.Option(metavar="-NAME,...", help="Remove virtio features from every offer.")
]
MaskProtocol = Annotated[
    str, typer.Option(metavar="-NAME,...", help="Remove protocol features from every offer.")
]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed for random delays of rules.")]
Buffer = Annotated[
    str, typer.Option(metavar="SIZE", help="Memory for messages that are not recorded yet: 512M, 1G, ...")
]
Full = Annotated[
    WhenFull, typer.Option(help="When --buffer is full: count what is lost, or make the senders wait.")
]
Spool = Annotated[
    str, typer.Option(metavar="SIZE", help="Disk space for rows that are not shown yet, without -w.")
]


@dataclass(frozen=True, slots=True)
class ActingWords:
    """The rules, scripts and masks that were asked for."""

    rule: "Sequence[str] | None" = None
    rules: "Sequence[str] | None" = None
    scripts: "Sequence[str] | None" = None
    mask_features: str = ""
    mask_protocol: str = ""
    intercept: str = ""
    seed: int = 0

    def launch(self, device: str, dissectors: "Sequence[str]") -> "Taps | None":
        """The process of the taps, if anything acts; RuleError, TapError."""
        lists = {"rule": self.rule, "rules": self.rules, "scripts": self.scripts}
        masks = {"mask_features": self.mask_features, "mask_protocol": self.mask_protocol}
        acting = {**{name: list(each or ()) for name, each in lists.items()}, **masks}
        if not any(acting.values()) and not self.intercept:
            return None
        from vutrace.tap.launch import launch

        others = {"intercept": self.intercept, "device": device, "seed": str(self.seed)}
        return launch({**acting, **others, "dissectors": list(dissectors)})


@dataclass(frozen=True, slots=True)
class RelayWords:
    """How the relay records, as it was typed."""

    write: str = ""
    stall: str = "1"
    rings: str = ""
    payload: str = ""
    snaplen: str = "96"
    buffer: str = "256M"
    when_full: WhenFull = WhenFull.COUNT
    spool: str = "1G"
    count_kicks: bool = False
    device: str = ""
    dissectors: "Sequence[str]" = ()
    acting: ActingWords = field(default_factory=ActingWords)

    def settings(self) -> dict[str, Any]:
        """Fields of the relay's `Options`; UsageError. Nothing is started."""
        kept = parse_payload(self.payload, self.snaplen, self.write)
        rings = self.rings or (USUAL_INTERVAL if self.payload or self.count_kicks else "")
        settings = {
            "write": "" if self.write == "-" else self.write,
            "stall": parse_seconds("--stall", self.stall, self.stall),
            "rings": parse_interval("--rings", rings) if rings else 0.0,
            "payload": kept,
            "count_kicks": self.count_kicks,
            "buffer": parse_size("--buffer", self.buffer, LEAST_BUFFER),
            "spool": parse_size("--spool", self.spool, LEAST_SPOOL),
            "full_waits": self.when_full == WhenFull.WAIT,
            "device": self.device,
            "dissectors": self.dissectors,
        }
        refuse_unknown(self.device, list(self.dissectors))
        return settings

    def taps(self) -> "Taps | None":
        """What acts, if anything does."""
        return self.acting.launch(self.device, self.dissectors)
