"""The API's ways to a certificate of residence, and doors that stay shut: Apple, Google, who sees no names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from issuer import audit, google_wallet, wallet_passes
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.carriers import Carrier
from issuer.errors import IssuerRefusal
from issuer.issue import IssueRequest, issue
from issuer.models import RevisionRow
from issuer.models_access import JobRow
from issuer.nightly import reminders
from issuer.printing.selection import printable_types
from issuer.web import rates
from issuer.workspace import Workspace
from passes.errors import PassRefusal
from tests.google_server import GoogleServer
from tests.issuer.api.conftest import Http, serve
from tests.issuer.api.office import PASSES, Office, codes, office_of
from tests.issuer.google.conftest import opened, point_at
from tests.issuer.pickup.browser import browser, send, visit
from tests.issuer.residence.registry import (
    BLOCKED,
    ERIKA,
    FILE,
    HOME,
    RESIDENCE,
    SECOND,
    issued,
    named,
    registry,
    write_register,
)
from tests.service import City

__all__ = ["serve"]
pytestmark = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
NEW = "/api/v1/residence-certificates"
READER = (Scope.PASSES_READ, Scope.PASSES_WRITE, Scope.RESIDENCE_WRITE)
ASKED = {
    "family_name": "Müller-Đặng", "given_names": "Quirina", "birth_date": "1984-02-29",
    "street": "Aehrengaesschen", "house_number": "17c",
}  # fmt: skip
BERTA = {
    "family_name": "Geheim", "given_names": "Berta", "birth_date": "1990-05-03",
    "street": "Lohweilerplatz", "house_number": "1",
}  # fmt: skip
NORA = BERTA | {"family_name": "Niemand", "given_names": "Nora"}
GONE = ("3", "Fort", "Frieda", "", "", "", "1970-01-31", *HOME[:6], "2026-11-01")
CSV = (
    "certificate_id;family_name;given_names;birth_date;main_street;main_house_number;main_postal_code;main_city;"
    "valid_from;valid_to;status\n"
) + "".join(
    f"MB-{n};{names};{born};Weg;1;40999;Düsseldorf;2026-11-20;2027-02-17;active\n"
    for n, names, born in (
        (1, "Müller-Đặng;Quirina", "1984-02-29"),
        (2, "Geheim;Berta", "1990-05-03"),
        (3, "Niemand;Nora", "1990-05-03"),
        (4, "Fort;Frieda", "1970-01-31"),
    )
)
Serve = Callable[..., Http]


def sent(given: dict[str, str] = ASKED, **more: Any) -> dict[str, Any]:
    """A certificate as a specialist system sends it whole."""
    return {
        "type": RESIDENCE,
        "holder": {},
        "period": {"first": "2026-11-20", "last": "2027-02-17"},
        "attributes": {
            **{name: given[name] for name in ("family_name", "given_names", "birth_date")},
            "main_street": given["street"],
            "main_house_number": given["house_number"],
            "main_postal_code": "40999",
            "main_city": "Düsseldorf",
        },
        **more,
    }


@pytest.fixture
def application(city: City) -> Application:
    return registry(city)


@pytest.fixture
def reader(serve: Serve, application: Application) -> Office:
    """A portal that issues, and sees no names."""
    return office_of(serve, application, *READER)


def test_by_the_register(reader: Office, serve: Serve, application: Application) -> None:
    answer = reader.post(NEW, json=ASKED, headers={"Idempotency-Key": "a"})
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert (body["number"], body["status"], body["attributes"]) == ("RC-2026-000001", "active", {})
    assert body["period"] == {"first": "2026-11-20", "last": "2027-02-17"}
    again = reader.post(NEW, json=ASKED, headers={"Idempotency-Key": "a"})
    assert again.json() == body
    one = answer.headers["location"]
    link = reader.post(f"{one}/pickup-links", json={"channel": "desk"})
    assert link.status_code == 201, link.text
    offer = reader.post(f"{one}/eudi-offers", json={})
    assert len(offer.json()["tx_code"]) == 6
    for path in (one, f"{one}/history", f"{PASSES}?q=RC-2026", f"{PASSES}?q=M%C3%BCller"):
        told = reader.get(path)
        assert told.status_code == 200
        assert named(told.text) == [], path
    for name in ("seal.png", "pdf"):
        assert reader.get(f"{one}/files/{name}").status_code == 403
    full = office_of(serve, application, *READER, Scope.HOLDERS_READ)
    assert full.get(one).json()["attributes"]["main_street"] == "Ährengässchen"
    assert full.get(one).json()["holder"]["family_name"] == "Müller-Đặng"
    assert full.get(f"{one}/files/seal.png").status_code == 200
    assert full.get(f"{one}/files/pdf").status_code == 200
    assert codes(full.get(f"{one}/files/apple")) == {}
    assert full.get(f"{one}/files/apple").status_code == 404


def test_who_comes_to_the_office(city: City, reader: Office) -> None:
    """Blocked, unknown and unclear are one answer; nothing is left of any of them."""
    answers = [reader.post(NEW, json=one) for one in (BERTA, ASKED | {"birth_date": "1984-02-28"})]
    assert [one.status_code for one in answers] == [409, 409]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["code"] == "CERTIFICATE_AT_OFFICE"
    assert reader.get(f"{PASSES}?type={RESIDENCE}").json()["items"] == []
    # What the register says and no certificate can: a name that is too long.
    long = ("1", "Müller-Đặng", "Quirina " * 40, *ERIKA[3:])
    write_register(city.folder, long + HOME)
    assert reader.post(NEW, json=ASKED).status_code == 409
    (city.folder / FILE).unlink()
    away = reader.post(NEW, json=ASKED)
    assert (away.status_code, away.json()["code"]) == (503, "RESIDENTS_AWAY")
    assert reader.post(NEW, json=ASKED | {"birth_date": "yesterday"}).status_code in (400, 422)


def test_every_look_is_in_the_trail_and_there_are_not_too_many(
    reader: Office, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that was refused: who asks at random must leave a trace, and whom they asked for must not."""
    monkeypatch.setattr(rates, "RESIDENTS_OF_CLIENT", replace(rates.RESIDENTS_OF_CLIENT, burst=2))
    answers = [reader.post(NEW, json=one) for one in (BERTA, NORA, NORA)]
    assert [one.status_code for one in answers] == [409, 409, 429]
    assert (answers[-1].json()["code"], answers[-1].headers["retry-after"]) == ("TOO_MANY_REQUESTS", "5")
    with application.reading() as session:
        looks = audit.history(session, application.tenant, "log/residents")
    assert [(one.action, one.after) for one in looks] == [("look-up", None)] * 2


