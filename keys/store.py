"""What a place that keeps keys can do: one small interface, optional abilities, and a registry by scheme.

Code that signs holds a `Signer` and never learns where the key lives. A new backend implements
`KeyManager` and calls `register`; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from cryptography.hazmat.primitives.asymmetric import ec

from keys.errors import KeyRefusal
from keys.identity import PrivateKey, PublicKey
from keys.uri import KeyUri

SECRET_BYTES = 32


class Algorithm(StrEnum):
    """Signature algorithms by their JOSE names (RFC 7518 3.1): P-256 with SHA-256, RSA PKCS#1 v1.5."""

    ES256 = "ES256"
    RS256 = "RS256"


def algorithm_of(public_key: PublicKey) -> Algorithm:
    """The one algorithm that a key of this kind signs with."""
    return Algorithm.ES256 if isinstance(public_key, ec.EllipticCurvePublicKey) else Algorithm.RS256


@dataclass(frozen=True, slots=True)
class Passphrase:
    """A secret that people know: the passphrase of a keystore, or the user PIN of a token."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file of 32 random bytes, readable by its owner alone, for services that start unattended."""

    path: Path


Unlock = Passphrase | KeyFile


class Signer(Protocol):
    """One private key, ready to sign. Safe to use from several threads, never to be sent to a process."""

    @property
    def uri(self) -> KeyUri:
        """Where the key lives."""

    @property
    def algorithm(self) -> Algorithm:
        """What `sign` produces."""

    def public_key(self) -> PublicKey:
        """The public half."""

    def sign(self, data: bytes) -> bytes:
        """Sign ``data``, hashing it with SHA-256.

        ES256 gives 64 bytes r||s with the low s; RS256 gives a PKCS#1 v1.5 signature (RFC 8017 8.2).
        Raises KeyRefusal if the key store no longer answers.
        """


class KeyManager(Protocol):
    """A place that keeps private keys and never gives them out.

    ``create_key`` returns only after the key is stored durably; a name is used once and never again.
    Each process opens its own manager.
    """

    def create_key(self, name: str, algorithm: Algorithm) -> KeyUri:
        """Make a new key. Raises KeyRefusal for a bad name or one already taken."""

    def signer(self, uri: KeyUri) -> Signer:
        """The signer of a key, loaded once and then kept. Raises KeyRefusal if it is not here or damaged."""

    def public_key(self, uri: KeyUri) -> PublicKey:
        """The public half of a key. Raises KeyRefusal if it is not here or damaged."""

    def close(self) -> None:
        """Forget all keys. Signers handed out earlier must not be used any more."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class KeyImporter(Protocol):
    """A key manager that also takes private keys made elsewhere, such as Apple's .p12."""

    def import_key(self, name: str, private_key: PrivateKey) -> KeyUri:
        """Store a P-256 or RSA key. Raises KeyRefusal for other keys, a bad name or one already taken."""


@runtime_checkable
class SecretKeeper(Protocol):
    """A key manager that also keeps 256-bit symmetric keys: data encryption, the rotating codes' epoch."""

    def create_secret(self, name: str, value: bytes | None = None) -> KeyUri:
        """Store ``value``, 32 bytes, or 32 fresh random bytes. Raises KeyRefusal as `create_key` does."""

    def secret(self, uri: KeyUri) -> bytes:
        """The 32 bytes. Raises KeyRefusal if they are not here, damaged, or a signing key."""


Opener = Callable[[str, Unlock], KeyManager]


def _open_file(location: str, unlock: Unlock) -> KeyManager:
    from keys.file_backend import FileKeyStore  # noqa: PLC0415 - a backend loads when it is asked for

    return FileKeyStore.open(Path(location.removeprefix("file:")), unlock)


def _open_pkcs11(location: str, unlock: Unlock) -> KeyManager:
    from keys.pkcs11_backend import Pkcs11KeyStore  # noqa: PLC0415 - python-pkcs11 is optional

    return Pkcs11KeyStore.open(KeyUri.parse(location), unlock)


_OPENERS: dict[str, Opener] = {"file": _open_file, "pkcs11": _open_pkcs11}


def register(scheme: str, opener: Opener) -> None:
    """Make ``scheme:`` locations known to `open_key_manager`. Raises ValueError if the scheme is taken."""
    if scheme in _OPENERS:
        raise ValueError(f"scheme {scheme!r} is registered already")
    _OPENERS[scheme] = opener


def open_key_manager(location: str, unlock: Unlock) -> KeyManager:
    """Open the keys at ``location``: ``file:DIRECTORY`` or ``pkcs11:token=LABEL?module-path=LIBRARY``.

    Raises KeyRefusal for an unknown scheme, a missing store, a wrong secret or loose file permissions.
    """
    scheme, colon, _ = location.partition(":")
    opener = _OPENERS.get(scheme) if colon else None
    if opener is None:
        raise KeyRefusal("URI_SCHEME", uri=location[:80])
    return opener(location, unlock)
