"""What the desk does with a card: block, unblock, new number, a further year, consent, guardian; code, print."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy.orm import Session

from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.euros import cents_of, shown
from issuer.console.fields import note_refusal, options
from issuer.console.handing_out import fresh_link, picture_of, printed
from issuer.console.library.search import by_any_number
from issuer.console.library.shared import (
    CONFLICT,
    MEMBER,
    WRONG,
    Shown,
    category_label,
    find_member,
    full_name,
    read_card,
    symbology_labels,
)
from issuer.errors import IssuerRefusal
from issuer.library import members, renewals
from issuer.library.membership import consent_missing
from issuer.lifecycle import Actor
from issuer.models_library import BlockReason
from issuer.pickup.links import SCREEN_LIFETIME, Channel
from issuer.web.forms import Form, FormData
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from keys.texts import texts
from passes.card_numbers import CardNumber
from passes.display import day_text
from passes.model import PassStatus
from passes.periods import berlin_day

_BLOCK: Final = tuple(one.value for one in BlockReason if one is not BlockReason.OTHER)
_UNBLOCK: Final = ("found", "paid", "other", "mistake")
# The steps that a page asks about, by the states of a card in which they are offered.
STEPS: Final = {
    # One that is held back already can have been lost since.
    "block": (PassStatus.ACTIVE, PassStatus.SUSPENDED),
    "unblock": (PassStatus.SUSPENDED,),
    # Who has lost a card gets another number, and that block ends with the old one; any other stays.
    "number": (PassStatus.ACTIVE, PassStatus.SUSPENDED),
    "renew": (PassStatus.ACTIVE, PassStatus.EXPIRED),
    "consent": tuple(PassStatus),
    "guardian": tuple(PassStatus),
}
# The member's page offers these where they are needed, not among the others.
_ELSEWHERE: Final = ("consent", "guardian")
_FIELDS: Final = (
    "reason", "fees", "card_number", "symbology", "consent", "consent_name", "guardian", "version",
)  # fmt: skip
# What the page after a step says once, without its standing in an address, where histories and logs keep it.
_FLASH: Final = "library-step"
_FLASH_SECONDS: Final = 120


def renewable_from(one: Shown, today: date) -> date | None:
    """The day from which a card that is not blocked can be renewed; None where that is today or before."""
    opens = renewals.opens_on(one.row)
    return opens if today < opens and one.content.status in STEPS["renew"] else None


def offered(one: Shown, today: date) -> list[str]:
    """The steps that the card allows as it is on the day ``today``."""
    names = [name for name, states in STEPS.items() if one.content.status in states]
    has_reason = one.member is not None and one.member.block_reason is not None
    # What was suspended otherwise than by the library is not the desk's to change.
    is_foreign = one.content.status is PassStatus.SUSPENDED and not has_reason
    hidden = {
        *_ELSEWHERE,
        *(["number"] if is_foreign else []),
        *(["renew"] if renewable_from(one, today) else []),
    }
    return [name for name in names if name not in hidden]


@get(MEMBER + "/steps/{step:str}", sync_to_thread=True)
def ask_step(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], step: FromPath[str]
) -> Response[Any]:
    """What the step does, and what it needs to know."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        one = find_member(session, desk, type_id, number)
    if one is None or step not in STEPS:
        return desk.problem(404, "NOT_FOUND")
    desk.note_access(one.subject)
    return _step_page(desk, one, step, Form(dict.fromkeys(_FIELDS, "") | {"symbology": _symbology(one)}))


