"""What the rules found about a record, as a TLV of the pseudo-header. Normative text: docs/capture-format.md.

Nobody reads it back but the Wireshark plug-in: vutrace judges a capture itself, whoever did so before.
"""

import struct
from collections.abc import Iterable

from vutrace.capture.tlv import encode_text, encode_tlv
from vutrace.outgoing import printable
from vutrace.problems import Problem, Severity

TLV_FINDINGS = 8
# severity, bytes of the rule's name, bytes of the text
HEAD = struct.Struct("<BBH")
CODES: dict[Severity, int] = {Severity.INFO: 1, Severity.WARNING: 2, Severity.ERROR: 3}
NAME_LIMIT, TEXT_LIMIT, LIMIT = 255, 1000, 32 * 1024  # bytes; the last of all together


def encode_findings(problems: Iterable[Problem]) -> bytes:
    """The TLV; one without a finding says that there was none. What goes beyond the bound is left out."""
    value = b""
    for problem in problems:
        name, text = encode_text(problem.name, NAME_LIMIT), encode_text(printable(problem.text), TEXT_LIMIT)
        made = HEAD.pack(CODES[problem.severity], len(name), len(text)) + name + text
        if len(value) + len(made) > LIMIT:
            break
        value += made
    return encode_tlv(TLV_FINDINGS, value)
