"""Visits: half an hour in which one browser may fetch every carrier of one pass, or of a family's cards.

The browser holds a cookie with 128 random bits, the register its hash. The cookie is ``SameSite=Lax``, not
``Strict``: people come back to the page from a mail app or from Google, and a strict cookie would not be sent
then. Lax keeps it off every POST from elsewhere; the forms' tokens and `issuer.pickup.guests` guard them as well.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.models_access import VisitRow
from issuer.one_time_links import is_token, new_token
from issuer.pickup.links import Channel, PassKey
from issuer.register import subject

LIFETIME: Final = timedelta(minutes=30)
ACTOR: Final = "holder"

_PURPOSE: Final = "visit"


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit under way; ``form_token`` has to come with every POST."""

    token: str = field(repr=False)
    key: PassKey
    expires_at: datetime
    form_token: str = field(repr=False)

    @property
    def type_id(self) -> str:
        """The type of the pass."""
        return self.key.type_id

    @property
    def number(self) -> str:
        """The number of the pass."""
        return self.key.number

    def accepts(self, form_token: str) -> bool:
        """Whether a form that came with ``form_token`` is one of this visit's pages."""
        return hmac.compare_digest(form_token.encode(), self.form_token.encode())


def start_visit(session: Session, application: Application, key: PassKey) -> Visit:
    """Begin a visit, in the caller's writing transaction, with an entry in the audit trail."""
    token = new_token()
    now = application.now()
    row = VisitRow(
        tenant=application.tenant,
        visit_hash=application.hash_secret(_PURPOSE, token),
        type_id=key.type_id,
        number=key.number,
        channel=key.channel.value,
        started_at=now,
        expires_at=now + LIFETIME,
        family=key.family,
    )
    session.add(row)
    session.flush()
    note(session, application, key, "pickup", **({"family": "yes"} if key.family else {}))
    return _visit(application, token, row)


def find_visit(session: Session, application: Application, token: str | None) -> Visit | None:
    """The visit that a cookie stands for; None if there is none or it is over."""
    if token is None or not is_token(token):
        return None
    row = session.get(VisitRow, (application.tenant, application.hash_secret(_PURPOSE, token)))
    if row is None or row.expires_at <= application.now():
        return None
    return _visit(application, token, row)


def end_visit(session: Session, application: Application, visit: Visit) -> None:
    """End ``visit``: its cookie opens nothing any more."""
    session.execute(
        delete(VisitRow).where(
            VisitRow.tenant == application.tenant,
            VisitRow.visit_hash == visit_hash(application, visit),
        )
    )


def visit_hash(application: Application, visit: Visit) -> str:
    """What is stored of ``visit``."""
    return application.hash_secret(_PURPOSE, visit.token)


def note(session: Session, application: Application, key: PassKey, action: str, **facts: str) -> None:
    """An entry in the audit trail: what the holder did, and by which way they had come in."""
    after: dict[str, audit.Fact] = {"channel": key.channel.value, **facts}
    event = AuditEvent(action, subject(key.type_id, key.number), after=after)
    audit.append(session, application.tenant, [event], application.now(), ACTOR)


def _visit(application: Application, token: str, row: VisitRow) -> Visit:
    key = PassKey(row.type_id, row.number, Channel(row.channel), row.family)
    form_token = application.derived("visit-form", token).hex()[:32]
    return Visit(token, key, row.expires_at, form_token)
