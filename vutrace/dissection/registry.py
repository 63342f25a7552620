"""Finds the device dissectors: installed plug-ins, and files named on the command line.

Our own dissectors come through the same entry points as anyone's. A plug-in that does not load is a
`Failure`, never an exception.
"""

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from vutrace.dissection.device import Device
from vutrace.dissection.soundness import checked
from vutrace.errors import USAGE, VutraceError
from vutrace.protocol.spec import Table
from vutrace.records import Channel

GROUP = "vutrace.dissectors"


class DissectorError(VutraceError):
    """A dissector the user asked for cannot be had; the text says why."""

    status = USAGE


@dataclass(frozen=True, slots=True)
class Plugin:
    """A device dissector and where it came from."""

    device: Device
    origin: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A plug-in that did not load."""

    name: str
    origin: str
    reason: str


@dataclass(frozen=True, slots=True)
class Registry:
    """The plug-ins at hand, by device name; of two with one name the later wins, the other is `shadowed`."""

    plugins: Mapping[str, Plugin]
    failures: tuple[Failure, ...] = ()
    shadowed: tuple[Plugin, ...] = ()

    @property
    def devices(self) -> list[Device]:
        """Every device, in the order of loading."""
        return [plugin.device for plugin in self.plugins.values()]

    def device(self, name: str) -> Device:
        """The device called `name`; DissectorError names those there are."""
        if name not in self.plugins:
            known = ", ".join(sorted(self.plugins)) or "none"
            raise DissectorError(f"no dissector for device '{name}'; installed: {known}")
        return self.plugins[name].device

    @property
    def messages(self) -> dict[Channel, Table]:
        """All vendor messages, by channel."""
        return {
            channel: {
                number: spec
                for device in self.devices
                for number, spec in device.messages.get(channel, {}).items()
            }
            for channel in Channel
        }


def load(files: Iterable[Path] = ()) -> Registry:
    """Every installed plug-in, then those in `files`; DissectorError when a file is no dissector."""
    found = list(installed())
    loaded = [each for each in found if isinstance(each, Plugin)]
    loaded += [plugin for path in files for plugin in from_file(path)]
    plugins = {plugin.device.name: plugin for plugin in loaded}
    shadowed = tuple(plugin for plugin in loaded if plugins[plugin.device.name] is not plugin)
    return Registry(plugins, tuple(each for each in found if isinstance(each, Failure)), shadowed)


def installed() -> Iterator[Plugin | Failure]:
    """What the entry points of all installed distributions give."""
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        origin, version = describe(entry)
        try:
            yield Plugin(checked(entry.load()), origin, version)
        except (Exception, SystemExit) as error:  # a stranger's module may raise anything on import
            yield Failure(entry.name, origin, reason(error))


def describe(entry: EntryPoint) -> tuple[str, str]:
    """The distribution (or module) and version that an entry point comes from."""
    if entry.dist is None:
        return entry.module, ""
    name, version = release(entry.dist)
    return f"{name} ({entry.module})", version


@lru_cache(64)
def release(distribution: Distribution) -> tuple[str, str]:
    """Its name and version, of which its metadata are parsed anew by each asking."""
    return distribution.name, distribution.version


def reason(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def from_file(path: Path) -> list[Plugin]:
    """The devices that a Python file defines at its top level."""
    module = import_file(path)
    devices = [value for value in vars(module).values() if isinstance(value, Device)]
    if not devices:
        raise DissectorError(f"{path}: defines no vutrace.plugin.Device")
    try:
        return [Plugin(checked(device), str(path)) for device in devices]
    except Exception as error:
        raise DissectorError(f"{path}: {reason(error)}") from error


def import_file(path: Path) -> ModuleType:
    """The module in a file; DissectorError with the file's own error when it cannot be run."""
    spec = importlib.util.spec_from_file_location(f"vutrace_dissector_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise DissectorError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise DissectorError(f"{path}: {reason(error)}") from error
    return module
