"""Requests that a device signs with its key: one fixed profile of HTTP Message Signatures (RFC 9421).

Covered are method, path, and the digest of the body where there is one; a query is refused, since it would not be
covered. An unknown device costs the work of a wrong signature and gets the same answer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from datetime import datetime, timedelta
from typing import Any, Final

from litestar import Request

from issuer.application import Application
from issuer.device_enrolment import verifies
from issuer.device_state import REFUSED_STATES, DeviceState, state_of
from issuer.models_access import DeviceNonceRow, VerifierDeviceRow
from issuer.web.problems import ProblemRefusal
from keys.texts import texts

CLOCK_TOLERANCE: Final = timedelta(seconds=120)
_NONCE_LIFE: Final = 3 * CLOCK_TOLERANCE
_INPUT: Final = re.compile(
    r'stadtpass=(?P<params>\((?P<fields>"@method" "@path"(?P<digest> "content-digest")?)\)'
    r';created=(?P<created>[1-9][0-9]{9});nonce="(?P<nonce>[A-Za-z0-9_-]{22})";keyid="(?P<device>[0-9a-f]{32})"'
    r';alg="ecdsa-p256-sha256";tag="stadtpass-device")'
)
_SIGNATURE: Final = re.compile(r"stadtpass=:([A-Za-z0-9+/]{86}==):")
# The generator of P-256: a point for the work on behalf of a device that is not there.
_NOBODY: Final = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
_HEADERS: Final = {"Cache-Control": "private, no-store"}


class DeviceRefusal(ProblemRefusal):
    """What a device is refused: said to who holds it, where the code's own sentence is for the office."""

    def sentence(self, language: str = "de") -> str:
        """As `Refusal.sentence`."""
        return texts(self.package, language)(f"ASKING_{self.code}", **self.params)


def is_signed(request: Request[Any, Any, Any]) -> bool:
    """Whether the request comes with a signature at all."""
    return "signature-input" in request.headers


def signing_device(request: Request[Any, Any, Any], body: bytes = b"") -> VerifierDeviceRow:
    """The device whose signature the request bears, pending or locked ones too; a POST counts once.

    One that was not confirmed in time is as unknown as one that was never here.

    Raises ProblemRefusal 401: DEVICE_SIGNATURE for headers of another form, a digest that is not the body's, a nonce
    seen before; DEVICE_CLOCK; DEVICE_UNKNOWN for a device that is not here or did not sign.
    """
    application: Application = request.app.state.application
    told = _INPUT.fullmatch(request.headers.get("signature-input", "")[:400])
    given = _SIGNATURE.fullmatch(request.headers.get("signature", "")[:200])
    if told is None or given is None or request.scope["query_string"] or bool(body) != bool(told["digest"]):
        raise _refusal("DEVICE_SIGNATURE")
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    if body and not hmac.compare_digest(request.headers.get("content-digest", "").encode(), digest.encode()):
        raise _refusal("DEVICE_SIGNATURE")
    now = application.now()
    if abs(now.timestamp() - int(told["created"])) > CLOCK_TOLERANCE.total_seconds():
        raise _refusal("DEVICE_CLOCK")
    lines = [f'"@method": {request.method}', f'"@path": {request.scope["raw_path"].decode("latin-1")}']
    lines += [f'"content-digest": {digest}'] if body else []
    base = "\n".join([*lines, f'"@signature-params": {told["params"]}'])
    with application.reading() as session:
        row = session.get(VerifierDeviceRow, (application.tenant, told["device"]))
    key = row.public_key if row is not None and row.public_key is not None else _NOBODY
    try:
        signature = base64.b64decode(given[1], validate=True)
    except binascii.Error:
        raise _refusal("DEVICE_SIGNATURE") from None
    if not verifies(key, signature, base.encode("latin-1")) or row is None or row.public_key is None:
        raise _refusal("DEVICE_UNKNOWN")
    if state_of(row, now) is DeviceState.EXPIRED:
        raise _refusal("DEVICE_UNKNOWN")
    if request.method == "POST":
        _use_up(application, row.id, told["nonce"], now)
    return row


def active_device(request: Request[Any, Any, Any], body: bytes = b"") -> VerifierDeviceRow:
    """As `signing_device`, but confirmed and not locked: else 401 DEVICE_PENDING, DEVICE_LOCKED."""
    row = signing_device(request, body)
    state = state_of(row, request.app.state.application.now())
    if state is not DeviceState.ACTIVE:
        raise _refusal(REFUSED_STATES[state])
    return row


def _use_up(application: Application, device_id: str, nonce: str, now: datetime) -> None:
    with application.writing() as session:
        if session.get(DeviceNonceRow, (application.tenant, device_id, nonce)) is not None:
            raise _refusal("DEVICE_SIGNATURE")
        session.add(
            DeviceNonceRow(
                tenant=application.tenant, device_id=device_id, nonce=nonce, expires_at=now + _NONCE_LIFE
            )
        )


def _refusal(code: str) -> DeviceRefusal:
    return DeviceRefusal(401, code, headers=_HEADERS)
