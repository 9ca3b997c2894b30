import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import KeyRefusal
from keys.identity import kid_of, public_key_from_spki, spki_der

KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
SPKI = spki_der(KEY)


def openssl(*arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "kind", [["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], ["RSA"]], ids=["P-256", "RSA"]
)
def test_the_kid_is_what_openssl_hashes(kind: list[str], tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    openssl("genpkey", "-algorithm", *kind, "-out", str(path))
    der = openssl("pkey", "-in", str(path), "-pubout", "-outform", "DER")
    key = public_key_from_spki(der)
    assert kid_of(key) == hashlib.sha256(der).digest()[:8]
    assert spki_der(key) == der


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
        rsa.RSAPublicNumbers(65537, (1 << 1023) + 1).public_key(),
        rsa.RSAPublicNumbers(65537, (1 << 4096) + 1).public_key(),
    ],
    ids=["P-384", "secp256k1", "Ed25519", "RSA-1024", "RSA-4097"],
)
def test_other_keys_are_refused(key: ec.EllipticCurvePublicKey) -> None:
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for attempt in (lambda: public_key_from_spki(der), lambda: spki_der(key), lambda: kid_of(key)):
        with pytest.raises(KeyRefusal, match="KEY_KIND"):
            attempt()


def test_a_second_spelling_of_a_key_is_refused() -> None:
    compressed = KEY.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    spelling = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + compressed
    with pytest.raises(KeyRefusal, match="KEY_SPKI"):
        public_key_from_spki(spelling)
    with pytest.raises(KeyRefusal, match="KEY_SPKI"):
        public_key_from_spki(SPKI + b"\0")


@given(st.integers(0, len(SPKI) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_is_another_key(position: int, change: int) -> None:
    octets = bytearray(SPKI)
    octets[position] ^= change
    try:
        key = public_key_from_spki(bytes(octets))
    except KeyRefusal:
        return
    assert kid_of(key) != kid_of(KEY)


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(KeyRefusal):
        public_key_from_spki(noise)
