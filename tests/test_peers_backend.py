"""The model back-end's rules, after DPDK's: readiness, replies, descriptors, both socket roles."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.peers_stage import Stage, dissect

from vutrace.dissection.message import Message
from vutrace.peers import DPDK_22_11, PROFILES, READY, STOPPED, BackEnd, FrontEnd, Offer, Server
from vutrace.peers.encode import SPECS, encode_request
from vutrace.peers.memory import GuestMemory
from vutrace.protocol import payloads as p
from vutrace.protocol.layers import Empty, Layer
from vutrace.records import Channel, FdInfo, FdKind, Frame, Side


class Talk:
    """Requests to a back-end without a socket."""

    def __init__(self, offer: Offer = DPDK_22_11) -> None:
        self.remarks: list[str] = []
        self.backend = BackEnd(offer, self.remarks.append)

    def say(
        self, name: str, payload: Layer | None = None, fd: int | None = None, ask: bool = False
    ) -> Message | None:
        """Send a request; its answer."""
        data = encode_request(SPECS[name], payload or Empty(), ask)
        fds = [] if fd is None else [os.dup(fd)]
        infos = (FdInfo(FdKind.OTHER),) * len(fds)
        frame = Frame(0, 0, 1, Channel.MAIN, Side.FRONTEND, data, infos, wire_size=len(data))
        answer = self.backend.handle(dissect(frame), fds)
        for left in fds:
            os.close(left)
        return dissect(Frame(0, 0, 1, Channel.MAIN, Side.BACKEND, answer)) if answer else None

    def ring(self, index: int, memory: GuestMemory) -> None:
        """All that a ring needs but to be enabled."""
        self.say("SET_VRING_ADDR", memory.ring_address(index))
        self.say("SET_VRING_KICK", p.VringFd(u64=index), fd=memory.fd)
        self.say("SET_VRING_CALL", p.VringFd(u64=index | 0x100))


@pytest.fixture
def memory() -> Iterator[GuestMemory]:
    memory = GuestMemory(4, 0, 0x7F00_0000_0000)
    yield memory
    memory.close()


def prepared(memory: GuestMemory, protocol: int = 0) -> Talk:
    """A back-end that is ready but for its rings."""
    talk = Talk()
    talk.say("SET_PROTOCOL_FEATURES", p.ProtocolFeatures(protocol_features=protocol))
    talk.say("SET_FEATURES", p.Features(features=1 << 30 | 1 << 22))
    talk.say("SET_MEM_TABLE", p.MemoryTable(nregions=1, regions=[memory.region()]), fd=memory.fd)
    return talk


def test_ready_when_both_rings_of_the_first_pair_are_and_are_enabled(memory: GuestMemory) -> None:
    talk = prepared(memory)
    for ring in (0, 1):
        talk.ring(ring, memory)
    talk.say("SET_VRING_ENABLE", p.VringEnable(index=0, num=1))
    assert talk.remarks == []
    talk.say("SET_VRING_ENABLE", p.VringEnable(index=1, num=1))
    assert talk.remarks == [READY]


def test_with_status_the_driver_has_to_be_ready_too(memory: GuestMemory) -> None:
    talk = prepared(memory, protocol=1 << 16)
    for ring in (0, 1):
        talk.ring(ring, memory)
        talk.say("SET_VRING_ENABLE", p.VringEnable(index=ring, num=1))
    assert talk.remarks == []
    talk.say("SET_STATUS", p.Status(status=0x0F))
    assert talk.remarks == [READY]


def test_without_protocol_features_a_kicked_ring_is_enabled(memory: GuestMemory) -> None:
    talk = prepared(memory)
    talk.say("SET_FEATURES", p.Features(features=0))
    for ring in (0, 1):
        talk.ring(ring, memory)
    assert talk.remarks == [READY]


def test_get_vring_base_of_any_ring_stops_the_device_and_forgets_that_ring(memory: GuestMemory) -> None:
    talk = prepared(memory)
    for ring in (0, 1):
        talk.say("SET_VRING_BASE", p.VringBase(index=ring, num=7))
        talk.ring(ring, memory)
        talk.say("SET_VRING_ENABLE", p.VringEnable(index=ring, num=1))
    base = talk.say("GET_VRING_BASE", p.VringState(index=1))
    assert base is not None
    assert base.fields == {"index": 1, "num": 7}
    assert talk.remarks == [READY, STOPPED]
    talk.ring(1, memory)
    assert talk.remarks == [READY, STOPPED, READY]


def test_need_reply_is_answered_whether_or_not_reply_ack_was_negotiated() -> None:
    talk = Talk()
    answer = talk.say("SET_OWNER", ask=True)
    assert answer is not None
    assert answer.fields == {"status": 0}
    assert talk.say("SET_OWNER") is None


def test_need_reply_adds_nothing_to_a_reply_of_its_own() -> None:
    answer = Talk().say("GET_FEATURES", ask=True)
    assert answer is not None
    assert answer.fields == {"features": DPDK_22_11.features}
    assert not answer.need_reply


def test_set_log_base_is_answered_with_nothing(memory: GuestMemory) -> None:
    answer = Talk().say("SET_LOG_BASE", p.Log(mmap_size=4096), fd=memory.fd)
    assert answer is not None
    assert answer.payload == b""


def test_the_same_memory_again_is_not_mapped_again(memory: GuestMemory) -> None:
    talk = prepared(memory)
    mapped = talk.backend.state.memory.regions[0]
    talk.say("SET_MEM_TABLE", p.MemoryTable(nregions=1, regions=[memory.region()]), fd=memory.fd)
    assert talk.backend.state.memory.regions[0] is mapped


def test_memory_can_be_added_and_removed(memory: GuestMemory) -> None:
    talk = Talk()
    talk.say("ADD_MEM_REG", p.SingleRegion(region=memory.region()), fd=memory.fd)
    assert len(talk.backend.state.memory.regions) == 1
    talk.say("REM_MEM_REG", p.SingleRegion(region=memory.region()))
    assert talk.backend.state.memory.regions == []
    answer = talk.say("REM_MEM_REG", p.SingleRegion(region=memory.region()), ask=True)
    assert answer is not None
    assert answer.fields == {"status": 1}


def test_without_mq_the_rings_beyond_the_first_pair_go() -> None:
    talk = Talk()
    for ring in range(4):
        talk.say("SET_VRING_CALL", p.VringFd(u64=ring | 0x100))
    talk.say("SET_FEATURES", p.Features(features=1 << 30))
    assert sorted(talk.backend.state.rings) == [0, 1]


def test_configuration_space_where_there_is_one() -> None:
    ask = p.Config(offset=2, size=4, data=bytes(4))
    answer = Talk(Offer(0, 1 << 9, 1, config=bytes(range(8)))).say("GET_CONFIG", ask)
    assert answer is not None
    assert answer.fields["data"] == bytes([2, 3, 4, 5])
    answer = Talk().say("GET_CONFIG", ask)
    assert answer is not None
    assert answer.payload == b""  # "zero length to indicate an error"


def test_many_front_ends_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "back.sock")
    with Server(path) as server:
        frontends = [FrontEnd(profile, pairs=2) for profile in PROFILES.values()]
        for act in (lambda one: one.connect(path), FrontEnd.write_features, FrontEnd.start):
            for frontend in frontends:
                act(frontend)
        server.journal.wait(READY, 5, count=len(frontends))
        for frontend in frontends:
            frontend.close()
    assert not Path(path).exists()


def test_a_back_end_that_connects_and_connects_again(tmp_path: Path) -> None:
    path = str(tmp_path / "front.sock")
    with socket.socket(socket.AF_UNIX) as listener, FrontEnd(PROFILES["qemu-7.2"]) as frontend:
        listener.bind(path)
        listener.listen()
        with Server(path, client=True) as server:
            for count in (1, 2):
                frontend.accept(listener)
                frontend.write_features()
                frontend.start()
                server.journal.wait(READY, 5, count)
                frontend.disconnect()


def test_a_back_end_that_goes_is_noticed_and_found_again(tmp_path: Path) -> None:
    path = str(tmp_path / "back.sock")
    with FrontEnd(PROFILES["qemu-10"], pairs=2) as frontend:
        with Server(path):
            frontend.connect(path)
            frontend.write_features()
            frontend.start()
        frontend.wait_lost()
        with Server(path) as server:
            frontend.reconnect(path)
            server.journal.wait(READY, 5)


def test_the_back_end_keeps_the_latest_channel_and_closes_the_one_before() -> None:
    stage = Stage("qemu-2.10", 2)
    stage.frontend.attach(stage.backend())
    first, second = stage.frontend.device.channels._ours
    first.settimeout(5)
    assert first.recv(1) == b""
    second.setblocking(False)
    with pytest.raises(BlockingIOError):
        second.recv(1)
    stage.end()
