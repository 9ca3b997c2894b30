"""How a device brings its own key: invited by the office, enrolled by code, confirmed by comparing six digits.

The code of an invitation holds for ten minutes and once; only its keyed hash is kept. What enrols with it is pending
and gets nothing until whoever made the invitation has confirmed the check code that the device shows: so a code that
somebody else has read enrols nothing unnoticed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal
from issuer.models_access import DeviceInvitationRow, VerifierDeviceRow
from issuer.verifier_devices import Role, checked_name, checked_zones, find_device

INVITATION_LIFE: Final = timedelta(minutes=10)
CONFIRMATION_LIFE: Final = timedelta(minutes=20)
CHECK_TRIES: Final = 3
POINT_BYTES: Final = 65
SIGNATURE_BYTES: Final = 64
_CODE_FORM: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_CODE_PURPOSE: Final = "device-invitation"
_CHECK_PURPOSE: Final = "device-check-code"


@dataclass(frozen=True, slots=True)
class Invitation:
    """A new invitation; ``code`` is shown this once."""

    id: str
    code: str = field(repr=False)
    expires_at: datetime


def invite(
    session: Session, application: Application, name: str, role: Role, zones: Sequence[str], *, actor: str
) -> Invitation:
    """Allow one device to enrol within ten minutes. Raises what `verifier_devices.add_device` does."""
    at = application.now()
    invitation = Invitation(secrets.token_hex(16), secrets.token_urlsafe(16), at + INVITATION_LIFE)
    row = DeviceInvitationRow(
        tenant=application.tenant,
        code_hash=application.hash_secret(_CODE_PURPOSE, invitation.code),
        id=invitation.id,
        name=checked_name(name),
        role=role.value,
        zones=checked_zones(session, application, role, zones),
        created_by=actor,
        expires_at=invitation.expires_at,
    )
    session.add(row)
    session.flush()
    _note(session, application, "invite-device", f"invitation/{row.id}", actor)
    return invitation


def enrol(
    session: Session, application: Application, code: str, public_key: bytes, signed: str, signature: bytes
) -> tuple[str, str]:
    """Take up an invitation with the P-256 point ``public_key``: the pending device's id, and its check code.

    ``signature`` (r and s) over ``signed`` proves that the key is there. Raises IssuerRefusal DEVICE_KEY for one that
    is no point of the curve or does not verify, DEVICE_INVITATION for a code unknown, used or expired. Needs a
    writing transaction: of two with one code, one wins.
    """
    if not verifies(public_key, signature, signed.encode()):
        raise IssuerRefusal("DEVICE_KEY")
    at = application.now()
    form = _CODE_FORM.fullmatch(code) is not None
    code_hash = application.hash_secret(_CODE_PURPOSE, code if form else "")
    row = session.get(DeviceInvitationRow, (application.tenant, code_hash))
    if row is None or row.used_at is not None or row.expires_at <= at:
        raise IssuerRefusal("DEVICE_INVITATION")
    row.used_at = at
    shown = check_code(public_key, code)
    device = VerifierDeviceRow(
        tenant=application.tenant,
        # The invitation's id goes on as the device's, so that who made it can confirm without looking it up.
        id=row.id,
        name=row.name,
        role=row.role,
        zones=row.zones,
        secret_hash="",
        created_at=at,
        created_by=row.created_by,
        public_key=public_key,
        check_hash=application.hash_secret(_CHECK_PURPOSE, shown),
        check_tries_left=CHECK_TRIES,
        pending_until=at + CONFIRMATION_LIFE,
    )
    session.add(device)
    session.flush()
    _note(session, application, "enrol-device", f"device/{row.id}", f"device:{row.id}")
    return row.id, f"{shown[:3]} {shown[3:]}"


def confirm(session: Session, application: Application, device_id: str, told: str, *, actor: str) -> bool:
    """Whether ``told`` is the check code that the pending device shows, which is then active.

    A wrong one takes a try, and the third the device: so the answer is returned and not raised, for the transaction
    to be committed. Raises IssuerRefusal DEVICE_UNKNOWN, DEVICE_NOT_PENDING.
    """
    row = find_device(session, application.tenant, device_id)
    if row.pending_until is None or row.pending_until <= application.now():
        raise IssuerRefusal("DEVICE_NOT_PENDING", id=row.id)
    digits = "".join(told[:20].split())
    given = application.hash_secret(_CHECK_PURPOSE, digits)
    if hmac.compare_digest(given, row.check_hash or ""):
        row.pending_until = row.check_hash = row.check_tries_left = None
        session.flush()
        _note(session, application, "confirm-device", f"device/{row.id}", actor)
        return True
    row.check_tries_left = (row.check_tries_left or 1) - 1
    if row.check_tries_left <= 0:
        session.delete(row)
        _note(session, application, "refuse-device", f"device/{row.id}", actor)
    session.flush()
    return False


def check_code(public_key: bytes, code: str) -> str:
    """The six digits: SHA-256 over the point and the code, its first 8 bytes modulo a million."""
    digest = hashlib.sha256(public_key + code.encode()).digest()
    return f"{int.from_bytes(digest[:8], 'big') % 1_000_000:06}"


def verifies(public_key: bytes, signature: bytes, signed: bytes) -> bool:
    """Whether ``signature`` (r and s) of the uncompressed P-256 point holds; what is no point verifies nothing."""
    if len(public_key) != POINT_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    except (ValueError, InvalidSignature):
        return False
    return True


def _note(session: Session, application: Application, action: str, subject: str, actor: str) -> None:
    audit.append(session, application.tenant, [AuditEvent(action, subject)], application.now(), actor)
