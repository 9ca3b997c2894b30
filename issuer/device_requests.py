"""Requests that a device of the verifier's app has signed: one fixed profile of HTTP Message Signatures (RFC 9421).

Covered are method and path, and the digest of the body (RFC 9530) where there is one. The host is not: proxies
rewrite it, and a key belongs to one device of one city. Everything has one spelling, so nothing is left to interpret.

An unknown device is answered as a wrong signature is, after the same work. Whether a device is pending or locked is
told only to who has its key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from litestar import Request
from sqlalchemy import delete
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.device_enrolment import read_public_key
from issuer.models_access import DeviceNonceRow, VerifierDeviceRow
from issuer.verifier_devices import DeviceState, is_over, state_of
from issuer.web.problems import ProblemRefusal
from keys import es256
from keys.texts import texts

INPUT: Final = "signature-input"
SIGNATURE: Final = "signature"
DIGEST: Final = "content-digest"
TOLERANCE: Final = timedelta(seconds=120)
_PARAMETERS: Final = re.compile(
    r'stadtpass=(?P<all>\("@method" "@path"(?P<body> "content-digest")?\);created=(?P<created>[1-9][0-9]{0,10})'
    r';nonce="(?P<nonce>[A-Za-z0-9_-]{22})";keyid="(?P<device>[0-9a-f]{32})"'
    r';alg="ecdsa-p256-sha256";tag="stadtpass-device")'
)
_SIGNATURE_FORM: Final = re.compile(r"stadtpass=:([A-Za-z0-9+/]{86}==):")
# Nobody knows its private key; an unknown device costs a check as well.
_NOBODY: Final = ec.derive_private_key(1, ec.SECP256R1()).public_key()


class DeviceRefused(ProblemRefusal):
    """What a device is told: status 401 with a code that its app knows; the sentences are for who carries it."""

    def __init__(self, code: str) -> None:
        super().__init__(401, code, headers={"WWW-Authenticate": 'Signature realm="stadtpass"'})

    def sentence(self, language: str = "de") -> str:
        """The sentence, which differs from what the office reads under the same code."""
        return texts(self.package, language)(f"{self.code}_TOLD", **self.params)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request by a device that has proven itself, in whatever state it is."""

    device: VerifierDeviceRow
    nonce: str

    def active(self) -> VerifierDeviceRow:
        """The device, if it may have anything. Raises DeviceRefused DEVICE_PENDING, DEVICE_LOCKED."""
        state = state_of(self.device)
        if state is not DeviceState.ACTIVE:
            raise DeviceRefused("DEVICE_LOCKED" if state is DeviceState.LOCKED else "DEVICE_PENDING")
        return self.device


def is_signed(request: Request[Any, Any, Any]) -> bool:
    """Whether the request claims to come from a device of the app."""
    return INPUT in request.headers


def signed_request(
    application: Application, request: Request[Any, Any, Any], body: bytes = b""
) -> SignedRequest:
    """The device that has signed ``request``.

    Raises DeviceRefused DEVICE_SIGNATURE for headers that are not of the profile, DEVICE_CLOCK for a time further
    than two minutes from ours, DEVICE_UNKNOWN for an unknown device and for a wrong signature.
    """
    told, given = (_only(request.headers.getall(name, [])) for name in (INPUT, SIGNATURE))
    parameters, signature = _PARAMETERS.fullmatch(told), _SIGNATURE_FORM.fullmatch(given)
    if parameters is None or signature is None or (parameters["body"] is not None) != bool(body):
        raise DeviceRefused("DEVICE_SIGNATURE")
    covered: dict[str, str] = {}
    if body:
        covered[DIGEST] = _only(request.headers.getall(DIGEST, []))
        if not hmac.compare_digest(covered[DIGEST].encode(), content_digest(body).encode()):
            raise DeviceRefused("DEVICE_SIGNATURE")
    if abs(int(parameters["created"]) - application.now().timestamp()) > TOLERANCE.total_seconds():
        raise DeviceRefused("DEVICE_CLOCK")
    with application.reading() as session:
        row = session.get(VerifierDeviceRow, (application.tenant, parameters["device"]))
        bases = _bases(application, session)
    known = row is not None and row.public_key is not None and not is_over(row, application.now())
    key = read_public_key(row.public_key) if known and row is not None and row.public_key else _NOBODY
    raw = es256.with_low_s(base64.b64decode(signature[1]))
    signed_texts = [
        signature_base(request.method, base + request.scope["path"], covered, parameters["all"])
        for base in bases
    ]
    if not any(_verifies(key, raw, one) for one in signed_texts) or not known or row is None:
        raise DeviceRefused("DEVICE_UNKNOWN")
    return SignedRequest(row, parameters["nonce"])


def use_nonce(session: Session, application: Application, signed: SignedRequest) -> None:
    """Take the request's nonce, once. Raises DeviceRefused DEVICE_SIGNATURE for a request that was there before."""
    tenant, at = application.tenant, application.now()
    session.execute(
        delete(DeviceNonceRow).where(DeviceNonceRow.tenant == tenant, DeviceNonceRow.expires_at <= at)
    )
    if session.get(DeviceNonceRow, (tenant, signed.device.id, signed.nonce)) is not None:
        raise DeviceRefused("DEVICE_SIGNATURE")
    # Its time may lie ahead of ours by the tolerance, and is refused when it lies behind by as much.
    row = DeviceNonceRow(
        tenant=tenant, device_id=signed.device.id, nonce=signed.nonce, expires_at=at + 3 * TOLERANCE
    )
    session.add(row)
    session.flush()


def content_digest(body: bytes) -> str:
    """The value of Content-Digest for ``body``."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def signature_base(method: str, path: str, fields: Mapping[str, str], parameters: str) -> bytes:
    """What is signed (RFC 9421, 2.5); ``parameters`` is the value of Signature-Input behind its label."""
    lines = [f'"@method": {method}', f'"@path": {path}']
    lines += [f'"{name}": {value}' for name, value in fields.items()]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode()


def _bases(application: Application, session: Session) -> set[str]:
    """What the device may see in front of our own paths, where a proxy has put the service below a path."""
    addresses = ("", application.settings(session).base_url, application.config.devices.url)
    return {urlsplit(one).path for one in addresses}


def _only(values: list[str]) -> str:
    return values[0] if len(values) == 1 else ""


def _verifies(key: ec.EllipticCurvePublicKey, signature: bytes, text: bytes) -> bool:
    try:
        es256.verify(key, signature, text)
    except InvalidSignature:
        return False
    return True
