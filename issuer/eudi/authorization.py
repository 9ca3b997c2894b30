"""The page on which a holder lets a wallet have their pass: who they are is proven by a visit, as for all carriers.

A visit begins with a link from a mail, a letter's code or a screen (`issuer.pickup`). Whoever comes from a wallet
without one is told how, and can type a letter's code. Agreeing is a form of that visit. The wallet gets its code, or
that the holder does not want it, by a redirect that names us (RFC 9207).

This way asks for no transaction code. Where one went out by letter because a visit shall not be enough, there is no
agreeing here.
"""

from __future__ import annotations

import secrets
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.errors import RegisterRefusal
from issuer.eudi import addresses, making, offers, sessions
from issuer.eudi.offers import LetterCode
from issuer.eudi.pushed_requests import PREFIX, find_request, open_request
from issuer.eudi.requests import application_of
from issuer.eudi.sessions import Holder
from issuer.eudi.token_endpoint import CODE_PURPOSE
from issuer.lifecycle import running
from issuer.models_eudi import AuthorizationRequestRow
from issuer.pickup.codes import read_code, redeem_code
from issuer.pickup.guests import Guest, NoVisit, acting_guest_of, guest_of, with_visit
from issuer.pickup.visits import ACTOR, start_visit
from issuer.register import subject
from issuer.web import rates
from issuer.web.forms import Form, FormData, text_of
from issuer.web.reader import AnyRequest, Reader, reader_of
from issuer.web.security_headers import POLICY, content_security_policy
from passes.credential_words import credential_lines

# A code is redeemed at once (RFC 6749, 4.1.2).
CODE_LIFETIME_SECONDS: Final = 60
_CODE: Final = f"{addresses.AUTHORIZE}/code"
_PAGE: Final = f"{addresses.AUTHORIZE}/request/"
_ANSWER: Final = f"{addresses.AUTHORIZE}/answer"
_GONE: Final = 410
_CONFLICT: Final = 409
_LONGEST_REFERENCE: Final = 100


@get(addresses.AUTHORIZE, sync_to_thread=True)
def authorize(
    request: AnyRequest, client_id: FromQuery[str] = "", request_uri: FromQuery[str] = ""
) -> Response[Any]:
    """Where a wallet sends its holder (RFC 9126, 4): on to the page, whose address says nothing but which request."""
    application_of(request)
    application, reader = reader_of(request)
    with application.writing() as session:
        row = open_request(session, application, request_uri[:_LONGEST_REFERENCE])
    if row is None or row.client_id != client_id:
        return _gone(reader)
    return reader.go(_PAGE + request_uri.removeprefix(PREFIX))


