import base64
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

import keys
from keys import es256
from keys.envelope import create_key_file
from keys.errors import KeyRefusal
from keys.file_backend import FileKeyStore
from keys.file_format import KeyTable, decode_key
from keys.identity import kid_of
from keys.store import Algorithm, KeyFile, KeyImporter, Passphrase, SecretKeeper, open_key_manager, register
from keys.uri import KeyUri

PROJECT = Path(keys.__file__).parents[1]
PASSPHRASE = Passphrase("Straße am Rhein 7")


def check_es256(store: FileKeyStore, uri: KeyUri) -> None:
    signer = store.signer(uri)
    public_key = signer.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    es256.verify(public_key, signer.sign(b"seal"), b"seal")


def test_an_es256_key_signs_after_reopening(store: FileKeyStore, directory: Path, key_file: KeyFile) -> None:
    uri = store.create_key("seal-1", Algorithm.ES256)
    kid = kid_of(store.public_key(uri))
    store.close()
    with FileKeyStore.open(directory, key_file) as again:
        assert kid_of(again.public_key(uri)) == kid
        assert again.signer(uri).algorithm is Algorithm.ES256
        check_es256(again, uri)
        assert again.uris() == (uri,)


def test_es256_signatures_always_have_the_low_s(store: FileKeyStore) -> None:
    signer = store.signer(store.create_key("seal-1", Algorithm.ES256))
    assert all(es256.is_low_s(signer.sign(b"%d" % number)) for number in range(64))


def test_an_rs256_key_signs_pkcs1_sha256(store: FileKeyStore) -> None:
    signer = store.signer(store.create_key("apple", Algorithm.RS256))
    public_key = signer.public_key()
    assert isinstance(public_key, rsa.RSAPublicKey)
    assert public_key.key_size == 2048
    assert signer.algorithm is Algorithm.RS256
    public_key.verify(signer.sign(b"manifest"), b"manifest", padding.PKCS1v15(), hashes.SHA256())


def test_a_key_is_loaded_once(store: FileKeyStore, directory: Path) -> None:
    uri = store.create_key("seal-1", Algorithm.ES256)
    first = store.signer(uri)
    (directory / "seal-1.key").unlink()
    assert store.signer(uri) is first


def test_a_location_opens_the_keystore(store: FileKeyStore, directory: Path, key_file: KeyFile) -> None:
    uri = store.create_key("seal-1", Algorithm.ES256)
    with open_key_manager(f"file:{directory}", key_file) as manager:
        assert isinstance(manager, KeyImporter)
        assert isinstance(manager, SecretKeeper)
        assert manager.signer(uri).uri == uri
    with pytest.raises(KeyRefusal, match="URI_SCHEME"):
        open_key_manager(str(directory), key_file)


def test_a_scheme_is_registered_once(store: FileKeyStore, key_file: KeyFile) -> None:
    register("memory-for-test", lambda _location, _unlock: store)
    assert open_key_manager("memory-for-test:", key_file) is store
    with pytest.raises(ValueError, match="registered"):
        register("file", lambda _location, _unlock: store)


def test_secrets_are_kept_and_given_back(store: FileKeyStore, directory: Path, key_file: KeyFile) -> None:
    given_uri = store.create_secret("epoch-1", bytes(range(32)))
    fresh = {store.secret(store.create_secret(f"data-{number}")) for number in range(4)}
    assert len(fresh) == 4
    assert all(len(secret) == 32 for secret in fresh)
    with FileKeyStore.open(directory, key_file) as again:
        assert again.secret(given_uri) == bytes(range(32))
    with pytest.raises(KeyRefusal, match="SECRET_LENGTH"):
        store.create_secret("short", b"x" * 16)


def test_signing_keys_are_never_given_out_and_secrets_never_sign(store: FileKeyStore) -> None:
    with pytest.raises(KeyRefusal, match="KEY_IS_NOT_SECRET"):
        store.secret(store.create_key("seal-1", Algorithm.ES256))
    with pytest.raises(KeyRefusal, match="KEY_IS_SECRET"):
        store.signer(store.create_secret("epoch-1"))


