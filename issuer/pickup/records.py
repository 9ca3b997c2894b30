"""What is stored, for its holder to see and to keep; and the end of a visit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from litestar import Response, get, post

from issuer.pickup.guests import Guest, acting_guest_of, guest_of, with_visit
from issuer.pickup.stored_data import Record, deleted_on, stored_data
from issuer.pickup.visits import ACTOR, end_visit, note
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
    found = _found(guest)
    say, language = guest.reader.say, guest.reader.language
    holder = [(say(f"PICKUP_HOLDER_{name.upper()}"), found["holder"].get(name, "")) for name in _HOLDER]
    return guest.page(
        "data.html",
        holder=[(label, text) for label, text in holder if text],
        history=_history(found["history"], say, guest.held.pass_type),
        messages=_messages(found, say),
        devices=[_moment(one["registered_at"], language) for one in found["apple_registrations"]],
        revisions=len(found["revisions"]),
        deleted=day_text(deleted_on(guest.application, guest.held.content.period.last), language),
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


def _history(entries: Iterable[Record], say: Texts, pass_type: PassType) -> list[Line]:
    lines = []
    for entry in entries:
        code = f"PICKUP_ACTION_{entry['action'].upper().replace('-', '_')}"
        after = entry["after"] or {}
        kind = after.get("carrier") or after.get("channel") or ""
        special = f"{code}_{str(kind).upper()}"
        text = say(next((one for one in (special, code) if one in say), "PICKUP_ACTION_OTHER"))
        details = _changes(entry, say, pass_type)
        if entry["reason"] and entry["by"] != ACTOR:
            details.append(say("PICKUP_REASON", reason=entry["reason"]))
        lines.append(Line(_moment(entry["at"], say.language), text, entry["by"] == ACTOR, tuple(details)))
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


HANDLERS: Final = [show_data, save_data, end, ended]
