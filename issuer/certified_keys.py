"""Keys that are made here and certified by an authority: EUDI credentials, questions to wallets, seals in PDFs.

Their records hold the certificates, leaf first and anchor last, and have the certificates' period.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum

from keys.certified_identity import CertifiedIdentity
from keys.errors import KeyRefusal
from keys.eudi_certificates import EudiSigningIdentity, EudiUse
from keys.identity import kid_of
from keys.lifecycle import KeyRecord, KeyState, Purpose
from keys.pdf_seal_certificates import PdfSealIdentity, PdfSealUse
from keys.store import KeyManager

EUDI_USES = {Purpose.EUDI: EudiUse.DOCUMENT_SIGNER, Purpose.EUDI_ACCESS: EudiUse.ACCESS}
# Keys that are made here and certified by an authority afterwards; without its certificate none signs.
CERTIFIED: dict[Purpose, tuple[type[CertifiedIdentity], StrEnum]] = {
    **{purpose: (EudiSigningIdentity, use) for purpose, use in EUDI_USES.items()},
    Purpose.PDF_SEAL: (PdfSealIdentity, PdfSealUse.SEAL),
}


def certified_kind(record: KeyRecord) -> tuple[type[CertifiedIdentity], StrEnum]:
    """The kind of identity that the key makes with its certificates, and the use they are for.

    Raises KeyRefusal KEY_TAKES_NO_CERTIFICATE.
    """
    kind = CERTIFIED.get(record.purpose)
    if kind is None:
        raise KeyRefusal("KEY_TAKES_NO_CERTIFICATE", kid=record.kid.hex())
    return kind


def certified(record: KeyRecord, identity: CertifiedIdentity) -> KeyRecord:
    """The record of a pending key with the certificates an authority sent for it, not stored yet.

    Its period is the certificates'. Raises KeyRefusal KEY_TAKES_NO_CERTIFICATE, KEY_HAS_CERTIFICATE for a key that is
    pending no more, _KEY_MISMATCH of the identity's family for another key's.
    """
    if (type(identity), identity.use) != certified_kind(record):
        raise KeyRefusal("KEY_TAKES_NO_CERTIFICATE", kid=record.kid.hex())
    if record.state is not KeyState.PENDING:
        raise KeyRefusal("KEY_HAS_CERTIFICATE", kid=record.kid.hex())
    if kid_of(identity.signer.public_key()) != record.kid:
        raise KeyRefusal(f"{identity.family}_KEY_MISMATCH", name=identity.name)
    return replace(
        record,
        not_before=identity.not_before,
        # The certificates count up to and including their last second.
        not_after=identity.not_after + timedelta(seconds=1),
        certificate_pem=identity.pem,
    )


def certified_identity(record: KeyRecord, manager: KeyManager) -> CertifiedIdentity:
    """The signing identity of a certified key, of the kind that its purpose has.

    Raises KeyRefusal KEY_TAKES_NO_CERTIFICATE, KEY_CERTIFICATE_MISSING, and as the class does.
    """
    kind, use = certified_kind(record)
    if not record.certificate_pem:
        raise KeyRefusal("KEY_CERTIFICATE_MISSING", kid=record.kid.hex())
    return kind.from_pem(use, record.certificate_pem, manager.signer(record.uri))


def eudi_identity(record: KeyRecord, manager: KeyManager) -> EudiSigningIdentity:
    """What signs credentials, or asks for them, with the key. Raises as `certified_identity`."""
    identity = certified_identity(record, manager)
    if not isinstance(identity, EudiSigningIdentity):
        raise KeyRefusal("KEY_TAKES_NO_CERTIFICATE", kid=record.kid.hex())
    return identity


def pdf_seal_identity(record: KeyRecord, manager: KeyManager) -> PdfSealIdentity:
    """What seals PDFs with the key. Raises as `certified_identity`."""
    identity = certified_identity(record, manager)
    if not isinstance(identity, PdfSealIdentity):
        raise KeyRefusal("KEY_TAKES_NO_CERTIFICATE", kid=record.kid.hex())
    return identity
