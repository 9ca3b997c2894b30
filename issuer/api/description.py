"""The description of the API (OpenAPI 3.1) and the page that shows it, both served by the installation itself.

What the handlers say is completed here: which scope an operation needs follows from its guard, and the refusals
that every operation has are added with examples.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from litestar import Litestar, Request, Response, Router
from litestar.connection import ASGIConnection
from litestar.enums import MediaType
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, OAuthFlow, OAuthFlows, SecurityScheme, Tag
from litestar.routes import HTTPRoute

from issuer.api.auth import require
from issuer.api.idempotency import HEADER, LONGEST_KEY
from issuer.api.scopes import DESCRIPTIONS
from issuer.web.problems import MEDIA_TYPE, Fault, Problem, ProblemRefusal, problem_of, status_of
from issuer.web.static_files import static_url
from keys.errors import Refusal

API: Final = "/api/v1"
# What devices of the verifier's app ask; most of it is described in the integrator's guide alone.
DEVICES: Final = "/check"
DESCRIPTION_PATH: Final = "/api/openapi.json"
PAGE_PATH: Final = "/api/docs"
SCRIPT: Final = "scalar/standalone.js"

# Scalar writes its styles into the page, so they cannot be named one by one; nothing else is let loose.
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Everything that would call somebody else's server is off; the policy above forbids it as well.
_SCALAR: Final[Mapping[str, Any]] = {
    "url": DESCRIPTION_PATH,
    "withDefaultFonts": False,
    "telemetry": False,
    "proxyUrl": "",
    "agent": {"disabled": True},
    "hideClientButton": True,
    "showDeveloperTools": "never",
    "persistAuth": False,
    "defaultOpenAllTags": True,
    "theme": "none",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Stadtpass API</title>
<link rel="icon" href="data:,">
</head>
<body>
<script id="api-reference" type="application/json" data-configuration="{configuration}"></script>
<script src="{script}"></script>
</body>
</html>
"""
_TAGS: Final = {
    "OAuth": "Access tokens by client credentials.",
    "Passes": "Issuing, changing, revoking and reading passes.",
    "Jobs": "Bulk work in the background, with reports.",
    "Webhooks": "Events for the city's own systems.",
    "Checks": "Whether a plate has a permit, for the system that deals with fines.",
    "Devices": "The devices of wardens and librarians.",
}
_INTRODUCTION: Final = """The management API of a city's Stadtpass installation.

Sign in with an API key (`Authorization: Bearer spk_...`) or with an access token of the token endpoint. Every error
is a problem details object (RFC 9457) with a stable `code`; `detail` follows `Accept-Language` (de, en). POST
requests take an `Idempotency-Key`, for 24 hours. Lists have pages: pass `next` of one page as `cursor` of the
following request. Days are those of Europe/Berlin, times are RFC 3339.

| status | what it means |
|---|---|
| 400 | the request cannot be read: broken JSON, a header or cursor in no known form |
| 401, 403 | no credentials that hold; credentials without the scope |
| 404 | no such object here: also the answer for objects of other cities |
| 409 | the state of the object forbids it, or an equal request is under way |
| 412, 428 | the object is not the version that `If-Match` names; `If-Match` is missing |
| 413, 414, 415, 429 | body too large; query too long; not the format that is read here; too many requests |
| 422 | readable, but a value is not acceptable; `errors` points at the places |
| 500, 503 | a fault of ours; not possible at the moment, see `Retry-After` |
"""
_VERBS: Final = ("get", "put", "post", "delete", "patch")
_ALWAYS: Final = (
    ProblemRefusal(429, "TOO_MANY_REQUESTS"),
    ProblemRefusal(500, "INTERNAL"),
    ProblemRefusal(503, "SERVICE_UNAVAILABLE"),
)
_WITH_INPUT: Final = (
    ProblemRefusal(400, "REQUEST_UNREADABLE"),
    ProblemRefusal(422, "REQUEST_INVALID", faults=[Fault("VALUE_REQUIRED", {}, pointer="#/reason")]),
)
_TOO_LARGE: Final = ProblemRefusal(413, "BODY_TOO_LARGE")
_TOO_LONG: Final = ProblemRefusal(414, "REQUEST_UNREADABLE")
_WITH_KEY: Final = (
    ProblemRefusal(400, "IDEMPOTENCY_KEY_FORM", limit=LONGEST_KEY),
    ProblemRefusal(409, "IDEMPOTENCY_CONFLICT"),
    ProblemRefusal(422, "IDEMPOTENCY_KEY_REUSED"),
)


