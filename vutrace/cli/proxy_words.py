"""What the words of `vutrace proxy` mean: endpoints, sizes, times; UsageError where they mean nothing."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from vutrace.cli.errors import UsageError
from vutrace.cli.output import note

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vutrace.records import Side
    from vutrace.sockets.endpoints import Endpoint

PACKETS_WARNING = "--payload: the capture holds what the guest sends and receives; share it with that in mind"
REQUESTS_WARNING = (
    "--payload: the capture holds which {} the guest asked for, and when; share it with that in mind"
)
PAYLOADS = {
    "net": PACKETS_WARNING,
    "blk": REQUESTS_WARNING.format("sectors"),
    "fs": REQUESTS_WARNING.format("files (by number)"),
    "vsock": PACKETS_WARNING,
}
UNITS = {"ms": 1e-3, "s": 1.0}
LEAST_SNAPLEN, MOST_SNAPLEN = 14, 65535
LEAST_INTERVAL, MOST_INTERVAL = 0.01, 60.0


def parse_listener(text: str) -> "Side | None":
    from vutrace.records import Side

    if text not in ("", *Side):
        raise UsageError(f"--listener {text}: frontend or backend is needed")
    return Side(text) if text else None


def parse_pairs(texts: "Sequence[str]", words: int, enough: bool) -> "list[tuple[Endpoint, Endpoint]]":
    from vutrace.sockets.endpoints import How, parse_endpoint

    if not texts and not words and enough:
        return []
    # --also only stands between the pairs, so that each may be written as the first one is.
    if len(texts) % 2 or len(texts) // 2 not in {max(words, 1), words + 1}:
        raise UsageError(
            "a FRONTEND and a BACKEND are needed, and --also before every further two; or --insert SOCKET"
        )
    try:
        fronts = [parse_endpoint(text, How.LISTEN) for text in texts[0::2]]
        backs = [parse_endpoint(text, How.CONNECT) for text in texts[1::2]]
    except ValueError as error:
        raise UsageError(str(error)) from None
    refuse_circles(fronts + backs)
    return list(zip(fronts, backs, strict=True))


def refuse_circles(endpoints: "list[Endpoint]") -> None:
    listening = {place(end) for end in endpoints if end.how == "listen"}
    for end in endpoints:
        if end.how == "connect" and place(end) in listening:
            raise UsageError(f"{end.path} is both listened on and connected to: vutrace would talk to itself")


def place(end: "Endpoint") -> str:
    from vutrace.sockets.address import is_abstract

    return end.path if is_abstract(end.path) else os.path.realpath(end.path)


def refuse_unfollowed(write: str, quiet: bool) -> None:
    from vutrace.capture.target import is_regular

    if write not in ("", "-") and not quiet and not is_regular(write):
        raise UsageError(f"-w {write}: no regular file, from which rows could be read, too; add -q")


def refuse_unknown(device: str, files: list[str] | None) -> None:
    if device or files:  # who names neither does not wait for the dissectors
        from vutrace.cli.reading import load_dissectors

        registry = load_dissectors([Path(file) for file in files or ()])
        if device:
            registry.device(device)


def parse_size(option: str, text: str, least: int) -> int:
    """Bytes, from a number with K, M or G behind it."""
    number, unit = (text[:-1], text[-1:].upper()) if text[-1:].isalpha() else (text, "")
    shift = {"": 0, "K": 10, "M": 20, "G": 30}.get(unit, -1)
    size = int(number) << shift if number.isdecimal() and shift >= 0 else -1
    if size < least:
        raise UsageError(f"{option} {text}: a size is needed, {least >> 20}M or more")
    return size


def parse_mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise UsageError(f"--socket-mode {text}: an octal mode such as 660 is needed")
    return mode


def parse_count(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or not int(text):
        raise UsageError(f"-c {text}: a number of messages is needed, 1 or more")
    return int(text)


def parse_duration(text: str) -> float | None:
    if not text:
        return None
    word, colon, number = text.partition(":")
    if not colon:
        number = word
    elif word != "duration":
        raise UsageError(f"-a {text}: a number of seconds is needed, as in -a 10 or -a duration:10")
    return parse_seconds("-a", number, text)


def parse_payload(payload: str, snaplen: str, write: str) -> tuple[str, int]:
    """What is kept of what goes through rings, "" for nothing, and bytes of each packet."""
    if not payload:
        return "", 0
    if payload not in PAYLOADS:
        raise UsageError(f"--payload {payload}: {one_of(PAYLOADS)} is what it can be")
    if not write:
        raise UsageError("--payload is for a capture that is kept: add -w FILE")
    if not snaplen.isdecimal() or not LEAST_SNAPLEN <= int(snaplen) <= MOST_SNAPLEN:
        raise UsageError(f"--snaplen {snaplen}: a number of bytes from 14 to 65535 is needed")
    note(PAYLOADS[payload])
    return payload, int(snaplen)


def one_of(words: "Iterable[str]") -> str:
    """Words of which one is meant."""
    *others, last = words
    return f"{', '.join(others)} or {last}"


def parse_interval(option: str, text: str) -> float:
    """Seconds, from a number with ms or s behind it."""
    unit = next((unit for unit in UNITS if text.endswith(unit)), "")
    try:
        seconds = float(text.removesuffix(unit)) * UNITS.get(unit, 0.0)
    except ValueError:
        seconds = 0.0
    if not LEAST_INTERVAL <= seconds <= MOST_INTERVAL:
        raise UsageError(f"{option} {text}: a time between 10ms and 60s is needed, such as 100ms")
    return seconds


def parse_seconds(option: str, number: str, text: str) -> float:
    try:
        seconds = float(number)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise UsageError(f"{option} {text}: a number of seconds is needed")
    return seconds
