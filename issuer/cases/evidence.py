"""Evidence: documents that prove what no register has confirmed, kept encrypted and no longer than needed.

What is kept is drawn anew by a process of its own (`issuer.cases.evidence_process`) and encrypted with a key that
follows from the service's secret, the case and the document: a copy of the database shows nothing, and one document's
key opens no other.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.cases.evidence_process import LARGEST_FILE, REFUSED
from issuer.errors import IssuerRefusal
from issuer.models_cases import CaseEvidenceRow

MOST_DOCUMENTS: Final = 8
_SECONDS: Final = 40
_NONCE_BYTES: Final = 12
_PDF: Final = b"%PDF-"


@dataclass(frozen=True, slots=True)
class Document:
    """A document that may be kept."""

    media_type: str
    data: bytes = field(repr=False)


def examine(data: bytes) -> Document:
    """What may be kept of an upload: JPEG, PNG or PDF, at most 10 MB, 50 megapixels, 10 pages.

    Takes up to some seconds, so call it outside of every transaction. Raises IssuerRefusal EVIDENCE_TOO_LARGE,
    EVIDENCE_KIND, EVIDENCE_PIXELS, EVIDENCE_PAGES, EVIDENCE_PROTECTED for a PDF with a password, EVIDENCE_DAMAGED for
    what cannot be read within limits.
    """
    if len(data) > LARGEST_FILE:
        raise IssuerRefusal("EVIDENCE_TOO_LARGE", megabytes=LARGEST_FILE >> 20)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "issuer.cases.evidence_process"],
            input=data, capture_output=True, timeout=_SECONDS, check=False, env={},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise IssuerRefusal("EVIDENCE_DAMAGED") from None
    if done.returncode == REFUSED:
        told = json.loads(done.stdout)
        raise IssuerRefusal(told["code"], **told["params"])
    if done.returncode != 0 or not done.stdout:
        # Killed at one of its limits: whatever needs that much is no proof of residence.
        raise IssuerRefusal("EVIDENCE_DAMAGED")
    kind = "application/pdf" if done.stdout.startswith(_PDF) else "image/jpeg"
    return Document(kind, done.stdout)


def store(
    session: Session,
    application: Application,
    case_id: str,
    evidence_type: str,
    document: Document,
    at: datetime,
) -> str:
    """Keep ``document`` with a case, in the caller's writing transaction; returns its id.

    Raises IssuerRefusal EVIDENCE_COUNT where the case has eight already.
    """
    tenant = application.tenant
    kept = session.scalar(
        select(func.count())
        .select_from(CaseEvidenceRow)
        .where(CaseEvidenceRow.tenant == tenant, CaseEvidenceRow.case_id == case_id)
    )
    if (kept or 0) >= MOST_DOCUMENTS:
        raise IssuerRefusal("EVIDENCE_COUNT", most=MOST_DOCUMENTS)
    identity = secrets.token_urlsafe(16)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = _cipher(application, case_id, identity).encrypt(
        nonce, document.data, document.media_type.encode()
    )
    session.add(
        CaseEvidenceRow(
            tenant=tenant,
            id=identity,
            case_id=case_id,
            evidence_type=evidence_type,
            media_type=document.media_type,
            size=len(document.data),
            digest=hashlib.sha256(document.data).hexdigest(),
            data=nonce + sealed,
            added_at=at,
        )
    )
    session.flush()
    return identity


@dataclass(frozen=True, slots=True)
class KeptDocument:
    """What is known of a document without opening it."""

    id: str
    evidence_type: str
    media_type: str
    size: int
    added_at: datetime


def kept_documents(session: Session, tenant: str, case_id: str) -> list[KeptDocument]:
    """The documents of a case, oldest first."""
    rows = session.execute(
        select(
            CaseEvidenceRow.id,
            CaseEvidenceRow.evidence_type,
            CaseEvidenceRow.media_type,
            CaseEvidenceRow.size,
            CaseEvidenceRow.added_at,
        )
        .where(CaseEvidenceRow.tenant == tenant, CaseEvidenceRow.case_id == case_id)
        .order_by(CaseEvidenceRow.added_at, CaseEvidenceRow.id)
    )
    return [KeptDocument(*row) for row in rows]


def remove(session: Session, tenant: str, case_id: str, identity: str) -> None:
    """Delete a document of a case, in the caller's writing transaction. Raises IssuerRefusal DOCUMENT_UNKNOWN."""
    row = session.get(CaseEvidenceRow, (tenant, identity))
    if row is None or row.case_id != case_id:
        raise IssuerRefusal("DOCUMENT_UNKNOWN")
    session.delete(row)
    session.flush()


def load(session: Session, application: Application, case_id: str, identity: str) -> Document:
    """The document as it was kept. Raises IssuerRefusal DOCUMENT_UNKNOWN, EVIDENCE_LOST for one that was changed."""
    row = session.get(CaseEvidenceRow, (application.tenant, identity))
    if row is None or row.case_id != case_id:
        raise IssuerRefusal("DOCUMENT_UNKNOWN")
    nonce, sealed = row.data[:_NONCE_BYTES], row.data[_NONCE_BYTES:]
    try:
        data = _cipher(application, case_id, identity).decrypt(nonce, sealed, row.media_type.encode())
    except InvalidTag:
        raise IssuerRefusal("EVIDENCE_LOST") from None
    if not hmac.compare_digest(hashlib.sha256(data).hexdigest(), row.digest):
        raise IssuerRefusal("EVIDENCE_LOST")
    return Document(row.media_type, data)


def _cipher(application: Application, case_id: str, identity: str) -> AESGCM:
    return AESGCM(application.derived("case-evidence", case_id, identity))
