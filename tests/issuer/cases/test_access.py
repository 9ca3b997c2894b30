"""Links and visits: what opens a case, how often, and for how long."""

from __future__ import annotations

import threading

import pytest

from issuer.application import Application
from issuer.cases import access
from tests.issuer.cases.office import Office
from tests.service import City


@pytest.fixture
def office(application: Application) -> Office:
    return Office(application)


def redeemed(office: Office, token: str) -> access.CaseVisit | None:
    with office.application.writing() as session:
        return access.redeem(session, office.application, token)


def test_a_link_opens_its_case_once(office: Office) -> None:
    case = office.draft()
    token = office.link(case.id)
    with office.application.reading() as session:
        # Whoever only looks, like a mail scanner, uses nothing up.
        assert all(access.is_open(session, office.application, token) for _ in range(3))
    visit = redeemed(office, token)
    assert visit is not None
    assert visit.case_id == case.id
    assert redeemed(office, token) is None
    with office.application.reading() as session:
        found = access.find_visit(session, office.application, visit.token)
        assert found == visit
        assert not access.is_open(session, office.application, token)
    assert visit.accepts(visit.form_token)
    assert not visit.accepts("0" * 32)


def test_of_two_browsers_one_gets_in(office: Office) -> None:
    token = office.link(office.draft().id)
    got: list[access.CaseVisit | None] = []
    start = threading.Barrier(2)

    def open_it() -> None:
        start.wait()
        got.append(redeemed(office, token))

    both = [threading.Thread(target=open_it) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert [visit is None for visit in got].count(True) == 1


def test_links_hold_thirty_days_and_visits_two_hours(office: Office) -> None:
    case = office.draft()
    early, late = office.link(case.id), office.link(case.id)
    office.clock.forward(days=29, hours=23)
    visit = redeemed(office, early)
    assert visit is not None
    office.clock.forward(hours=1, seconds=1)
    assert redeemed(office, late) is None
    office.clock.forward(hours=1)
    with office.application.reading() as session:
        assert access.find_visit(session, office.application, visit.token) is None


@pytest.mark.parametrize("token", ["", "x", "x" * 22, "x" * 5000, "ä" * 22, "x" * 21 + "\n"])
def test_what_is_no_link_opens_nothing(office: Office, token: str) -> None:
    assert redeemed(office, token) is None
    with office.application.reading() as session:
        assert access.find_visit(session, office.application, token) is None


def test_ended_is_ended_and_the_neighbours_are_others(office: Office, city: City) -> None:
    case = office.draft()
    visit, token = redeemed(office, office.link(case.id)), office.link(case.id)
    assert visit is not None
    other = city.open(city.other_folder)
    with other.reading() as session:
        assert access.find_visit(session, other, visit.token) is None
        assert not access.is_open(session, other, token)
    with office.application.writing() as session:
        access.end_visit(session, office.application, visit)
        access.end_links(session, office.application, case.id)
    with office.application.reading() as session:
        assert access.find_visit(session, office.application, visit.token) is None
    assert redeemed(office, token) is None