@post(MEMBER + "/steps/{step:str}", status_code=303, sync_to_thread=True)
def take_step(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], step: FromPath[str], data: FormData
) -> Response[Any]:
    """Take the step."""
    desk, form = acting_desk_of(request, data), Form.of(data, *_FIELDS)
    with desk.application.reading() as session:
        one = find_member(session, desk, type_id, number)
    if one is None or step not in STEPS:
        return desk.problem(404, "NOT_FOUND")
    if "symbology" not in data:
        form.values["symbology"] = _symbology(one)
    done: Done | None = None
    try:
        new = _new_card(desk, one, form) if step == "number" else None
        with desk.application.writing() as session:
            now = find_member(session, desk, type_id, number)
            if now is not None and now.version == form.values["version"]:
                done = (
                    _number(desk, session, now, new)
                    if step == "number"
                    else _TAKE[step](desk, session, now, form)
                )
            elif now is not None:
                one = now
                form.values["version"] = ""
    except Refusal as refusal:
        note_refusal(desk, form, _FIELD_OF.get(step, "reason"), refusal)
        desk.note_access(one.subject)
        return _step_page(desk, one, step, form, status=CONFLICT)
    if form.errors:
        desk.note_access(one.subject)
        return _step_page(desk, one, step, form, status=WRONG)
    if done is None:
        desk.note_access(one.subject)
        return _step_page(desk, one, step, form, status=CONFLICT, is_stale=True)
    answer = desk.go(one.path, done=done.what)
    told = f"{_mark(one.path)}.{done.told}" if done.told else None
    return desk.reader.with_cookie(answer, _FLASH, told, max_age=_FLASH_SECONDS, strict=True)


@dataclass(frozen=True, slots=True)
class Done:
    """A step that was taken; ``told`` is what the next page needs besides: a fee in cents, or the block's reason."""

    what: str
    told: str = ""


def told_of(desk: Desk, one: Shown) -> str:
    """What the step just taken with this member's card has left for the page; empty if nothing."""
    mark, _, told = (desk.reader.cookie(_FLASH) or "")[:100].partition(".")
    return told if mark == _mark(one.path) else ""


def _mark(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()[:16]


@post(MEMBER + "/link", status_code=200, sync_to_thread=True)
def show_code(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], data: FormData
) -> Response[Any]:
    """The code for the member's phone, shown this once."""
    desk = acting_desk_of(request, data)
    with desk.application.writing() as session:
        one = find_member(session, desk, type_id, number)
        if one is None:
            return desk.problem(404, "NOT_FOUND")
        if one.content.status is not PassStatus.ACTIVE:
            return desk.problem(CONFLICT, "PASS_NOT_RUNNING")
        age = _consent_missing(desk, one)
        if age:
            return desk.problem(CONFLICT, "CONSENT_NEEDED", age=age)
        address = fresh_link(desk, session, type_id, number, Channel.SCREEN)
    desk.note_access(one.subject)
    return code_page(desk, one, address)


