"""Errors as problem details (RFC 9457): one shape for everything that a JSON endpoint refuses.

Which status a refusal gets follows from its code:

====== =====================================================================================
400    the request cannot be read: broken JSON, a header or cursor in no known form
401    no credentials, or none that hold; 403 credentials without the scope
404    no such object here, which is also the answer for the objects of other tenants
405, 406, 408, 413, 414, 415, 429  as HTTP says
409    the state of the object forbids it, or an equal request is under way
412    the object is another one than If-Match says; 428 without If-Match
422    readable, but a value is not acceptable; ``errors`` points at the places
503    the service cannot do it now, for reasons that are the operator's (``Retry-After``)
500    a fault of ours, without any text about it
====== =====================================================================================
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from issuer.errors import IssuerRefusal
from keys.errors import KeyRefusal, Refusal
from keys.texts import LANGUAGES, texts

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 10

_LOG = logging.getLogger("issuer.web")
_UNPROCESSABLE: Final = 422
# Everything that is not here is a value that was not acceptable: 422.
_STATUS_OF_CODE: Final[Mapping[str, int]] = {
    **dict.fromkeys(
        (
            "NUMBER_UNKNOWN",
            "PRESENTATION_UNKNOWN",
            "TYPE_UNKNOWN",
            "IMPORT_UNKNOWN",
            "WEBHOOK_UNKNOWN",
            "DELIVERY_UNKNOWN",
            "DEVICE_UNKNOWN",
            "PRINT_UNKNOWN",
            "INVITATION_UNKNOWN",
            "STAFF_UNKNOWN",
            "CASE_UNKNOWN",
        ),
        404,
    ),
    "DEVICE_INVITED_BY_OTHER": 403,
    **dict.fromkeys(
        (
            "NUMBER_AMBIGUOUS",
            "NOTHING_CHANGES",
            "PASS_REVOKED",
            "PASS_SUPERSEDED",
            "PASS_UNPAID",
            "PASS_ENDED",
            "PASS_SUSPENDED",
            "PASS_NOT_SUSPENDED",
            "PASS_APPROVED",
            "RENEWAL_TOO_EARLY",
            "WEBHOOK_DISABLED",
            "WEBHOOKS_TOO_MANY",
            "DELIVERY_UNDER_WAY",
            "CARD_TAKEN",
            "CARD_SPENT",
            "CARD_JUST_TAKEN",
            "DUPLICATE_ID",
            "DUPLICATE_CARD",
            "REGISTER_CHANGED",
            "DEVICE_NOT_PENDING",
            "EUDI_OFF",
            "EUDI_NOT_OF_TYPE",
            "PRESENTATION_NOT_SET_UP",
            "PRESENTATION_NOTHING",
            "CERTIFICATE_AT_OFFICE",
            "CERTIFICATE_OFF",
            "CERTIFICATE_NOT_RENEWED",
        ),
        409,
    ),
}
# Their sentences are for the operator and may name files; outside they are all the same.
_OPERATOR_CODES: Final = frozenset(
    {
        "REGISTER_BUSY",
        "REGISTER_GIVEN_UP",
        "REGISTER_MISSING",
        "REGISTER_DAMAGED",
        "REGISTER_NEWER",
        "DATA_MISSING",
        "CONFIG_INVALID",
        "CONFIG_VARIABLE",
        "NO_SIGNING_KEY",
        "NO_SEAL_KEY",
        "NO_PASSPHRASE",
        "ROOT_OFFLINE",
        "SETTING_INVALID",
        "FILE_FAULT",
        "FILES_FAULT",
    }
)
_HTTP_CODES: Final[Mapping[int, str]] = {
    400: "REQUEST_UNREADABLE",
    401: "CREDENTIALS_MISSING",
    403: "ACCESS_DENIED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    408: "REQUEST_UNREADABLE",
    413: "BODY_TOO_LARGE",
    414: "REQUEST_UNREADABLE",
    415: "MEDIA_TYPE_UNSUPPORTED",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL",
    503: "SERVICE_UNAVAILABLE",
}
_TITLES: Final = frozenset({400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429, 500, 503})


class FieldProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong at one place: a JSON pointer into the body (RFC 6901), or the name of a parameter."""

    detail: str
    code: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem details object; ``code`` never changes its meaning, ``detail`` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] = msgspec.field(default_factory=list)
    # What might have been meant, where the request can be read in several ways.
    suggestions: list[str] = msgspec.field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault at one place of the request: ``pointer`` into the body or ``parameter`` of the query.

    The sentence is ``text`` (default: the code) in the catalogue of ``package``; a param that is a refusal stands
    for its sentence.
    """

    code: str
    params: Mapping[str, object]
    pointer: str | None = None
    parameter: str | None = None
    package: str = "issuer"
    text: str | None = None

    def shown(self, language: str) -> FieldProblem:
        """The fault as it is answered in ``de`` or ``en``."""
        facts = {
            name: value.sentence(language) if isinstance(value, Refusal) else value
            for name, value in self.params.items()
        }
        detail = texts(self.package, language)(self.text or self.code, **facts)
        return FieldProblem(detail, self.code, self.pointer, self.parameter)


class ProblemRefusal(IssuerRefusal):
    """A refusal that says itself which status it has; ``params`` must not hold secrets."""

    def __init__(
        self,
        status: int,
        code: str,
        /,
        *,
        headers: Mapping[str, str] | None = None,
        faults: Sequence[Fault] = (),
        suggestions: Sequence[str] = (),
        **params: object,
    ) -> None:
        super().__init__(code, **params)
        self.status = status
        self.headers = dict(headers or {})
        self.faults = tuple(faults)
        self.suggestions = tuple(suggestions)


def problem(
    status: int,
    code: str,
    /,
    *,
    headers: Mapping[str, str] | None = None,
    faults: Sequence[Fault] = (),
    suggestions: Sequence[str] = (),
    **params: object,
) -> ProblemRefusal:
    """A refusal to raise: ``raise problem(404, "JOB_UNKNOWN", id=job_id)``; the sentence is the catalogue's."""
    return ProblemRefusal(status, code, headers=headers, faults=faults, suggestions=suggestions, **params)


