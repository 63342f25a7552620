"""What matters in a message, in a few words: the template of its row or layer, else its fields.

A template gets fields that are whole; a payload that is short or unknown is shown field by field.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from vutrace.dissection.message import Message
from vutrace.protocol.layers import Layer, has_secrets
from vutrace.protocol.shows import Kind
from vutrace.session.context import Context
from vutrace.views.fields import shows_of
from vutrace.views.phrases import phrase
from vutrace.views.text import REDACTED, hex_of, text_of

Fields = Mapping[str, Any]

CONFIG_WIDTH = 140


def detail(message: Message, context: Context) -> str:
    """The message in a few words; "" where its name says all."""
    layer, fields = message.layer, message.fields
    template = (not message.reply and message.spec.words) or layer.words
    if template and len(fields) == len(layer.fields_desc):
        words = phrase(layer, template)(message, fields, context)
    else:
        words = generic(layer, fields, context)
    return f"{words} {leftover(message)}".strip() if message.rest else words


def leftover(message: Message) -> str:
    """The bytes behind the fields; in a message with secrets they may be some."""
    hidden = has_secrets(message.layer)
    return f"{len(message.rest)} bytes {REDACTED}" if hidden else hex_of(message.rest)


def generic(layer: type[Layer], fields: Fields, context: Context, first: Sequence[str] = ()) -> str:
    """Field by field, those named in `first` before the others."""
    shown = [field for field in shows_of(layer) if field.name in fields and field.show.kind is not Kind.PAD]
    shown.sort(key=lambda field: first.index(field.name) if field.name in first else len(first))
    return ", ".join(f"{field.name} {text_of(fields[field.name], field.show, context)}" for field in shown)


def config_words(layer: type[Layer], fields: Fields, context: Context) -> str:
    """What a configuration space says, as far as a row goes: the values that are not zero, by weight."""
    said = {
        name: value for name, value in fields.items() if not isinstance(value, dict) and not is_zero(value)
    }
    words = generic(layer, said, context, layer.glance)
    return words if len(words) <= CONFIG_WIDTH else words[:CONFIG_WIDTH].rpartition(",")[0] + ", …"


def is_zero(value: Any) -> bool:
    """Whether a value, a number or bytes, says nothing."""
    return not value.strip(b"\0") if isinstance(value, bytes) else not value
