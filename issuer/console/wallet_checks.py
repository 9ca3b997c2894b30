"""Asking the EUDI Wallet of somebody at the desk: a code to scan, how it stands, and what was shown, once.

Two places ask, each for one thing alone: the counter for a certificate of residence, the library for its card.
Nothing of what a wallet shows is kept. The log of accesses says that somebody was checked, and whose card it was only
where that is one of the register's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from sqlalchemy.orm import Session

from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.handing_out import picture_of
from issuer.console.library.shared import CRUMB, find_member, full_name
from issuer.console.library.shared import PATH as LIBRARY_PATH
from issuer.errors import IssuerRefusal
from issuer.presentations import asking
from issuer.presentations.asking import Asker, Outcome
from issuer.presentations.store import OPEN, Shown, State
from issuer.presentations.wishes import Credential, Wish
from issuer.presentations.words import told
from issuer.staff.accesses import Kind
from issuer.web.forms import FormData, text_of
from issuer.web.reader import AnyRequest
from passes.display import day_text
from passes.errors import PassRefusal
from passes.periods import BERLIN, berlin_day, parse_date_iso

COUNTER_PATH: Final = "/office/wallet"
CARD_PATH: Final = f"{LIBRARY_PATH}/wallet"
_CONFLICT: Final = 409
_NO_CONTENT: Final = 204
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
# The subject in the log of accesses, of whoever is in no register of ours.
_SUBJECT: Final = "wallet"


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody asks, for what, and below which page."""

    path: str
    wish: Wish
    name: str
    crumb: tuple[str, str]


COUNTER: Final = Place(
    COUNTER_PATH, Wish.RESIDENCE_CERTIFICATE, "RESIDENCE", ("OFFICE_MENU_COUNTER", "/office/counter")
)
LIBRARY: Final = Place(CARD_PATH, Wish.LIBRARY_CARD, "LIBRARY", CRUMB)


def can_ask(desk: Desk, session: Session, place: Place) -> bool:
    """Whether wallets can be asked at ``place``."""
    return asking.can_ask(session, desk.application, place.wish)


def start(request: AnyRequest) -> Response[Any]:
    """What can be asked for, with the button that asks."""
    desk, place = desk_of(request), _place(request)
    with desk.application.reading() as session:
        is_on = can_ask(desk, session, place)
    return _under(desk, place).page("wallet_ask.html", place=place, is_on=is_on)


def begin(request: AnyRequest, data: FormData) -> Response[Any]:
    """Ask, and on to the code."""
    desk, place = acting_desk_of(request, data), _place(request)
    try:
        with desk.application.writing() as session:
            asking.withdraw_if_there(
                session,
                desk.application,
                _token(text_of(data, "instead")),
                _asker(desk),
                actor=desk.staff.actor,
            )
            asked = asking.ask(
                session,
                desk.application,
                place.wish,
                _asker(desk),
                back=f"{place.path}/{asking.ASKED_ID}/back",
                actor=desk.staff.actor,
            )
    except IssuerRefusal as refusal:
        if refusal.code not in ("EUDI_OFF", "PRESENTATION_NOT_SET_UP"):
            raise
        return _under(desk, place).page("wallet_ask.html", status=_CONFLICT, place=place, is_on=False)
    return desk.go(f"{place.path}/{asked.id}")


def show(request: AnyRequest, asked_id: FromPath[str]) -> Response[Any]:
    """How the question stands. A script asks again and again, and gets an answer only where that has changed."""
    desk, place = desk_of(request), _place(request)
    code = _token(request.query_params.get("response_code", ""))
    found = _outcome(desk, place, asked_id, code)
    if found is None:
        return desk.problem(404, "WALLET_GONE")
    if desk.reader.is_partial and request.query_params.get("seen") == found.state:
        return Response(b"", status_code=_NO_CONTENT, headers={"Cache-Control": "no-store"})
    asked = found.asked if found.state is State.WAITING else None
    return _under(desk, place).page(
        "wallet_state_part.html" if desk.reader.is_partial else "wallet_state.html",
        place=place,
        path=f"{place.path}/{asked_id}",
        asked_id=asked_id,
        state=found.state.value,
        waits=found.state in OPEN,
        holds=found.state is State.HOLDS,
        told=told(found, "desk", desk.reader.say),
        asked=asked,
        picture=picture_of(asked.link) if asked is not None else "",
        until=asked.ends_at.astimezone(BERLIN).strftime("%H:%M") if asked is not None else "",
        response_code=code,
    )


def view(request: AnyRequest, asked_id: FromPath[str], data: FormData) -> Response[Any]:
    """What was shown, this once."""
    desk, place = acting_desk_of(request, data), _place(request)
    application = desk.application
    try:
        with application.writing() as session:
            shown = asking.take(
                session,
                application,
                _token(asked_id),
                _asker(desk),
                response_code=_token(text_of(data, "response_code")) or None,
                actor=desk.staff.actor,
            )
            card = _card(session, desk, shown)
    except IssuerRefusal as refusal:
        if refusal.code not in ("PRESENTATION_UNKNOWN", "PRESENTATION_NOTHING"):
            raise
        return desk.problem(_CONFLICT, "WALLET_GONE")
    about = card["subject"] if card else f"{_SUBJECT}/{place.wish.value}"
    desk.note_access(about, kind=Kind.CHECKED, every=not card)
    return _under(desk, place).page(
        "wallet_shown.html",
        place=place,
        told=told(Outcome(State.HOLDS, place.wish), "desk", desk.reader.say),
        facts=_facts(desk, shown),
        card=card,
        is_card=shown.credential is Credential.LIBRARY_CARD,
    )


