"""Data on one's own pages: all of it in words and as a file, deleted at once what may go, and the pass given back."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from issuer import audit
from issuer.application import Application
from issuer.cases import steps, store
from issuer.cases.evidence import Document
from issuer.cases.evidence import store as store_evidence
from issuer.cases.facts import CaseFacts, CaseKind, Channel
from issuer.cases.states import CaseStep
from issuer.cases.store import CaseActor
from issuer.models import HolderRow, PassRow
from issuer.models_cases import CaseEvidenceRow, CaseRow
from issuer.models_delivery import AppleRegistrationRow
from issuer.models_staff import CaseAccessRow
from issuer.nightly import retention
from issuer.nightly.reports import Report
from issuer.pickup.erasure import Erasable, erase
from issuer.pickup.visits import find_visit
from issuer.register import subject
from passes.status_list import Status
from tests.issuer.cases.office import ERIKA
from tests.issuer.pickup.browser import browser, last_day, new_link, send, visit
from tests.issuer.pickup.holders import cases, change_plate, content, lives, revisions, standard, type_plate
from tests.issuer.pickup.test_wallets import register, serial_of
from tests.service import CARD, PERMIT, City, running_numbers


def refused_case(application: Application, number: str) -> str:
    """A case about the pass from which nothing came, with a document."""
    tenant, actor = application.tenant, CaseActor("holder", application.now())
    with application.writing() as session:
        begun = store.begin(
            session, tenant, CaseKind.RENEWAL, PERMIT, Channel.ONLINE, actor, pass_number=number
        )
        steps.save_draft(session, tenant, begun.id, actor, CaseFacts(), ERIKA)
        document = Document("image/jpeg", b"picture")
        store_evidence(session, application, begun.id, "identity_card", document, actor.at)
        steps.end(session, tenant, begun.id, actor, CaseStep.WITHDRAW)
    return begun.id


def test_cases_accesses_and_days_are_told(application: Application) -> None:
    number = standard(application)
    refused_case(application, number)
    with application.writing() as session:
        session.add(
            CaseAccessRow(
                tenant=application.tenant,
                id="a" * 22,
                account_id="clerk-17",
                subject=subject(PERMIT, number),
                kind="opened",
                at=application.now(),
            )
        )
    with browser(application) as client:
        visit(client, application, number)
        change_plate(client, application, number, "D-ZZ 77")
        page = client.get("/p/pass/data").text
        file = client.get("/p/pass/data.html")
        stored = json.loads(client.get("/p/pass/data.json").text)
    [first, second] = cases(application, number)
    days = application.config.retention.cases
    for text in (page, file.text):
        for told in (
            f"Verlängerung {first.number}",
            f"Anderes Kennzeichen {second.number}",
            "zurückgenommen",
            "Mustermann",
            "D-ZZ 77",
            f"{application.now() + timedelta(days=days):%d.%m.%Y}",
            "Zu diesen Zeiten hat jemand",
        ):
            assert told in text
        for secret in ("clerk-17", "PICKUP_", "HOLDER_"):
            assert secret not in text
    assert file.headers["content-disposition"] == f'attachment; filename="{number}.html"'
    # A file that needs nothing of ours to be read.
    assert "/static/" not in file.text
    assert "<form" not in file.text
    assert [one["kind"] for one in stored["accesses"]] == ["opened"]
    assert "clerk-17" not in json.dumps(stored)


def test_what_may_go_goes_at_once(application: Application) -> None:
    number = standard(application)
    lives(application, number, email="somebody@example.org")
    with browser(application) as client:
        visit(client, application, number)
        change_plate(client, application, number, "D-ZZ 77")
        type_plate(client, "D-ZZ 78")
        refused_case(application, number)
        page = client.get("/p/pass/data/rights").text
        for told in (
            "Nachweise zu entschiedenen Anträgen (1)",
            "nichts geworden ist (2)",
            "Anträge, die zum Ausweis",
        ):
            assert told in page
        assert send(client, "/p/pass/data/rights/erase", "/p/pass/data/rights").status_code == 422
        answer = send(
            client, "/p/pass/data/rights/erase", "/p/pass/data/rights",
            documents="yes", cases="yes", mail="yes", passes="yes", **last_day(application, number),
        )  # fmt: skip
        assert answer.headers["location"] == "/p/pass/data/rights?done=erased"
        assert "nichts gespeichert, was sich sofort löschen lässt" in client.get("/p/pass/data/rights").text
        # The change that took effect counts for the year, so it stays.
        assert "noch 2-mal" in client.get("/p/pass/plate").text
    assert [one.state for one in cases(application, number)] == ["issued"]
    with application.reading() as session:
        row = session.get_one(PassRow, (application.tenant, PERMIT, number))
        assert session.get_one(HolderRow, (application.tenant, row.holder_ref)).email == ""
        assert session.scalar(select(func.count()).select_from(CaseEvidenceRow)) == 0
        entry = audit.history(session, application.tenant, subject(PERMIT, number))[-1]
    assert (entry.actor, entry.action) == ("holder", "erase")
    assert "somebody" not in str(entry)


@pytest.mark.parametrize("wanted", ["mail", "cases"])
def test_a_found_link_alone_deletes_neither_address_nor_applications(
    application: Application, wanted: str
) -> None:
    number = standard(application)
    lives(application, number, email="somebody@example.org")
    refused_case(application, number)
    day = last_day(application, number)
    path = "/p/pass/data/rights"

    def is_there() -> bool:
        with application.reading() as session:
            if wanted == "cases":
                return session.scalar(select(func.count()).select_from(CaseRow)) == 1
            row = session.get_one(PassRow, (application.tenant, PERMIT, number))
            return session.get_one(HolderRow, (application.tenant, row.holder_ref)).email != ""

    with browser(application) as client:
        visit(client, application, number)
        for fields in ({}, {**day, "year": "2040"}, {"code": "AAAA-BBBB-CCCC"}):
            answer = send(client, f"{path}/erase", path, **{wanted: "yes"}, **fields)
            assert answer.status_code == 422
            assert f'name="{wanted}" value="yes" checked' in answer.text
            assert is_there()
        assert send(client, f"{path}/erase", path, **{wanted: "yes"}, **day).status_code == 303
        assert not is_there()
        # A wrong answer to the other form leaves the page as it was.
        assert send(client, f"{path}/ask", path, request="gold").status_code == 422


def test_documents_go_and_a_letter_opens_without_more(application: Application) -> None:
    number = standard(application)
    lives(application, number, email="somebody@example.org")
    refused_case(application, number)
    path = "/p/pass/data/rights"
    with browser(application) as client:
        visit(client, application, number)
        assert "nur Nachweise" in client.get(path).text
        assert send(client, f"{path}/erase", path, documents="yes").status_code == 303
    with browser(application) as client:
        client.post(new_link(application, number, "letter"))
        assert 'name="day"' not in client.get(path).text
        assert send(client, f"{path}/erase", path, mail="yes", cases="yes").status_code == 303


def test_nothing_of_others_goes(application: Application, neighbour: Application) -> None:
    number, other = running_numbers(application)[:2]
    kept = [refused_case(application, other), refused_case(neighbour, number)]
    with browser(application) as client:
        visit(client, application, number)
        token = client.cookies["__Host-stadtpass-visit"]
        with application.writing() as session:
            found = find_visit(session, application, token)
            assert found is not None
            assert Erasable.CASES not in erase(session, application, found, set(Erasable))
    with application.reading() as session:
        assert set(session.scalars(select(CaseRow.id))) == set(kept)


def test_what_the_office_must_do_is_noted(application: Application) -> None:
    number = standard(application)
    with browser(application) as client:
        visit(client, application, number)
        path = "/p/pass/data/rights/ask"
        assert send(client, path, "/p/pass/data/rights", request="gold").status_code == 422
        answer = send(client, path, "/p/pass/data/rights", request="correction")
        assert answer.headers["location"] == "/p/pass/data/rights?done=asked"
        assert "um eine Berichtigung gebeten" in client.get("/p/pass/data").text


def test_given_back_for_good(application: Application) -> None:
    number = standard(application)
    with browser(application) as client:
        visit(client, application, number)
        path = "/p/pass/give-back"
        assert "lässt sich nicht rückgängig machen" in client.get(path).text
        day = last_day(application, number)
        assert send(client, path, path, sure="yes").status_code == 422
        assert send(client, path, path, **day).status_code == 422
        assert send(client, path, path, sure="yes", **{**day, "year": "2040"}).status_code == 422
        assert revisions(application, number)[0].status_value == int(Status.VALID)
        answer = send(client, path, path, sure="yes", **day)
        assert answer.headers["location"] == "/p/pass?done=given-back"
        page = client.get("/p/pass?done=given-back").text
        assert "zurückgegeben" in page
        assert "offer-print" not in page
        assert client.get("/p/pass/permit.pdf").status_code == 409
        # Its data are still the holder's to see.
        assert client.get("/p/pass/data").status_code == 200
        assert client.post(path, data={"form_token": "0" * 32}).status_code == 403
    [only] = revisions(application, number)
    assert only.status_value == int(Status.INVALID)
    log = (application.workspace.folder / "revocations.log").read_text("utf-8")
    assert number in log


def test_giving_back_withdraws_what_is_under_way(application: Application) -> None:
    number = standard(application)
    with browser(application) as client:
        visit(client, application, number)
        change_plate(client, application, number, "D-ZZ 9", keeper="other")
        assert [one.state for one in cases(application, number)] == ["documents"]
        send(client, "/p/pass/give-back", "/p/pass/give-back", sure="yes", **last_day(application, number))
    assert [one.state for one in cases(application, number)] == ["withdrawn"]


@pytest.mark.parametrize("type_id", [PERMIT, CARD])
def test_every_byte_of_the_code_is_told(application: Application, type_id: str) -> None:
    number = running_numbers(application, type_id)[0]
    with application.reading() as session:
        row = session.get_one(PassRow, (application.tenant, type_id, number))
        holder = session.get_one(HolderRow, (application.tenant, row.holder_ref))
    with browser(application) as client:
        visit(client, application, number, type_id)
        assert "/p/pass/seal" in client.get("/p/pass").text
        assert "/p/pass/seal" in client.get("/p/pass/data").text
        page = client.get("/p/pass/seal").text
    assert number in page
    assert "Sie passt zum Schlüssel der Stadt" in page
    assert "-7 (ES256)" in page
    # The tag and the array of four, as every COSE_Sign1 of ours begins.
    assert "d2 84" in page
    for personal in (holder.family_name, holder.street, holder.email):
        assert not personal or personal not in page
    if type_id == PERMIT:
        held = content(application, number)
        assert getattr(held.attributes["zone"], "code", "?") in page
        assert held.seal.replace("'", "&#39;") in page


def test_registrations_of_what_was_cut_off_go_the_next_night(city: City, application: Application) -> None:
    lost, paper, kept = running_numbers(application)[:3]
    serials = {one: serial_of(application, one) for one in (lost, paper, kept)}
    for place, one in enumerate(serials.values()):
        register(application, one, str(place) * 32, city.clock())

    def registered() -> set[str]:
        with application.reading() as session:
            return set(session.scalars(select(AppleRegistrationRow.serial)))

    with browser(application) as client:
        visit(client, application, lost)
        send(client, "/p/pass/devices/drop", "/p/pass/devices")
    with browser(application) as client:
        visit(client, application, paper)
        send(client, "/p/pass/wallets/remove", "/p/pass/wallets")
    retention.run(application, Report(application, city.clock().date(), retention.NAME))
    # A phone hears that what it has is void by the registration.
    assert registered() == set(serials.values())
    city.clock.forward(hours=25)
    retention.run(application, Report(application, city.clock().date(), retention.NAME))
    assert registered() == {serials[kept]}
    # It can be had again.
    with browser(application) as client:
        visit(client, application, paper)
        send(client, "/p/pass/wallets/allow")
        assert client.get("/p/pass/apple.pkpass").status_code == 200