def test_nothing_secret_shows(store: FileKeyStore, directory: Path) -> None:
    signer = store.signer(store.create_key("seal-1", Algorithm.ES256))
    store.create_secret("epoch-1", b"S" * 32)
    assert PASSPHRASE.text not in repr(PASSPHRASE)
    assert repr(signer) == "<ES256 signer file:seal-1>"
    assert all(b"S" * 32 not in path.read_bytes() for path in directory.iterdir())


@pytest.mark.parametrize("kind", ["key", "import", "secret"])
def test_a_name_is_used_once(store: FileKeyStore, kind: str) -> None:
    uri = store.create_key("seal-1", Algorithm.ES256)
    kid = kid_of(store.public_key(uri))
    again: dict[str, Callable[[], KeyUri]] = {
        "key": lambda: store.create_key("seal-1", Algorithm.ES256),
        "import": lambda: store.import_key("seal-1", ec.generate_private_key(ec.SECP256R1())),
        "secret": lambda: store.create_secret("seal-1"),
    }
    with pytest.raises(KeyRefusal, match="KEY_EXISTS"):
        again[kind]()
    assert kid_of(store.public_key(uri)) == kid


@pytest.mark.parametrize("name", ["", "../up", "a/b", "-", "ä", "a" * 81, "a\0"])
def test_bad_names_write_nothing(store: FileKeyStore, directory: Path, name: str) -> None:
    before = sorted(directory.rglob("*"))
    for attempt in (lambda: store.create_key(name, Algorithm.ES256), lambda: store.create_secret(name)):
        with pytest.raises(KeyRefusal, match="KEY_NAME"):
            attempt()
    assert sorted(directory.rglob("*")) == before


def test_imports_take_only_known_kinds(store: FileKeyStore) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    uri = store.import_key("apple", key)
    assert kid_of(store.public_key(uri)) == kid_of(key.public_key())
    for other in (ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()):
        with pytest.raises(KeyRefusal, match="KEY_KIND"):
            store.import_key("other", other)  # type: ignore[arg-type]


@pytest.mark.parametrize("uri", [KeyUri.file("nobody"), KeyUri.pkcs11(token="T", name="seal-1")], ids=str)
def test_unknown_keys_are_refused(store: FileKeyStore, uri: KeyUri) -> None:
    store.create_key("seal-1", Algorithm.ES256)
    with pytest.raises(KeyRefusal, match="KEY_UNKNOWN"):
        store.signer(uri)


def test_a_closed_keystore_does_nothing(store: FileKeyStore) -> None:
    uri = store.create_key("seal-1", Algorithm.ES256)
    store.signer(uri)
    store.close()
    for attempt in (
        lambda: store.signer(uri),
        lambda: store.create_key("seal-2", Algorithm.ES256),
        store.uris,
    ):
        with pytest.raises(KeyRefusal, match="KEYSTORE_CLOSED"):
            attempt()


# Who may read the files


def test_files_are_closed_to_others(store: FileKeyStore, directory: Path, key_file: KeyFile) -> None:
    old = os.umask(0)
    try:
        store.create_key("seal-1", Algorithm.ES256)
        other = FileKeyStore.create(directory.with_name("second"), key_file)
        other.create_secret("epoch-1")
        create_key_file(directory.with_name("second.key"))
    finally:
        os.umask(old)
    for place in (directory, directory.with_name("second")):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {0o600}
    assert stat.S_IMODE(directory.with_name("second.key").stat().st_mode) == 0o600


def test_loose_permissions_are_refused(store: FileKeyStore, directory: Path, key_file: KeyFile) -> None:
    uri = store.create_key("seal-1", Algorithm.ES256)
    directory.chmod(0o750)
    with pytest.raises(KeyRefusal, match="DIRECTORY_OPEN_TO_OTHERS"):
        FileKeyStore.open(directory, key_file)
    directory.chmod(0o700)
    (directory / "seal-1.key").chmod(0o640)
    with pytest.raises(KeyRefusal, match="FILE_OPEN_TO_OTHERS"):
        FileKeyStore.open(directory, key_file).signer(uri)
    key_file.path.chmod(0o604)
    with pytest.raises(KeyRefusal, match="FILE_OPEN_TO_OTHERS"):
        FileKeyStore.open(directory, key_file)


def test_nothing_is_left_beside_the_files(store: FileKeyStore, directory: Path) -> None:
    store.create_key("seal-1", Algorithm.ES256)
    store.create_secret("epoch-1")
    assert {path.name for path in directory.iterdir()} == {
        "keystore.json",
        ".lock",
        "seal-1.key",
        "epoch-1.key",
    }


