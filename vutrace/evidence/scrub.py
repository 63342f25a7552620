"""A capture that can be given away: what is private in it is replaced, the rest tells the same story."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.dissection.dissector import Dissector
from vutrace.dissection.registry import Registry
from vutrace.evidence.replacements import Private, Replaced, Replacements
from vutrace.evidence.scrub_bytes import PayloadScrubber
from vutrace.evidence.scrub_text import TextScrubber
from vutrace.records import Connection, Event, FdInfo, Frame, Record
from vutrace.session.tracker import Tracker

Item = Connection | Record
COMMAND, NAME = "_command", "_name"


class Scrubber:
    """Replaces what is private; the same in all captures that one scrubber is given."""

    def __init__(self, registry: Registry, keep: Collection[Private] = ()) -> None:
        self._registry = registry
        self._dissect = Dissector(registry.messages)
        self._replacements = Replacements(keep)
        self._texts = TextScrubber(self._replacements, registry.devices)
        self._payloads = PayloadScrubber(self._replacements)

    def scrub(self, items: Sequence[Item], device: str = "") -> Iterator[Item]:
        """The items, scrubbed; `device` is the user's word on what was traced."""
        self._look(items)
        devices = devices_of(items, Tracker(self._registry, device))
        for item, known in zip(items, devices, strict=True):
            if isinstance(item, Connection):
                ends = self._texts.endpoint(item.frontend), self._texts.endpoint(item.backend)
                yield Connection(item.number, *ends)
            elif isinstance(item, Event):
                yield self._event(item)
            else:
                yield self._frame(item, known)

    def replaced(self) -> list[Replaced]:
        """The list of what was replaced."""
        return self._replacements.replaced()

    def _look(self, items: Iterable[Item]) -> None:
        """What has to be known before the first word is replaced: paths and names, whose guest addresses."""
        for item in items:
            if isinstance(item, Connection):
                self._texts.endpoint(item.frontend)
                self._texts.endpoint(item.backend)
            elif isinstance(item, Event):
                self._attributes(item)
            else:
                self._payloads.note(self._dissect(item))
        self._replacements.count_anew()

    def _event(self, event: Event) -> Event:
        return replace(event, text=self._texts.plain(event.text), attributes=self._attributes(event))

    def _attributes(self, event: Event) -> dict[str, str]:
        return {name: self._attribute(name, text) for name, text in event.attributes.items()}

    def _attribute(self, name: str, text: str) -> str:
        if name.endswith(COMMAND):
            return self._texts.command(text)
        return self._texts.name(text) if name.endswith(NAME) else self._texts.plain(text)

    def _frame(self, frame: Frame, device: Device) -> Frame:
        message = self._dissect(frame)
        acted = frame.acted
        if acted and acted.data:
            came = replace(frame, data=acted.data, fds=acted.fds, wire_size=acted.wire_size, acted=None)
            made = self._frame(came, device)
            acted = replace(acted, data=made.data, fds=made.fds)
        data = self._payloads.scrub(message, device)
        return replace(frame, data=data, fds=tuple(map(self._fd, frame.fds)), acted=acted)

    def _fd(self, info: FdInfo) -> FdInfo:
        return replace(info, name=self._texts.file(info.name)) if info.name else info


def devices_of(items: Iterable[Item], tracker: Tracker) -> list[Device]:
    """The device that each item is about, as far as the whole capture tells."""
    numbers, last = list[int](), dict[int, Device]()
    for item in items:
        numbers.append(item.number if isinstance(item, Connection) else item.connection)
        for row in tracker.rows([item]):
            if (device := row.state.context.device) is not UNKNOWN_DEVICE:
                last[row.connection] = device
    return [last.get(number, UNKNOWN_DEVICE) for number in numbers]


def remaining(replaced: Iterable[Replaced], data: bytes, shortest: int = 6) -> list[Replaced]:
    """What was replaced and still stands somewhere in `data`, in whatever encoding."""
    return [
        each
        for each in replaced
        if any(form in data for form in encodings(each.was) if len(form) >= shortest)
    ]


def encodings(value: str | bytes | int) -> Iterator[bytes]:
    """A value as it may stand in bytes: as it is, as text in several encodings, as hex, in either order."""
    plain = [value] if isinstance(value, bytes) else []
    if isinstance(value, int):
        plain = [
            value.to_bytes(8, "little"),
            value.to_bytes(8, "big"),
            f"{value:x}".encode(),
            str(value).encode(),
        ]
    if isinstance(value, str):
        plain = [value.encode("utf-8", "surrogateescape")]
        plain += [value.encode(name, "replace") for name in ("utf-16-le", "utf-16-be")]
    for form in plain:
        yield form
        yield form.hex().encode()
        yield form.hex().upper().encode()
        yield form.hex(":").encode()
