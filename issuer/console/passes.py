"""Finding a pass, and looking at it with its history; each look is noted in the log of accesses.

Library cards and certificates of residence are not among them: `issuer.console.kept_apart`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.action_words import action_text
from issuer.application import Application
from issuer.audit import AuditEntry
from issuer.console import counter_pass, pass_wallet
from issuer.console.case_words import actor_label, staff_names
from issuer.console.desk import Desk, desk_of
from issuer.console.kept_apart import kept_apart
from issuer.console.moments import moment
from issuer.console.pass_steps import STEPS, offered
from issuer.errors import IssuerRefusal
from issuer.models import HolderRow, PassRow
from issuer.models_cases import CaseRow
from issuer.pass_view import show
from issuer.pickup import own_cases
from issuer.pickup.standing import HeldPass, Standing, held_pass, standing_at, standing_of
from issuer.register import subject
from issuer.residence.certificates import names_person
from issuer.search import LONGEST, PassQuery, passes_like
from issuer.staff.accesses import Kind
from issuer.staff.permissions import Role
from issuer.web.reader import AnyRequest
from keys.texts import Texts
from passes.display import day_text, shown_fields
from passes.errors import PassRefusal
from passes.model import PassStatus
from passes.pass_types import PassType
from passes.periods import berlin_day

MOST: Final = 25
_FEWEST_CHARACTERS: Final = 2
KINDS: Final = {Standing.VALID: "success", Standing.NOT_YET: "info"}
_CRUMB: Final = ("OFFICE_MENU_PASSES", "/office/passes")
_SENTENCES: Final = ("display_hint", "standing", "rules", "contact", "privacy")
_ADDRESS: Final = ("street", "house_number", "postal_code", "city", "email")


@get("/office/passes", sync_to_thread=True)
def find_passes(request: AnyRequest) -> Response[Any]:
    """Passes by name, number or plate: one field for all. A script asks for the rows alone while somebody types."""
    desk = desk_of(request)
    text = request.query_params.get("q", "")[:LONGEST].strip()
    rows: list[dict[str, Any]] = []
    more = False
    if len(text) >= _FEWEST_CHARACTERS:
        with desk.application.reading() as session:
            rows = _found(desk, session, text)
        rows, more = rows[:MOST], len(rows) > MOST
        # Whoever sees a name in a list has seen whose pass it is.
        desk.note_access(*(one["subject"] for one in rows), kind=Kind.LISTED)
    return desk.page(
        "passes_rows.html" if desk.reader.is_partial else "passes.html",
        text=text,
        asked=len(text) >= _FEWEST_CHARACTERS,
        rows=rows,
        more=more,
        most=MOST,
    )


@get("/office/passes/{type_id:str}/{number:str}", sync_to_thread=True)
def show_pass(request: AnyRequest, type_id: FromPath[str], number: FromPath[str]) -> Response[Any]:
    """One pass: what it says, whose it is, its revisions and its history."""
    desk = desk_of(request)
    application, say, language = desk.application, desk.reader.say, desk.reader.language
    done = request.query_params.get("done", "")
    try:
        pass_type = application.pass_types[type_id]
    except PassRefusal:
        return desk.problem(404, "NOT_FOUND")
    if type_id in kept_apart(application):
        return desk.problem(404, "NOT_FOUND")
    with application.reading() as session:
        try:
            view = show(session, application.tenant, pass_type, number)
        except IssuerRefusal:
            return desk.problem(404, "NOT_FOUND")
        row = session.get(PassRow, (application.tenant, type_id, number))
        holder = session.get(HolderRow, (application.tenant, row.holder_ref)) if row is not None else None
        city = application.settings(session).city(application.tenant)
        names = staff_names(session, application)
        cases = _cases_about(session, application, type_id, number)
        held = held_pass(session, application, type_id, number)
    desk.note_access(subject(type_id, number))
    fields = shown_fields(pass_type, view.content, city, language)
    hidden = {*_SENTENCES, *(("zone_code",) if "zone" in fields else ())}
    standing = standing_of(view.content, berlin_day(application.now()))
    return desk.under(_CRUMB).page(
        "pass.html",
        number=number,
        path=f"/office/passes/{type_id}/{number}",
        done=say(f"DESK_DONE_{done.upper()}") if done in (*STEPS, "reinstate") else "",
        steps=[(name, say(f"DESK_PASS_{name.upper()}")) for name in offered(view.content.status)],
        at_counter=_at_counter(held, say),
        is_running=view.content.status is PassStatus.ACTIVE,
        has_eudi=pass_wallet.is_offered(desk, type_id),
        may_reinstate=view.content.status is PassStatus.REVOKED and Role.SUPERVISOR in desk.staff.roles,
        is_revoked=view.content.status is PassStatus.REVOKED,
        cases=cases,
        type_name=pass_type.words(language).name,
        standing=say(f"PICKUP_STANDING_{standing.name}"),
        standing_kind=KINDS.get(standing, "danger"),
        fields=[(one.label, one.text) for key, one in fields.items() if key not in hidden],
        holder=_holder_facts(holder, say),
        revisions=[
            {
                "n": one.n,
                "issued": moment(one.issued_at, language),
                "until": moment(one.superseded_at, language) if one.superseded_at else "",
                "status": say(f"OFFICE_SEAL_{one.status.name}"),
            }
            for one in view.revisions
        ],
        history=pass_history(view.history, say, pass_type, names),
    )


def _found(desk: Desk, session: Session, text: str) -> list[dict[str, Any]]:
    application, language = desk.application, desk.reader.language
    query = (
        passes_like(session, application.tenant, PassQuery(text=text, by_name=True))
        .where(PassRow.type_id.not_in(sorted(kept_apart(application))))
        .order_by(None)
        .order_by(PassRow.type_id, PassRow.number)
        .limit(MOST + 1)
    )
    passes = session.scalars(query).all()
    holders = {
        one.ref: one
        for one in session.scalars(
            select(HolderRow).where(
                HolderRow.tenant == application.tenant,
                HolderRow.ref.in_(sorted({one.holder_ref for one in passes})),
            )
        )
    }
    today = berlin_day(application.now())
    found = []
    for one in passes:
        try:
            name = application.pass_types[one.type_id].words(language).name
        except PassRefusal:
            # The city has taken the type away; its passes are not shown any more.
            continue
        holder = holders.get(one.holder_ref)
        standing = standing_at(PassStatus(one.status), one.period_first, one.period_last, today)
        found.append(
            {
                "subject": subject(one.type_id, one.number),
                "path": f"/office/passes/{one.type_id}/{one.number}",
                "number": one.number,
                "type": name,
                "holder": _name(holder) if holder is not None else "",
                "until": day_text(one.period_last, language),
                "standing": desk.reader.say(f"PICKUP_STANDING_{standing.name}"),
                "kind": KINDS.get(standing, "danger"),
            }
        )
    return found


def _name(holder: HolderRow) -> str:
    parts = (holder.doctoral_degree, holder.given_name, holder.family_name)
    return " ".join(part for part in parts if part)


def _holder_facts(holder: HolderRow | None, say: Texts) -> list[tuple[str, str]]:
    if holder is None:
        return []
    facts = [(say("OFFICE_PASS_HOLDER"), _name(holder))]
    facts += [(say(f"PICKUP_HOLDER_{name.upper()}"), getattr(holder, name)) for name in _ADDRESS]
    return [(label, text) for label, text in facts if text]


def _at_counter(held: HeldPass | None, say: Texts) -> list[tuple[str, str]]:
    """What somebody who stands at the counter can have done with the permit: path and label."""
    if held is None or not own_cases.kind_of_pass(held):
        return []
    offers = [("plate", "DESK_PLATE_TITLE")] if counter_pass.changes_plates(held) else []
    offers += [("renew", "DESK_RENEW_TITLE")] if held.is_offered else []
    return [(path, say(code)) for path, code in offers]


def _cases_about(
    session: Session, application: Application, type_id: str, number: str
) -> list[tuple[str, str]]:
    """The cases that became this pass or changed it, newest first: number and path."""
    rows = session.execute(
        select(CaseRow.number, CaseRow.id)
        .where(
            CaseRow.tenant == application.tenant, CaseRow.type_id == type_id, CaseRow.pass_number == number
        )
        .order_by(CaseRow.created_at.desc(), CaseRow.id)
    )
    return [(one, f"/office/cases/{case_id}") for one, case_id in rows]


def pass_history(
    entries: Sequence[AuditEntry], say: Texts, pass_type: PassType, names: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The pass's entries in the audit trail, newest first, in words."""
    labels = pass_type.words(say.language).labels
    lines, is_certificate = [], names_person(pass_type)
    for entry in reversed(entries):
        before, after = entry.before or {}, entry.after or {}
        details = [
            say("PICKUP_CHANGED", label=labels[name], before=_words(before[name]), after=_words(after[name]))
            for name in after
            if name in labels and before.get(name) is not None
        ]
        if entry.reason:
            details.append(say("PICKUP_REASON", reason=entry.reason))
        lines.append(
            {
                "at": moment(entry.at, say.language),
                "by": actor_label(entry.actor, say, names),
                "text": action_text(say, entry.action, is_certificate=is_certificate)
                or say("PICKUP_ACTION_OTHER"),
                "details": details,
            }
        )
    return lines


def _words(value: object) -> str:
    return (
        ", ".join(map(str, value))
        if isinstance(value, Iterable) and not isinstance(value, str)
        else str(value)
    )


HANDLERS: Final = [find_passes, show_pass]
