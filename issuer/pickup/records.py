"""What is stored, for its holder to see and to keep; and the end of a visit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import msgspec
from litestar import Response, get, post

from issuer.action_words import action_text
from issuer.payments.pages import euros
from issuer.pickup.guests import Guest, acting_guest_of, guest_of, with_visit
from issuer.pickup.stored_data import Record, case_deleted_on, stored_data
from issuer.pickup.visits import ACTOR, end_visit, note
from issuer.residence.certificates import names_person
from issuer.web.forms import FormData
from issuer.web.reader import AnyRequest, reader_of
from keys.texts import Texts
from passes.display import day_text
from passes.pass_types import PassType
from passes.periods import BERLIN

# The holder's columns in the order of a letter; the search keys are told in the file.
_HOLDER: Final = (
    "ref",
    "doctoral_degree",
    "given_name",
    "family_name",
    "street",
    "house_number",
    "postal_code",
    "city",
    "email",
    "language",
)


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened: when (Europe/Berlin, in words), what, and what it changed."""

    at: str
    text: str
    by_holder: bool
    details: tuple[str, ...] = ()


@get("/p/pass/data", sync_to_thread=True)
def show_data(request: AnyRequest) -> Response[Any]:
    """Everything stored about the holder and the pass, in plain words."""
    guest = guest_of(request)
    return guest.page("data.html", **_in_words(guest, _found(guest)))


@get("/p/pass/data.html", sync_to_thread=True)
def save_page(request: AnyRequest) -> Response[Any]:
    """The same in words, as a file that needs nothing else to be read."""
    guest = guest_of(request)
    found = _found(guest)
    with guest.application.writing() as session:
        note(session, guest.application, guest.visit.key, "fetch", carrier="data")
    made = guest.page("data_file.html", **_in_words(guest, found))
    return guest.reader.file(
        str(made.content).encode(), "text/html; charset=utf-8", f"{guest.visit.number}.html"
    )


@get("/p/pass/data.json", sync_to_thread=True)
def save_data(request: AnyRequest) -> Response[Any]:
    """The same and every detail, as a file for machines (Art. 20 GDPR)."""
    guest = guest_of(request)
    found = _found(guest)
    with guest.application.writing() as session:
        note(session, guest.application, guest.visit.key, "fetch", carrier="data")
    data = msgspec.json.format(msgspec.json.encode(found), indent=2)
    return guest.reader.file(data, "application/json", f"{guest.visit.number}.json")


@post("/p/pass/end", status_code=303, sync_to_thread=True)
def end(request: AnyRequest, data: FormData) -> Response[Any]:
    """End the visit."""
    guest = acting_guest_of(request, data)
    with guest.application.writing() as session:
        end_visit(session, guest.application, guest.visit)
    return with_visit(guest.reader, guest.reader.go("/p/ended"), None)


@get("/p/ended", sync_to_thread=True)
def ended(request: AnyRequest) -> Response[Any]:
    """Where a visit leads when its holder has ended it."""
    _, reader = reader_of(request)
    return reader.problem(200, "ENDED")


def _found(guest: Guest) -> Record:
    with guest.application.reading() as session:
        return stored_data(session, guest.application, guest.visit.type_id, guest.visit.number)


def _in_words(guest: Guest, found: Record) -> dict[str, Any]:
    """What is stored, as the page and the file say it."""
    say, language = guest.reader.say, guest.reader.language
    holder = [(say(f"PICKUP_HOLDER_{name.upper()}"), found["holder"].get(name, "")) for name in _HOLDER]
    return {
        "holder": [(label, text) for label, text in holder if text],
        "history": _history(found["history"], say, guest.held.pass_type),
        "cases": [_case(one, guest) for one in found["cases"]],
        "payments": [_payment(one, say) for one in found["payments"]],
        "messages": _messages(found, say),
        "devices": [_moment(one["registered_at"], language) for one in found["apple_registrations"]],
        "accesses": [_moment(one["at"], language) for one in found["accesses"]],
        "revisions": len(found["revisions"]),
        "deleted": day_text(date.fromisoformat(found["deleted_on"]), language),
        "made": _moment(found["made_at"], language),
    }


