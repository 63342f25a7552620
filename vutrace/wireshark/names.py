"""Names of display filter fields: `vhost_user.<structure>.<field>`, from the layers' own names.

A field that is called like its structure is not repeated: `vhost_user.features`, not
`vhost_user.features.features`. What a plug-in defines stands below its device: its configuration space
is `vhost_user.config.<device>`, its other structures `vhost_user.<device>.<structure>`.
"""

import re

from vutrace.protocol.layers import Layer

PROTOCOL = "vhost_user"

HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
FOREIGN = re.compile(r"[^a-z0-9_]+")


def word(text: str) -> str:
    """Any text as one part of a filter name: lower case letters, digits, underscores."""
    return FOREIGN.sub("_", text.lower()).strip("_") or "_"


def structure(layer: type[Layer]) -> str:
    """A layer's class name as a part of a filter name: MemoryRegion is memory_region."""
    return word(HUMP.sub("_", layer.__name__))


def prefix(layer: type[Layer], device: str = "") -> str:
    """What the fields of a layer begin with; `device` is the plug-in's whose layer it is, if one's."""
    parts = [PROTOCOL, word(device), structure(layer)] if device else [PROTOCOL, structure(layer)]
    return ".".join(parts)


def config_prefix(device: str) -> str:
    """What the fields of a device's configuration space begin with."""
    return f"{PROTOCOL}.config.{word(device)}"


def abbreviation(prefix: str, field: str) -> str:
    """The filter name of a field."""
    return prefix if prefix.rpartition(".")[2] == word(field) else f"{prefix}.{word(field)}"
