"""Keys in a hardware security module or smart card, reached through PKCS#11 (OASIS PKCS #11 v2.40).

Private keys are made inside the token, marked sensitive and not extractable, and never leave it.
python-pkcs11 initialises a library without promising that calls from several threads are safe, and
releases the GIL; several sessions used at once end the process. So there is one session per token and
process, and one lock per library around every call. To sign faster, run more processes, each with its own
manager; a session does not survive a fork.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from keys.errors import KeyRefusal
from keys.es256 import ORDER, SIGNATURE_BYTES
from keys.identity import PublicKey, check_public_key
from keys.store import Algorithm, Passphrase, Signer, Unlock, algorithm_of
from keys.uri import KeyUri, Scheme, check_name

if TYPE_CHECKING:
    import pkcs11

_RSA_BITS = 2048
_OBJECT_ID_BYTES = 16
# DER OBJECT IDENTIFIER 1.2.840.10045.3.1.7, the curve P-256 (RFC 5480 2.1.1.1).
_P256 = bytes.fromhex("06082a8648ce3d030107")
_POINT_BYTES = 65


@dataclass(slots=True)
class _Connection:
    """The one session of this process on a token, shared by all managers that opened it."""

    session: pkcs11.Session
    lock: threading.Lock
    pin: str = field(repr=False)
    users: int = 0
    process: int = field(default_factory=os.getpid)

    @contextmanager
    def calling(self) -> Iterator[pkcs11.Session]:
        """The session, for the time of one call and for this thread alone. Raises KeyRefusal."""
        import pkcs11  # noqa: PLC0415 - optional, and loaded by whoever opened the connection

        if os.getpid() != self.process:
            raise KeyRefusal("PKCS11_FORKED")
        with self.lock:
            if self.users == 0:
                raise KeyRefusal("KEYSTORE_CLOSED")
            try:
                yield self.session
            except pkcs11.PKCS11Error as error:
                raise KeyRefusal("PKCS11_FAILED", reason=type(error).__name__) from error


_connections: dict[tuple[str, str], _Connection] = {}
_locks: dict[str, threading.Lock] = {}
_connecting = threading.Lock()


class _Pkcs11Signer:
    """A key of the token: object handles stay valid as long as the session is open."""

    __slots__ = ("_connection", "_key", "_mechanism", "_public_key", "algorithm", "uri")

    def __init__(self, uri: KeyUri, connection: _Connection, key: Any, public_key: PublicKey) -> None:
        import pkcs11  # noqa: PLC0415 - optional

        self.uri = uri
        self.algorithm = algorithm_of(public_key)
        self._connection = connection
        self._key = key
        self._public_key = public_key
        # Tokens hash for RSA everywhere, but many offer ECDSA over a finished digest only.
        es256 = self.algorithm is Algorithm.ES256
        self._mechanism = pkcs11.Mechanism.ECDSA if es256 else pkcs11.Mechanism.SHA256_RSA_PKCS

    def public_key(self) -> PublicKey:
        """The public half."""
        return self._public_key

    def sign(self, data: bytes) -> bytes:
        """Sign, one caller at a time. Raises KeyRefusal if the token fails or is closed."""
        es256 = self.algorithm is Algorithm.ES256
        message = hashlib.sha256(data).digest() if es256 else data
        with self._connection.calling():
            signature: bytes = self._key.sign(message, mechanism=self._mechanism)
        return _with_low_s(signature) if es256 else signature

    def __repr__(self) -> str:
        return f"<{self.algorithm} signer {self.uri}>"


class Pkcs11KeyStore:
    """A `KeyManager` over one token. It imports no keys and keeps no symmetric secrets."""

    def __init__(self, location: KeyUri, connection: _Connection) -> None:
        self._location = location
        self._connection = connection
        self._signers: dict[KeyUri, Signer] = {}
        self._closed = False

    @classmethod
    def open(cls, location: KeyUri, unlock: Unlock) -> Self:
        """Log in to the token ``pkcs11:token=LABEL?module-path=LIBRARY`` with its user PIN.

        Raises KeyRefusal if python-pkcs11 or the library is missing, there is not exactly one such token,
        or the PIN is wrong. A wrong PIN counts against the token's limit; it is tried once.
        """
        if location.scheme is not Scheme.PKCS11 or not location.token or not location.module_path:
            raise KeyRefusal("PKCS11_LOCATION", uri=location)
        if not isinstance(unlock, Passphrase):
            raise KeyRefusal("PKCS11_WANTS_PIN")
        return cls(location, _connect(location, unlock.text))

    def create_key(self, name: str, algorithm: Algorithm) -> KeyUri:
        """Make a P-256 or RSA-2048 key inside the token. Raises KeyRefusal, see `KeyManager`."""
        import pkcs11  # noqa: PLC0415 - optional

        check_name(name)
        object_id = secrets.token_bytes(_OBJECT_ID_BYTES)
        options: dict[str, Any] = {
            "id": object_id,
            "label": name,
            "store": True,
            "capabilities": pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY,
            "private_template": {
                pkcs11.Attribute.PRIVATE: True,
                pkcs11.Attribute.SENSITIVE: True,
                pkcs11.Attribute.EXTRACTABLE: False,
            },
        }
        with self._calling() as session:
            # Labels need not be unique in a token, but they are in ours.
            if list(session.get_objects({pkcs11.Attribute.LABEL: name})):
                raise KeyRefusal("KEY_EXISTS", name=name)
            if algorithm is Algorithm.ES256:
                curve = session.create_domain_parameters(
                    pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: _P256}, local=True
                )
                curve.generate_keypair(**options)
            else:
                session.generate_keypair(pkcs11.KeyType.RSA, _RSA_BITS, **options)
        return KeyUri.pkcs11(
            token=self._location.token,
            name=name,
            object_id=object_id,
            module_path=self._location.module_path,
        )

    def signer(self, uri: KeyUri) -> Signer:
        """The signer of a key, looked up once. Raises KeyRefusal if it is not in this token."""
        if (known := self._signers.get(uri)) is not None:
            return known
        import pkcs11  # noqa: PLC0415 - optional

        if not self._is_here(uri):
            raise KeyRefusal("KEY_UNKNOWN", uri=uri)
        with self._calling() as session:
            private = self._only(session, uri, pkcs11.ObjectClass.PRIVATE_KEY)
            public = _public_key(self._only(session, uri, pkcs11.ObjectClass.PUBLIC_KEY))
        return self._signers.setdefault(uri, _Pkcs11Signer(uri, self._connection, private, public))

    def public_key(self, uri: KeyUri) -> PublicKey:
        """The public half of a key. Raises KeyRefusal as `signer` does."""
        return self.signer(uri).public_key()

    def close(self) -> None:
        """Leave the token; the last manager of the process to do so logs out."""
        if self._closed:
            return
        self._closed = True
        self._signers.clear()
        _disconnect(self._location, self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _calling(self) -> Iterator[pkcs11.Session]:
        if self._closed:
            raise KeyRefusal("KEYSTORE_CLOSED")
        with self._connection.calling() as session:
            yield session

    def _is_here(self, uri: KeyUri) -> bool:
        """Whether a URI points into this token; token and module may be left out of it."""
        here = self._location
        return (
            uri.scheme is Scheme.PKCS11
            and bool(uri.name or uri.object_id)
            and uri.token in {"", here.token}
            and uri.module_path in {"", here.module_path}
        )

    @staticmethod
    def _only(session: pkcs11.Session, uri: KeyUri, kind: pkcs11.ObjectClass) -> Any:
        import pkcs11  # noqa: PLC0415 - optional

        wanted: dict[pkcs11.Attribute, Any] = {pkcs11.Attribute.CLASS: kind}
        if uri.name:
            wanted[pkcs11.Attribute.LABEL] = uri.name
        if uri.object_id:
            wanted[pkcs11.Attribute.ID] = uri.object_id
        found = list(session.get_objects(wanted))
        if len(found) != 1:
            raise KeyRefusal("KEY_AMBIGUOUS" if found else "KEY_UNKNOWN", uri=uri)
        return found[0]


def _public_key(key: Any) -> PublicKey:
    """Read a public key object. Raises KeyRefusal for other kinds of key than P-256 and RSA."""
    import pkcs11  # noqa: PLC0415 - optional

    try:
        if key.key_type is pkcs11.KeyType.RSA:
            exponent = int.from_bytes(key[pkcs11.Attribute.PUBLIC_EXPONENT], "big")
            modulus = int.from_bytes(key[pkcs11.Attribute.MODULUS], "big")
            return check_public_key(rsa.RSAPublicNumbers(exponent, modulus).public_key())
        if key.key_type is pkcs11.KeyType.EC and key[pkcs11.Attribute.EC_PARAMS] == _P256:
            # The standard wraps the point in an OCTET STRING; some tokens give it bare.
            point: bytes = key[pkcs11.Attribute.EC_POINT]
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point[-_POINT_BYTES:])
    except ValueError as error:
        raise KeyRefusal("KEY_KIND") from error
    raise KeyRefusal("KEY_KIND")


def _with_low_s(signature: bytes) -> bytes:
    """The same r||s with the low s; a token gives either."""
    half = SIGNATURE_BYTES // 2
    s = int.from_bytes(signature[half:], "big")
    return signature[:half] + min(s, ORDER - s).to_bytes(half, "big")


def _connect(location: KeyUri, pin: str) -> _Connection:
    try:
        import pkcs11  # noqa: PLC0415 - optional
    except ImportError as error:
        raise KeyRefusal("PKCS11_NOT_INSTALLED") from error
    where = (location.module_path, location.token)
    with _connecting:
        lock = _locks.setdefault(location.module_path, threading.Lock())
        with lock:
            known = _connections.get(where)
            if known is not None and known.process == os.getpid():
                # A second login would fail, so the PIN is compared with the one the token accepted.
                if not secrets.compare_digest(known.pin.encode(), pin.encode()):
                    raise KeyRefusal("PKCS11_PIN", token=location.token)
                known.users += 1
                return known
            if known is not None:
                raise KeyRefusal("PKCS11_FORKED")
            try:
                session = (
                    _library(location.module_path)
                    .get_token(token_label=location.token)
                    .open(rw=True, user_pin=pin)
                )
            except (pkcs11.NoSuchToken, pkcs11.MultipleTokensReturned) as error:
                raise KeyRefusal("PKCS11_TOKEN", token=location.token) from error
            except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid) as error:
                raise KeyRefusal("PKCS11_PIN", token=location.token) from error
            except pkcs11.PinLocked as error:
                raise KeyRefusal("PKCS11_LOCKED", token=location.token) from error
            except pkcs11.PKCS11Error as error:
                raise KeyRefusal("PKCS11_FAILED", reason=type(error).__name__) from error
            _connections[where] = _Connection(session, lock, pin, users=1)
            return _connections[where]


def _library(path: str) -> Any:
    import pkcs11  # noqa: PLC0415 - optional

    try:
        return pkcs11.lib(path)
    except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
        raise KeyRefusal("PKCS11_MODULE", path=path) from error


def _disconnect(location: KeyUri, connection: _Connection) -> None:
    import pkcs11  # noqa: PLC0415 - optional

    with _connecting, connection.lock:
        connection.users -= 1
        if connection.users > 0 or connection.process != os.getpid():
            return
        _connections.pop((location.module_path, location.token), None)
        try:
            connection.session.close()
        except pkcs11.PKCS11Error as error:
            raise KeyRefusal("PKCS11_FAILED", reason=type(error).__name__) from error
