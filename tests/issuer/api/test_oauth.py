"""Client credentials as RFC 6749 has them (4.4, 5.1, 5.2, 2.3.1), and access tokens at the API (RFC 6750)."""

from __future__ import annotations

import base64
from datetime import timedelta
from urllib.parse import quote_plus

import pytest
from sqlalchemy import select

from issuer.api.clients import OAUTH, revoke_client
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.models_access import AccessTokenRow, ApiClientRow
from tests.issuer.api.conftest import Http, bearer, new_client
from tests.service import City

TOKEN = "/api/v1/oauth/token"
CHECK = "/api/v1/checks/plate"
GRANT = {"grant_type": "client_credentials"}
QUESTION = {"plate": "D-ZZ 9999"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def test_token_by_basic_and_by_form(application: Application, http: Http) -> None:
    made = new_client(application, Scope.CHECKS_READ, Scope.PASSES_READ, kind=OAUTH)
    for response in (
        http.post(TOKEN, data=GRANT, headers=basic(made.id, made.secret)),
        http.post(TOKEN, data={**GRANT, "client_id": made.id, "client_secret": made.secret}),
        http.post(TOKEN, data={**GRANT, "client_id": made.id}, headers=basic(made.id, made.secret)),
    ):
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["pragma"] == "no-cache"
        answer = response.json()
        assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 900)
        assert answer["scope"] == "checks:read passes:read"
        assert http.post(CHECK, json=QUESTION, headers=bearer(answer["access_token"])).status_code == 200


def test_secrets_and_tokens_are_stored_as_hashes_only(application: Application, http: Http) -> None:
    made = new_client(application, kind=OAUTH)
    token = http.post(TOKEN, data=GRANT, headers=basic(made.id, made.secret)).json()["access_token"]
    with application.reading() as session:
        rows = [*session.scalars(select(ApiClientRow)), *session.scalars(select(AccessTokenRow))]
        stored = repr([{name: getattr(row, name) for name in row.__table__.columns.keys()} for row in rows])  # noqa: SIM118
    assert made.secret not in stored
    assert made.secret.removeprefix("sps_") not in stored
    assert token not in stored
    assert token.removeprefix("spt_") not in stored


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        ({"scope": "passes:write"}, 400, "invalid_scope"),
        ({"scope": "checks:read nonsense"}, 400, "invalid_scope"),
        ({"client_secret": "sps_wrong"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"client_id": "0" * 32}, 401, "invalid_client"),
        ({"client_id": None}, 401, "invalid_client"),
    ],
)
def test_errors(
    application: Application, http: Http, change: dict[str, str | None], status: int, error: str
) -> None:
    made = new_client(application, Scope.CHECKS_READ, kind=OAUTH)
    fields = {**GRANT, "client_id": made.id, "client_secret": made.secret, **change}
    response = http.post(TOKEN, data={name: value for name, value in fields.items() if value is not None})
    assert response.status_code == status
    assert response.json()["error"] == error
    assert response.json()["error_description"].isascii()
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in response.headers) == (status == 401)
    # The members of problem details stand beside those of RFC 6749.
    assert response.json()["status"] == status
    assert response.json()["code"] == f"OAUTH_{error.upper()}"


def test_two_ways_to_sign_in_at_once_are_refused(application: Application, http: Http) -> None:
    made = new_client(application, kind=OAUTH)
    header = basic(made.id, made.secret)
    both = http.post(TOKEN, data={**GRANT, "client_secret": made.secret}, headers=header)
    other = http.post(TOKEN, data={**GRANT, "client_id": "f" * 32}, headers=header)
    assert [both.json()["error"], other.json()["error"]] == ["invalid_request"] * 2


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"grant_type=client_credentials&grant_type=client_credentials", "application/x-www-form-urlencoded"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(50)), "application/x-www-form-urlencoded"),
        (b'{"grant_type": "client_credentials"}', "application/json"),
        (b"", "application/x-www-form-urlencoded"),
    ],
)
def test_bodies_that_are_no_form(application: Application, http: Http, body: bytes, kind: str) -> None:
    made = new_client(application, kind=OAUTH)
    response = http.post(TOKEN, content=body, headers={**basic(made.id, made.secret), "content-type": kind})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_broken_basic_header(http: Http) -> None:
    for header in ("Basic !!!", "Basic " + base64.b64encode(b"nocolon").decode(), "Digest x", "Basic"):
        response = http.post(TOKEN, data=GRANT, headers={"Authorization": header})
        assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


