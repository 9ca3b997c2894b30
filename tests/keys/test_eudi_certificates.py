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
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keys.demo_eudi_ca import DemoEudiAuthority
from keys.errors import KeyRefusal
from keys.eudi_certificates import DOCUMENT_SIGNING, EudiSigningIdentity, EudiUse, signing_request
from keys.file_backend import FileKeyStore
from keys.store import Algorithm, Signer

NOW = datetime(2026, 11, 20, 11, tzinfo=UTC)
FIRST, LAST = NOW - timedelta(days=30), NOW + timedelta(days=400)
URL = "https://ausweise.stadt.example"
DS = EudiUse.DOCUMENT_SIGNER


def name(common: str, country: str | None = "DE") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if country:
        attributes.insert(0, x509.NameAttribute(NameOID.COUNTRY_NAME, country))
    return x509.Name(attributes)


class Authority:
    """Issues certificates of any shape, wrong ones included."""

    def __init__(self, common: str, above: "Authority | None" = None, *, ca: bool = True) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name(common)
        issuer = above or self
        self.certificate = issuer.issue(self.key.public_key(), self.name, ca=ca)

    def issue(
        self, public_key: Any, subject: x509.Name, *, ca: bool = False, **shape: Any
    ) -> x509.Certificate:
        usage = shape.get("usage", not ca)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(shape.get("first", FIRST))
            .not_valid_after(shape.get("last", LAST))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(usage, False, False, False, False, ca, ca, False, False), critical=True
            )
        )
        if shape.get("aki", True):
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        if not ca and (extended := shape.get("extended", [DOCUMENT_SIGNING])):
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=True)
        return builder.sign(self.key, hashes.SHA256())


@pytest.fixture
def signer(store: FileKeyStore) -> Signer:
    return store.signer(store.create_key("eudi-1", Algorithm.ES256))


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def refusal(attempt: Callable[[], object]) -> KeyRefusal:
    with pytest.raises(KeyRefusal) as caught:
        attempt()
    for language in ("de", "en"):
        assert caught.value.sentence(language)
    return caught.value


def test_the_header_holds_leaf_and_intermediates_but_no_anchor(signer: Signer) -> None:
    root = Authority("TEST Root")
    middle = Authority("TEST Intermediate", root)
    leaf = middle.issue(signer.public_key(), name("TEST Signer"))
    files = pem(leaf), pem(Authority("TEST Stray").certificate, middle.certificate), pem(root.certificate)
    made = EudiSigningIdentity.from_files(DS, *files, signer)
    assert made.x5chain == (leaf.public_bytes(Encoding.DER), middle.certificate.public_bytes(Encoding.DER))
    assert len(made.x5c) == 2
    again = EudiSigningIdentity.from_pem(DS, made.pem, signer)
    assert (again.certificate, again.intermediates, again.anchor) == (
        leaf,
        (middle.certificate,),
        root.certificate,
    )
    # An authority in the middle can be what a trusted list names.
    anchored = EudiSigningIdentity.from_files(DS, pem(leaf), b"", pem(middle.certificate), signer)
    assert anchored.x5chain == (leaf.public_bytes(Encoding.DER),)


@pytest.mark.parametrize(
    ("shape", "lacking"),
    [
        ({"usage": False}, "digitalSignature"),
        ({"extended": [ExtendedKeyUsageOID.CLIENT_AUTH]}, "1.0.18013.5.1.2"),
        ({"extended": []}, "1.0.18013.5.1.2"),
        ({"aki": False}, "authorityKeyIdentifier"),
    ],
)
def test_a_certificate_of_another_profile_is_refused(
    signer: Signer, shape: dict[str, Any], lacking: str
) -> None:
    root = Authority("TEST Root")
    leaf = root.issue(signer.public_key(), name("TEST Signer"), **shape)
    found = refusal(lambda: EudiSigningIdentity(DS, leaf, (), root.certificate, signer))
    assert found.code == "EUDI_PROFILE"
    assert lacking in found.sentence("en")


def test_an_access_certificate_needs_no_usage_of_a_document_signer(signer: Signer) -> None:
    root = Authority("TEST Root")
    leaf = root.issue(signer.public_key(), name("TEST Access", None), extended=[])
    EudiSigningIdentity(EudiUse.ACCESS, leaf, (), root.certificate, signer)
    assert refusal(lambda: EudiSigningIdentity(DS, leaf, (), root.certificate, signer)).code == "EUDI_PROFILE"


