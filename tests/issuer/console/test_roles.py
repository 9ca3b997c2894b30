"""Every route of the console, by every role and by nobody: the table decides, and nothing else does."""

from __future__ import annotations

import logging
import re

import pytest
from litestar import get
from litestar.routes import HTTPRoute

from issuer.application import Application
from issuer.console import routes
from issuer.staff.permissions import PERMISSIONS, Role, Stage, check_routes, menu_for
from issuer.web.app import routed
from keys.texts import texts
from tests.issuer.console.people import form_token, hire, new_client, settle
from tests.service import PERMIT, City, running_numbers
from tests.web_app import create_app

SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
# Who may see what, once more and in other words: a change of the table shows here.
ROLES_OF = {
    "/office": set(Role),
    "/office/cases": {Role.CLERK, Role.SUPERVISOR},
    "/office/counter": {Role.CLERK, Role.SUPERVISOR},
    "/office/passes": {Role.CLERK, Role.SUPERVISOR},
    "/office/library": {Role.LIBRARIAN},
    "/office/residence": {Role.REGISTRAR},
    "/office/imports": {Role.CLERK, Role.SUPERVISOR},
    "/office/zones": {Role.CLERK, Role.SUPERVISOR},
    "/office/fees": {Role.CLERK, Role.SUPERVISOR},
    "/office/print": {Role.CLERK, Role.SUPERVISOR},
    "/office/devices": {Role.SUPERVISOR, Role.ADMIN},
    "/office/keys": {Role.ADMIN},
    "/office/statements": {Role.CLERK, Role.SUPERVISOR, Role.AUDITOR},
    "/office/figures": {Role.CLERK, Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN},
    "/office/barriers": {Role.SUPERVISOR, Role.ADMIN},
    "/office/histories": {Role.AUDITOR},
    "/office/accesses": {Role.AUDITOR},
    "/office/audit": {Role.AUDITOR},
    "/office/data-protection": {Role.AUDITOR, Role.ADMIN},
    "/office/accounts": {Role.ADMIN},
}


def _path(template: str, number: str) -> str:
    values = {"token": "x" * 22, "type_id": PERMIT, "number": number, "account_id": "x" * 22}
    values |= {
        "case_id": "x" * 22,
        "document_id": "x" * 22,
        "letter": "refusal",
        "step": "revoke",
        "run_id": "x" * 22,
        "zone": "MÜ",
        "device_id": "0" * 32,
        "asked_id": "0" * 32,
    }
    return re.sub(r"{(\w+)}", lambda one: values[one[1]], template)


