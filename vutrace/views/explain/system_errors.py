"""What the system says of sockets and memory, for texts in which nothing else is known."""

from vutrace.views.explain.error_text import CLOSED, MEMORY, ErrorText

SYSTEM_ERRORS = (
    ErrorText(
        "any program",
        r"Connection ?refused|ECONNREFUSED",
        "the socket is there, and nobody listens on it: its program has ended, or is about to",
        "who should listen (ss -xlp); a client that tries again: reconnect= in QEMU, --client-mode in OVS",
    ),
    ErrorText(
        "any program",
        r"No such file or directory|ENOENT",
        "nobody has made a socket of that path: the side that listens is not started, or uses another path",
        "which side listens (server=on) and which connects; ss -xlp shows all sockets",
    ),
    ErrorText(
        "any program",
        r"Address already in use|EADDRINUSE",
        "a socket file of that path is there already, of a program that runs or of one that has ended",
        "whether it still runs (ss -xlp); if not, remove the file",
    ),
    ErrorText(
        "any program",
        r"Permission ?denied|EACCES|EPERM",
        "the socket may not be opened by this user",
        "owner and mode of the socket and its directories, SELinux and AppArmor (libvirt: virt-aa-helper)",
    ),
    ErrorText(
        "any program",
        r"Cannot allocate memory|ENOMEM",
        "mapping guest memory failed: not enough address space, hugepages or mappings",
        MEMORY,
    ),
    ErrorText(
        "any program",
        r"Too many open files|EMFILE|ENFILE",
        "the limit of open files is reached: there is a descriptor for each region, three for each ring",
        "ulimit -n of the program; descriptors that are not closed when connections end (ls -l /proc/PID/fd)",
    ),
    ErrorText(
        "any program",
        r"Broken ?pipe|EPIPE",
        "the other side had closed the connection before",
        CLOSED,
    ),
    ErrorText(
        "any program",
        r"Connection ?reset(?: by peer)?|ECONNRESET",
        "the other side ended without reading all that was sent to it",
        CLOSED,
    ),
    ErrorText(
        "any program",
        r"Protocol error|EPROTO",
        "the answer was not what the message demands: type, flags or size",
        "the problems of the last messages in a capture",
    ),
)