def test_only_with_its_scope(serve: Serve, application: Application) -> None:
    other = office_of(serve, application, *(one for one in Scope if one is not Scope.RESIDENCE_WRITE))
    assert other.post(NEW, json=ASKED).status_code == 403
    assert other.post(PASSES, json=sent()).status_code == 403
    for dry_run in ("true", "false"):
        path = f"/api/v1/jobs/imports?type={RESIDENCE}&dry_run={dry_run}"
        answer = other.post(path, content=CSV.encode(), headers={"Content-Type": "text/csv"})
        assert (answer.status_code, answer.json()["code"]) == (403, "SCOPE_MISSING"), dry_run
    with application.reading() as session:
        assert session.scalars(select(JobRow.id)).all() == []


@pytest.mark.parametrize(
    ("step", "body"),
    [
        ("pickup-links", {"channel": "desk"}),
        ("letter-codes", None),
        ("eudi-offers", {"tx_code": True}),
        ("approve", {}),
        *((one, {"reason": "x"}) for one in ("suspend", "resume", "revoke", "reissue")),
        ("renew", {"term_months": 12, "channel": "online", "fee_cents": 0}),
    ],
)
def test_nobody_elses_certificate(
    serve: Serve, application: Application, step: str, body: dict[str, Any] | None
) -> None:
    """Numbers run on: whoever may do things with permits must not get hold of certificates by them."""
    other = office_of(serve, application, *(one for one in Scope if one is not Scope.RESIDENCE_WRITE))
    one = f"{PASSES}/{RESIDENCE}/{issued(application)}"
    headers = {"If-Match": other.get(one).headers["etag"]}
    answer = other.post(f"{one}/{step}", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "SCOPE_MISSING")
    assert other.get(one).headers["etag"] == headers["If-Match"]