@get(f"{_PAGE}{{token:str}}", sync_to_thread=True)
def show_request(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    """What the wallet asks for, with the buttons; or how to show who one is."""
    application_of(request)
    application, reader = reader_of(request)
    reference = PREFIX + token[:_LONGEST_REFERENCE]
    with application.reading() as session:
        row = find_request(session, application, reference)
    return _gone(reader) if row is None else _page(request, application, reader, row, reference)


@post(_CODE, status_code=303, sync_to_thread=True)
def log_in(request: AnyRequest, data: FormData) -> Response[Any]:
    """Begin a visit by a letter's code, and go on with what the wallet asks for."""
    application_of(request)
    application, reader = reader_of(request)
    if not reader.is_from_here():
        return reader.problem(403, "FOREIGN_FORM")
    reference = text_of(data, "request")
    form = Form.of(data, "code", "day", "month", "year")
    code = read_code(form.values["code"])
    if not code:
        form.errors["code"] = "PICKUP_CODE_FORM"
    last_day = form.last_day()
    visit = None
    if last_day is not None and code:
        with application.writing() as session:
            if not rates.is_free(session, application, rates.GUESSES, reader.network):
                return reader.problem(429, "TOO_OFTEN", retry_after=rates.GUESSES.seconds, minutes=2)
            key = redeem_code(session, application, code, last_day)
            if key is not None:
                visit = start_visit(session, application, key)
            else:
                rates.take(session, application, rates.GUESSES, reader.network)
                form.errors["code"] = "PICKUP_CODE_WRONG"
    with application.reading() as session:
        row = find_request(session, application, reference)
    if row is None:
        return _gone(reader)
    if visit is None:
        return _log_in_page(reader, row, reference, form, status=422)
    return with_visit(reader, reader.go(_PAGE + reference.removeprefix(PREFIX)), visit)


@post(_ANSWER, status_code=303, sync_to_thread=True)
def answer(request: AnyRequest, data: FormData) -> Response[Any]:
    """Back to the wallet: with a code if the holder agrees, and with the error access_denied if not."""
    application_of(request)
    guest = acting_guest_of(request, data)
    application, reader = guest.application, guest.reader
    agreed = text_of(data, "answer") == "allow"
    with application.writing() as session:
        guest.check(session)
        row = find_request(session, application, text_of(data, "request"))
        if row is None:
            return _gone(reader)
        if agreed and not _fits(application, guest, row):
            return reader.problem(_CONFLICT, "NOT_OFFERED")
        if agreed and _needs_letter(session, application, guest):
            return reader.problem(_CONFLICT, "EUDI_LETTER")
        try:
            told = {"code": _code(session, application, guest, row)} if agreed else _DENIED
        except RegisterRefusal:
            return reader.problem(_CONFLICT, "NOT_OFFERED")
        row.answered_at = application.now()
        back = {**told, **({"state": row.state} if row.state is not None else {})}
        back["iss"] = addresses.issuer_of(application.settings(session))
        return _with_policy(reader.leave(f"{row.redirect_uri}?{urlencode(back)}"), row)


_DENIED: Final = {"error": "access_denied"}


def _page(
    request: AnyRequest,
    application: Application,
    reader: Reader,
    row: AuthorizationRequestRow,
    reference: str,
) -> Response[Any]:
    try:
        guest = guest_of(request)
    except NoVisit:
        form = Form.of({}, "code", "day", "month", "year")
        return _log_in_page(reader, row, reference, form)
    fits = _fits(application, guest, row)
    with application.reading() as session:
        needs_letter = _needs_letter(session, application, guest)
    page = guest.page(
        "eudi/consent.html",
        status=200 if fits and not needs_letter else _CONFLICT,
        fits=fits,
        needs_letter=needs_letter,
        request=reference,
        wallet=row.wallet_name or row.client_id,
        is_attested=row.instance_jkt is not None,
        lines=_lines(application, guest, row) if fits else [],
        answer=_ANSWER,
    )
    return _with_policy(page, row)


def _lines(application: Application, guest: Guest, row: AuthorizationRequestRow) -> list[tuple[str, str]]:
    """What the wallet would get, all of it, in the reader's language."""
    held, known = guest.held, making.configurations(application)
    formats = [known[one].format for one in row.configurations]
    return credential_lines(held.pass_type, held.content, held.city, guest.reader.language, formats)


def _log_in_page(
    reader: Reader, row: AuthorizationRequestRow, reference: str, form: Form, *, status: int = 200
) -> Response[Any]:
    return reader.page(
        "eudi/log_in.html",
        status=status,
        request=reference,
        wallet=row.wallet_name or row.client_id,
        form=form,
        code=_CODE,
    )


def _fits(application: Application, guest: Guest, row: AuthorizationRequestRow) -> bool:
    """Whether the pass of the visit is of the type that the wallet asks for, and holds."""
    if not guest.held.is_offered or guest.held.is_withdrawn:
        return False
    offered = {one.id for one in making.of_type(application, guest.visit.type_id)}
    return set(row.configurations) <= offered


def _needs_letter(session: Session, application: Application, guest: Guest) -> bool:
    """Whether the pass of the visit goes into a wallet with a letter's transaction code alone."""
    visit = guest.visit
    return offers.letter_code(session, application, visit.type_id, visit.number) is not LetterCode.NONE


def _code(session: Session, application: Application, guest: Guest, row: AuthorizationRequestRow) -> str:
    """A code for the pass of the visit, with an entry in the audit trail. Raises RegisterRefusal."""
    visit, now = guest.visit, application.now()
    _, current = running(session, (application.tenant, visit.type_id, visit.number), now)
    code = secrets.token_urlsafe(32)
    until = now.fromtimestamp(now.timestamp() + CODE_LIFETIME_SECONDS, now.tzinfo)
    offered = sessions.session_of(session, application, row.session_id or "")
    # It may have been anybody's: only an offer of the same pass is answered by this.
    if offered is not None and (offered.type_id, offered.number) == (visit.type_id, visit.number):
        sessions.end(session, application, offered)
    begun = sessions.begin(
        session,
        application,
        Holder(visit.type_id, visit.number, current.n, visit.key.channel.value),
        list(row.configurations),
        until,
        by_identifier=row.by_identifier,
    )
    row.session_id = begun.id
    row.code_hash = application.hash_secret(CODE_PURPOSE, code)
    row.expires_at = until
    event = AuditEvent(
        "eudi-consent",
        subject(visit.type_id, visit.number),
        after={"channel": visit.key.channel.value, "wallet": row.client_id},
    )
    audit.append(session, application.tenant, [event], now, ACTOR)
    session.flush()
    return code


def _gone(reader: Reader) -> Response[Any]:
    return reader.page("eudi/gone.html", status=_GONE)


def _with_policy(response: Response[Any], row: AuthorizationRequestRow) -> Response[Any]:
    """Browsers apply form-action to redirects after a form as well, so the page has to name where it leads on."""
    parts = urlsplit(row.redirect_uri)
    target = f"https://{parts.netloc}" if parts.scheme == "https" else f"{parts.scheme}:"
    policy = content_security_policy(addresses.AUTHORIZE)
    directives = [one for one in policy.split("; ") if not one.startswith("form-action ")]
    response.headers[POLICY.decode()] = "; ".join([*directives, f"form-action 'self' {target}"])
    return response


HANDLERS: Final = [authorize, show_request, log_in, answer]
