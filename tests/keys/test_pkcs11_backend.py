"""Against a real SoftHSM2 token; what threads and forks do is tried in processes of its own."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

import keys
from keys import es256
from keys.demo_eudi_ca import DemoEudiAuthority
from keys.demo_pdf_ca import demo_pdf_seal
from keys.errors import KeyRefusal
from keys.eudi_certificates import EudiUse, signing_request
from keys.identity import kid_of
from keys.pdf_seal_certificates import pdf_seal_request
from keys.pkcs11_backend import Pkcs11KeyStore
from keys.store import Algorithm, KeyFile, KeyImporter, Passphrase, SecretKeeper, open_key_manager
from keys.uri import KeyUri
from passes.sd_jwt import decoded, sign_jws

PROJECT = Path(keys.__file__).parents[1]
MODULES = [
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    *sorted(Path("/usr/lib").glob("*/softhsm/libsofthsm2.so")),
    *sorted(Path("/usr/lib64").glob("**/libsofthsm2.so")),
]
MODULE = next((path for path in MODULES if path.exists()), None)
PIN = Passphrase("471147")

needs_softhsm = pytest.mark.skipif(
    MODULE is None or shutil.which("softhsm2-util") is None,
    reason="SoftHSM2 is not installed (apt: softhsm2)",
)


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The location of a fresh token and the configuration that shows it."""
    import pkcs11

    place = tmp_path_factory.mktemp("softhsm")
    (place / "tokens").mkdir()
    configuration = place / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {place / 'tokens'}\nobjectstore.backend = file\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(configuration))
        for label in ("Stadt Köln", "Stadt Bonn"):
            init = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "11223344"]
            subprocess.run([*init, "--pin", PIN.text], check=True, capture_output=True)
        # The library reads its configuration when it is loaded, so it must not be loaded yet.
        pkcs11.unload(str(MODULE))
        yield str(KeyUri.pkcs11(token="Stadt Köln", module_path=str(MODULE))), configuration
        pkcs11.unload(str(MODULE))


@pytest.fixture
def manager(token: tuple[str, Path]) -> Iterator[Pkcs11KeyStore]:
    with open_key_manager(token[0], PIN) as manager:
        assert isinstance(manager, Pkcs11KeyStore)
        yield manager


@needs_softhsm
def test_es256_keys_sign_in_one_form(manager: Pkcs11KeyStore, token: tuple[str, Path]) -> None:
    uri = manager.create_key("seal-es", Algorithm.ES256)
    signer = manager.signer(KeyUri.parse(str(uri)))
    public_key = signer.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert signer.algorithm is Algorithm.ES256
    # the token returns either s, so a few dozen signatures meet both
    for number in range(48):
        es256.verify(public_key, signer.sign(b"%d" % number), b"%d" % number)
    with open_key_manager(token[0], PIN) as again:
        assert kid_of(again.public_key(uri)) == kid_of(public_key)


@needs_softhsm
def test_rs256_keys_sign_pkcs1_sha256(manager: Pkcs11KeyStore) -> None:
    signer = manager.signer(manager.create_key("apple-rs", Algorithm.RS256))
    public_key = signer.public_key()
    assert isinstance(public_key, rsa.RSAPublicKey)
    assert public_key.key_size == 2048
    public_key.verify(signer.sign(b"manifest"), b"manifest", padding.PKCS1v15(), hashes.SHA256())


@needs_softhsm
@pytest.mark.parametrize("algorithm", Algorithm)
def test_private_keys_cannot_leave_the_token(manager: Pkcs11KeyStore, algorithm: Algorithm) -> None:
    import pkcs11

    uri = manager.create_key(f"stays-{algorithm}", algorithm)
    session = pkcs11.lib(uri.module_path).get_token(token_label=uri.token).open()
    try:
        private = session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, id=uri.object_id)
        assert private[pkcs11.Attribute.NEVER_EXTRACTABLE]
        assert private[pkcs11.Attribute.ALWAYS_SENSITIVE]
        secret = pkcs11.Attribute.VALUE if algorithm is Algorithm.ES256 else pkcs11.Attribute.PRIVATE_EXPONENT
        with pytest.raises(pkcs11.AttributeSensitive):
            private[secret]
    finally:
        session.close()
    assert not isinstance(manager, KeyImporter)
    assert not isinstance(manager, SecretKeeper)


@needs_softhsm
def test_names_are_used_once(manager: Pkcs11KeyStore) -> None:
    manager.create_key("once", Algorithm.ES256)
    with pytest.raises(KeyRefusal, match="KEY_EXISTS"):
        manager.create_key("once", Algorithm.RS256)
    with pytest.raises(KeyRefusal, match="KEY_NAME"):
        manager.create_key("not a name", Algorithm.ES256)


@needs_softhsm
def test_keys_that_are_elsewhere_are_refused(manager: Pkcs11KeyStore) -> None:
    uri = manager.create_key("here", Algorithm.ES256)
    elsewhere = [
        KeyUri.file("here"),
        KeyUri.pkcs11(token="Other", name="here"),
        KeyUri.pkcs11(token=uri.token, name="there"),
        KeyUri.pkcs11(token=uri.token),
        KeyUri.pkcs11(token=uri.token, name="here", object_id=b"\0"),
        KeyUri.pkcs11(token=uri.token, name="here", module_path="/usr/lib/other.so"),
    ]
    for wrong in elsewhere:
        with pytest.raises(KeyRefusal, match="KEY_UNKNOWN"):
            manager.signer(wrong)
    assert manager.signer(KeyUri.pkcs11(token="", name="here")).sign(b"x")


