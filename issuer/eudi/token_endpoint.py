"""The token endpoint: pre-authorized codes, authorization codes and refresh tokens, each good for one use.

The order matters (RFC 9449, 8): who asks and which key they hold is checked first, and only then is a code, a token
or a try used up. A wallet that is sent back for a nonce loses nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, post
from litestar.params import RawBody
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.eudi import addresses, dpop, offers, sessions
from issuer.eudi.errors import NO_STORE, Refused, json_answer
from issuer.eudi.requests import DETAILS_TYPE, application_of, detailed, form
from issuer.eudi.sessions import invalid_grant
from issuer.eudi.wallet_attestation import Wallet, invalid, wallet_of
from issuer.models_eudi import AuthorizationRequestRow, IssuanceSessionRow
from issuer.register import subject
from issuer.web.reader import AnyRequest

ACTOR: Final = "wallet"
CODE_PURPOSE: Final = "eudi-authorization-code"
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_LONGEST_CODE: Final = 100
_LONGEST_TX_CODE: Final = 40


@dataclass(frozen=True, slots=True)
class _Asked:
    """A token request whose sender and key have been checked."""

    application: Application
    fields: Mapping[str, str]
    wallet: Wallet
    jkt: str | None

    def field(self, name: str, longest: int = _LONGEST_CODE) -> str:
        """A field that has to be there. Raises Refused invalid_request."""
        value = self.fields.get(name, "")
        if not 0 < len(value) <= longest:
            raise Refused("invalid_request", "FIELD_MISSING")
        return value


@post(addresses.TOKEN, status_code=200, sync_to_thread=True)
def give_tokens(request: AnyRequest, body: RawBody) -> Response[bytes]:
    """Tokens for a code or a refresh token (RFC 6749, 4.1.3 and 6; OpenID4VCI 1.0, 6)."""
    application = application_of(request)
    fields = form(request, body)
    with application.reading() as session:
        settings = application.settings(session)
    issuer = addresses.issuer_of(settings)
    if not fields.get("grant_type"):
        raise Refused("invalid_request", "GRANT_MISSING")
    grant = _GRANTS.get(fields["grant_type"])
    if grant is None:
        raise Refused("unsupported_grant_type", "GRANT")
    wallet = wallet_of(application, request, fields, issuer)
    proof = dpop.check(application, request, addresses.address(settings, addresses.TOKEN))
    if proof is None and application.config.eudi.haip:
        raise dpop.missing(application)
    asked = _Asked(application, fields, wallet, proof.jkt if proof is not None else None)
    with application.writing() as session:
        # A refusal is told after the transaction: what it has used up stays used.
        answer: dict[str, Any] | Refused
        try:
            if proof is not None:
                proof.use(session, application)
            wallet.use(session, application)
            answer = grant(session, asked)
        except Refused as refused:
            answer = refused
    nonce = dpop.fresh_nonce(application) if proof is not None else {}
    if isinstance(answer, Refused):
        answer.headers.update(nonce)
        raise answer
    return json_answer(answer, headers={**NO_STORE, "Pragma": "no-cache", **nonce})


def _pre_authorized(session: Session, asked: _Asked) -> dict[str, Any]:
    application = asked.application
    code = asked.field("pre-authorized_code")
    told = asked.fields.get("tx_code")
    if told is not None and len(told) > _LONGEST_TX_CODE:
        raise Refused("invalid_request", "TX_CODE_LENGTH")
    row = offers.find_by_code(session, application, code)
    if row is None or not sessions.is_open(session, application, row):
        raise invalid_grant("CODE")
    if row.tx_hash is None and told is not None:
        raise Refused("invalid_request", "TX_CODE_UNEXPECTED")
    if row.tx_hash is not None and told is None:
        raise Refused("invalid_request", "TX_CODE_MISSING")
    wanted = detailed(asked.fields.get("authorization_details"), row.configurations)
    if told is not None and not offers.accepts(session, application, row, told):
        raise invalid_grant("TX_CODE")
    row.code_used_at = application.now()
    _bind(row, asked)
    if wanted is not None:
        row.configurations, row.by_identifier = wanted, True
    return _tokens(session, application, row)


def _authorization_code(session: Session, asked: _Asked) -> dict[str, Any]:
    application = asked.application
    code, verifier = asked.field("code"), asked.field("code_verifier", 128)
    if not _VERIFIER.fullmatch(verifier):
        raise Refused("invalid_request", "VERIFIER")
    row = session.scalar(
        select(AuthorizationRequestRow)
        .where(
            AuthorizationRequestRow.tenant == application.tenant,
            AuthorizationRequestRow.code_hash == application.hash_secret(CODE_PURPOSE, code),
        )
        .execution_options(populate_existing=True)
    )
    if row is None or row.expires_at <= application.now():
        raise invalid_grant("CODE")
    if not asked.wallet.is_attested and not asked.wallet.client_id:
        raise invalid("CLIENT_MISSING")
    if row.client_id != asked.wallet.client_id or row.instance_jkt != asked.wallet.instance_jkt:
        raise invalid_grant("CODE_OTHER_WALLET")
    if row.redirect_uri != asked.fields.get("redirect_uri"):
        raise invalid_grant("CODE_REDIRECT")
    if not hmac.compare_digest(_challenge(verifier), row.code_challenge):
        raise invalid_grant("CODE_VERIFIER")
    if row.dpop_jkt is not None and row.dpop_jkt != asked.jkt:
        raise invalid_grant("CODE_OTHER_KEY")
    given = sessions.session_of(session, application, row.session_id or "")
    if row.code_used_at is not None:
        # Whoever knows the verifier comes twice: what came of the first time ends (RFC 6749, 4.1.2).
        if given is not None:
            sessions.end(session, application, given)
        raise invalid_grant("CODE")
    if given is None or not sessions.is_open(session, application, given):
        raise invalid_grant("CODE")
    wanted = detailed(asked.fields.get("authorization_details"), given.configurations)
    row.code_used_at = application.now()
    _bind(given, asked)
    if wanted is not None:
        given.configurations, given.by_identifier = wanted, True
    return _tokens(session, application, given)


def _refresh(session: Session, asked: _Asked) -> dict[str, Any]:
    application = asked.application
    token = sessions.find_token(session, application, asked.field("refresh_token"), sessions.REFRESH)
    row = sessions.session_of(session, application, token.session_id) if token is not None else None
    if token is None or row is None or not sessions.is_open(session, application, row):
        raise invalid_grant("REFRESH")
    if row.dpop_jkt is None or not hmac.compare_digest(row.dpop_jkt, asked.jkt or ""):
        raise invalid_grant("REFRESH_OTHER_KEY")
    if row.instance_jkt != asked.wallet.instance_jkt or asked.wallet.client_id not in ("", row.client_id):
        raise invalid_grant("REFRESH_OTHER_WALLET")
    if not sessions.rotate(session, application, row, token):
        sessions.end(session, application, row)
        event = AuditEvent("eudi-replay", subject(row.type_id, row.number))
        audit.append(session, application.tenant, [event], application.now(), ACTOR)
        raise invalid_grant("REFRESH_REPLAYED")
    return _tokens(session, application, row)


_GRANTS: Final[Mapping[str, Callable[[Session, _Asked], dict[str, Any]]]] = {
    offers.GRANT: _pre_authorized,
    "authorization_code": _authorization_code,
    "refresh_token": _refresh,
}
GRANTS: Final = tuple(_GRANTS)


def identifier(row: IssuanceSessionRow, configuration: str) -> str:
    """The credential identifier of a configuration in a session: there is one dataset for each, the pass."""
    return f"{configuration}.{row.id[:12]}"


def _bind(row: IssuanceSessionRow, asked: _Asked) -> None:
    row.client_id = asked.wallet.client_id
    row.instance_jkt = asked.wallet.instance_jkt
    row.dpop_jkt = asked.jkt


def _tokens(session: Session, application: Application, row: IssuanceSessionRow) -> dict[str, Any]:
    answer = sessions.new_tokens(session, application, row)
    if row.by_identifier:
        answer["authorization_details"] = [
            {
                "type": DETAILS_TYPE,
                "credential_configuration_id": one,
                "credential_identifiers": [identifier(row, one)],
            }
            for one in row.configurations
        ]
    else:
        answer["scope"] = " ".join(row.configurations)
    return answer


def _challenge(verifier: str) -> str:
    """RFC 7636, 4.6: the S256 transformation."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
