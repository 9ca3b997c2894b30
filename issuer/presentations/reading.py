"""What a wallet has shown, read and checked: it answers the question, it holds, nothing is missing or too much.

The wallet is nobody whom we could rely on: whatever the question said is checked anew (OpenID4VP 1.0, 8.6 and 14.9).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from issuer.application import Application
from issuer.presentations.errors import AnswerRefused
from issuer.presentations.handles import Handles
from issuer.presentations.store import Shown
from issuer.presentations.trust import anchors_of, check_own
from issuer.presentations.wishes import MDOC, Query
from passes.sd_jwt import decoded
from verifier.credentials.disclosures import ClaimPath
from verifier.credentials.mdoc import ExpectedMdoc, check_mdoc, openid4vp_transcript
from verifier.credentials.outcome import Presented, malformed
from verifier.credentials.sd_jwt import Expected, check_sd_jwt
from verifier.credentials.status import StatusLists

_DAYS: Final = frozenset({"birth_date", "valid_until"})
_LONGEST: Final = 300
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked: one of ``asked``, as ``client_id``, to be sent to ``response_uri``, with this way's secrets."""

    asked: Sequence[Query]
    client_id: str
    response_uri: str
    handles: Handles


def shown_in(
    application: Application, question: Question, vp_token: object, at: datetime, lists: StatusLists
) -> Shown:
    """What ``vp_token`` shows at ``at`` (aware).

    Raises PresentationRefused; AnswerRefused PRESENTATION_NOT_ASKED, PRESENTATION_INCOMPLETE; IssuerRefusal
    FILE_FAULT.
    """
    query, presentation = _answered(question.asked, vp_token)
    anchors = anchors_of(application, query.credential)
    handles = question.handles
    if query.form == MDOC:
        thumbprint = decoded(handles.key.thumbprint())
        transcript = openid4vp_transcript(
            question.client_id, handles.nonce, question.response_uri, thumbprint
        )
        try:
            response = decoded(presentation)
        except ValueError:
            raise malformed("no base64url") from None
        presented = check_mdoc(response, anchors, ExpectedMdoc(query.types, transcript), at, lists)
    else:
        expected = Expected(query.types, question.client_id, handles.nonce)
        presented = check_sd_jwt(presentation, anchors, expected, at, lists)
    check_own(application, presented)
    return Shown(
        query.credential,
        query.form,
        values_of(query, presented),
        _organisation(presented.certificate),
        presented.status,
        presented.expires,
        at,
    )


def values_of(query: Query, presented: Presented) -> dict[str, str]:
    """The claims that ``query`` asks for, by our names.

    Raises AnswerRefused PRESENTATION_NOT_ASKED for anything that the holder need not have shown,
    PRESENTATION_INCOMPLETE for what is missing; PresentationRefused PRESENTATION_MALFORMED for what is no text.
    """
    if not all(_is_asked(path, query) for path in presented.disclosed):
        raise AnswerRefused("PRESENTATION_NOT_ASKED")
    for path, value in query.fixed.items():
        if _at(presented.claims, path) != value:
            raise malformed("another place")
    values: dict[str, str] = {}
    for name, path in query.claims.items():
        value = _at(presented.claims, path)
        if value is None:
            if name not in query.optional:
                raise AnswerRefused("PRESENTATION_INCOMPLETE")
            continue
        values[name] = _text(name, value)
    return values


def _answered(asked: Sequence[Query], vp_token: object) -> tuple[Query, str]:
    """The query that was answered, and the one presentation for it (OpenID4VP 1.0, 8.1)."""
    if not isinstance(vp_token, Mapping) or not vp_token:
        raise malformed("vp_token")
    known = {one.id: one for one in asked}
    if len(vp_token) > 1 or not vp_token.keys() <= known.keys():
        raise AnswerRefused("PRESENTATION_NOT_ASKED")
    [(name, shown)] = vp_token.items()
    if not isinstance(shown, list) or len(shown) != 1 or not isinstance(shown[0], str):
        raise malformed("vp_token")
    return known[name], shown[0]


def _is_asked(path: ClaimPath, query: Query) -> bool:
    """Whether what stands at ``path`` is asked for, holds something that is, or is part of it."""
    return any(asked[: len(path)] == path or path[: len(asked)] == asked for asked in query.claims.values())


def _at(claims: Mapping[str, Any], path: ClaimPath) -> Any:
    value: Any = claims
    for step in path:
        if isinstance(step, str) and isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _text(name: str, value: object) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not value.isprintable():
        raise malformed(name)
    if name in _DAYS:
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            raise malformed(name) from None
    return value


def _organisation(certificate: x509.Certificate) -> str:
    """Who has signed: the organisation of the certificate, or its common name where it has none."""
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for one in certificate.subject.get_attributes_for_oid(oid):
            text = one.value if isinstance(one.value, str) else base64.b64encode(one.value).decode()
            if text.isprintable():
                return text[:_LONGEST_NAME]
    return ""