def test_nor_by_a_job(serve: Serve, application: Application) -> None:
    other = office_of(serve, application, *(one for one in Scope if one is not Scope.RESIDENCE_WRITE))
    number = issued(application)
    for kind in ("revoke", "suspend", "resume", "reissue"):
        job = {"kind": kind, "type": RESIDENCE, "numbers": [number], "reason": "x"}
        assert other.post("/api/v1/jobs", json=job).status_code == 403, kind
    changed = other.patch(f"{PASSES}/{RESIDENCE}/{number}", json={"zone": "BÖ"}, headers={"If-Match": '"1"'})
    assert changed.status_code == 403


def test_sent_whole(city: City, reader: Office) -> None:
    """A system that sends what it says itself is asked for nothing but the block, and nobody pays."""
    answer = reader.post(PASSES, json=sent())
    assert answer.status_code == 201, answer.text
    assert answer.json()["attributes"] == {}
    blocked, unknown = (reader.post(PASSES, json=sent(one)) for one in (BERTA, NORA))
    assert codes(blocked) == {"#/attributes/family_name": "CERTIFICATE_AT_OFFICE"}
    assert (blocked.status_code, blocked.json()) == (unknown.status_code, unknown.json())
    unpaid = reader.post(PASSES, json=sent(status="pending_payment"))
    assert list(codes(unpaid)) == ["#/status"]
    assert reader.post(PASSES, json=sent(details={"fee_cents": 500})).status_code == 422
    (city.folder / FILE).write_text("x", "utf-8")
    assert codes(reader.post(PASSES, json=sent())) == {"#/attributes/family_name": "RESIDENTS_AWAY"}


def test_not_renewed(city: City, reader: Office, application: Application) -> None:
    number = issued(application)
    city.clock.forward(days=60)
    version = {"If-Match": reader.get(f"{PASSES}/{RESIDENCE}/{number}").headers["etag"]}
    answer = reader.post(f"{PASSES}/{RESIDENCE}/{number}/renew", json={"term_months": 3}, headers=version)
    assert (answer.status_code, answer.json()["code"]) == (409, "CERTIFICATE_NOT_RENEWED")


def test_from_a_file(city: City, application: Application) -> None:
    """Whoever is blocked reads like somebody whom the register does not know, and who has moved away."""
    write_register(city.folder, ERIKA + HOME, BLOCKED, GONE)
    file = city.folder / "certificates.csv"
    file.write_text(CSV, "utf-8")
    workspace = Workspace.open(city.folder)
    at = application.now()
    for dry_run in (True, False):
        request = IssueRequest(
            RESIDENCE, file, city.folder / "out", at, "test", carriers=(Carrier.SEAL,), dry_run=dry_run
        )
        result = issue(workspace, request)
        assert (result.accepted, result.refused) == (1, 3)
        assert [one.row for one in result.findings] == [2, 3, 4]
        assert len({(one.code, one.field, one.sentence()) for one in result.findings}) == 1
        assert result.findings[0].code == "CERTIFICATE_AT_OFFICE"
        assert [secret for secret in ("Geheim", "1990") if secret in result.findings[0].sentence()] == []
    with pytest.raises(PassRefusal) as refused:
        issue(
            workspace, IssueRequest(RESIDENCE, file, city.folder / "o", at, "test", carriers=(Carrier.APPLE,))
        )
    assert refused.value.code == "TYPE_CARRIER"
    workspace.close()


