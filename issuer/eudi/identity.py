"""The keys and certificates in use: the document signer under credentials and status lists, and the access key.

Wallets expect the certificate of a credential under its status list as well. With several active keys the one that
was activated last signs credentials; what an older one has signed stays good, and the older one goes on signing the
lists of it, also when it has retired. No credential outlives its certificate. After the certificate's end, and after
the key was revoked, the lists are signed by the key in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy.orm import Session

from issuer import certified_keys, keyring
from issuer.errors import IssuerRefusal
from keys import lifecycle
from keys.errors import KeyRefusal
from keys.eudi_certificates import EudiSigningIdentity
from keys.lifecycle import KeyRecord, KeyState, Purpose

if TYPE_CHECKING:
    from issuer.application import Application

# A retired key signs no credentials, but goes on saying whether those it has signed still count.
_SIGNS_LISTS: Final = (KeyState.ACTIVE, KeyState.RETIRED)


def document_signer(session: Session, application: Application) -> EudiSigningIdentity:
    """What signs new credentials.

    Raises IssuerRefusal NO_SIGNING_KEY, KeyRefusal where key or certificates do not count at this moment.
    """
    return _in_use(session, application, Purpose.EUDI)


def signer_id(session: Session, application: Application) -> str | None:
    """The id (hex digits) of the key that signs new credentials; None where there is none that may."""
    try:
        record = keyring.signing_record(session, application.tenant, Purpose.EUDI, application.now())
    except (IssuerRefusal, KeyRefusal):
        return None
    return record.kid.hex()


def signer_of(session: Session, application: Application, kid: str | None) -> EudiSigningIdentity:
    """The document signer with the id ``kid`` for credentials whose places are in its lists.

    Raises as `document_signer`, also for None and for a key that signs no more.
    """
    record = _find(session, application, kid)
    if record is None:
        raise IssuerRefusal("NO_SIGNING_KEY", purpose=Purpose.EUDI.value)
    lifecycle.require_signing(record, application.now())
    return _checked(application, record)


def list_signer(session: Session, application: Application, kid: str | None) -> EudiSigningIdentity:
    """What signs the status lists of the key ``kid``: that key while its certificate lives, then the one in use.

    Raises as `document_signer`; also where the key has gone from its keystore without being revoked.
    """
    record = _find(session, application, kid)
    if record is None or record.state not in _SIGNS_LISTS or application.now() >= record.not_after:
        return document_signer(session, application)
    return _checked(application, record)


def metadata_signer(session: Session, application: Application) -> EudiSigningIdentity:
    """What signs metadata: the access key (ARF 3.0, ISSU_32), or the document signer where there is none.

    Raises as `document_signer`.
    """
    has_access = keyring.has_signing_key(session, application.tenant, Purpose.EUDI_ACCESS)
    return _in_use(session, application, Purpose.EUDI_ACCESS if has_access else Purpose.EUDI)


def access_signer(session: Session, application: Application) -> EudiSigningIdentity:
    """What signs questions to wallets. Raises as `document_signer`."""
    return _in_use(session, application, Purpose.EUDI_ACCESS)


def is_set_up(session: Session, application: Application) -> bool:
    """Whether credentials can be issued: the operator wants it, and there is a key that may sign."""
    return application.config.eudi.enabled and signer_id(session, application) is not None


def _in_use(session: Session, application: Application, purpose: Purpose) -> EudiSigningIdentity:
    record = keyring.signing_record(session, application.tenant, purpose, application.now())
    return _checked(application, record)


def _find(session: Session, application: Application, kid: str | None) -> KeyRecord | None:
    known = keyring.records(session, application.tenant, Purpose.EUDI)
    return next((one for one in known if one.kid.hex() == kid), None)


def _checked(application: Application, record: KeyRecord) -> EudiSigningIdentity:
    identity: EudiSigningIdentity = application.kept(
        ("eudi", record.kid, record.certificate_pem),
        lambda: certified_keys.eudi_identity(record, application.keys),
    )
    identity.check(application.now())
    return identity
