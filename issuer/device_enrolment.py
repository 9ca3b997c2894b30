"""Enrolling a device of the verifier's app: invitation, the device's own key, confirmation by who invited it.

An invitation is a code of 128 random bits that holds for ten minutes and for one key; only its keyed hash is kept.
The device proves that it has the private key, and both sides know six digits that follow from code and key. Whoever
invited reads them off the device and confirms, so that a code read over somebody's shoulder enrols nobody.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import keyring
from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.models_access import VerifierDeviceRow
from issuer.models_delivery import PublishedListRow
from issuer.publication import ROOT
from issuer.verifier_devices import Role, checked_name, checked_zones, find_device, is_over, note
from keys import es256
from keys.bundle import root_from_pem
from keys.identity import kid_of
from keys.lifecycle import KeyState, Purpose

INVITATION_LIFE: Final = timedelta(minutes=10)
# From enrolling on, for walking over with the device and comparing the digits.
CONFIRMATION_LIFE: Final = timedelta(minutes=10)
TRIES: Final = 3
CODE_PURPOSE: Final = "device-invitation"
CHECK_PURPOSE: Final = "device-check-code"
POINT_BYTES: Final = 65
_UNCOMPRESSED: Final = 4
_CODE_BYTES: Final = 16
_CODE_FORM: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the new device is shown, this once; ``id`` is the id that it will have."""

    id: str
    code: str = field(repr=False)
    url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A device that waits for its confirmation, and the six digits that it shows, as ``123 456``."""

    id: str
    check_code: str


def invite_device(
    session: Session,
    application: Application,
    name: str,
    role: Role,
    zones: Sequence[str],
    *,
    actor: str,
    client_id: str | None = None,
) -> Invitation:
    """Make an invitation; ``client_id`` is the API client or the account that may confirm, None for the command line.

    Raises what `verifier_devices.add_device` raises, and IssuerRefusal NO_SIGNING_KEY for a city without a root.
    """
    at = application.now()
    device_id, code = secrets.token_hex(16), secrets.token_urlsafe(_CODE_BYTES)
    row = VerifierDeviceRow(
        tenant=application.tenant,
        id=device_id,
        name=checked_name(name),
        role=role.value,
        zones=checked_zones(session, application, role, zones),
        secret_hash="",
        invitation_hash=application.hash_secret(CODE_PURPOSE, code),
        invited_by=client_id,
        expires_at=at + INVITATION_LIFE,
        created_at=at,
        created_by=actor,
    )
    session.add(row)
    session.flush()
    note(session, application, "invite-device", device_id, actor, {"role": row.role, "zones": row.zones})
    base = application.config.devices.url or application.settings(session).base_url
    url = f"{base}/check/#enrol={code}.{_root_kid(session, application)}"
    return Invitation(device_id, code, url, at + INVITATION_LIFE)


def enrol_device(application: Application, code: str, public_key: str, signature: str) -> Enrolment:
    """Bind the key of a device to the invitation with ``code``; the same key may ask again until it is confirmed.

    ``public_key`` is base64url of the uncompressed point, ``signature`` base64url of r||s over `enrolment_text`.
    Raises IssuerRefusal ENROLMENT_KEY, ENROLMENT_SIGNATURE, and INVITATION_UNKNOWN for a code that is unknown, too
    old or used by another key.
    """
    key = read_public_key(public_key)
    try:
        given = es256.with_low_s(decoded(signature, es256.SIGNATURE_BYTES))
        es256.verify(key, given, enrolment_text(code, public_key))
    except (ValueError, InvalidSignature):
        raise IssuerRefusal("ENROLMENT_SIGNATURE") from None
    at = application.now()
    with application.writing() as session:
        row = _invited(session, application, code)
        if row is None or (
            row.public_key is not None and not hmac.compare_digest(row.public_key, public_key)
        ):
            raise IssuerRefusal("INVITATION_UNKNOWN")
        if row.public_key is None:
            row.public_key, row.tries_left = public_key, TRIES
            row.check_hash = application.hash_secret(CHECK_PURPOSE, check_code(code, public_key))
            row.expires_at = at + CONFIRMATION_LIFE
            session.flush()
            note(session, application, "enrol-device", row.id, "device")
        digits = check_code(code, public_key)
        return Enrolment(row.id, f"{digits[:3]} {digits[3:]}")


def confirm_device(
    application: Application, device_id: str, digits: str, *, actor: str, client_id: str | None = None
) -> None:
    """Let in a device that shows ``digits``, in a transaction of its own, so that a wrong try counts.

    After the third wrong one the device is gone. ``client_id``: as for `invite_device`; None may confirm all.
    Raises IssuerRefusal DEVICE_UNKNOWN, DEVICE_INVITED_BY_OTHER, DEVICE_NOT_PENDING, CHECK_CODE_WRONG.
    """
    with application.writing() as session:
        row = find_device(session, application.tenant, device_id, application.now())
        if client_id is not None and row.expires_at is not None and row.invited_by != client_id:
            raise IssuerRefusal("DEVICE_INVITED_BY_OTHER")
        if row.check_hash is None:
            raise IssuerRefusal("DEVICE_NOT_PENDING", id=row.id)
        given = application.hash_secret(CHECK_PURPOSE, _digits(digits))
        if hmac.compare_digest(row.check_hash, given):
            row.invitation_hash = row.check_hash = row.invited_by = row.expires_at = None
            row.tries_left = 0
            session.flush()
            note(session, application, "confirm-device", row.id, actor)
            return
        row.tries_left -= 1
        left = row.tries_left
        note(session, application, "wrong-check-code", row.id, actor, {"tries_left": left})
        if left <= 0:
            session.delete(row)
    raise IssuerRefusal("CHECK_CODE_WRONG", left=left)


def enrolment_text(code: str, public_key: str) -> bytes:
    """What a device signs to enrol."""
    return f"stadtpass-enrol\n{code}\n{public_key}".encode()


def check_code(code: str, public_key: str) -> str:
    """The six digits that the device and we compute alike.

    The first eight bytes of SHA-256 over ``stadtpass-check``, code and key with line feeds between them, as a
    big-endian number modulo a million.
    """
    digest = hashlib.sha256(f"stadtpass-check\n{code}\n{public_key}".encode()).digest()
    return f"{int.from_bytes(digest[:8], 'big') % 1_000_000:06d}"


def read_public_key(text: str) -> ec.EllipticCurvePublicKey:
    """The key that a device has sent. Raises IssuerRefusal ENROLMENT_KEY for what is no point of P-256."""
    try:
        point = decoded(text, POINT_BYTES)
        if point[0] != _UNCOMPRESSED:
            raise ValueError
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise IssuerRefusal("ENROLMENT_KEY") from None


def decoded(text: str, size: int) -> bytes:
    """``size`` bytes from their one spelling in base64url without padding. Raises ValueError."""
    if _BASE64URL.fullmatch(text) is None:
        raise ValueError
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(data) != size or base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise ValueError
    return data


def _digits(text: str) -> str:
    return "".join(one for one in text[:20] if one.isascii() and one.isdigit())


def _invited(session: Session, application: Application, code: str) -> VerifierDeviceRow | None:
    if _CODE_FORM.fullmatch(code) is None:
        return None
    row = session.scalar(
        select(VerifierDeviceRow).where(
            VerifierDeviceRow.tenant == application.tenant,
            VerifierDeviceRow.invitation_hash == application.hash_secret(CODE_PURPOSE, code),
        )
    )
    return None if row is None or is_over(row, application.now()) else row


def _root_kid(session: Session, application: Application) -> str:
    """The root that devices find here: the published one, or the one that the first publication will have."""
    tenant = application.tenant
    pem = session.scalar(
        select(PublishedListRow.data).where(PublishedListRow.tenant == tenant, PublishedListRow.name == ROOT)
    )
    if pem is not None:
        return kid_of(root_from_pem(pem)).hex()
    active = [one for one in keyring.records(session, tenant, Purpose.ROOT) if one.state is KeyState.ACTIVE]
    if not active:
        raise IssuerRefusal("NO_SIGNING_KEY", purpose=Purpose.ROOT.value)
    return active[-1].kid.hex()
