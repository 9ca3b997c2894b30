from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from keys.apple_certificates import PASS_TYPE_EXTENSION, AppleSigningIdentity
from keys.errors import KeyRefusal
from keys.file_backend import FileKeyStore
from keys.store import Signer
from keys.uri import KeyUri

PASS_TYPE = "pass.de.musterstadt.parken"
TEAM = "TESTTEAM01"
NOW = datetime(2026, 11, 20, 11, tzinfo=UTC)
FIRST = NOW - timedelta(days=300)
# 00:30 on 1 July in Berlin
LAST = datetime(2027, 6, 30, 22, 30, tzinfo=UTC)
WWDR_LAST = datetime(2030, 12, 10, tzinfo=UTC)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Authority:
    """Issues certificates of any shape, wrong ones included."""

    name: str = "TEST WWDR"
    ca: bool = True
    last: datetime = WWDR_LAST
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    def sign(self, builder: x509.CertificateBuilder, first: datetime, last: datetime) -> x509.Certificate:
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        builder = builder.issuer_name(issuer).serial_number(x509.random_serial_number())
        return builder.not_valid_before(first).not_valid_after(last).sign(self.key, hashes.SHA256())

    def certificate(self, issuer: "Authority | None" = None) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        builder = x509.CertificateBuilder().subject_name(name).public_key(self.key.public_key())
        constraints = x509.BasicConstraints(ca=self.ca, path_length=None)
        return (issuer or self).sign(builder.add_extension(constraints, critical=True), FIRST, self.last)

    def leaf(
        self,
        key: ec.EllipticCurvePrivateKey,
        uid: tuple[str, ...] = (PASS_TYPE,),
        ou: tuple[str, ...] = (TEAM,),
        mark: bytes | None = b"\x0c\x1a" + PASS_TYPE.encode(),
        first: datetime = FIRST,
        last: datetime = LAST,
    ) -> x509.Certificate:
        attributes = [x509.NameAttribute(NameOID.USER_ID, value) for value in uid]
        attributes += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, value) for value in ou]
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, f"Pass Type ID: {PASS_TYPE}"))
        builder = x509.CertificateBuilder().subject_name(x509.Name(attributes)).public_key(key.public_key())
        if mark is not None:
            extension = x509.UnrecognizedExtension(PASS_TYPE_EXTENSION, mark)
            builder = builder.add_extension(extension, critical=False)
        return self.sign(builder, first, last)


Shape = Callable[..., AppleSigningIdentity]


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return new_key()


@pytest.fixture
def signer(store: FileKeyStore, key: ec.EllipticCurvePrivateKey) -> Signer:
    return store.signer(store.import_key("apple", key))


@pytest.fixture
def identity(signer: Signer, key: ec.EllipticCurvePrivateKey) -> Shape:
    def make(**shape: object) -> AppleSigningIdentity:
        wwdr = Authority()
        leaf = wwdr.leaf(key, **shape)  # type: ignore[arg-type]
        return AppleSigningIdentity(leaf, (wwdr.certificate(),), signer)

    return make


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def refusal(attempt: Callable[[], object]) -> KeyRefusal:
    with pytest.raises(KeyRefusal) as caught:
        attempt()
    return caught.value


@pytest.mark.parametrize(
    "mark",
    [b"\x0c\x1a" + PASS_TYPE.encode(), b"\x16\x1a" + PASS_TYPE.encode(), None],
    ids=["UTF8", "IA5", "none"],
)
def test_a_fitting_identity_passes(identity: Shape, mark: bytes | None) -> None:
    made = identity(mark=mark)
    made.check(PASS_TYPE, TEAM, NOW)
    assert (made.pass_type_identifier, made.team_identifier) == (PASS_TYPE, TEAM)


def test_another_pass_type_is_refused(identity: Shape) -> None:
    found = refusal(lambda: identity().check("pass.de.musterstadt.bibliothek", TEAM, NOW))
    assert found.code == "APPLE_PASS_TYPE"
    for language in ("de", "en"):
        assert PASS_TYPE in found.sentence(language)
        assert "pass.de.musterstadt.bibliothek" in found.sentence(language)


def test_another_team_is_refused(identity: Shape) -> None:
    found = refusal(lambda: identity().check(PASS_TYPE, "OTHERTEAM9", NOW))
    assert found.code == "APPLE_TEAM"
    assert found.sentence("de").startswith(
        "Das Zertifikat gehört dem Apple-Team »TESTTEAM01«, eingestellt ist »OTHERTEAM9«"
    )
    assert "team 'TESTTEAM01', but 'OTHERTEAM9' is configured" in found.sentence("en")


