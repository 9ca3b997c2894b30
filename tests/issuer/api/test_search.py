"""Finding passes: by name however it is typed, number, plate, zone, status, type and day; in pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete

from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.models import PassRow, PassTermRow, RevisionRow
from tests.issuer.api.conftest import Http
from tests.issuer.api.office import PASSES, Office, card, codes, office_of, permit
from tests.service import CARD, PERMIT

Serve = Callable[..., Http]


@pytest.fixture
def office(serve: Serve, application: Application) -> Office:
    return office_of(serve, application)


def put(
    office: Office, number: str, plate: str = "", name: str = "Nobody", given: str = "", **more: Any
) -> None:
    attributes: dict[str, Any] = {"zone": "HO", "permit_kind": "changing_vehicles"}
    if plate:
        attributes |= {"plates": [{"plate": plate}], "permit_kind": "standard"}
    holder = {"ref": f"ref-{number}", "family_name": name, "given_name": given}
    body = permit(number=number, holder=holder, attributes=attributes, details={}) | more
    answer = office.post(PASSES, json=body)
    assert answer.status_code == 201, answer.text


def find(office: Office, **params: Any) -> list[str]:
    answer = office.get(PASSES, params=params)
    assert answer.status_code == 200, answer.text
    return [one["number"] for one in answer.json()["items"]]


@pytest.mark.parametrize(
    "q", ["Mueller", "müller", "MULLER", "Mül", "karl müller", "Müller Karl-Heinz", "heinz"]
)
def test_names_are_found_however_they_are_typed(office: Office, q: str) -> None:
    put(office, "N-1", name="Müller", given="Karl-Heinz")
    put(office, "N-2", name="Muster", given="Heidrun")
    assert find(office, q=q, type=PERMIT, valid_on="2027-01-01", status="active", zone="HO").count("N-1") == 1
    assert "N-2" not in find(office, q=q)


def test_words_begin_where_words_begin(office: Office) -> None:
    put(office, "N-1", name="Freifrau von Großgrün", given="Özlem")
    for q in ("grossgruen", "Großgrün", "oezlem von", "ozlem"):
        assert find(office, q=q) == ["N-1"]
    for q in ("gruen", "rossgruen", "%", "_zlem", "oezlem xyz", "'; DROP TABLE passes --"):
        assert find(office, q=q) == []


def test_two_cars_that_strip_to_the_same(office: Office) -> None:
    put(office, "P-1", "UE-MA 123")
    put(office, "P-2", "UEM-A 123")
    put(office, "P-3", "UE-MA 1234")
    put(office, "P-4", "UE-MA 123E")
    assert find(office, plate="UE-MA 123") == ["P-1"]
    assert find(office, plate="uem a 123") == ["P-2"]
    assert find(office, plate="UE-MA 123 E") == ["P-4"]
    assert find(office, plate="UE-MA 12") == []
    # What was typed into the one field is a plate too; a missing E is the usual mistake.
    assert find(office, q="UE-MA 123") == ["P-1", "P-4"]
    assert find(office, q="UE-MA 123E") == ["P-4"]
    ambiguous = office.get(PASSES, params={"plate": "UEMA123"})
    assert codes(ambiguous) == {"plate": "PLATE_AMBIGUOUS"}
    assert find(office, q="UEMA123") == ["P-1", "P-2", "P-4"]
    assert codes(office.get(PASSES, params={"plate": "0-1"})) == {"plate": "PLATE_SPECIAL"}


def test_what_a_pass_said_before_is_not_found(office: Office) -> None:
    put(office, "P-1", "D-XY 1")
    assert office.change("P-1", {"plates": [{"plate": "D-XY 2"}]}).status_code == 200
    assert (find(office, plate="D-XY 1"), find(office, plate="D-XY 2")) == ([], ["P-1"])
    moved = office.change("P-1", {"zone": "GP"})
    assert moved.status_code == 200
    assert find(office, plate="D-XY 2", zone="GP") == ["P-1"]
    assert find(office, plate="D-XY 2", zone="HO") == []


def test_imported_passes_are_found_too(office: Office, application: Application) -> None:
    for one in office.get(PASSES, params={"type": PERMIT}).json()["items"]:
        zone = one["attributes"]["zone"]["code"]
        assert one["number"] in find(office, zone=zone, limit=200)
        for plate in one["attributes"].get("plates", []):
            assert one["number"] in find(office, plate=plate["plate"])


def test_other_conditions(office: Office) -> None:
    put(office, "Z-1", "D-ZZ 1")
    office.post(PASSES, json=card(number="Z-1"))
    assert len(find(office, q="Z-1")) == 2
    assert len(find(office, q="z-1")) == 2
    assert find(office, q="Z-1", type=CARD) == ["Z-1"]
    assert find(office, q="Z-1", type=CARD, status="suspended") == []
    for day, found in (
        ("2026-11-30", []),
        ("2026-12-01", ["Z-1"]),
        ("2027-11-30", ["Z-1"]),
        ("2027-12-01", []),
    ):
        assert find(office, q="Z-1", type=PERMIT, valid_on=day) == found
    office.step("Z-1", "suspend", {"reason": "x"})
    assert find(office, q="Z-1", status="suspended") == ["Z-1"]
    assert find(office, type="dog-tag") == []
    for bad in ({"status": "lost"}, {"valid_on": "tomorrow"}, {"zone": "<>"}, {"q": "x" * 101}, {"limit": 0}):
        assert office.get(PASSES, params=bad).status_code == 422


def test_pages_meet_without_gaps(office: Office) -> None:
    whole = find(office, limit=200)
    pages: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": 7} | ({"cursor": cursor} if cursor else {})
        answer = office.get(PASSES, params=params).json()
        pages += [one["number"] for one in answer["items"]]
        if cursor is None:
            # A pass that comes in before the cursor moves nothing.
            put(office, "AAA-1")
        cursor = answer["next"]
        if cursor is None:
            break
    assert [one for one in pages if one != "AAA-1"] == whole
    first = office.get(PASSES, params={"limit": 7}).json()["next"]
    foreign = office.get(PASSES, params={"limit": 7, "cursor": first, "zone": "HO"})
    assert (foreign.status_code, foreign.json()["code"]) == (400, "CURSOR_INVALID")


def test_names_are_for_those_who_may_see_them(serve: Serve, application: Application, office: Office) -> None:
    put(office, "N-1", "D-NN 1", name="Zuckmayer")
    reader = office_of(serve, application, Scope.PASSES_READ)
    assert find(office, q="Zuckmayer") == ["N-1"]
    assert find(reader, q="Zuckmayer") == []
    (found,) = reader.get(PASSES, params={"q": "N-1"}).json()["items"]
    assert "holder" not in found
    assert find(reader, q="D-NN 1") == ["N-1"]


def test_another_city_finds_its_own(
    serve: Serve, application: Application, neighbour: Application, office: Office
) -> None:
    there = office_of(serve, neighbour)
    put(office, "N-1", "D-NN 1", name="Zuckmayer")
    put(there, "N-1", "D-NN 2", name="Ziegler")
    assert find(there, q="Zuckmayer") == find(there, plate="D-NN 1") == find(office, plate="D-NN 2") == []
    assert find(there, q="Ziegler") == find(office, q="Zuckmayer") == ["N-1"]
    (mine,) = office.get(PASSES, params={"q": "N-1"}).json()["items"]
    assert mine["holder"]["family_name"] == "Zuckmayer"


def test_terms_go_with_their_pass(application: Application, office: Office) -> None:
    put(office, "N-1", "D-NN 1")
    with application.writing() as session:
        for table in (RevisionRow, PassRow):
            session.execute(delete(table).where(table.tenant == application.tenant, table.number == "N-1"))
    with application.reading() as session:
        assert session.query(PassTermRow).filter_by(tenant=application.tenant, number="N-1").all() == []
