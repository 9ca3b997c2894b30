"""Everything that was said, to be looked through, changed and handed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get, post

from issuer.apply import journey
from issuer.apply.answers import Answers, line_of, reason_sentence
from issuer.apply.asking import amount, ask, checks_of, fees_of, kind_of, rules_of
from issuer.apply.documents import labels_of
from issuer.apply.evidence_needs import needs_of_checks
from issuer.apply.forms import PageForm
from issuer.apply.guests import Guest, drafting_guest_of
from issuer.apply.journey import Page
from issuer.cases import evidence, proofs, steps
from issuer.cases.city import CityCaseRules
from issuer.cases.facts import CaseFacts
from issuer.cases.rules import Check, CheckOutcome
from issuer.cases.states import CaseState
from issuer.cases.store import find
from issuer.errors import IssuerRefusal
from issuer.holders import Holder
from issuer.rules.city_rules import CityRules
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from keys.texts import Texts
from passes.display import day_text

_FIELDS: Final = ("confirm", "version", "change")


@dataclass(frozen=True, slots=True)
class Group:
    """What one page has asked: its title, what was answered, and the path where that can be changed."""

    title: str
    rows: list[tuple[str, str]]
    path: str


@get("/apply/summary", sync_to_thread=True)
def summary(request: AnyRequest) -> Response[Any]:
    """The whole application; on to the first page where something is missing."""
    guest = drafting_guest_of(request)
    return _page(guest, Answers.of({}, guest.reader.say, *_FIELDS))


@post("/apply/summary", status_code=303, sync_to_thread=True)
def submit(request: AnyRequest, data: PageForm) -> Response[Any]:
    """Hand it in as it was shown: what another window has changed meanwhile is shown first."""
    guest = drafting_guest_of(request, data)
    answers = Answers.of(data, guest.reader.say, *_FIELDS)
    if line_of(data, "confirm") != "yes":
        answers.wrong("confirm", "APPLY_CONFIRM_MISSING")
        return _page(guest, answers)
    version = answers.values["version"]
    seen = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else -1
    try:
        with guest.application.writing() as session:
            guest.check(session)
            rules = CityCaseRules.of(session, guest.application, guest.case.type_id)
            steps.submit(session, guest.tenant, guest.case.id, guest.actor(seen), rules)
    except Refusal as refusal:
        return _refused(guest, answers, refusal)
    return guest.reader.go("/apply/case", told="SENT")


def groups_of(
    case_facts: CaseFacts, person: Holder | None, rules: CityRules, kind_name: str, say: Texts
) -> list[Group]:
    """What a case says, page by page; what was not asked is left out."""
    facts = case_facts
    groups: list[Group] = []
    if person is not None and person.street:
        place = f"{person.street} {person.house_number}".strip()
        zone = rules.zones.get(facts.zone)
        name = zone.zone.name if zone is not None else ""
        rows = [(say("APPLY_ADDRESS_LABEL"), f"{place}, {person.postal_code} {person.city}")]
        if facts.zone:
            rows.append((say("APPLY_ZONE_LABEL"), f"{facts.zone} {name}".strip()))
        groups.append(Group(say("APPLY_ADDRESS_TITLE"), rows, Page.ADDRESS.path))
        rows = [
            (say("APPLY_NAME_LABEL"), person.name),
            (say("APPLY_EMAIL_LABEL"), person.email or say("APPLY_EMAIL_NONE")),
            (say("APPLY_LANGUAGE_LABEL"), say(f"APPLY_LANGUAGE_{'EN' if person.language == 'en' else 'DE'}")),
        ]
        groups.append(Group(say("APPLY_PERSON_TITLE"), rows, Page.PERSON.path))
    if facts.permit_kind:
        groups.append(Group(say("APPLY_KIND_TITLE"), [(say("APPLY_KIND_LABEL"), kind_name)], Page.KIND.path))
    rows = [
        (say("APPLY_PLATE_LABEL"), f"{one.plate} ({one.season})" if one.season else one.plate)
        for one in facts.plates
    ]
    if facts.organisation:
        rows.append((say("APPLY_ORGANISATION_LABEL"), facts.organisation))
    if rows:
        groups.append(Group(say("APPLY_PLATES_TITLE"), rows, Page.PLATES.path))
    rows = []
    if facts.keeper and facts.plates:
        rows.append((say("APPLY_KEEPER_LABEL"), say(f"APPLY_KEEPER_{facts.keeper.upper()}")))
    if facts.residence:
        rows.append((say("APPLY_RESIDENCE_LABEL"), say(f"APPLY_RESIDENCE_{facts.residence.upper()}")))
    if rows:
        groups.append(Group(say("APPLY_CAR_TITLE"), rows, Page.CAR.path))
    rows = []
    if facts.term_months:
        rows.append((say("APPLY_TERM_LABEL"), say("APPLY_MONTHS", months=facts.term_months)))
    if facts.first_day is not None:
        rows.append((say("APPLY_FIRST_DAY_LABEL"), day_text(facts.first_day, say.language)))
    if rows:
        groups.append(Group(say("APPLY_TERM_TITLE"), rows, Page.TERM.path))
    return groups


def kind_label(kind: str, say: Texts) -> str:
    """What people call a kind of permit."""
    code = f"KIND_{kind.upper()}"
    return say(code) if code in say else kind


def _refused(guest: Guest, answers: Answers, refusal: Refusal) -> Response[Any]:
    """Why it could not be handed in, where that can be mended."""
    match refusal.code:
        case "CASE_STEP":
            # Handed in a moment ago: by a second click, or in another window.
            return guest.reader.go("/apply/case")
        case "CASE_MOVED" if _is_handed_in(guest):
            return guest.reader.go("/apply/case")
        case "CASE_MOVED" | "CASE_INCOMPLETE":
            return guest.reader.go(Page.SUMMARY.path, told="MOVED")
        case "CASE_FEE" | "KIND_UNKNOWN":
            answers.wrong("change-term", "APPLY_CASE_FEE")
        case "CASE_REFUSED" | "CASE_TWICE" | "PERMIT_TWICE":
            answers.errors.setdefault("confirm", reason_sentence(refusal, answers.say))
        case _ if isinstance(refusal, IssuerRefusal) and refusal.code.startswith(("REGISTER", "NO_")):
            raise refusal
        case _:
            answers.errors.setdefault("confirm", refusal.sentence(answers.say.language))
    return _page(guest, answers)


def _is_handed_in(guest: Guest) -> bool:
    with guest.application.reading() as session:
        return find(session, guest.tenant, guest.case.id).state is not CaseState.DRAFT


def _page(guest: Guest, answers: Answers) -> Response[Any]:
    say, facts = guest.reader.say, guest.case.facts
    with guest.application.reading() as session:
        rules = rules_of(session, guest)
        kind = kind_of(guest, rules)
        documents = evidence.kept_documents(session, guest.tenant, guest.case.id)
    missing = journey.first_open(facts, guest.person, kind)
    if missing is not Page.SUMMARY or kind is None:
        return guest.reader.go(missing.path)
    fees = fees_of(guest, rules, kind)
    # A draft may have lain for weeks: its first day is past, or the term is no longer offered.
    if facts.term_months not in fees or facts.first_day is None or facts.first_day < guest.today:
        return guest.reader.go(Page.TERM.path)
    checks = checks_of(guest)
    needs = needs_of_checks(proofs.settled([one.stored() for one in checks], facts), say)
    groups = groups_of(facts, guest.person, rules, kind_label(kind.id, say), say)
    labels = [text for _, text in labels_of(rules, documents, say.language)]
    labels[:0] = filter(None, [proofs.proof_text(facts.residence_proof, say)])
    if needs or labels:
        rows = [(say("APPLY_DOCUMENT_LABEL"), one) for one in labels]
        empty = [(say("APPLY_DOCUMENT_LABEL"), say("APPLY_DOCUMENTS_NONE"))]
        groups.append(Group(say("APPLY_DOCUMENTS_TITLE"), rows or empty, Page.DOCUMENTS.path))
    return ask(
        guest,
        Page.SUMMARY,
        answers,
        kind,
        groups=groups,
        fee=amount(fees[facts.term_months], say.language),
        refused=_refusals(checks, say),
        lacks_documents=bool(needs and not documents),
        second_person=kind.second_person,
        term=say("APPLY_MONTHS", months=facts.term_months),
    )


def _refusals(checks: Sequence[Check], say: Texts) -> list[str]:
    return [say(f"ELIGIBILITY_{one.reason}") for one in checks if one.outcome is CheckOutcome.REFUSED]


HANDLERS: Final = [summary, submit]
