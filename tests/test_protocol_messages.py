"""The message tables against a list of their own, written down from the specification.

One line per message: number, name, request sizes, reply rule, reply sizes, descriptors of request and
reply, gate, R where the payload names a vring, and since which QEMU it is sent once per device. A size
with + is that of the part before what varies.
"""

from dataclasses import replace

import pytest

from vutrace.dissection.shapes import varies
from vutrace.protocol.layers import Layer, size_of
from vutrace.protocol.messages import PREFIX, TABLES, find, heading, resolve, unknown
from vutrace.protocol.spec import FdRule, MessageSpec, missing_columns
from vutrace.protocol.wire import REQUESTER, sender_of
from vutrace.records import Channel, Side

FRONTEND = """
1  GET_FEATURES           0         always 8      -    -      -    - -
2  SET_FEATURES           8         ack    -      -    -      -    - -
3  SET_OWNER              0         ack    -      -    -      -    - 2.5
4  RESET_OWNER            0         ack    -      -    -      -    - 2.5
5  SET_MEM_TABLE          8+,8+     table  8+,8+  n    -      -    - 2.5
6  SET_LOG_BASE           16,8      log    0,8,16 0-1  -      -    - 8.0
7  SET_LOG_FD             0         ack    -      1    -      -    - -
8  SET_VRING_NUM          8         ack    -      -    -      -    R -
9  SET_VRING_ADDR         40        ack    -      -    -      -    R -
10 SET_VRING_BASE         8         ack    -      -    -      -    R -
11 GET_VRING_BASE         8         always 8      -    -      -    R -
12 SET_VRING_KICK         8         ack    -      nofd -      -    R -
13 SET_VRING_CALL         8         ack    -      nofd -      -    R -
14 SET_VRING_ERR          8         ack    -      nofd -      -    R -
15 GET_PROTOCOL_FEATURES  0         always 8      -    -      VHOST_USER_F_PROTOCOL_FEATURES - -
16 SET_PROTOCOL_FEATURES  8         ack    -      -    -      VHOST_USER_F_PROTOCOL_FEATURES - -
17 GET_QUEUE_NUM          0         always 8      -    -      MQ   - 2.5
18 SET_VRING_ENABLE       8         ack    -      -    -      VHOST_USER_F_PROTOCOL_FEATURES R -
19 SEND_RARP              8         ack    -      -    -      RARP - -
20 NET_SET_MTU            8         ack    -      -    -      MTU  - 2.9
21 SET_BACKEND_REQ_FD     0         ack    -      1    -      BACKEND_REQ - 5.0
22 IOTLB_MSG              32        always 8      -    -      VIRTIO_F_ACCESS_PLATFORM - -
23 SET_VRING_ENDIAN       8         ack    -      -    -      CROSS_ENDIAN R -
24 GET_CONFIG             12+       always 12+,0  -    -      CONFIG - -
25 SET_CONFIG             12+       ack    -      -    -      CONFIG - -
26 CREATE_CRYPTO_SESSION  1072,1072,632,632 always 1072,1072,632,632 - - CRYPTO_SESSION - -
27 CLOSE_CRYPTO_SESSION   8         ack    -      -    -      CRYPTO_SESSION - -
28 POSTCOPY_ADVISE        0         always 0      -    ok     PAGEFAULT - -
29 POSTCOPY_LISTEN        0         ack    -      -    -      PAGEFAULT - -
30 POSTCOPY_END           0         always 8      -    -      PAGEFAULT - -
31 GET_INFLIGHT_FD        24        always 24     -    mapped INFLIGHT_SHMFD - -
32 SET_INFLIGHT_FD        24        ack    -      1    -      INFLIGHT_SHMFD - -
33 GPU_SET_SOCKET         0         ack    -      1    -      -    - -
34 RESET_DEVICE           0         ack    -      -    -      RESET_DEVICE - 8.1
35 VRING_KICK             8         ack    -      -    -      INBAND_NOTIFICATIONS R -
36 GET_MAX_MEM_SLOTS      0         always 8      -    -      CONFIGURE_MEM_SLOTS - -
37 ADD_MEM_REG            40,48,8   table  40,48  n    -      CONFIGURE_MEM_SLOTS - 8.0
38 REM_MEM_REG            40,48     ack    -      0-1  -      CONFIGURE_MEM_SLOTS - 8.0
39 SET_STATUS             8         ack    -      -    -      STATUS - -
40 GET_STATUS             0         always 8      -    -      STATUS - -
41 GET_SHARED_OBJECT      16,0      always 0,8,16 -    0-1    SHARED_OBJECT - -
42 SET_DEVICE_STATE_FD    8         always 8      1    nofd   DEVICE_STATE - -
43 CHECK_DEVICE_STATE     0         always 8      -    -      DEVICE_STATE - -
44 GET_SHMEM_CONFIG       0,8       always 2056,8 -    -      SHMEM - -
45 GET_VRING_BASE_SKIP_DRAIN 8      always 8      -    -      GET_VRING_BASE_SKIP_DRAIN R -
"""

