"""Certificates of residence by the register of residents: what it says is issued, and nothing that was sent."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

import msgspec
from litestar import Response, post
from litestar.params import Body
from litestar.types import ControllerRouterHandler
from sqlalchemy.orm import Session

from issuer import audit
from issuer.api.auth import ApiRequest, application_of, require
from issuer.api.documentation import Success, documented
from issuer.api.idempotency import Answer, answer_once
from issuer.api.pass_answers import pass_answer
from issuer.api.pass_examples import body_example
from issuer.api.pass_schemas import PassAnswer, Period
from issuer.api.scopes import Scope
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal
from issuer.holder_changes import RESIDENCE
from issuer.residence.issuing import Asked, CertificateRefused, certificate_type, issue, look_up
from issuer.rules.sources.protocols import SourceAway
from issuer.staff.accesses import RESIDENTS
from issuer.web import rates
from issuer.web.problems import problem

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Short = Annotated[str, msgspec.Meta(min_length=1, max_length=20)]
_UNAVAILABLE: Final = 503
_TOO_OFTEN: Final = 429


class NewCertificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who asks: name, birth date and one of the addresses, main or secondary, as the register has it.

    Some of several given names are enough. ``email`` is where the pick-up link can go; it stands on nothing.
    """

    family_name: _Name
    given_names: _Name
    birth_date: date
    street: _Name
    house_number: _Short
    postal_code: _Short | None = None
    email: Annotated[str, msgspec.Meta(max_length=254)] | None = None
    language: Annotated[str, msgspec.Meta(pattern=r"\A(de|en)\Z")] = "de"


_NUMBER: Final = "RC-2026-000042"
_AT: Final = "2026-11-20T11:00:00+00:00"
_EXAMPLE: Final = NewCertificate(
    "Mustermann", "Erika", date(1984, 8, 12), "Heidestraße", "17", "40213", "erika@example.org"
)
_ISSUED: Final = msgspec.convert(
    {
        "type": RESIDENCE,
        "number": _NUMBER,
        "status": "active",
        "period": msgspec.to_builtins(Period(date(2026, 11, 20), date(2027, 2, 17))),
        "attributes": {},
        "revision": 1,
        "issued_at": _AT,
        "created_at": _AT,
        "updated_at": _AT,
    },
    PassAnswer,
)


@post(
    "/residence-certificates",
    sync_to_thread=True,
    guards=[require(Scope.RESIDENCE_WRITE)],
    operation_id="createResidenceCertificate",
    tags=["Passes"],
    summary="Issue a certificate of residence",
    description=(
        "Section 18 (1) BMG, free of charge. Whoever calls this has made sure who asks. What the register of "
        "residents says is issued, if the operator has connected one; certificates of the same person that say "
        "otherwise are superseded. 409 `CERTIFICATE_AT_OFFICE` for everybody it does not confirm, for whatever "
        "reason, a block of disclosure (section 51 BMG) included: tell the person to come to the office. What the "
        "certificate says is in the answer with the scope `holders:read` only. Then `pickup-links` and `eudi-offers` "
        "as for every pass; Apple and Google never. Each call stands in the audit trail with the client and without "
        "the person; 429 beyond 120 at once and one more every five seconds."
    ),
    responses=documented(
        Success(201, PassAnswer, {"certificate": _ISSUED}, "The certificate; `Location` says where it is"),
        IssuerRefusal("CERTIFICATE_AT_OFFICE"),
        IssuerRefusal("CERTIFICATE_OFF"),
        problem(_UNAVAILABLE, "RESIDENTS_AWAY"),
        problem(_TOO_OFTEN, "TOO_MANY_REQUESTS"),
    ),
)
def create_certificate(
    request: ApiRequest, data: Annotated[NewCertificate, Body(examples=body_example("erika", _EXAMPLE))]
) -> Response[bytes]:
    """Issue what the register says of the person."""
    application = application_of(request)
    if certificate_type(application) is None:
        raise IssuerRefusal("CERTIFICATE_OFF")
    _note_look(request)
    # Before the transaction: a large file is not read while everybody else waits to write.
    resident = look_up(
        application,
        Asked(
            data.family_name,
            data.given_names,
            data.birth_date,
            data.street,
            data.house_number,
            data.postal_code or "",
        ),
    )
    if isinstance(resident, SourceAway):
        raise problem(_UNAVAILABLE, "RESIDENTS_AWAY")

    def effect(session: Session) -> Answer:
        try:
            content = issue(
                session,
                application,
                resident,
                actor=request.user.actor,
                email=data.email or "",
                language=data.language,
            )
        except CertificateRefused:
            # What the register says cannot stand in a certificate: a person has to look, as for the others.
            raise IssuerRefusal("CERTIFICATE_AT_OFFICE") from None
        body, headers = pass_answer(application, session, request.user, (content.type_id, content.number))
        location = f"/api/v1/passes/{content.type_id}/{content.number}"
        return Answer(201, body, {**headers, "Location": location})

    return answer_once(request, data, effect)


def _note_look(request: ApiRequest) -> None:
    """Note that the client looks into the register, not at whom, whatever the answer. Raises the problem 429."""
    application, client = application_of(request), request.user
    with application.writing() as session:
        if not rates.take(session, application, rates.RESIDENTS_OF_CLIENT, client.id):
            wait = {"Retry-After": str(rates.RESIDENTS_OF_CLIENT.seconds)}
            raise problem(_TOO_OFTEN, "TOO_MANY_REQUESTS", headers=wait)
        event = AuditEvent("look-up", RESIDENTS)
        audit.append(session, application.tenant, [event], application.now(), client.actor)


HANDLERS: list[ControllerRouterHandler] = [create_certificate]
