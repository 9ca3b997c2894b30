"""The keys and certificates in use: the document signer under credentials and status lists, and the access key.

Wallets expect the certificate of a credential under its status list as well. With several active keys the one that
was activated last signs; what an older one has signed stays good, and its status list is signed by the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from issuer import certified_keys, keyring
from issuer.errors import IssuerRefusal
from keys.errors import KeyRefusal
from keys.eudi_certificates import EudiSigningIdentity
from keys.lifecycle import Purpose

if TYPE_CHECKING:
    from issuer.application import Application


def document_signer(session: Session, application: Application) -> EudiSigningIdentity:
    """What signs credentials and status lists now.

    Raises IssuerRefusal NO_SIGNING_KEY, KeyRefusal where key or certificates do not count at this moment.
    """
    return _identity(session, application, Purpose.EUDI)


def metadata_signer(session: Session, application: Application) -> EudiSigningIdentity:
    """What signs metadata: the access key (ARF 3.0, ISSU_32), or the document signer where there is none.

    Raises as `document_signer`.
    """
    has_access = keyring.has_signing_key(session, application.tenant, Purpose.EUDI_ACCESS)
    return _identity(session, application, Purpose.EUDI_ACCESS if has_access else Purpose.EUDI)


def is_set_up(session: Session, application: Application) -> bool:
    """Whether credentials can be issued: the operator wants it, and there is a key that may sign."""
    if not application.config.eudi.enabled:
        return False
    try:
        keyring.signing_record(session, application.tenant, Purpose.EUDI, application.now())
    except (IssuerRefusal, KeyRefusal):
        return False
    return True


def _identity(session: Session, application: Application, purpose: Purpose) -> EudiSigningIdentity:
    at = application.now()
    record = keyring.signing_record(session, application.tenant, purpose, at)
    identity: EudiSigningIdentity = application.kept(
        ("eudi", record.kid, record.certificate_pem),
        lambda: certified_keys.eudi_identity(record, application.keys),
    )
    identity.check(at)
    return identity
