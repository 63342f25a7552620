"""virtio-crypto: data rings, and a control ring behind them (which QEMU answers itself).

Sessions are made by CREATE_CRYPTO_SESSION; its keys and host pointers are never shown unless asked for.
Source: virtio, "Crypto Device".
"""

from vutrace.plugin import HEX, SIZE, Device, Evidence, Layer, flags, le32, le64

FEATURES = {
    0: "VIRTIO_CRYPTO_F_REVISION_1",
    1: "VIRTIO_CRYPTO_F_CIPHER_STATELESS_MODE",
    2: "VIRTIO_CRYPTO_F_HASH_STATELESS_MODE",
    3: "VIRTIO_CRYPTO_F_MAC_STATELESS_MODE",
    4: "VIRTIO_CRYPTO_F_AEAD_STATELESS_MODE",
    5: "VIRTIO_CRYPTO_F_AKCIPHER_STATELESS_MODE",
}
SERVICES = flags({0: "CIPHER", 1: "HASH", 2: "MAC", 3: "AEAD", 4: "AKCIPHER", 5: "IPSEC"})
CIPHERS = flags(
    {
        1: "ARC4",
        2: "AES_ECB",
        3: "AES_CBC",
        4: "AES_CTR",
        5: "DES_ECB",
        6: "DES_CBC",
        7: "3DES_ECB",
        8: "3DES_CBC",
        9: "3DES_CTR",
        10: "KASUMI_F8",
        11: "SNOW3G_UEA2",
        12: "AES_F8",
        13: "AES_XTS",
        14: "ZUC_EEA3",
    }
)
HASHES = flags(
    {
        1: "MD5",
        2: "SHA1",
        3: "SHA_224",
        4: "SHA_256",
        5: "SHA_384",
        6: "SHA_512",
        7: "SHA3_224",
        8: "SHA3_256",
        9: "SHA3_384",
        10: "SHA3_512",
        11: "SHA3_SHAKE128",
        12: "SHA3_SHAKE256",
    }
)
MACS = flags(
    {
        1: "HMAC_MD5",
        2: "HMAC_SHA1",
        3: "HMAC_SHA_224",
        4: "HMAC_SHA_256",
        5: "HMAC_SHA_384",
        6: "HMAC_SHA_512",
        25: "CMAC_3DES",
        26: "CMAC_AES",
        27: "KASUMI_F9",
        28: "SNOW3G_UIA2",
    }
)
# mac_algo_h holds the algorithms from 32 on.
HIGH_MACS = flags(
    {
        9: "GMAC_AES",
        10: "GMAC_TWOFISH",
        17: "CBCMAC_AES",
        18: "CBCMAC_KASUMI_F9",
        21: "XCBC_AES",
        22: "ZUC_EIA3",
    }
)
# virtio has ECDSA where Linux has DSA.
AKCIPHERS = flags({1: "RSA", 2: "ECDSA or DSA", 3: "ECDSA"})


class CryptoConfig(Layer):
    """virtio_crypto_config."""

    name = "crypto config"
    fields_desc = [
        le32("status", flags({0: "HW_READY"})),
        le32("max_dataqueues"),
        le32("crypto_services", SERVICES),
        le32("cipher_algo_l", CIPHERS),
        le32("cipher_algo_h", HEX),
        le32("hash_algo", HASHES),
        le32("mac_algo_l", MACS),
        le32("mac_algo_h", HIGH_MACS),
        le32("aead_algo", flags({1: "GCM", 2: "CCM", 3: "CHACHA20_POLY1305"})),
        le32("max_cipher_key_len", SIZE),
        le32("max_auth_key_len", SIZE),
        le32("akcipher_algo", AKCIPHERS),
        le64("max_size", SIZE),
    ]


def ring_name(index: int, _features: int) -> str:
    """Every ring carries requests, but for the one behind the last."""
    return f"data{index}"


DEVICE = Device(
    "crypto",
    number=20,
    features=FEATURES,
    config=CryptoConfig,
    ring_name=ring_name,
    control_ring="ctrl",
    evidence=Evidence(
        commands=(
            r"\bcryptodev-vhost-user\b",  # QEMU -object
            r"\b(dpdk-)?vhost[-_]crypto\b",  # DPDK's example
            r"\bvirtio-id=20\b",
        ),
        messages=("CREATE_CRYPTO_SESSION", "CLOSE_CRYPTO_SESSION"),
        config_sizes=(56,),
    ),
)
