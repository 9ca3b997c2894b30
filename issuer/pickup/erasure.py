"""What a holder may have deleted at once, and until when the rest is kept (Art. 17 and 21 GDPR).

At once go documents of cases that are decided, cases from which nothing came, and the mail address. What stays are
the right itself, for as long as fines about it can be disputed, the money paid for it, and the cases that led
to it: they say how often a plate was changed, and a payment that is called back is found by them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.cases.states import ENDED, CaseState
from issuer.models import HolderRow, PassRow
from issuer.models_cases import CaseApplicantRow, CaseEvidenceRow, CaseRow
from issuer.models_payments import PaymentRow
from issuer.payments.service import payments_of
from issuer.payments.states import OPEN
from issuer.pickup.stored_data import deleted_on
from issuer.pickup.visits import Visit, note
from issuer.register import subject
from issuer.residence.certificates import certificate_ids
from passes.periods import berlin_day


class Erasable(StrEnum):
    """What can be deleted on the holder's word."""

    DOCUMENTS = "documents"
    CASES = "cases"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the law has the city keep (its code in the catalogue), and the day (Europe/Berlin) of its deletion."""

    code: str
    until: date


# Nothing came of them, or nothing yet.
_IDLE: Final = tuple(one.value for one in (ENDED - {CaseState.ISSUED}) | {CaseState.DRAFT})
_DECIDED: Final = tuple(one.value for one in ENDED)


def erasable(session: Session, application: Application, visit: Visit) -> dict[Erasable, int]:
    """How much there is of each; what there is nothing of is left out."""
    counts = {
        Erasable.DOCUMENTS: _count(session, CaseEvidenceRow, _documents(application, visit)),
        Erasable.CASES: _count(session, CaseRow, _cases(application, visit)),
        Erasable.MAIL: _count(session, HolderRow, _address(application, visit)),
    }
    return {one: count for one, count in counts.items() if count}


def erase(
    session: Session, application: Application, visit: Visit, wanted: Collection[Erasable]
) -> dict[Erasable, int]:
    """Delete ``wanted`` in a writing transaction, with an entry in the audit trail; returns what there was of it."""
    counts = {one: count for one, count in erasable(session, application, visit).items() if one in wanted}
    if Erasable.DOCUMENTS in counts:
        session.execute(delete(CaseEvidenceRow).where(*_documents(application, visit)))
    if Erasable.CASES in counts:
        session.execute(delete(CaseRow).where(*_cases(application, visit)))
    if Erasable.MAIL in counts:
        session.execute(
            update(HolderRow)
            .where(*_address(application, visit))
            .values(email="", updated_at=application.now())
        )
        session.execute(
            update(CaseApplicantRow)
            .where(
                CaseApplicantRow.tenant == application.tenant,
                CaseApplicantRow.case_id.in_(select(CaseRow.id).where(*_of_pass(application, visit))),
            )
            .values(email="")
        )
    if counts:
        note(
            session,
            application,
            visit.key,
            "erase",
            **{one.value: str(count) for one, count in counts.items()},
        )
    return counts


def kept(session: Session, application: Application, visit: Visit) -> Sequence[Kept]:
    """What stays for now, and how long; the earliest first."""
    retention = application.config.retention
    row = session.get_one(PassRow, (application.tenant, visit.type_id, visit.number))
    is_certificate = row.type_id in certificate_ids(application.pass_types)
    why = "HOLDER_KEPT_CERTIFICATE" if is_certificate else "HOLDER_KEPT_PASS"
    found = [Kept(why, deleted_on(application, row))]
    issued = session.execute(
        select(CaseRow.id, CaseRow.state_since).where(
            *_of_pass(application, visit), CaseRow.state == CaseState.ISSUED.value
        )
    ).all()
    if issued:
        last = max(since for _, since in issued)
        found.append(Kept("HOLDER_KEPT_CASES", berlin_day(last) + timedelta(days=retention.cases)))
    paid = [*payments_of(session, application.tenant, "pass", subject(visit.type_id, visit.number))]
    for case_id, _ in issued:
        paid += payments_of(session, application.tenant, "case", case_id)
    if paid:
        last = max(one.updated_at for one in paid)
        found.append(Kept("HOLDER_KEPT_PAYMENTS", berlin_day(last) + timedelta(days=retention.payments)))
    return sorted(found, key=lambda one: one.until)


def _of_pass(application: Application, visit: Visit) -> tuple[ColumnElement[bool], ...]:
    return (
        CaseRow.tenant == application.tenant,
        CaseRow.type_id == visit.type_id,
        CaseRow.pass_number == visit.number,
    )


def _documents(application: Application, visit: Visit) -> tuple[ColumnElement[bool], ...]:
    decided = select(CaseRow.id).where(*_of_pass(application, visit), CaseRow.state.in_(_DECIDED))
    return (CaseEvidenceRow.tenant == application.tenant, CaseEvidenceRow.case_id.in_(decided))


def _cases(application: Application, visit: Visit) -> tuple[ColumnElement[bool], ...]:
    money = exists().where(
        PaymentRow.tenant == CaseRow.tenant,
        PaymentRow.kind == "case",
        PaymentRow.ref == CaseRow.id,
        or_(PaymentRow.received_cents > 0, PaymentRow.state.in_([one.value for one in OPEN])),
    )
    return (*_of_pass(application, visit), CaseRow.state.in_(_IDLE), ~money)


def _address(application: Application, visit: Visit) -> tuple[ColumnElement[bool], ...]:
    holder = select(PassRow.holder_ref).where(
        PassRow.tenant == application.tenant,
        PassRow.type_id == visit.type_id,
        PassRow.number == visit.number,
    )
    return (HolderRow.tenant == application.tenant, HolderRow.ref.in_(holder), HolderRow.email != "")


def _count(session: Session, table: type, conditions: tuple[ColumnElement[bool], ...]) -> int:
    return session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0
