"""How a process has mapped a file: asked of this one."""

import mmap
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from vutrace.sockets.inspect import describe
from vutrace.sockets.mappings import mapped


@pytest.fixture
def memfd() -> Iterator[int]:
    """Memory that can be passed."""
    fd = os.memfd_create("guest")
    os.truncate(fd, 4096)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(("flags", "told"), [(mmap.MAP_SHARED, "shared"), (mmap.MAP_PRIVATE, "private")])
def test_a_mapping_is_shared_or_private(memfd: int, flags: int, told: str) -> None:
    info = describe(memfd)
    with mmap.mmap(memfd, 4096, flags=flags):
        assert mapped(os.getpid(), [info]) == {(info.device, info.inode): told}


def test_one_with_both_kinds_is_shared(memfd: int) -> None:
    info = describe(memfd)
    with mmap.mmap(memfd, 4096, flags=mmap.MAP_SHARED), mmap.mmap(memfd, 4096, flags=mmap.MAP_PRIVATE):
        assert list(mapped(os.getpid(), [info]).values()) == ["shared"]


def test_nothing_is_told_of_what_is_not_mapped_or_not_to_be_seen(memfd: int) -> None:
    info = describe(memfd)
    assert mapped(os.getpid(), [info]) == {}
    assert mapped(0, [replace(info, inode=1)]) == {}
