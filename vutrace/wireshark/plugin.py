"""The Lua plug-in as one text: generated tables between the parts that stay the same.

The parts are the files of `dissector/`, in the order of their numbers. What a part has for those behind it
is global, in an environment of the plug-in's own; its local names end with it.
"""

from collections.abc import Iterator
from importlib.resources import files

from vutrace import __version__
from vutrace.dissection.registry import Registry
from vutrace.wireshark.lua import literal
from vutrace.wireshark.tables import tables

# How `install` knows a file that it may overwrite or remove.
MARK = "-- Written by vutrace"
FILE_NAME = "vhost_user.lua"

HEAD = f"""{MARK} {__version__}: vutrace wireshark lua. Generated; edit nothing here.
-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- vhost-user, the protocol between a VMM and its virtio back-ends, as vutrace captures it (pcapng of
-- link type 252, dissector name vhost_user; no preference is needed). Fields begin with vhost_user.
--
-- Install: vutrace wireshark install, or copy this file to the folder that `tshark -G folders` calls
-- "Personal Lua Plugins". Use once: tshark -X lua_script:{FILE_NAME} -r CAPTURE
-- Needs Wireshark 4.0 or later.
-- Devices: """

# Wireshark's other plug-ins see nothing of ours. Locals would not do: a Lua function has room for 200. What
# is used all the time is local nevertheless: looking it up in two tables costs more than calling it.
PRIVATE = """local _ENV = setmetatable({}, { __index = _G })
if setfenv then setfenv(1, _ENV) end -- Lua 5.1
local string, table, math, ipairs, pairs, type = string, table, math, ipairs, pairs, type
local floor, format, byte, sub, concat = math.floor, string.format, string.byte, string.sub, table.concat
local add, add_le, append_text = TreeItem.add, TreeItem.add_le, TreeItem.append_text
local set_generated, referenced = TreeItem.set_generated, TreeItem.referenced
"""


def plugin(registry: Registry) -> str:
    """The whole plug-in, with the devices and vendor messages of `registry`."""
    devices = ", ".join(device.name for device in registry.devices) or "none"
    return "\n".join([HEAD + devices, "", PRIVATE, *definitions(registry), *parts()])


def definitions(registry: Registry) -> Iterator[str]:
    """The generated tables."""
    for name, value in tables(registry).items():
        yield f"{name} = {literal(value)}\n"


def parts() -> Iterator[str]:
    """The fixed parts, in order."""
    folder = files("vutrace.wireshark") / "dissector"
    for part in sorted(folder.iterdir(), key=lambda part: part.name):
        if part.name.endswith(".lua"):
            yield f"do\n{part.read_text(encoding='utf-8')}end\n"
