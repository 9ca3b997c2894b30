"""Everything that is stored about a holder and one pass (Art. 15 GDPR): as a file, and for the page in words.

Secrets are stored as hashes and of no use to anybody, so their times are told and not their values. A phone's push
token is told as being there: it is the phone's, not a fact about its owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEntry
from issuer.cases.mails import is_case_mail
from issuer.cases.states import ENDED, CaseState
from issuer.models import Base, HolderRow, PassRow, PassTermRow, RevisionRow
from issuer.models_access import LetterCodeRow, PickupLinkRow, VisitRow
from issuer.models_cases import CaseApplicantRow, CaseEvidenceRow, CaseRow
from issuer.models_delivery import (
    AppleDeviceRow,
    AppleRegistrationRow,
    GoogleMessageRow,
    LetterRow,
    MailRow,
    ReminderRow,
    WalletPassRow,
    WebhookDeliveryRow,
)
from issuer.models_desk import CaseLetterRow
from issuer.models_eudi import EudiCredentialRow, EudiTransactionCodeRow, IssuanceSessionRow
from issuer.models_imports import ImportPassRow
from issuer.models_library import MemberRow, ReplacedCardRow
from issuer.models_library_checks import LibraryHoldRow
from issuer.models_print import PrintItemRow
from issuer.models_staff import CaseAccessRow
from issuer.nightly.removals import ENDED_EARLY
from issuer.payments.service import payments_of
from issuer.pickup.visits import ACTOR
from issuer.register import subject
from issuer.residence.certificates import certificate_ids
from passes.periods import berlin_day

Record = dict[str, Any]

# Hashes, tokens, keyed digests and texts for machines; each is named in ``secrets`` instead of being told.
_LEFT_OUT: Final = frozenset(
    {"tenant", "token_hash", "code_hash", "visit_hash", "apple_token", "record", "person"}
    # Who of the city's staff did it is not the holder's data.
    | {"proposed_by", "decided_by", "consent_by"}
    | {"offer_hash", "tx_hash", "dpop_jkt", "instance_jkt"}
)
_BY_NUMBER: Final[Mapping[str, type[Base]]] = {
    "revisions": RevisionRow,
    "pass_terms": PassTermRow,
    "wallet_passes": WalletPassRow,
    "mails": MailRow,
    "letters": LetterRow,
    "print_items": PrintItemRow,
    "reminders": ReminderRow,
    "pickup_links": PickupLinkRow,
    "letter_codes": LetterCodeRow,
    "visits": VisitRow,
    "import_passes": ImportPassRow,
    "eudi_sessions": IssuanceSessionRow,
    "eudi_credentials": EudiCredentialRow,
    "eudi_transaction_codes": EudiTransactionCodeRow,
    "library_holds": LibraryHoldRow,
    "library_members": MemberRow,
    "replaced_cards": ReplacedCardRow,
}


def deleted_on(application: Application, row: PassRow) -> date:
    """The day (Europe/Berlin) on which the night deletes the pass: soon after its end a certificate of residence."""
    retention = application.config.retention
    if row.type_id not in certificate_ids(application.pass_types):
        return row.period_last + timedelta(days=retention.passes_after_end)
    end = row.period_last
    if row.status in ENDED_EARLY:
        end = min(end, berlin_day(row.updated_at) + timedelta(days=1))
    return end + timedelta(days=retention.certificates)


def case_deleted_on(application: Application, case: Record) -> date | None:
    """The day (Europe/Berlin) on which the night deletes a case as `stored_data` tells it; None while it is open."""
    if CaseState(case["state"]) not in ENDED:
        return None
    ended = berlin_day(datetime.fromisoformat(case["state_since"]))
    return ended + timedelta(days=application.config.retention.cases)


def stored_data(session: Session, application: Application, type_id: str, number: str) -> Record:
    """Every row about the pass and its holder, as plain values; times are ISO 8601 in UTC, days are dates.

    Raises LookupError if the pass is not there.
    """
    tenant = application.tenant
    row = session.get(PassRow, (tenant, type_id, number))
    if row is None:
        raise LookupError("the pass is gone")
    found: Record = {
        "made_at": application.now().isoformat(timespec="seconds"),
        "deleted_on": deleted_on(application, row).isoformat(),
        "holder": _plain(session.get(HolderRow, (tenant, row.holder_ref))),
        "pass": _plain(row) | {"columns_compared_at_import": sorted(row.record)},
    }
    for name, table in _BY_NUMBER.items():
        query = select(table).filter_by(tenant=tenant, type_id=type_id, number=number)
        found[name] = sorted((_plain(one) for one in session.scalars(query)), key=_moment)
    serials = {one["serial"] for one in (*found["revisions"], *found["wallet_passes"])}
    found["cases"] = _cases(session, tenant, type_id, number)
    found["payments"] = _payments(session, tenant, subject(type_id, number), found["cases"])
    found["apple_registrations"] = _registrations(session, tenant, serials)
    messages = select(GoogleMessageRow).where(
        GoogleMessageRow.tenant == tenant, GoogleMessageRow.serial.in_(serials)
    )
    found["google_messages"] = [_plain(one) for one in session.scalars(messages)]
    found["webhook_deliveries"] = _deliveries(session, tenant, type_id, number)
    about = [subject(type_id, number)]
    about += [f"case/{one[name]}" for one in found["cases"] for name in ("number", "id")]
    found["accesses"] = _accesses(session, tenant, about)
    # The number may have been another person's once.
    own = audit.of_this_life(audit.history(session, tenant, subject(type_id, number)))
    found["history"] = [_entry(one) for one in own]
    found["secrets"] = (
        "Links, letter codes, visits and the phone's token are stored as keyed hashes or as tokens that only "
        "devices use. Of the imported record, keyed digests are stored to recognise a repeated import."
    )
    return found


def _cases(session: Session, tenant: str, type_id: str, number: str) -> list[Record]:
    """What was asked for and became this pass or changed it, with who asked and which documents are still kept."""
    rows = session.scalars(
        select(CaseRow)
        .filter_by(tenant=tenant, type_id=type_id, pass_number=number)
        .order_by(CaseRow.created_at, CaseRow.id)
    )
    cases: list[Record] = []
    for row in rows:
        documents = session.scalars(select(CaseEvidenceRow).filter_by(tenant=tenant, case_id=row.id))
        asked = session.get(CaseApplicantRow, (tenant, row.id))
        letters = session.scalars(
            select(CaseLetterRow)
            .filter_by(tenant=tenant, case_id=row.id)
            .order_by(CaseLetterRow.made_at, CaseLetterRow.id)
        )
        cases.append(
            _plain(row)
            | {
                "applicant": _plain(asked),
                "evidence": [
                    {"type": one.evidence_type, "size": one.size, "added_at": _value(one.added_at)}
                    for one in documents
                ],
                "letters": [
                    {"kind": one.kind, "codes": one.codes, "text": one.body, "made_at": _value(one.made_at)}
                    for one in letters
                ],
                "mails": [
                    _plain(one)
                    for one in session.scalars(select(MailRow).filter_by(tenant=tenant, number=row.number))
                    if is_case_mail(one.kind)
                ],
                "history": [_entry(one) for one in audit.history(session, tenant, f"case/{row.number}")],
            }
        )
    return cases


def _payments(session: Session, tenant: str, about: str, cases: Iterable[Record]) -> list[Record]:
    """What was paid for the pass or for a case about it."""
    found = [*payments_of(session, tenant, "pass", about)]
    for case in cases:
        found += payments_of(session, tenant, "case", case["id"])
    return [
        {
            "amount_cents": one.amount_cents,
            "currency": one.currency,
            "provider": one.provider,
            "state": one.state,
            "created_at": _value(one.created_at),
            "updated_at": _value(one.updated_at),
        }
        for one in found
    ]


def _accesses(session: Session, tenant: str, about: Sequence[str]) -> list[Record]:
    """When somebody of the city has looked at the pass or at a case; who it was is not the holder's data."""
    rows = session.scalars(
        select(CaseAccessRow)
        .where(CaseAccessRow.tenant == tenant, CaseAccessRow.subject.in_(about))
        .order_by(CaseAccessRow.at, CaseAccessRow.id)
    )
    return [{"at": _value(one.at), "about": one.subject, "kind": one.kind} for one in rows]


