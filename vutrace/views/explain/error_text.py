"""What a row of the error tables says."""

from dataclasses import dataclass

CLOSED = "the peer's own log and exit status at that moment; what is printed after this line follows from it"
FOLLOWS = "the first error before this one: the connection was already lost"
MEMORY = (
    "SET_MEM_TABLE or ADD_MEM_REG in a capture (-V): regions, sizes, offsets, and what the descriptors are"
)


@dataclass(frozen=True, slots=True)
class ErrorText:
    """One error text.

    `pattern` finds it; its groups may be `request` (a message's number or name), `errno`, `flags` (of a
    header) and `mask`, and all may be used in `means`. `message` names the message where the text does not.
    One that `wraps` has its cause behind it in the same line.
    """

    who: str
    pattern: str
    means: str
    look: str = ""
    message: str = ""
    channel: str = "main"
    wraps: bool = False