def _case(case: Record, guest: Guest) -> dict[str, Any]:
    """One case: what was asked for, how it stands, which documents are kept, and when it will be deleted."""
    say = guest.reader.say
    rows = [
        (say("HOLDER_CASE_STATE"), say(f"HOLDER_CASE_STATE_{case['state'].upper()}")),
        (say("HOLDER_CASE_BEGUN"), _moment(case["created_at"], say.language)),
    ]
    asked = case["applicant"]
    if asked:
        name = " ".join(filter(None, (asked["given_name"], asked["family_name"])))
        address = f"{asked['street']} {asked['house_number']}, {asked['postal_code']} {asked['city']}"
        rows.append((say("HOLDER_CASE_APPLICANT"), ", ".join(filter(None, (name, address, asked["email"])))))
    plates = [one["plate"] for one in case["facts"].get("plates", ())]
    if plates:
        rows.append((say("HOLDER_CASE_PLATES"), ", ".join(plates)))
    if case["evidence"]:
        kinds = [_moment(one["added_at"], say.language) for one in case["evidence"]]
        rows.append((say("HOLDER_CASE_DOCUMENTS"), "; ".join(kinds)))
    until = case_deleted_on(guest.application, case)
    if until is not None:
        rows.append((say("HOLDER_CASE_DELETED"), day_text(until, say.language)))
    title = say(
        "HOLDER_CASE_TITLE", kind=say(f"HOLDER_CASE_KIND_{case['kind'].upper()}"), number=case["number"]
    )
    return {"title": title, "facts": rows, "history": _history(case["history"], say, guest.held.pass_type)}


def _payment(payment: Record, say: Texts) -> Line:
    text = say(
        "HOLDER_PAYMENT",
        amount=euros(payment["amount_cents"]),
        state=say(f"HOLDER_PAYMENT_{payment['state'].upper()}"),
    )
    return Line(_moment(payment["created_at"], say.language), text, by_holder=True)


def _history(entries: Iterable[Record], say: Texts, pass_type: PassType) -> list[Line]:
    lines, is_certificate = [], names_person(pass_type)
    for entry in entries:
        after = entry["after"] or {}
        kind = after.get("carrier") or after.get("channel") or ""
        text = action_text(say, entry["action"], str(kind), is_certificate=is_certificate)
        details = _changes(entry, say, pass_type)
        if after.get("guardian"):
            details.append(say("PICKUP_BY_GUARDIAN"))
        if entry["reason"] and entry["by"] != ACTOR:
            details.append(say("PICKUP_REASON", reason=entry["reason"]))
        lines.append(
            Line(
                _moment(entry["at"], say.language),
                text or say("PICKUP_ACTION_OTHER"),
                entry["by"] == ACTOR,
                tuple(details),
            )
        )
    return lines


def _changes(entry: Record, say: Texts, pass_type: PassType) -> list[str]:
    """What an entry changed, for values that the type has a word for."""
    labels = pass_type.words(say.language).labels
    before, after = entry["before"] or {}, entry["after"] or {}
    return [
        say("PICKUP_CHANGED", label=labels[name], before=_words(before[name]), after=_words(after[name]))
        for name in after
        if name in labels and before.get(name) is not None
    ]


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _messages(found: Record, say: Texts) -> list[Line]:
    """Mails and letters, by what they were about."""
    lines = []
    for name in ("mails", "letters"):
        for one in found[name]:
            sent = one.get("sent_at") or one.get("printed_at")
            code = f"PICKUP_{name.upper()}_{one['kind'].upper().replace('-', '_')}"
            text = say(code if code in say else f"PICKUP_{name.upper()}_OTHER")
            details = () if sent else (say("PICKUP_NOT_SENT"),)
            lines.append(Line(_moment(sent or one["created_at"], say.language), text, False, details))
    return lines


def _moment(text: str, language: str) -> str:
    """A stored time in words: ``20.11.2026, 12:00 Uhr``."""
    at = datetime.fromisoformat(text).astimezone(BERLIN)
    day = day_text(at.date(), language)
    return f"{day}, {at:%H:%M} Uhr" if language == "de" else f"{day}, {at:%H:%M}"


HANDLERS: Final = [show_data, save_page, save_data, end, ended]