@pytest.mark.parametrize(
    ("mark", "code"),
    [
        (b"\x0c\x04pass", "APPLE_PASS_TYPE_MARK"),
        (b"\x05\x00", "APPLE_SUBJECT"),
        (b"", "APPLE_SUBJECT"),
        (b"\x0c\x1b" + PASS_TYPE.encode(), "APPLE_SUBJECT"),
        (b"\x0c\x1a" + PASS_TYPE.encode() + b"!", "APPLE_SUBJECT"),
        (b"\x04\x1a" + PASS_TYPE.encode(), "APPLE_SUBJECT"),
        (b"\x0c\x02\xff\xfe", "APPLE_CERTIFICATE_FILE"),
    ],
)
def test_a_wrong_mark_is_refused(identity: Shape, mark: bytes, code: str) -> None:
    assert refusal(lambda: identity(mark=mark).check(PASS_TYPE, TEAM, NOW)).code == code


@pytest.mark.parametrize(
    "shape",
    [{"uid": ()}, {"uid": (PASS_TYPE, "pass.other")}, {"ou": ()}, {"ou": (TEAM, "OTHERTEAM9")}],
    ids=str,
)
def test_a_subject_without_one_uid_and_team_is_refused(identity: Shape, shape: dict[str, object]) -> None:
    found = refusal(lambda: identity(**shape).check(PASS_TYPE, TEAM, NOW))
    assert found.code == "APPLE_SUBJECT"
    assert ("UID" if "uid" in shape else "OU") in found.sentence("de")


def test_the_period_is_checked_in_berlin_time(identity: Shape) -> None:
    made, second = identity(), timedelta(seconds=1)
    made.check(PASS_TYPE, TEAM, FIRST)
    made.check(PASS_TYPE, TEAM, LAST)
    ended = refusal(lambda: made.check(PASS_TYPE, TEAM, LAST + second))
    assert ended.code == "APPLE_CERTIFICATE_EXPIRED"
    assert "seit 01.07.2027, 00:30 Uhr abgelaufen" in ended.sentence("de")
    assert "expired at 2027-07-01 00:30" in ended.sentence("en")
    early = refusal(lambda: made.check(PASS_TYPE, TEAM, FIRST - second))
    assert early.code == "APPLE_CERTIFICATE_EARLY"
    assert "24.01.2026, 12:00 Uhr" in early.sentence("de")


def test_an_ended_intermediate_is_refused(signer: Signer, key: ec.EllipticCurvePrivateKey) -> None:
    wwdr = Authority(last=NOW - timedelta(days=1))
    made = AppleSigningIdentity(wwdr.leaf(key), (wwdr.certificate(),), signer)
    found = refusal(lambda: made.check(PASS_TYPE, TEAM, NOW))
    assert found.code == "APPLE_WWDR_EXPIRED"
    assert "TEST WWDR" in found.sentence("de")
    assert (
        refusal(lambda: made.check(PASS_TYPE, TEAM, FIRST - timedelta(days=1))).code
        == "APPLE_CERTIFICATE_EARLY"
    )


def test_a_key_of_another_certificate_is_refused(signer: Signer) -> None:
    wwdr = Authority()
    made = refusal(lambda: AppleSigningIdentity(wwdr.leaf(new_key()), (wwdr.certificate(),), signer))
    assert made.code == "APPLE_KEY_MISMATCH"


def test_a_chain_must_hold(signer: Signer, key: ec.EllipticCurvePrivateKey) -> None:
    root, impostor_root = Authority("TEST Root"), Authority("TEST Root")
    wwdr, namesake, no_authority = Authority(), Authority(), Authority(ca=False)
    leaf, other_leaf = wwdr.leaf(key), no_authority.leaf(key)
    AppleSigningIdentity(leaf, (wwdr.certificate(root), root.certificate()), signer)
    broken = [
        (leaf, (namesake.certificate(),)),
        (leaf, (root.certificate(),)),
        (leaf, (wwdr.certificate(root), impostor_root.certificate())),
        (leaf, (root.certificate(), wwdr.certificate(root))),
        (other_leaf, (no_authority.certificate(),)),
    ]
    for certificate, chain in broken:
        found = refusal(lambda chain=chain, leaf=certificate: AppleSigningIdentity(leaf, chain, signer))  # type: ignore[misc]
        assert found.code == "APPLE_CHAIN_BROKEN"
    assert refusal(lambda: AppleSigningIdentity(leaf, (), signer)).code == "APPLE_CHAIN_MISSING"


