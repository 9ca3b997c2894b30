"""A member's page: card, person, block, family, former numbers, history, and what the library's own system says."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.console.case_words import staff_names
from issuer.console.desk import Desk, desk_of
from issuer.console.euros import shown
from issuer.console.library.search import KINDS
from issuer.console.library.shared import (
    CRUMB,
    MEMBER,
    Shown,
    birthday,
    block_label,
    category_label,
    find_member,
    full_name,
    member_path,
)
from issuer.console.library.step_pages import offered, renewable_from
from issuer.console.library.steps import told_of
from issuer.console.moments import moment
from issuer.console.pass_wallet import is_offered
from issuer.console.passes import pass_history
from issuer.letters import has_address
from issuer.library.families import family_of
from issuer.library.member_rows import was_cleared
from issuer.library.membership import consent_missing, is_of_age
from issuer.library.sources import Patron, PatronUnknown, SourceMisbehaves, SourceUnavailable, ask, source_of
from issuer.models import HolderRow, PassRow
from issuer.models_library import BlockReason
from issuer.pickup.standing import Standing, standing_at
from issuer.register import subject
from issuer.staff.accesses import Kind
from issuer.web.reader import AnyRequest
from keys.texts import Texts
from passes.display import day_text, shown_fields
from passes.model import PassStatus
from passes.periods import berlin_day

_SENTENCES: Final = ("display_hint", "rules", "contact", "privacy", "reminder")
# What a step before has done, and the sentence that says so.
_DONE: Final = (
    "blocked", "unblocked", "replaced", "renewed", "renewed-paid", "consent", "guardian", "birth", "birth-unstored",
    "reissued", "revoked", "reinstated",
)  # fmt: skip
_MOST_CENTS: Final = 9


@get(MEMBER, sync_to_thread=True)
def show_member(request: AnyRequest, type_id: FromPath[str], number: FromPath[str]) -> Response[Any]:
    """One member with everything the desk needs."""
    desk = desk_of(request)
    application, say, language = desk.application, desk.reader.say, desk.reader.language
    with application.reading() as session:
        one = find_member(session, desk, type_id, number)
        if one is None:
            return desk.problem(404, "NOT_FOUND")
        city = application.settings(session).city(application.tenant)
        names = staff_names(session, application)
        history = audit.history(session, application.tenant, one.subject)
        family = family_lines(session, desk, one)
    desk.note_access(one.subject)
    # Whoever sees a name in a list has seen whose card it is.
    desk.note_access(*(line["subject"] for line in family), kind=Kind.LISTED)
    fields = shown_fields(one.pass_type, one.content, city, language)
    blocked = one.standing is Standing.SUSPENDED
    today = berlin_day(application.now())
    opens = renewable_from(one, today)
    return desk.under(CRUMB).page(
        "library_member.html",
        one=one,
        path=one.path,
        title=one.row.card_key or one.row.number,
        type_name=one.pass_type.words(language).name,
        done=_done(request, told_of(desk, one), say, language),
        undo=_undo(request, told_of(desk, one), one),
        is_old="old" in request.query_params and bool(one.replaced),
        standing=say(f"PICKUP_STANDING_{one.standing.name}"),
        standing_kind=KINDS.get(one.standing, "danger"),
        block=_block(one, say, language) if blocked else None,
        consent_missing=consent_missing(
            one.pass_type, one.category, one.member, berlin_day(application.now())
        ),
        fields=[(field.label, field.text) for key, field in fields.items() if key not in _SENTENCES],
        about=_person(desk, one),
        number_gone=one.has_replaced_number,
        replaced=[(old.card_key, moment(old.replaced_at, language)) for old in one.replaced],
        family=family,
        may_have_children=not _is_minor(desk, one) and not _is_institution(one),
        is_institution=_is_institution(one),
        has_children=any(not line["is_guardian"] for line in family),
        birth_label=_birth_label(say, one),
        has_system=source_of(application) is not None,
        checked=_checked(one, language),
        steps=[(name, say(f"OFFICE_LIB_{name.upper()}")) for name in offered(one, today)],
        renew_from=say("OFFICE_LIB_RENEW_FROM", day=day_text(opens, language)) if opens else "",
        is_running=one.content.status is PassStatus.ACTIVE and not one.has_replaced_number,
        has_eudi=is_offered(desk, type_id),
        has_address=has_address(one.holder),
        history=pass_history(history, say, one.pass_type, names),
    )


@get(MEMBER + "/system", sync_to_thread=True)
def show_system(request: AnyRequest, type_id: FromPath[str], number: FromPath[str]) -> Response[Any]:
    """What the library's own system says of the card now. A script asks for the answer alone."""
    desk = desk_of(request)
    say, language = desk.reader.say, desk.reader.language
    with desk.application.reading() as session:
        one = find_member(session, desk, type_id, number)
    if one is None:
        return desk.problem(404, "NOT_FOUND")
    desk.note_access(one.subject)
    fault, facts = "", []
    try:
        patron = ask_about(desk, one.row.card_key or "")
        facts = patron_facts(patron, say, language) if patron is not None else []
        fault = "" if patron is not None else say("OFFICE_LIB_SYSTEM_NONE")
    except PatronUnknown:
        fault = say("OFFICE_LIB_SYSTEM_UNKNOWN")
    except (SourceUnavailable, SourceMisbehaves) as refusal:
        fault = refusal.sentence(language)
    return desk.under(*one.crumbs).page(
        "library_system_part.html" if desk.reader.is_partial else "library_system.html",
        path=one.path,
        facts=facts,
        fault=fault,
    )


