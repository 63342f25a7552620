"""`vutrace.scapy`: what it builds and dissects is what vutrace reads, and what a socket carries."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from kit.wireshark_messages import frames
from scapy.packet import Packet, fuzz
from scapy.utils import rdpcap

from vutrace.capture import read
from vutrace.dissection.dissector import Dissector
from vutrace.dissection.registry import load
from vutrace.protocol.layers import in_order
from vutrace.protocol.wire import REPLY
from vutrace.records import Connection, Event, Frame, FrameFlag
from vutrace.scapy import (
    CLASSES,
    HEADERS,
    MESSAGE_CLASSES,
    GetFeaturesReply,
    SetOwner,
    SetVringAddr,
    SetVringKick,
    UpperPdu,
    VhostUser,
)

CAPTURES = sorted((Path(__file__).parents[1] / "captures").glob("*.pcapng"))
REGISTRY = load()
DISSECT = Dissector(REGISTRY.messages)


def test_a_header_knows_its_message_and_its_size() -> None:
    assert bytes(VhostUser() / SetOwner()).hex() == "030000000100000000000000"
    built = bytes(VhostUser() / SetVringAddr(index=1, descriptor=0x1000))
    assert built[:12].hex() == "090000000100000028000000"
    assert VhostUser(built)[SetVringAddr].descriptor == 0x1000
    assert bytes(VhostUser() / GetFeaturesReply(features=1))[4:8] == b"\x05\0\0\0"


def test_a_size_that_is_given_stays() -> None:
    assert bytes(VhostUser(size=3) / SetOwner())[8:] == b"\x03\0\0\0"


def test_a_big_endian_host() -> None:
    header = in_order(VhostUser, True)
    built = bytes(header() / in_order(SetVringKick, True)(u64=1))
    assert built.hex() == "0000000c0000000100000008" + "0000000000000001"


@pytest.mark.parametrize("name", sorted(MESSAGE_CLASSES))
def test_every_message_builds_dissects_shows_and_fuzzes(name: str) -> None:
    each = MESSAGE_CLASSES[name]
    channel = next(channel for (channel, *_), made in CLASSES.items() if made is each)
    header = HEADERS[channel]
    packet: Packet = header() / each()
    again = header(bytes(packet))
    assert bytes(again) == bytes(packet)
    assert again.show(dump=True)
    assert len(bytes(fuzz(header() / each()))) >= 12


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(frames(REGISTRY))
def test_it_takes_the_layout_that_vutrace_takes(frame: Frame) -> None:
    if frame.flags is not FrameFlag.NONE or len(frame.data) < 12:
        return
    message = DISSECT(frame)
    packet = in_order(HEADERS[frame.channel], frame.big_endian)(frame.data)
    assert bytes(packet) == frame.data
    announced = packet.size == len(frame.data) - 12
    if message.reply is not bool(packet.flags & REPLY):
        return  # on the GPU channel the sender tells, whom a header does not name
    key = (frame.channel, message.request, message.reply, message.layer)
    if announced and packet.payload and key in CLASSES:
        assert isinstance(packet.payload, in_order(CLASSES[key], frame.big_endian))


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_rdpcap_gives_the_layers_and_the_records(capture: Path) -> None:
    records = [item for item in read(capture) if not isinstance(item, Connection)]
    packets = rdpcap(str(capture))
    assert len(packets) == len(records)
    for packet, record in zip(packets, records, strict=True):
        assert bytes(packet) == packet.original
        assert isinstance(packet.record, type(record))
        if isinstance(record, Event):
            continue
        assert packet.record.fds == record.fds
        # scapy reads no more than 65,535 bytes of a packet
        assert packet.record.data == record.data or len(packet.original) == 0xFFFF
        assert record.data.startswith(packet.record.data)
        header = packet[HEADERS[record.channel]]
        assert header.request == DISSECT(record).request


def test_a_packet_that_is_not_ours_is_raw() -> None:
    packet = UpperPdu(b"\0\x0c\0\x04http\0\0\0\0GET /")
    assert packet.record is None
    assert bytes(packet) == b"\0\x0c\0\x04http\0\0\0\0GET /"


def test_a_message_goes_over_a_socket_with_its_descriptor() -> None:
    ours, theirs = socket.socketpair()
    event = os.eventfd(0)
    socket.send_fds(ours, [bytes(VhostUser() / SetVringKick(u64=0))], [event])
    data, fds, _, _ = socket.recv_fds(theirs, 100, 1)
    assert VhostUser(data)[SetVringKick].u64 == 0
    assert len(fds) == 1
    for fd in (*fds, event):
        os.close(fd)
    ours.close()
    theirs.close()
