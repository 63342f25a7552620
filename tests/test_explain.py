"""`vutrace explain`: a message, a bit, a mask, a status, an error text; and where it went wrong."""

import re
import struct
import subprocess
import sys
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vutrace.dissection.device import Device
from vutrace.dissection.registry import Plugin, Registry, load
from vutrace.protocol.messages import TABLES
from vutrace.protocol.wire import NEED_REPLY, REPLY, VERSION
from vutrace.records import Event, EventKind, Record, Side
from vutrace.rules.judge import Judge
from vutrace.session.tracker import Tracker
from vutrace.testing import frame
from vutrace.views.explain.answer import Explainer
from vutrace.views.explain.capture import look, report
from vutrace.views.explain.errors import ERROR_TEXTS, SYSTEM_ERRORS, found_in

REGISTRY = load()
EXPLAIN = Explainer(REGISTRY)
CAPTURES = Path(__file__).parent.parent / "captures"

CASCADE = """
qemu-system-x86_64: Failed to read msg header. Read -1 instead of 12. Original request 40.
qemu-system-x86_64: Failed to write msg. Wrote -1 instead of 20.
qemu-system-x86_64: Failed to set msg fds.
qemu-system-x86_64: vhost VQ 3 ring restore failed: -22: Invalid argument (22)
qemu-system-x86_64: vhost_set_vring_call failed 22
"""