def serial_of(application: Application, number: str) -> tuple[str, str]:
    with application.reading() as session:
        found = session.execute(
            select(RevisionRow.serial, RevisionRow.apple_token).where(
                RevisionRow.tenant == application.tenant, RevisionRow.number == number
            )
        ).one()
    return found[0], found[1]


def test_never_for_apple(application: Application) -> None:
    """Not on the page, not by its address, and not for a phone that has got hold of the token."""
    number = issued(application)
    client = browser(application, **{"user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X)"})
    visit(client, application, number, RESIDENCE)
    page = client.get("/p/pass")
    assert "apple.pkpass" not in page.text
    assert client.get("/p/pass/apple.pkpass").status_code == 409
    assert client.get("/p/pass/permit.pdf").status_code == 200
    serial, token = serial_of(application, number)
    with application.reading() as session:
        kind = application.settings(session).apple_pass_type_identifier
        found = wallet_passes.find(application, session, serial)
        assert found is not None
        with pytest.raises(PassRefusal) as refused:
            wallet_passes.apple_pass(application, session, found)
    assert refused.value.code == "TYPE_CARRIER"
    held = {"authorization": f"ApplePass {token}"}
    device = "d" * 32
    register = client.post(
        f"/apple/v1/devices/{device}/registrations/{kind}/{serial}",
        json={"pushToken": "a" * 64},
        headers=held,
    )
    assert register.status_code == 401
    assert client.get(f"/apple/v1/passes/{kind}/{serial}", headers=held).status_code == 401


@pytest.fixture
def google(city: City, monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleServer]:
    with GoogleServer(clock=city.clock, limit=10**6) as server:
        point_at(server, monkeypatch)
        yield server


def test_never_for_google(city: City, google: GoogleServer) -> None:
    application = opened(city, google)
    write_register(city.folder, ERIKA + HOME, ERIKA + SECOND)
    number = issued(application)
    client = browser(application, **{"user-agent": "Mozilla/5.0 (Linux; Android 16)"})
    visit(client, application, number, RESIDENCE)
    assert "/p/pass/google" not in client.get("/p/pass").text
    assert send(client, "/p/pass/google").status_code == 409
    with pytest.raises(IssuerRefusal) as refused:
        google_wallet.save_link(application, RESIDENCE, number)
    assert refused.value.code == "GOOGLE_NOT_OFFERED"
    with application.reading() as session, pytest.raises(PassRefusal) as factory:
        application.google_factory(session, RESIDENCE)
    assert factory.value.code == "TYPE_CARRIER"
    assert google.seen == []


def test_no_family_no_print_run_and_no_reminder(city: City, application: Application) -> None:
    number = issued(application, email="marie@example.org")
    client = browser(application)
    visit(client, application, number, RESIDENCE)
    # A visit of one pass is no visit of a family.
    family = client.get("/p/family")
    assert (family.status_code, "Quirina" in family.text) == (303, False)
    for library in (False, True):
        assert RESIDENCE not in printable_types(application, library=library)
    city.clock.forward(days=80)
    with application.reading() as session:
        assert [one for one in reminders.due(session, application) if one.type_id == RESIDENCE] == []


def test_nothing_of_it_in_the_logs(
    reader: Office, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("DEBUG"):
        assert reader.post(NEW, json=ASKED).status_code == 201
        assert reader.post(NEW, json=BERTA).status_code == 409
        assert reader.post(PASSES, json=sent()).status_code == 201
    out, err = capfd.readouterr()
    told = caplog.text + out + err
    assert named(told, BLOCKED[1], BLOCKED[7]) == []