def ask_about(desk: Desk, card: str) -> Patron | None:
    """What the library's system says of the card number; None where none is connected.

    Raises PatronUnknown, SourceUnavailable, SourceMisbehaves.
    """
    source = source_of(desk.application)
    return ask(source, card) if source is not None else None


def patron_facts(patron: Patron, say: Texts, language: str) -> list[tuple[str, str]]:
    """What the library's system says, as labels and texts."""
    facts = [(say("OFFICE_LIB_SYSTEM_STANDING"), say(f"OFFICE_LIB_SYSTEM_{patron.standing.name}"))]
    if patron.name:
        facts.append((say("OFFICE_NAME"), patron.name))
    if patron.expires is not None:
        facts.append((say("OFFICE_LIB_SYSTEM_EXPIRES"), day_text(patron.expires, language)))
    if patron.open_fees_cents is not None:
        facts.append((say("OFFICE_LIB_SYSTEM_FEES"), shown(patron.open_fees_cents, language)))
    if patron.message:
        facts.append((say("OFFICE_LIB_SYSTEM_MESSAGE"), patron.message))
    return facts


def family_lines(session: Session, desk: Desk, one: Shown) -> list[dict[str, Any]]:
    """The other cards of the member's family: who looks after it, or whom it looks after."""
    tenant, type_id, number = desk.application.tenant, one.row.type_id, one.row.number
    guardian = one.member.guardian_number if one.member is not None else None
    today = berlin_day(desk.application.now())
    family = family_of(session, tenant, one.pass_type, number, today)
    others = [card.number for card in family if card.number != number]
    if guardian and guardian not in others:
        others.insert(0, guardian)
    rows = session.execute(
        select(PassRow, HolderRow)
        .join(HolderRow, (HolderRow.tenant == PassRow.tenant) & (HolderRow.ref == PassRow.holder_ref))
        .where(PassRow.tenant == tenant, PassRow.type_id == type_id, PassRow.number.in_(others))
        .order_by(PassRow.number)
    )
    return [
        {
            "subject": subject(type_id, row.number),
            "path": member_path(type_id, row.number),
            "name": full_name(holder),
            "number": row.number,
            "card": row.card_key or row.number,
            "is_guardian": row.number == guardian,
            "standing": desk.reader.say(f"PICKUP_STANDING_{_standing_in(row, today).name}"),
            "kind": KINDS.get(_standing_in(row, today), "danger"),
        }
        for row, holder in rows
    ]


def _standing_in(row: PassRow, today: date) -> Standing:
    """How the card of ``row`` stands on the day ``today``."""
    return standing_at(PassStatus(row.status), row.period_first, row.period_last, today)


def _block(one: Shown, say: Texts, language: str) -> dict[str, str]:
    member = one.member
    at = member.blocked_at if member is not None else None
    fees = member.open_fees_cents if member is not None else None
    return {
        "title": say("OFFICE_LIB_BLOCKED", reason=block_label(say, member)),
        "since": say("OFFICE_LIB_BLOCKED_SINCE", at=moment(at, language)) if at is not None else "",
        "fees": say("OFFICE_LIB_BLOCKED_FEES", amount=shown(fees, language)) if fees else "",
    }