# Lines as the programs print them, and a word that only the right answer has.
PASTED = {
    "Failed to read msg header. Flags 0xd instead of 0x5.": "left NEED_REPLY in it",
    "Received unexpected msg type. Expected 18 received 13": "SET_VRING_ENABLE",
    "Received bad msg size.": "size that its message demands",
    "vhost_set_vring_call failed: Invalid argument (22)": "EINVAL",
    "vhost_set_mem_table failed: Input/output error (5)": "SET_MEM_TABLE",
    "vhost VQ 0 ring restore failed: -5: Input/output error (5)": "GET_VRING_BASE",
    "you are asking more queues than supported: 1": "GET_QUEUE_NUM",
    "Failed initializing vhost-user memory map, consider using share=on": "share=on",
    "vhost lacks feature mask 0x40000000 for backend": "VHOST_USER_F_PROTOCOL_FEATURES",
    "vhost-user-blk: get block config failed": "GET_CONFIG",
    "vhost vring error in virtqueue 1: Invalid argument (22)": "SET_VRING_ERR",
    "vhost_user_write req:13 flags:0x1": "SET_VRING_CALL was sent",
    "12@1700000000.1:vhost_user_read req:1 flags:0x5": "a reply to GET_FEATURES came in",
    "req:18 flags:0x9": "0x9: version 1, NEED_REPLY",
    "Unexpected end-of-file before all bytes were read": "closed the connection",
    "Error starting vhost: 5": "EIO",
    "vhost_set_features failed: Protocol error (71)": "EPROTO",
    "QEMU waiting for connection on: disconnected:unix:/tmp/v.sock,server=on": "listens at unix:/tmp/v.sock ",
    "Vhost user backend fails to broadcast fake RARP": "SEND_RARP",
    "a used vhost backend has no free memory slots left": "GET_MAX_MEM_SLOTS",
    "Error getting inflight: -71": "GET_INFLIGHT_FD",
    "Invalid vring_kick message": "SET_VRING_KICK could not",
    "Error processing vhost message": "gives up the connection",
    "VHOST_USER_ADD_MEM_REG received 0 fds - only 1 fd should be sent for this message type": "ADD_MEM_REG",
    "Error: too big message request: 5, size: vmsg->size: 9999, while sizeof": "SET_MEM_TABLE announces 9999",
    "VHOST_CONFIG: vring call idx:0 file:24": "SET_VRING_CALL of ring 0",
    "VHOST_CONFIG: (/tmp/s) recvmsg failed on fd 8 (Connection reset by peer)": "front-end has gone",
    "VHOST_CONFIG: (/tmp/s) features changed while device is running.": "SET_FEATURES",
    "Slave replied NACK to request type (5)": "refused SET_MEM_TABLE",
    "VHOST_CONFIG: failed to connect to /tmp/v.sock: Connection refused": "nobody listens",
    "Failed to connect to '/tmp/v.sock': No such file or directory": "side that listens",
    "Waiting for daemon failed: HandleRequest(InvalidParam)": "value in the last message",
    "DeviceManager(VhostUserNet(VhostUserProtocol(PartialMessage)))": "sent less than the header says",
    "vhost device 0: Failed to get guest memory table": "no longer knew the device",
    "Failed to get negotiated driver features": "no longer knew the device",
    "Only one vhost-user client is allowed to connect to the server in the same time": "second front-end",
    "VHOST_CONFIG: (s) failed to enable vring. Inflight packets must be completed": "SET_VRING_ENABLE 1",
    "Failed preparing vhost-user memory table msg": "more than the 8 regions",
    "vhost_user_write req:11 (GET_VRING_BASE) flags:0x1": "GET_VRING_BASE was sent",
    "vhost_user_read req:11 (GET_VRING_BASE) flags:0x5": "a reply to GET_VRING_BASE came in",
    "vhost_set_mem_table failed: Invalid argument (22)": "share=on",
    "vhost_set_mem_table failed: Invalid argument": "share=on",
    "VHOST_CONFIG: virtio is not ready for processing.": "no error",
    "qemu: unable to start vhost net: 22: falling back on userspace virtio": "share=on",
    "unable to start vhost net: 5: falling back on userspace virtio": "EIO",
    "Read 0 instead of 12. Original request 1.": "it had read the request and then closed",
    'qemu-system-x86_64: chardev "c0" went down': "took the guest's link down",
    "VHOST_CONFIG: (/tmp/s) vhost-user client: socket created, fd: 55": "server=on",
    "VHOST_CONFIG: (/tmp/s) new device status(0x0000000f):": "DRIVER_OK",
    "netdev_dpdk|INFO|vHost Device '/tmp/s' connection has been destroyed": "connection of that port ended",
    "State of queue 0 ( tx_qid 0 ) of vhost device '/tmp/s' changed to 'enabled'": "was enabled",
    "dpdkvhostuser ports are considered deprecated;  please migrate": "dpdkvhostuserclient port",
    "send VHOST_USER_SET_VRING_KICK: some failure": "it speaks of SET_VRING_KICK",
    "some failure (request 16)": "SET_PROTOCOL_FEATURES",
    "(s) expect 1 FDs for request VHOST_USER_SET_VRING_CALL, received 0": "0 descriptors where 1",
    "VHOST_CONFIG: (/tmp/s) vhost message (req: 34) was not handled.": "RESET_DEVICE",
    "VHOST_CONFIG: (/tmp/s) vhost message handling failed.": "closes the connection",
    "VHOST_CONFIG: (/tmp/s) processing VHOST_USER_SET_FEATURES failed.": "SET_FEATURES",
    "VHOST_CONFIG: (/tmp/s) received invalid negotiated features.": "did not offer",
    "VHOST_CONFIG: (/tmp/s) invalid vring index: 4": "ring 4",
    "VHOST_CONFIG: (/tmp/s) failed to map desc ring.": "no memory region",
    "VHOST_CONFIG: (/tmp/s) mmap failed (Cannot allocate memory).": "could not be mapped",
    "VHOST_CONFIG: (/tmp/s) negotiated Vhost-user protocol features: 0x11ebf": "INFLIGHT_SHMFD",
    "VHOST_CONFIG: (/tmp/s) negotiated Virtio features: 0x150208000": "VIRTIO_F_VERSION_1",
    "VHOST_CONFIG: (/tmp/s) vhost peer closed": "front-end closed",
    "vhost_user_read(): Failed to recv msg hdr: 0 instead of 12.": "back-end closed",
    "Fatal error: failed to handle request: invalid parameters": "larger than the back-end",
    "Error: HandleRequest(inactive protocol operation: 32)": "BACKEND_REQ",
    "handler failed to handle request: wrong number of attached fds": "more or fewer descriptors",
    "vhost.c:1089:start_device: *ERROR*: vhost device 0: Guest memory size is not a 2MB multiple": "2 MiB",
    "vhost_vring_desc_payload_to_iov: *ERROR*: gpa_to_vva((nil)) == NULL": "no memory region that SPDK",
}