@needs_softhsm
def test_closing_one_manager_leaves_the_other_open(token: tuple[str, Path]) -> None:
    first, second = open_key_manager(token[0], PIN), open_key_manager(token[0], PIN)
    signer = second.signer(second.create_key("shared", Algorithm.ES256))
    first.close()
    first.close()
    assert len(signer.sign(b"x")) == 64
    with pytest.raises(KeyRefusal, match="KEYSTORE_CLOSED"):
        first.create_key("late", Algorithm.ES256)
    second.close()
    with pytest.raises(KeyRefusal, match="KEYSTORE_CLOSED"):
        signer.sign(b"x")


@needs_softhsm
def test_wrong_pins_and_places_are_named(token: tuple[str, Path]) -> None:
    with pytest.raises(KeyRefusal, match="PKCS11_PIN"):
        open_key_manager(token[0], Passphrase("000000"))
    with open_key_manager(token[0], PIN), pytest.raises(KeyRefusal, match="PKCS11_PIN"):
        open_key_manager(token[0], Passphrase("000000"))
    with pytest.raises(KeyRefusal, match="PKCS11_TOKEN"):
        open_key_manager(f"pkcs11:token=Nowhere?module-path={MODULE}", PIN)
    with pytest.raises(KeyRefusal, match="PKCS11_MODULE"):
        open_key_manager("pkcs11:token=T?module-path=/usr/lib/no-such-library.so", PIN)


@needs_softhsm
def test_eight_threads_share_one_library(token: tuple[str, Path]) -> None:
    """In a process of its own: a library that two sessions call at once ends it."""
    script = (
        "import sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from keys import es256\n"
        "from keys.store import Algorithm, Passphrase, open_key_manager\n"
        "def check(number):\n"
        "    manager, uri = managers[number % 3], uris[number % 3]\n"
        "    signer, data = manager.signer(uri), b'%d' % number\n"
        "    es256.verify(signer.public_key(), signer.sign(data), data)\n"
        "    return 1\n"
        "locations = [sys.argv[1], sys.argv[1], sys.argv[1].replace('K%C3%B6ln', 'Bonn')]\n"
        "managers = [open_key_manager(location, Passphrase(sys.argv[2])) for location in locations]\n"
        "uris = [item.create_key(f'crowd-{n}', Algorithm.ES256) for n, item in enumerate(managers)]\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print(sum(pool.map(check, range(2400))))\n"
        "for manager in managers:\n"
        "    manager.close()\n"
    )
    arguments = [sys.executable, "-c", script, token[0], PIN.text]
    run = subprocess.run(arguments, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "2400\n", "")


@needs_softhsm
def test_a_forked_process_is_told_to_open_its_own(token: tuple[str, Path]) -> None:
    script = (
        "import os, sys\n"
        "from keys.errors import KeyRefusal\n"
        "from keys.store import Algorithm, Passphrase, open_key_manager\n"
        "manager = open_key_manager(sys.argv[1], Passphrase(sys.argv[2]))\n"
        "signer = manager.signer(manager.create_key('forked', Algorithm.ES256))\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    again = lambda: open_key_manager(sys.argv[1], Passphrase(sys.argv[2]))\n"
        "    for attempt in (lambda: signer.sign(b'x'), again):\n"
        "        try:\n"
        "            attempt()\n"
        "        except KeyRefusal as refusal:\n"
        "            print(refusal.code, flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "print(len(signer.sign(b'x')))\n"
    )
    arguments = [sys.executable, "-c", script, token[0], PIN.text]
    run = subprocess.run(arguments, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["PKCS11_FORKED", "PKCS11_FORKED", "64"]


def test_without_python_pkcs11_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(KeyRefusal) as refusal:
        open_key_manager("pkcs11:token=T?module-path=/usr/lib/p11.so", PIN)
    assert refusal.value.code == "PKCS11_NOT_INSTALLED"
    assert "pip install 'stadtpass[pkcs11]'" in refusal.value.sentence("de")
    assert "pip install 'stadtpass[pkcs11]'" in refusal.value.sentence("en")


def test_a_location_must_say_where(tmp_path: Path) -> None:
    for location in ("pkcs11:token=T", "pkcs11:object=seal-1?module-path=/usr/lib/p11.so"):
        with pytest.raises(KeyRefusal, match="PKCS11_LOCATION"):
            open_key_manager(location, PIN)
    with pytest.raises(KeyRefusal, match="PKCS11_WANTS_PIN"):
        open_key_manager("pkcs11:token=T?module-path=/usr/lib/p11.so", KeyFile(tmp_path / "k"))


@needs_softhsm
def test_a_document_signer_can_live_in_the_token(manager: Pkcs11KeyStore) -> None:
    signer = manager.signer(manager.create_key("eudi-1", Algorithm.ES256))
    request = x509.load_pem_x509_csr(signing_request(signer, "Stadt", "DE", "Stadt", "stadt.example"))
    assert request.is_signature_valid
    assert request.public_key() == signer.public_key()
    authority = DemoEudiAuthority.new(datetime.now(UTC), "https://stadt.example")
    identity = authority.issue(EudiUse.DOCUMENT_SIGNER, signer)
    made = sign_jws(identity.signer, {"alg": "ES256", "x5c": identity.x5c}, {"sub": "x"})
    signed, _, signature = made.rpartition(".")
    key = identity.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    es256.verify(key, decoded(signature), signed.encode())


@needs_softhsm
def test_the_key_that_seals_pdfs_can_live_in_the_token(manager: Pkcs11KeyStore) -> None:
    signer = manager.signer(manager.create_key("pdf-seal-1", Algorithm.ES256))
    request = x509.load_pem_x509_csr(pdf_seal_request(signer, "Stadt", "DE", "Stadt"))
    assert request.is_signature_valid
    identity = demo_pdf_seal(datetime.now(UTC), signer)
    key = identity.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    es256.verify(key, identity.signer.sign(b"document"), b"document")
