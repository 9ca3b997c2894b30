"""The pages of a family visit: every card by itself, and all of them at once on one phone or in one print."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from sqlalchemy.orm import Session

from issuer import google_wallet, wallet_passes
from issuer.application import Application
from issuer.background.tasks import RetryLater
from issuer.errors import IssuerRefusal
from issuer.pickup import carriers
from issuer.pickup.carriers import APPLE_TYPE
from issuer.pickup.family import CardOfFamily, Family, family_link, family_now, given_names
from issuer.pickup.guests import ForeignForm, NoFamily, NoVisit
from issuer.pickup.links import Channel, PassKey
from issuer.pickup.shown_codes import first_and_second, shown_codes
from issuer.pickup.visits import Visit, find_visit, note
from issuer.prints import print_of
from issuer.web import rates
from issuer.web.forms import FormData, text_of
from issuer.web.reader import VISIT_COOKIE, AnyRequest, Device, Reader, reader_of
from keys.errors import Refusal
from passes.apple_bundle import PKPASSES_MEDIA_TYPE, bundle_parts, bundle_passes
from passes.periods import BERLIN
from passes.qr import link_png

PATH: Final = "/p/family"
_CARD: Final = PATH + "/card/{number:str}"
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_UNAVAILABLE: Final = 503


@dataclass(frozen=True, slots=True)
class FamilyGuest:
    """A guardian on a family visit, and the family as it was when the request came."""

    application: Application
    reader: Reader
    visit: Visit
    family: Family

    def page(self, template: str, *, status: int = 200, **values: object) -> Response[Any]:
        """A page of the visit: as `Reader.page`, with what all of them need."""
        return self.reader.page(
            template, status=status, visit=self.visit, form_token=self.visit.form_token, **values
        )

    def problem(self, status: int, code: str, *, retry_after: int = 0, **values: object) -> Response[Any]:
        """As `Reader.problem`, with the way back to the family."""
        return self.reader.problem(status, code, retry_after=retry_after, back=PATH, **values)

    def check(self, session: Session) -> Family:
        """In a writing transaction: the family as it is now. Raises NoVisit if the visit has ended."""
        if find_visit(session, self.application, self.visit.token) is None:
            raise NoVisit
        now = family_now(session, self.application, self.visit.type_id, self.visit.number)
        if now is None:
            raise NoVisit
        return now


@get(PATH, sync_to_thread=True)
def show_family(request: AnyRequest) -> Response[Any]:
    """The cards of the family, with what can be fetched of each and of all."""
    guest = family_guest_of(request)
    offered = guest.family.offered
    with guest.application.reading() as session:
        offers = {one.number: _offers(session, guest, one) for one in offered}
        names = given_names(session, guest.application, guest.family)
    apple = [one for one in offered if "apple" in offers[one.number]]
    google = [one for one in offered if "google" in offers[one.number]]
    return guest.page(
        "family.html",
        family=guest.family,
        offers=offers,
        names=names,
        shown=[one.number for one in offered if shown_codes(one.held)],
        together=_together(guest.reader, offered, apple, google),
        parts_of_apple=[[one.number for one in part] for part in bundle_parts(apple)],
        facts={one.number: _facts(one, guest.reader.language) for one in offered},
        one_by_one=guest.reader.device is Device.IPHONE and len(apple) > 1 and not guest.reader.is_safari,
        ends=guest.visit.expires_at.astimezone(BERLIN).strftime("%H:%M"),
    )


@get(PATH + "/cards.pkpasses", sync_to_thread=True)
def apple_passes(request: AnyRequest, part: FromQuery[int] = 1) -> Response[Any]:
    """The signed passes of all cards in one file; of more than ten, those of a ``part``, counted from 1."""
    guest = family_guest_of(request)
    application = guest.application
    try:
        with application.reading() as session:
            wanted = [one for one in guest.family.offered if "apple" in _offers(session, guest, one)]
            parts = bundle_parts(wanted)
            if not 1 <= part <= len(parts):
                return guest.problem(_CONFLICT, "NOT_OFFERED")
            chosen = parts[part - 1]
            data = bundle_passes([_apple(application, session, one) for one in chosen])
    except Refusal:
        return guest.problem(_UNAVAILABLE, "APPLE_FAILED")
    refused = _fetched(guest, "apple", chosen)
    return refused or guest.reader.file(data, PKPASSES_MEDIA_TYPE, f"{guest.visit.number}.pkpasses")


@post(PATH + "/google", status_code=303, sync_to_thread=True)
def google_passes(request: AnyRequest, data: FormData) -> Response[Any]:
    """On to Google with all cards; a family that does not fit into one link gets a page with several."""
    guest = acting_family_guest_of(request, data)
    with guest.application.reading() as session:
        wanted = [one for one in guest.family.offered if "google" in _offers(session, guest, one)]
    return _to_google(guest, wanted)


@get(PATH + "/cards.pdf", sync_to_thread=True)
def printed_cards(request: AnyRequest) -> Response[Any]:
    """The prints of all cards in one file."""
    guest = family_guest_of(request)
    return _print(guest, guest.family.offered, guest.visit.number)


@get(_CARD + "/apple.pkpass", sync_to_thread=True)
def apple_pass(request: AnyRequest, number: FromPath[str]) -> Response[Any]:
    """The signed pass of one card for Apple Wallet."""
    guest = family_guest_of(request)
    card = guest.family.find(number)
    if card is None:
        return guest.problem(_NOT_FOUND, "NO_CARD")
    try:
        with guest.application.reading() as session:
            if "apple" not in _offers(session, guest, card):
                return guest.problem(_CONFLICT, "NOT_OFFERED")
            data = _apple(guest.application, session, card)
    except Refusal:
        return guest.problem(_UNAVAILABLE, "APPLE_FAILED")
    return _fetched(guest, "apple", [card]) or guest.reader.file(data, APPLE_TYPE, f"{number}.pkpass")


@post(_CARD + "/google", status_code=303, sync_to_thread=True)
def google_pass(request: AnyRequest, number: FromPath[str], data: FormData) -> Response[Any]:
    """On to Google with one card."""
    guest = acting_family_guest_of(request, data)
    card = guest.family.find(number)
    if card is None:
        return guest.problem(_NOT_FOUND, "NO_CARD")
    with guest.application.reading() as session:
        wanted = [card] if "google" in _offers(session, guest, card) else []
    return _to_google(guest, wanted)


@get(_CARD + "/card.pdf", sync_to_thread=True)
def printed_card(request: AnyRequest, number: FromPath[str]) -> Response[Any]:
    """The print of one card."""
    guest = family_guest_of(request)
    card = guest.family.find(number)
    if card is None:
        return guest.problem(_NOT_FOUND, "NO_CARD")
    return _print(guest, [card] if card.left_out is None else [], number)


@get(_CARD + "/show", sync_to_thread=True)
def show_card(request: AnyRequest, number: FromPath[str], code: FromQuery[str] = "") -> Response[Any]:
    """One code of one card as large as the screen allows, as `issuer.pickup.shown_codes.show_code`."""
    guest = family_guest_of(request)
    card = guest.family.find(number)
    if card is None:
        return guest.problem(_NOT_FOUND, "NO_CARD")
    codes = shown_codes(card.held) if card.left_out is None else ()
    if not codes:
        return guest.problem(_CONFLICT, "NOT_OFFERED")
    wanted, second = first_and_second(codes, code)
    here = f"{PATH}/card/{number}/show"
    return guest.page("show.html", code=wanted, second=second, card=card.held.card, here=here)


@get(PATH + "/phone", sync_to_thread=True)
def phone(request: AnyRequest) -> Response[Any]:
    """What the code for the other device is, with the button that makes one."""
    return family_guest_of(request).page("family_phone.html", picture="")


@post(PATH + "/phone", status_code=200, sync_to_thread=True)
def phone_code(request: AnyRequest, data: FormData) -> Response[Any]:
    """A fresh one-time link to the family as a code to scan."""
    guest = acting_family_guest_of(request, data)
    application, visit = guest.application, guest.visit
    with application.writing() as session:
        guest.check(session)
        if not rates.take(session, application, rates.LINKS_OF_VISIT, visit.token):
            return guest.problem(429, "TOO_OFTEN", retry_after=rates.LINKS_OF_VISIT.seconds, minutes=1)
        try:
            address = family_link(session, application, visit.type_id, visit.number, Channel.SCREEN)
        except IssuerRefusal:
            # The last child has left the family.
            return guest.problem(_CONFLICT, "NOT_OFFERED")
        note(session, application, visit.key, "screen-link", family="yes")
    picture = base64.b64encode(link_png(address)).decode()
    return guest.page("phone_code.html" if guest.reader.is_partial else "family_phone.html", picture=picture)


def family_guest_of(request: AnyRequest) -> FamilyGuest:
    """Who is on a family visit, and the family now.

    Raises NoVisit, also where the guardian's card was revoked, and NoFamily on a visit to a single pass.
    """
    application, reader = reader_of(request)
    with application.reading() as session:
        visit = find_visit(session, application, reader.cookie(VISIT_COOKIE))
        if visit is None:
            raise NoVisit
        if not visit.key.family:
            raise NoFamily
        family = family_now(session, application, visit.type_id, visit.number)
    if family is None:
        raise NoVisit
    return FamilyGuest(application, reader, visit, family)


def acting_family_guest_of(request: AnyRequest, data: Mapping[str, Any]) -> FamilyGuest:
    """Who is on a family visit and has sent the form ``data`` from one of its pages.

    Raises as `family_guest_of`, and ForeignForm.
    """
    guest = family_guest_of(request)
    if not guest.reader.is_from_here() or not guest.visit.accepts(text_of(data, "form_token")):
        raise ForeignForm
    return guest


def _offers(session: Session, guest: FamilyGuest, card: CardOfFamily) -> list[str]:
    """What can be fetched of one card now, in the order for the device."""
    if card.left_out is not None:
        return []
    offers = carriers.offers_of(session, guest.application, card.held, guest.reader.device)
    return [one for one in offers if one != "phone"]


def _facts(card: CardOfFamily, language: str) -> list[tuple[str, str]]:
    """What the card says, as the page of a single pass does, and the member's group; no name."""
    words = card.held.pass_type.words(language)
    group = str(card.held.content.attributes.get("category", ""))
    label = words.choices.get("category", {}).get(group)
    facts = [(words.labels["category"], label)] if label else []
    return [*facts, *((one.label, one.text) for one in card.held.fields(language))]


