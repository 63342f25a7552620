"""What a peer may have set on a socket before we got it, and would have us read otherwise than we do."""

import contextlib
import socket

# asm-generic/socket.h; Python names none of them in every version
SO_PASSSEC, SO_PEEK_OFF, SO_PASSPIDFD, SO_PASSRIGHTS = 34, 42, 76, 83
PLAIN = {
    # Credentials, labels or descriptors of processes would come with each message, and be passed on as ours.
    socket.SO_PASSCRED: 0,
    SO_PASSSEC: 0,
    SO_PASSPIDFD: 0,
    # Without it descriptors are dropped.
    SO_PASSRIGHTS: 1,
    # A look before reading has to begin where reading will.
    SO_PEEK_OFF: -1,
    # A byte out of band is reported as readable for ever, where it is not in line.
    socket.SO_OOBINLINE: 1,
}


def make_plain(end: socket.socket) -> None:
    """Read from `end` what was sent, in the order in which it was; as far as the kernel knows the options."""
    for option, value in PLAIN.items():
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, option, value)
