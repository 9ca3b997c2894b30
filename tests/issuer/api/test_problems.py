"""Every error is problem details (RFC 9457), in the reader's language and without what must stay inside."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Callable
from importlib.resources import files
from typing import Annotated

import msgspec
import pytest
from litestar import Request, get, post
from litestar.exceptions import HTTPException
from litestar.params import Body, FromPath, QueryParameter

from issuer.api.auth import ApiRequest, require
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.web.problems import Problem, misplaced, problem
from keys.errors import KeyRefusal
from passes.errors import PassRefusal
from tests.issuer.api.conftest import Http, bearer, new_client

# What is asked here does not reach the database.
ON_ONE_DATABASE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)

CASES: dict[str, Exception] = {
    "unknown": RegisterRefusal("NUMBER_UNKNOWN", number="X-1"),
    "state": RegisterRefusal("PASS_REVOKED", number="X-1", last="2026-01-01"),
    "value": IssuerRefusal("ZONE_UNKNOWN", zone="QQ", known="HO"),
    "format": PassRefusal("PLATE_FORMAT"),
    "key": KeyRefusal("KEYSTORE_MISSING", place="/srv/secret/place"),
    "file": RegisterRefusal("REGISTER_DAMAGED", path="/srv/secret/place"),
    "still": RegisterRefusal("REGISTER_GIVEN_UP", seconds=60),
    "fault": RuntimeError("D-QX 77 belongs to Erika Mustermann"),
    "http500": HTTPException("D-QX 77", status_code=500),
    "teapot": HTTPException("D-QX 77", status_code=418),
    "explicit": problem(404, "NOT_FOUND", headers={"X-Note": "1"}),
    "placed": misplaced(PassRefusal("PLATE_FORMAT"), pointer="#/plates/0"),
    "several": problem(422, "PLATE_SEVERAL", suggestions=["C-EE 1234", "CE-E 1234"]),
}


class Plate(msgspec.Struct, forbid_unknown_fields=True):
    text: Annotated[str, msgspec.Meta(min_length=2, max_length=10)]
    months: Annotated[int, msgspec.Meta(ge=1, le=12)] = 1


class Sample(msgspec.Struct, forbid_unknown_fields=True):
    plates: list[Plate]
    kind: Scope = Scope.PASSES_READ
    code: Annotated[str, msgspec.Meta(pattern="^[a-z]+$")] = "a"


@get("/api/v1/raise/{case:str}", sync_to_thread=True)
def raising(case: FromPath[str]) -> str:
    raise CASES[case]


@post("/api/v1/sample", guards=[require(Scope.PASSES_READ)], sync_to_thread=True, request_max_body_size=500)
def sample(
    request: ApiRequest,
    data: Annotated[Sample, Body()],
    limit: Annotated[int, QueryParameter(ge=1, le=5)] = 1,
) -> dict[str, int]:
    return {"plates": len(data.plates), "limit": limit}


@get("/outside", sync_to_thread=False)
def outside(request: Request) -> str:
    raise RuntimeError("D-QX 77")


@pytest.fixture
def service(serve: Callable[..., Http], application: Application) -> Http:
    return serve(application, raising, sample, outside)


@pytest.fixture
def key(application: Application) -> dict[str, str]:
    return bearer(new_client(application).secret)


@pytest.mark.parametrize(
    ("case", "status", "code"),
    [
        ("unknown", 404, "NUMBER_UNKNOWN"),
        ("state", 409, "PASS_REVOKED"),
        ("value", 422, "ZONE_UNKNOWN"),
        ("format", 422, "PLATE_FORMAT"),
        ("key", 503, "SERVICE_UNAVAILABLE"),
        ("file", 503, "SERVICE_UNAVAILABLE"),
        ("still", 503, "SERVICE_UNAVAILABLE"),
        ("fault", 500, "INTERNAL"),
        ("http500", 500, "INTERNAL"),
        ("teapot", 400, "REQUEST_UNREADABLE"),
        ("explicit", 404, "NOT_FOUND"),
        ("placed", 422, "REQUEST_INVALID"),
        ("several", 422, "PLATE_SEVERAL"),
    ],
)
@ON_ONE_DATABASE
def test_what_is_raised_becomes_a_problem(service: Http, case: str, status: int, code: str) -> None:
    response = service.get(f"/api/v1/raise/{case}")
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    told = msgspec.json.decode(response.content, type=Problem)
    assert (told.status, told.code) == (status, code)
    assert told.type == "urn:stadtpass:problem:" + code.lower().replace("_", "-")
    assert told.title
    assert told.detail.endswith(".")
    for secret in ("Mustermann", "D-QX 77", "/srv/secret"):
        assert secret not in response.text


@ON_ONE_DATABASE
def test_more_of_a_problem(service: Http) -> None:
    assert service.get("/api/v1/raise/explicit").headers["x-note"] == "1"
    assert service.get("/api/v1/raise/key").headers["retry-after"] == "10"
    placed = service.get("/api/v1/raise/placed").json()["errors"]
    assert [(one["code"], one["pointer"]) for one in placed] == [("PLATE_FORMAT", "#/plates/0")]
    assert service.get("/api/v1/raise/several").json()["suggestions"] == ["C-EE 1234", "CE-E 1234"]


@ON_ONE_DATABASE
def test_the_log_of_a_fault_has_its_place_and_none_of_its_values(
    service: Http, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="issuer"):
        service.get("/api/v1/raise/fault")
    assert "RuntimeError" in caplog.text
    assert "test_problems.py" in caplog.text
    assert "Mustermann" not in caplog.text


@ON_ONE_DATABASE
def test_outside_of_the_api_a_fault_is_no_text_either(service: Http) -> None:
    response = service.get("/outside")
    assert response.status_code == 500
    assert "D-QX" not in response.text


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "de"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("de;q=0.5, en;q=0.8", "en"),
        ("en;q=0.5, de", "de"),
        ("fr, en;q=0.1", "en"),
        ("en;q=0", "de"),
        ("en;q=banana", "de"),
        ("*", "de"),
        (",;=,", "de"),
        ("x" * 10_000, "de"),
    ],
)
@ON_ONE_DATABASE
def test_language(service: Http, header: str, language: str) -> None:
    response = service.get("/api/v1/raise/unknown", headers={"Accept-Language": header})
    assert response.headers["content-language"] == language
    assert ("gibt es nicht" in response.json()["detail"]) == (language == "de")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "#/plates", "VALUE_REQUIRED"),
        ([], "#", "VALUE_KIND"),
        (None, "#", "VALUE_INVALID"),
        ({"plates": {}}, "#/plates", "VALUE_KIND"),
        ({"plates": [{}]}, "#/plates/0/text", "VALUE_REQUIRED"),
        ({"plates": [{"text": "ok"}, {"text": "x"}]}, "#/plates/1/text", "VALUE_LENGTH"),
        ({"plates": [{"text": 5}]}, "#/plates/0/text", "VALUE_KIND"),
        ({"plates": [{"text": "ok", "months": 13}]}, "#/plates/0/months", "VALUE_RANGE"),
        ({"plates": [{"text": "ok", "more": 1}]}, "#/plates/0/more", "VALUE_NOT_KNOWN"),
        ({"plates": [], "extra/~": 1}, "#/extra~1~0", "VALUE_NOT_KNOWN"),
        ({"plates": [], "kind": "root"}, "#/kind", "VALUE_CHOICE"),
        ({"plates": [], "code": "A1"}, "#/code", "VALUE_PATTERN"),
    ],
)
@ON_ONE_DATABASE
def test_values_of_a_body(service: Http, key: dict[str, str], body: object, pointer: str, code: str) -> None:
    response = service.post("/api/v1/sample", json=body, headers=key)
    assert response.status_code == 422
    found = response.json()["errors"]
    assert [(one["pointer"], one["code"]) for one in found] == [(pointer, code)]


@ON_ONE_DATABASE
def test_values_of_a_query(service: Http, key: dict[str, str]) -> None:
    for query, code in (("6", "VALUE_RANGE"), ("x", "VALUE_KIND")):
        response = service.post(f"/api/v1/sample?limit={query}", json={"plates": []}, headers=key)
        assert response.status_code == 422
        assert [(one["parameter"], one["code"]) for one in response.json()["errors"]] == [("limit", code)]


@ON_ONE_DATABASE
def test_what_http_refuses(service: Http, key: dict[str, str]) -> None:
    json = {"content-type": "application/json"}
    for response, status, code in (
        (service.get("/api/v1/nothing"), 404, "NOT_FOUND"),
        (service.get("/api/nothing"), 404, "NOT_FOUND"),
        (service.get("/api"), 404, "NOT_FOUND"),
        (service.get("/api/v1"), 404, "NOT_FOUND"),
        (service.delete("/api/v1/sample"), 405, "METHOD_NOT_ALLOWED"),
        (service.post("/api/v1/sample", content=b"{", headers={**key, **json}), 400, "REQUEST_UNREADABLE"),
        (service.post("/api/v1/sample", content=b"\xff", headers={**key, **json}), 400, "REQUEST_UNREADABLE"),
        (service.post("/api/v1/sample", content=b" " * 501, headers={**key, **json}), 413, "BODY_TOO_LARGE"),
        (service.post("/api/v1/sample", data={"a": "b"}, headers=key), 415, "MEDIA_TYPE_UNSUPPORTED"),
        (service.post("/api/v1/sample", content=b"{}", headers=key), 415, "MEDIA_TYPE_UNSUPPORTED"),
        (service.post("/api/v1/sample", content=b"{"), 401, "CREDENTIALS_MISSING"),
    ):
        assert (response.status_code, response.json().get("code")) == (status, code)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["cache-control"] == "no-store"
    assert "POST" in service.delete("/api/v1/sample").headers["allow"]


def test_the_sentences_are_the_same_in_both_languages() -> None:
    keys = [
        tomllib.loads(files("issuer").joinpath("locales", language, "api.toml").read_text("utf-8")).keys()
        for language in ("de", "en")
    ]
    assert keys[0] == keys[1]
