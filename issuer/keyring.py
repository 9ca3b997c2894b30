"""The keys in use: records in the register, the keys themselves in a keystore.

Which key signs is decided here and nowhere else: the active key of the purpose that was activated last.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.audit import AuditEvent
from issuer.certified_keys import CERTIFIED
from issuer.errors import IssuerRefusal
from issuer.models import PassRow, RevisionRow, SigningKeyRow
from keys import lifecycle
from keys.apple_certificates import AppleSigningIdentity
from keys.errors import KeyRefusal
from keys.identity import kid_of, spki_der
from keys.lifecycle import KeyRecord, KeyState, Purpose
from keys.store import Algorithm, KeyManager, SecretKeeper
from keys.uri import KeyUri
from passes.periods import berlin_day

_LIFETIMES = {
    Purpose.ROOT: timedelta(days=3650),
    Purpose.LIST: timedelta(days=730),
    Purpose.SEAL: timedelta(days=1460),
    # Apple's keys do not end; this is when somebody has to look at it again.
    Purpose.APNS: timedelta(days=3650),
}
_LIFETIME = timedelta(days=730)
# A seal key with this in place of type ids may sign passes of every type, also of types added later.
ALL_TYPES = "*"
# A demo signs samples of a past day as well as today's passes.
DEMO_BACKDATED = timedelta(days=400)
DEMO_LIFETIME = timedelta(days=3650)
# Purposes whose keys stand in the trust bundle and must be published before they sign.
PUBLISHED = (Purpose.ROOT, Purpose.LIST, Purpose.SEAL, Purpose.STATEMENT)
# Purposes whose keys are made here; those for Apple and Google come from Apple and Google.
CREATABLE = (*PUBLISHED, Purpose.PLATE_LIST, Purpose.EUDI, Purpose.EUDI_ACCESS, Purpose.PDF_SEAL)


def key_name(tenant: str, purpose: Purpose, at: datetime) -> str:
    """A new name for a key of ``purpose`` made at ``at``.

    Partly random: a keystore never uses a name twice, and after the restore of an old register the keystore
    holds keys that the register does not know.
    """
    return f"{tenant}-{purpose.value}-{at:%Y%m%d}-{secrets.token_hex(4)}"


def create_key(
    session: Session,
    manager: KeyManager,
    tenant: str,
    purpose: Purpose,
    at: datetime,
    *,
    test: bool,
    pass_types: Sequence[str] = (),
    algorithm: Algorithm = Algorithm.ES256,
) -> KeyRecord:
    """Make a key in ``manager`` and note it as pending. Raises KeyRefusal as the keystore does."""
    uri = manager.create_key(key_name(tenant, purpose, at), algorithm)
    return note_key(session, manager, tenant, purpose, uri, at, test=test, pass_types=pass_types)


def note_key(
    session: Session,
    manager: KeyManager,
    tenant: str,
    purpose: Purpose,
    uri: KeyUri,
    at: datetime,
    *,
    test: bool,
    pass_types: Sequence[str] = (),
) -> KeyRecord:
    """Note a key that is in ``manager`` already as pending. Raises KeyRefusal if it is not there."""
    public_key = manager.public_key(uri)
    first, last = _period(purpose, at, test=test)
    record = lifecycle.pending_key(
        tenant=tenant,
        purpose=purpose,
        uri=uri,
        kid=kid_of(public_key),
        spki=spki_der(public_key),
        not_before=first,
        not_after=last,
        pass_types=tuple(pass_types),
        test=test,
    )
    save(session, record)
    return record


def create_secret(
    session: Session, manager: SecretKeeper, tenant: str, purpose: Purpose, at: datetime, *, test: bool
) -> KeyRecord:
    """Make a symmetric key and note it as pending; it has no public half.

    For Google it is the epoch key behind rotating codes.
    """
    uri = manager.create_secret(key_name(tenant, purpose, at))
    first, last = _period(purpose, at, test=test)
    record = lifecycle.pending_key(
        tenant=tenant,
        purpose=purpose,
        uri=uri,
        kid=secrets.token_bytes(8),
        spki=b"",
        not_before=first,
        not_after=last,
        test=test,
    )
    save(session, record)
    return record


def note_apple_identity(
    session: Session,
    tenant: str,
    identity: AppleSigningIdentity,
    uri: KeyUri,
    *,
    test: bool,
    purpose: Purpose = Purpose.APPLE_PASS,
) -> KeyRecord:
    """Note a pass certificate with its chain as pending; its period is the certificate's."""
    certificate = identity.certificate
    chain = (certificate, *identity.chain)
    record = lifecycle.pending_key(
        tenant=tenant,
        purpose=purpose,
        uri=uri,
        kid=kid_of(identity.signer.public_key()),
        spki=spki_der(identity.signer.public_key()),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        test=test,
        certificate_pem="".join(one.public_bytes(Encoding.PEM).decode() for one in chain),
    )
    save(session, record)
    return record