def said(what: str, device: str = "") -> str:
    return "\n".join((Explainer(REGISTRY, device) if device else EXPLAIN).answer(what).lines)


def test_a_message_is_told_in_full() -> None:
    assert said("set_mem_table") == (
        """\
SET_MEM_TABLE: request 5, front-end to back-end (main channel)
  also      VHOST_USER_SET_MEM_TABLE
  request   memory table, 8 bytes or more
                 0    4  nregions
                 4    4  padding
                 8    …  regions            memory region, 32 bytes each
            or Xen memory table, 8 bytes or more
                 0    4  nregions
                 4    4  padding
                 8    …  regions            Xen memory region, 40 bytes each
  reply     with NEED_REPLY; a table of back-end addresses in postcopy
            memory table, 8 bytes or more
                 0    4  nregions
                 4    4  padding
                 8    …  regions            memory region, 32 bytes each
            or Xen memory table, 8 bytes or more
                 0    4  nregions
                 4    4  padding
                 8    …  regions            Xen memory region, 40 bytes each
  fds       1 per region
  sent      by QEMU since 2.1
  once      QEMU since 2.5: once per device, not per queue pair
  spec      vhost-user.rst, "VHOST_USER_SET_MEM_TABLE\""""
    )


@pytest.mark.parametrize("name", [spec.name for table in TABLES.values() for spec in table.values()])
def test_every_message_is_known_by_name_and_number(name: str) -> None:
    lines = EXPLAIN.answer(name).lines
    number = re.search(r"request (\d+),", lines[0])
    assert number
    assert name in {line.partition(":")[0] for line in EXPLAIN.answer(number[1]).lines}


def test_an_older_name_and_the_prefix_are_taken() -> None:
    assert said("VHOST_USER_SET_SLAVE_REQ_FD").startswith("SET_BACKEND_REQ_FD: request 21")


def test_a_number_of_several_channels_is_told_for_each() -> None:
    assert [line for line in said("9").splitlines() if "request 9," in line] == [
        "SET_VRING_ADDR: request 9, front-end to back-end (main channel)",
        "BACKEND_SHMEM_MAP: request 9, back-end to front-end (backend channel)",
        "GPU_DMABUF_SCANOUT: request 9, back-end to front-end (gpu channel)",
    ]


def test_a_mask_of_a_device_is_told_bit_by_bit() -> None:
    assert said("0x950448000", "net").splitlines()[:4] == [
        "0x950448000 as virtio features of net (GET_FEATURES, SET_FEATURES)",
        "  virtio-net header: 12 bytes (VIRTIO_F_VERSION_1)",
        "    15 VIRTIO_NET_F_MRG_RXBUF",
        "    18 VIRTIO_NET_F_CTRL_RX",
    ]


@pytest.mark.parametrize("name", ["SetVringCall", "set vring call", "request 13", "req:13"])
def test_a_message_is_known_as_other_programs_write_it(name: str) -> None:
    assert said(name).startswith("SET_VRING_CALL: request 13")


def test_a_decimal_number_that_is_no_message_is_a_mask() -> None:
    assert said(str(0x950448000), "net") == said("0x950448000", "net")
    assert said(str(0x10CBF)) == said("0x10cbf")
    assert said("feature 30") == said("virtio bit 30")


def test_the_flags_of_a_header_are_told() -> None:
    assert said("flags 0x9").splitlines()[1:] == ["     0 version 1", "     3 NEED_REPLY"]
    assert "only with REPLY_ACK" in said("NEED_REPLY")


def test_a_dissectors_notes_that_raise_are_a_line() -> None:
    def raising(features: int) -> list[str]:
        raise KeyError("notes")

    odd = Registry({"odd": Plugin(Device("odd", notes=raising), "tests")})
    assert "  dissector odd: KeyError: 'notes'" in Explainer(odd, "odd").answer("features 0x100000000").lines