def _together(
    reader: Reader,
    offered: Sequence[CardOfFamily],
    apple: Sequence[CardOfFamily],
    google: Sequence[CardOfFamily],
) -> list[str]:
    """What can be fetched of several cards at once, in the order for the device.

    Only Safari on an iPhone opens several passes in one file; other browsers there get every card by itself.
    """
    there = {"phone"}
    if len(offered) > 1:
        there.add("print")
    if len(google) > 1:
        there.add("google")
    if len(apple) > 1 and reader.is_safari:
        there.add("apple")
    return [one for one in carriers.ORDER[reader.device] if one in there]


def _apple(application: Application, session: Session, card: CardOfFamily) -> bytes:
    """The signed pass of a card. Raises IssuerRefusal, KeyRefusal, PassRefusal, RegisterRefusal."""
    found = wallet_passes.find(application, session, card.held.content.serial)
    if found is None:
        raise IssuerRefusal("FAMILY_CARD_GONE", number=card.number)
    return wallet_passes.apple_pass(application, session, found)


def _to_google(guest: FamilyGuest, wanted: Sequence[CardOfFamily]) -> Response[Any]:
    if not wanted:
        return guest.problem(_CONFLICT, "NOT_OFFERED")
    numbers = [one.number for one in wanted]
    try:
        links = google_wallet.save_links(guest.application, guest.visit.type_id, numbers)
    except (Refusal, RetryLater):
        return guest.problem(_UNAVAILABLE, "GOOGLE_FAILED")
    refused = _fetched(guest, "google", wanted)
    if refused is not None:
        return refused
    return guest.reader.leave(links[0]) if len(links) == 1 else guest.page("family_google.html", links=links)


