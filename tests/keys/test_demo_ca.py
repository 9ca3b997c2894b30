import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keys import demo_ca
from keys.demo_ca import DemoIdentities
from keys.envelope import create_key_file
from keys.errors import KeyRefusal
from keys.file_backend import FileKeyStore
from keys.identity import kid_of

AT = datetime(2026, 11, 20, 11, tzinfo=UTC)
TEAM = "TESTTEAM01"
PASS_TYPES = ("pass.de.musterstadt.parken", "pass.de.musterstadt.bibliothek")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoIdentities:
    place = tmp_path_factory.mktemp("demo")
    store = FileKeyStore.create(place / "keys", create_key_file(place / "unlock.key"))
    return demo_ca.create(AT, TEAM, PASS_TYPES, store)


@pytest.fixture
def files(demo: DemoIdentities, tmp_path: Path) -> Path:
    (tmp_path / "root.pem").write_bytes(demo.root_pem)
    (tmp_path / "wwdr.pem").write_bytes(demo.intermediate.public_bytes(Encoding.PEM))
    for pass_type, identity in demo.identities.items():
        (tmp_path / f"{pass_type}.pem").write_bytes(identity.certificate.public_bytes(Encoding.PEM))
    return tmp_path


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)


def verify(files: Path, pass_type: str, at: datetime) -> subprocess.CompletedProcess[str]:
    chain = ["-CAfile", files / "root.pem", "-untrusted", files / "wwdr.pem"]
    when = ["-attime", str(int(at.timestamp()))]
    return openssl("verify", "-x509_strict", "-no-CApath", *chain, *when, files / f"{pass_type}.pem")


@pytest.mark.parametrize("pass_type", PASS_TYPES)
def test_openssl_accepts_the_chain_through_its_life(files: Path, pass_type: str) -> None:
    for at in (AT - timedelta(days=400), AT, AT + timedelta(days=3650)):
        run = verify(files, pass_type, at)
        assert (run.returncode, run.stderr) == (0, "")
    assert "certificate is not yet valid" in verify(files, pass_type, AT - timedelta(days=401)).stderr
    assert "certificate has expired" in verify(files, pass_type, AT + timedelta(days=3654)).stderr


def test_openssl_needs_the_intermediate(files: Path) -> None:
    run = openssl("verify", "-CAfile", files / "root.pem", files / f"{PASS_TYPES[0]}.pem")
    assert run.returncode != 0


def test_openssl_reads_apples_shape(files: Path) -> None:
    text = openssl(
        "x509", "-in", files / f"{PASS_TYPES[0]}.pem", "-noout", "-text", "-nameopt", "RFC2253"
    ).stdout
    subject = next(line for line in text.splitlines() if "Subject: " in line)
    assert f"UID={PASS_TYPES[0]}" in subject
    assert f"CN=Pass Type ID: {PASS_TYPES[0]}" in subject
    assert f"OU={TEAM}" in subject
    assert "TEST" in subject
    assert "TLS Web Client Authentication, 1.2.840.113635.100.4.14" in text
    assert "1.2.840.113635.100.6.1.16" in text
    assert "Public-Key: (2048 bit)" in text
    wwdr = openssl("x509", "-in", files / "wwdr.pem", "-noout", "-text").stdout
    assert "1.2.840.113635.100.6.2.1" in wwdr


@pytest.mark.parametrize("name", ["root.pem", "wwdr.pem", f"{PASS_TYPES[0]}.pem"])
def test_nobody_can_mistake_it_for_apples(files: Path, name: str) -> None:
    issuer = openssl("x509", "-in", files / name, "-noout", "-issuer", "-subject").stdout
    assert issuer.count("TEST") >= 2
    assert "Apple" not in issuer


@pytest.mark.parametrize("name", ["root.pem", "wwdr.pem", f"{PASS_TYPES[0]}.pem"])
def test_dates_are_utc_time(files: Path, name: str) -> None:
    structure = openssl("asn1parse", "-in", files / name).stdout
    assert structure.count("UTCTIME") == 2
    assert "GENERALIZEDTIME" not in structure


def test_each_identity_fits_its_pass_type_only(demo: DemoIdentities) -> None:
    for pass_type, identity in demo.identities.items():
        identity.check(pass_type, TEAM, AT)
        other = next(item for item in PASS_TYPES if item != pass_type)
        with pytest.raises(KeyRefusal, match="APPLE_PASS_TYPE"):
            identity.check(other, TEAM, AT)
        assert identity.warnings(AT) == ()
    keys = {kid_of(identity.signer.public_key()) for identity in demo.identities.values()}
    assert len(keys) == len(PASS_TYPES)


def test_the_keys_stay_in_the_keystore(store: FileKeyStore) -> None:
    made = demo_ca.create(AT, TEAM, PASS_TYPES[:1], store)
    assert store.uris() == tuple(made.uris.values())


def test_an_authority_late_in_the_century_still_uses_utc_time(store: FileKeyStore) -> None:
    made = demo_ca.create(datetime(2045, 1, 1, tzinfo=UTC), TEAM, (), store)
    assert isinstance(made.root, x509.Certificate)
    assert made.root.not_valid_after_utc.year == 2049


def test_a_pass_type_that_does_not_fit_is_refused_before_anything_is_made(store: FileKeyStore) -> None:
    for bad, code in (("pass." + "a" * 46, "DEMO_PASS_TYPE_LONG"), ("pass/x", "KEY_NAME")):
        with pytest.raises(KeyRefusal, match=code):
            demo_ca.create(AT, TEAM, (PASS_TYPES[0], bad), store)
    assert store.uris() == ()
