"""Known failures are data: each names cases that there are, and says where the source is."""

from fnmatch import fnmatchcase

import pytest

from vutrace.conform.catalogue import backend_cases, frontend_cases
from vutrace.conform.known import KNOWN, KnownFailure, known


@pytest.mark.parametrize("row", KNOWN, ids=lambda row: "-".join(row.cases))
def test_every_pattern_fits_a_case(row: KnownFailure) -> None:
    for pattern in row.cases:
        assert [name for name in (*backend_cases(), *frontend_cases()) if fnmatchcase(name, pattern)], pattern
    assert len(row.source) > 20


def test_a_program_is_known_by_its_command() -> None:
    command = "/usr/bin/qemu-storage-daemon --blockdev file,node-name=d0"
    assert "vu_set_vring_num_exec" in known(command, "rings/no-such-ring-size")
    assert known(command, "framing/question") == ""
    assert known("./my-backend", "rings/no-such-ring-size") == ""