def misplaced(
    refusal: Refusal, *, pointer: str | None = None, parameter: str | None = None
) -> ProblemRefusal:
    """``refusal`` of a value as a problem with status 422 that points at the place of the value."""
    fault = Fault(refusal.code, refusal.params, pointer, parameter, refusal.package, refusal.text)
    return ProblemRefusal(_UNPROCESSABLE, "REQUEST_INVALID", faults=[fault])


def status_of(refusal: Refusal) -> int:
    """The HTTP status that a refusal gets."""
    if isinstance(refusal, ProblemRefusal):
        return refusal.status
    if isinstance(refusal, KeyRefusal) or refusal.code in _OPERATOR_CODES:
        return 503
    return _STATUS_OF_CODE.get(refusal.code, _UNPROCESSABLE)


def problem_of(refusal: Refusal, language: str = "de") -> Problem:
    """The problem details of ``refusal`` in ``de`` or ``en``."""
    status = status_of(refusal)
    if status == 503 and not isinstance(refusal, ProblemRefusal):
        return _problem(status, "SERVICE_UNAVAILABLE", _say(language, "SERVICE_UNAVAILABLE"), language)
    faults, suggestions = (
        (refusal.faults, refusal.suggestions) if isinstance(refusal, ProblemRefusal) else ((), ())
    )
    return _problem(
        status,
        refusal.code,
        refusal.sentence(language),
        language,
        [one.shown(language) for one in faults],
        list(suggestions),
    )


def language_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """``de`` or ``en``, whichever the Accept-Language header likes better (RFC 9110, 12.5.4); else ``de``."""
    best, best_weight = LANGUAGES[0], 0.0
    for part in connection.headers.get("accept-language", "")[:200].split(","):
        tag, _, parameter = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        found = re.fullmatch(r"\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*", parameter)
        weight = float(found[1]) if found else (0.0 if parameter else 1.0)
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best


