"""A new card at the desk, in three steps: the number, the person, and what follows from the birth date.

Nothing is stored before the last step: what was said goes along in the form, and a birth date that decides nothing
never reaches the register.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from litestar import Response, get, post
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.euros import shown
from issuer.console.fields import note_refusal, require
from issuer.console.handing_out import fresh_link
from issuer.console.library.codes import code_page
from issuer.console.library.new_card_pages import (
    CARD,
    KINDS,
    LAST,
    PERSON,
    birth_date,
    card_page,
    categories,
    check_page,
    fees,
    person_page,
)
from issuer.console.library.search import by_any_number
from issuer.console.library.shared import (
    CONFLICT,
    PATH,
    WRONG,
    find_member,
    full_name,
    library_type,
    library_types,
    read_card,
)
from issuer.console.library.step_pages import RECEIPT_FAULTS
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.library import card_numbers
from issuer.library.before_issue import MemberNotInOrder, Unchecked, check_before_issue
from issuer.library.members import NewMember, enrol
from issuer.library.membership import consent_needed
from issuer.library.receipts import book_fee
from issuer.library.renewals import TERM_MONTHS
from issuer.library.sources import source_of
from issuer.lifecycle import Actor
from issuer.models import AuditEntryRow, AuditHeadRow, HolderRow, PassRow, RevisionRow
from issuer.pickup.links import Channel
from issuer.register import load_contents, subject
from issuer.web.forms import Form, FormData
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from passes.card_numbers import CardNumber
from passes.names import FieldKind, normalise
from passes.pass_types import PassType
from passes.periods import Period, berlin_day

_NEW: Final = PATH + "/new"
# No index leads from an account to what it did: so many of the newest entries of the trail are looked through.
_LOOKED_BACK: Final = 2000


@get(_NEW, sync_to_thread=True)
def ask_card(request: AnyRequest) -> Response[Any]:
    """Which number the new card has; ``guardian`` of the query is the member whose child it is for."""
    desk = desk_of(request)
    form = Form.of({}, *CARD)
    form.values["for_guardian"] = request.query_params.get("guardian", "")[:40]
    types = library_types(desk.application)
    if not types:
        return desk.problem(404, "NOT_FOUND")
    form.values["type_id"] = types[0].id
    with desk.application.reading() as session:
        newest = _newest(session, desk, types[0])
    form.values["symbology"] = str(newest.symbology or "") if newest is not None else ""
    return card_page(desk, form)


@post(_NEW + "/card", status_code=200, sync_to_thread=True)
def ask_person(request: AnyRequest, data: FormData) -> Response[Any]:
    """Whose card it is: asked once the number can be a new one."""
    desk, form = acting_desk_of(request, data), Form.of(data, *CARD, *PERSON)
    if not _check_card(desk, form):
        return card_page(desk, form, status=WRONG)
    notes = _from_system(desk, form)
    if notes is None:
        return card_page(desk, form, status=CONFLICT)
    if form.values["kind"] not in KINDS:
        form.values["kind"] = "person"
        form.values["language"] = "de"
        form.values["branch"] = _usual_branch(desk, form)
    return person_page(desk, form, notes=notes)


@post(_NEW + "/person", status_code=200, sync_to_thread=True)
def ask_to_check(request: AnyRequest, data: FormData) -> Response[Any]:
    """What follows: group, fee, period; under the age of consent also what a parent has to say."""
    desk, form = acting_desk_of(request, data), Form.of(data, *CARD, *PERSON)
    pass_type = _check_card(desk, form)
    if pass_type is None:
        return card_page(desk, form, status=WRONG)
    if _check_person(desk, form) is None:
        return person_page(desk, form, status=WRONG)
    form.values |= dict.fromkeys(LAST, "")
    with desk.application.reading() as session:
        _fill_guardian(session, desk, form, pass_type)
    return check_page(desk, form, pass_type)


@post(_NEW, status_code=200, sync_to_thread=True)
def issue_card(request: AnyRequest, data: FormData) -> Response[Any]:
    """Issue the card, and show the code for the phone at once."""
    desk, form = acting_desk_of(request, data), Form.of(data, *CARD, *PERSON, *LAST)
    application = desk.application
    pass_type = _check_card(desk, form)
    if pass_type is None:
        return card_page(desk, form, status=WRONG)
    asks = _check_person(desk, form)
    if asks is None:
        return person_page(desk, form, status=WRONG)
    card = read_card(application, form.values["card_number"], form.values["symbology"])
    receipt = form.values["receipt"]
    try:
        # Between the first page and this one somebody may have blocked the member there.
        check_before_issue(source_of(application), card.text)
        with application.writing() as session:
            new = _new_member(session, desk, form, pass_type, asks, card)
            if new is not None:
                actor = Actor(desk.staff.actor, application.now())
                seal_for = application.sealer(session, pass_type)
                content = enrol(session, application.tenant, pass_type, new, seal_for=seal_for, actor=actor)
                address = fresh_link(desk, session, pass_type.id, content.number, Channel.SCREEN)
                one = find_member(session, desk, pass_type.id, content.number)
                cents = fees(desk, session, pass_type, asks.born).get(new.category) or 0
                if receipt and not cents:
                    raise IssuerRefusal("OFFICE_LIB_RECEIPT_SURPLUS")
                if receipt:
                    # Not booked, not issued: both are one transaction.
                    last = content.period.last
                    book_fee(
                        session, application, pass_type.id, content.number, last, cents, receipt,
                        actor=desk.staff.actor,
                    )  # fmt: skip
    except Refusal as refusal:
        note_refusal(desk, form, _FIELD_OF.get(refusal.code, "category"), refusal)
        return check_page(desk, form, pass_type, status=CONFLICT)
    if new is None or one is None:
        return check_page(desk, form, pass_type, status=WRONG)
    desk.note_access(one.subject)
    fee = shown(cents, desk.reader.language) if cents and not receipt else ""
    return code_page(desk, one, address, issued=True, fee=fee)


# Where the last page says why the register does not take the card.
_FIELD_OF: Final = {
    "CONSENT_MISSING": "consent",
    "GUARDIAN_UNKNOWN": "guardian",
    "GUARDIAN_NOT_ADULT": "guardian",
    "GUARDIAN_ENDED": "guardian",
    "CONSENT_NAME": "consent_name",
    "MEMBER_OF_AGE": "guardian",
    **dict.fromkeys(RECEIPT_FAULTS, "receipt"),
}


@dataclass(frozen=True, slots=True)
class _Person:
    """Who was typed in; ``born`` is None for an institution."""

    given_name: str
    family_name: str
    born: date | None


def _check_card(desk: Desk, form: Form) -> PassType | None:
    """The type of a card that can be issued; None notes why not."""
    application, say = desk.application, desk.reader.say
    pass_type = library_type(application, form.values["type_id"])
    if pass_type is None:
        pass_type = next(iter(library_types(application)), None)
        if pass_type is None:
            form.errors["card_number"] = say("OFFICE_NOT_FOUND")
            return None
        form.values["type_id"] = pass_type.id
    if not form.values["card_number"]:
        form.errors["card_number"] = say("DESK_FIELD_MISSING")
        return None
    try:
        card = read_card(application, form.values["card_number"], form.values["symbology"])
        with application.reading() as session:
            card_numbers.check_unspent(session, application.tenant, pass_type.id, [card.text])
            taken = card_numbers.in_use(session, application.tenant, pass_type.id, [card.text])
        for owner in taken.values():
            raise RegisterRefusal("CARD_TAKEN", owner=owner)
    except Refusal as refusal:
        note_refusal(desk, form, "card_number", refusal)
        return None
    # The form goes on with what was delivered: start and stop characters say that the number was read whole.
    form.values["plain_number"] = card.text
    return pass_type


def _from_system(desk: Desk, form: Form) -> list[str] | None:
    """Take over what the library's system knows where no name was typed yet; what is to be said of it.

    None notes why the member cannot get a card.
    """
    language = desk.reader.language
    try:
        patron = check_before_issue(source_of(desk.application), form.values["plain_number"])
    except MemberNotInOrder as refusal:
        note_refusal(desk, form, "card_number", refusal)
        return None
    if isinstance(patron, Unchecked):
        return [patron.sentence(language)]
    if patron is None or not patron.name or form.values["family_name"]:
        return []
    # PAIA and SIP2 have one field for the name, often "Muster, Erika".
    family, comma, given = patron.name.partition(",")
    if not comma:
        given, _, family = patron.name.rpartition(" ")
    form.values["family_name"], form.values["given_name"] = family.strip()[:100], given.strip()[:100]
    return [desk.reader.say("OFFICE_LIB_FROM_SYSTEM")]


def _check_person(desk: Desk, form: Form) -> _Person | None:
    """Who the card is for; None notes what is wrong."""
    say, values = desk.reader.say, form.values
    if values["kind"] not in KINDS:
        values["kind"] = "person"
    is_person = values["kind"] == "person"
    require(desk, form, "family_name")
    if is_person and not values["given_name"] and not form.errors:
        form.errors["given_name"] = say("OFFICE_LIB_NAME_MISSING")
    born = birth_date(desk, form)
    if "birth_day" not in form.errors and is_person and born is None:
        form.errors["birth_day"] = say("OFFICE_LIB_BIRTH_MISSING")
    if not is_person and born is not None:
        form.errors["birth_day"] = say("OFFICE_LIB_BIRTH_SURPLUS")
    if values["email"] and "@" not in values["email"]:
        form.errors["email"] = say("DESK_MAIL_WRONG")
    if values["language"] not in ("de", "en"):
        values["language"] = "de"
    for name, kind in (
        ("given_name", FieldKind.NAME),
        ("family_name", FieldKind.NAME if is_person else FieldKind.ORGANISATION),
    ):
        if not values[name]:
            continue
        try:
            values[name] = normalise(values[name], kind)
        except Refusal as refusal:
            note_refusal(desk, form, name, refusal)
    if form.errors:
        return None
    return _Person(values["given_name"] if is_person else "", values["family_name"], born)


def _new_member(
    session: Session, desk: Desk, form: Form, pass_type: PassType, asks: _Person, card: CardNumber
) -> NewMember | None:
    """What is to be enrolled, as the form says; None notes what is missing."""
    say, values, rules = desk.reader.say, form.values, pass_type.spec.membership
    today = berlin_day(desk.application.now())
    if rules is None:
        return None
    if values["category"] not in categories(rules, asks.born, today):
        form.errors["category"] = say("DESK_REASON_MISSING")
    needs_consent = consent_needed(rules, values["category"], asks.born, today)
    if needs_consent and not values["consent"]:
        form.errors["consent"] = say("OFFICE_LIB_CONSENT_MISSING", age=rules.consent_under)
    if needs_consent and not values["consent_name"]:
        form.errors["consent_name"] = say("OFFICE_LIB_CONSENT_NAME_MISSING")
    guardian = ""
    if values["guardian"]:
        found = by_any_number(session, desk, pass_type, values["guardian"])
        guardian = found.number if found is not None else ""
        if not guardian:
            form.errors["guardian"] = say("OFFICE_LIB_GUARDIAN_UNKNOWN")
    if form.errors:
        return None
    return NewMember(
        family_name=asks.family_name,
        given_name=asks.given_name,
        birth_date=asks.born,
        category=values["category"],
        card=card,
        period=Period.of_months(today, TERM_MONTHS),
        branch=values["branch"],
        email=values["email"],
        language=values["language"],
        consent_name=values["consent_name"] if needs_consent else "",
        guardian_number=guardian,
    )


def _fill_guardian(session: Session, desk: Desk, form: Form, pass_type: PassType) -> None:
    """The parent from whose page somebody came: their card, and their name for the consent."""
    row = (
        by_any_number(session, desk, pass_type, form.values["for_guardian"])
        if form.values["for_guardian"]
        else None
    )
    holder = session.get(HolderRow, (row.tenant, row.holder_ref)) if row is not None else None
    if row is not None and holder is not None:
        form.values["guardian"] = row.card_key or row.number
        form.values["consent_name"] = full_name(holder)[:100]


def _newest(session: Session, desk: Desk, pass_type: PassType) -> CardNumber | None:
    """The card number given last, more or less: a library prints one card like the other.

    Of the numbers that members have, the last in order: no index leads to the newest.
    """
    attributes = _last_attributes(session, desk, pass_type)
    return next((one for one in attributes.values() if isinstance(one, CardNumber)), None)


def _last_attributes(session: Session, desk: Desk, pass_type: PassType) -> dict[str, Any]:
    tenant = desk.application.tenant
    last = session.scalar(
        select(PassRow.number)
        .where(PassRow.tenant == tenant, PassRow.type_id == pass_type.id)
        .order_by(PassRow.number.desc())
        .limit(1)
    )
    stored = session.scalar(
        select(RevisionRow.attributes).where(
            RevisionRow.tenant == tenant,
            RevisionRow.type_id == pass_type.id,
            RevisionRow.number == last,
            RevisionRow.superseded_at.is_(None),
        )
    )
    return dict(stored_attributes.decode(pass_type, stored)) if stored is not None else {}


def _usual_branch(desk: Desk, form: Form) -> str:
    """The branch of the card that this account has issued last today: there it sits. Empty without one."""
    application = desk.application
    pass_type = library_type(application, form.values["type_id"])
    if pass_type is None or "branch" not in pass_type.attributes:
        return ""
    prefix = subject(pass_type.id, "")
    with application.reading() as session:
        head = session.get(AuditHeadRow, application.tenant)
        last = session.execute(
            select(AuditEntryRow.subject, AuditEntryRow.at)
            .where(
                AuditEntryRow.tenant == application.tenant,
                AuditEntryRow.sequence > (head.sequence if head is not None else 0) - _LOOKED_BACK,
                AuditEntryRow.actor == desk.staff.actor,
                AuditEntryRow.action == "create",
                AuditEntryRow.subject.startswith(prefix, autoescape=True),
            )
            .order_by(AuditEntryRow.sequence.desc())
            .limit(1)
        ).first()
        if last is None or berlin_day(last.at) != berlin_day(application.now()):
            return ""
        number = last.subject.removeprefix(prefix)
        content = next(load_contents(session, application.tenant, pass_type, [number]), None)
    return str(content.attributes.get("branch", "")) if content is not None else ""


HANDLERS: Final = [ask_card, ask_person, ask_to_check, issue_card]
