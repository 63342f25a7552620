"""The first sector of a disk through libblkio, a vhost-user-blk front-end; its words are LIBRARY SOCKET."""

import ctypes
import sys
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

SECTOR = 512
PAGE = 4096


class Region(ctypes.Structure):
    """struct blkio_mem_region"""

    _fields_ = (
        ("addr", c_void_p), ("iova", c_uint64), ("len", c_size_t),
        ("fd_offset", c_int64), ("fd", c_int), ("flags", c_uint32),
    )  # fmt: skip


class Completion(ctypes.Structure):
    """struct blkio_completion"""

    _fields_ = (("user_data", c_void_p), ("error_msg", c_char_p), ("ret", c_int), ("reserved", c_int * 3))


def main(path: str, socket: str) -> None:
    """Print the sector's text."""
    library = ctypes.CDLL(path)
    library.blkio_get_error_msg.restype = c_char_p
    library.blkio_get_queue.restype = c_void_p
    disk = c_void_p()

    def call(name: str, *arguments: object) -> None:
        if getattr(library, f"blkio_{name}")(*arguments) < 0:
            sys.exit(f"blkio_{name}: {library.blkio_get_error_msg().decode()}")

    call("create", b"virtio-blk-vhost-user", byref(disk))
    call("set_str", disk, b"path", socket.encode())
    call("connect", disk)
    call("start", disk)
    region = Region()
    call("alloc_mem_region", disk, byref(region), c_size_t(PAGE))
    call("map_mem_region", disk, byref(region))
    queue, done = c_void_p(library.blkio_get_queue(disk, 0)), Completion()
    library.blkioq_read(queue, c_uint64(0), c_void_p(region.addr), c_size_t(SECTOR), None, c_uint32(0))
    library.blkioq_do_io(queue, byref(done), 1, 1, POINTER(c_int64)())
    assert done.ret == 0, done.ret
    print(ctypes.string_at(region.addr, SECTOR).rstrip(b"\0").decode(), end="")
    library.blkio_destroy(byref(disk))


if __name__ == "__main__":
    main(*sys.argv[1:])