# The secret that opens it


def test_a_passphrase_opens_and_a_wrong_one_is_named(directory: Path, key_file: KeyFile) -> None:
    with FileKeyStore.create(directory, PASSPHRASE) as store:
        uri = store.create_key("root", Algorithm.ES256)
    with FileKeyStore.open(directory, Passphrase("Straße am Rhein 7")) as store:
        check_es256(store, uri)
    with pytest.raises(KeyRefusal) as refusal:
        FileKeyStore.open(directory, Passphrase("Strasse am Rhein 7"))
    assert refusal.value.code == "KEYSTORE_WRONG_SECRET"
    assert "Passphrase" in refusal.value.sentence("de")
    with pytest.raises(KeyRefusal, match="KEYSTORE_WANTS_PASSPHRASE"):
        FileKeyStore.open(directory, key_file)


def test_composed_and_decomposed_passphrases_are_one(directory: Path) -> None:
    FileKeyStore.create(directory, Passphrase("M\u00fcnster 1648 Frieden")).close()
    FileKeyStore.open(directory, Passphrase("Mu\u0308nster 1648 Frieden")).close()


def test_key_files_are_checked(
    store: FileKeyStore, directory: Path, key_file: KeyFile, tmp_path: Path
) -> None:
    other = create_key_file(tmp_path / "other.key")
    with pytest.raises(KeyRefusal, match="KEYSTORE_WRONG_SECRET"):
        FileKeyStore.open(directory, other)
    with pytest.raises(KeyRefusal, match="KEYSTORE_WANTS_KEY_FILE"):
        FileKeyStore.open(directory, PASSPHRASE)
    with pytest.raises(KeyRefusal, match="KEY_FILE_MISSING"):
        FileKeyStore.open(directory, KeyFile(tmp_path / "none.key"))
    with pytest.raises(KeyRefusal, match="KEY_FILE_EXISTS"):
        create_key_file(key_file.path)
    other.path.write_bytes(b"short")
    with pytest.raises(KeyRefusal, match="KEY_FILE_LENGTH"):
        FileKeyStore.open(directory, other)
    other.path.write_bytes(b"x" * 33)
    with pytest.raises(KeyRefusal, match="FILE_NOT_EXPECTED"):
        FileKeyStore.open(directory, other)


def test_a_keystore_is_made_once_and_must_exist(
    store: FileKeyStore, directory: Path, key_file: KeyFile
) -> None:
    uri = store.create_key("seal-1", Algorithm.ES256)
    with pytest.raises(KeyRefusal, match="KEYSTORE_EXISTS"):
        FileKeyStore.create(directory, key_file)
    check_es256(FileKeyStore.open(directory, key_file), uri)
    with pytest.raises(KeyRefusal, match="KEYSTORE_MISSING"):
        FileKeyStore.open(directory.with_name("nowhere"), key_file)
    (directory / "keystore.json").unlink()
    with pytest.raises(KeyRefusal, match="KEYSTORE_MISSING"):
        FileKeyStore.open(directory, key_file)
    with pytest.raises(KeyRefusal, match="PASSPHRASE_SHORT"):
        FileKeyStore.create(directory.with_name("weak"), Passphrase("kurz"))


def test_rewrap_changes_the_secret_and_not_the_keys(
    store: FileKeyStore, directory: Path, key_file: KeyFile, tmp_path: Path
) -> None:
    uri, secret_uri = store.create_key("seal-1", Algorithm.ES256), store.create_secret("epoch-1")
    kid, secret = kid_of(store.public_key(uri)), store.secret(secret_uri)
    sealed = (directory / "seal-1.key").read_bytes()
    old_copy = shutil.copytree(directory, tmp_path / "copy")
    other = FileKeyStore.open(directory, key_file)
    new = create_key_file(tmp_path / "new.key")

    store.rewrap(new)

    assert (directory / "seal-1.key").read_bytes() == sealed
    later = store.create_key("seal-2", Algorithm.ES256)
    with pytest.raises(KeyRefusal, match="KEYSTORE_WRONG_SECRET"):
        FileKeyStore.open(directory, key_file)
    with FileKeyStore.open(directory, new) as again:
        assert kid_of(again.public_key(uri)) == kid
        assert again.secret(secret_uri) == secret
        check_es256(again, later)
    # a process that has the old secret reads what it knew and is told about the rest
    check_es256(other, uri)
    with pytest.raises(KeyRefusal, match="KEYSTORE_CHANGED"):
        other.signer(later)
    with pytest.raises(KeyRefusal, match="KEYSTORE_CHANGED"):
        other.create_key("seal-3", Algorithm.ES256)
    # the wrapped keys of the old copy do not open the new one's, nor the other way round
    shutil.copy(old_copy / "keystore.json", directory / "keystore.json")
    with pytest.raises(KeyRefusal, match="KEYSTORE_WRONG_SECRET"):
        FileKeyStore.open(directory, new)


