"""Passes expire with the end of their last day in Berlin, and only those that hold."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select

from issuer import audit, lifecycle
from issuer.application import Application
from issuer.lifecycle import Actor
from issuer.models import HolderRow
from issuer.models_delivery import WalletPassRow, WebhookDeliveryRow, WebhookEndpointRow
from issuer.nightly import expiry
from issuer.nightly.reports import Report
from issuer.nightly.run import run_night
from issuer.register import subject
from tests.issuer.nightly.samples import count, far_away, give_period, report, state
from tests.service import PERMIT, TODAY, City, running_numbers


def expire(application: Application) -> None:
    expiry.run(application, Report(application, date(2026, 11, 20), expiry.NAME))


def actor(application: Application) -> Actor:
    return Actor("test", application.now(), "why")


@pytest.mark.parametrize(
    ("last", "still", "over"),
    [
        (date(2027, 1, 31), "2027-01-31T22:59:59", "2027-01-31T23:00:00"),
        (date(2027, 7, 31), "2027-07-31T21:59:59", "2027-07-31T22:00:00"),
        # Summer time begins and ends within the last day.
        (date(2027, 3, 28), "2027-03-28T21:59:59", "2027-03-28T22:00:00"),
        (date(2027, 10, 31), "2027-10-31T22:59:59", "2027-10-31T23:00:00"),
        (date(2028, 2, 29), "2028-02-29T22:59:59", "2028-02-29T23:00:00"),
    ],
)
def test_the_last_day_counts_to_its_end(
    city: City, application: Application, last: date, still: str, over: str
) -> None:
    number = running_numbers(application)[0]
    far_away(application)
    give_period(application, number, date(2026, 1, 1), last)
    city.clock.at = datetime.fromisoformat(still).replace(tzinfo=UTC)
    expire(application)
    assert state(application, number) == "active"
    city.clock.at = datetime.fromisoformat(over).replace(tzinfo=UTC)
    expire(application)
    assert state(application, number) == "expired"
    assert report(application, expiry.NAME) == {"expired": 1}


def test_what_is_told_of_it(city: City, application: Application) -> None:
    number = running_numbers(application)[0]
    far_away(application)
    give_period(application, number, date(2026, 1, 1), date(2026, 11, 19))
    with application.writing() as session:
        session.add(
            WebhookEndpointRow(
                tenant=application.tenant,
                id="e" * 32,
                url="https://hook.example",
                events=["pass.expired"],
                secret_generation=1,
                created_at=TODAY,
                rotated_at=None,
                disabled_at=None,
            )
        )
        before = session.scalars(
            select(WalletPassRow.update_tag).filter_by(tenant=application.tenant, number=number)
        ).one()
    expire(application)
    with application.reading() as session:
        entry = audit.history(session, application.tenant, subject(PERMIT, number))[-1]
        after = session.scalars(
            select(WalletPassRow.update_tag).filter_by(tenant=application.tenant, number=number)
        ).one()
        fault = audit.verify(session, application.tenant).fault
    assert (entry.actor, entry.action) == ("nightly", "expire")
    assert (entry.before, entry.after) == ({"status": "active"}, {"status": "expired"})
    assert after > before
    assert fault is None
    assert count(application, WebhookDeliveryRow, event="pass.expired") == 1


def test_what_is_on_hold_stays_so_until_somebody_decides(city: City, application: Application) -> None:
    suspended, revoked = running_numbers(application)[:2]
    far_away(application)
    give_period(application, suspended, date(2026, 1, 1), date(2026, 11, 20))
    give_period(application, revoked, date(2026, 1, 1), date(2026, 11, 20))
    with application.writing() as session:
        lifecycle.suspend(session, application.tenant, PERMIT, suspended, actor=actor(application))
        lifecycle.revoke(session, application.tenant, PERMIT, revoked, actor=actor(application))
    city.clock.forward(days=1)
    expire(application)
    assert (state(application, suspended), state(application, revoked)) == ("suspended", "revoked")
    with application.writing() as session:
        lifecycle.resume(session, application.tenant, PERMIT, suspended, actor=actor(application))
    expire(application)
    assert state(application, suspended) == "expired"


def test_an_expired_pass_can_still_be_revoked(city: City, application: Application) -> None:
    number = running_numbers(application)[0]
    far_away(application)
    give_period(application, number, date(2026, 1, 1), date(2026, 11, 19))
    expire(application)
    with application.writing() as session:
        lifecycle.revoke(session, application.tenant, PERMIT, number, actor=actor(application))
    assert state(application, number) == "revoked"


def test_many_expire_in_chunks(
    city: City, application: Application, neighbour: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "CHUNK", 7)
    city.clock.forward(days=3 * 366)
    with application.reading() as session:
        expected = expiry.preview(application, session)
    expire(application)
    assert report(application, expiry.NAME) == expected
    assert expected["expired"] > 40
    with application.reading() as session:
        assert expiry.preview(application, session) == {"expired": 0}
    with neighbour.reading() as session:
        assert expiry.preview(neighbour, session) == expected


def test_names_stand_neither_in_logs_nor_in_reports(
    city: City, application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    city.clock.forward(days=400)
    with application.reading() as session:
        names = {
            text
            for row in session.scalars(select(HolderRow).filter_by(tenant=application.tenant))
            for text in (row.family_name, row.given_name, row.email)
            if len(text) > 3
        }
    assert len(names) > 50
    with caplog.at_level(logging.DEBUG):
        run_night(application)
    told = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    for name in ("expiry", "reminders", "warnings", "retention"):
        told += str(report(application, name))
    assert [name for name in names if name in told] == []
