"""The key and certificates under credentials, status lists and signed metadata: one document signer for all of them.

Wallets expect the certificate of a credential under its status list as well. With several active keys the one that
was activated last signs; what an older one has signed stays good, and its status list is signed by the new one.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from issuer import keyring
from issuer.errors import IssuerRefusal
from keys import lifecycle
from keys.errors import KeyRefusal
from keys.eudi_certificates import EudiSigningIdentity, EudiUse
from keys.identity import kid_of, spki_der
from keys.lifecycle import KeyRecord, KeyState, Purpose
from keys.uri import KeyUri

if TYPE_CHECKING:
    from issuer.application import Application


def document_signer(session: Session, application: Application) -> EudiSigningIdentity:
    """The identity that signs now.

    Raises IssuerRefusal NO_SIGNING_KEY, KeyRefusal where key or certificates do not count at this moment.
    """
    at = application.now()
    record = _record(session, application.tenant, at)
    made = application.kept(
        ("eudi", record.kid, record.certificate_pem),
        lambda: EudiSigningIdentity.from_pem(
            EudiUse.DOCUMENT_SIGNER, record.certificate_pem or "", application.keys.signer(record.uri)
        ),
    )
    identity: EudiSigningIdentity = made
    identity.check(at)
    return identity


def is_set_up(session: Session, application: Application) -> bool:
    """Whether credentials can be issued: the operator wants it, and there is a key that may sign."""
    if not application.config.eudi.enabled:
        return False
    try:
        _record(session, application.tenant, application.now())
    except (IssuerRefusal, KeyRefusal):
        return False
    return True


def note_identity(
    session: Session, tenant: str, identity: EudiSigningIdentity, uri: KeyUri, *, test: bool
) -> KeyRecord:
    """Note a key with its certificates as pending; its period is the certificates'."""
    record = lifecycle.pending_key(
        tenant=tenant,
        purpose=Purpose.EUDI,
        uri=uri,
        kid=kid_of(identity.signer.public_key()),
        spki=spki_der(identity.signer.public_key()),
        not_before=identity.not_before,
        not_after=identity.not_after,
        test=test,
        certificate_pem=identity.pem,
    )
    keyring.save(session, record)
    return record


def _record(session: Session, tenant: str, at: datetime) -> KeyRecord:
    signers = [
        one
        for one in keyring.records(session, tenant, Purpose.EUDI)
        if one.state is KeyState.ACTIVE and one.certificate_pem
    ]
    if not signers:
        raise IssuerRefusal("NO_SIGNING_KEY", purpose=Purpose.EUDI.value)
    newest = max(signers, key=lambda one: (one.activated_at or one.not_before, one.kid))
    lifecycle.require_signing(newest, at)
    return newest
