"""Two cities on one database: the office of one finds nothing of the other's, by whatever address."""

from __future__ import annotations

from pathlib import Path

import pytest

from issuer.application import Application
from issuer.cases import access
from issuer.staff.permissions import Role
from tests.issuer.console.people import form_token, new_client
from tests.issuer.console.permit_office import PermitOffice
from tests.service import City

EVERYTHING = tuple(Role)
STEPS = (
    "approve",
    "withdraw",
    "pay",
    "settle",
    "close",
    "refuse",
    "documents",
    "second/approve",
    "second/return",
)


@pytest.fixture
def offices(
    city: City, application: Application, neighbour: Application, tmp_path: Path
) -> tuple[PermitOffice, PermitOffice]:
    """Ours and the neighbour's."""
    return PermitOffice.of(city, application, tmp_path), PermitOffice.of(city, neighbour, tmp_path)


def test_a_case_of_the_neighbour_is_unknown(offices: tuple[PermitOffice, PermitOffice]) -> None:
    ours, theirs = offices
    case = theirs.submitted()
    before = theirs.case(case.id)
    who = ours.person("erika", *EVERYTHING)
    assert ours.page(who, case.id).status_code == 404
    for path in (f"evidence/{'x' * 22}", "letters/acknowledgement", "refuse", "documents"):
        assert who.client.get(f"/office/cases/{case.id}/{path}").status_code == 404, path
    token = form_token(who.client.get("/office/cases"))
    for step in STEPS:
        form = {
            "form_token": token,
            "version": str(case.version),
            "seen": "0",
            "code": "no_proof",
            "receipt": "K-1",
        }
        assert who.client.post(f"/office/cases/{case.id}/{step}", data=form).status_code == 404, step
    assert theirs.case(case.id) == before
    for text in (case.number, "Musterab", "D-XY 78"):
        found = who.client.get("/office/cases", params={"q": text})
        assert case.id not in found.text


def test_a_link_of_the_neighbour_opens_nothing(
    offices: tuple[PermitOffice, PermitOffice], neighbour: Application
) -> None:
    ours, theirs = offices
    case = theirs.submitted()
    with neighbour.writing() as session:
        link = access.create_link(session, neighbour, case.id)
        visit = access.start_visit(session, neighbour, case.id)
    client = new_client(ours.application, ours.app)
    path = access.PATH + link.rpartition("/")[2]
    assert client.get(path).status_code == 410
    assert client.post(path).status_code == 410
    client.cookies.set(f"__Host-{access.COOKIE}", visit.token)
    assert client.get("/apply/case").status_code == 403
    # Where it belongs it still opens.
    at_home = new_client(theirs.application, theirs.app)
    assert at_home.post(path).status_code == 303