def test_a_mask_is_told_in_every_space_that_it_may_belong_to() -> None:
    lines = said("0x10cbf").splitlines()
    assert [line.split(" as ")[1].split(" (")[0] for line in lines if line.startswith("0x")] == [
        "protocol features",
        "virtio features",
    ]
    assert "  what DPDK's vhost-net offers, with STATUS" in lines


def test_a_status_is_told_with_what_it_means() -> None:
    assert said("status 15").splitlines()[:2] == [
        "0xf as device status (SET_STATUS, GET_STATUS)",
        "  the driver is up: the device may work",
    ]


@pytest.mark.parametrize("name", ["MRG_RXBUF", "VIRTIO_NET_F_MRG_RXBUF", "virtio_net_f_mrg_rxbuf"])
def test_a_feature_is_known_by_its_name(name: str) -> None:
    assert said(name) == "VIRTIO_NET_F_MRG_RXBUF: bit 15 (0x8000) of the virtio features of net"


def test_a_features_messages_and_older_names_are_told() -> None:
    assert said("protocol bit 5") == said("SLAVE_REQ")
    assert said("SLAVE_REQ").splitlines()[1:] == ["  also      SLAVE_REQ", "  opens     SET_BACKEND_REQ_FD"]


def test_bit_21_tells_of_its_conflict() -> None:
    assert "SHMEM in rust-vmm <= 0.16" in said("bit 21")


def test_the_narrower_of_two_rows_for_the_same_words_is_the_answer() -> None:
    (match,) = found_in("vhost_set_mem_table failed: Invalid argument (22)")
    assert "share=on" in match.text.look


@pytest.mark.parametrize(("text", "word"), PASTED.items())
def test_pasted_errors_are_explained(text: str, word: str) -> None:
    assert word in said(text)


def test_of_a_cascade_the_first_line_is_told_first_with_its_message() -> None:
    answer = EXPLAIN.answer(CASCADE)
    assert answer.lines[:3] == [
        "5 kinds of errors; the first is nearest to the cause",
        "QEMU: Failed to read msg header. Read -1 instead of 12. Original request 40",
        "  means     QEMU waited for the reply to GET_STATUS and found the connection closed "
        "(-1: the back-end went away without having read this request; "
        "0: it had read the request and then closed, or was gone before)",
    ]
    assert answer.messages == {"GET_STATUS"}


def test_what_is_wrapped_is_told_before_what_wraps_it() -> None:
    broken = (
        "Error: VhostUserSetVringBase(VhostUserProtocol(SocketBroken(Os { code: 32, kind: BrokenPipe })))"
    )
    answer = EXPLAIN.answer(broken)
    who = [line for line in answer.lines if line.startswith(("rust-vmm", "cloud-hypervisor"))]
    assert who == ["rust-vmm: SocketBroken", "cloud-hypervisor: VhostUserSetVringBase"]
    assert answer.messages == {"SET_VRING_BASE"}


def test_every_error_text_names_only_groups_that_it_has_and_messages_that_exist() -> None:
    names = {spec.name for table in TABLES.values() for spec in table.values()}
    for row in (*ERROR_TEXTS, *SYSTEM_ERRORS):
        optional = {"errno", "request", "mask"}
        used = {name for _, name, _, _ in Formatter().parse(row.means) if name}
        assert used - {"name"} <= set(re.compile(row.pattern).groupindex) - optional, row
        assert not row.message or row.message in names, row


@given(st.text() | st.from_regex(r"(status|bit|protocol|gpu|0x)? ?[0-9a-f]{1,30}"))
def test_nothing_that_is_asked_raises(what: str) -> None:
    EXPLAIN.answer(what)
    found_in(what)


def records(*frames: Record) -> list[Record]:
    close = Event(9, 0, 1, EventKind.CLOSE, "the backend closed", sender=Side.BACKEND)
    return [Event(0, 0, 1, EventKind.OPEN, "connected"), *frames, close]


def told(*frames: Record, names: frozenset[str] = frozenset()) -> list[str]:
    rows = Judge().rows(Tracker(REGISTRY).rows(records(*frames)))
    return list(report("x.pcapng", look(rows, names), names))