def _print(guest: FamilyGuest, wanted: Sequence[CardOfFamily], name: str) -> Response[Any]:
    if not wanted:
        return guest.problem(_CONFLICT, "NOT_OFFERED")
    first = wanted[0].held
    language = guest.family.cards[0].held.content.language
    try:
        contents = [one.held.content for one in wanted]
        data = print_of(guest.application, first.pass_type, contents, first.city, language)
    except Refusal:
        return guest.problem(_UNAVAILABLE, "PRINT_FAILED")
    return _fetched(guest, "print", wanted) or guest.reader.file(data, "application/pdf", f"{name}.pdf")


def _fetched(guest: FamilyGuest, carrier: str, cards: Sequence[CardOfFamily]) -> Response[Any] | None:
    """Note the fetch of every card, or give the page that says why it is not handed over after all.

    What cannot be noted is not handed over, and what has left the family meanwhile neither.
    """
    application, key = guest.application, guest.visit.key
    with application.writing() as session:
        now = {one.number: one.held.content.serial for one in guest.check(session).offered}
        if any(now.get(one.number) != one.held.content.serial for one in cards):
            return guest.problem(_CONFLICT, "NOT_OFFERED")
        for one in cards:
            of_card = PassKey(key.type_id, one.number, key.channel)
            facts = {} if one.is_own else {"guardian": key.number}
            note(session, application, of_card, "fetch", carrier=carrier, **facts)
    return None


HANDLERS: Final = [
    show_family,
    apple_passes,
    google_passes,
    printed_cards,
    apple_pass,
    google_pass,
    printed_card,
    show_card,
    phone,
    phone_code,
]
