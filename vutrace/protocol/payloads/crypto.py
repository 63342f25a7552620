"""Crypto sessions, in the two sizes and four layouts they have had. Keys and host pointers are secret."""

from typing import Any

from scapy.fields import Field

from vutrace.protocol.layers import Fixed, Layer, i64, pad, u8, u32, u64
from vutrace.protocol.shows import SECRET, enum

CRYPTO_OPERATIONS = {
    0x002: "CIPHER_CREATE_SESSION",
    0x102: "HASH_CREATE_SESSION",
    0x202: "MAC_CREATE_SESSION",
    0x302: "AEAD_CREATE_SESSION",
    0x404: "AKCIPHER_CREATE_SESSION",
}

SESSION = (
    "[reply?[session_id<0?{session_id:status}|session {session_id}]"
    "|cipher {cipher_alg} with {key_len} bytes of key, hash {hash_alg}]"
)

SYMMETRIC: list[Field[Any, Any]] = [
    u32("cipher_alg"),
    u32("key_len"),
    u32("hash_alg"),
    u32("hash_result_len"),
    u32("auth_key_len"),
    u32("add_len"),
    u8("op_type", enum({0: "none", 1: "cipher", 2: "algorithm chaining"})),
    u8("direction", enum({1: "encrypt", 2: "decrypt"})),
    u8("hash_mode"),
    u8("alg_chain_order"),
    pad(4),
    u64("cipher_key_pointer", SECRET),
    u64("auth_key_pointer", SECRET),
    Fixed("key", 64, SECRET),
    Fixed("auth_key", 512, SECRET),
]


class CryptoSession(Layer):
    """A crypto session as QEMU 8.1 and later and DPDK lay it out (1072 bytes)."""

    name = "crypto session"
    words = SESSION
    fields_desc = [
        u64("op_code", enum(CRYPTO_OPERATIONS)),
        *SYMMETRIC,
        Fixed("asymmetric", 432, SECRET),
        i64("session_id"),
    ]


class AsymmetricCryptoSession(Layer):
    """The same 1072 bytes for an asymmetric cipher: op_code is VIRTIO_CRYPTO_AKCIPHER_CREATE_SESSION."""

    name = "asymmetric crypto session"
    marks = ("op_code", frozenset([0x404]))
    fields_desc = [
        u64("op_code", enum(CRYPTO_OPERATIONS)),
        u32("algo"),
        u32("keytype", enum({1: "public", 2: "private"})),
        u32("keylen"),
        pad(4),
        u64("key_pointer", SECRET),
        u32("rsa_padding_algo", enum({0: "raw", 1: "PKCS1"})),
        u32("rsa_hash_algo"),
        Fixed("key", 1024, SECRET),
        i64("session_id"),
    ]


class OldCryptoSession(Layer):
    """A crypto session of QEMU 7.1 to 8.0 (632 bytes)."""

    name = "crypto session (QEMU before 8.1)"
    words = SESSION
    fields_desc = [i64("session_id"), *SYMMETRIC]


class EarlyCryptoSession(Layer):
    """A crypto session of QEMU 2.12 to 7.0 (632 bytes): op_code where later versions have cipher_alg.

    Its op_type stands where the later layout has padding. Source: QEMU, include/sysemu/cryptodev.h.
    """

    name = "crypto session (QEMU before 7.1)"
    words = SESSION
    marks = ("op_type", frozenset([1, 2]))
    fields_desc = [
        i64("session_id"),
        u32("op_code", enum(CRYPTO_OPERATIONS)),
        *SYMMETRIC[:10],
        *SYMMETRIC[11:],
    ]


class CryptoSessionId(Layer):
    """CLOSE_CRYPTO_SESSION's payload."""

    name = "crypto session id"
    words = "session {session_id}"
    fields_desc = [u64("session_id")]