@SQLITE
def test_every_route_by_every_role_and_by_nobody(
    city: City, application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(application)
    number = running_numbers(application)[0]
    people = {role: settle(application, city.clock, f"some-{role.value}", role, app=app) for role in Role}
    half = hire(application, city.clock, "half", Role.ADMIN, app=app)
    half.client.post(half.link, data={"new": half.password, "again": half.password})
    nobody = new_client(application, app)
    for name, permission in PERMISSIONS.items():
        method, template = name.split(" ")
        path = _path(template, number)
        if permission.stages:
            answer = nobody.request(method, path)
            assert answer.status_code == (303 if method == "GET" else 403), name
            if method == "GET":
                assert answer.headers["location"].startswith("/office/login"), name
        if permission.stages == {Stage.OPEN}:
            answer = half.client.request(method, path)
            assert answer.status_code == (303 if method == "GET" else 403), name
        for role, person in people.items():
            if path == "/office/logout" or not permission.stages:
                continue
            caplog.clear()
            with caplog.at_level(logging.WARNING, logger="stadtpass.office"):
                # Without a token: whoever gets past the guard is stopped at the form.
                answer = person.client.request(method, path)
            refused = [one for one in caplog.records if one.message == "refused"]
            if permission.allows(Stage.OPEN, {role}):
                assert refused == [], (name, role)
                assert answer.status_code in ((200, 404) if method == "GET" else (403,)), (name, role)
            elif Stage.OPEN in permission.stages:
                assert answer.status_code == 403, (name, role)
                assert "nicht vorgesehen" in answer.text, (name, role)
                [entry] = refused
                assert person.login not in str(vars(entry)), (name, role)
                assert number not in str(vars(entry)), (name, role)
            else:
                assert answer.status_code == (303 if method == "GET" else 403), (name, role)


def test_the_navigation_is_what_the_table_allows() -> None:
    for role in Role:
        assert {path for path, _ in menu_for({role})} == {one for one in ROLES_OF if role in ROLES_OF[one]}
    assert {path for path, _ in menu_for(set(Role))} == set(ROLES_OF)


def test_a_route_that_nobody_has_decided_on_keeps_the_service_from_starting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @get("/office/forgotten", sync_to_thread=False)
    def forgotten() -> str:
        return "x"

    monkeypatch.setattr(routes, "HANDLERS", [*routes.HANDLERS, forgotten])
    with pytest.raises(LookupError, match="GET /office/forgotten"):
        routed()


@SQLITE
def test_a_permission_without_a_route_does_so_too(application: Application) -> None:
    app = create_app(application)
    there = [
        (method, one.path_format)
        for one in app.routes
        if isinstance(one, HTTPRoute) and one.path.startswith("/office")
        for method in one.methods
    ]
    check_routes(there)
    with pytest.raises(LookupError, match="permissions without route"):
        check_routes(one for one in there if one != ("GET", "/office/accounts"))


def test_accounts_are_kept_in_order(city: City, application: Application) -> None:
    app = create_app(application)
    chief = settle(application, city.clock, "chief", Role.ADMIN, app=app)
    own = f"/office/accounts/{chief.account_id}"
    for step, fields in (("roles", {"roles": "clerk"}), ("lock", {}), ("reset", {})):
        answer = chief.send(f"{own}/{step}", page="/office/account", **fields)
        assert answer.status_code == 409, step
    page = chief.client.get("/office/accounts/new")
    made = chief.client.post(
        "/office/accounts/new",
        data={
            "form_token": form_token(page),
            "login": "vera",
            "display_name": "Vera <b>Vogt</b>",
            "roles": ["clerk", "admin"],
        },
    )
    assert made.status_code == 200, made.text
    assert "/office/welcome/" in made.text
    assert "<b>Vogt" not in made.text
    vera_id = re.findall(r"/office/accounts/([\w-]{22})", chief.client.get("/office/accounts").text)
    other = next(one for one in vera_id if one != chief.account_id)
    # Invited only, she is no administrator yet: the chief is the last, and stays.
    answer = chief.send(f"/office/accounts/{other}/roles", roles="clerk")
    assert answer.headers["location"].endswith("?done=roles")
    vera = settle(application, city.clock, "second", Role.ADMIN, app=app)
    assert chief.is_in()
    answer = vera.send(f"/office/accounts/{chief.account_id}/roles", roles="auditor")
    assert answer.status_code == 303
    # Other roles, and every session of before is over.
    assert not chief.is_in()
    third = settle(application, city.clock, "third", Role.CLERK, app=app)
    assert vera.send(f"/office/accounts/{third.account_id}/lock").status_code == 303
    assert not third.is_in()
    assert vera.client.get("/office/accounts/no-such-id").status_code == 404


def test_a_pass_is_found_seen_and_noted(city: City, application: Application) -> None:
    app = create_app(application)
    number = running_numbers(application)[0]
    clerk = settle(application, city.clock, "erika", Role.CLERK, app=app)
    auditor = settle(application, city.clock, "otto", Role.AUDITOR, app=app)
    found = clerk.client.get("/office/passes", params={"q": number})
    assert found.status_code == 200
    assert f"/office/passes/{PERMIT}/{number}" in found.text
    rows = clerk.client.get("/office/passes", params={"q": number}, headers={"hx-request": "true"})
    assert "<html" not in rows.text
    assert number in rows.text
    for _ in range(2):
        page = clerk.client.get(f"/office/passes/{PERMIT}/{number}")
        assert page.status_code == 200
        assert "Ausweis eingetragen" in page.text
    log = auditor.client.get("/office/accesses", params={"q": number})
    assert log.text.count("<tr") == 3
    assert "in einer Trefferliste" in log.text
    assert "geöffnet" in log.text
    city.clock.forward(minutes=10)
    clerk.client.get(f"/office/passes/{PERMIT}/{number}")
    assert auditor.client.get("/office/accesses").text.count("<tr") == 4
    assert "Keine Einträge" in auditor.client.get("/office/accesses", params={"q": "erika"}).text
    assert clerk.client.get(f"/office/passes/{PERMIT}/NONE-1").status_code == 404
    assert clerk.client.get(f"/office/passes/nothing/{number}").status_code == 404


def test_both_catalogues_say_the_same_things() -> None:
    german, english = texts("issuer", "de").sentences, texts("issuer", "en").sentences
    ours = {code for code in german if code.startswith(("OFFICE_", "STAFF_", "OIDC_"))}
    assert ours == {code for code in english if code.startswith(("OFFICE_", "STAFF_", "OIDC_"))}
    assert len(ours) > 150