def apple_identity(record: KeyRecord, manager: KeyManager) -> AppleSigningIdentity:
    """The signing identity of an Apple record. Raises KeyRefusal where chain and key do not fit."""
    certificate, *chain = x509.load_pem_x509_certificates((record.certificate_pem or "").encode())
    return AppleSigningIdentity(certificate, tuple(chain), manager.signer(record.uri))


def records(session: Session, tenant: str, purpose: Purpose | None = None) -> list[KeyRecord]:
    """All keys of ``tenant``, or those of one purpose, oldest first."""
    wanted = select(SigningKeyRow).where(SigningKeyRow.tenant == tenant)
    if purpose is not None:
        wanted = wanted.where(SigningKeyRow.purpose == purpose.value)
    rows = session.scalars(wanted.order_by(SigningKeyRow.not_before, SigningKeyRow.kid)).all()
    return [_record(row) for row in rows]


def find(session: Session, tenant: str, kid: str) -> KeyRecord:
    """The key whose kid starts with the hex digits ``kid``.

    Raises IssuerRefusal KEY_UNKNOWN, or KEY_AMBIGUOUS where several start so.
    """
    wanted = kid.strip().lower()
    found = [one for one in records(session, tenant) if wanted and one.kid.hex().startswith(wanted)]
    if not found:
        raise IssuerRefusal("KEY_UNKNOWN", kid=kid)
    if len(found) > 1:
        raise IssuerRefusal("KEY_AMBIGUOUS", kid=kid)
    return found[0]


def signing_record(
    session: Session, tenant: str, purpose: Purpose, at: datetime, type_id: str | None = None
) -> KeyRecord:
    """The key of ``purpose`` that signs at ``at``; for seals, one that may sign passes of ``type_id``.

    Raises IssuerRefusal NO_SIGNING_KEY, KeyRefusal where the newest active key may not sign at ``at``.
    """
    active = [
        one
        for one in records(session, tenant, purpose)
        if one.state is KeyState.ACTIVE and one.spki and (type_id is None or may_seal(one, type_id))
    ]
    if not active and type_id is not None:
        raise IssuerRefusal("NO_SEAL_KEY", type=type_id)
    if not active:
        raise IssuerRefusal("NO_SIGNING_KEY", purpose=purpose.value)
    newest = max(active, key=lambda one: (one.activated_at or one.not_before, one.kid))
    lifecycle.require_signing(newest, at)
    return newest


def may_seal(record: KeyRecord, type_id: str) -> bool:
    """Whether the seal key was made for passes of ``type_id``."""
    return ALL_TYPES in record.pass_types or type_id in record.pass_types


def has_signing_key(session: Session, tenant: str, purpose: Purpose) -> bool:
    """Whether there is an active asymmetric key of ``purpose`` at all."""
    return any(one.state is KeyState.ACTIVE and one.spki for one in records(session, tenant, purpose))


def epoch_keys(session: Session, tenant: str, manager: KeyManager) -> dict[int, bytes]:
    """The secrets behind the rotating codes, numbered from the oldest; empty if there are none."""
    symmetric = [
        one
        for one in records(session, tenant, Purpose.GOOGLE)
        if not one.spki and one.state in (KeyState.ACTIVE, KeyState.RETIRED)
    ]
    if not isinstance(manager, SecretKeeper):
        return {}
    return {number: manager.secret(one.uri) for number, one in enumerate(symmetric, start=1)}


def save(session: Session, record: KeyRecord) -> None:
    """Store ``record``, replacing the one with the same kid."""
    values = asdict(record) | {
        "kid": record.kid.hex(),
        "purpose": record.purpose.value,
        "uri": str(record.uri),
        "state": record.state.value,
        "pass_types": list(record.pass_types),
    }
    row = session.get(SigningKeyRow, (record.tenant, record.kid.hex()))
    if row is None:
        session.add(SigningKeyRow(**values))
    else:
        for name, value in values.items():
            setattr(row, name, value)
    session.flush()


