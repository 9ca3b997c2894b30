"""What the desk does with a card: block, unblock, new number, a further year, consent, guardian, birth date, the end.

A card that was taken back by mistake holds again within the days of `issuer.reinstatement`, with a new seal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy.orm import Session

from issuer import lifecycle
from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.euros import cents_of
from issuer.console.fields import note_refusal
from issuer.console.library.new_card_pages import birth_date
from issuer.console.library.search import by_any_number
from issuer.console.library.shared import (
    CONFLICT,
    MEMBER,
    WRONG,
    Shown,
    find_member,
    read_card,
)
from issuer.console.library.step_pages import (
    FIELDS,
    REASONS,
    RECEIPT_FAULTS,
    STEPS,
    UNBLOCK,
    step_page,
    symbology_of,
)
from issuer.delivery import mail
from issuer.errors import IssuerRefusal
from issuer.library import birth_dates, families, members, renewals
from issuer.library.receipts import book_fee
from issuer.lifecycle import Actor
from issuer.models_library import BlockReason
from issuer.reinstatement import reinstate
from issuer.revocation import revoke_logged
from issuer.revocation_log import RevocationLog
from issuer.web.forms import Form, FormData
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from keys.texts import texts
from passes.card_numbers import CardNumber

# What the page after a step says once, without its standing in an address, where histories and logs keep it.
_FLASH: Final = "library-step"
_FLASH_SECONDS: Final = 120


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
    return step_page(desk, one, step, Form(dict.fromkeys(FIELDS, "") | {"symbology": symbology_of(one)}))


@post(MEMBER + "/steps/{step:str}", status_code=303, sync_to_thread=True)
def take_step(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], step: FromPath[str], data: FormData
) -> Response[Any]:
    """Take the step."""
    desk, form = acting_desk_of(request, data), Form.of(data, *FIELDS)
    with desk.application.reading() as session:
        one = find_member(session, desk, type_id, number)
    if one is None or step not in STEPS:
        return desk.problem(404, "NOT_FOUND")
    if "symbology" not in data:
        form.values["symbology"] = symbology_of(one)
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
        field = _FIELD_OF_CODE.get((step, refusal.code)) or _FIELD_OF.get(step, "reason")
        note_refusal(desk, form, field, refusal)
        desk.note_access(one.subject)
        return step_page(desk, one, step, form, status=CONFLICT)
    if form.errors:
        desk.note_access(one.subject)
        return step_page(desk, one, step, form, status=WRONG)
    if done is None:
        desk.note_access(one.subject)
        return step_page(desk, one, step, form, status=CONFLICT, is_stale=True)
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
    if reason not in UNBLOCK:
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
        log=RevocationLog(application.workspace.folder),
    )
    return Done("replaced")


def _renew(desk: Desk, session: Session, one: Shown, form: Form) -> Done | None:
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
    cents, receipt = renewed.fee_cents or 0, form.values["receipt"]
    if not receipt:
        return Done("renewed", str(cents or ""))
    if not cents:
        raise IssuerRefusal("OFFICE_LIB_RECEIPT_SURPLUS")
    # Not booked, not renewed: both are one transaction.
    book_fee(
        session, application, one.row.type_id, one.row.number, renewed.last, cents, receipt,
        actor=desk.staff.actor,
    )  # fmt: skip
    return Done("renewed-paid", str(cents))


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
    families.set_guardian(
        session, desk.application.tenant, one.pass_type, one.row.number, guardian.number, actor=_actor(desk)
    )
    return Done("guardian")


def _birth(desk: Desk, session: Session, one: Shown, form: Form) -> Done | None:
    say, application = desk.reader.say, desk.application
    born = birth_date(desk, form)
    if born is None and "birth_day" not in form.errors:
        form.errors["birth_day"] = say("DESK_FIELD_MISSING")
    if form.values["consent"] and not form.values["consent_name"]:
        form.errors["consent_name"] = say("OFFICE_LIB_CONSENT_NAME_MISSING")
    if form.values["consent_name"] and not form.values["consent"]:
        rules = one.pass_type.spec.membership
        age = rules.consent_under if rules is not None else 0
        form.errors["consent"] = say("OFFICE_LIB_CONSENT_MISSING", age=age)
    if born is None or form.errors:
        return None
    noted = birth_dates.set_birth_date(
        session,
        application.tenant,
        one.pass_type,
        one.row.number,
        born,
        seal_for=application.sealer(session, one.pass_type),
        actor=_actor(desk),
        consent_name=form.values["consent_name"],
    )
    return Done("birth" if noted.is_stored else "birth-unstored")


def _end_or_reissue(desk: Desk, session: Session, one: Shown, form: Form, step: str) -> Done | None:
    application, reason = desk.application, form.values["reason"]
    if reason not in REASONS[step]:
        form.errors["reason"] = desk.reader.say("DESK_REASON_MISSING")
        return None
    # In German whoever clicks: the trail is the city's, and its holder reads it too.
    by = _actor(desk, texts("issuer", "de")(f"OFFICE_LIB_{step.upper()}_{reason.upper()}"))
    tenant, pass_type, number = application.tenant, one.pass_type, one.row.number
    if step == "revoke":
        log = RevocationLog(application.workspace.folder)
        revoke_logged(session, tenant, log, pass_type.id, number, actor=by)
        return Done("revoked")
    seal_for = application.sealer(session, pass_type)
    if step == "reissue":
        lifecycle.reissue(session, tenant, pass_type, number, seal_for=seal_for, actor=by)
        mail.tell_holder(session, application, mail.PICKUP, pass_type.id, number, {})
        return Done("reissued")
    reinstate(session, tenant, pass_type, number, seal_for=seal_for, actor=by)
    # A print of before does not hold any more: only the holder can print it again.
    mail.tell_holder(session, application, mail.RESEALED, pass_type.id, number, {})
    return Done("reinstated")


_TAKE: Final[Mapping[str, Callable[[Desk, Session, Shown, Form], Done | None]]] = {
    "block": _block,
    "unblock": _unblock,
    "renew": _renew,
    "consent": _consent,
    "guardian": _guardian,
    "birth": _birth,
    **{step: partial(_end_or_reissue, step=step) for step in REASONS},
}
# Where the page says why the register does not take a step.
_FIELD_OF: Final = {
    "number": "card_number",
    "renew": "renew",
    "consent": "consent_name",
    "guardian": "guardian",
    "birth": "birth_day",
}
_FIELD_OF_CODE: Final = {
    ("birth", "CONSENT_MISSING"): "consent",
    ("birth", "CONSENT_NAME"): "consent_name",
    **{("renew", code): "receipt" for code in RECEIPT_FAULTS},
}


def _actor(desk: Desk, reason: str | None = None) -> Actor:
    return Actor(desk.staff.actor, desk.application.now(), reason)


HANDLERS: Final = [ask_step, take_step]
