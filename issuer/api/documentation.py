"""Describing operations in OpenAPI: the answers of a handler, with an example for each.

A handler names its success and the refusals that are its own; what every operation has (credentials, unreadable
bodies, faults of ours) is added when the description is finished (`issuer.api.description`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

from issuer.web.problems import MEDIA_TYPE, Problem, problem_of, status_of
from keys.errors import Refusal


@dataclass(frozen=True, slots=True)
class Success:
    """What an operation answers when it works: ``examples`` maps a name to a value of ``body``'s type."""

    status: int
    body: Any
    examples: Mapping[str, Any]
    description: str = "Done"
    media_type: str = "application/json"


def documented(success: Success | None, *refusals: Refusal) -> dict[int, ResponseSpec]:
    """The ``responses`` of a handler: its success, and the problem details of ``refusals`` by their status."""
    found: dict[int, ResponseSpec] = {}
    if success is not None:
        found[success.status] = ResponseSpec(
            data_container=success.body,
            generate_examples=False,
            description=success.description,
            media_type=success.media_type,
            examples=[
                Example(id=name, summary=name, value=msgspec.to_builtins(value))
                for name, value in success.examples.items()
            ],
        )
    by_status: dict[int, list[Refusal]] = {}
    for refusal in refusals:
        by_status.setdefault(status_of(refusal), []).append(refusal)
    for status, group in by_status.items():
        found[status] = ResponseSpec(
            data_container=Problem,
            generate_examples=False,
            description=problem_of(group[0], "en").title,
            media_type=MEDIA_TYPE,
            examples=[
                Example(id=one.code, summary=one.code, value=msgspec.to_builtins(problem_of(one, "en")))
                for one in group
            ],
        )
    return found


class TokenAnswer(msgspec.Struct, frozen=True):
    """An access token (RFC 6749, 5.1)."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str


class TokenFault(Problem, frozen=True, kw_only=True):
    """An error of the token endpoint: the members of RFC 6749, 5.2, beside those of problem details."""

    error: str
    error_description: str


def _token_fault(status: int, error: str, detail: str) -> Example:
    code = f"OAUTH_{error.upper()}"
    value = TokenFault(
        type=f"urn:stadtpass:problem:{code.lower().replace('_', '-')}",
        title="Not signed in" if status == 401 else "Request cannot be read",
        status=status,
        detail=detail,
        code=code,
        error=error,
        error_description=detail,
    )
    return Example(id=error, summary=error, value=msgspec.to_builtins(value))


_TOKEN: Final = TokenAnswer("spt_kV3…", "Bearer", 900, "passes:read")
TOKEN_RESPONSES: Final = {
    **documented(Success(200, TokenAnswer, {"token": _TOKEN}, "An access token for 15 minutes")),
    400: ResponseSpec(
        data_container=TokenFault,
        generate_examples=False,
        description="The request is not one of RFC 6749",
        examples=[
            _token_fault(400, "invalid_request", "The request for an access token lacks something."),
            _token_fault(400, "unsupported_grant_type", "Only grant_type=client_credentials."),
            _token_fault(400, "invalid_scope", "The client lacks at least one of the scopes asked for."),
        ],
    ),
    401: ResponseSpec(
        data_container=TokenFault,
        generate_examples=False,
        description="Unknown client, wrong secret, or one that holds no more",
        examples=[_token_fault(401, "invalid_client", "The id or secret of the client is wrong.")],
    ),
}


@dataclass
class TokenOperation(Operation):
    """The token endpoint reads its form itself, so its body is described here."""

    def __post_init__(self) -> None:
        text = Schema(type=OpenAPIType.STRING)
        form = Schema(
            type=OpenAPIType.OBJECT,
            required=["grant_type"],
            properties={
                "grant_type": Schema(type=OpenAPIType.STRING, enum=["client_credentials"]),
                "scope": text,
                "client_id": text,
                "client_secret": text,
            },
        )
        example = Example(value={"grant_type": "client_credentials", "scope": "passes:read passes:write"})
        self.request_body = RequestBody(
            required=True,
            description="`client_id` and `client_secret` only without HTTP Basic.",
            content={
                "application/x-www-form-urlencoded": OpenAPIMediaType(
                    schema=form, examples={"token": example}
                )
            },
        )
        self.security = [{"oauthClient": []}, {}]
