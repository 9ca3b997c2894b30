"""Warnings before certificates, keys and the trust bundle end: the right ones, once for each step."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import select, update

from issuer import keyring
from issuer.application import Application
from issuer.models import SigningKeyRow
from issuer.models_delivery import MailRow
from issuer.nightly import certificates
from issuer.nightly.certificates import warnings
from issuer.nightly.reports import Report
from issuer.publish import publish
from issuer.settings import load_settings, save_settings
from keys.lifecycle import Purpose
from tests.issuer.nightly.samples import column, count, report
from tests.service import City

END = datetime(2027, 6, 1, 12, 0, tzinfo=UTC)


def end_at(application: Application, purpose: Purpose, at: datetime) -> None:
    with application.writing() as session:
        session.execute(
            update(SigningKeyRow)
            .where(SigningKeyRow.tenant == application.tenant, SigningKeyRow.purpose == purpose.value)
            .values(not_after=at)
        )


def night(application: Application) -> None:
    certificates.run(application, Report(application, date(2026, 11, 20), certificates.NAME))


def operator(application: Application, address: str) -> None:
    with application.writing() as session:
        settings = load_settings(session, application.tenant)
        save_settings(session, application.tenant, msgspec.structs.replace(settings, operator_mail=address))


@pytest.mark.parametrize("purpose", [Purpose.SEAL, Purpose.LIST, Purpose.ROOT, Purpose.GOOGLE])
@pytest.mark.parametrize(
    ("left", "within", "code"),
    [
        (timedelta(days=60, seconds=1), None, ""),
        (timedelta(days=60), 60, "KEY_ENDS_SOON"),
        (timedelta(days=30), 30, "KEY_ENDS_SOON"),
        (timedelta(days=7), 7, "KEY_ENDS_SOON"),
        (timedelta(0), 0, "KEY_HAS_ENDED"),
    ],
)
def test_keys_are_warned_of(
    city: City, application: Application, purpose: Purpose, left: timedelta, within: int | None, code: str
) -> None:
    end_at(application, purpose, END)
    city.clock.at = END - left
    found = [one for one in warnings(application) if one.purpose == purpose]
    assert [(one.code, one.within) for one in found] == ([(code, within)] if within is not None else [])
    for one in found:
        assert "01.06.2027" in one.sentence("de")
        assert "2027-06-01" in one.sentence("en")


def test_apples_certificate_and_the_one_above_it(city: City, application: Application) -> None:
    with application.reading() as session:
        record = keyring.records(session, application.tenant, Purpose.APPLE_PASS)[0]
    city.clock.at = record.not_after - timedelta(days=7)
    found = {one.code: one for one in warnings(application) if one.purpose == Purpose.APPLE_PASS}
    assert found["APPLE_CERTIFICATE_ENDS_SOON"].within == 7
    assert "Apple" in found["APPLE_CERTIFICATE_ENDS_SOON"].sentence()
    city.clock.at = record.not_after + timedelta(days=10 * 366)
    codes = {one.code for one in warnings(application)}
    assert {"APPLE_CERTIFICATE_EXPIRED", "APPLE_WWDR_EXPIRED"} <= codes


def test_a_key_with_a_successor_ends_in_peace(city: City, application: Application) -> None:
    end_at(application, Purpose.LIST, END)
    city.clock.at = END - timedelta(days=5)
    assert [one.purpose for one in warnings(application)] == ["list"]
    with application.writing() as session:
        made = keyring.create_key(
            session, application.keys, application.tenant, Purpose.LIST, application.now(), test=True
        )
        made = keyring.lifecycle.published(made, application.now())
        keyring.save(session, keyring.activate(session, made, application.now()))
    assert warnings(application) == []


def test_the_bundle_is_warned_of(city: City, application: Application) -> None:
    publish(application.workspace, city.folder / "public", application.now())
    assert warnings(application) == []
    city.clock.forward(days=365 - 29)
    (found,) = [one for one in warnings(application) if one.purpose == "bundle"]
    assert (found.code, found.within) == ("BUNDLE_ENDS_SOON", 30)
    assert "bundle.cwt" in found.sentence("en")


def test_the_operator_gets_one_mail_for_each_step(
    city: City, application: Application, neighbour: Application, caplog: pytest.LogCaptureFixture
) -> None:
    operator(application, "it@stadt.example")
    end_at(application, Purpose.SEAL, END)
    for days in range(65, -3, -1):
        city.clock.at = END - timedelta(days=days)
        night(application)
    assert count(application, MailRow, kind="operator") == 4
    assert report(application, certificates.NAME) == {"warned": 4}
    params = column(application, MailRow.params)
    assert sorted(one["within"] for mail in params for one in mail["warnings"]) == [0, 7, 30, 60]
    lines = [record for record in caplog.records if record.name == "stadtpass.nightly"]
    assert len(lines) == 63
    assert {getattr(record, "code", None) for record in lines} == {"KEY_ENDS_SOON", "KEY_HAS_ENDED"}
    assert count(neighbour, MailRow) == 0


def test_without_an_address_the_log_has_it(
    city: City, application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    end_at(application, Purpose.SEAL, END)
    city.clock.at = END - timedelta(days=7)
    with caplog.at_level(logging.WARNING):
        night(application)
    assert "KEY_ENDS_SOON" in caplog.text
    assert count(application, MailRow) == 0


def test_what_is_previewed_is_warned(city: City, application: Application) -> None:
    end_at(application, Purpose.SEAL, END)
    city.clock.at = END - timedelta(days=7)
    with application.reading() as session:
        expected = certificates.preview(application, session)
        assert session.scalars(select(MailRow)).all() == []
    night(application)
    assert report(application, certificates.NAME) == expected == {"warned": 1}
    with application.reading() as session:
        assert certificates.preview(application, session) == {}
