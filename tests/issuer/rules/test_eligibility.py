"""What sources confirm, and what evidence is needed for the rest."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec
import pytest

from issuer.rules.addresses import NoZoneHere, StreetUnknown, ZoneFound
from issuer.rules.eligibility import (
    ApplicationFacts,
    Confirmed,
    EvidenceNeeded,
    Refused,
    Unanswered,
    Vehicle,
    eligibility,
)
from issuer.rules.kinds import Check, KindRules, _shipped
from issuer.rules.sources.protocols import Person, Sources
from issuer.rules.sources.residents_file import ResidentsFile
from issuer.rules.sources.vehicles_file import VehiclesFile
from issuer.tariffs import TariffZone
from passes.plates import Plate
from passes.zones import Zone

TODAY = date(2026, 11, 20)
KINDS = {one.id: one for one in _shipped("resident-parking-permit").kinds}
HOME = ZoneFound(TariffZone(Zone("BÖ", "Börsenwiese"), "A"), "Drakehofstraße", "5a", "40217", "BÖ")
PLATE = Plate.parse("D-AB 123")
FACTS = ApplicationFacts(Person("Müller", "Änne"), HOME, "BÖ", (Vehicle(PLATE, keeper_is_applicant=True),))
RESIDENTS = (
    "family_name;given_name;birth_date;street;house_number;postal_code;residence;moved_in;moved_out\n"
    "Müller;Änne Maria;1980-01-01;Drakehofstr.;5 a;40217;main;;\n"
    "Groß;Jo;;Drakehofstraße;5a;40217;secondary;;\n"
    "Gone;Jo;;Drakehofstraße;5a;40217;main;;2026-11-19\n"
    "Twin;Jo;1980-01-01;Drakehofstraße;5a;40217;main;;\n"
    "Twin;Jo;2010-01-01;Drakehofstraße;5a;40217;main;;\n"
)
VEHICLES = "plate;keeper_family_name;keeper_given_name\nD-AB 123;Müller;Änne\nD-CD 4;;\n"


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    (tmp_path / "residents.csv").write_text(RESIDENTS, "utf-8")
    (tmp_path / "vehicles.csv").write_text(VEHICLES, "utf-8")
    return Sources(ResidentsFile(tmp_path / "residents.csv"), VehiclesFile(tmp_path / "vehicles.csv"))


def results(
    facts: ApplicationFacts, sources: Sources, rules: KindRules = KINDS["standard"]
) -> dict[str, tuple[str, str]]:
    found = eligibility(facts, rules, sources, TODAY).results
    assert all(one.sentence(language) for one in found for language in ("de", "en"))
    return {one.check.value: (type(one).__name__, one.reason) for one in found}


def test_everything_confirmed(sources: Sources) -> None:
    found = eligibility(FACTS, KINDS["standard"], sources, TODAY)
    assert found.verdict == "confirmed"
    assert found.results == (
        Confirmed(Check.RESIDENCE, "RESIDENT"),
        Confirmed(Check.KEEPER, "KEEPER", 0),
        Confirmed(Check.ONE_PERMIT, "NO_OTHER_PERMIT"),
    )


def test_without_sources_evidence_is_asked_and_nobody_refused() -> None:
    found = eligibility(FACTS, KINDS["standard"], Sources(), TODAY)
    assert found.verdict == "evidence"
    assert found.open == (
        Unanswered(
            Check.RESIDENCE,
            "RESIDENTS_AWAY",
            None,
            ("registration_certificate", "identity_card"),
            "NOT_CONNECTED",
        ),
        Unanswered(Check.KEEPER, "VEHICLES_AWAY", 0, ("vehicle_registration",), "NOT_CONNECTED"),
    )


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        (Person("Mueller", "Aenne"), ("Confirmed", "RESIDENT")),
        (Person("MÜLLER", "Maria", date(1980, 1, 1)), ("Confirmed", "RESIDENT")),
        (Person("Müller", "Änne", date(1981, 1, 1)), ("EvidenceNeeded", "NOT_RESIDENT")),
        (Person("Müller", ""), ("EvidenceNeeded", "NOT_RESIDENT")),
        (Person("Müller", "Änne Rosa"), ("EvidenceNeeded", "NOT_RESIDENT")),
        (Person("Groß", "Jo"), ("Confirmed", "RESIDENT")),
        (Person("Gone", "Jo"), ("EvidenceNeeded", "NOT_RESIDENT")),
        (Person("Twin", "Jo"), ("EvidenceNeeded", "RESIDENT_UNCLEAR")),
        (Person("Twin", "Jo", date(2010, 1, 1)), ("Confirmed", "RESIDENT")),
        (Person("x" * 500, "Jo"), ("EvidenceNeeded", "NOT_RESIDENT")),
    ],
)
def test_who_lives_there(sources: Sources, person: Person, expected: tuple[str, str]) -> None:
    assert results(replace(FACTS, person=person), sources)["residence"] == expected


def test_main_residence_only_where_the_city_wants_it(sources: Sources) -> None:
    main = msgspec.structs.replace(KINDS["standard"], residence="main")
    facts = replace(FACTS, person=Person("Groß", "Jo"))
    assert results(facts, sources, main)["residence"] == ("Refused", "SECONDARY_RESIDENCE")


def test_the_address_decides_before_any_source() -> None:
    away = Sources()
    assert results(replace(FACTS, zone_code="AK"), away)["residence"] == ("Refused", "OTHER_ZONE")
    nowhere = replace(FACTS, address=NoZoneHere("Weg", "40210"))
    assert results(nowhere, away)["residence"] == ("Refused", "NO_ZONE")
    unclear = replace(FACTS, address=StreetUnknown())
    assert results(unclear, away)["residence"] == ("EvidenceNeeded", "ADDRESS_UNCLEAR")


@pytest.mark.parametrize(
    ("vehicle", "check", "expected"),
    [
        (Vehicle(PLATE, keeper_is_applicant=False), "keeper", ("Confirmed", "KEEPER")),
        (
            Vehicle(Plate.parse("D-CD 4"), keeper_is_applicant=True),
            "other_keeper",
            ("EvidenceNeeded", "KEEPER_DIFFERS"),
        ),
        (
            Vehicle(Plate.parse("D-CD 4"), keeper_is_applicant=False),
            "other_keeper",
            ("EvidenceNeeded", "OTHER_KEEPER"),
        ),
        (
            Vehicle(Plate.parse("D-EF 5"), keeper_is_applicant=True),
            "keeper",
            ("EvidenceNeeded", "VEHICLE_UNKNOWN"),
        ),
        (
            Vehicle(None, keeper_is_applicant=True, country="F"),
            "keeper",
            ("EvidenceNeeded", "FOREIGN_KEEPER"),
        ),
    ],
)
def test_keepers(sources: Sources, vehicle: Vehicle, check: str, expected: tuple[str, str]) -> None:
    assert results(replace(FACTS, vehicles=(vehicle,)), sources)[check] == expected


def test_checks_that_only_some_cities_want(sources: Sources) -> None:
    checks = {**KINDS["standard"].checks, Check.GERMAN_REGISTRATION: (), Check.NO_GARAGE: ("garage_survey",)}
    wanted = msgspec.structs.replace(KINDS["standard"], checks=checks)
    foreign = Vehicle(None, keeper_is_applicant=True, country="F")
    facts = replace(FACTS, vehicles=(foreign,), has_garage=True)
    found = eligibility(facts, wanted, sources, TODAY)
    assert Refused(Check.GERMAN_REGISTRATION, "FOREIGN_PLATE", 0) in found.results
    assert EvidenceNeeded(Check.NO_GARAGE, "GARAGE", None, ("garage_survey",)) in found.results
    assert found.verdict == "refused"
    at_home = results(FACTS, sources, wanted)
    assert (at_home["german_registration"][0], at_home["no_garage"][0]) == ("Confirmed", "Confirmed")


def test_one_permit_a_person_and_exceptions_are_justified(sources: Sources) -> None:
    other = replace(FACTS, running_permits=("BPA-1",))
    assert results(other, sources)["one_permit"] == ("Refused", "OTHER_PERMIT")
    for kind, check in (
        ("two_plates", "justification"),
        ("changing_vehicles", "justification"),
        ("carsharing", "organisation"),
    ):
        assert KINDS[kind].second_person
        assert results(FACTS, sources, KINDS[kind])[check][0] == "EvidenceNeeded"


def test_a_file_that_changes_is_read_again_and_a_bad_one_is_away(sources: Sources, tmp_path: Path) -> None:
    file = tmp_path / "residents.csv"
    assert results(FACTS, sources)["residence"] == ("Confirmed", "RESIDENT")
    file.write_text(RESIDENTS.replace("Müller", "Anders"), "utf-8")
    assert results(FACTS, sources)["residence"] == ("EvidenceNeeded", "NOT_RESIDENT")
    for bad in (
        RESIDENTS.replace("main", "holiday"),
        RESIDENTS.replace("5 a", "?"),
        "no;table\n",
        "",
        "a\0b",
    ):
        file.write_text(bad, "utf-8")
        assert results(FACTS, sources)["residence"] == ("Unanswered", "RESIDENTS_AWAY")
    file.unlink()
    assert results(FACTS, sources)["residence"] == ("Unanswered", "RESIDENTS_AWAY")
    file.write_text(RESIDENTS, "utf-8")
    assert results(FACTS, sources)["residence"] == ("Confirmed", "RESIDENT")


def test_what_ships_names_only_known_evidence() -> None:
    shipped = _shipped("resident-parking-permit")
    assert set(KINDS) == {"standard", "two_plates", "changing_vehicles", "carsharing"}
    for rules in KINDS.values():
        assert {name for types in rules.checks.values() for name in types} <= shipped.evidence.keys()