def transition(
    session: Session, before: KeyRecord, after: KeyRecord, at: datetime, actor: str, reason: str | None = None
) -> None:
    """Store a step in a key's life with its audit entry, in the caller's transaction."""
    save(session, after)
    event = AuditEvent(
        action=f"key-{after.state.value}",
        subject=f"key/{after.kid.hex()}",
        before={"state": before.state.value},
        after={"state": after.state.value, "purpose": after.purpose.value},
        reason=reason,
    )
    audit.append(session, after.tenant, [event], at, actor)


def activate(session: Session, record: KeyRecord, at: datetime) -> KeyRecord:
    """The record of a key that signs from ``at`` on, not stored yet. Raises KeyRefusal as `lifecycle.activate`.

    Only what verifiers must know has to be published first; and a list or root key need not be where no
    other is left that could sign what is published.
    """
    if record.purpose in CERTIFIED and not record.certificate_pem:
        raise KeyRefusal("KEY_CERTIFICATE_MISSING", kid=record.kid.hex())
    others = _others_active(session, record)
    alone = not others and record.purpose in (Purpose.ROOT, Purpose.LIST)
    after = lifecycle.activate(record, at, initial=alone or record.purpose not in PUBLISHED)
    latest = max((one.activated_at for one in others if one.activated_at is not None), default=None)
    if latest is not None and latest >= at:
        # The key activated last signs, whatever a clock that was set back says.
        return replace(after, activated_at=latest + timedelta(microseconds=1))
    return after


def refuse_last(session: Session, record: KeyRecord, type_ids: Iterable[str]) -> None:
    """Refuse to take away the only key that signs for its purpose, or seals one of the types ``type_ids``.

    Raises IssuerRefusal KEY_LAST, KEY_LAST_OF_TYPE.
    """
    if record.state is not KeyState.ACTIVE:
        return
    others = _others_active(session, record)
    if not others:
        raise IssuerRefusal("KEY_LAST", kid=record.kid.hex(), purpose=record.purpose.value)
    left = [
        name
        for name in type_ids
        if may_seal(record, name) and not any(may_seal(other, name) for other in others)
    ]
    if left:
        raise IssuerRefusal("KEY_LAST_OF_TYPE", kid=record.kid.hex(), types=", ".join(left))


def _others_active(session: Session, record: KeyRecord) -> list[KeyRecord]:
    return [
        one
        for one in records(session, record.tenant, record.purpose)
        if one.state is KeyState.ACTIVE and one.kid != record.kid and bool(one.spki) == bool(record.spki)
    ]


def live_passes(
    session: Session, record: KeyRecord, at: datetime, *, resealed: bool = False
) -> list[tuple[str, str]]:
    """The passes (type, number) whose current seal was made with the key and that have not ended at ``at``.

    With ``resealed``, those whose earlier seal it made, and that have another one by now.
    """
    rows = session.execute(
        select(RevisionRow.type_id, RevisionRow.number)
        .join(
            PassRow,
            (PassRow.tenant == RevisionRow.tenant)
            & (PassRow.type_id == RevisionRow.type_id)
            & (PassRow.number == RevisionRow.number),
        )
        .where(
            RevisionRow.tenant == record.tenant,
            RevisionRow.kid == record.kid.hex(),
            RevisionRow.superseded_at.is_not(None) if resealed else RevisionRow.superseded_at.is_(None),
            PassRow.status.in_(("active", "suspended")),
            PassRow.period_last >= berlin_day(at),
        )
        .order_by(RevisionRow.type_id, RevisionRow.number)
        .distinct()
    )
    return [(type_id, number) for type_id, number in rows]


def _period(purpose: Purpose, at: datetime, *, test: bool) -> tuple[datetime, datetime]:
    if test:
        return at - DEMO_BACKDATED, at + DEMO_LIFETIME
    return at, at + _LIFETIMES.get(purpose, _LIFETIME)


def _record(row: SigningKeyRow) -> KeyRecord:
    return KeyRecord(
        tenant=row.tenant,
        kid=bytes.fromhex(row.kid),
        purpose=Purpose(row.purpose),
        uri=KeyUri.parse(row.uri),
        state=KeyState(row.state),
        pass_types=tuple(row.pass_types),
        test=row.test,
        not_before=row.not_before,
        not_after=row.not_after,
        published_at=row.published_at,
        activated_at=row.activated_at,
        retired_at=row.retired_at,
        revoked_at=row.revoked_at,
        spki=row.spki,
        certificate_pem=row.certificate_pem,
        provider_key_id=row.provider_key_id,
    )