def test_an_authoritys_own_certificate_signs_no_credentials(signer: Signer) -> None:
    root = Authority("TEST Root")
    leaf = root.issue(signer.public_key(), name("TEST Signer"), ca=True, usage=True)
    assert refusal(lambda: EudiSigningIdentity(DS, leaf, (), root.certificate, signer)).code == "EUDI_PROFILE"


def test_wrong_chains_are_refused(signer: Signer, store: FileKeyStore) -> None:
    root, namesake, other = Authority("TEST Root"), Authority("TEST Root"), Authority("TEST Other")
    middle, no_authority = Authority("TEST Middle", root), Authority("TEST Middle", root, ca=False)
    subject = name("TEST Signer")
    leaf, below = root.issue(signer.public_key(), subject), middle.issue(signer.public_key(), subject)
    below_nobody = no_authority.issue(signer.public_key(), subject)
    cases = [
        ((leaf, (), namesake.certificate), "EUDI_CHAIN_BROKEN"),
        ((leaf, (), other.certificate), "EUDI_CHAIN_BROKEN"),
        ((below, (), root.certificate), "EUDI_CHAIN_BROKEN"),
        ((below, (root.certificate,), root.certificate), "EUDI_SELF_SIGNED"),
        ((below_nobody, (no_authority.certificate,), root.certificate), "EUDI_CHAIN_BROKEN"),
        ((leaf, (middle.certificate,) * 4, root.certificate), "EUDI_CHAIN_LONG"),
        ((leaf, (), leaf), "EUDI_SELF_SIGNED"),
    ]
    for (certificate, above, anchor), code in cases:
        found = refusal(lambda c=certificate, i=above, a=anchor: EudiSigningIdentity(DS, c, i, a, signer))  # type: ignore[misc]
        assert found.code == code
    missing = refusal(
        lambda: EudiSigningIdentity.from_files(DS, pem(below), b"", pem(root.certificate), signer)
    )
    assert missing.code == "EUDI_CHAIN_MISSING"
    another = store.signer(store.create_key("eudi-2", Algorithm.ES256))
    found = refusal(lambda: EudiSigningIdentity(DS, leaf, (), root.certificate, another))
    assert found.code == "EUDI_KEY_MISMATCH"
    rsa = store.signer(store.create_key("rsa-1", Algorithm.RS256))
    found = refusal(lambda: EudiSigningIdentity(DS, leaf, (), root.certificate, rsa))
    assert found.code == "EUDI_KEY_KIND"


def test_a_self_signed_leaf_is_refused(signer: Signer) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    alone = Authority("TEST Alone")
    leaf = alone.issue(signer.public_key(), alone.name)
    assert own.public_key()
    assert (
        refusal(lambda: EudiSigningIdentity(DS, leaf, (), alone.certificate, signer)).code
        == "EUDI_SELF_SIGNED"
    )


@pytest.mark.parametrize("files", [(b"", b"", b""), (b"none", b"", b"none"), (b"x" * 10**6, b"", b"x")])
def test_files_that_are_none_are_refused(signer: Signer, files: tuple[bytes, bytes, bytes]) -> None:
    found = refusal(lambda: EudiSigningIdentity.from_files(DS, *files, signer))
    assert found.code == "EUDI_CERTIFICATE_FILE"
    assert refusal(lambda: EudiSigningIdentity.from_pem(DS, "", signer)).code in (
        "EUDI_CERTIFICATE_FILE",
        "EUDI_CHAIN_MISSING",
    )


