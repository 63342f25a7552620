"""What two plug-ins both claim: a name, a virtio id, a request; and requests of the spec that one hides."""

from collections.abc import Iterator

from vutrace.dissection.registry import Plugin, Registry
from vutrace.protocol.messages import TABLES


def conflicts(registry: Registry, plugin: Plugin) -> list[str]:
    """Each claim of `plugin` that somebody else makes too, in words."""
    others = [other for other in (*registry.plugins.values(), *registry.shadowed) if other is not plugin]
    return [
        *replaced_messages(plugin),
        *(line for other in others for line in claimed_by_both(registry, plugin, other)),
    ]


def claimed_by_both(registry: Registry, plugin: Plugin, other: Plugin) -> Iterator[str]:
    """What both claim."""
    mine, its = plugin.device, other.device
    if mine.name == its.name:
        used = registry.plugins[mine.name] is plugin
        yield f"the name is also that of {other.origin}: {'this one' if used else 'that one'} is used"
    elif mine.number and mine.number == its.number:
        yield f"virtio id {mine.number} is also that of {its.name}, {other.origin}"
    for channel, table in mine.messages.items():
        for number in sorted(table.keys() & its.messages.get(channel, {}).keys()):
            yield f"request {number} ({channel}) is also that of {its.name}, {other.origin}"


def replaced_messages(plugin: Plugin) -> Iterator[str]:
    """The spec's messages that the plug-in's own replace."""
    for channel, table in plugin.device.messages.items():
        for number in sorted(table.keys() & TABLES[channel].keys()):
            yield f"request {number} ({channel}) replaces {TABLES[channel][number].name}"
