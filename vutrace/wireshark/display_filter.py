"""Wireshark's display filters, evaluated by tshark with the generated plug-in; through pyshark where that is.

A plug-in that is installed for Wireshark already is the one that is used: two cannot be loaded.
"""

import asyncio
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vutrace.capture import CaptureError, section_block
from vutrace.capture.temporary import directory, temporary
from vutrace.dissection.registry import Registry
from vutrace.errors import USAGE, VutraceError
from vutrace.wireshark import tshark
from vutrace.wireshark.findings import with_findings
from vutrace.wireshark.names import PROTOCOL
from vutrace.wireshark.plugin import FILE_NAME, plugin
from vutrace.wireshark.tshark import ToolMissingError

NO_LUA = (
    "this tshark loads no Lua plug-in, so that it does not know vhost_user"
    " (Wireshark 4.4 and later load none as root, where there is no other user, either)"
)
# The least that tshark can be made to write of a packet. (pyshark 0.6 loses packets of summaries.)
FRAME_ONLY = ["-J", "frame"]
NUMBER_ONLY = ["-T", "fields", "-e", "frame.number"]
TWO_PASSES = ["-2"]
DEVICE = f"{PROTOCOL}.device"  # a preference
ENDED = "tshark ended with {}"
KNOWN_LATER = "response_in"  # at a request, only when its reply was read
FINDING = f"{PROTOCOL}.finding"
JUDGED = "judged.pcapng"
EMPTY = "empty.pcapng"  # beside the plug-in
CUT = "cut short in the middle of a packet"  # what vutrace itself says of the file


class FilterError(VutraceError):
    """tshark refuses a display filter; the text is its reason, with a caret where it tells where."""

    status = USAGE
    several_lines = True


def matching(capture: Path | str, display_filter: str, registry: Registry, device: str = "") -> set[int]:
    """The frame numbers (from 1, packets that are not vutrace's counted) that a filter lets through.

    Raises FilterError for a wrong filter, ToolMissingError where tshark is missing, OSError or
    CaptureError for a file that cannot be read; one that is cut is read as far as it goes.
    """
    with plugin_file(registry) as script, open(capture, "rb"):
        check(display_filter, script)
        asked = str(capture)
        if FINDING in display_filter:
            asked = judged(asked, script.parent, registry, device)
        try:
            return set(numbers(asked, display_filter, script, device))
        except CaptureError as error:
            said = tshark.of_file(str(error), asked)
            raise CaptureError(said.replace(asked, str(capture))) from None


@contextmanager
def plugin_file(registry: Registry) -> Iterator[Path]:
    """The generated plug-in in a file of its own, and beside it a capture without a packet."""
    with directory() as folder:
        path = Path(folder) / FILE_NAME
        with temporary():
            path.write_text(plugin(registry), encoding="utf-8")
            path.with_name(EMPTY).write_bytes(section_block())
        yield path


def judged(capture: Path | str, folder: Path, registry: Registry, device: str) -> str:
    """The path of a copy that has what the rules find in it: the plug-in shows that, and judges nothing."""
    path = folder / JUDGED
    with temporary(), path.open("wb") as file:
        file.writelines(with_findings(capture, registry, device))
    return str(path)


def check(display_filter: str, script: Path) -> None:
    """Have tshark compile the filter, before an empty capture; FilterError when it cannot."""
    ran = compiled(display_filter, script)
    if ran.status and PROTOCOL in display_filter and compiled(PROTOCOL, script).status:
        raise ToolMissingError(NO_LUA)
    if ran.status:
        raise FilterError(reason(ran.errors, display_filter))


def compiled(display_filter: str, script: Path) -> tshark.Ran:
    """What tshark makes of a filter."""
    empty = str(script.with_name(EMPTY))
    return tshark.run(["-n", "-X", f"lua_script:{script}", "-r", empty, "-Y", display_filter])


def reason(errors: str, display_filter: str) -> str:
    """What tshark said; it draws a caret below the filter where it knows the place."""
    said = errors.removeprefix("tshark: ").strip() or "tshark refuses it without a reason"
    return f"-Y {display_filter}: {said}" if "\n" not in said else f"-Y: {said}"


def numbers(capture: str, display_filter: str, script: Path, device: str) -> Iterator[int]:
    """The numbers of the frames that match; CaptureError for what is none."""
    passes = TWO_PASSES if KNOWN_LATER in display_filter else []
    given = ["-X", f"lua_script:{script}", *passes]
    if reader := file_capture():
        return read_by_pyshark(reader, capture, display_filter, given, script.parent, device)
    named = ["-o", f"{DEVICE}:{device}"] if device else []
    return read_by_tshark(["-n", *given, *named, "-r", capture, "-Y", display_filter])


def read_by_tshark(arguments: list[str]) -> Iterator[int]:
    """The numbers as tshark prints them."""
    ran = tshark.run([*arguments, *NUMBER_ONLY])
    yield from map(int, ran.output.split())
    if ran.status and CUT not in ran.errors:
        raise CaptureError(ran.errors.rpartition("\n")[2] or ENDED.format(ran.status))


def read_by_pyshark(
    reader: Any, capture: str, display_filter: str, given: list[str], folder: Path, device: str
) -> Iterator[int]:
    """The numbers as pyshark reads them from tshark, which is made a program in `folder`."""
    loop = asyncio.new_event_loop()
    try:
        packets = reader(
            capture,
            display_filter=display_filter,
            keep_packets=False,
            eventloop=loop,
            override_prefs={DEVICE: device} if device else None,
            custom_parameters=[*given, *FRAME_ONLY],
            tshark_path=str(tshark.script(folder)),
        )
        with packets:
            yield from (int(packet.number) for packet in packets)
        if packets.status and CUT not in packets.last_words:
            raise CaptureError(packets.last_words)
    finally:
        loop.close()


def file_capture() -> Any:
    """pyshark's reader of files, None where there is no pyshark that works."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses what later versions of Python are to lose
        try:
            from pyshark import FileCapture
        except (ImportError, AttributeError):
            return None

    class PatientCapture(FileCapture):  # type: ignore[misc]  # pyshark has no types
        """Lets tshark end by itself: pyshark 0.6 kills it, and takes one that ends just then for crashed."""

        status = 0

        @property
        def last_words(self) -> str:
            """The last line that tshark wrote on stderr."""
            return self._last_error_line or ENDED.format(self.status)

        async def _cleanup_subprocess(self, process: asyncio.subprocess.Process) -> None:
            if self._eof_reached:
                self.status = await process.wait()
            else:
                await super()._cleanup_subprocess(process)

    return PatientCapture