def code_page(
    desk: Desk,
    one: Shown,
    address: str,
    *,
    issued: bool = False,
    fee: str = "",
    family: str = "",
    left_out: str = "",
) -> Response[Any]:
    """The page with the code for a phone, and the print.

    ``issued``: the card is new, and ``fee`` is to be taken for it. ``family`` names whose cards the code opens,
    ``left_out`` who of the family has none to fetch.
    """
    return desk.under(*one.crumbs).page(
        "library_code.html",
        one=one,
        path=one.path,
        card=one.row.card_key or one.row.number,
        name=full_name(one.holder),
        link=address,
        picture=picture_of(address),
        minutes=int(SCREEN_LIFETIME.total_seconds() // 60),
        issued=issued,
        fee=fee,
        family=family,
        left_out=left_out,
    )


@get(MEMBER + "/print.pdf", sync_to_thread=True)
def print_card(request: AnyRequest, type_id: FromPath[str], number: FromPath[str]) -> Response[Any]:
    """The print of the card."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        one = find_member(session, desk, type_id, number)
    if one is None:
        return desk.problem(404, "NOT_FOUND")
    if one.content.status is not PassStatus.ACTIVE:
        return desk.problem(CONFLICT, "PASS_NOT_RUNNING")
    age = _consent_missing(desk, one)
    if age:
        return desk.problem(CONFLICT, "CONSENT_NEEDED", age=age)
    return desk.reader.file(printed(desk, type_id, number), "application/pdf", f"{number}.pdf")


def _consent_missing(desk: Desk, one: Shown) -> int:
    return consent_missing(one.pass_type, one.category, one.member, berlin_day(desk.application.now()))


def _block(desk: Desk, session: Session, one: Shown, form: Form) -> Done | None:
    say, reason = desk.reader.say, form.values["reason"]
    before = one.member.block_reason if one.member is not None else None
    if reason not in set(BlockReason):
        form.errors["reason"] = say("DESK_REASON_MISSING")
    cents = None
    if form.values["fees"]:
        if reason != BlockReason.FEES:
            form.errors["fees"] = say("OFFICE_LIB_BLOCK_FEES_SURPLUS")
        try:
            cents = cents_of(form.values["fees"])
        except IssuerRefusal as refusal:
            note_refusal(desk, form, "fees", refusal)
    if not form.errors:
        members.block(
            session,
            desk.application.tenant,
            one.pass_type,
            one.row.number,
            BlockReason(reason),
            actor=_actor(desk),
            open_fees_cents=cents,
        )
    return Done("blocked", str(before or ""))


def _unblock(desk: Desk, session: Session, one: Shown, form: Form) -> Done | None:
    reason = form.values["reason"]
    if reason not in _UNBLOCK:
        form.errors["reason"] = desk.reader.say("DESK_REASON_MISSING")
        return None
    was = one.member.block_reason if one.member is not None else None
    members.unblock(
        session,
        desk.application.tenant,
        one.pass_type,
        one.row.number,
        actor=_actor(desk),
        open_fees_cents=0 if reason == "paid" else None,
    )
    # Only a step that was no mistake itself can have been one.
    return Done("unblocked", str(was) if was and reason != "mistake" else "")


def _new_card(desk: Desk, one: Shown, form: Form) -> CardNumber | None:
    """The number that was typed: read before the step's transaction, since it opens one of its own."""
    if not form.values["card_number"]:
        form.errors["card_number"] = desk.reader.say("DESK_FIELD_MISSING")
        return None
    # Numbered as before, unless the library names its schemes; the check digit must hold as for any new number.
    scheme = one.card.scheme if one.card is not None else None
    return read_card(desk.application, form.values["card_number"], form.values["symbology"], scheme or "")


def _number(desk: Desk, session: Session, one: Shown, new: CardNumber | None) -> Done | None:
    if new is None:
        return None
    application = desk.application
    members.replace_card(
        session,
        application.tenant,
        one.pass_type,
        one.row.number,
        new,
        seal_for=application.sealer(session, one.pass_type),
        actor=_actor(desk),
    )
    return Done("replaced")


def _symbology(one: Shown) -> str:
    """The kind of barcode that the card has now; empty for none in particular."""
    return str(one.card.symbology or "") if one.card is not None else ""


def _renew(desk: Desk, session: Session, one: Shown, _: Form) -> Done | None:
    application = desk.application
    said = texts("issuer", "de")("OFFICE_LIB_RENEW_REASON")
    renewed = renewals.renew_membership(
        session,
        application.tenant,
        one.pass_type,
        one.row.number,
        seal_for=application.sealer(session, one.pass_type),
        actor=_actor(desk, said),
    )
    return Done("renewed", str(renewed.fee_cents or ""))


def _consent(desk: Desk, session: Session, one: Shown, form: Form) -> Done | None:
    say, rules = desk.reader.say, one.pass_type.spec.membership
    if not form.values["consent"]:
        age = rules.consent_under if rules is not None else 0
        form.errors["consent"] = say("OFFICE_LIB_CONSENT_MISSING", age=age)
    if not form.values["consent_name"]:
        form.errors["consent_name"] = say("OFFICE_LIB_CONSENT_NAME_MISSING")
    if not form.errors:
        members.give_consent(
            session,
            desk.application.tenant,
            one.pass_type,
            one.row.number,
            form.values["consent_name"],
            actor=_actor(desk),
        )
    return Done("consent")


def _guardian(desk: Desk, session: Session, one: Shown, form: Form) -> Done | None:
    guardian = by_any_number(session, desk, one.pass_type, form.values["guardian"])
    if guardian is None:
        form.errors["guardian"] = desk.reader.say("OFFICE_LIB_GUARDIAN_UNKNOWN")
        return None
    members.set_guardian(
        session, desk.application.tenant, one.pass_type, one.row.number, guardian.number, actor=_actor(desk)
    )
    return Done("guardian")


_TAKE: Final = {
    "block": _block,
    "unblock": _unblock,
    "renew": _renew,
    "consent": _consent,
    "guardian": _guardian,
}
# Where the page says why the register does not take a step.
_FIELD_OF: Final = {
    "number": "card_number",
    "renew": "renew",
    "consent": "consent_name",
    "guardian": "guardian",
}


def _actor(desk: Desk, reason: str | None = None) -> Actor:
    return Actor(desk.staff.actor, desk.application.now(), reason)


def _step_page(
    desk: Desk, one: Shown, step: str, form: Form, *, status: int = 200, is_stale: bool = False
) -> Response[Any]:
    say = desk.reader.say
    values: dict[str, Any] = {}
    match step:
        case "block":
            was = one.member.block_reason if one.member is not None else None
            others = (name for name in _BLOCK if name != was)
            reasons = {name: say(f"OFFICE_LIB_REASON_{name.upper()}") for name in others}
            values = {
                "effects": [say(f"OFFICE_LIB_BLOCK_EFFECT_{n}") for n in (1, 2, 3)],
                "reasons": options(reasons, form.values["reason"]),
            }
        case "unblock":
            reasons = {name: say(f"OFFICE_LIB_UNBLOCK_{name.upper()}") for name in _UNBLOCK}
            values = {
                "effects": [say(f"OFFICE_LIB_UNBLOCK_EFFECT_{n}") for n in (1, 2)],
                "reasons": options(reasons, form.values["reason"]),
            }
        case "number":
            values = {
                "refused": _in_the_way(desk, one),
                "symbologies": options(symbology_labels(say), form.values["symbology"]),
            }
        case "renew":
            values = _offer(desk, one)
        case "consent":
            rules = one.pass_type.spec.membership
            values = {"age": rules.consent_under if rules is not None else 0}
    return desk.under(*one.crumbs).page(
        f"library_{step}.html",
        status=status,
        one=one,
        path=one.path,
        action=f"{one.path}/steps/{step}",
        name=full_name(one.holder),
        card=one.row.card_key or one.row.number,
        form=form,
        # With a fault the page keeps the version that its reader has seen.
        version=form.values["version"] or one.version,
        stale=say("OFFICE_LIB_STEP_STALE") if is_stale else "",
        **values,
    )


def _in_the_way(desk: Desk, one: Shown) -> str:
    """What has to be done before the card can get another number, in the order that works; empty for nothing."""
    application, say = desk.application, desk.reader.say
    blocked = one.content.status is PassStatus.SUSPENDED
    by_library = one.member is not None and one.member.block_reason is not None
    ended = one.row.period_last < berlin_day(application.now())
    is_over = one.content.status not in (*STEPS["number"], *STEPS["renew"])
    if is_over or (not ended and (by_library or not blocked)):
        return ""
    code = "ENDED_BLOCKED" if ended and blocked else "ENDED" if ended else "BLOCKED"
    return say(
        f"OFFICE_LIB_NUMBER_{code}",
        **_buttons(desk),
        last=day_text(one.row.period_last, desk.reader.language),
    )


def _buttons(desk: Desk) -> dict[str, str]:
    """What the buttons of the member's page say, for sentences that name them."""
    return {name: desk.reader.say(f"OFFICE_LIB_{name.upper()}") for name in ("unblock", "renew", "number")}


def _offer(desk: Desk, one: Shown) -> dict[str, Any]:
    application, say, language = desk.application, desk.reader.say, desk.reader.language
    today = berlin_day(application.now())
    if one.content.status is PassStatus.SUSPENDED:
        return {"refused": say("OFFICE_LIB_RENEW_BLOCKED", **_buttons(desk))}
    with application.reading() as session:
        try:
            offer = renewals.offer(session, application.tenant, one.pass_type, one.row.number, today)
        except Refusal as refusal:
            return {"refused": refusal.sentence(language)}
    changed = ""
    if offer.category != one.category:
        changed = say(
            "OFFICE_LIB_RENEW_CATEGORY",
            before=category_label(one.pass_type, one.category, language),
            after=category_label(one.pass_type, offer.category, language),
        )
    return {
        "refused": "",
        "until": day_text(one.row.period_last, language),
        "then": day_text(offer.last, language),
        "fee": fee_text(desk, offer.fee_cents),
        "changed": changed,
    }


def fee_text(desk: Desk, cents: int | None) -> str:
    """A fee in words; None is one that the city has not said."""
    if cents is None:
        return desk.reader.say("OFFICE_LIB_FEE_UNKNOWN")
    return shown(cents, desk.reader.language) if cents else desk.reader.say("OFFICE_LIB_FREE")


HANDLERS: Final = [ask_step, take_step, show_code, print_card]
