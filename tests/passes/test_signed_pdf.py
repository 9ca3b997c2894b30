"""The seal in a PDF, checked by OpenSSL, and by poppler as readers of PDFs do."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pypdf import PdfReader

from keys.errors import KeyRefusal
from passes.pdf import PdfFactory
from passes.signed_pdf import PdfSeal, sealed_pdf
from tests.passes.carrier_samples import PERMIT, city, permit
from tests.trust_factory import Key

AT = datetime(2026, 11, 20, 11, 5, tzinfo=UTC)


def _certificate(
    name: str,
    public: ec.EllipticCurvePublicKey,
    issuer: str,
    signing: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> x509.Certificate:
    named = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, issuer)]
    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    usage |= {"key_cert_sign": True, "crl_sign": True} if ca else {"content_commitment": True}
    return (
        x509.CertificateBuilder()
        .subject_name(named[0])
        .issuer_name(named[1])
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(AT - timedelta(days=1))
        .not_valid_after(AT + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .sign(signing, hashes.SHA256())
    )


KEY = Key()
_root, _middle = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
ROOT = _certificate("Root", _root.public_key(), "Root", _root, ca=True)
MIDDLE = _certificate("Middle", _middle.public_key(), "Root", _root, ca=True)
LEAF = _certificate("Bürgeramt Musterstadt", KEY.public, "Middle", _middle, ca=False)
PDF = PdfFactory().render(PERMIT, permit("D-AB 123"), city(), "de")
SEALED = sealed_pdf(PDF, PdfSeal(LEAF, [MIDDLE], KEY, "Meldebescheinigung", "Musterstadt"), AT)


def _parts(data: bytes) -> tuple[bytes, bytes]:
    """What was signed, and the CMS structure."""
    found = re.search(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+) *\]", data)
    assert found is not None
    a, b, c, d = map(int, found.groups())
    assert (a, c + d) == (0, len(data)), "the seal covers everything"
    return data[:b] + data[c : c + d], bytes.fromhex(data[b + 1 : c - 1].decode()).rstrip(b"\0")


def _openssl(data: bytes, folder: Path) -> subprocess.CompletedProcess[str]:
    signed, cms = _parts(data)
    for name, content in (("signed", signed), ("cms", cms), ("root.pem", ROOT.public_bytes(Encoding.PEM))):
        (folder / name).write_bytes(content)
    return subprocess.run(
        ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "cms", "-content", "signed",
         "-CAfile", "root.pem", "-purpose", "any", "-attime", str(int(AT.timestamp())), "-out", "out"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_openssl_verifies_it_up_to_the_root_alone(tmp_path: Path) -> None:
    done = _openssl(SEALED, tmp_path)
    assert done.returncode == 0, done.stderr
    _, cms = _parts(SEALED)
    assert MIDDLE.public_bytes(Encoding.DER) in cms
    assert ROOT.public_bytes(Encoding.DER) not in cms, "no trust anchor is sent along"


def test_what_was_there_stays_byte_for_byte() -> None:
    assert SEALED.startswith(PDF)
    assert b"ETSI.CAdES.detached" in SEALED


@pytest.mark.parametrize("place", ["start", "middle", "behind"])
def test_any_change_breaks_it(place: str, tmp_path: Path) -> None:
    at = {"start": 20, "middle": len(PDF) // 2, "behind": len(PDF) + 60}[place]
    damaged = SEALED[:at] + bytes([SEALED[at] ^ 1]) + SEALED[at + 1 :]
    assert _openssl(damaged, tmp_path).returncode != 0


def test_poppler_sees_one_valid_seal_over_the_whole_document(tmp_path: Path) -> None:
    if shutil.which("pdfsig") is None:
        pytest.skip("needs pdfsig (apt install poppler-utils)")
    file = tmp_path / "sealed.pdf"
    file.write_bytes(SEALED)
    done = subprocess.run(
        ["pdfsig", "-nocert", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env={"TZ": "UTC", "PATH": "/usr/bin"},
    )
    assert "Signature is Valid." in done.stdout, done.stdout + done.stderr
    assert "Total document signed" in done.stdout
    assert "Nov 20 2026 11:05:00" in done.stdout
    assert "Signature Type: ETSI.CAdES.detached" in done.stdout
    assert "Bürgeramt Musterstadt" in done.stdout
    assert done.stdout.count("Signature #") == 1


def test_the_field_keeps_the_file_readable_for_everybody_and_for_long() -> None:
    """Off the page and printable: what PDF/UA-1 and PDF/A-2 both allow a field that shows nothing."""
    before, after = PdfReader(io.BytesIO(PDF)), PdfReader(io.BytesIO(SEALED))
    root = after.root_object
    for key in ("/Lang", "/StructTreeRoot", "/MarkInfo", "/ViewerPreferences", "/Metadata", "/OutputIntents"):
        there, was = (one.raw_get(key) for one in (root, before.root_object))
        assert getattr(there, "idnum", there) == getattr(was, "idnum", was), key
    assert "/Version" not in root
    assert SEALED.startswith(b"%PDF-1.7")
    annotations = [one.get_object() for page in after.pages for one in page.get("/Annots", ())]
    (field,) = annotations
    assert (field["/Subtype"], field["/TU"]) == ("/Widget", "Meldebescheinigung")
    x, y = (float(number) for number in field["/Rect"][:2])
    assert x < 0 and y < 0 and list(field["/Rect"][2:]) == list(field["/Rect"][:2])
    hidden, printed = 0b10, 0b100
    assert field["/F"] & printed and not field["/F"] & hidden
    assert after.pages[0]["/Tabs"] == "/S"


class SilentKey:
    """A key in a device that has stopped answering."""

    def sign(self, data: bytes) -> bytes:
        raise KeyRefusal("PKCS11_FAILED", reason="DeviceError")


def test_a_key_that_does_not_answer_gives_no_file() -> None:
    with pytest.raises(KeyRefusal, match="PKCS11_FAILED"):
        sealed_pdf(PDF, PdfSeal(LEAF, [MIDDLE], SilentKey(), "r", "p"), AT)


def test_a_time_has_a_zone() -> None:
    with pytest.raises(ValueError, match="zone"):
        sealed_pdf(PDF, PdfSeal(LEAF, [MIDDLE], KEY, "r", "p"), AT.replace(tzinfo=None))
