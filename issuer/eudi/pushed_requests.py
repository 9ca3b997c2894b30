"""Pushed authorization requests (RFC 9126): what a wallet wants is said here, by the wallet itself, and nowhere else.

The browser brings only the reference. PKCE with S256 (RFC 7636) is demanded of everybody.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from litestar import Response, post
from litestar.params import RawBody
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.eudi import addresses, dpop, making
from issuer.eudi.errors import Refused, json_answer
from issuer.eudi.requests import application_of, detailed, form
from issuer.eudi.wallet_attestation import Wallet, invalid, wallet_of
from issuer.models_eudi import AuthorizationRequestRow, IssuanceSessionRow
from issuer.one_time_links import is_token, new_token
from issuer.web.reader import AnyRequest

# FAPI 2.0 (5.3.2.2), which HAIP builds on, wants less than ten minutes until the browser opens the request.
LIFETIME: Final = timedelta(minutes=9)
# Then long enough to find the letter with the code.
PAGE_LIFETIME: Final = timedelta(minutes=15)
PREFIX: Final = "urn:ietf:params:oauth:request_uri:"

_PURPOSE: Final = "eudi-request"
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_SESSION: Final = re.compile(r"[0-9a-f]{32}")
# Private-use schemes have a dot (RFC 8252, 7.1); nothing that a browser would run or open as a file.
_REDIRECT: Final = re.compile(
    r"(https://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[A-Za-z0-9._~/%-]{0,300})?"
    r"|[a-z][a-z0-9+-]{0,40}(\.[a-z0-9+-]{1,40}){1,8}:/{0,2}[A-Za-z0-9._~/%-]{0,300})"
)
_LONGEST_STATE: Final = 2000
_LONGEST_CLIENT: Final = 300


@post(addresses.PUSHED, status_code=201, sync_to_thread=True)
def take_request(request: AnyRequest, body: RawBody) -> Response[bytes]:
    """A reference to the request, to be opened within nine minutes."""
    application = application_of(request)
    fields = form(request, body)
    with application.reading() as session:
        settings = application.settings(session)
    wallet = wallet_of(application, request, fields, addresses.issuer_of(settings))
    proof = dpop.check(application, request, addresses.address(settings, addresses.PUSHED))
    row = _request(application, wallet, fields, proof.jkt if proof is not None else None)
    token = new_token()
    row.request_hash = application.hash_secret(_PURPOSE, token)
    refused: Refused | None = None
    with application.writing() as session:
        try:
            if proof is not None:
                proof.use(session, application)
            wallet.use(session, application)
            row.session_id = _offered(session, application, fields.get("issuer_state"))
            session.add(row)
        except Refused as fault:
            refused = fault
    if refused is not None:
        raise refused
    headers = dpop.fresh_nonce(application) if proof is not None else {}
    answer = {"request_uri": PREFIX + token, "expires_in": int(LIFETIME.total_seconds())}
    return json_answer(answer, status=201, headers=headers)


def find_request(
    session: Session, application: Application, request_uri: str | None
) -> AuthorizationRequestRow | None:
    """The request behind a reference, while it can still be answered."""
    if request_uri is None or not request_uri.startswith(PREFIX):
        return None
    token = request_uri.removeprefix(PREFIX)
    if not is_token(token):
        return None
    key = (application.tenant, application.hash_secret(_PURPOSE, token))
    row = session.get(AuthorizationRequestRow, key, populate_existing=True)
    if row is None or row.answered_at is not None or row.expires_at <= application.now():
        return None
    return row


def open_request(
    session: Session, application: Application, request_uri: str
) -> AuthorizationRequestRow | None:
    """The same in a writing transaction, for a browser that comes with it: now there is a quarter of an hour."""
    row = find_request(session, application, request_uri)
    if row is not None:
        now = application.now()
        row.expires_at = min(now, row.created_at + LIFETIME) + PAGE_LIFETIME
    return row


def _request(
    application: Application, wallet: Wallet, fields: dict[str, str], jkt: str | None
) -> AuthorizationRequestRow:
    """What the form asks for. Raises Refused."""
    if not wallet.client_id or len(wallet.client_id) > _LONGEST_CLIENT or not wallet.client_id.isprintable():
        raise invalid("CLIENT_MISSING")
    # HAIP 1.0, 4.4.1: the wallet names itself here, as its attestation does.
    if not fields.get("client_id") or "request_uri" in fields or "request" in fields:
        raise Refused("invalid_request", "REQUEST_FORM")
    if fields.get("response_type") != "code":
        raise Refused("unsupported_response_type", "RESPONSE_TYPE")
    if fields.get("response_mode", "query") != "query":
        raise Refused("invalid_request", "RESPONSE_MODE")
    challenge = fields.get("code_challenge", "")
    if fields.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise Refused("invalid_request", "CHALLENGE")
    told = fields.get("dpop_jkt")
    if told is not None and (not _CHALLENGE.fullmatch(told) or jkt not in (None, told)):
        raise Refused("invalid_request", "DPOP_KEY")
    if len(fields.get("state", "")) > _LONGEST_STATE:
        raise Refused("invalid_request", "STATE")
    configurations, by_identifier = _configurations(application, fields)
    now = application.now()
    return AuthorizationRequestRow(
        tenant=application.tenant,
        client_id=wallet.client_id,
        wallet_name=wallet.name,
        redirect_uri=_redirect_uri(application, wallet, fields.get("redirect_uri", "")),
        state=fields.get("state"),
        configurations=configurations,
        by_identifier=by_identifier,
        code_challenge=challenge,
        dpop_jkt=told or jkt,
        instance_jkt=wallet.instance_jkt,
        created_at=now,
        expires_at=now + LIFETIME,
    )


def _redirect_uri(application: Application, wallet: Wallet, told: str) -> str:
    """Where the wallet wants its code. One that nobody vouches for gets it only where the operator has said.

    Otherwise anybody could have a holder agree on our page and be sent on to theirs.
    """
    if not wallet.is_attested and told not in application.config.eudi.redirect_uris:
        raise Refused("invalid_request", "REDIRECT_UNKNOWN")
    if wallet.is_attested and (not _REDIRECT.fullmatch(told) or _has_bad_port(told)):
        raise Refused("invalid_request", "REDIRECT")
    return told


def _has_bad_port(told: str) -> bool:
    try:
        _ = urlsplit(told).port
    except ValueError:
        return True
    return False


def _configurations(application: Application, fields: dict[str, str]) -> tuple[list[str], bool]:
    """The configurations that are asked for, and whether by authorization details."""
    known = making.configurations(application)
    detailed_ones = detailed(fields.get("authorization_details"), known)
    scopes = [one for one in dict.fromkeys(fields.get("scope", "").split(" ")) if one in known]
    wanted = list(dict.fromkeys([*(detailed_ones or []), *scopes]))
    if not wanted:
        raise Refused("invalid_scope", "SCOPE")
    if len({known[one].type_id for one in wanted}) != 1:
        # A visit proves the holder of one pass.
        raise Refused("invalid_scope", "SCOPE_ONE_PASS")
    return wanted, detailed_ones is not None


def _offered(session: Session, application: Application, state: str | None) -> str | None:
    """The offer that the request goes back to. It may be anybody's, so it opens nothing (OpenID4VCI 1.0, 5.1.3)."""
    if state is None or not _SESSION.fullmatch(state):
        return None
    row = session.get(IssuanceSessionRow, (application.tenant, state))
    return row.id if row is not None and row.ended_at is None and row.code_used_at is None else None
