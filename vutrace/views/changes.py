"""What a message changes, where that says more than what it sets: features, memory, configuration space."""

from collections.abc import Callable, Mapping
from typing import Any

from vutrace.dissection.message import Message
from vutrace.protocol.effects import Fact, MemoryEffect
from vutrace.protocol.layers import Layer
from vutrace.protocol.shows import Kind
from vutrace.session.context import Context
from vutrace.session.memory import MemoryChange, Region, table
from vutrace.views.annotated import AnnotatedRow
from vutrace.views.config_space import has_config
from vutrace.views.details import config_words, detail
from vutrace.views.fields import shows_of
from vutrace.views.masks import Names, protocol_names, virtio_names
from vutrace.views.text import address, count, plain, size, text_of

BITS_TOLD = 4  # a mask that changed in more is told as if it were the first
REGIONS_SHOWN = 3

# A mask that is offered or taken -> the one that it was offered out of, and the names of its bits.
MASKS: Mapping[Fact, tuple[Fact | None, Callable[[Context], Names]]] = {
    Fact.OFFERED: (None, lambda context: virtio_names(context.device)),
    Fact.FEATURES: (Fact.OFFERED, lambda context: virtio_names(context.device)),
    Fact.PROTOCOL_OFFERED: (None, lambda context: protocol_names),
    Fact.PROTOCOL_FEATURES: (Fact.PROTOCOL_OFFERED, lambda context: protocol_names),
}


def words_of(shown: AnnotatedRow, message: Message) -> str:
    """The message in a few words, with what the device reads in its configuration space."""
    words = detail(message, shown.row.context)
    if not (shown.config and shown.layout and has_config(message)):
        return words
    return f"{words}: {config_words(shown.layout, shown.config, shown.row.context)}"


def row_words(shown: AnnotatedRow, message: Message) -> str:
    """The message in a few words; of what was set before, what is new."""
    return changed_mask(shown, message) or changed_table(shown, message) or changed_config(shown, message)


def changed_mask(shown: AnnotatedRow, message: Message) -> str:
    """The bits of a feature mask that differ from the last; "" where they are too many, or none."""
    told = message.spec.reply_learns if message.reply else message.spec.learns
    if told is None or told.fact not in MASKS:
        return ""
    context, mask = shown.row.context, message.number_in(told.field)
    before = getattr(context, told.fact)
    if not isinstance(mask, int) or not before or mask == before or (mask ^ before).bit_count() > BITS_TOLD:
        return ""
    offer, naming = MASKS[told.fact]
    offered, names = getattr(context, offer) if offer else None, naming(context)
    more = [f"+{each}" for each in names(mask & ~before & (-1 if offered is None else offered))]
    more += [f"+{each} (not offered)" for each in names(0 if offered is None else mask & ~before & ~offered)]
    return f"{mask:#x} as before, but {' '.join([*more, *(f'-{each}' for each in names(before & ~mask))])}"


def changed_table(shown: AnnotatedRow, message: Message) -> str:
    """What a memory table adds to the one before and what it takes away; "" for the first."""
    change, regions = shown.row.changes.memory, message.fields.get("regions")
    if change is None or message.spec.memory is not MemoryEffect.TABLE or not isinstance(regions, list):
        return ""
    if len(change.added) == len(regions) and not change.removed:
        return ""
    whole = f"{count(len(regions), 'region')}, {size(sum(each.size for each in table(message)))}"
    return f"{whole}: {memory_words(change)}"


def memory_words(change: MemoryChange) -> str:
    """What a message did to the memory map."""
    regions = [*(("+", each) for each in change.added), *(("-", each) for each in change.removed)]
    told = [sign + region_words(each) for sign, each in regions[:REGIONS_SHOWN]]
    if len(regions) > REGIONS_SHOWN:
        told.append(f"and {count(len(regions) - REGIONS_SHOWN, 'more region')}")
    return ", ".join(told) or "as before"


def region_words(region: Region) -> str:
    """One memory region."""
    return f"{size(region.size)} at gpa {address(region.guest_address)}"


def changed_config(shown: AnnotatedRow, message: Message) -> str:
    """A configuration space as far as it is not what it was; all of it where most of it is new."""
    known, layout, fields = shown.config_before, shown.layout, shown.config
    if not fields or layout is None or not known or not fields.keys() <= known.keys():
        return words_of(shown, message)
    # A union's variant is chosen by what was written before: another choice is no change.
    changed = {name: value for name, value in fields.items() if known[name] != value}
    if 2 * len(changed) > len(fields) or (changed and layout is not shown.row.context.device.config):
        return words_of(shown, message)
    words = ", ".join(field_changes(layout, known, changed, shown.row.context)) or "as before"
    return f"{detail(message, shown.row.context)}: {words}"


def field_changes(
    layout: type[Layer], known: Mapping[str, Any], changed: Mapping[str, Any], context: Context
) -> list[str]:
    """Each field that changed: capacity 2048 → 4096 sectors."""
    shows = {field.name: field.show for field in shows_of(layout)}
    return [
        f"{name} {before_words(known[name], shows, name, context)} → {text_of(value, shows[name], context)}"
        for name, value in changed.items()
    ]


def before_words(value: Any, shows: Mapping[str, Any], name: str, context: Context) -> str:
    """What a field was: of a number the number alone, since its unit follows."""
    show = shows[name]
    return plain(value) if show.kind is Kind.DEC else text_of(value, show, context)
