"""API clients: adding, rotating and revoking them, each with its audit entry.

A secret leaves these functions once and is never stored. An API key is one text, ``spk_<id>_<secret>``; an OAuth
client has its id and a secret apart.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal
from issuer.models_access import AccessTokenRow, ApiClientRow

KEY, OAUTH = "key", "oauth"
LONGEST_NAME: Final = 100
LONGEST_OVERLAP: Final = timedelta(days=30)
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Issued:
    """What the owner of a client gets, this once: for an API key the whole key, else the OAuth secret."""

    id: str
    secret: str = field(repr=False)


def add_client(
    session: Session,
    application: Application,
    name: str,
    scopes: Sequence[Scope],
    *,
    kind: str,
    actor: str,
    expires_at: datetime | None = None,
) -> Issued:
    """A new client of ``kind`` `KEY` or `OAUTH`; ``expires_at`` is aware.

    Raises IssuerRefusal CLIENT_NAME, CLIENT_NAME_TAKEN (by a client that is not revoked), CLIENT_SCOPES for none.
    """
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise IssuerRefusal("CLIENT_NAME", limit=LONGEST_NAME)
    if not scopes:
        raise IssuerRefusal("CLIENT_SCOPES")
    taken = session.scalar(
        select(ApiClientRow.id).where(
            ApiClientRow.tenant == application.tenant,
            ApiClientRow.name == name,
            ApiClientRow.revoked_at.is_(None),
        )
    )
    if taken is not None:
        # The audit trail tells clients apart by their names.
        raise IssuerRefusal("CLIENT_NAME_TAKEN", name=name)
    client_id = secrets.token_hex(16)
    secret, issued = _new_secret(client_id, kind)
    at = application.now()
    row = ApiClientRow(
        tenant=application.tenant,
        id=client_id,
        name=name,
        kind=kind,
        secret_hash=application.hash_secret(purpose_of(kind), secret),
        scopes=sorted({scope.value for scope in scopes}),
        created_at=at,
        expires_at=expires_at,
    )
    session.add(row)
    facts = {
        "name": name,
        "kind": kind,
        "scopes": row.scopes,
        "expires_at": expires_at.isoformat() if expires_at else None,
    }
    _note(session, application, AuditEvent("add-client", _subject(client_id), after=facts), actor)
    return issued


def clients(session: Session, tenant: str) -> Sequence[ApiClientRow]:
    """All clients of the tenant, oldest first; the revoked ones too."""
    return session.scalars(
        select(ApiClientRow)
        .where(ApiClientRow.tenant == tenant)
        .order_by(ApiClientRow.created_at, ApiClientRow.id)
    ).all()


def rotate_client(
    session: Session, application: Application, client_id: str, *, overlap: timedelta, actor: str
) -> Issued:
    """A new secret; the one before holds for ``overlap`` (0 to 30 days), one older than that no more.

    Raises IssuerRefusal CLIENT_UNKNOWN, CLIENT_REVOKED, CLIENT_OVERLAP.
    """
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        raise IssuerRefusal("CLIENT_OVERLAP", hours=int(LONGEST_OVERLAP.total_seconds() // 3600))
    row = _live(session, application, client_id)
    secret, issued = _new_secret(client_id, row.kind)
    at = application.now()
    if overlap:
        row.previous_hash, row.previous_until = row.secret_hash, at + overlap
    else:
        row.previous_hash = row.previous_until = None
    row.secret_hash = application.hash_secret(purpose_of(row.kind), secret)
    session.flush()
    facts = {"previous_until": row.previous_until.isoformat() if row.previous_until else None}
    _note(session, application, AuditEvent("rotate-client", _subject(client_id), after=facts), actor)
    return issued


def revoke_client(session: Session, application: Application, client_id: str, *, actor: str) -> None:
    """The client's secrets and tokens hold no more, at once and for good.

    Raises IssuerRefusal CLIENT_UNKNOWN, CLIENT_REVOKED.
    """
    row = _live(session, application, client_id)
    row.revoked_at = application.now()
    row.previous_hash = row.previous_until = None
    session.execute(
        delete(AccessTokenRow).where(
            AccessTokenRow.tenant == application.tenant, AccessTokenRow.client_id == client_id
        )
    )
    _note(session, application, AuditEvent("revoke-client", _subject(client_id)), actor)


def purpose_of(kind: str) -> str:
    """What the secrets of a kind of client are hashed for."""
    return "api-key" if kind == KEY else "oauth-client"


def _live(session: Session, application: Application, client_id: str) -> ApiClientRow:
    row = session.get(ApiClientRow, (application.tenant, client_id), with_for_update=True)
    if row is None:
        raise IssuerRefusal("CLIENT_UNKNOWN", id=client_id[:40])
    if row.revoked_at is not None:
        raise IssuerRefusal("CLIENT_REVOKED", id=client_id)
    return row


def _new_secret(client_id: str, kind: str) -> tuple[str, Issued]:
    """The secret that is hashed, and what the owner gets."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    if kind == KEY:
        return secret, Issued(client_id, f"spk_{client_id}_{secret}")
    return f"sps_{secret}", Issued(client_id, f"sps_{secret}")


def _subject(client_id: str) -> str:
    return f"client/{client_id}"


def _note(session: Session, application: Application, event: AuditEvent, actor: str) -> None:
    audit.append(session, application.tenant, [event], application.now(), actor)