# Damage


@pytest.mark.parametrize("kind", ["key", "secret"])
@pytest.mark.parametrize("file", ["keystore.json", "it.key"])
def test_every_changed_byte_is_noticed(
    store: FileKeyStore, directory: Path, key_file: KeyFile, file: str, kind: str
) -> None:
    uri = store.create_secret("it") if kind == "secret" else store.create_key("it", Algorithm.ES256)
    path = directory / file
    original = path.read_bytes()
    for position in range(len(original)):
        for change in (0x01, 0x20, 0x80):
            octets = bytearray(original)
            octets[position] ^= change
            path.write_bytes(octets)
            with pytest.raises(KeyRefusal):
                opened = FileKeyStore.open(directory, key_file)
                opened.secret(uri) if kind == "secret" else opened.signer(uri)


@pytest.mark.parametrize("file", ["keystore.json", "it.key"])
def test_every_truncation_is_noticed(
    store: FileKeyStore, directory: Path, key_file: KeyFile, file: str
) -> None:
    uri = store.create_key("it", Algorithm.ES256)
    path = directory / file
    original = path.read_bytes()
    # without its last byte, a line feed, the file still says the same
    for length in range(len(original) - 1):
        path.write_bytes(original[:length])
        with pytest.raises(KeyRefusal, match="KEYSTORE_DAMAGED"):
            FileKeyStore.open(directory, key_file).signer(uri)


def test_keys_cannot_be_swapped(store: FileKeyStore, directory: Path, key_file: KeyFile) -> None:
    first, _ = store.create_key("a", Algorithm.ES256), store.create_key("b", Algorithm.ES256)
    table = json.loads((directory / "keystore.json").read_bytes())
    document = json.loads((directory / "b.key").read_bytes())
    (directory / "a.key").write_text(json.dumps(document))
    with pytest.raises(KeyRefusal, match="KEYSTORE_DAMAGED"):
        FileKeyStore.open(directory, key_file).signer(first)
    (directory / "a.key").write_text(json.dumps({**document, "name": "a"}))
    table["keys"]["a"] = table["keys"]["b"]
    (directory / "keystore.json").write_text(json.dumps(table))
    with pytest.raises(KeyRefusal, match="KEY_DAMAGED"):
        FileKeyStore.open(directory, key_file).signer(first)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"version": 2}, "KEYSTORE_NEWER"),
        ({"version": True}, "KEYSTORE_DAMAGED"),
        ({"version": 0}, "KEYSTORE_DAMAGED"),
        ({"suite": "scrypt-2-1-1"}, "KEYSTORE_DAMAGED"),
        ({"extra": 1}, "KEYSTORE_DAMAGED"),
        ({"salt": "AAAA"}, "KEYSTORE_DAMAGED"),
        ({"salt": 5}, "KEYSTORE_DAMAGED"),
        ({"keys": []}, "KEYSTORE_DAMAGED"),
        ({"keys": {"../up": "AAAA"}}, "KEY_NAME"),
    ],
)
def test_a_strange_table_is_refused(
    store: FileKeyStore, directory: Path, key_file: KeyFile, change: dict[str, object], code: str
) -> None:
    path = directory / "keystore.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    with pytest.raises(KeyRefusal, match=code):
        FileKeyStore.open(directory, key_file)


