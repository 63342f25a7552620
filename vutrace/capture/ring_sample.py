"""One ring as it stood in memory, in a sample's TLV. Normative text: docs/capture-format.md."""

import struct

from vutrace.capture.errors import MalformedError
from vutrace.records import RingSample

# The fields of RingSample in their order; 72 bytes.
RING = struct.Struct("<HIHHHIHHHHHHIIIQQQQ")


def encode_ring(sample: RingSample) -> bytes:
    """The value of a TLV; struct.error where a number does not fit, which the sampler's never do."""
    return RING.pack(*sample)


def decode_ring(data: bytes, start: int, end: int) -> RingSample:
    """The ring in `data[start:end]`; what later versions append is skipped. Raises MalformedError."""
    if end - start < RING.size:
        raise MalformedError(f"a sample of a ring of {end - start} bytes, it has {RING.size}")
    return RingSample._make(RING.unpack_from(data, start))