BACKEND = """
1  BACKEND_IOTLB_MSG               32 ack    - -    - VIRTIO_F_ACCESS_PLATFORM - -
2  BACKEND_CONFIG_CHANGE_MSG       0  ack    - -    - CONFIG               - -
3  BACKEND_VRING_HOST_NOTIFIER_MSG 24 ack    - nofd - HOST_NOTIFIER        R -
4  BACKEND_VRING_CALL              8  ack    - -    - INBAND_NOTIFICATIONS R -
5  BACKEND_VRING_ERR               8  ack    - -    - INBAND_NOTIFICATIONS R -
6  BACKEND_SHARED_OBJECT_ADD       16 ack    - -    - SHARED_OBJECT        - -
7  BACKEND_SHARED_OBJECT_REMOVE    16 ack    - -    - SHARED_OBJECT        - -
8  BACKEND_SHARED_OBJECT_LOOKUP    16 always 8 - ok   SHARED_OBJECT        - -
9  BACKEND_SHMEM_MAP               40 ack    - 1    - SHMEM                - -
10 BACKEND_SHMEM_UNMAP             40 ack    - -    - SHMEM                - -
1002 CROSVM_FS_MAP                 0+ ack    - 0-1  - - - -
1003 CROSVM_FS_UNMAP               0+ ack    - -    - - - -
1004 CROSVM_FS_SYNC                0+ ack    - -    - - - -
1005 CROSVM_FS_IO                  0+ ack    - 0-1  - - - -
1006 CROSVM_GPU_MAP                64 always 8 1    - - - -
1007 CROSVM_EXTERNAL_MAP           32 always 8 -    - - - -
"""

GPU = """
1  GPU_GET_PROTOCOL_FEATURES 0     always 8    -     - -       - -
2  GPU_SET_PROTOCOL_FEATURES 8     never  -    -     - -       - -
3  GPU_GET_DISPLAY_INFO      0     always 408  -     - -       - -
4  GPU_CURSOR_POS            12    never  -    -     - -       - -
5  GPU_CURSOR_POS_HIDE       12    never  -    -     - -       - -
6  GPU_CURSOR_UPDATE         16404 never  -    -     - -       - -
7  GPU_SCANOUT               12    never  -    -     - -       - -
8  GPU_UPDATE                20+   never  -    -     - -       - -
9  GPU_DMABUF_SCANOUT        40    never  -    shown - -       - -
10 GPU_DMABUF_UPDATE         20+   always 0    -     - -       - -
11 GPU_GET_EDID              4     always 1056 -     - EDID    - -
12 GPU_DMABUF_SCANOUT2       48    never  -    shown - DMABUF2 - -
"""

LISTS = {Channel.MAIN: FRONTEND, Channel.BACKEND: BACKEND, Channel.GPU: GPU}
RULES = {"ALWAYS": "always", "ACK": "ack", "LOG": "log", "ACK_OR_POSTCOPY": "table", "NEVER": "never"}
FDS = {
    "NONE": "-",
    "ONE": "1",
    "AT_MOST_ONE": "0-1",
    "PER_REGION": "n",
    "UNLESS_NOFD": "nofd",
    "IF_MAPPED": "mapped",
    "IF_OK": "ok",
    "IF_SHOWN": "shown",
}
ALIASES = {
    "SET_SLAVE_REQ_FD": (Channel.MAIN, 21),
    "CRYPTO_CREATE_SESS": (Channel.MAIN, 26),
    "CRYPTO_CLOSE_SESS": (Channel.MAIN, 27),
    "SLAVE_IOTLB_MSG": (Channel.BACKEND, 1),
    "SLAVE_CONFIG_CHANGE_MSG": (Channel.BACKEND, 2),
    "SLAVE_VRING_HOST_NOTIFIER_MSG": (Channel.BACKEND, 3),
    "SLAVE_VRING_CALL": (Channel.BACKEND, 4),
    "SLAVE_VRING_ERR": (Channel.BACKEND, 5),
    "SLAVE_FS_MAP": (Channel.BACKEND, 9),
    "SLAVE_FS_UNMAP": (Channel.BACKEND, 10),
}
CROSVM = range(1002, 1008)


