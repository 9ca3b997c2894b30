"""Enrolling devices over the API and the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from issuer.api.clients import KEY, add_client
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.models import AuditEntryRow
from issuer.models_access import VerifierDeviceRow
from issuer.publication import publish_due
from tests.e2e.commandline import Outcome, main_in_process
from tests.issuer.publication.handheld import Http
from tests.service import City

DEVICES = "/api/v1/devices"


def key(application: Application, *scopes: Scope) -> dict[str, str]:
    with application.writing() as session:
        made = add_client(session, application, "portal", scopes, kind=KEY, actor="test")
    return {"Authorization": f"Bearer {made.secret}"}


@pytest.fixture
def headers(application: Application) -> dict[str, str]:
    return key(application, Scope.DEVICES_WRITE)


def plates(http: Http, token: str) -> int:
    return http.get("/lists/plates.cwt", headers={"Authorization": f"Bearer {token}"}).status_code


def entries(application: Application, device_id: str) -> list[tuple[str, str, str]]:
    with application.reading() as session:
        rows = session.scalars(
            select(AuditEntryRow)
            .where(AuditEntryRow.tenant == application.tenant, AuditEntryRow.subject == f"device/{device_id}")
            .order_by(AuditEntryRow.sequence)
        )
        return [(row.action, row.actor, row.after) for row in rows]


def test_the_life_of_a_device(application: Application, http: Http, headers: dict[str, str]) -> None:
    publish_due(application)
    body = {"name": "Gerät 7", "role": "warden", "zones": ["HO", "BÖ"]}
    made = http.post(DEVICES, json=body, headers=headers)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    device, token = made.json()["device"], made.json()["token"]
    path = f"{DEVICES}/{device['id']}"
    assert made.headers["location"] == path
    assert (device["name"], device["role"], device["zones"]) == ("Gerät 7", "warden", ["BÖ", "HO"])
    assert plates(http, token) == 200
    assert http.get(path, headers=headers).json()["last_sync_at"] is not None
    assert http.post(f"{path}/lock", headers=headers).json()["locked_at"] is not None
    assert plates(http, token) == 401
    assert http.post(f"{path}/lock", headers=headers).status_code == 200
    assert http.post(f"{path}/unlock", headers=headers).json()["locked_at"] is None
    assert plates(http, token) == 200
    assert http.patch(path, json={"name": "Gerät 8"}, headers=headers).json()["name"] == "Gerät 8"
    listed = http.get(DEVICES, headers=headers).json()
    assert [one["name"] for one in listed["items"]] == ["Gerät 8"]
    assert token not in json.dumps(listed)
    assert http.delete(path, headers=headers).status_code == 204
    assert http.get(path, headers=headers).status_code == 404
    assert plates(http, token) == 401
    trail = entries(application, device["id"])
    assert [one[0] for one in trail] == [
        "add-device", "lock-device", "unlock-device", "rename-device", "delete-device",
    ]  # fmt: skip
    assert {one[1] for one in trail} == {"api:portal"}
    # A device may be called after who carries it; the trail is kept for longer than that is anybody's business.
    assert "Gerät" not in json.dumps(trail)


def test_the_secret_is_stored_nowhere(application: Application, http: Http, headers: dict[str, str]) -> None:
    body = {"name": "Gerät 7", "role": "warden"}
    once = headers | {"Idempotency-Key": "k1"}
    token = http.post(DEVICES, json=body, headers=once).json()["token"]
    again = http.post(DEVICES, json=body, headers=once)
    assert (again.status_code, again.json()["code"]) == (409, "IDEMPOTENCY_SECRET")
    with application.reading() as session:
        (row,) = session.scalars(select(VerifierDeviceRow)).all()
        assert token.split("_", 2)[2] not in repr(vars(row))


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"name": " x"}, "DEVICE_NAME", "#/name"),
        ({"name": "a\u202eb"}, "DEVICE_NAME", "#/name"),
        ({"name": ""}, "VALUE_LENGTH", "#/name"),
        ({"zones": ["XX"]}, "ZONE_UNKNOWN", "#/zones"),
        ({"role": "librarian", "zones": ["BÖ"]}, "DEVICE_ZONES", "#/zones"),
        ({"role": "chief"}, "VALUE_CHOICE", "#/role"),
    ],
)
def test_what_a_device_cannot_be(
    application: Application,
    http: Http,
    headers: dict[str, str],
    change: dict[str, Any],
    code: str,
    pointer: str,
) -> None:
    body = {"name": "Gerät 7", "role": "warden", **change}
    answer = http.post(DEVICES, json=body, headers=headers)
    assert answer.status_code == 422, answer.text
    (fault,) = answer.json()["errors"]
    assert (fault["code"], fault["pointer"]) == (code, pointer)
    assert http.get(DEVICES, headers=headers).json()["items"] == []


def test_only_with_the_scope_and_only_the_own_city(
    application: Application, neighbour: Application, http: Http, headers: dict[str, str]
) -> None:
    from issuer.verifier_devices import Role, add_device

    with neighbour.writing() as session:
        other = add_device(session, neighbour, "anders", Role.WARDEN, (), actor="test")
    path = f"{DEVICES}/{other.id}"
    assert http.get(path, headers=headers).status_code == 404
    assert http.post(f"{path}/lock", headers=headers).status_code == 404
    assert http.patch(path, json={"name": "x"}, headers=headers).status_code == 404
    assert http.delete(path, headers=headers).status_code == 404
    assert http.get(DEVICES, headers=headers).json() == {"items": [], "next": None}
    assert http.get(DEVICES).status_code == 401


def test_another_scope_does_not_do(application: Application, http: Http) -> None:
    assert http.get(DEVICES, headers=key(application, Scope.PASSES_WRITE)).status_code == 403


def test_the_command_line(application: Application, city: City, http: Http) -> None:
    def run(*args: object) -> Outcome:
        return main_in_process(
            "devices", *args, "--data", city.folder, "--lang", "en", "--at", "2026-11-20T12:00"
        )

    publish_due(application)
    made = run("add", "Gerät 7", "--zone", "BÖ")
    assert made.code == 0, made.stderr
    token = made.stdout.strip()
    assert plates(http, token) == 200
    (listed,) = json.loads(run("list", "--json").stdout)
    device_id = listed["id"]
    assert (listed["name"], listed["role"], listed["zones"]) == ("Gerät 7", "warden", ["BÖ"])
    assert run("lock", device_id).code == 0
    assert plates(http, token) == 401
    assert json.loads(run("list", "--json").stdout)[0]["locked_at"] == "2026-11-20T12:00:00+01:00"
    assert run("unlock", device_id).code == 0
    assert plates(http, token) == 200
    assert run("rename", device_id, "Gerät 8").code == 0
    assert "Gerät 8" in run("list").stdout
    assert run("delete", device_id).code == 0
    assert plates(http, token) == 401
    for args in (("lock", device_id), ("add", " x"), ("add", "x", "--zone", "XX"), ("lock", "'; --")):
        refused = run(*args)
        assert (refused.code, refused.stdout) == (64, "")
        assert len(refused.stderr.splitlines()) == 1