def test_the_period_is_that_of_the_whole_chain(signer: Signer) -> None:
    root = Authority("TEST Root")
    leaf = root.issue(
        signer.public_key(),
        name("TEST Signer"),
        first=NOW - timedelta(days=1),
        last=NOW + timedelta(days=900),
    )
    made = EudiSigningIdentity(DS, leaf, (), root.certificate, signer)
    assert (made.not_before, made.not_after) == (NOW - timedelta(days=1), LAST)
    made.check(NOW)
    made.check(LAST)
    assert refusal(lambda: made.check(LAST + timedelta(seconds=1))).code == "EUDI_CERTIFICATE_EXPIRED"
    assert refusal(lambda: made.check(NOW - timedelta(days=2))).code == "EUDI_CERTIFICATE_EARLY"
    with pytest.raises(ValueError, match="zone"):
        made.check(datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(("days", "within"), [(61, None), (60, 60), (30, 30), (7, 7), (-1, 0)])
def test_warnings_come_at_60_30_and_7_days(signer: Signer, days: int, within: int | None) -> None:
    root = Authority("TEST Root")
    end = NOW + timedelta(days=100)
    leaf = root.issue(signer.public_key(), name("TEST Signer"), last=end)
    made = EudiSigningIdentity(DS, leaf, (), root.certificate, signer)
    found = made.warnings(end - timedelta(days=days))
    assert [one.within for one in found] == ([] if within is None else [within])
    for one in found:
        assert "TEST Signer" in one.sentence("de")


def test_openssl_takes_the_request(signer: Signer, tmp_path: Path) -> None:
    request = signing_request(
        signer, "Stadt Düsseldorf", "DE", "Landeshauptstadt Düsseldorf", "ausweise.stadt.example"
    )
    (tmp_path / "request.pem").write_bytes(request)
    command = [
        "openssl",
        "req",
        "-in",
        tmp_path / "request.pem",
        "-noout",
        "-verify",
        "-text",
        "-nameopt",
        "utf8",
    ]
    run = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "DNS:ausweise.stadt.example" in run.stdout
    assert x509.load_pem_x509_csr(request).public_key() == signer.public_key()


@pytest.mark.parametrize(
    "told",
    [
        ("", "DE", "Stadt", "a.example"),
        ("x" * 65, "DE", "Stadt", "a.example"),
        ("Stadt", "DEU", "Stadt", "a.example"),
        ("Stadt", "DE", "Stadt", "stadt.ä"),
    ],
)
def test_a_request_of_names_that_x509_cannot_hold_is_refused(
    signer: Signer, told: tuple[str, str, str, str]
) -> None:
    assert refusal(lambda: signing_request(signer, *told)).code == "EUDI_REQUEST"


def test_openssl_takes_the_demo_chain(store: FileKeyStore, signer: Signer, tmp_path: Path) -> None:
    authority = DemoEudiAuthority.new(NOW, URL)
    made = authority.issue(DS, signer)
    (tmp_path / "root.pem").write_bytes(authority.root_pem)
    (tmp_path / "leaf.pem").write_bytes(pem(made.certificate))
    for at, good in (
        (NOW - timedelta(days=400), True),
        (NOW + timedelta(days=3650), True),
        (NOW + timedelta(days=3654), False),
    ):
        command = ["openssl", "verify", "-x509_strict", "-no-CApath", "-attime", str(int(at.timestamp()))]
        run = subprocess.run(
            [*command, "-CAfile", str(tmp_path / "root.pem"), str(tmp_path / "leaf.pem")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (run.returncode == 0) is good, run.stderr
    text = subprocess.run(
        ["openssl", "x509", "-in", str(tmp_path / "leaf.pem"), "-noout", "-text"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for told in (
        "TEST",
        "1.0.18013.5.1.2",
        "Issuer Alternative Name",
        "CRL Distribution Points",
        "Digital Signature",
    ):
        assert told in text
    assert made.hosts == {"ausweise.stadt.example"}
    access = authority.issue(EudiUse.ACCESS, store.signer(store.create_key("access", Algorithm.ES256)))
    assert access.anchor == made.anchor


def test_a_demo_without_a_host_is_refused() -> None:
    assert refusal(lambda: DemoEudiAuthority.new(NOW, "nowhere")).code == "EUDI_REQUEST"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_certificate_is_never_more_than_refused(signer: Signer, place: int, flip: int) -> None:
    root = _ROOT
    leaf = bytearray(root.issue(signer.public_key(), name("TEST Signer")).public_bytes(Encoding.DER))
    leaf[place % len(leaf)] ^= flip
    from base64 import encodebytes

    text = b"-----BEGIN CERTIFICATE-----\n" + encodebytes(bytes(leaf)) + b"-----END CERTIFICATE-----\n"
    try:
        made = EudiSigningIdentity.from_files(DS, text, b"", pem(root.certificate), signer)
    except KeyRefusal:
        return
    # The one spelling more that the library accepts is of the signature's frame; what is signed is the same.
    assert bytes(leaf)[: len(made.certificate.tbs_certificate_bytes) + 4].endswith(
        made.certificate.tbs_certificate_bytes
    )
    made.check(NOW)


_ROOT = Authority("TEST Root")