def test_too_large_a_form_is_refused_before_it_is_read(http: Http) -> None:
    response = http.post(TOKEN, data={**GRANT, "x": "y" * 20_000})
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


def test_token_has_the_scopes_asked_for_and_no_more(application: Application, http: Http) -> None:
    made = new_client(application, Scope.CHECKS_READ, Scope.PASSES_READ, kind=OAUTH)
    answer = http.post(
        TOKEN, data={**GRANT, "scope": "passes:read"}, headers=basic(made.id, made.secret)
    ).json()
    assert answer["scope"] == "passes:read"
    refused = http.post(CHECK, json=QUESTION, headers=bearer(answer["access_token"]))
    assert refused.status_code == 403
    assert 'error="insufficient_scope", scope="checks:read"' in refused.headers["www-authenticate"]


def test_a_token_ends_after_fifteen_minutes(application: Application, http: Http, city: City) -> None:
    made = new_client(application, kind=OAUTH)
    token = http.post(TOKEN, data=GRANT, headers=basic(made.id, made.secret)).json()["access_token"]
    city.clock.forward(minutes=14, seconds=59)
    assert http.post(CHECK, json=QUESTION, headers=bearer(token)).status_code == 200
    city.clock.forward(seconds=1)
    ended = http.post(CHECK, json=QUESTION, headers=bearer(token))
    assert ended.status_code == 401
    assert 'error="invalid_token"' in ended.headers["www-authenticate"]
    http.post(TOKEN, data=GRANT, headers=basic(made.id, made.secret))
    with application.reading() as session:
        # The next token clears away those that have ended.
        assert len(session.scalars(select(AccessTokenRow)).all()) == 1


def test_revoking_a_client_ends_its_tokens_and_secret(application: Application, http: Http) -> None:
    made = new_client(application, kind=OAUTH)
    token = http.post(TOKEN, data=GRANT, headers=basic(made.id, made.secret)).json()["access_token"]
    with application.writing() as session:
        revoke_client(session, application, made.id, actor="test")
    assert http.post(CHECK, json=QUESTION, headers=bearer(token)).status_code == 401
    assert (
        http.post(TOKEN, data=GRANT, headers=basic(made.id, made.secret)).json()["error"] == "invalid_client"
    )


def test_expired_client_gets_no_token_and_its_tokens_end(
    application: Application, http: Http, city: City
) -> None:
    made = new_client(application, kind=OAUTH, expires_at=application.now() + timedelta(minutes=5))
    token = http.post(TOKEN, data=GRANT, headers=basic(made.id, made.secret)).json()["access_token"]
    city.clock.forward(minutes=5)
    assert http.post(CHECK, json=QUESTION, headers=bearer(token)).status_code == 401
    assert http.post(TOKEN, data=GRANT, headers=basic(made.id, made.secret)).status_code == 401


def test_an_api_key_gets_no_token_and_an_oauth_secret_is_no_key(application: Application, http: Http) -> None:
    key = new_client(application, name="key")
    oauth = new_client(application, name="oauth", kind=OAUTH)
    secret = key.secret.rpartition("_")[2] if key.secret.count("_") == 2 else key.secret[37:]
    for given in (key.secret, secret, key.secret[37:]):
        response = http.post(TOKEN, data=GRANT, headers=basic(key.id, given))
        assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    disguised = f"spk_{oauth.id}_{oauth.secret.removeprefix('sps_')}"
    assert http.post(CHECK, json=QUESTION, headers=bearer(disguised)).status_code == 401
