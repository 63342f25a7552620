"""Captures: pcapng files of messages, what their descriptors were, and when. See docs/capture-format.md."""

from vutrace.capture.encode import MAX_PACKET, connection_block, message_blocks, record_block, section_block
from vutrace.capture.errors import CaptureError
from vutrace.capture.follow import Done, DoneOrIdle, WriterGone, copy, follow
from vutrace.capture.reader import Item, Reader, read
from vutrace.capture.writer import Writer, append, create

__all__ = [
    "MAX_PACKET",
    "CaptureError",
    "Done",
    "DoneOrIdle",
    "Item",
    "Reader",
    "Writer",
    "WriterGone",
    "append",
    "connection_block",
    "copy",
    "create",
    "follow",
    "message_blocks",
    "read",
    "record_block",
    "section_block",
]