def sizes(payload: tuple[type[Layer], ...]) -> str:
    """The sizes of layouts as the lists above have them."""
    return ",".join(f"{size_of(layer)}{'+' * varies(layer)}" for layer in payload) or "-"


def line(spec: MessageSpec) -> list[str]:
    """A row of the tables in the words of the lists above."""
    return [
        *(
            str(spec.number),
            spec.name,
            sizes(resolve(spec.request)),
            RULES[spec.rule.name],
            sizes(resolve(spec.reply)),
        ),
        *(FDS[spec.fds.name], FDS[spec.reply_fds.name], spec.gate or "-"),
        *("R" if spec.ring else "-", spec.once or "-"),
    ]


@pytest.mark.parametrize("channel", Channel)
def test_every_row_says_what_the_specification_says(channel: Channel) -> None:
    listed = [row.split() for row in LISTS[channel].strip().splitlines()]
    assert [line(spec) for spec in TABLES[channel].values()] == listed
    assert all(number == spec.number for number, spec in TABLES[channel].items())


def test_numbers_have_no_gap() -> None:
    assert list(TABLES[Channel.MAIN]) == list(range(1, len(TABLES[Channel.MAIN]) + 1))
    assert list(TABLES[Channel.BACKEND]) == [*range(1, 11), *CROSVM]
    assert list(TABLES[Channel.GPU]) == list(range(1, 13))


@pytest.mark.parametrize("channel", Channel)
def test_every_row_fills_the_columns_that_tell_what_the_message_does(channel: Channel) -> None:
    missing = {row.name: missing_columns(row, channel) for row in TABLES[channel].values()}
    assert {name: columns for name, columns in missing.items() if columns} == {}


def test_a_row_that_lacks_a_column_is_told_which() -> None:
    row = MessageSpec(45, "SET_PMU_FD", fds=FdRule.ONE, ring=True)
    assert missing_columns(row, Channel.MAIN) == ["purpose", "effect", "role"]
    assert missing_columns(replace(row, role="pmu"), Channel.BACKEND) == ["effect"]


@pytest.mark.parametrize(("alias", "place"), ALIASES.items())
def test_a_message_is_found_by_its_older_names(alias: str, place: tuple[Channel, int]) -> None:
    for name in (alias, PREFIX + alias, alias.lower()):
        assert [(channel, spec.number) for channel, spec in find(name)] == [place]


def test_names_are_unambiguous() -> None:
    names = [
        name for rows in TABLES.values() for spec in rows.values() for name in (spec.name, *spec.aliases)
    ]
    assert len(names) == len(set(names))


def test_a_number_is_found_on_every_channel_that_has_it() -> None:
    assert {channel for channel, _ in find("5")} == set(Channel)
    assert find("4711") == find("NO_SUCH_MESSAGE") == []


def test_headings_are_the_specs_names() -> None:
    for channel, rows in TABLES.items():
        for spec in rows.values():
            expected = "crosvm extension" if spec.number in CROSVM else f"VHOST_USER_{spec.name}"
            assert heading(channel, spec) == expected


def test_requests_come_from_the_side_that_the_channel_is_for() -> None:
    assert REQUESTER[Channel.MAIN] is Side.FRONTEND
    assert REQUESTER[Channel.BACKEND] is REQUESTER[Channel.GPU] is Side.BACKEND
    assert sender_of(Channel.MAIN, reply=True) is Side.BACKEND


def test_an_unknown_number_has_a_row_too() -> None:
    assert unknown(4711).name == "UNKNOWN(4711)"
