"""A file system of one file that stops answering on demand, as a stalled NFS does: FUSE, spoken by hand.

    python stalling_fs.py DIRECTORY

Mounts itself there (needs root, or a user namespace with it) and says "ready". Then it reads lines:
`stall WORD…` leaves such requests (getattr, flush) unanswered from now on, `fail WORD…` answers them with
EIO, and `go` answers everything, also what waits. Each is acknowledged by its own line. It ends, and is
unmounted, when its input does.
"""

import ctypes
import errno
import os
import select
import stat
import struct
import sys
import time

HEADER, REPLY = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
OPCODES = {
    "lookup": 1,
    "getattr": 3,
    "setattr": 4,
    "open": 14,
    "read": 15,
    "write": 16,
    "release": 18,
    "flush": 25,
    "statfs": 17,
}
FORGET, INIT, INTERRUPT, BATCH_FORGET = 2, 26, 36, 42
ROOT, FILE = 1, 2
SILENT = {FORGET, INTERRUPT, BATCH_FORGET}
MNT_DETACH = 2
SIZE = 4096  # of the file, at first
SET_SIZE = 1 << 3  # FATTR_SIZE
libc = ctypes.CDLL(None, use_errno=True)


def attributes(node: int, file_size: int) -> bytes:
    """struct fuse_attr: nothing of it is kept by the kernel."""
    kind = stat.S_IFDIR | 0o755 if node == ROOT else stat.S_IFREG | 0o644
    now = int(time.time())
    size = 0 if node == ROOT else file_size
    return struct.pack("<QQQQQQIIIIIIIIII", node, size, 8, now, now, now, 0, 0, 0, kind, 1, 0, 0, 0, 4096, 0)


def answer(opcode: int, node: int, body: bytes, size: int) -> bytes | int:
    """What a request is answered with, the file being of that size; a number is an error."""
    if opcode == INIT:
        return struct.pack("<IIIIHHIIHHI7I", 7, 31, 65536, 0, 12, 9, 65536, 1, 0, 0, 0, *[0] * 7)
    if opcode == OPCODES["lookup"]:
        return struct.pack("<QQQQII", FILE, 0, 0, 0, 0, 0) + attributes(FILE, size)
    if opcode in (OPCODES["getattr"], OPCODES["setattr"]):
        return struct.pack("<QII", 0, 0, 0) + attributes(node, size)
    if opcode == OPCODES["open"]:
        return struct.pack("<QII", 1, 1, 0)  # FOPEN_DIRECT_IO: each write comes here
    if opcode == OPCODES["write"]:
        return struct.pack("<II", struct.unpack_from("<QQI", body)[2], 0)
    if opcode in (OPCODES["release"], OPCODES["flush"]):
        return b""
    return errno.ENOSYS


class Server:
    """Answers the kernel, or does not."""

    def __init__(self, place: str) -> None:
        self.device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if libc.mount(b"stalling", place.encode(), b"fuse.stalling", 6, options):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), place)
        self.size = SIZE
        self.stalled: set[int] = set()
        self.failing: set[int] = set()
        self.waiting: list[tuple[int, int, int, bytes]] = []

    def request(self) -> None:
        """One of the kernel's."""
        data = os.read(self.device, 1 << 20)
        _, opcode, unique, node, *_ = HEADER.unpack_from(data)
        if opcode in SILENT:
            return
        if opcode in self.stalled:
            self.waiting.append((unique, opcode, node, data[HEADER.size :]))
            return
        self.reply(unique, opcode, node, data[HEADER.size :])

    def reply(self, unique: int, opcode: int, node: int, body: bytes) -> None:
        """Answer it."""
        told: bytes | int = errno.EIO
        if opcode not in self.failing:
            self.grow(opcode, body)
            told = answer(opcode, node, body, self.size)
        error, data = (-told, b"") if isinstance(told, int) else (0, told)
        try:
            os.write(self.device, REPLY.pack(REPLY.size + len(data), error, unique) + data)
        except OSError as wrong:
            if wrong.errno != errno.ENOENT:  # whoever asked was interrupted
                raise

    def grow(self, opcode: int, body: bytes) -> None:
        """The file's size after a write, or after it was set."""
        if opcode == OPCODES["write"]:
            _, offset, length = struct.unpack_from("<QQI", body)
            self.size = max(self.size, offset + length)
        elif opcode == OPCODES["setattr"]:
            valid, _, _, size = struct.unpack_from("<IIQQ", body)
            self.size = size if valid & SET_SIZE else self.size

    def order(self, words: list[str]) -> None:
        """A line of the input."""
        opcodes = {OPCODES[word] for word in words[1:]}
        if words[0] == "stall":
            self.stalled |= opcodes
        elif words[0] == "fail":
            self.failing |= opcodes
        else:
            self.stalled, self.failing = set(), set()
            while self.waiting:
                self.reply(*self.waiting.pop(0))


def main() -> None:
    """Serve until the input ends."""
    place = sys.argv[1]
    server = Server(place)
    print("ready", flush=True)
    try:
        while True:
            ready = select.select([server.device, sys.stdin], [], [])[0]
            if server.device in ready:
                server.request()
            elif not (line := sys.stdin.readline()):
                break
            else:
                server.order(line.split())
                print(line.strip(), flush=True)
    finally:
        server.order(["go"])
        libc.umount2(place.encode(), MNT_DETACH)
        os.close(server.device)  # what waits even so gets an error


if __name__ == "__main__":
    main()