def test_pem_files_may_hold_the_chain_in_any_order(signer: Signer, key: ec.EllipticCurvePrivateKey) -> None:
    root, wwdr = Authority("TEST Root"), Authority()
    chain = (wwdr.certificate(root), root.certificate())
    files = pem(wwdr.leaf(key)), pem(*reversed(chain), Authority("TEST Other").certificate())
    made = AppleSigningIdentity.from_pem(*files, signer)
    assert made.chain == chain
    assert made.wwdr == chain[0]
    for certificate, above in (
        (b"", files[1]),
        (files[1], files[1]),
        (files[0], b"none"),
        (b"x" * 10**6, files[1]),
    ):
        with pytest.raises(KeyRefusal, match="APPLE_CERTIFICATE_FILE"):
            AppleSigningIdentity.from_pem(certificate, above, signer)
    with pytest.raises(KeyRefusal, match="APPLE_CHAIN_MISSING"):
        AppleSigningIdentity.from_pem(files[0], pem(root.certificate()), signer)


def test_a_p12_is_imported_whole(store: FileKeyStore, key: ec.EllipticCurvePrivateKey) -> None:
    wwdr = Authority()
    leaf, above = wwdr.leaf(key), wwdr.certificate()
    with_chain = pkcs12.serialize_key_and_certificates(
        b"Pass", key, leaf, [above], BestAvailableEncryption(b"geheim")
    )
    alone = pkcs12.serialize_key_and_certificates(
        b"Pass", key, leaf, None, BestAvailableEncryption(b"geheim")
    )
    made, uri = AppleSigningIdentity.import_p12(with_chain, "geheim", b"", store, "apple-1")
    made.check(PASS_TYPE, TEAM, NOW)
    assert uri == KeyUri.file("apple-1")
    made, _ = AppleSigningIdentity.import_p12(alone, "geheim", pem(above), store, "apple-2")
    made.check(PASS_TYPE, TEAM, NOW)


def test_a_refused_p12_stores_nothing(store: FileKeyStore, key: ec.EllipticCurvePrivateKey) -> None:
    leaf = Authority().leaf(key)
    alone = pkcs12.serialize_key_and_certificates(
        b"Pass", key, leaf, None, BestAvailableEncryption(b"geheim")
    )
    bare = pkcs12.serialize_key_and_certificates(b"Pass", key, None, None, NoEncryption())
    namesake = pem(Authority().certificate())
    cases = [
        (alone, "geheim", b"", "APPLE_CHAIN_MISSING"),
        (alone, "geheim", namesake, "APPLE_CHAIN_BROKEN"),
        (alone, "falsch", namesake, "PRIVATE_KEY_P12"),
        (bare, None, namesake, "APPLE_CERTIFICATE_FILE"),
    ]
    for content, password, chain, code in cases:
        with pytest.raises(KeyRefusal, match=code):
            AppleSigningIdentity.import_p12(content, password, chain, store, "apple-1")
    assert store.uris() == ()


@pytest.mark.parametrize(
    ("days", "within"), [(61, None), (60, 60), (31, 60), (30, 30), (8, 30), (7, 7), (0, 7), (-1, 0)]
)
def test_warnings_come_at_60_30_and_7_days(identity: Shape, days: int, within: int | None) -> None:
    found = identity().warnings(LAST - timedelta(days=days))
    assert [warning.within for warning in found] == ([] if within is None else [within])
    for warning in found:
        assert "01.07.2027, 00:30 Uhr" in warning.sentence("de")
        assert "2027-07-01 00:30" in warning.sentence("en")
        assert warning.days_left == max(days, 0)


def test_an_ending_intermediate_warns_too(
    signer: Signer, key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    wwdr = Authority(last=NOW + timedelta(days=20))
    made = AppleSigningIdentity(wwdr.leaf(key), (wwdr.certificate(),), signer)
    (warning,) = made.warnings(NOW)
    assert (warning.code, warning.within, warning.days_left) == ("APPLE_WWDR_ENDS_SOON", 30, 20)
    assert "TEST WWDR" in warning.sentence("de")