def _respond(
    request: Request[Any, Any, Any], body: Problem, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    sent = {"Content-Language": language_of(request), "Cache-Control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(body), status_code=body.status, media_type=MEDIA_TYPE, headers=sent)


def refused(request: Request[Any, Any, Any], refusal: Refusal) -> Response[bytes]:
    """The answer to a refusal."""
    headers = dict(refusal.headers) if isinstance(refusal, ProblemRefusal) else {}
    if status_of(refusal) == 503:
        # The operator needs the code; the sentence may name what must not be logged twice.
        _LOG.error("refused: %s", refusal.code)
        headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    return _respond(request, problem_of(refusal, language_of(request)), headers)


def http_fault(request: Request[Any, Any, Any], fault: HTTPException) -> Response[bytes]:
    """The answer to what the framework refuses: unknown paths, methods, bodies it cannot read."""
    language = language_of(request)
    if isinstance(fault, ValidationException):
        faults = [_fault_at(one) for one in fault.extra or () if isinstance(one, dict)]
        return refused(request, ProblemRefusal(_UNPROCESSABLE, "REQUEST_INVALID", faults=faults))
    if fault.status_code >= 500 and fault.status_code != 503:
        return internal_fault(request, fault)
    status = fault.status_code if fault.status_code in _HTTP_CODES else 400
    return _respond(request, http_problem(status, language), fault.headers)


def internal_fault(request: Request[Any, Any, Any], fault: Exception) -> Response[bytes]:
    """The answer to a fault of ours: nothing about it outside; the log gets its place, not its values."""
    # The text of an exception may hold what a query asked for, so only its kind and the lines are kept.
    lines = "".join(traceback.format_tb(fault.__traceback__))
    _LOG.error("internal fault %s\n%s", type(fault).__name__, lines)
    language = language_of(request)
    return _respond(request, _problem(500, "INTERNAL", _say(language, "INTERNAL"), language))


def http_problem(status: int, language: str) -> Problem:
    """What HTTP itself refuses, in ``de`` or ``en``; ``status`` is one that outer layers or the framework give."""
    code = _HTTP_CODES[status]
    return _problem(status, code, _say(language, code), language)


EXCEPTION_HANDLERS: Final[ExceptionHandlersMap] = {
    Refusal: refused,
    HTTPException: http_fault,
    Exception: internal_fault,
}


def _say(language: str, code: str) -> str:
    return texts("issuer", language)(code)


def _problem(
    status: int,
    code: str,
    detail: str,
    language: str,
    errors: list[FieldProblem] | None = None,
    suggestions: list[str] | None = None,
) -> Problem:
    title = _say(language, f"PROBLEM_{status if status in _TITLES else 400}")
    kind = f"urn:stadtpass:problem:{code.lower().replace('_', '-')}"
    return Problem(kind, title, status, detail, code, errors or [], suggestions or [])


# What msgspec says of a value, and our code for it.
_VALUE_FAULTS: Final = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"Object missing required field `(?P<field>[^`]*)`", "VALUE_REQUIRED"),
        (r"Missing required (?:query|header|cookie) parameter '(?P<field>[^']*)'", "VALUE_REQUIRED"),
        (r"Object contains unknown field `(?P<field>[^`]*)`", "VALUE_NOT_KNOWN"),
        (r"Expected `(?P<wanted>(?:str|array|bytes)` of length .*)", "VALUE_LENGTH"),
        (r"Expected `(?:int|float)` (?P<wanted>[<>].*)", "VALUE_RANGE"),
        (r"Expected `str` matching regex .*", "VALUE_PATTERN"),
        (r"Invalid enum value .*", "VALUE_CHOICE"),
        (r"Expected `(?P<wanted>[^`]*)`, got `(?P<found>[^`]*)`", "VALUE_KIND"),
        (r"Invalid (?:RFC3339|ISO8601) .*", "VALUE_TIME"),
    )
)
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([0-9]+|\.\.\.)\]")


def _fault_at(said: Mapping[str, Any]) -> Fault:
    key, source = str(said.get("key", "")), said.get("source")
    code, field = "VALUE_INVALID", ""
    for pattern, candidate in _VALUE_FAULTS:
        if found := pattern.match(str(said.get("message", ""))):
            code, field = candidate, found.groupdict().get("field") or ""
            break
    if source is not None and source != "body":
        return Fault(code, {}, parameter=key[:80])
    steps = [] if key == "data" else [one[0] or one[1] for one in _STEP.findall(key)]
    pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in (*steps, field) if step)
    return Fault(code, {}, pointer=f"#{pointer}"[:200])
