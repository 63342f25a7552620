"""How much memory each part of a ring takes (virtio, "Split Virtqueues" and "Packed Virtqueues")."""

from collections.abc import Iterator

from vutrace.rules.look import packed
from vutrace.rules.seen import span
from vutrace.session.context import Context
from vutrace.session.ring import Ring

DESCRIPTOR, USED_ITEM, AVAILABLE_ITEM = 16, 8, 2
HEAD = 4  # flags and index
EVENT_STRUCTURE = 4  # of a packed ring, for each side


def extents(ring: Ring, context: Context) -> Iterator[tuple[str, int, int]]:
    """Each part of a ring that has addresses and a size: name, first address, and the one behind its last.

    The event fields that EVENT_IDX adds are left out: some front-ends hand over memory without them.
    """
    assert ring.addresses
    assert ring.size is not None
    if packed(context):
        yield "the descriptor ring", *span(ring.addresses.descriptor, DESCRIPTOR * ring.size)
        yield "the driver area", *span(ring.addresses.available, EVENT_STRUCTURE)
        yield "the device area", *span(ring.addresses.used, EVENT_STRUCTURE)
        return
    yield "the descriptor table", *span(ring.addresses.descriptor, DESCRIPTOR * ring.size)
    yield "the available ring", *span(ring.addresses.available, HEAD + AVAILABLE_ITEM * ring.size)
    yield "the used ring", *span(ring.addresses.used, HEAD + USED_ITEM * ring.size)
