"""The steps of a case, each in the caller's writing transaction: what a holder does, what the office decides, what
payments and nights bring.

An approval never issues anything that has to be paid for: that is `issuer.cases.issue`, when the payment is final.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from issuer.audit import Fact
from issuer.cases import mails, proofs
from issuer.cases.facts import (
    CaseFacts,
    CaseKind,
    Channel,
    ResidenceProof,
    facts_of,
    missing,
    plates_of,
)
from issuer.cases.mails import CaseMail
from issuer.cases.rules import CaseRules, Check, CheckOutcome
from issuer.cases.states import CaseState, CaseStep, next_state
from issuer.cases.store import (
    Case,
    CaseActor,
    applicant,
    case_of,
    move,
    note,
    of_shown,
    permits_of_shown,
    person_key,
    save_applicant,
    save_facts,
    take,
)
from issuer.errors import IssuerRefusal
from issuer.holders import Holder
from issuer.models import PassRow
from issuer.models_cases import UNDER_WAY, CaseRow
from passes.model import PassStatus
from passes.periods import berlin_day

# Codes of the texts in which the holder reads why.
REFUSALS: Final = (
    "not_resident", "no_zone", "not_keeper", "no_proof", "second_permit", "not_registered", "has_garage", "other",
)  # fmt: skip
REQUESTS: Final = ("residence", "keeper", "registration", "organisation", "exception")
EXCEPTIONS: Final = ("second_car_needed", "care", "work", "car_sharing", "hardship")
# Those for which the permit may cost nothing: whoever proposes one of them proposes that as well.
FREE_FOR: Final = ("hardship",)
# Ends that come about without the holder.
_TOLD: Final = {CaseStep.ABANDON: CaseMail.ABANDONED, CaseStep.LAPSE: CaseMail.LAPSED}
# The check that is left open where the plate has been changed as often as the kind allows.
JUSTIFICATION: Final = "justification"
TOO_MANY_CHANGES: Final = "PLATE_CHANGES_USED"
_CAR_PAPERS: Final = "vehicle_registration"
_RUNNING: Final = (PassStatus.ACTIVE.value, PassStatus.SUSPENDED.value, PassStatus.PENDING_PAYMENT.value)


def save_draft(
    session: Session,
    tenant: str,
    case_id: str,
    actor: CaseActor,
    facts: CaseFacts,
    person: Holder | None = None,
) -> Case:
    """Store what a draft says so far; what a wallet has proven holds only for the same name and address.

    Raises IssuerRefusal CASE_UNKNOWN, CASE_MOVED, CASE_STEP for one that is none.
    """
    row = take(session, tenant, case_id, actor.version)
    if row.state != CaseState.DRAFT:
        raise IssuerRefusal("CASE_STEP", step="save", state=row.state)
    if person is not None:
        before = applicant(session, tenant, case_id)
        if before is None or not proofs.holds_for(before, person):
            facts = msgspec.structs.replace(facts, residence_proof=None)
        save_applicant(session, tenant, case_id, person)
    save_facts(session, row, facts)
    return case_of(row)


def prove_residence(
    session: Session, tenant: str, case_id: str, actor: CaseActor, proof: ResidenceProof
) -> Case:
    """A wallet has shown that who asks lives where they say: that is kept, and settles the check as evidence does.

    Raises IssuerRefusal as `take`; CASE_STEP unless the case is a draft, or evidence was asked for; CASE_TWICE where
    it was, and the person that was shown has another such case under way. Nothing is stored then.
    """
    row = take(session, tenant, case_id, actor.version)
    if row.state not in (CaseState.DRAFT, CaseState.DOCUMENTS):
        raise IssuerRefusal("CASE_STEP", step="prove", state=row.state)
    if row.state == CaseState.DOCUMENTS:
        _one_case(session, row, proof)
    facts = msgspec.structs.replace(facts_of(row.facts), residence_proof=proof)
    row.checks = proofs.settled(row.checks, facts)
    save_facts(session, row, facts)
    told: dict[str, Fact] = {"credential": proof.credential.value, "issuer": proof.issuer}
    note(session, row, actor, "case_prove", told)
    return case_of(row)


def checks_of(case: Case, person: Holder, day: date, rules: CaseRules) -> list[Check]:
    """What the rules say of ``case`` on ``day``; too many changes of plates are for a clerk to justify.

    Raises what `CaseRules.checks` and `CaseRules.change_checks` raise.
    """
    if case.kind is not CaseKind.CHANGE:
        return list(rules.checks(case.facts, person, day))
    number = case.pass_number or ""
    checks = list(rules.change_checks(case.type_id, number, case.facts, person, day))
    if rules.plate_changes_left(case.type_id, number, day) <= 0:
        checks.append(Check(JUSTIFICATION, CheckOutcome.EVIDENCE, (_CAR_PAPERS,), TOO_MANY_CHANGES))
    return checks


def submit(session: Session, tenant: str, case_id: str, actor: CaseActor, rules: CaseRules) -> Case:
    """Hand a draft in. What the rules say of it is asked now, whatever a page has shown before.

    Raises IssuerRefusal CASE_UNKNOWN, CASE_MOVED, CASE_STEP; CASE_INCOMPLETE with ``fields``; CASE_REFUSED where
    a check says that this cannot be had, with its ``reason``; CASE_TWICE where the person has such a case under
    way, PERMIT_TWICE where they hold a running permit, under this name or, by what a wallet has shown, under another
    of theirs; what `CaseRules.fee_cents` and `plates_of` raise.
    """
    row = take(session, tenant, case_id, actor.version)
    facts, kind, channel = facts_of(row.facts), CaseKind(row.kind), Channel(row.channel)
    person = applicant(session, tenant, case_id)
    lacking = missing(kind, facts)
    if person is None or not _is_known(person, kind):
        lacking.insert(0, "person")
    if person is None or lacking:
        raise IssuerRefusal("CASE_INCOMPLETE", fields=", ".join(lacking))
    plates_of(facts)
    day = berlin_day(actor.at)
    checks = checks_of(case_of(row), person, day, rules)
    _stop_at_refusals(checks)
    row.checks = proofs.settled([one.stored() for one in checks], facts)
    row.fee_cents = rules.fee_cents(kind, facts, channel, day)
    row.person = person_key(session, tenant, person)
    _one_case(session, row, facts.residence_proof)
    if kind is CaseKind.NEW and not rules.is_exception(facts, day):
        _one_permit(session, row)
    row.submitted_at = actor.at
    try:
        open_checks = [one["name"] for one in row.checks if _is_open(one)]
        move(session, row, CaseStep.SUBMIT, actor, fee_cents=row.fee_cents, open_checks=open_checks)
    except IntegrityError:
        raise IssuerRefusal("CASE_TWICE") from None
    mails.tell(session, row, CaseMail.RECEIVED, actor.at)
    return case_of(row)


def ask_documents(
    session: Session, tenant: str, case_id: str, actor: CaseActor, wanted: Sequence[str]
) -> Case:
    """Ask the holder for evidence: codes of `REQUESTS`. Raises IssuerRefusal as `take`, CASE_STEP, CASE_REASON."""
    row = take(session, tenant, case_id, actor.version)
    _known(wanted, REQUESTS)
    move(session, row, CaseStep.ASK_DOCUMENTS, actor, wanted=list(wanted))
    mails.tell(session, row, CaseMail.DOCUMENTS, actor.at)
    return case_of(row)


def documents_added(session: Session, tenant: str, case_id: str, actor: CaseActor) -> Case:
    """The holder says that all evidence is there. Raises IssuerRefusal as `take`, CASE_STEP."""
    row = take(session, tenant, case_id, actor.version)
    move(session, row, CaseStep.ADD_DOCUMENTS, actor)
    return case_of(row)


def propose(session: Session, tenant: str, case_id: str, actor: CaseActor, exception: str) -> Case:
    """Propose an exception, for somebody else to decide (four eyes).

    Raises IssuerRefusal as `take`, CASE_STEP, CASE_REASON.
    """
    row = take(session, tenant, case_id, actor.version)
    _known([exception], EXCEPTIONS)
    row.exception, row.proposed_by = exception, actor.name
    move(session, row, CaseStep.PROPOSE, actor, exception=exception)
    return case_of(row)


def send_back(session: Session, tenant: str, case_id: str, actor: CaseActor) -> Case:
    """Not approved by the second person: back to the office's work list.

    Raises IssuerRefusal as `take`, CASE_STEP.
    """
    row = take(session, tenant, case_id, actor.version)
    row.proposed_by = None
    move(session, row, CaseStep.SEND_BACK, actor)
    return case_of(row)


def approve(
    session: Session,
    tenant: str,
    case_id: str,
    actor: CaseActor,
    rules: CaseRules,
    *,
    free: bool = False,
) -> Case:
    """Approve: a payment is due from now on, or nothing is to be paid and the pass can be issued.

    An exception, and a permit for nothing (``free``), is approved by somebody else than who proposed it. Raises
    IssuerRefusal as `take`, CASE_STEP; FOUR_EYES where the same person would decide, SECOND_LOOK_NEEDED where
    nobody has proposed it; CASE_OPEN where a check is still waiting for its evidence to be looked at; PERMIT_TWICE
    where the person, as a wallet has shown since the case was submitted, holds a running permit.
    """
    row = take(session, tenant, case_id, actor.version)
    next_state(CaseState(row.state), CaseStep.APPROVE)
    special = (
        free or row.exception is not None or rules.is_exception(facts_of(row.facts), berlin_day(actor.at))
    )
    if special:
        if row.state != CaseState.SECOND_LOOK or row.proposed_by is None:
            raise IssuerRefusal("SECOND_LOOK_NEEDED", number=row.number)
        if row.proposed_by == actor.name:
            raise IssuerRefusal("FOUR_EYES", number=row.number)
        # Two have to agree on what is given away, not only on the exception beside it.
        if free and row.exception not in FREE_FOR:
            raise IssuerRefusal("SECOND_LOOK_NEEDED", number=row.number)
    waiting = [one["name"] for one in row.checks if _is_open(one)]
    if waiting:
        raise IssuerRefusal("CASE_OPEN", checks=", ".join(waiting))
    if row.kind == CaseKind.NEW and not special:
        _one_permit(session, row)
    if free:
        row.fee_cents = 0
    row.decided_by, row.decided_at, row.decision_reason = actor.name, actor.at, row.exception
    move(session, row, CaseStep.APPROVE, actor, fee_cents=row.fee_cents, free=free)
    if row.state == CaseState.AWAITING_PAYMENT:
        mails.tell(session, row, CaseMail.PAYMENT, actor.at)
    return case_of(row)


def accept_evidence(
    session: Session, tenant: str, case_id: str, actor: CaseActor, check: str, evidence_type: str
) -> Case:
    """A clerk has seen evidence that settles ``check``: which type is kept, also when the document is deleted.

    Raises IssuerRefusal as `take`; CASE_STEP unless the office has the case; CASE_CHECK, EVIDENCE_TYPE.
    """
    row = take(session, tenant, case_id, actor.version)
    if row.state not in (CaseState.SUBMITTED, CaseState.SECOND_LOOK):
        raise IssuerRefusal("CASE_STEP", step="accept_evidence", state=row.state)
    named = [one for one in row.checks if one["name"] == check]
    if not named:
        raise IssuerRefusal("CASE_CHECK", check=check)
    if evidence_type not in named[0]["evidence"]:
        raise IssuerRefusal("EVIDENCE_TYPE", check=check)
    row.checks = [one | {"accepted": evidence_type} if one is named[0] else one for one in row.checks]
    row.version += 1
    session.flush()
    note(session, row, actor, "case_accept_evidence", {"check": check, "evidence": evidence_type})
    return case_of(row)


def refuse(session: Session, tenant: str, case_id: str, actor: CaseActor, reason: str) -> Case:
    """Refuse, for a reason of `REFUSALS`. Raises IssuerRefusal as `take`, CASE_STEP, CASE_REASON."""
    row = take(session, tenant, case_id, actor.version)
    _known([reason], REFUSALS)
    row.decided_by, row.decided_at, row.decision_reason = actor.name, actor.at, reason
    move(session, row, CaseStep.REFUSE, actor, reason=reason)
    mails.tell(session, row, CaseMail.REFUSED, actor.at)
    return case_of(row)


def end(session: Session, tenant: str, case_id: str, actor: CaseActor, step: CaseStep) -> Case:
    """`CaseStep.WITHDRAW`, ``ABANDON`` or ``LAPSE``: nothing comes of it.

    Raises IssuerRefusal as `take`, CASE_STEP.
    """
    row = take(session, tenant, case_id, actor.version)
    move(session, row, step, actor)
    if step in _TOLD:
        mails.tell(session, row, _TOLD[step], actor.at)
    return case_of(row)


def _is_open(check: Mapping[str, Any]) -> bool:
    """Whether a check, as a case stores it, waits for evidence, or for somebody to look at it."""
    return check["outcome"] == CheckOutcome.EVIDENCE and not check.get("accepted")


def _is_known(person: Holder, kind: CaseKind) -> bool:
    """Whether a person is named well enough: for a change the pass says who it is, whatever address there is."""
    return bool(person.family_name) and (
        kind is CaseKind.CHANGE or bool(person.street and person.postal_code)
    )


def _stop_at_refusals(checks: Sequence[Check]) -> None:
    for one in checks:
        if one.outcome is CheckOutcome.REFUSED:
            raise IssuerRefusal("CASE_REFUSED", check=one.name, reason=one.reason)


def _one_permit(session: Session, row: CaseRow) -> None:
    """One running permit per person; whoever would have a second one asks for an exception.

    Whoever has shown a wallet is one person, whichever of their given names they use.
    """
    held = session.scalar(
        select(PassRow.number)
        .where(
            PassRow.tenant == row.tenant,
            PassRow.type_id == row.type_id,
            PassRow.holder_ref == row.person,
            PassRow.status.in_(_RUNNING),
        )
        .limit(1)
    )
    proof = facts_of(row.facts).residence_proof
    if held is None and proof is not None and proof.person:
        shown = permits_of_shown(row.tenant, row.type_id, proof.person, _RUNNING)
        held = session.scalar(shown.limit(1))
    if held is not None:
        raise IssuerRefusal("PERMIT_TWICE", number=held)


def _one_case(session: Session, row: CaseRow, proof: ResidenceProof | None) -> None:
    """One case of a kind under way for whom a wallet has shown; by the name that was typed, an index sees to that.

    The writing transaction is enough of a lock.
    """
    if proof is None or not proof.person:
        return
    other = session.scalar(
        select(CaseRow.number)
        .where(
            of_shown(row.tenant, row.type_id, proof.person),
            CaseRow.kind == row.kind,
            CaseRow.id != row.id,
            text(UNDER_WAY),
        )
        .limit(1)
    )
    if other is not None:
        raise IssuerRefusal("CASE_TWICE")


def _known(given: Sequence[str], known: Sequence[str]) -> None:
    unknown = [one for one in given if one not in known]
    if unknown or not given:
        raise IssuerRefusal("CASE_REASON", known=", ".join(known))
