"""The rules by which rows are deleted: which table, and the condition that a row is no longer needed.

A rule counts what it would delete and deletes it in chunks; both go by the same condition. Other tenants' rows are
never looked at. `issuer.nightly.retention` is the run that goes through them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, tuple_
from sqlalchemy.orm import Session

from issuer.cases.states import ENDED
from issuer.importing import runs
from issuer.list_content import KEPT
from issuer.models import Base, HolderRow, PassRow, RevisionRow, StatusListRow, WithdrawnPlaceRow
from issuer.models_access import (
    AccessTokenRow,
    DeviceNonceRow,
    IdempotencyRow,
    JobRow,
    LetterCodeRow,
    PickupLinkRow,
    VerifierDeviceRow,
    VisitRow,
)
from issuer.models_cases import CaseApplicantRow, CaseEvidenceRow, CaseLinkRow, CaseRow, CaseVisitRow
from issuer.models_delivery import (
    AppleDeviceRow,
    AppleLogRow,
    AppleRegistrationRow,
    GoogleMessageRow,
    GoogleNonceRow,
    LetterRow,
    MailRow,
    NightlyRunRow,
    ReminderRow,
    WalletPassRow,
    WebhookDeliveryRow,
)
from issuer.models_desk import CaseLetterRow
from issuer.models_eudi import (
    AuthorizationRequestRow,
    EudiCredentialRow,
    EudiReplayRow,
    EudiStatusListRow,
    EudiTokenRow,
    IssuanceSessionRow,
)
from issuer.models_feedback import AccessibilityFeedbackRow
from issuer.models_imports import ImportFindingRow, ImportHolderRow, ImportPassRow, ImportRunRow
from issuer.models_payments import PaymentRow
from issuer.models_presentations import PresentationRow
from issuer.models_print import PrintFileRow, PrintRunRow
from issuer.models_staff import CaseAccessRow, StaffLinkRow, StaffSessionRow
from issuer.nightly import removals
from issuer.status_allocation import half_year
from passes.periods import berlin_day

if TYPE_CHECKING:
    from issuer.application import Application

CHUNK: Final = 500
# As long as the API promises.
_IDEMPOTENCY: Final = timedelta(hours=24)
# A person who was imported just now may get a pass in the next transaction.
_HOLDER_GRACE: Final = timedelta(days=1)
# The proof of a deletion is asked for in audits, which look back three years.
_PROOF: Final = timedelta(days=3 * 366)

Condition = Callable[["Application"], Sequence[ColumnElement[bool]]]
# Where a row's age stands, in tables that have one of these; the first counts.
_MOMENTS: Final = (
    "at", "created_at", "started_at", "sent_at", "added_at", "state_since", "updated_at", "expires_at",
    "period_last", "day",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """What is deleted from ``table``, under a name that stands in reports."""

    name: str
    table: type[Base]
    condition: Condition

    def count(self, session: Session, application: Application) -> int:
        """How many rows the rule would delete now."""
        query = select(func.count()).select_from(self.table).where(*self._where(application))
        return session.scalar(query) or 0

    def oldest(self, session: Session, application: Application) -> date | None:
        """The day of the oldest row that the rule would delete now, if its rows have a time."""
        columns = self.table.__table__.c
        name = next((one for one in _MOMENTS if one in columns), None)
        if name is None:
            return None
        found = session.scalar(select(func.min(columns[name])).where(*self._where(application)))
        return berlin_day(found) if isinstance(found, datetime) else found

    def delete_some(self, session: Session, application: Application) -> int:
        """Delete up to `CHUNK` rows; says how many that were."""
        key = tuple(self.table.__table__.primary_key)
        chosen = session.execute(select(*key).where(*self._where(application)).limit(CHUNK)).all()
        if chosen:
            session.execute(delete(self.table).where(tuple_(*key).in_([tuple(one) for one in chosen])))
        return len(chosen)

    def _where(self, application: Application) -> Sequence[ColumnElement[bool]]:
        return (self.table.__table__.c.tenant == application.tenant, *self.condition(application))


def _before(application: Application, **step: float) -> datetime:
    return application.now() - timedelta(**step)


def _holders(application: Application) -> Sequence[ColumnElement[bool]]:
    """Holders all of whose passes are gone, or go in the same run."""
    kept = exists().where(
        PassRow.tenant == HolderRow.tenant,
        PassRow.holder_ref == HolderRow.ref,
        ~and_(*removals.to_delete(application)),
    )
    return (~kept, HolderRow.updated_at < application.now() - _HOLDER_GRACE)


def _devices(application: Application) -> Sequence[ColumnElement[bool]]:
    """Devices that nobody can reach any more, and those all of whose passes are gone or go in the same run."""
    gone = removals.serials_to_delete(application)
    kept = exists().where(
        AppleRegistrationRow.tenant == AppleDeviceRow.tenant,
        AppleRegistrationRow.device_id == AppleDeviceRow.device_id,
        AppleRegistrationRow.serial.not_in(gone),
    )
    limit = _before(application, days=application.config.retention.failing_devices)
    # A device that registers now has its row a moment before its registration.
    alone = and_(~kept, AppleDeviceRow.updated_at < _before(application, days=1))
    return (or_(AppleDeviceRow.failing_since < limit, alone),)


def _sent_before(application: Application, *times: Any, days: int) -> Sequence[ColumnElement[bool]]:
    return (func.coalesce(*times) < _before(application, days=days),)


def _of_cases_ended(
    table: type[CaseApplicantRow] | type[CaseEvidenceRow] | type[CaseLetterRow], since: datetime
) -> ColumnElement[bool]:
    """What hangs on a case that ended before ``since``."""
    return exists().where(
        CaseRow.tenant == table.tenant,
        CaseRow.id == table.case_id,
        CaseRow.state.in_(sorted(ENDED)),
        CaseRow.state_since < since,
    )


def _registrations_cut_off(application: Application) -> Sequence[ColumnElement[bool]]:
    """Registrations for what was taken out of wallets, or issued anew, longer than a day ago.

    Until then they are how a phone hears that what it has is void.
    """
    since = _before(application, days=1)
    withdrawn = exists().where(
        WalletPassRow.tenant == AppleRegistrationRow.tenant,
        WalletPassRow.serial == AppleRegistrationRow.serial,
        WalletPassRow.withdrawn_at < since,
    )
    of_serial = (
        RevisionRow.tenant == AppleRegistrationRow.tenant,
        RevisionRow.serial == AppleRegistrationRow.serial,
    )
    replaced = and_(
        exists().where(*of_serial, RevisionRow.superseded_at < since),
        ~exists().where(
            *of_serial, or_(RevisionRow.superseded_at.is_(None), RevisionRow.superseded_at >= since)
        ),
    )
    return (or_(withdrawn, replaced),)


def _of_imports_ended(
    table: type[ImportFindingRow] | type[ImportPassRow] | type[ImportHolderRow], since: datetime
) -> ColumnElement[bool]:
    """What hangs on an import that ended before ``since`` and is not being undone."""
    return exists().where(
        ImportRunRow.tenant == table.tenant,
        ImportRunRow.id == table.run_id,
        ImportRunRow.state.not_in(runs.AT_WORK),
        ImportRunRow.ended_at < since,
    )


def _of_runs_before(since: datetime) -> ColumnElement[bool]:
    return exists().where(
        PrintRunRow.tenant == PrintFileRow.tenant,
        PrintRunRow.id == PrintFileRow.run_id,
        PrintRunRow.created_at < since,
    )


def _places_of_old_lists(application: Application) -> Sequence[ColumnElement[bool]]:
    """Places in lists that are no longer published: those of half-years that ended longer ago than lists are kept."""
    running = half_year(berlin_day(application.now() - KEPT))
    old_list = exists().where(
        StatusListRow.tenant == WithdrawnPlaceRow.tenant,
        StatusListRow.number == WithdrawnPlaceRow.list_number,
        StatusListRow.half_year < running,
    )
    return (old_list, WithdrawnPlaceRow.at < application.now() - KEPT)


# Before the passes, which take their own rows of these tables with them: so what was previewed is what is reported.
def _credentials_of_old_lists(application: Application) -> Sequence[ColumnElement[bool]]:
    """Credentials in lists from which no place is drawn any more and all of whose credentials have ended."""
    running = half_year(berlin_day(application.now() - KEPT))
    old_list = exists().where(
        EudiStatusListRow.tenant == EudiCredentialRow.tenant,
        EudiStatusListRow.number == EudiCredentialRow.list_number,
        EudiStatusListRow.half_year < running,
    )
    return (old_list,)


FIRST: Final[tuple[Rule, ...]] = (
    Rule(
        "apple_logs",
        AppleLogRow,
        lambda one: (AppleLogRow.at < _before(one, days=one.config.retention.logs),),
    ),
    Rule("apple_registrations", AppleRegistrationRow, _registrations_cut_off),
    Rule("google_nonces", GoogleNonceRow, lambda one: (GoogleNonceRow.expires_at < one.now(),)),
    # Ids of messages keep one from being sent twice, and none is tried for longer than some days.
    Rule(
        "google_messages",
        GoogleMessageRow,
        lambda one: (GoogleMessageRow.sent_at < _before(one, days=one.config.retention.logs),),
    ),
    # An old link still leads to the page that sends a new one.
    Rule(
        "pickup_links",
        PickupLinkRow,
        lambda one: (PickupLinkRow.expires_at < _before(one, days=one.config.retention.logs),),
    ),
    Rule("letter_codes", LetterCodeRow, lambda one: (LetterCodeRow.expires_at < one.now(),)),
    Rule("unconfirmed_devices", VerifierDeviceRow, lambda one: (VerifierDeviceRow.expires_at <= one.now(),)),
    Rule("eudi_replays", EudiReplayRow, lambda one: (EudiReplayRow.expires_at < one.now(),)),
    Rule(
        "eudi_requests",
        AuthorizationRequestRow,
        lambda one: (AuthorizationRequestRow.expires_at < one.now(),),
    ),
    Rule("eudi_tokens", EudiTokenRow, lambda one: (EudiTokenRow.expires_at < one.now(),)),
    # With what hangs on them; credentials stay where they are in their lists.
    Rule("eudi_sessions", IssuanceSessionRow, lambda one: (IssuanceSessionRow.expires_at < one.now(),)),
    Rule("eudi_credentials", EudiCredentialRow, _credentials_of_old_lists),
    # What the worker has left, which forgets them every minute.
    Rule("eudi_presentations", PresentationRow, lambda one: (PresentationRow.ends_at <= one.now(),)),
    Rule("device_nonces", DeviceNonceRow, lambda one: (DeviceNonceRow.expires_at <= one.now(),)),
    Rule("staff_sessions", StaffSessionRow, lambda one: (StaffSessionRow.expires_at < one.now(),)),
    Rule("staff_links", StaffLinkRow, lambda one: (StaffLinkRow.expires_at < one.now(),)),
    Rule(
        "case_accesses",
        CaseAccessRow,
        lambda one: (CaseAccessRow.at < _before(one, days=one.config.retention.accesses),),
    ),
    Rule("visits", VisitRow, lambda one: (VisitRow.expires_at < one.now(),)),
    Rule("access_tokens", AccessTokenRow, lambda one: (AccessTokenRow.expires_at < one.now(),)),
    Rule(
        "idempotency_keys",
        IdempotencyRow,
        lambda one: (IdempotencyRow.created_at < one.now() - _IDEMPOTENCY,),
    ),
    # A job that nobody has finished for so long will not be finished any more.
    Rule(
        "jobs",
        JobRow,
        lambda one: _sent_before(one, JobRow.finished_at, JobRow.created_at, days=one.config.retention.jobs),
    ),
    Rule(
        "mails",
        MailRow,
        lambda one: _sent_before(one, MailRow.sent_at, MailRow.failed_at, days=one.config.retention.mails),
    ),
    Rule(
        "letters",
        LetterRow,
        lambda one: (LetterRow.printed_at < _before(one, days=one.config.retention.mails),),
    ),
    Rule(
        "webhook_deliveries",
        WebhookDeliveryRow,
        lambda one: _sent_before(
            one,
            WebhookDeliveryRow.delivered_at,
            WebhookDeliveryRow.failed_at,
            days=one.config.retention.webhook_deliveries,
        ),
    ),
    Rule(
        "reminders",
        ReminderRow,
        lambda one: (
            ReminderRow.period_last < berlin_day(_before(one, days=one.config.retention.passes_after_end)),
        ),
    ),
    Rule("case_visits", CaseVisitRow, lambda one: (CaseVisitRow.expires_at < one.now(),)),
    Rule("case_links", CaseLinkRow, lambda one: (CaseLinkRow.expires_at < one.now(),)),
    Rule(
        "case_evidence",
        CaseEvidenceRow,
        lambda one: (_of_cases_ended(CaseEvidenceRow, _before(one, days=one.config.retention.evidence)),),
    ),
    # Their words may name a person.
    Rule(
        "case_letters",
        CaseLetterRow,
        lambda one: (_of_cases_ended(CaseLetterRow, _before(one, days=one.config.retention.applicants)),),
    ),
    Rule(
        "case_applicants",
        CaseApplicantRow,
        lambda one: (_of_cases_ended(CaseApplicantRow, _before(one, days=one.config.retention.applicants)),),
    ),
    Rule(
        "cases",
        CaseRow,
        lambda one: (
            CaseRow.state.in_(sorted(ENDED)),
            CaseRow.state_since < _before(one, days=one.config.retention.cases),
        ),
    ),
    # Once an import cannot be undone any more, nobody needs to know what it made or wrote over.
    Rule(
        "import_holders",
        ImportHolderRow,
        lambda one: (_of_imports_ended(ImportHolderRow, one.now() - runs.UNDO),),
    ),
    Rule(
        "import_passes",
        ImportPassRow,
        lambda one: (_of_imports_ended(ImportPassRow, one.now() - runs.UNDO),),
    ),
    Rule(
        "import_findings",
        ImportFindingRow,
        lambda one: (_of_imports_ended(ImportFindingRow, _before(one, days=one.config.retention.jobs)),),
    ),
    Rule(
        "import_runs",
        ImportRunRow,
        lambda one: (
            ImportRunRow.state.not_in(runs.AT_WORK),
            ImportRunRow.ended_at < _before(one, days=one.config.retention.imports),
        ),
    ),
    Rule(
        "payments",
        PaymentRow,
        lambda one: (
            PaymentRow.received_cents > 0,
            PaymentRow.updated_at < _before(one, days=one.config.retention.payments),
        ),
    ),
    Rule(
        "unpaid_payments",
        PaymentRow,
        lambda one: (
            PaymentRow.received_cents == 0,
            PaymentRow.attention == "",
            PaymentRow.state.not_in(("created", "pending")),
            PaymentRow.updated_at < _before(one, days=one.config.retention.mails),
        ),
    ),
    Rule(
        "accessibility_feedback",
        AccessibilityFeedbackRow,
        lambda one: (AccessibilityFeedbackRow.created_at < _before(one, days=one.config.retention.feedback),),
    ),
    Rule(
        "print_files",
        PrintFileRow,
        lambda one: (_of_runs_before(_before(one, days=one.config.retention.print_files)),),
    ),
    # With what is in them.
    Rule(
        "print_runs",
        PrintRunRow,
        lambda one: (PrintRunRow.created_at < _before(one, days=one.config.retention.print_runs),),
    ),
    Rule("withdrawn_places", WithdrawnPlaceRow, _places_of_old_lists),
    Rule("nightly_runs", NightlyRunRow, lambda one: (NightlyRunRow.day < berlin_day(one.now() - _PROOF),)),
)

# After the passes: those who had no other.
LAST: Final[tuple[Rule, ...]] = (
    Rule("holders", HolderRow, _holders),
    Rule("apple_devices", AppleDeviceRow, _devices),
)
