"""Everything stored, for its holder: complete, in plain words, and nothing of anybody else's."""

from __future__ import annotations

import json

from sqlalchemy import select

from issuer import lifecycle
from issuer.application import Application
from issuer.lifecycle import Actor, Changes
from issuer.models import Base, HolderRow, PassRow
from issuer.models_delivery import WebhookEndpointRow
from issuer.pickup.codes import create_letter_code
from issuer.pickup.stored_data import stored_data
from tests.issuer.pickup.browser import browser, new_link, send, visit
from tests.issuer.pickup.test_wallets import register, serial_of
from tests.service import PERMIT, City, running_numbers


def test_everything_by_pass_or_holder_is_there(city: City, application: Application) -> None:
    """A table that names a pass or holder and is not in the export would be a gap."""
    number = running_numbers(application)[0]
    register(application, serial_of(application, number), "d" * 32, city.clock())
    with application.writing() as session:
        create_letter_code(session, application, PERMIT, number)
    with application.reading() as session:
        found = stored_data(session, application, PERMIT, number)
    told = {"passes": "pass", "holders": "holder", "audit_entries": "history"}
    for table in Base.metadata.sorted_tables:
        names = {column.name for column in table.columns}
        # A status list has a number of its own.
        is_list = table.name in ("status_lists", "eudi_status_lists")
        if ({"type_id", "number"} <= names and not is_list) or (
            "serial" in names and table.name != "revisions"
        ):
            key = told.get(table.name, table.name)
            assert key in found, table.name
    assert len(found["apple_registrations"]) == 1
    assert len(found["letter_codes"]) == 1
    assert found["pass_terms"]


def test_what_specialist_systems_were_told(application: Application) -> None:
    number, other = running_numbers(application)[:2]
    with application.writing() as session:
        session.add(
            WebhookEndpointRow(
                tenant=application.tenant,
                id="e" * 32,
                url="https://example.org/hook",
                events=["pass.suspended"],
                created_at=application.now(),
            )
        )
        session.flush()
        for one in (number, other):
            actor = Actor("clerk", application.now(), "Test")
            lifecycle.suspend(session, application.tenant, PERMIT, one, actor=actor)
        [told] = stored_data(session, application, PERMIT, number)["webhook_deliveries"]
    assert number in told["payload"]


def test_the_file(application: Application) -> None:
    number = running_numbers(application)[0]
    with application.reading() as session:
        row = session.get(PassRow, (application.tenant, PERMIT, number))
        assert row is not None
        holder = session.get(HolderRow, (application.tenant, row.holder_ref))
        others = session.scalars(select(PassRow.number).where(PassRow.number != number)).all()
    assert holder is not None
    with browser(application) as client:
        link = new_link(application, number)
        client.post(link)
        answer = client.get("/p/pass/data.json")
        cookie = client.cookies["__Host-stadtpass-visit"]
    assert answer.headers["content-disposition"] == f'attachment; filename="{number}.json"'
    found = json.loads(answer.text)
    assert found["holder"]["family_name"] == holder.family_name
    assert found["holder"]["email"] == holder.email
    assert not any(one in answer.text for one in others)
    for secret in (link.rpartition("/")[2], cookie, "apple_token", "visit_hash", "token_hash"):
        assert secret not in answer.text


def test_the_page(application: Application) -> None:
    number = running_numbers(application)[0]
    with application.writing() as session:
        pass_type = application.pass_types[PERMIT]
        lifecycle.change(
            session,
            application.tenant,
            pass_type,
            number,
            Changes(zone_code="HO"),
            seal_for=application.sealer(session, pass_type),
            actor=Actor("clerk-17", application.now(), "Umzug"),
        )
    with browser(application) as client:
        visit(client, application, number)
        client.get("/p/pass/permit.pdf")
        send(client, "/p/pass/phone")
        page = client.get("/p/pass/data").text
        english = client.get("/p/pass/data?lang=en").text
    for text in (
        "Ausweis eingetragen",
        "mit dem Link aus einer E-Mail",
        "PDF zum Drucken",
        "Code für ein anderes",
    ):
        assert text in page
    assert "Grund: Umzug" in page
    assert "jetzt HO" in page
    assert "clerk-17" not in page
    assert "PDF loaded for printing" in english
    assert "PICKUP_" not in page + english


def test_when_it_will_be_deleted(application: Application) -> None:
    number = running_numbers(application)[0]
    with application.reading() as session:
        found = stored_data(session, application, PERMIT, number)
        row = session.get(PassRow, (application.tenant, PERMIT, number))
    assert row is not None
    days = application.config.retention.passes_after_end
    assert found["deleted_on"] == row.period_last.fromordinal(row.period_last.toordinal() + days).isoformat()
