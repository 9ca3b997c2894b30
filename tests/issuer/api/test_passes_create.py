"""Issuing passes through the API: the checks of an import, numbers, and approval after payment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.models import PassRow, RevisionRow
from issuer.models_delivery import WalletPassRow
from passes.seal import read_seal
from tests.issuer.api.conftest import Http
from tests.issuer.api.office import PASSES, Office, card, codes, office_of, permit
from tests.service import CARD, PERMIT

Serve = Callable[..., Http]


@pytest.fixture
def office(serve: Serve, application: Application) -> Office:
    return office_of(serve, application)


def revision(application: Application, number: str, type_id: str = PERMIT) -> RevisionRow:
    with application.reading() as session:
        found = session.scalars(
            select(RevisionRow)
            .where(
                RevisionRow.tenant == application.tenant,
                RevisionRow.type_id == type_id,
                RevisionRow.number == number,
            )
            .order_by(RevisionRow.n.desc())
        ).first()
    assert found is not None
    return found


def test_a_permit_is_issued(office: Office, application: Application) -> None:
    answer = office.post(PASSES, json=permit())
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["number"] == "RPP-2026-000001"
    assert answer.headers["location"] == f"{PASSES}/{PERMIT}/RPP-2026-000001"
    assert answer.headers["etag"] == office.etag("RPP-2026-000001")
    assert body["status"] == "active"
    assert body["period"] == {"first": "2026-12-01", "last": "2027-11-30"}
    assert body["attributes"]["plates"] == [{"plate": "D-AB 123", "season": "04-10"}]
    assert body["attributes"]["zone"]["code"] == "HO"
    assert body["holder"]["family_name"] == "Müller-Lüdenscheidt"
    seal = read_seal(revision(application, "RPP-2026-000001").seal or "").content
    assert seal.number == "RPP-2026-000001"
    # What came out goes in again, under a number of its own.
    again = office.post(PASSES, json=permit(attributes=body["attributes"]))
    assert again.status_code == 201, again.text
    assert again.json()["number"] == "RPP-2026-000002"


def test_numbers_count_for_each_type_year_and_city(
    office: Office, serve: Serve, application: Application, neighbour: Application
) -> None:
    assert office.post(PASSES, json=permit(number="RPP-2026-000001")).status_code == 201
    # A number that was taken by hand is passed over.
    assert office.post(PASSES, json=permit()).json()["number"] == "RPP-2026-000002"
    assert office.post(PASSES, json=card()).json()["number"] == "LC-2026-000001"
    other = office_of(serve, neighbour)
    assert other.post(PASSES, json=permit()).json()["number"] == "RPP-2026-000001"
    # The same number in both cities: each sees its own.
    changed = office.change("RPP-2026-000001", {"plates": [{"plate": "D-XY 1"}]})
    assert changed.status_code == 200
    there = other.get(f"{PASSES}/{PERMIT}/RPP-2026-000001").json()
    assert there["attributes"]["plates"][0]["plate"] == "D-AB 123"
    assert there["revision"] == 1


def test_a_number_is_given_once(office: Office) -> None:
    assert office.post(PASSES, json=permit(number="A-1")).status_code == 201
    for body in (
        permit(number="A-1"),
        permit(number="A-1", period={"first": "2026-12-02", "term_months": 12}),
    ):
        again = office.post(PASSES, json=body)
        assert (again.status_code, again.json()["code"]) == (409, "NUMBER_TAKEN")


def test_the_same_key_issues_one_pass(office: Office, application: Application) -> None:
    key = {"Idempotency-Key": "order-1"}
    first = office.post(PASSES, json=permit(), headers=key)
    second = office.post(PASSES, json=permit(), headers=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second.headers["etag"] == first.headers["etag"]
    with application.reading() as session:
        numbers = session.scalars(
            select(PassRow.number).where(PassRow.tenant == application.tenant, PassRow.number.like("RPP-%"))
        ).all()
    assert numbers == ["RPP-2026-000001"]


def test_every_fault_has_its_place(office: Office, application: Application) -> None:
    body = permit(
        number="not a number",
        holder={"ref": "H1", "family_name": "\u202egnp.exe", "email": "nobody"},
        attributes={
            "plates": [{"plate": "0-1"}, {"plate": "D-AB 124", "season": "13-14"}],
            "zone": "XX",
            "permit_kind": "standard",
            "colour": "red",
        },
        details={"fee_cents": "2500", "zone_code": "HO", "nonsense": 1},
    )
    answer = office.post(PASSES, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "REQUEST_INVALID")
    assert codes(answer) == {
        "#/number": "NUMBER_FORMAT",
        "#/holder/family_name": "NAME_INVISIBLE_CHAR",
        "#/holder/email": "EMAIL_FORMAT",
        "#/attributes/plates/0/plate": "PLATE_SPECIAL",
        "#/attributes/plates/1/season": "SEASON_MONTH",
        "#/attributes/zone": "ZONE_UNKNOWN",
        "#/attributes/colour": "VALUE_NOT_KNOWN",
        "#/details/fee_cents": "VALUE_KIND",
        "#/details/zone_code": "VALUE_NOT_KNOWN",
        "#/details/nonsense": "VALUE_NOT_KNOWN",
    }
    with application.reading() as session:
        assert session.scalars(select(PassRow.number).where(PassRow.holder_ref == "H1")).all() == []


@pytest.mark.parametrize(
    ("more", "pointer", "code"),
    [
        ({"holder": {"ref": "H1"}}, "#/holder/family_name", "VALUE_MISSING"),
        ({"holder": {"family_name": "A"}}, "#/holder/ref", "VALUE_MISSING"),
        (
            {"holder": {"ref": "H", "family_name": "A", "birth_date": "1990-01-01"}},
            "#/holder/birth_date",
            "VALUE_NOT_KNOWN",
        ),
        ({"period": {"first": "2026-12-01"}}, "#/period/last", "VALUE_REQUIRED"),
        ({"period": {"first": "2026-12-01", "last": "2026-11-30"}}, "#/period/last", "DATE_RANGE"),
        (
            {"period": {"first": "2026-12-01", "last": "2027-12-01", "term_months": 12}},
            "#/period/last",
            "DATE_TERM_MISMATCH",
        ),
        ({"details": {"channel": "online", "fee_cents": 1}}, "#/details/fee_cents", "FEE_MISMATCH"),
        ({"type": "dog-tag"}, "#/type", "TYPE_UNKNOWN"),
        ({"attributes": {"zone": "HO"}}, "#/attributes/permit_kind", "VALUE_MISSING"),
        (
            {"attributes": {"zone": "HO", "permit_kind": "two_plates", "plates": [{"plate": "D-A 1"}] * 3}},
            "#/attributes/plates",
            "PLATE_COUNT",
        ),
        ({"surprise": 1}, "#/surprise", "VALUE_NOT_KNOWN"),
    ],
)
def test_a_fault(office: Office, more: dict[str, Any], pointer: str, code: str) -> None:
    answer = office.post(PASSES, json=permit(**more))
    assert answer.status_code == 422
    assert codes(answer)[pointer] == code


def test_sentences_in_both_languages(office: Office) -> None:
    bad = permit(attributes={"plates": [{"plate": "D-AB 123"}], "zone": "XX", "permit_kind": "standard"})
    for language, word in (("de", "Gebiet XX"), ("en", "XX")):
        answer = office.post(PASSES, json=bad, headers={"Accept-Language": language})
        assert word in answer.json()["errors"][0]["detail"]


def test_a_library_card(office: Office) -> None:
    answer = office.post(PASSES, json=card(number="M1"))
    assert answer.status_code == 201, answer.text
    assert answer.json()["attributes"]["card_number"]["number"] == "0012345"
    taken = office.post(PASSES, json=card(number="M2"))
    assert codes(taken) == {"#/attributes/card_number/number": "DUPLICATE_CARD"}
    number = office.post(PASSES, json=card(attributes={"card_number": 12345, "category": "institution"}))
    assert codes(number)["#/attributes/card_number"] == "VALUE_KIND"


def test_warnings_do_not_refuse(office: Office) -> None:
    body = permit(
        details={"channel": "counter", "fee_cents": 2500}, period={"first": "2026-12-01", "term_months": 6}
    )
    answer = office.post(PASSES, json=body)
    assert answer.status_code == 201
    assert [(one["code"], one["pointer"]) for one in answer.json()["warnings"]] == [
        ("FEE_NOT_IN_TABLE", "#/details/fee_cents")
    ]


def test_unpaid_passes_have_no_seal_until_they_are_approved(office: Office, application: Application) -> None:
    details = {"channel": "online", "fee_cents": 2500, "payment_status": "open"}
    created = office.post(PASSES, json=permit(number="U-1", status="pending_payment", details=details))
    assert created.json()["status"] == "pending_payment"
    before = revision(application, "U-1")
    assert (before.seal, before.list_number) == (None, None)
    for path in ("pickup-links", "letter-codes"):
        refused = office.post(
            f"{PASSES}/{PERMIT}/U-1/{path}", json={"channel": "desk"} if path[0] == "p" else None
        )
        assert (refused.status_code, refused.json()["code"]) == (409, "PASS_UNPAID")
    assert office.get(f"{PASSES}/{PERMIT}/U-1/files/pdf").json()["code"] == "PASS_UNPAID"
    assert office.step("U-1", "renew", {"term_months": 12}).json()["code"] == "PASS_UNPAID"

    approved = office.step("U-1", "approve", {})
    assert approved.status_code == 200, approved.text
    assert approved.json()["status"] == "active"
    assert approved.headers["etag"] != created.headers["etag"]
    after = revision(application, "U-1")
    assert (after.n, after.serial, after.status_value) == (1, before.serial, 0)
    assert read_seal(after.seal or "").content.number == "U-1"
    with application.reading() as session:
        row = session.get(PassRow, (application.tenant, PERMIT, "U-1"))
        wallet = session.get(WalletPassRow, (application.tenant, after.serial))
    assert row is not None and wallet is not None
    # The city's own export after payment is the same row, not a contradiction.
    assert (row.record["payment_status"], row.record["status"]) == ("paid", "in_order")
    assert office.step("U-1", "approve", {}).json()["code"] == "PASS_APPROVED"
    history = office.get(f"{PASSES}/{PERMIT}/U-1/history").json()["items"]
    assert [one["action"] for one in history] == ["create", "approve"]
    assert history[1]["actor"].startswith("api:office")


def test_a_right_that_has_ended_cannot_be_approved(
    office: Office, application: Application, city: Any
) -> None:
    office.post(PASSES, json=permit(number="U-2", status="pending_payment"))
    city.clock.forward(days=400)
    assert office.step("U-2", "approve", {}).json()["code"] == "PASS_ENDED"


def test_scopes(serve: Serve, application: Application) -> None:
    reader = office_of(serve, application, Scope.PASSES_READ)
    writer = office_of(serve, application, Scope.PASSES_READ, Scope.PASSES_WRITE)
    assert reader.post(PASSES, json=permit()).status_code == 403
    created = writer.post(PASSES, json=permit(number="S-1"))
    assert created.status_code == 201
    # Names and addresses are for those with the scope for them, in every answer.
    assert "holder" not in created.json()
    assert "holder" not in reader.get(f"{PASSES}/{PERMIT}/S-1").json()
    assert "Müller" not in reader.get(f"{PASSES}/{PERMIT}/S-1/history").text
    assert writer.step("S-1", "revoke", {"reason": "x"}).status_code == 403
    knowing = office_of(serve, application, Scope.PASSES_READ, Scope.HOLDERS_READ)
    assert knowing.get(f"{PASSES}/{PERMIT}/S-1").json()["holder"]["city"] == "Düsseldorf"


def test_types_and_passes_that_are_not_there(office: Office) -> None:
    for path in (f"{PERMIT}/nothing", "dog-tag/A-1", f"{CARD}/RPP-1", f"{PERMIT}/nothing/history"):
        answer = office.get(f"{PASSES}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "NUMBER_UNKNOWN")


def test_a_day_in_the_right_calendar(office: Office) -> None:
    leap = office.post(PASSES, json=permit(period={"first": "2028-02-29", "term_months": 12}, number="L-1"))
    assert leap.status_code == 201, leap.text
    assert date.fromisoformat(leap.json()["period"]["last"]) == date(2029, 2, 28)


def test_the_rules_of_membership_hold_for_systems_too(office: Office) -> None:
    child = card(
        number="M1",
        holder={"family_name": "Muster", "birth_date": "2015-03-03"},
        attributes={"card_number": {"number": "0012345"}, "category": "child"},
    )
    assert codes(office.post(PASSES, json=child)) == {"#/details/guardian_consent": "CONSENT_MISSING"}
    given = {"guardian_consent": True, "guardian_member_id": "M-0"}
    unknown = office.post(PASSES, json=child | {"details": given})
    assert codes(unknown) == {"#/details/guardian_member_id": "GUARDIAN_UNKNOWN"}
    adult = child | {"attributes": child["attributes"] | {"category": "adult"}}
    assert codes(office.post(PASSES, json=adult)) == {"#/attributes/category": "CATEGORY_AGE_MISMATCH"}
    made = office.post(PASSES, json=child | {"details": {"guardian_consent": True}})
    assert made.status_code == 201, made.text


def test_a_new_card_number_keeps_scheme_and_symbology(office: Office) -> None:
    old = {"number": "24711300099995", "scheme": "codabar14", "symbology": "CODABAR"}
    made = office.post(
        PASSES, json=card(number="M-9", attributes={"card_number": old, "category": "institution"})
    )
    assert made.status_code == 201, made.text
    place, seen = f"{PASSES}/{CARD}/M-9", {"If-Match": made.headers["ETag"]}
    wrong = office.patch(place, json={"card_number": {"number": "24711300099988"}}, headers=seen)
    assert codes(wrong) == {"#/card_number": "CARD_FORMAT"}
    changed = office.patch(place, json={"card_number": {"number": "24711300099987"}}, headers=seen)
    assert changed.json()["attributes"]["card_number"] == old | {"number": "24711300099987"}


def test_a_replaced_card_number_is_not_given_out_again(office: Office) -> None:
    made = office.post(PASSES, json=card(number="M1"))
    place = f"{PASSES}/library-card/M1"
    changed = office.patch(
        place, json={"card_number": {"number": "0012346"}}, headers={"If-Match": made.headers["ETag"]}
    )
    assert changed.status_code == 200, changed.text
    back = office.patch(
        place, json={"card_number": {"number": "0012345"}}, headers={"If-Match": changed.headers["ETag"]}
    )
    assert (back.status_code, back.json()["code"]) == (409, "CARD_SPENT")
    again = office.post(PASSES, json=card(number="M2"))
    assert codes(again) == {"#/attributes/card_number/number": "DUPLICATE_CARD"}
