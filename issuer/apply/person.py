"""Who asks: the name in the letters that German registers hold, a mail address for whoever has one, the language."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from litestar import Response, get, post

from issuer.apply.answers import Answers
from issuer.apply.asking import ask, changing_of, go_on, kind_of, rules_of
from issuer.apply.forms import PageForm
from issuer.apply.guests import Guest, drafting_guest_of
from issuer.apply.journey import Page
from issuer.cases import access, mails, store
from issuer.cases.facts import CaseFacts
from issuer.holders import Holder
from issuer.importing.columns import is_email
from issuer.rules.kinds import KindRules
from issuer.web import rates
from issuer.web.reader import AnyRequest
from keys.texts import LANGUAGES

_FIELDS: Final = ("family_name", "given_name", "doctoral_degree", "email", "language", "change")


@get("/apply/person", sync_to_thread=True)
def person(request: AnyRequest) -> Response[Any]:
    """The form, with what is known."""
    guest = drafting_guest_of(request)
    known = guest.person
    values = {name: getattr(known, name) for name in _FIELDS[:-1]} if known is not None else {}
    answers = Answers.of(values, guest.reader.say, *_FIELDS)
    answers.values["language"] = answers.values["language"] or guest.reader.language
    return ask(guest, Page.PERSON, answers, _kind(guest))


@post("/apply/person", status_code=303, sync_to_thread=True)
def save_person(request: AnyRequest, data: PageForm) -> Response[Any]:
    """Keep who asks; a mail address that is new gets the link to come back, who has none is shown it."""
    guest = drafting_guest_of(request, data)
    answers = Answers.of(data, guest.reader.say, *_FIELDS)
    names = {name: answers.tidy(name) for name in ("family_name", "given_name", "doctoral_degree")}
    if not answers.values["family_name"]:
        answers.wrong("family_name", "APPLY_NAME_MISSING")
    email = answers.values["email"]
    if email and not is_email(email):
        answers.wrong("email", "APPLY_EMAIL_WRONG")
    language = answers.choice("language", LANGUAGES, "APPLY_CHOOSE_LANGUAGE")
    if answers.errors:
        return ask(guest, Page.PERSON, answers, _kind(guest))

    def change(facts: CaseFacts, before: Holder | None) -> tuple[CaseFacts, Holder | None]:
        return facts, replace(before or Holder("", ""), email=email, language=language, **names)

    had = guest.person
    is_new = bool(email) and (had is None or had.email != email)
    told: dict[str, str] = {}
    with guest.application.writing() as session:
        guest.check(session)
        saved = guest.save_in(session, change)
        if had is not None and had.email and had.email != email:
            access.end_links(session, guest.application, saved.id)
        limits = ((rates.LINKS_OF_CASE, saved.id), (rates.LINKS_OF_ADDRESS, email.casefold()))
        if is_new and all(rates.take(session, guest.application, one, who) for one, who in limits):
            row = store.take(session, guest.tenant, saved.id, None)
            if mails.tell(session, row, mails.CaseMail.LINK, guest.application.now()):
                told = {"told": "MAILED"}
    if not email and (had is None or not had.family_name):
        # Only the first time: whoever has noted the link need not do so again.
        return guest.reader.go("/apply/link")
    return go_on(guest, Page.PERSON, saved, changing_of(data), **told)


def _kind(guest: Guest) -> KindRules | None:
    with guest.application.reading() as session:
        return kind_of(guest, rules_of(session, guest))


HANDLERS: Final = [person, save_person]