class _DescriptionPlugin(JsonRenderPlugin):
    """The description, completed once for each application."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json")
        self._made: dict[int, bytes] = {}

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        key = id(openapi_schema)
        if key not in self._made:
            self._made = {key: super().render(request, finished(request.app, openapi_schema))}
        return self._made[key]


class _PagePlugin(OpenAPIRenderPlugin):
    """The page: two script tags, configured by an attribute, since no inline script may run."""

    def __init__(self) -> None:
        super().__init__(path="/docs", media_type=MediaType.HTML)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        configuration = html.escape(msgspec.json.encode(_SCALAR).decode())
        return _PAGE.format(configuration=configuration, script=static_url(SCRIPT)).encode()


def openapi_config() -> OpenAPIConfig:
    """The configuration of the application's description: `DESCRIPTION_PATH` and `PAGE_PATH`, nothing else."""
    scopes = {scope.value: text for scope, text in DESCRIPTIONS.items()}
    token_url = f"{API}/oauth/token"
    return OpenAPIConfig(
        title="Stadtpass",
        version="1",
        description=_INTRODUCTION,
        use_handler_docstrings=True,
        tags=[Tag(name=name, description=text) for name, text in _TAGS.items()],
        components=Components(
            security_schemes={
                "oauth": SecurityScheme(
                    type="oauth2",
                    description="OAuth 2.0 client credentials",
                    flows=OAuthFlows(client_credentials=OAuthFlow(token_url=token_url, scopes=scopes)),
                ),
                "apiKey": SecurityScheme(
                    type="http", scheme="bearer", description="An API key: `spk_...`; its scopes are fixed"
                ),
                "device": SecurityScheme(
                    type="http",
                    scheme="signature",
                    description="A device of the verifier's app signs each request (RFC 9421)",
                ),
                "oauthClient": SecurityScheme(
                    type="http",
                    scheme="basic",
                    description="client_id and client_secret, for the token endpoint",
                ),
            }
        ),
        path="/api",
        render_plugins=[_PagePlugin(), _DescriptionPlugin()],
        openapi_router=Router(
            path="/api",
            route_handlers=[],
            include_in_schema=False,
            guards=[_only_documents],
            after_request=_with_policy,
        ),
    )


def finished(app: Litestar, description: dict[str, Any]) -> dict[str, Any]:
    """The description of the operations under ``/api/v1`` and for devices, with scopes and common refusals."""
    done = dict(description)
    done["paths"] = {
        path: dict(item)
        for path, item in description.get("paths", {}).items()
        if path.startswith((API + "/", DEVICES + "/"))
    }
    bodies: list[Any] = []
    for path, verb, handler in _operations(app):
        operation = done["paths"].get(path, {}).get(verb)
        if operation is not None:
            done["paths"][path][verb] = _completed(dict(operation), verb, handler)
            if (field := handler.parsed_data_field) is not None:
                bodies.append(field.annotation)
    done["components"] = _with_strict_bodies(done["components"], bodies)
    portable: dict[str, Any] = _portable(done)
    return portable


def _with_strict_bodies(components: Mapping[str, Any], bodies: list[Any]) -> dict[str, Any]:
    """``components`` where the framework has left out that a body with unknown members is refused."""
    _, known = msgspec.json.schema_components(bodies)
    strict = {name for name, one in known.items() if one.get("additionalProperties") is False}
    schemas = {
        name: {**one, "additionalProperties": False} if name in strict else one
        for name, one in components["schemas"].items()
    }
    return {**components, "schemas": schemas}


