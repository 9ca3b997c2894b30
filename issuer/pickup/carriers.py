"""What a visit can fetch: the page with its offers, the Apple pass, the way to Google, the print, a link to scan."""

from __future__ import annotations

import base64
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromQuery
from sqlalchemy.orm import Session

from issuer import google_wallet, keyring, wallet_passes
from issuer.application import Application
from issuer.background.tasks import RetryLater
from issuer.cases.facts import Channel as CaseChannel
from issuer.pickup import eudi_wallet, own_cases, plate_change, renewal_offer
from issuer.pickup.guests import Guest, acting_guest_of, guest_of
from issuer.pickup.links import Channel, create_link
from issuer.pickup.shown_codes import shown_codes
from issuer.pickup.standing import HeldPass
from issuer.pickup.visits import note
from issuer.pickup.wallets import wallets_of
from issuer.prints import print_of
from issuer.web import rates
from issuer.web.forms import FormData
from issuer.web.reader import AnyRequest, Device
from keys.errors import Refusal
from keys.lifecycle import Purpose
from passes.periods import BERLIN
from passes.qr import link_png

APPLE_TYPE: Final = "application/vnd.apple.pkpass"
# What is said once after a redirect; nothing else may be put into the page by its address.
_DONE: Final = ("dropped", "removed", "allowed", "plate", "renewed", "given-back")
# By device, what is offered first; what is not there is left out.
ORDER: Final = {
    Device.IPHONE: ("apple", "print", "eudi", "google", "phone"),
    Device.ANDROID: ("google", "print", "eudi", "apple", "phone"),
    Device.OTHER: ("print", "phone", "apple", "google", "eudi"),
}
_CONFLICT: Final = 409
_UNAVAILABLE: Final = 503


@get("/p/pass", sync_to_thread=True)
def show_pass(request: AnyRequest, done: FromQuery[str] = "") -> Response[Any]:
    """The pass, how it stands, and what can be fetched of it."""
    guest = guest_of(request)
    with guest.application.reading() as session:
        offers = _offers(session, guest)
        wallets = wallets_of(session, guest.application, guest.held)
        renewal = renewal_offer.offer_for(session, guest.application, guest.held, CaseChannel.ONLINE)
        cases = own_cases.under_way(session, guest.application, guest.visit.type_id, guest.visit.number)
    ends = guest.visit.expires_at.astimezone(BERLIN).strftime("%H:%M")
    return guest.page(
        "pass.html",
        offers=offers,
        codes=shown_codes(guest.held),
        wallets=wallets,
        ends=ends,
        done=done if done in _DONE else "",
        renewal=renewal,
        cases=cases,
        can_change_plate=plate_change.is_offered(guest),
    )


@get("/p/pass/apple.pkpass", sync_to_thread=True)
def apple_pass(request: AnyRequest) -> Response[Any]:
    """The signed pass for Apple Wallet."""
    guest = guest_of(request)
    application, content = guest.application, guest.held.content
    try:
        with application.reading() as session:
            if "apple" not in _offers(session, guest):
                return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
            found = wallet_passes.find(application, session, content.serial)
            if found is None:
                return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
            data = wallet_passes.apple_pass(application, session, found)
    except Refusal:
        return guest.reader.problem(_UNAVAILABLE, "APPLE_FAILED")
    _fetched(guest, "apple")
    return guest.reader.file(data, APPLE_TYPE, f"{content.number}.pkpass")


@post("/p/pass/google", status_code=303, sync_to_thread=True)
def google_pass(request: AnyRequest, data: FormData) -> Response[Any]:
    """On to Google, which saves the pass in the account of whoever is signed in there."""
    guest = acting_guest_of(request, data)
    with guest.application.reading() as session:
        if "google" not in _offers(session, guest):
            return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
    try:
        address = google_wallet.save_link(guest.application, guest.visit.type_id, guest.visit.number)
    except (Refusal, RetryLater):
        return guest.reader.problem(_UNAVAILABLE, "GOOGLE_FAILED")
    _fetched(guest, "google")
    return guest.reader.leave(address)


@get("/p/pass/permit.pdf", sync_to_thread=True)
def printed_pass(request: AnyRequest) -> Response[Any]:
    """The print."""
    guest = guest_of(request)
    held, content = guest.held, guest.held.content
    if not held.is_offered or "pdf" not in held.pass_type.carriers:
        return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
    try:
        data = print_of(guest.application, held.pass_type, [content], held.city, content.language)
    except Refusal:
        return guest.reader.problem(_UNAVAILABLE, "PRINT_FAILED")
    _fetched(guest, "print")
    return guest.reader.file(data, "application/pdf", f"{content.number}.pdf")


@get("/p/pass/phone", sync_to_thread=True)
def phone(request: AnyRequest) -> Response[Any]:
    """What the code for the other device is, with the button that makes one."""
    return guest_of(request).page("phone.html", picture="")


@post("/p/pass/phone", status_code=200, sync_to_thread=True)
def phone_code(request: AnyRequest, data: FormData) -> Response[Any]:
    """A fresh one-time link as a code to scan; a script of ours gets only the part of the page."""
    guest = acting_guest_of(request, data)
    application = guest.application
    with application.writing() as session:
        guest.check(session)
        if not rates.take(session, application, rates.LINKS_OF_VISIT, guest.visit.token):
            seconds = rates.LINKS_OF_VISIT.seconds
            return guest.reader.problem(429, "TOO_OFTEN", retry_after=seconds, minutes=1)
        address = create_link(session, application, guest.visit.type_id, guest.visit.number, Channel.SCREEN)
        note(session, application, guest.visit.key, "screen-link")
    picture = base64.b64encode(link_png(address)).decode()
    return guest.page("phone_code.html" if guest.reader.is_partial else "phone.html", picture=picture)


def _offers(session: Session, guest: Guest) -> list[str]:
    """What this visit can fetch now, in the order for its device."""
    there = offers_of(session, guest.application, guest.held, guest.reader.device)
    if eudi_wallet.is_offered(session, guest):
        there.append("eudi")
    return [one for one in ORDER[guest.reader.device] if one in there]


def offers_of(session: Session, application: Application, held: HeldPass, device: Device) -> list[str]:
    """What can be fetched now of a pass, in the order for ``device``: print, phone, apple, google."""
    if not held.is_offered:
        return []
    carriers = held.pass_type.carriers
    there = {"print", "phone"} if "pdf" in carriers else {"phone"}
    if not held.is_withdrawn:
        if "apple" in carriers and _apple_is_set_up(session, application):
            there.add("apple")
        if "google" in carriers and google_wallet.is_offered(application, session):
            there.add("google")
    return [one for one in ORDER[device] if one in there]


def _apple_is_set_up(session: Session, application: Application) -> bool:
    city = application.settings(session)
    if not city.apple_pass_type_identifier or not city.apple_team_identifier:
        return False
    try:
        keyring.signing_record(session, application.tenant, Purpose.APPLE_PASS, application.now())
    except Refusal:
        return False
    return True


def _fetched(guest: Guest, carrier: str) -> None:
    """Note the fetch. What cannot be noted is not handed over: the audit trail names every one."""
    with guest.application.writing() as session:
        guest.check(session)
        note(session, guest.application, guest.visit.key, "fetch", carrier=carrier)


HANDLERS: Final = [show_pass, apple_pass, google_pass, printed_pass, phone, phone_code]
