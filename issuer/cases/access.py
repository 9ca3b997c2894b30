"""How a holder comes back to a case: by a one-time link, which opens a visit of this browser.

The link lies in a mail, or is shown to who begins a case so that it can be continued elsewhere; it holds for
thirty days, as long as a draft. Looking at it uses nothing up; the button on its page does. A log-in service
(BundID) will open the same visits: all that a page asks is which case a visit is for.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.cases.states import CaseState
from issuer.models_cases import CaseLinkRow, CaseRow, CaseVisitRow
from issuer.one_time_links import OneTimeLinks, is_token, new_token

LINK_LIFETIME: Final = timedelta(days=30)
PASS_LINK_LIFETIME: Final = timedelta(hours=1)
VISIT_LIFETIME: Final = timedelta(hours=2)
PATH: Final = "/apply/l/"
COOKIE: Final = "stadtpass-case"

_LINKS: Final = OneTimeLinks(CaseLinkRow, "case-link")
_VISIT: Final = "case-visit"
_LEADS_TO_PASS: Final = (CaseState.ISSUED.value, CaseState.CHARGED_BACK.value)


@dataclass(frozen=True, slots=True)
class CaseVisit:
    """A visit under way; ``form_token`` has to come with every POST."""

    token: str = field(repr=False)
    case_id: str
    expires_at: datetime
    form_token: str = field(repr=False)

    def accepts(self, form_token: str) -> bool:
        """Whether a form that came with ``form_token`` is one of this visit's pages."""
        return hmac.compare_digest(form_token.encode(), self.form_token.encode())


def lifetime_of(state: str) -> timedelta:
    """How long a link to a case in ``state`` works: one that leads to a pass is as short as a pick-up link."""
    return PASS_LINK_LIFETIME if state in _LEADS_TO_PASS else LINK_LIFETIME


def create_link(session: Session, application: Application, case_id: str) -> str:
    """A new link to the case, in the caller's writing transaction; returns its whole URL, which is a secret."""
    case = session.get_one(CaseRow, (application.tenant, case_id))
    token = new_token()
    now = application.now()
    session.add(
        CaseLinkRow(
            tenant=application.tenant,
            token_hash=_LINKS.hash_of(application, token),
            case_id=case_id,
            created_at=now,
            expires_at=now + lifetime_of(case.state),
        )
    )
    session.flush()
    return f"{application.settings(session).base_url}{PATH}{token}"


def is_open(session: Session, application: Application, token: str) -> bool:
    """Whether ``token`` can still be used; using it is `redeem`."""
    return _LINKS.is_open(session, application, token)


def redeem(session: Session, application: Application, token: str) -> CaseVisit | None:
    """Use the link up and begin a visit, in a writing transaction: of two calls at the same time one gets it.

    None for a link that is unknown, used or too old; nothing tells these apart.
    """
    row = _LINKS.use(session, application, token)
    return start_visit(session, application, row.case_id) if row is not None else None


def start_visit(session: Session, application: Application, case_id: str) -> CaseVisit:
    """Begin a visit of one browser, in a writing transaction."""
    token = new_token()
    now = application.now()
    row = CaseVisitRow(
        tenant=application.tenant,
        visit_hash=application.hash_secret(_VISIT, token),
        case_id=case_id,
        started_at=now,
        expires_at=now + VISIT_LIFETIME,
    )
    session.add(row)
    session.flush()
    return _visit(application, token, row)


def find_visit(session: Session, application: Application, token: str | None) -> CaseVisit | None:
    """The visit that a cookie stands for; None if there is none or it is over."""
    if token is None or not is_token(token):
        return None
    row = session.get(CaseVisitRow, (application.tenant, application.hash_secret(_VISIT, token)))
    if row is None or row.expires_at <= application.now():
        return None
    return _visit(application, token, row)


def end_visit(session: Session, application: Application, visit: CaseVisit) -> None:
    """End one visit, in a writing transaction: its cookie opens nothing any more."""
    mine = application.hash_secret(_VISIT, visit.token)
    session.execute(
        delete(CaseVisitRow).where(CaseVisitRow.tenant == application.tenant, CaseVisitRow.visit_hash == mine)
    )


def end_links(session: Session, application: Application, case_id: str) -> None:
    """End every link to a case, in a writing transaction: its address was mistyped, or it leads to a pass now."""
    mine = (CaseLinkRow.tenant == application.tenant, CaseLinkRow.case_id == case_id)
    session.execute(delete(CaseLinkRow).where(*mine))


def _visit(application: Application, token: str, row: CaseVisitRow) -> CaseVisit:
    form_token = application.derived("case-visit-form", token).hex()[:32]
    return CaseVisit(token, row.case_id, row.expires_at, form_token)