def test_the_first_refusal_is_found_with_what_came_before() -> None:
    asked = frame(5, struct.pack("<II", 0, 0), flags=VERSION | NEED_REPLY)
    refused = frame(5, struct.pack("<Q", 1), flags=VERSION | REPLY)
    lines = told(asked, refused)
    assert lines[0] == "in x.pcapng: it first went wrong here"
    assert "SET_MEM_TABLE" in lines[2]
    assert "It first went wrong at [3]: the back-end refused SET_MEM_TABLE [2]" in lines[-1]
    assert any("! SET_MEM_TABLE [2] was refused: 1" in line for line in lines)


def test_a_reply_that_never_came_is_found_and_the_message_that_was_asked_about() -> None:
    lines = told(frame(40, b""), names=frozenset({"GET_STATUS"}))
    assert lines[0] == "in x.pcapng: GET_STATUS once, [2]"
    assert any("GET_STATUS [2] was never answered" in line for line in lines)
    assert "connection A, session 1: The back-end left: never got past GET_STATUS [2]" in lines[-1]


@pytest.mark.parametrize("capture", sorted(CAPTURES.glob("*.pcapng")), ids=lambda path: path.stem)
def test_captures_of_real_programs_are_told(capture: Path) -> None:
    command = [sys.executable, "-m", "vutrace", "explain", "-r", str(capture)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(f"in {capture}: ")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["--device", "net", "0x950448000"], 0, "0x950448000 as virtio features of net"),
        (["Read", "-1", "instead", "of", "12."], 0, "QEMU: Read -1 instead of 12"),
        (["SET_VRING_CAL"], 2, "vutrace: nothing is known of 'SET_VRING_CAL'; like it: SET_VRING_CALL"),
        ([], 2, "vutrace: what shall be explained?"),
        (["-r", "no-such-file"], 3, "no-such-file"),
    ],
)
def test_the_verb_answers(words: list[str], status: int, text: str) -> None:
    command = [sys.executable, "-m", "vutrace", "explain", *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == status
    assert text in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_log_is_read_from_stdin() -> None:
    command = [sys.executable, "-m", "vutrace", "explain", "-"]
    ran = subprocess.run(command, input=CASCADE, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("5 kinds of errors")


def test_a_device_by_its_name() -> None:
    assert EXPLAIN.answer("fs").lines == [
        "fs: virtio device 26",
        "  features   0 VIRTIO_FS_F_NOTIFICATION",
        "  config    fs config, 44 bytes",
        "                 0   36  tag                NUL-padded text",
        "                36    4  num_request_queues",
        "                40    4  notify_buf_size    bytes",
        "  rings     hiprio, req0, req1, req2, …",
    ]


@pytest.mark.parametrize("device", [device.name for device in REGISTRY.devices])
def test_every_device_is_explained(device: str) -> None:
    assert EXPLAIN.answer(device.upper()).lines[0].startswith(f"{device}: virtio device ")


def test_sessions_that_fail_alike_are_one_line() -> None:
    sessions: list[Record] = []
    for number in range(1, 11):
        opened = Event(number * 10**9, 0, number, EventKind.OPEN, "open")
        closed = Event(number * 10**9 + 1, 0, number, EventKind.CLOSE, "closed", sender=Side.FRONTEND)
        sessions += [opened, closed]
    lines = list(report("x", look(Judge().rows(Tracker(REGISTRY).rows(sessions)), frozenset()), frozenset()))
    assert lines[-2].startswith("  connection A, session 1: The front-end left")
    assert lines[-1] == "  sessions 2–10: the same, 1/s"


def test_what_is_looked_for_after_an_orderly_end_did_not_go_wrong() -> None:
    capture = CAPTURES / "virtio-user-server-testpmd-client.pcapng"
    command = [sys.executable, "-m", "vutrace", "explain", "-r", str(capture)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "nothing went wrong in 56 rows" in ran.stdout
    assert "session 1: Orderly: the front-end (dpdk-testpmd, pid 16379) left after 4 rings" in ran.stdout
