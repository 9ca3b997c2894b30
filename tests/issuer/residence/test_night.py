"""The night compares certificates with the register of residents, and supersedes what is not so any more."""

from __future__ import annotations

import pytest

from issuer.application import Application
from issuer.models import PassRow
from issuer.nightly import residence
from issuer.nightly.reports import Report
from passes.periods import berlin_day
from tests.issuer.pickup.browser import browser, visit
from tests.issuer.residence.registry import (
    BLOCKED,
    ERIKA,
    FILE,
    HOME,
    NEW_HOME,
    RESIDENCE,
    SECOND,
    issued,
    registry,
    write_register,
)
from tests.service import City

Rows = list[tuple[str, ...]]
SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
MARRIED = ("1", "Müller-Đặng", "Şeyma Quirina", "Quirina", "Mustermann, Nguyễn", "Dr.", "1984-02-29")


@pytest.fixture
def application(city: City) -> Application:
    return registry(city)


def night(application: Application) -> dict[str, int]:
    with application.reading() as session:
        previewed = residence.preview(application, session)
    residence.run(application, Report(application, berlin_day(application.now()), residence.NAME))
    return previewed


def status(application: Application, number: str) -> str:
    with application.reading() as session:
        return session.get_one(PassRow, (application.tenant, RESIDENCE, number)).status


def test_who_has_moved(city: City, application: Application) -> None:
    number = issued(application)
    assert (night(application), status(application, number)) == ({}, "active")
    write_register(city.folder, (*ERIKA, *HOME[:6], "2026-11-19"), ERIKA + NEW_HOME)
    assert night(application) == {"superseded": 1}
    assert status(application, number) == "superseded"
    assert night(application) == {}
    client = browser(application)
    visit(client, application, number, RESIDENCE)
    page = client.get("/p/pass")
    assert "Eine neue stellt Ihnen die Stadt kostenlos aus" in page.text
    assert "permit.pdf" not in page.text


@SQLITE
@pytest.mark.parametrize(
    "rows",
    [
        [MARRIED + HOME, MARRIED + SECOND],
        [ERIKA + HOME],
        [ERIKA + HOME, ERIKA + SECOND, (*ERIKA, "Weg", "1", *SECOND[2:])],
        [(*ERIKA, *HOME[:6], "2026-11-19"), (*ERIKA, *SECOND[:6], "2026-11-19")],
    ],
    ids=["former-names", "one-home-less", "one-home-more", "moved-away"],
)
def test_what_else_is_another_certificate(city: City, application: Application, rows: Rows) -> None:
    number = issued(application)
    write_register(city.folder, *rows)
    night(application)
    assert status(application, number) == "superseded"


@SQLITE
@pytest.mark.parametrize(
    "rows",
    [
        # The same in another order; nobody of the name; two of them; blocked by now; rows that do not agree.
        [ERIKA + SECOND, ERIKA + HOME],
        [BLOCKED],
        [ERIKA + NEW_HOME, ("9", *ERIKA[1:], *HOME)],
        [(*ERIKA, *NEW_HOME[:5], "yes", "")],
        [ERIKA + NEW_HOME, (*ERIKA[:5], "", ERIKA[6], *SECOND)],
    ],
)
def test_what_is_not_certain_changes_nothing(city: City, application: Application, rows: Rows) -> None:
    number = issued(application)
    write_register(city.folder, *rows)
    assert (night(application), status(application, number)) == ({}, "active")


@SQLITE
def test_a_register_that_is_away_changes_nothing(city: City, application: Application) -> None:
    number = issued(application)
    (city.folder / FILE).write_text("rubbish", "utf-8")
    assert (night(application), status(application, number)) == ({}, "active")