def _portable(value: Any) -> Any:
    """``value`` with the patterns of its schemas as ECMA-262 writes them, which JSON Schema demands."""
    if isinstance(value, list):
        return [_portable(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: one.replace("\\A", "^").replace("\\Z", "$")
        if key == "pattern" and isinstance(one, str)
        else _portable(one)
        for key, one in value.items()
    }


def _operations(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for verb in _VERBS:
                    if verb.upper() in handler.http_methods:
                        yield route.path_format, verb, handler


def _completed(operation: dict[str, Any], verb: str, handler: HTTPRouteHandler) -> dict[str, Any]:
    guard = next((one for one in _guards(handler) if isinstance(one, require)), None)
    refusals: list[Refusal] = [*_ALWAYS]
    if operation.get("requestBody"):
        refusals.append(_TOO_LARGE)
    if any(one["in"] == "query" for one in operation.get("parameters", ())):
        refusals.append(_TOO_LONG)
    if guard is not None:
        operation["security"] = [{"oauth": [guard.scope.value]}, {"apiKey": []}]
        refusals += [
            ProblemRefusal(401, "CREDENTIALS_MISSING"),
            ProblemRefusal(401, "CREDENTIALS_INVALID"),
            ProblemRefusal(403, "SCOPE_MISSING", scope=guard.scope.value),
        ]
        if operation.get("parameters") or operation.get("requestBody"):
            refusals += _WITH_INPUT
        if operation.get("requestBody"):
            refusals.append(ProblemRefusal(415, "MEDIA_TYPE_UNSUPPORTED"))
        if verb == "post" and handler.opt.get("idempotent", True):
            refusals += _WITH_KEY
            operation["parameters"] = [*operation.get("parameters", ()), _key_parameter()]
    responses = _with_own_examples(operation["responses"], handler)
    if files := handler.opt.get("produces"):
        success = dict(responses[str(handler.status_code)])
        responses[str(handler.status_code)] = {**success, "content": {kind: {} for kind in files}}
    operation["responses"] = _with_refusals(responses, refusals)
    return operation


def _with_own_examples(responses: Mapping[str, Any], handler: HTTPRouteHandler) -> dict[str, Any]:
    """``responses`` with the handler's examples as they are: the framework drops their nulls."""
    done = dict(responses)
    for status, spec in (handler.responses or {}).items():
        for kind, content in done.get(str(status), {}).get("content", {}).items():
            told = {
                one.id: {"summary": one.summary, "value": one.value} for one in spec.examples or () if one.id
            }
            done[str(status)] = {**done[str(status)], "content": {kind: {**content, "examples": told}}}
    return done


def _guards(handler: HTTPRouteHandler) -> Iterator[object]:
    # The framework wraps a guard so that it can be awaited; the guard itself is inside.
    for one in handler.resolve_guards():
        yield getattr(one, "func", one)


def _with_refusals(responses: dict[str, Any], refusals: list[Refusal]) -> dict[str, Any]:
    done = {status: one for status, one in responses.items() if not _is_frameworks(one)}
    for refusal in refusals:
        status, value = str(status_of(refusal)), problem_of(refusal, "en")
        content = dict(done.get(status, {}).get("content", {MEDIA_TYPE: {"schema": _problem_schema()}}))
        if MEDIA_TYPE not in content:
            continue
        described = dict(content[MEDIA_TYPE])
        example = {"summary": refusal.code, "value": msgspec.to_builtins(value)}
        described["examples"] = {refusal.code: example, **described.get("examples", {})}
        done[status] = {
            "description": value.title,
            **done.get(status, {}),
            "content": {**content, MEDIA_TYPE: described},
        }
    return dict(sorted(done.items()))


def _is_frameworks(response: Mapping[str, Any]) -> bool:
    """Whether this is the framework's own error, which nobody ever gets here."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return "status_code" in schema.get("properties", {})


def _problem_schema() -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{Problem.__name__}"}


def _key_parameter() -> dict[str, Any]:
    return {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": "The same key with the same request gets the same answer for 24 hours, and changes nothing.",
        "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
        "example": "5f0c6c1e-6a0f-4d4e-9b0d-2f9b7b5c1a11",
    }


def _only_documents(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """The framework answers every path below with pages of its own; only ours are let through."""
    if connection.scope["path"] not in (DESCRIPTION_PATH, PAGE_PATH):
        raise NotFoundException


def _with_policy(response: Response[Any]) -> Response[Any]:
    if response.media_type == MediaType.HTML:
        response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response
