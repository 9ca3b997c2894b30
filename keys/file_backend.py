"""The encrypted keystore: a directory (0700) with one small file per key (0600) and a table of wrapped DEKs.

``keystore.json`` holds how the key-encryption key is derived and, per key, its wrapped DEK. ``NAME.key``
holds the sealed PKCS#8 DER (or the 32 bytes of a secret). The DEKs are kept in one file so that a change of
passphrase is one atomic rename: after a crash either the old secret opens everything, or the new one does.
The keystore needs a POSIX system (file modes, flock).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from keys.envelope import Kek, Label, new_kek, open_kek, seal, unseal
from keys.errors import KeyRefusal
from keys.es256 import raw_from_der
from keys.file_format import MAX_KEY_BYTES, MAX_TABLE_BYTES, SECRET_KIND, KeyTable, decode_key, encode_key
from keys.identity import PrivateKey, PublicKey, kid_of
from keys.private_files import (
    DIRECTORY_MODE,
    FILE_MODE,
    check_directory,
    create_private,
    read_private,
    replace_private,
)
from keys.private_key_files import check_private_key
from keys.store import SECRET_BYTES, Algorithm, Signer, Unlock, algorithm_of
from keys.tls_identity import load_private_key
from keys.uri import KeyUri, Scheme, check_name

_STORE_FILE = "keystore.json"
_LOCK_FILE = ".lock"
_RSA_BITS = 2048

_ECDSA = ec.ECDSA(hashes.SHA256())
_PKCS1 = padding.PKCS1v15()
_SHA256 = hashes.SHA256()


class _FileSigner:
    """What both signers share; the private key stays inside a bound method."""

    __slots__ = ("_public_key", "_sign", "algorithm", "uri")

    def __init__(self, uri: KeyUri, private_key: PrivateKey) -> None:
        self.uri = uri
        self._public_key = private_key.public_key()
        self.algorithm = algorithm_of(self._public_key)
        self._sign: Callable[..., bytes] = private_key.sign

    def public_key(self) -> PublicKey:
        """The public half."""
        return self._public_key

    def __repr__(self) -> str:
        return f"<{self.algorithm} signer {self.uri}>"


class _Es256Signer(_FileSigner):
    __slots__ = ()

    def sign(self, data: bytes) -> bytes:
        return raw_from_der(self._sign(data, _ECDSA))


class _Rs256Signer(_FileSigner):
    __slots__ = ()

    def sign(self, data: bytes) -> bytes:
        return self._sign(data, _PKCS1, _SHA256)


class FileKeyStore:
    """An open keystore: a `KeyManager`, `KeyImporter`, `SecretKeeper` and `TlsKeys` over a directory.

    Open it once per process; several processes may have it open, and a key that one of them makes is found
    by the others. Opening with a passphrase needs 128 MB of memory for a moment.
    """

    def __init__(self, directory: Path, table: KeyTable, kek: Kek) -> None:
        self._directory = directory
        self._table = table
        self._kek: Kek | None = kek
        self._signers: dict[KeyUri, Signer] = {}
        self._secrets: dict[KeyUri, bytes] = {}
        self._loading = threading.RLock()

    @classmethod
    def create(cls, directory: Path, unlock: Unlock) -> Self:
        """Make an empty keystore in ``directory``, which is created if need be (mode 0700).

        Raises KeyRefusal if there is a keystore already, the passphrase is short, or the directory is open
        to others.
        """
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        check_directory(directory)
        header, kek = new_kek(unlock)
        table = KeyTable(header, {})
        try:
            create_private(directory / _STORE_FILE, table.encode())
        except FileExistsError as error:
            raise KeyRefusal("KEYSTORE_EXISTS", directory=directory) from error
        return cls(directory, table, kek)

    @classmethod
    def open(cls, directory: Path, unlock: Unlock) -> Self:
        """Open an existing keystore.

        Raises KeyRefusal if it is missing, damaged or open to others, or if the secret is wrong.
        """
        check_directory(directory)
        table = _read_table(directory)
        return cls(directory, table, open_kek(table.header, unlock))

    def uris(self) -> tuple[KeyUri, ...]:
        """The names of all keys and secrets, sorted."""
        with self._loading:
            self._refresh(self._open_kek())
            return tuple(KeyUri.file(name) for name in sorted(self._table.deks))

    def create_key(self, name: str, algorithm: Algorithm) -> KeyUri:
        """Make a P-256 key (ES256) or an RSA-2048 key (RS256). Raises KeyRefusal, see `KeyManager`."""
        check_name(name)
        if algorithm is Algorithm.ES256:
            return self.import_key(name, ec.generate_private_key(ec.SECP256R1()))
        return self.import_key(name, rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS))

    def import_key(self, name: str, private_key: PrivateKey) -> KeyUri:
        """Store a private key made elsewhere. Raises KeyRefusal, see `KeyImporter`."""
        public_key = check_private_key(private_key).public_key()
        content = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return self._store(content, Label(name, algorithm_of(public_key).value, kid_of(public_key)))

    def create_secret(self, name: str, value: bytes | None = None) -> KeyUri:
        """Store a 256-bit symmetric key. Raises KeyRefusal, see `SecretKeeper`."""
        content = secrets.token_bytes(SECRET_BYTES) if value is None else value
        if len(content) != SECRET_BYTES:
            raise KeyRefusal("SECRET_LENGTH", expected=SECRET_BYTES)
        return self._store(content, Label(name, SECRET_KIND, b""))

    def signer(self, uri: KeyUri) -> Signer:
        """The signer of a key, loaded once. Raises KeyRefusal if it is missing, damaged or a secret."""
        if (known := self._signers.get(uri)) is not None:
            return known
        with self._loading:
            private_key = self._private_key(uri)
            made = (_Es256Signer if isinstance(private_key, ec.EllipticCurvePrivateKey) else _Rs256Signer)(
                uri, private_key
            )
            return self._signers.setdefault(uri, made)

    def public_key(self, uri: KeyUri) -> PublicKey:
        """The public half of a key. Raises KeyRefusal as `signer` does."""
        return self.signer(uri).public_key()

    def secret(self, uri: KeyUri) -> bytes:
        """The 32 bytes of a symmetric key. Raises KeyRefusal if it is missing, damaged or a signing key."""
        if (known := self._secrets.get(uri)) is not None:
            return known
        with self._loading:
            label, content = self._load(uri)
            if label.kind != SECRET_KIND:
                raise KeyRefusal("KEY_IS_NOT_SECRET", uri=uri)
            return self._secrets.setdefault(uri, content)

    def load_tls_key(
        self, uri: KeyUri, certificates: Sequence[x509.Certificate], context: ssl.SSLContext
    ) -> None:
        """Let ``context`` show ``certificates``, with the key at ``uri``. Raises KeyRefusal, see `TlsKeys`."""
        with self._loading:
            load_private_key(context, self._private_key(uri), certificates)

    def rewrap(self, unlock: Unlock) -> None:
        """Change the secret of the keystore, in one atomic step; the keys stay as they are.

        Other processes must open the keystore anew to see keys made later. Somebody who has both an old
        copy of the directory and the old secret can still read the keys that were in it. Raises KeyRefusal.
        """
        with self._exclusive() as (table, kek):
            header, new = new_kek(unlock)
            try:
                deks = {name: new.wrap(kek.unwrap(wrapped)) for name, wrapped in table.deks.items()}
            except InvalidUnwrap as error:
                raise KeyRefusal("KEYSTORE_DAMAGED", path=self._directory / _STORE_FILE) from error
            self._write_table(KeyTable(header, deks))
            self._kek = new

    def close(self) -> None:
        """Forget the key-encryption key and all loaded keys."""
        with self._loading:
            self._kek = None
            self._signers.clear()
            self._secrets.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_kek(self) -> Kek:
        if self._kek is None:
            raise KeyRefusal("KEYSTORE_CLOSED")
        return self._kek

    def _refresh(self, kek: Kek) -> KeyTable:
        """Read the table again, and refuse if another process has changed the secret since."""
        table = _read_table(self._directory)
        if table.header != self._table.header:
            try:
                kek.unwrap(table.header.check)
            except InvalidUnwrap as error:
                raise KeyRefusal("KEYSTORE_CHANGED") from error
        self._table = table
        return table

    @contextmanager
    def _exclusive(self) -> Iterator[tuple[KeyTable, Kek]]:
        """The current table and KEK while no other thread or process may write."""
        with self._loading:
            kek = self._open_kek()
            path = self._directory / _LOCK_FILE
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield self._refresh(kek), kek
            finally:
                os.close(descriptor)

    def _write_table(self, table: KeyTable) -> None:
        content = table.encode()
        if len(content) > MAX_TABLE_BYTES:
            raise KeyRefusal("KEYSTORE_FULL", directory=self._directory)
        replace_private(self._directory / _STORE_FILE, content)
        self._table = table

    def _store(self, content: bytes, label: Label) -> KeyUri:
        uri = KeyUri.file(label.name)
        with self._exclusive() as (table, kek):
            if label.name in table.deks:
                raise KeyRefusal("KEY_EXISTS", name=label.name)
            wrapped, sealed = seal(content, label, kek)
            # A key file without an entry in the table is what a crash left behind; nothing can open it.
            replace_private(self._key_path(label.name), encode_key(label, sealed))
            self._write_table(replace(table, deks={**table.deks, label.name: wrapped}))
        return uri

    def _private_key(self, uri: KeyUri) -> PrivateKey:
        label, content = self._load(uri)
        if label.kind == SECRET_KIND:
            raise KeyRefusal("KEY_IS_SECRET", uri=uri)
        private_key = check_private_key(load_der_private_key(content, None))
        if kid_of(private_key.public_key()) != label.kid:
            raise KeyRefusal("KEY_DAMAGED", name=label.name)
        return private_key

    def _load(self, uri: KeyUri) -> tuple[Label, bytes]:
        kek = self._open_kek()
        if uri.scheme is not Scheme.FILE:
            raise KeyRefusal("KEY_UNKNOWN", uri=uri)
        table = self._table if uri.name in self._table.deks else self._refresh(kek)
        if (wrapped := table.deks.get(uri.name)) is None:
            raise KeyRefusal("KEY_UNKNOWN", uri=uri)
        path = self._key_path(uri.name)
        try:
            label, sealed = decode_key(read_private(path, MAX_KEY_BYTES), path)
        except FileNotFoundError as error:
            raise KeyRefusal("KEYSTORE_DAMAGED", path=path) from error
        if label.name != uri.name:
            raise KeyRefusal("KEYSTORE_DAMAGED", path=path)
        return label, unseal(wrapped, sealed, label, kek)

    def _key_path(self, name: str) -> Path:
        return self._directory / f"{name}.key"


def _read_table(directory: Path) -> KeyTable:
    path = directory / _STORE_FILE
    try:
        return KeyTable.decode(read_private(path, MAX_TABLE_BYTES), path)
    except FileNotFoundError as error:
        raise KeyRefusal("KEYSTORE_MISSING", directory=directory) from error
