"""Taking a wallet's answer: decrypted, of this question, checked, and kept sealed for whoever has asked.

Whoever does not know the question, its state or its key uses nothing up. What is of this question ends it, whether it
holds or not: of two answers at the same time one is taken.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import CursorResult, update
from sqlalchemy.orm import Session

from issuer import audit, counters
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.eudi import addresses, encryption, jws
from issuer.eudi.errors import Refused
from issuer.models_presentations import PresentationRow
from issuer.one_time_links import new_token
from issuer.presentations import store
from issuer.presentations.asking import response_hash, subject
from issuer.presentations.errors import AnswerRefused
from issuer.presentations.handles import Way
from issuer.presentations.reading import Question, shown_in
from issuer.presentations.request_object import open_question
from issuer.presentations.status_lists import ListsOnDemand
from issuer.presentations.store import OPEN, Shown, State
from issuer.settings import Settings
from keys.errors import Refusal
from verifier.credentials.outcome import PresentationRefused

_WALLET: Final = "wallet"
_DENIED: Final = "access_denied"
# OpenID4VP 1.0, 8.5, and RFC 6749, 4.1.2.1; whatever else somebody makes up is not stored.
_ERRORS: Final = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "unauthorized_client",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "vp_formats_not_supported",
        "invalid_request_uri_method",
        "invalid_transaction_data",
        "wallet_unavailable",
    }
)
_LONGEST_FAULT: Final = 100


@dataclass(frozen=True, slots=True)
class Reply:
    """What the wallet hears: where it sends its user, if it is on the device that has asked; and whether it holds."""

    holds: bool
    redirect_uri: str | None


def take_answer(application: Application, token: str, fields: Mapping[str, str]) -> Reply:
    """Take the answer ``fields`` (OpenID4VP 1.0, 8.2, 8.3.1 and 8.5) to the question behind an address.

    Raises Refused for what is no answer to it, and once it has one.
    """
    with application.reading() as session:
        row, question = open_question(session, application, token)
        settings = application.settings(session)
    members = _members(question, fields)
    shown, refusal = None, None
    try:
        shown = _checked(application, settings, question, members)
    except (PresentationRefused, AnswerRefused) as fault:
        refusal = fault
    code = new_token() if question.handles.way is Way.SAME_DEVICE else None
    with application.writing() as session:
        taken = _store(session, application, row.id, shown, refusal, code)
    if not taken:
        raise Refused("invalid_request", "QUESTION", status=404)
    counters.PRESENTATIONS.labels(_result(refusal)).inc()
    return Reply(refusal is None, None if code is None else _back(settings, row.back, code))


def _result(refusal: Refusal | None) -> str:
    if refusal is None:
        return "holds"
    return "declined" if refusal.code == "PRESENTATION_DECLINED" else "refused"


def _members(question: Question, fields: Mapping[str, str]) -> Mapping[str, Any]:
    """The members of the answer. Raises Refused; only errors may come in the open (OpenID4VP 1.0, 8.3.1)."""
    members: Mapping[str, Any]
    if "response" in fields:
        try:
            members = jws.read_object(encryption.opened(fields["response"], [question.handles.key]))
        except jws.JwsError:
            raise Refused("invalid_request", "ANSWER_DECRYPT") from None
    elif "error" in fields:
        members = {"error": fields["error"], "state": fields.get("state")}
    else:
        raise Refused("invalid_request", "ANSWER_MISSING")
    state = members.get("state")
    # JSON may hold half of a surrogate pair, which is no UTF-8.
    if not isinstance(state, str) or not state.isascii():
        raise Refused("invalid_request", "ANSWER_STATE")
    if not hmac.compare_digest(state.encode(), question.handles.state.encode()):
        raise Refused("invalid_request", "ANSWER_STATE")
    return members


def _checked(
    application: Application, settings: Settings, question: Question, members: Mapping[str, Any]
) -> Shown:
    error = members.get("error")
    if error is not None:
        if error == _DENIED:
            raise AnswerRefused("PRESENTATION_DECLINED")
        raise AnswerRefused(
            "PRESENTATION_WALLET", fault=error if isinstance(error, str) and error in _ERRORS else "?"
        )
    lists = ListsOnDemand(application, addresses.issuer_of(settings))
    try:
        return shown_in(application, question, members.get("vp_token"), application.now(), lists)
    except PresentationRefused as fault:
        if fault.code == "PRESENTATION_STATUS_UNKNOWN":
            lists.forget()
        raise


def _store(
    session: Session,
    application: Application,
    asked_id: str,
    shown: Shown | None,
    refusal: Refusal | None,
    code: str | None,
) -> bool:
    """Store the answer, in a writing transaction, unless there is one; says whether it was stored."""
    now = application.now()
    fault = None if refusal is None else str(refusal.params.get("fault", ""))[:_LONGEST_FAULT]
    done: CursorResult[Any] = session.connection().execute(
        update(PresentationRow)
        .where(
            PresentationRow.tenant == application.tenant,
            PresentationRow.id == asked_id,
            PresentationRow.state.in_(OPEN),
            PresentationRow.ends_at > now,
        )
        .values(
            state=State.HOLDS if shown is not None else State.REFUSED,
            code=None if refusal is None else refusal.code,
            fault=fault,
            answer=None if shown is None else store.sealed(application, asked_id, shown),
            seed=None,
            response_hash=None if code is None else response_hash(application, code),
            answered_at=now,
        )
    )
    if done.rowcount != 1:
        return False
    after: dict[str, audit.Fact] = {"holds": shown is not None}
    if shown is not None:
        after |= {"credential": shown.credential.value, "format": shown.format}
    if refusal is not None:
        after["code"] = refusal.code
    if fault:
        # In the words of the protocols: for whoever looks after wallets, on no page for people.
        after["fault"] = fault
    event = AuditEvent("presentation-answer", subject(asked_id), after=after)
    audit.append(session, application.tenant, [event], now, _WALLET)
    return True


def _back(settings: Settings, path: str, code: str) -> str:
    """Where the wallet sends its user: our page, with a fresh code that only this wallet knows (8.2)."""
    return f"{addresses.address(settings, path)}{'&' if '?' in path else '?'}response_code={code}"