def come_back(request: AnyRequest, asked_id: FromPath[str]) -> Response[Any]:
    """Where a wallet on this device leads back to: on to the answer.

    Browsers leave the session's cookie out when another app has opened a page, and send it along to where that page
    leads. So this one is open to everybody, and shows nothing.
    """
    desk, place = desk_of(request), _place(request)
    code = _token(request.query_params.get("response_code", ""))
    path = f"{place.path}/{asked_id}" if _TOKEN.fullmatch(asked_id) else place.path
    address = desk.reader.url(path, **({"response_code": code} if code else {}))
    return desk.page("wallet_back.html", address=address)


def _place(request: AnyRequest) -> Place:
    return LIBRARY if request.scope["path"].startswith(CARD_PATH) else COUNTER


def _under(desk: Desk, place: Place) -> Desk:
    return desk.under(place.crumb)


def _asker(desk: Desk) -> Asker:
    return Asker("staff", desk.staff.session_hash)


def _token(text: str) -> str:
    """A code or id as we make them; empty for anything else."""
    return text if _TOKEN.fullmatch(text) else ""


def _outcome(desk: Desk, place: Place, asked_id: str, code: str) -> Outcome | None:
    """How a question of this session stands; None where there is none, or one that another place has asked."""
    if not _token(asked_id):
        return None
    try:
        with desk.application.reading() as session:
            found = asking.outcome(
                session, desk.application, asked_id, _asker(desk), response_code=code or None
            )
    except IssuerRefusal as refusal:
        if refusal.code != "PRESENTATION_UNKNOWN":
            raise
        # What has ended is soon forgotten; the page that still asks hears that it has ended.
        return Outcome(State.ENDED, place.wish) if desk.reader.is_partial else None
    return found if found.wish is place.wish else None


def _card(session: Session, desk: Desk, shown: Shown) -> dict[str, str] | None:
    """The member that a library card is of; None for another credential, and a card that is not in the register.

    Another library may have given the same member number, so the number of the card has to be that card's as well.
    """
    if shown.credential is not Credential.LIBRARY_CARD:
        return None
    number = shown.values.get("number", "")
    one = find_member(session, desk, shown.credential.value, number)
    if one is None or not one.row.card_key or one.row.card_key != shown.values.get("card_number"):
        return None
    return {
        "subject": one.subject,
        "path": one.path,
        "number": one.row.card_key,
        "name": full_name(one.holder),
        "standing": desk.reader.say(f"PICKUP_STANDING_{one.standing.name}"),
    }


def _facts(desk: Desk, shown: Shown) -> list[tuple[str, str]]:
    """What was shown, as labels and texts."""
    say, language, values = desk.reader.say, desk.reader.language, shown.values
    name = f"{values.get('given_names', '')} {values.get('family_name', '')}".strip()
    status = say(f"WALLET_STATUS_{shown.status.name}", day=day_text(berlin_day(shown.until), language))
    rows = [
        (say("WALLET_VALUE_NAME"), name),
        (say("WALLET_VALUE_BIRTH"), _day(values, "birth_date", language)),
        (say("WALLET_VALUE_ADDRESS"), _address(values)),
        (say("WALLET_VALUE_CARD"), values.get("card_number", "")),
        (say("WALLET_VALUE_NUMBER"), values.get("number", "")),
        (say("WALLET_VALUE_UNTIL"), _day(values, "valid_until", language)),
        (say("WALLET_VALUE_ISSUER"), shown.issuer or say("WALLET_ISSUER_UNNAMED")),
        (say("WALLET_VALUE_STATUS"), status),
    ]
    return [(label, text) for label, text in rows if text]


def _address(values: Mapping[str, str]) -> str:
    street = f"{values.get('main_street', '')} {values.get('main_house_number', '')}".strip()
    town = f"{values.get('main_postal_code', '')} {values.get('main_city', '')}".strip()
    return ", ".join(filter(None, (street, town)))


def _day(values: Mapping[str, str], name: str, language: str) -> str:
    """A day as people write it; whatever else a credential says in its place stays as it is."""
    text = values.get(name, "")
    try:
        return day_text(parse_date_iso(text), language)
    except PassRefusal:
        return text


def _handlers(path: str) -> list[BaseRouteHandler]:
    """The pages of one place; a handler with several paths would be wrapped into a thread once for each."""
    one = f"{path}/{{asked_id:str}}"
    return [
        get(path, sync_to_thread=True)(start),
        post(path, status_code=303, sync_to_thread=True)(begin),
        get(one, sync_to_thread=True)(show),
        post(one, status_code=200, sync_to_thread=True)(view),
        get(f"{one}/back", sync_to_thread=True)(come_back),
    ]


HANDLERS: Final = [*_handlers(COUNTER_PATH), *_handlers(CARD_PATH)]
