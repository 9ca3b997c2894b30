"""The envelope around stored keys: secret -> KEK -> one wrapped DEK per key -> AES-256-GCM.

- The key-encryption key (KEK) comes from a passphrase by scrypt (RFC 7914) with N=2^17, r=8, p=1, which
  takes about half a second and 128 MB of memory each time a keystore is opened; or from a file of 32 random
  bytes by HKDF-SHA-256 (RFC 5869). A random 256-bit secret gains nothing from stretching: nobody can guess
  it, however fast the guesses are.
- Each key has a random 256-bit data-encryption key (DEK) of its own, wrapped by the KEK (RFC 3394, 40
  bytes). To change the passphrase is to wrap the DEKs anew; the keys themselves are not touched.
- AES-256-GCM ties every ciphertext to the name, kind and kid of its key and to the format version.

The parameters belong to the suite's name and are not read from the file, so that nobody who can write the
file can weaken them or exhaust the memory of the reader.
"""

from __future__ import annotations

import secrets
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from keys.errors import KeyRefusal
from keys.private_files import create_private, read_private
from keys.store import KeyFile, Passphrase, Unlock

FORMAT_VERSION = 1
SALT_BYTES = 32
WRAPPED_BYTES = 40
KEY_FILE_BYTES = 32
MIN_PASSPHRASE_CHARACTERS = 12

_DEK_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_SCRYPT_N = 2**17
_HKDF_INFO = b"stadtpass keystore 1 key-encryption key"


class Suite(StrEnum):
    """How the KEK is derived; the name fixes every parameter."""

    SCRYPT = "scrypt-131072-8-1"
    HKDF = "hkdf-sha256"

    @classmethod
    def of(cls, unlock: Unlock) -> Self:
        """The suite that goes with this kind of secret."""
        return cls(cls.SCRYPT if isinstance(unlock, Passphrase) else cls.HKDF)


def create_key_file(path: Path) -> KeyFile:
    """Write 32 fresh random bytes to ``path`` (mode 0600). Raises KeyRefusal if the file exists already."""
    try:
        create_private(path, secrets.token_bytes(KEY_FILE_BYTES))
    except FileExistsError as error:
        raise KeyRefusal("KEY_FILE_EXISTS", path=path) from error
    return KeyFile(path)


@dataclass(frozen=True, slots=True)
class Header:
    """What a keystore must remember to derive its KEK: the suite, the salt, and a wrapped random value.

    The wrapped value opens under the right KEK alone; it tells a wrong secret from a damaged key.
    """

    suite: Suite
    salt: bytes
    check: bytes


@dataclass(frozen=True, slots=True)
class Kek:
    """A derived key-encryption key. Python cannot wipe it; it lives as long as its keystore is open."""

    key: bytes = field(repr=False)

    def wrap(self, dek: bytes) -> bytes:
        """The 40 bytes of a wrapped 256-bit key (RFC 3394 2.2.1)."""
        return aes_key_wrap(self.key, dek)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The wrapped key; raises cryptography's InvalidUnwrap under another KEK or after damage."""
        return aes_key_unwrap(self.key, wrapped)


def new_kek(unlock: Unlock) -> tuple[Header, Kek]:
    """Derive a KEK with a fresh salt. Raises KeyRefusal for a short passphrase or an unusable key file."""
    if isinstance(unlock, Passphrase) and len(unlock.text) < MIN_PASSPHRASE_CHARACTERS:
        raise KeyRefusal("PASSPHRASE_SHORT", minimum=MIN_PASSPHRASE_CHARACTERS)
    suite, salt = Suite.of(unlock), secrets.token_bytes(SALT_BYTES)
    kek = _derive(unlock, salt)
    return Header(suite, salt, kek.wrap(secrets.token_bytes(_DEK_BYTES))), kek


def open_kek(header: Header, unlock: Unlock) -> Kek:
    """Derive the KEK of an existing keystore. Raises KeyRefusal if the secret is the wrong one."""
    if Suite.of(unlock) is not header.suite:
        wanted = "KEYSTORE_WANTS_PASSPHRASE" if header.suite is Suite.SCRYPT else "KEYSTORE_WANTS_KEY_FILE"
        raise KeyRefusal(wanted)
    kek = _derive(unlock, header.salt)
    try:
        kek.unwrap(header.check)
    except InvalidUnwrap as error:
        raise KeyRefusal("KEYSTORE_WRONG_SECRET") from error
    return kek


def _derive(unlock: Unlock, salt: bytes) -> Kek:
    if isinstance(unlock, Passphrase):
        # The same passphrase typed on another keyboard may arrive decomposed; NFC makes it one.
        text = unicodedata.normalize("NFC", unlock.text).encode()
        return Kek(Scrypt(salt=salt, length=_DEK_BYTES, n=_SCRYPT_N, r=8, p=1).derive(text))
    try:
        secret = read_private(unlock.path, KEY_FILE_BYTES)
    except FileNotFoundError as error:
        raise KeyRefusal("KEY_FILE_MISSING", path=unlock.path) from error
    if len(secret) != KEY_FILE_BYTES:
        raise KeyRefusal("KEY_FILE_LENGTH", path=unlock.path)
    return Kek(HKDF(algorithm=hashes.SHA256(), length=_DEK_BYTES, salt=salt, info=_HKDF_INFO).derive(secret))


@dataclass(frozen=True, slots=True)
class Label:
    """What a ciphertext is tied to. ``kid`` is empty for a symmetric secret."""

    name: str
    kind: str
    kid: bytes

    def associated_data(self) -> bytes:
        """The bytes that AES-GCM authenticates with the key; the NUL cannot occur in the texts."""
        head = f"stadtpass-key\0{FORMAT_VERSION}\0{self.name}\0{self.kind}\0"
        return head.encode() + self.kid


def seal(plaintext: bytes, label: Label, kek: Kek) -> tuple[bytes, bytes]:
    """Encrypt a key under a fresh DEK: the wrapped DEK (40 bytes) and nonce || ciphertext || tag."""
    dek, nonce = secrets.token_bytes(_DEK_BYTES), secrets.token_bytes(_NONCE_BYTES)
    return kek.wrap(dek), nonce + AESGCM(dek).encrypt(nonce, plaintext, label.associated_data())


def unseal(wrapped_dek: bytes, sealed: bytes, label: Label, kek: Kek) -> bytes:
    """Decrypt what `seal` wrote. Raises KeyRefusal if a single bit of it or of its label has changed."""
    if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
        raise KeyRefusal("KEY_DAMAGED", name=label.name)
    try:
        dek = kek.unwrap(wrapped_dek)
        return AESGCM(dek).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], label.associated_data())
    except (InvalidUnwrap, InvalidTag) as error:
        raise KeyRefusal("KEY_DAMAGED", name=label.name) from error
