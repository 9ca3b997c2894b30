import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import KeyRefusal
from keys.file_backend import FileKeyStore
from keys.identity import spki_der
from keys.private_key_files import read_p12, read_pem


def openssl(*arguments: str | Path) -> bytes:
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=True).stdout


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path)
    return path


@pytest.fixture
def p12(tmp_path: Path, pem: Path) -> Path:
    certificate, path = tmp_path / "cert.pem", tmp_path / "pass.p12"
    openssl("req", "-x509", "-key", pem, "-subj", "/CN=Demo", "-days", "1", "-out", certificate)
    openssl("pkcs12", "-export", "-inkey", pem, "-in", certificate, "-passout", "pass:geheim", "-out", path)
    return path


def test_openssl_keys_are_imported(store: FileKeyStore, pem: Path) -> None:
    expected = openssl("pkey", "-in", pem, "-pubout", "-outform", "DER")
    uri = store.import_key("apple", read_pem(pem.read_bytes()).private_key)
    assert spki_der(store.public_key(uri)) == expected


def test_openssl_encrypted_keys_need_their_password(pem: Path, tmp_path: Path) -> None:
    encrypted = tmp_path / "encrypted.pem"
    openssl("pkcs8", "-topk8", "-scrypt", "-in", pem, "-passout", "pass:geheim", "-out", encrypted)
    content = encrypted.read_bytes()
    assert spki_der(read_pem(content, "geheim").private_key.public_key())
    for password, code in ((None, "PRIVATE_KEY_PASSWORD"), ("falsch", "PRIVATE_KEY_FILE")):
        with pytest.raises(KeyRefusal, match=code):
            read_pem(content, password)
    with pytest.raises(KeyRefusal, match="PRIVATE_KEY_PASSWORD"):
        read_pem(pem.read_bytes(), "geheim")


def test_openssl_p12_files_bring_key_and_certificate(p12: Path, pem: Path) -> None:
    material = read_p12(p12.read_bytes(), "geheim")
    assert material.certificate is not None
    assert spki_der(material.private_key.public_key()) == openssl(
        "pkey", "-in", pem, "-pubout", "-outform", "DER"
    )
    assert "private" not in repr(material)
    for password in (None, "falsch"):
        with pytest.raises(KeyRefusal, match="PRIVATE_KEY_P12"):
            read_p12(p12.read_bytes(), password)


@pytest.mark.parametrize(
    "kind",
    [["EC", "-pkeyopt", "ec_paramgen_curve:P-384"], ["ED25519"], ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"]],
)
def test_other_kinds_of_key_are_refused(kind: list[str]) -> None:
    with pytest.raises(KeyRefusal, match="KEY_KIND"):
        read_pem(openssl("genpkey", "-algorithm", *kind))


def test_a_p12_without_key_is_refused(p12: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.p12"
    openssl(
        "pkcs12", "-export", "-nokeys", "-in", tmp_path / "cert.pem", "-passout", "pass:geheim", "-out", bare
    )
    with pytest.raises(KeyRefusal, match="PRIVATE_KEY_P12"):
        read_p12(bare.read_bytes(), "geheim")


@given(
    st.binary(max_size=120) | st.binary(max_size=80).map(lambda body: b"-----BEGIN PRIVATE KEY-----\n" + body)
)
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(KeyRefusal):
        read_pem(noise)


def test_huge_files_are_refused() -> None:
    for read in (read_pem, read_p12):
        with pytest.raises(KeyRefusal, match="PRIVATE_KEY_FILE"):
            read(b"-" * 1_000_000)