def _registrations(session: Session, tenant: str, serials: Iterable[str]) -> Sequence[Record]:
    rows = session.execute(
        select(AppleRegistrationRow, AppleDeviceRow)
        .join(
            AppleDeviceRow,
            (AppleDeviceRow.tenant == AppleRegistrationRow.tenant)
            & (AppleDeviceRow.device_id == AppleRegistrationRow.device_id),
        )
        .where(AppleRegistrationRow.tenant == tenant, AppleRegistrationRow.serial.in_(list(serials)))
        .order_by(AppleRegistrationRow.created_at)
    )
    return [
        {
            "serial": registration.serial,
            "device_id": device.device_id,
            "registered_at": _value(registration.created_at),
            "has_push_token": bool(device.push_token),
            "failing_since": _value(device.failing_since),
        }
        for registration, device in rows
    ]


def _deliveries(session: Session, tenant: str, type_id: str, number: str) -> Sequence[Record]:
    """What specialist systems were told: a pass stands only inside the message, so the messages are read."""
    rows = session.scalars(
        select(WebhookDeliveryRow).where(
            WebhookDeliveryRow.tenant == tenant, WebhookDeliveryRow.payload.contains(number, autoescape=True)
        )
    )
    about = {"type": type_id, "number": number}
    return [_plain(row) for row in rows if msgspec.json.decode(row.payload).get("data") == about]


def _plain(row: Base | None) -> Record:
    if row is None:
        return {}
    return {
        column.name: _value(getattr(row, column.name))
        for column in row.__table__.columns
        if column.name not in _LEFT_OUT
    }


def _value(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return value.isoformat() if isinstance(value, date) else value


def _moment(record: Record) -> str:
    """The time that sorts records: each table has one of these."""
    names = ("issued_at", "created_at", "started_at", "modified_at")
    return next((str(record[name]) for name in names if name in record), "")


def _entry(entry: AuditEntry) -> Record:
    """An entry of the audit trail; who of the city's staff did it is not the holder's data."""
    return {
        "at": entry.at.isoformat(timespec="seconds"),
        "by": ACTOR if entry.actor == ACTOR else "city",
        "action": entry.action,
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
    }
