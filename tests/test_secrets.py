"""Keys and host pointers are in no output unless they are asked for."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from kit.wireshark_json import needs_tshark

from vutrace.capture import Writer
from vutrace.dissection.dissector import Dissector
from vutrace.plugin import SECRET, Channel, Fixed, Layer, Listed, MessageSpec, Nested, Tail, table, u8, u32
from vutrace.protocol.payloads.crypto import AsymmetricCryptoSession, CryptoSession, OldCryptoSession
from vutrace.protocol.wire import REPLY, VERSION
from vutrace.records import Connection, Event, EventKind, Frame, FrameFlag, Side
from vutrace.testing import frame
from vutrace.views.fields import secret_spans
from vutrace.views.hexdump import hexdump
from vutrace.wireshark.tshark import command as tshark

CREATE_CRYPTO_SESSION, EXTERNAL_MAP = 26, 1007
WORD = b"SeCrEt!?"
COMMANDS = {
    "rows": ["show"],
    "tree and bytes": ["show", "-V", "-x"],
    "JSON": ["show", "--json"],
    "export to JSON": ["export", "--format", "json"],
    "export to CSV": ["export", "--format", "csv"],
    "export to Wireshark": ["export", "--format", "wireshark"],
    "web page": ["timeline", "--format", "html"],
    "Perfetto": ["timeline", "--format", "perfetto"],
    "timeline as JSON": ["timeline", "--format", "json"],
    "explain": ["explain", "CREATE_CRYPTO_SESSION", "-r"],
    "replay": ["replay", "--speed", "max"],
}


def filled(layer: type[Layer], word: bytes, **fields: int) -> bytes:
    """A payload with `word` over and over wherever the layer has secrets."""
    data = bytearray(bytes(layer(**fields)))
    for start, stop in secret_spans(layer):
        length = (len(data) if stop is None else stop) - start
        data[start : start + length] = (word * (length // len(word) + 1))[:length]
    return bytes(data)


def messages(word: bytes) -> list[Frame]:
    """Sessions of every layout, whole, cut in many places and with more behind them."""
    new = filled(CryptoSession, word, op_code=2, cipher_alg=3, key_len=16)
    asymmetric = filled(AsymmetricCryptoSession, word, op_code=0x404, algo=1, keylen=512)
    old = filled(OldCryptoSession, word, cipher_alg=3, key_len=16)
    payloads = [new, asymmetric, old, new[:700], new[:70], old[:300], asymmetric[:300], new + word * 40]
    found = [frame(CREATE_CRYPTO_SESSION, payload) for payload in payloads]
    found += [frame(CREATE_CRYPTO_SESSION, payload, flags=VERSION | REPLY) for payload in payloads]
    head = struct.pack("<III", CREATE_CRYPTO_SESSION, VERSION, len(asymmetric))
    data = head + asymmetric[:400]
    found.append(
        Frame(0, 0, 1, Channel.MAIN, Side.FRONTEND, data, (), wire_size=len(data), flags=FrameFlag.PARTIAL)
    )
    external = struct.pack("<B7xQQ", 1, 0, 4096) + word
    return [*found, *(frame(EXTERNAL_MAP, bytes_, Channel.BACKEND) for bytes_ in (external, external[:-1]))]


def written(path: Path, word: bytes) -> Path:
    """A capture of these messages."""
    with Writer(path) as writer:
        writer.write(Connection(0, "front.sock", "back.sock"))
        writer.write(Event(0, 0, 1, EventKind.OPEN, "open"))
        for message in messages(word):
            writer.write(message)
        writer.write(Event(0, 0, 1, EventKind.CLOSE, "closed", sender=Side.FRONTEND))
    return path


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("secrets") / "crypto.pcapng", WORD)


def run(*words: str | Path) -> bytes:
    """What a command prints; 1 is diff's "they differ"."""
    ran = subprocess.run([sys.executable, "-m", "vutrace", *map(str, words)], capture_output=True)
    assert ran.returncode in (0, 1), ran.stderr
    assert b"Traceback" not in ran.stderr
    return ran.stdout + ran.stderr


def leaks(output: bytes, word: bytes = WORD) -> list[bytes]:
    """The word as text, in hex and as a number, wherever it may begin."""
    turns = [(word * 2)[at : at + 8] for at in range(8)]
    forms = [
        form for turn in turns for form in (turn[:6], turn.hex()[:12].encode(), turn.hex(" ")[:17].encode())
    ]
    numbers = [str(number).encode() for turn in turns for number in struct.unpack("<Q", turn)]
    return [
        form for form in [*forms, *(turn.hex(":").encode() for turn in turns), *numbers] if form in output
    ]


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_no_verb_tells_a_key(words: list[str], capture: Path) -> None:
    assert leaks(run(*words, capture)) == []


@pytest.mark.parametrize("name", ["tree and bytes", "JSON", "export to JSON", "export to Wireshark"])
def test_who_asks_for_secrets_gets_them(name: str, capture: Path) -> None:
    assert leaks(run(*COMMANDS[name], "--secrets", capture))


def test_a_comparison_tells_no_key_of_either_side(capture: Path, tmp_path: Path) -> None:
    other = b"sEcReT??"
    told = run("diff", capture, written(tmp_path / "other.pcapng", other))
    assert leaks(told) == []
    assert leaks(told, other) == []


@needs_tshark
def test_wireshark_tells_keys_only_as_the_bytes_that_it_shows_anyway(capture: Path, tmp_path: Path) -> None:
    lua = tmp_path / "vhost_user.lua"
    lua.write_bytes(run("wireshark", "lua"))
    for options in (["-V", "-O", "vhost_user"], ["-T", "json", "-J", "vhost_user"], []):
        command = [*tshark(), "-X", f"lua_script:{lua}", "-r", str(capture), *options]
        assert leaks(subprocess.run(command, capture_output=True, check=True).stdout) == []


def test_an_asymmetric_session_that_breaks_off_is_not_read_as_a_symmetric_one() -> None:
    payload = filled(AsymmetricCryptoSession, WORD, op_code=0x404, keylen=512)
    message = Dissector()(frame(CREATE_CRYPTO_SESSION, payload[:300]))
    assert message.layer is AsymmetricCryptoSession
    assert message.fields["keylen"] == 512


class Entry(Layer):
    name = "entry"
    fields_desc = [u8("kind"), Fixed("secret", 8, SECRET)]


class Vault(Layer):
    name = "vault"
    fields_desc = [u32("count"), Nested("first", Entry), Listed("more", Entry, "count"), Tail("key", SECRET)]


def test_a_plugins_secrets_are_hidden_in_structures_lists_and_tails() -> None:
    entry = Entry(kind=1, secret=WORD)
    payload = bytes(Vault(count=2, first=entry, more=[entry, entry], key=WORD * 3))
    dissect = Dissector({Channel.MAIN: table(MessageSpec(2001, "ACME_VAULT", (Vault,)))})
    shown = "\n".join(hexdump(dissect(frame(2001, payload)))).encode()
    assert leaks(shown) == []
    assert b"\n0010  01 **" in shown
