"""Certificates for seals in PDFs: which are taken, which are refused with what they lack, and the request for one."""

import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

import keys
from keys.certified_identity import CertifiedIdentity
from keys.demo_pdf_ca import demo_pdf_seal
from keys.errors import KeyRefusal
from keys.eudi_certificates import EudiSigningIdentity
from keys.file_backend import FileKeyStore
from keys.pdf_seal_certificates import PDF_SIGNING, PdfSealIdentity, PdfSealUse, pdf_seal_request
from keys.store import Algorithm, Signer
from keys.texts import texts

NOW = datetime(2026, 11, 20, 11, tzinfo=UTC)
SEAL = PdfSealUse.SEAL
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
SERVER = ExtendedKeyUsageOID.SERVER_AUTH


@pytest.fixture
def signer(store: FileKeyStore) -> Signer:
    return store.signer(store.create_key("pdf-seal-1", Algorithm.ES256))


ROOT_KEY = ec.generate_private_key(ec.SECP256R1())


def issued(
    public_key: Any,
    subject: str = "Stadt",
    issuer: str = "Root",
    *,
    ca: bool = False,
    usage: tuple[str, ...] = ("content_commitment",),
    extended: list[ObjectIdentifier] | None = None,
) -> x509.Certificate:
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (subject, issuer)]
    bits = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    bits |= dict.fromkeys(usage, True)
    builder = (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=40))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**bits), critical=True)
    )
    if extended is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    return builder.sign(ROOT_KEY, hashes.SHA256())


ROOT = issued(ROOT_KEY.public_key(), "Root", ca=True, usage=("key_cert_sign",))


def refused(attempt: Callable[[], object]) -> KeyRefusal:
    with pytest.raises(KeyRefusal) as caught:
        attempt()
    return caught.value


@pytest.mark.parametrize(
    ("usage", "extended"),
    [
        (("content_commitment",), None),
        (("content_commitment", "digital_signature"), [PDF_SIGNING]),
        (("digital_signature",), [PDF_SIGNING]),
        (("digital_signature",), [SERVER, PDF_SIGNING]),
        (("digital_signature",), [ANY]),
    ],
)
def test_certificates_for_documents_are_taken(
    usage: tuple[str, ...], extended: list[ObjectIdentifier] | None, signer: Signer
) -> None:
    leaf = issued(signer.public_key(), usage=usage, extended=extended)
    identity = PdfSealIdentity(SEAL, leaf, (), ROOT, signer)
    identity.check(NOW)
    again = PdfSealIdentity.from_pem(SEAL, identity.pem, signer)
    assert (again.certificate, again.intermediates, again.anchor) == (leaf, (), ROOT)


@pytest.mark.parametrize(
    ("usage", "extended", "ca", "lacking"),
    [
        (("digital_signature",), None, False, "extendedKeyUsage 1.3.6.1.5.5.7.3.36"),
        (("content_commitment",), [SERVER], False, "extendedKeyUsage 1.3.6.1.5.5.7.3.36"),
        (("key_encipherment",), [PDF_SIGNING], False, "keyUsage contentCommitment"),
        (("content_commitment",), [PDF_SIGNING], True, "basicConstraints CA:FALSE"),
    ],
)
def test_others_are_refused_with_what_they_lack(
    usage: tuple[str, ...],
    extended: list[ObjectIdentifier] | None,
    ca: bool,
    lacking: str,
    signer: Signer,
) -> None:
    leaf = issued(signer.public_key(), usage=usage, extended=extended, ca=ca)
    found = refused(lambda: PdfSealIdentity(SEAL, leaf, (), ROOT, signer))
    assert found.code == "PDF_SEAL_PROFILE"
    assert lacking in found.sentence("de")


def test_no_certificate_vouches_for_itself(signer: Signer) -> None:
    assert refused(lambda: PdfSealIdentity(SEAL, ROOT, (), ROOT, signer)).code == "PDF_SEAL_KEY_MISMATCH"
    own = issued(signer.public_key(), "Root")
    assert refused(lambda: PdfSealIdentity(SEAL, own, (), ROOT, signer)).code == "PDF_SEAL_SELF_SIGNED"


def test_an_rsa_key_seals_nothing(store: FileKeyStore) -> None:
    rsa = store.signer(store.create_key("rsa", Algorithm.RS256))
    assert refused(lambda: demo_pdf_seal(NOW, rsa)).code == "PDF_SEAL_KEY_KIND"
    assert refused(lambda: pdf_seal_request(rsa, "Stadt", "DE", "Stadt")).code == "PDF_SEAL_KEY_KIND"


def test_the_end_is_told_before_it_comes(signer: Signer) -> None:
    identity = PdfSealIdentity(SEAL, issued(signer.public_key()), (), ROOT, signer)
    found = identity.warnings(NOW)
    assert [one.sentence("de")[:24] for one in found] == [
        "Das Zertifikat »Stadt« f",
        "Das Zertifikat »Root« fü",
    ]
    late = refused(lambda: identity.check(NOW + timedelta(days=41)))
    assert late.code == "PDF_SEAL_CERTIFICATE_EXPIRED"


def test_the_demo_leads_to_a_root_by_an_authority_between_and_says_test(
    signer: Signer, tmp_path: Path
) -> None:
    identity = demo_pdf_seal(NOW, signer)
    identity.check(NOW)
    files = {}
    for name, one in (
        ("leaf", identity.certificate),
        ("middle", identity.intermediates[0]),
        ("root", identity.anchor),
    ):
        files[name] = tmp_path / f"{name}.pem"
        files[name].write_bytes(one.public_bytes(Encoding.PEM))
        assert "TEST" in one.subject.rfc4514_string()
    checked = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), "-CAfile", str(files["root"]),
         "-untrusted", str(files["middle"]), str(files["leaf"])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_request_asks_for_what_a_seal_needs(signer: Signer) -> None:
    request = x509.load_pem_x509_csr(pdf_seal_request(signer, "Stadt Musterstadt", "DE", "Musterstadt"))
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=Stadt Musterstadt,O=Musterstadt,C=DE"
    usage = request.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.content_commitment
    assert PDF_SIGNING in request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert refused(lambda: pdf_seal_request(signer, "", "DE", "Stadt")).code == "PDF_SEAL_REQUEST"
    assert (
        refused(lambda: pdf_seal_request(signer, "Stadt", "Deutschland", "Stadt")).code == "PDF_SEAL_REQUEST"
    )


@pytest.mark.parametrize("kind", [PdfSealIdentity, EudiSigningIdentity])
def test_every_code_of_a_family_has_its_sentence(kind: type[CertifiedIdentity]) -> None:
    """The codes are put together, so the test of all sentences does not see them."""
    source = Path(keys.__file__).with_name("certified_identity.py").read_text("utf-8")
    stems = set(re.findall(r'_refusal\("([A-Z_]+)"', source)) | set(re.findall(r'family}_([A-Z_]+)"', source))
    assert len(stems) >= 11
    for language in ("de", "en"):
        assert {f"{kind.family}_{stem}" for stem in stems} <= texts("keys", language).sentences.keys()
