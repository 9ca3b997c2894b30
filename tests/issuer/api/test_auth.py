"""API keys: scopes, rotation with overlap, expiry, revocation, and what they never do for another city."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from issuer import audit
from issuer.api.clients import OAUTH, add_client, clients, revoke_client, rotate_client
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.models_access import ApiClientRow
from tests.issuer.api.conftest import Http, bearer, new_client
from tests.service import City

CHECK = "/api/v1/checks/plate"
QUESTION = {"plate": "D-ZZ 9999"}


def status(http: Http, token: str) -> int:
    return http.post(CHECK, json=QUESTION, headers=bearer(token)).status_code


def test_no_credentials(http: Http) -> None:
    response = http.post(CHECK, json=QUESTION)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="stadtpass"'
    assert response.json()["code"] == "CREDENTIALS_MISSING"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Basic eDp5",
        "Bearer x",
        "Bearer spk_",
        "Bearer spt_" + "a" * 43,
        "Bearer " + "a" * 9000,
    ],
)
def test_credentials_that_do_not_hold(http: Http, header: str) -> None:
    response = http.post(CHECK, json=QUESTION, headers={"Authorization": header})
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer ")


def test_a_key_opens_what_its_scopes_say(application: Application, http: Http) -> None:
    allowed = new_client(application, Scope.CHECKS_READ, name="fines").secret
    other = new_client(application, Scope.PASSES_READ, name="portal").secret
    assert status(http, allowed) == 200
    refused = http.post(CHECK, json=QUESTION, headers=bearer(other))
    assert refused.status_code == 403
    assert refused.json()["code"] == "SCOPE_MISSING"
    assert 'scope="checks:read"' in refused.headers["www-authenticate"]


def test_wrong_secret_and_unknown_id_get_the_same_answer(application: Application, http: Http) -> None:
    made = new_client(application)
    wrong = made.secret[:-1] + ("A" if made.secret[-1] != "A" else "B")
    unknown = made.secret.replace(made.id, "0" * 32)
    answers = [http.post(CHECK, json=QUESTION, headers=bearer(one)) for one in (wrong, unknown)]
    assert answers[0].content == answers[1].content
    assert answers[0].status_code == 401


def test_rotation_overlaps(application: Application, http: Http, city: City) -> None:
    first = new_client(application)
    with application.writing() as session:
        second = rotate_client(session, application, first.id, overlap=timedelta(hours=2), actor="test")
    assert [status(http, first.secret), status(http, second.secret)] == [200, 200]
    city.clock.forward(hours=2, seconds=-1)
    assert status(http, first.secret) == 200
    city.clock.forward(seconds=1)
    assert [status(http, first.secret), status(http, second.secret)] == [401, 200]
    with application.writing() as session:
        third = rotate_client(session, application, first.id, overlap=timedelta(), actor="test")
    assert [status(http, one.secret) for one in (first, second, third)] == [401, 401, 200]


def test_a_second_rotation_ends_the_first_secret_early(application: Application, http: Http) -> None:
    made = [new_client(application)]
    for _ in range(2):
        with application.writing() as session:
            made.append(rotate_client(session, application, made[0].id, overlap=timedelta(1), actor="test"))
    assert [status(http, one.secret) for one in made] == [401, 200, 200]


def test_expiry_and_revocation(application: Application, http: Http, city: City) -> None:
    short = new_client(application, name="short", expires_at=application.now() + timedelta(days=1))
    made = new_client(application, name="long")
    with application.writing() as session:
        rotated = rotate_client(session, application, made.id, overlap=timedelta(days=2), actor="test")
    city.clock.forward(days=1)
    assert [status(http, one.secret) for one in (short, made, rotated)] == [401, 200, 200]
    with application.writing() as session:
        revoke_client(session, application, made.id, actor="test")
    assert [status(http, one.secret) for one in (made, rotated)] == [401, 401]


def test_clients_of_one_city_do_not_exist_in_another(
    application: Application, neighbour: Application, http: Http, serve: Callable[..., Http]
) -> None:
    key = new_client(application).secret
    oauth = new_client(application, kind=OAUTH, name="oauth")
    form = {"grant_type": "client_credentials", "client_id": oauth.id, "client_secret": oauth.secret}
    token = http.post("/api/v1/oauth/token", data=form).json()["access_token"]
    next_door = serve(neighbour)
    assert [status(http, key), status(http, token)] == [200, 200]
    assert [status(next_door, key), status(next_door, token)] == [401, 401]
    assert next_door.post("/api/v1/oauth/token", data=form).json()["error"] == "invalid_client"
    with neighbour.writing() as session:
        assert clients(session, neighbour.tenant) == []
        with pytest.raises(IssuerRefusal, match="CLIENT_UNKNOWN"):
            revoke_client(session, neighbour, oauth.id, actor="test")
    # Not even with the row itself: the hash is the tenant's.
    with application.reading() as session:
        row = session.get(ApiClientRow, (application.tenant, oauth.id))
        assert row is not None
        stolen = ApiClientRow(**{
            column.key: getattr(row, column.key) for column in ApiClientRow.__table__.columns
        } | {"tenant": neighbour.tenant})  # fmt: skip
    with neighbour.writing() as session:
        session.add(stolen)
    assert next_door.post("/api/v1/oauth/token", data=form).json()["error"] == "invalid_client"


def test_only_the_day_of_the_last_use_is_kept(application: Application, http: Http, city: City) -> None:
    made = new_client(application)
    days = []
    for _ in range(2):
        status(http, made.secret)
        with application.reading() as session:
            days.append(session.scalars(select(ApiClientRow.last_used_on)).one())
        city.clock.forward(days=1)
    assert [one.isoformat() for one in days] == ["2026-11-20", "2026-11-21"]


def test_every_step_is_in_the_audit_trail_without_secrets(application: Application) -> None:
    made = new_client(application, Scope.CHECKS_READ)
    with application.writing() as session:
        rotated = rotate_client(session, application, made.id, overlap=timedelta(hours=1), actor="clerk")
        revoke_client(session, application, made.id, actor="clerk")
    with application.reading() as session:
        entries = audit.history(session, application.tenant, f"client/{made.id}")
        assert audit.verify(session, application.tenant).fault is None
    assert [one.action for one in entries] == ["add-client", "rotate-client", "revoke-client"]
    assert entries[0].after == {
        "name": "portal",
        "kind": "key",
        "scopes": ["checks:read"],
        "expires_at": None,
    }
    assert not any(secret.split("_", 2)[2] in repr(entries) for secret in (made.secret, rotated.secret))


def test_what_add_and_rotate_refuse(application: Application) -> None:
    made = new_client(application, name="portal")
    with application.writing() as session:
        for name in ("", " x", "a\nb", "x" * 101):
            with pytest.raises(IssuerRefusal, match="CLIENT_NAME:"):
                add_client(session, application, name, [Scope.CHECKS_READ], kind=OAUTH, actor="t")
        with pytest.raises(IssuerRefusal, match="CLIENT_NAME_TAKEN"):
            add_client(session, application, "portal", [Scope.CHECKS_READ], kind=OAUTH, actor="t")
        with pytest.raises(IssuerRefusal, match="CLIENT_SCOPES"):
            add_client(session, application, "new", [], kind=OAUTH, actor="t")
        for overlap in (timedelta(days=31), timedelta(seconds=-1)):
            with pytest.raises(IssuerRefusal, match="CLIENT_OVERLAP"):
                rotate_client(session, application, made.id, overlap=overlap, actor="t")
        revoke_client(session, application, made.id, actor="t")
        with pytest.raises(IssuerRefusal, match="CLIENT_REVOKED"):
            rotate_client(session, application, made.id, overlap=timedelta(), actor="t")
        # A revoked client's name is free again.
        add_client(session, application, "portal", [Scope.CHECKS_READ], kind=OAUTH, actor="t")
