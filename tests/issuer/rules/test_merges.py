"""Permits of a zone that was merged: good in all of the successor, for whoever checks, and renewed there."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest
from litestar.testing import TestClient
from sqlalchemy import select, update

from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.lifecycle import Actor
from issuer.models import PassRow, PassTermRow
from issuer.pass_view import show
from issuer.plate_register import Finding, find_plate
from issuer.renewal import Renewal, renew
from issuer.rules.changes import FeeChange, KindChange, ZoneChange, make_change, undo_change
from issuer.rules.zones import area_of, predecessors
from issuer.search_terms import PLATE, ZONE
from issuer.tariffs import zones
from issuer.verifier_devices import Role
from issuer.web.app import create_app
from passes.model import PassContent
from passes.periods import BERLIN
from passes.plates import Plate
from passes.zones import Zone
from tests.issuer.publication.app_device import AppDevice
from tests.issuer.publication.handheld import Http
from tests.issuer.publication.test_app_devices import enrolled
from tests.service import PERMIT, City

DAY = date(2026, 12, 10)
BEFORE = DAY - timedelta(days=1)


def make(application: Application, change: ZoneChange | FeeChange | KindChange) -> str:
    with application.writing() as session:
        return make_change(session, application.tenant, change, application.now(), "test")


def in_zone(application: Application, code: str) -> tuple[str, Plate]:
    """A running permit of the zone with a plate of its own."""
    with application.reading() as session:
        for number in session.scalars(
            select(PassTermRow.number).where(
                PassTermRow.tenant == application.tenant, PassTermRow.kind == ZONE, PassTermRow.value == code
            )
        ):
            row = session.get_one(PassRow, (application.tenant, PERMIT, number))
            key = session.scalar(
                select(PassTermRow.value).where(
                    PassTermRow.tenant == application.tenant,
                    PassTermRow.number == number,
                    PassTermRow.kind == PLATE,
                )
            )
            if row.status == "active" and row.period_first <= date(2026, 11, 20) < row.period_last and key:
                return number, Plate.from_key(key)
    raise AssertionError(code)


def ending(application: Application, number: str, last: date) -> None:
    with application.writing() as session:
        session.execute(
            update(PassRow)
            .where(PassRow.tenant == application.tenant, PassRow.number == number)
            .values(period_last=last)
        )


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), BERLIN)


def renewed(application: Application, number: str, renewal: Renewal | None = None) -> PassContent:
    pass_type = application.pass_types[PERMIT]
    with application.writing() as session:
        renew(
            session,
            application.tenant,
            pass_type,
            number,
            renewal or Renewal(12),
            seal_for=application.sealer(session, pass_type),
            actor=Actor("test", application.now()),
        )
    with application.reading() as session:
        return show(session, application.tenant, pass_type, number).content


def test_over_any_number_of_merges(application: Application) -> None:
    make(application, ZoneChange("LW", DAY, merged_into="BÖ"))
    make(application, ZoneChange("BÖ", DAY + timedelta(days=30), merged_into="HO"))
    with application.reading() as session:
        known = zones(session, application.tenant)
    later = DAY + timedelta(days=30)
    assert area_of(known, "LW", BEFORE) == ("LW",)
    assert area_of(known, "BÖ", BEFORE) == ("BÖ",)
    assert area_of(known, "LW", DAY) == area_of(known, "BÖ", DAY) == ("BÖ", "LW")
    assert area_of(known, "HO", later) == area_of(known, "LW", later) == ("HO", "BÖ", "LW")
    assert predecessors(known, "HO", DAY) == ()
    assert area_of(known, "nowhere", DAY) == ("nowhere",)


def test_the_register_answers_for_the_successor(application: Application) -> None:
    _, plate = in_zone(application, "LW")
    make(application, ZoneChange("LW", DAY, merged_into="BÖ"))

    def found(zone: str, day: date) -> Finding:
        with application.reading() as session:
            return find_plate(session, application.tenant, plate, zone, noon(day)).finding

    assert found("BÖ", BEFORE) is Finding.OTHER_ZONE
    assert found("bö", DAY) is found("LW", DAY) is found("LW", BEFORE) is Finding.VALID
    assert found("HO", DAY) is Finding.OTHER_ZONE


def test_devices_learn_of_a_merge_when_they_ask(city: City, application: Application) -> None:
    with TestClient(create_app(application), base_url="https://stadtpass.example") as client:
        http: Http = client
        old, new = (enrolled(application, http, city.clock, Role.WARDEN, (one,)) for one in ("LW", "BÖ"))
        make(application, ZoneChange("LW", DAY, merged_into="BÖ"))

        def told(device: AppDevice) -> list[object]:
            return list(device.ask(http, "GET", "/check/devices/self").json()["zones"])

        before = [told(old), told(new)]
        assert [[one["code"] for one in zone] for zone in before] == [["LW"], ["BÖ"]]  # type: ignore[index]
        assert "merged" not in str(before)
        city.clock.at = noon(DAY)
        assert told(old) == told(new) == [{"code": "BÖ", "name": "Börsenwiese", "merged": ["LW"]}]
        public = client.get("/check/zones.json").json()["zones"]
        assert {"code": "BÖ", "name": "Börsenwiese", "merged": ["LW"]} in public
        assert "LW" not in {one["code"] for one in public}


def test_a_renewal_after_the_merge_is_in_the_successor(city: City, application: Application) -> None:
    number, plate = in_zone(application, "LW")
    make(application, ZoneChange("LW", DAY, merged_into="BÖ"))
    ending(application, number, DAY + timedelta(days=10))
    city.clock.at = noon(DAY)
    content = renewed(application, number)
    assert content.attributes["zone"] == Zone("BÖ", "Börsenwiese")
    with application.reading() as session:
        row = session.get_one(PassRow, (application.tenant, PERMIT, number))
        history = show(session, application.tenant, application.pass_types[PERMIT], number).history
        assert find_plate(session, application.tenant, plate, "BÖ", noon(DAY)).finding is Finding.VALID
    assert row.record["zone_code"] == "BÖ"
    assert (history[-1].before or {})["zone"] == "LW"
    assert (history[-1].after or {})["zone"] == "BÖ"


def test_a_renewal_before_the_merge_holds_on_both_sides_of_it(city: City, application: Application) -> None:
    number, plate = in_zone(application, "LW")
    made = make(application, ZoneChange("LW", DAY, merged_into="BÖ"))
    ending(application, number, DAY + timedelta(days=10))
    content = renewed(application, number)
    zone = content.attributes["zone"]
    assert isinstance(zone, Zone)
    assert zone.code == "LW"
    with application.reading() as session:
        for code, day in (("LW", BEFORE), ("BÖ", DAY), ("BÖ", DAY + timedelta(days=200))):
            found = find_plate(session, application.tenant, plate, code, noon(day)).finding
            assert found is Finding.VALID, (code, day)
    # Nothing was issued in the successor that the merge alone allows.
    with application.writing() as session:
        undo_change(session, application.tenant, made, application.now(), "test")


def test_the_fee_is_the_successors(city: City, application: Application) -> None:
    number, _ = in_zone(application, "LW")
    make(application, ZoneChange("LW", DAY, merged_into="BÖ"))
    make(application, FeeChange("A", "online", 12, DAY - timedelta(days=1), 3600))
    ending(application, number, DAY + timedelta(days=10))
    city.clock.at = noon(BEFORE)
    with pytest.raises(IssuerRefusal, match="FEE_MISMATCH"):
        renewed(application, number, Renewal(12, "online", 2500))
    renewed(application, number, Renewal(12, "online", 3600))


def test_an_end_without_successor_ends_renewals(city: City, application: Application) -> None:
    number, _ = in_zone(application, "LW")
    make(application, ZoneChange("LW", DAY, ends=True))
    ending(application, number, DAY)
    with pytest.raises(IssuerRefusal, match="ZONE_ENDED"):
        renewed(application, number)


def test_the_kind_says_when_renewal_opens(city: City, application: Application) -> None:
    number, _ = in_zone(application, "LW")
    ending(application, number, date(2027, 1, 19))
    with pytest.raises(Exception, match="RENEWAL_TOO_EARLY"):
        ending(application, number, date(2027, 1, 20))
        renewed(application, number)
    for kind in ("standard", "two_plates"):
        make(application, KindChange(PERMIT, kind, date(2026, 11, 21), {"renewal_opens_days": 90}))
    city.clock.forward(days=1)
    ending(application, number, date(2027, 2, 19))
    renewed(application, number)
