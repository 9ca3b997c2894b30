"""The signed question that a wallet fetches: a request object (RFC 9101) of OpenID4VP 1.0, as HAIP 1.0 wants it."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import update
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.eudi import encryption, identity
from issuer.eudi.errors import ALGORITHM, Refused
from issuer.models_presentations import PresentationRow
from issuer.presentations import store
from issuer.presentations.asking import client_id_of
from issuer.presentations.handles import Handles, Way
from issuer.presentations.reading import Question
from issuer.presentations.store import OPEN, State
from issuer.presentations.trust import trusted_kinds
from issuer.presentations.wishes import Wish, dcql_query, queries
from passes.sd_jwt import sign_jws

TYPE: Final = "oauth-authz-req+jwt"
MEDIA_TYPE: Final = "application/oauth-authz-req+jwt"
# OpenID4VP 1.0, 5.8: nobody knows which wallet it will be.
_AUDIENCE: Final = "https://self-issued.me/v2"
_COSE_ES256: Final = -7
_FORMATS: Final = {
    "dc+sd-jwt": {"sd-jwt_alg_values": [ALGORITHM], "kb-jwt_alg_values": [ALGORITHM]},
    "mso_mdoc": {"issuerauth_alg_values": [_COSE_ES256], "deviceauth_alg_values": [_COSE_ES256]},
}


def request_object(application: Application, token: str, wallet_nonce: str | None) -> str:
    """The question behind an address, signed; with that it is opened, and can be fetched again until it is answered.

    Raises Refused with 404 for one that is unknown, answered or over.
    """
    with application.reading() as session:
        row, question = open_question(session, application, token)
        signer = identity.access_signer(session, application)
        if client_id_of(signer) != question.client_id:
            # Another certificate since: the wallet would refuse whom the code on the screen does not name.
            raise Refused("not_found", "QUESTION", status=404)
    claims: dict[str, Any] = {
        "aud": _AUDIENCE,
        "iat": int(application.now().timestamp()),
        "exp": int(row.ends_at.timestamp()),
        "response_type": "vp_token",
        "response_mode": "direct_post.jwt",
        "client_id": question.client_id,
        "response_uri": question.response_uri,
        "nonce": question.handles.nonce,
        "state": question.handles.state,
        "dcql_query": dcql_query(question.asked),
        "client_metadata": {
            "jwks": {"keys": [encryption.public_jwk(question.handles.key)]},
            "encrypted_response_enc_values_supported": list(encryption.METHODS),
            "vp_formats_supported": _FORMATS,
        },
    }
    if wallet_nonce is not None:
        claims["wallet_nonce"] = wallet_nonce
    header = {"alg": ALGORITHM, "typ": TYPE, "x5c": signer.x5c}
    made = sign_jws(signer.signer, header, claims)
    if row.state == State.WAITING:
        _note_opened(application, row.id)
    return made


def open_question(session: Session, application: Application, token: str) -> tuple[PresentationRow, Question]:
    """The question behind an address that can still be answered. Raises Refused with 404."""
    found = store.find_by_token(session, application, token)
    if found is None or State(found[0].state) not in OPEN or found[0].seed is None:
        raise Refused("not_found", "QUESTION", status=404)
    row, way = found
    settings = application.settings(session)
    handles = Handles.of(application, row.id, found[0].seed, Way(way))
    asked = queries(application.pass_types, settings.base_url, Wish(row.wish), trusted_kinds(application))
    return row, Question(asked, row.client_id, handles.response_uri(settings), handles)


def _note_opened(application: Application, asked_id: str) -> None:
    with application.writing() as session:
        session.execute(
            update(PresentationRow)
            .where(
                PresentationRow.tenant == application.tenant,
                PresentationRow.id == asked_id,
                PresentationRow.state == State.WAITING,
            )
            .values(state=State.OPENED)
        )