def _person(desk: Desk, one: Shown) -> list[tuple[str, str]]:
    say, language, member = desk.reader.say, desk.reader.language, one.member
    today = berlin_day(desk.application.now())
    facts = [
        (say("OFFICE_LIB_MEMBER_NUMBER"), one.row.number),
        (say("OFFICE_PASS_HOLDER"), full_name(one.holder)),
        (say("PICKUP_HOLDER_EMAIL"), one.holder.email),
        (say("OFFICE_LIB_GROUP"), category_label(one.pass_type, one.category, language)),
    ]
    if member is not None and member.birth_date is not None:
        facts.append((say("OFFICE_LIB_BIRTH"), day_text(member.birth_date, language)))
        rules = one.pass_type.spec.membership
        starts = birthday(member.birth_date, rules.free_until) if rules is not None else today
        if starts > today:
            text = say("OFFICE_LIB_WAITING_FEE_FROM", day=day_text(starts, language))
            facts.append((say("OFFICE_LIB_FEE"), text))
    if member is not None and member.consent_at is not None:
        day = day_text(berlin_day(member.consent_at), language)
        name = member.consent_name or ""
        code = "OFFICE_LIB_CONSENT_GIVEN" if name else "OFFICE_LIB_CONSENT_GIVEN_UNNAMED"
        facts.append((say("OFFICE_LIB_CONSENT_LABEL"), say(code, name=name, day=day)))
    return [(label, text) for label, text in facts if text]


def _birth_label(say: Texts, one: Shown) -> str:
    """What leads to the page of the birth date; empty for an institution, which has none."""
    if _is_institution(one):
        return ""
    member = one.member
    is_known = (member is not None and member.birth_date is not None) or was_cleared(one.row, member)
    return say("OFFICE_LIB_BIRTH_CORRECT" if is_known else "OFFICE_LIB_BIRTH_ENTER")


def _is_minor(desk: Desk, one: Shown) -> bool:
    """Whether the member is too young to look after another."""
    born = one.member.birth_date if one.member is not None else None
    rules, today = one.pass_type.spec.membership, berlin_day(desk.application.now())
    return rules is not None and is_of_age(rules, one.category, born, today) is False


def _is_institution(one: Shown) -> bool:
    """Whether the card is that of an institution, which has no birth date and no family."""
    rules = one.pass_type.spec.membership
    category = rules.category(one.category) if rules is not None else None
    return category is not None and category.birth_date == "none"


def _checked(one: Shown, language: str) -> str:
    at = one.member.checked_at if one.member is not None else None
    return moment(at, language) if at is not None else ""


def _done(request: AnyRequest, cents: str, say: Texts, language: str) -> str:
    done = request.query_params.get("done", "")
    if done not in _DONE:
        return ""
    if (
        done == "renewed"
        and cents.isascii()
        and cents.isdecimal()
        and 0 < len(cents) < _MOST_CENTS
        and int(cents)
    ):
        return say("OFFICE_LIB_DONE_RENEWED_FEE", fee=shown(int(cents), language))
    return say(f"OFFICE_LIB_DONE_{done.upper().replace('-', '_')}")


def _undo(request: AnyRequest, was: str, one: Shown) -> dict[str, str] | None:
    """What takes the step just done back: where its form goes, and what it says; None where nothing can."""
    done = request.query_params.get("done", "")
    if done == "blocked" and one.content.status is PassStatus.SUSPENDED:
        if was in set(BlockReason):
            # It was held back before, and the reason of then is what comes back.
            return {"action": one.path + "/steps/block", "reason": was}
        return {"action": one.path + "/steps/unblock", "reason": "mistake"}
    if done == "unblocked" and one.content.status is PassStatus.ACTIVE and was in set(BlockReason):
        return {"action": one.path + "/steps/block", "reason": was}
    if done == "revoked" and one.content.status is PassStatus.REVOKED:
        return {"action": one.path + "/steps/reinstate", "reason": "mistake"}
    return None


HANDLERS: Final = [show_member, show_system]