def test_base64_has_one_spelling(store: FileKeyStore, directory: Path, key_file: KeyFile) -> None:
    """32 bytes leave two spare bits in the last character, which many decoders ignore."""
    path = directory / "keystore.json"
    document = json.loads(path.read_bytes())
    salt = document["salt"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    document["salt"] = salt[:-2] + alphabet[alphabet.index(salt[-2]) + 1] + "="
    assert base64.b64decode(document["salt"]) == base64.b64decode(salt)
    path.write_text(json.dumps(document))
    with pytest.raises(KeyRefusal, match="KEYSTORE_DAMAGED"):
        FileKeyStore.open(directory, key_file)


def test_a_repeated_member_is_refused(store: FileKeyStore, directory: Path, key_file: KeyFile) -> None:
    path = directory / "keystore.json"
    path.write_text(path.read_text().replace('"version": 1,', '"version": 1, "version": 1,'))
    with pytest.raises(KeyRefusal, match="KEYSTORE_DAMAGED"):
        FileKeyStore.open(directory, key_file)


def test_an_oversized_file_is_refused_unread(store: FileKeyStore, directory: Path, key_file: KeyFile) -> None:
    os.truncate(directory / "keystore.json", 1 << 30)
    with pytest.raises(KeyRefusal, match="FILE_NOT_EXPECTED"):
        FileKeyStore.open(directory, key_file)


@given(st.binary(max_size=200) | st.text('[]{}",:a1 ', max_size=60).map(str.encode))
def test_noise_is_refused(noise: bytes) -> None:
    for decode in (KeyTable.decode, decode_key):
        with pytest.raises(KeyRefusal):
            decode(noise, Path("keystore.json"))


def test_deeply_nested_noise_is_refused() -> None:
    with pytest.raises(KeyRefusal, match="KEYSTORE_DAMAGED"):
        KeyTable.decode(b"[" * 1_000_000, Path("keystore.json"))


# Crashes and company


def test_what_a_crash_left_behind_does_not_block_the_name(
    store: FileKeyStore, directory: Path, key_file: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after the key file is written and before the table is."""
    real_replace = Path.replace

    def dying(self: Path, target: Path) -> Path:
        if Path(target).name == "keystore.json":
            raise OSError("power cut")
        return real_replace(self, target)

    monkeypatch.setattr(Path, "replace", dying)
    with pytest.raises(OSError, match="power cut"):
        store.create_key("seal-1", Algorithm.ES256)
    monkeypatch.undo()
    assert (directory / "seal-1.key").exists()
    again = FileKeyStore.open(directory, key_file)
    with pytest.raises(KeyRefusal, match="KEY_UNKNOWN"):
        again.signer(KeyUri.file("seal-1"))
    check_es256(again, again.create_key("seal-1", Algorithm.ES256))


def test_a_key_made_by_another_process_is_found(
    store: FileKeyStore, directory: Path, key_file: KeyFile
) -> None:
    script = (
        "import sys; from pathlib import Path; from keys.store import Algorithm, KeyFile, open_key_manager\n"
        "with open_key_manager('file:' + sys.argv[1], KeyFile(Path(sys.argv[2]))) as manager:\n"
        "    uri = manager.create_key('from-worker', Algorithm.ES256)\n"
        "    print(uri, manager.signer(uri).sign(b'seal').hex())\n"
    )
    arguments = [sys.executable, "-c", script, str(directory), str(key_file.path)]
    run = subprocess.run(arguments, cwd=PROJECT, capture_output=True, text=True, check=True)
    text, signature = run.stdout.split()
    public_key = store.public_key(KeyUri.parse(text))
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    es256.verify(public_key, bytes.fromhex(signature), b"seal")


def test_two_open_keystores_lose_no_key(directory: Path, store: FileKeyStore, key_file: KeyFile) -> None:
    stores = [store, FileKeyStore.open(directory, key_file)]

    def make(number: int) -> KeyUri:
        return stores[number % 2].create_key(f"key-{number}", Algorithm.ES256)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(24)))
    with FileKeyStore.open(directory, key_file) as again:
        assert set(again.uris()) == set(made)
        for uri in made:
            check_es256(again, uri)


def test_threads_share_one_signer(store: FileKeyStore) -> None:
    uri = store.create_key("seal-1", Algorithm.ES256)
    with ThreadPoolExecutor(8) as pool:
        assert len({id(signer) for signer in pool.map(lambda _: store.signer(uri), range(32))}) == 1
        list(pool.map(lambda _: check_es256(store, uri), range(64)))
