"""From an approved case to the pass: a new one, another revision of one that runs, or a further term.

Everything happens in the transaction that made the payment final, or that approved what costs nothing: there is no
moment in which somebody has paid and the register does not know it, or has a pass and has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Final

from sqlalchemy.orm import Session

from issuer import audit, lifecycle
from issuer.application import Application
from issuer.cases import access, mails, steps
from issuer.cases.facts import CaseKind, plates_of
from issuer.cases.rules import CaseRules
from issuer.cases.states import CaseState, CaseStep, next_state
from issuer.cases.store import Case, CaseActor, applicant, case_of, move, take
from issuer.delivery import mail
from issuer.errors import IssuerRefusal
from issuer.holders import Holder
from issuer.importing.check_file import CheckedFile, check_rows
from issuer.importing.findings import Severity
from issuer.importing.rows import RowFile, SourceRow
from issuer.lifecycle import Actor, Changes
from issuer.models_cases import CaseRow
from issuer.numbering import next_number
from issuer.register import insert_passes, subject
from issuer.renewal import Renewal, renew
from issuer.revocation_log import RevocationLog
from issuer.rules.zones import zone_on
from issuer.tariffs import TariffZone, zones
from passes.pass_types import PassType
from passes.periods import Period, berlin_day

# The number under which a case is tried out before there is one.
_TRIAL: Final = "A-0000-000000"
_CHARGED_BACK: Final = "payment charged back"
_SETTLED: Final = "payment settled"
LONGEST_NOTE: Final = 100


def check(session: Session, application: Application, case: Case, person: Holder) -> None:
    """See that the register would take what the case asks for, before anybody pays for it.

    Raises IssuerRefusal CASE_ROW with the sentences of what stands against it.
    """
    if case.kind is CaseKind.NEW:
        _checked(session, application, case, replace(person, ref=_TRIAL), _TRIAL)


def approve(
    session: Session,
    application: Application,
    case_id: str,
    actor: CaseActor,
    rules: CaseRules,
    *,
    free: bool = False,
) -> Case:
    """Approve as `steps.approve` does, and issue at once what costs nothing.

    Raises what that raises, CASE_ROW where the register would not take it, and what issuing raises.
    """
    case = steps.approve(session, application.tenant, case_id, actor, rules, free=free)
    if case.state is not CaseState.ISSUED:
        person = applicant(session, application.tenant, case_id)
        if person is not None:
            check(session, application, case, person)
        return case
    row = take(session, application.tenant, case_id, None)
    row.pass_number = _made(session, application, row, actor)
    access.end_links(session, application, row.id)
    session.flush()
    return case_of(row)


def paid(session: Session, application: Application, case_id: str, actor: CaseActor) -> Case:
    """The payment is final: issue. Raises IssuerRefusal CASE_UNKNOWN, CASE_STEP, and what issuing raises."""
    row = take(session, application.tenant, case_id, None)
    next_state(CaseState(row.state), CaseStep.PAID)
    number = _made(session, application, row, actor)
    row.pass_number = number
    # They were for a page about an application; from now on that page leads to a pass.
    access.end_links(session, application, row.id)
    move(session, row, CaseStep.PAID, actor, **{"pass": number})
    return case_of(row)


def charged_back(session: Session, application: Application, case_id: str, actor: CaseActor) -> Case:
    """The money was called back: the pass is suspended until somebody has settled it.

    A pass that was ended meanwhile stays as it is. Raises IssuerRefusal CASE_UNKNOWN, CASE_STEP.
    """
    row = take(session, application.tenant, case_id, None)
    move(session, row, CaseStep.CHARGE_BACK, actor)
    mails.tell(session, row, mails.CaseMail.CHARGED_BACK, actor.at)
    if row.pass_number is not None:
        reason = Actor(actor.name, actor.at, _CHARGED_BACK)
        try:
            lifecycle.suspend(session, application.tenant, row.type_id, row.pass_number, actor=reason)
        except IssuerRefusal as refusal:
            if refusal.code not in ("PASS_SUSPENDED", "PASS_REVOKED", "PASS_ENDED"):
                raise
    return case_of(row)


def settle(session: Session, application: Application, case_id: str, actor: CaseActor, note: str) -> Case:
    """What was called back has come another way, as ``note`` says: settled, in a writing transaction.

    Raises IssuerRefusal CASE_NOTE without a note of one line, and what `repaid` raises.
    """
    said = note.strip()
    if not said or len(said) > LONGEST_NOTE or not said.isprintable():
        raise IssuerRefusal("CASE_NOTE", limit=LONGEST_NOTE)
    return _settled(session, application, case_id, actor, said)


def repaid(session: Session, application: Application, case_id: str, actor: CaseActor) -> Case:
    """What was called back is booked again: the pass that was suspended for it holds again.

    A pass that was ended meanwhile, or that is suspended for another reason, stays as it is. Raises IssuerRefusal
    CASE_UNKNOWN, CASE_MOVED, CASE_STEP.
    """
    return _settled(session, application, case_id, actor, None)


def _settled(
    session: Session, application: Application, case_id: str, actor: CaseActor, note: str | None
) -> Case:
    row = take(session, application.tenant, case_id, actor.version)
    move(session, row, CaseStep.SETTLE, actor, reason=note)
    if row.pass_number is not None and _suspended_for_it(session, row):
        reason = Actor(actor.name, actor.at, _SETTLED)
        try:
            lifecycle.resume(session, application.tenant, row.type_id, row.pass_number, actor=reason)
        except IssuerRefusal as refusal:
            # In debt: another case of the same pass is still charged back.
            if refusal.code not in ("PASS_NOT_SUSPENDED", "PASS_REVOKED", "PASS_ENDED", "PASS_IN_DEBT"):
                raise
    return case_of(row)


def _suspended_for_it(session: Session, row: CaseRow) -> bool:
    """Whether the pass was last suspended because money was called back, and for nothing else."""
    entries = audit.history(session, row.tenant, subject(row.type_id, row.pass_number or ""))
    reasons = [one.reason for one in entries if one.action == "suspend"]
    return bool(reasons) and reasons[-1] == _CHARGED_BACK


def _made(session: Session, application: Application, row: CaseRow, actor: CaseActor) -> str:
    asks = applicant(session, application.tenant, row.id)
    if asks is None:
        raise IssuerRefusal("CASE_UNKNOWN")
    # All permits of one person hang on one holder, whichever case brought them.
    person = replace(asks, ref=row.person or "")
    case = case_of(row)
    pass_type = application.pass_types[row.type_id]
    if case.kind is CaseKind.NEW:
        return _new(session, application, case, person, pass_type, actor)
    number = case.pass_number or ""
    who = Actor(actor.name, actor.at, case.number)
    seal_for = application.sealer(session, pass_type)
    if case.kind is CaseKind.CHANGE:
        changes = Changes(plates=plates_of(case.facts))
        lifecycle.change(
            session, application.tenant, pass_type, number, changes, seal_for=seal_for, actor=who
        )  # fmt: skip
    else:
        # The fee is that of the day on which it was asked for, however long the payment took.
        asked = berlin_day(case.submitted_at) if case.submitted_at is not None else None
        term = Renewal(case.facts.term_months, case.channel.value, case.fee_cents or None, asked)
        renew(session, application.tenant, pass_type, number, term, seal_for=seal_for, actor=who)
    # What lies in the car is out of date from now on, or when the old term ends; only the holder can exchange it.
    kind = mail.CHANGED if case.kind is CaseKind.CHANGE else mail.RENEWED
    mail.tell_holder(session, application, kind, row.type_id, number, {})
    return number


def _new(
    session: Session,
    application: Application,
    case: Case,
    person: Holder,
    pass_type: PassType,
    actor: CaseActor,
) -> str:
    number = next_number(session, application.tenant, pass_type.id, actor.at)
    checked = _checked(session, application, case, person, number)
    seal_for = application.sealer(session, pass_type)
    insert_passes(
        session,
        application.tenant,
        checked.accepted,
        seal_for,
        at=actor.at,
        actor=actor.name,
        log=RevocationLog(application.workspace.folder),
        action="create",
    )
    mail.tell_holder(session, application, mail.PICKUP, pass_type.id, number, {})
    return number


def _checked(
    session: Session, application: Application, case: Case, person: Holder, number: str
) -> CheckedFile:
    """The case as a row of its register, checked by what checks every row that comes in, whichever way."""
    pass_type = application.pass_types[case.type_id]
    at = application.now()
    cells = _cells(case, person, number, berlin_day(at), zones(session, application.tenant))
    columns = tuple(cells)
    file = RowFile(pass_type.id, columns, {one: one for one in columns}, [SourceRow(1, 1, cells)], ())
    checked = check_rows(session, application.tenant, pass_type, file, at)
    faults = [one.sentence(person.language) for one in checked.findings if one.severity is Severity.ERROR]
    if faults or not checked.accepted:
        raise IssuerRefusal("CASE_ROW", number=case.number, faults=" ".join(faults))
    return checked


def _cells(
    case: Case, person: Holder, number: str, today: date, known: Mapping[str, TariffZone]
) -> dict[str, str]:
    facts = case.facts
    # Whoever pays after the day that they had chosen loses none of the days they pay for.
    first = max(facts.first_day or today, today)
    # The fee is that of the day on which it was asked for, however long the decision and the payment took.
    asked = berlin_day(case.submitted_at) if case.submitted_at is not None else today
    merged = zone_on(known, facts.zone, first)
    zone = merged.zone.code if merged is not None else facts.zone
    cells = {
        "permit_id": number,
        "holder_ref": person.ref,
        "family_name": person.family_name,
        "given_name": person.given_name,
        "doctoral_degree": person.doctoral_degree,
        "street": person.street,
        "house_number": person.house_number,
        "postal_code": person.postal_code,
        "city": person.city,
        "email": person.email,
        "language": person.language,
        "zone_code": zone,
        "permit_kind": facts.permit_kind,
        "carsharing_org": facts.organisation,
        "keeper_is_holder": "yes" if facts.keeper == "holder" else "no",
        "valid_from": first.isoformat(),
        "valid_to": Period.of_months(first, facts.term_months).last.isoformat(),
        "term_months": str(facts.term_months),
        "channel": case.channel.value,
        "payment_status": "paid",
        "status": "active",
        "issued_on": asked.isoformat(),
    }
    # Merged meanwhile into a dearer or cheaper zone: what was asked for holds, and no table has it.
    if case.fee_cents and _class_on(known, zone, asked) == _class_on(known, facts.zone, asked):
        cells["fee_cents"] = str(case.fee_cents)
    for place, one in enumerate(facts.plates, start=1):
        cells[f"plate_{place}"] = one.plate
        if one.season is not None:
            cells[f"season_{place}"] = one.season
    return cells


def _class_on(known: Mapping[str, TariffZone], code: str, day: date) -> str:
    return known[code].on(day).tariff_class if code in known else ""
