"""The residents' register as a file whose rows spell one person in more than one way; all fictional."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from issuer.rules.addresses import Address
from issuer.rules.sources.protocols import (
    Home,
    NotByMachine,
    Person,
    Residence,
    Resident,
    Resides,
    ResidesNot,
)
from issuer.rules.sources.residents_file import ResidentsFile

TODAY = date(2026, 11, 20)
BORN = date(1984, 2, 29)
HEAD = (
    "person_id;family_name;given_name;usual_given_name;former_names;doctoral_degree;birth_date;street;house_number;"
    "postal_code;city;residence;blocked\n"
)
Register = Callable[..., ResidentsFile]


@pytest.fixture
def register(tmp_path: Path) -> Register:
    def made(*rows: str) -> ResidentsFile:
        (tmp_path / "residents.csv").write_text(HEAD + "".join(f"{one}\n" for one in rows), "utf-8")
        return ResidentsFile(tmp_path / "residents.csv")

    return made


def row(name: str, home: str, *, key: str = "", born: str = "1984-02-29", blocked: str = "") -> str:
    return f"{key};{name};;;;{born};{home};40999;;main;{blocked}"


@pytest.mark.parametrize(
    ("marked", "other"),
    [
        (row("Geheim;Berta Maria", "Weg;1", blocked="yes"), row("Geheim;Berta", "Ring;9")),
        (row("Geheim;Berta", "Weg;1", blocked="yes"), row("Geheim;Berta Maria", "Ring;9")),
        (row("Geheim;Berta", "Weg;1", blocked="yes"), row("GEHEIM;Berta", "Ring;9", key="7")),
        (row("Geheim;Berta", "Weg;1", blocked="yes", born=""), row("Geheim;Berta", "Ring;9")),
        (row("Anders;Berta", "Weg;1", key="7", blocked="yes"), row("Geheim;Berta", "Ring;9", key="7")),
    ],
    ids=["fewer-names", "more-names", "key-in-one", "no-birth-date", "other-name"],
)
def test_a_block_holds_for_every_row_of_the_person(register: Register, marked: str, other: str) -> None:
    for rows in ((marked, other), (other, marked)):
        residents = register(*rows)
        berta, home = Person("Geheim", "Berta", BORN), Address("Ring", "9")
        assert residents.residence(berta, home, TODAY) == ResidesNot()
        assert residents.residence(Person("Geheim", "Berta"), home, TODAY) == ResidesNot()
        assert residents.resident(berta, home, TODAY) == NotByMachine()
        assert residents.may_certify(berta, TODAY) is False


@pytest.mark.parametrize(
    "other",
    [
        row("Geheim;Berta", "Ring;9", key="8"),
        row("Geheim;Berta", "Ring;9", born="1990-05-03"),
        row("Geheim;Bertha", "Ring;9"),
    ],
)
def test_and_for_nobody_else(register: Register, other: str) -> None:
    residents = register(row("Geheim;Berta", "Weg;1", key="7", blocked="yes"), other)
    name = other.split(";")[2]
    assert residents.residence(Person("Geheim", name), Address("Ring", "9"), TODAY) == Resides(Residence.MAIN)
    found = residents.resident(
        Person("Geheim", name, date.fromisoformat(other.split(";")[6])), Address("Ring", "9"), TODAY
    )
    assert isinstance(found, Resident)


def test_who_may_be_certified(register: Register) -> None:
    residents = register(row("Müller;Erika Maria", "Weg;1"), row("Ohne;Otto", "Weg;2", born=""))
    assert residents.may_certify(Person("Mueller", "Erika", BORN), TODAY) is True
    assert residents.may_certify(Person("Ohne", "Otto", BORN), TODAY) is True
    assert residents.may_certify(Person("Müller", "Erika", date(1984, 2, 28)), TODAY) is False
    assert residents.may_certify(Person("x" * 5000, "Erika", BORN), TODAY) is False


ERIKA = ";Müller;Erika Maria;Erika;Mustermann;Dr.;1984-02-29;Große Hauptstraße;17 c;40999;;main;"
SECOND = ERIKA.replace("Große Hauptstraße;17 c;40999;;main", "Weg;1;60311;Frankfurt am Main;secondary")
HOME = Home(Residence.MAIN, "Große Hauptstraße", "17 c", "40999", "Düsseldorf")
OTHER = Home(Residence.SECONDARY, "Weg", "1", "60311", "Frankfurt am Main")
CERTIFIED = Resident("Müller", "Erika Maria", BORN, (HOME, OTHER), "Erika", "Mustermann", "Dr.")


@pytest.mark.parametrize(
    "certified",
    [
        CERTIFIED,
        replace(CERTIFIED, homes=(OTHER, HOME)),
        replace(CERTIFIED, homes=(replace(HOME, house_number="17c"), OTHER)),
        replace(CERTIFIED, homes=(replace(HOME, street="Grosse Hauptstr."), OTHER)),
        replace(CERTIFIED, homes=(HOME, replace(OTHER, city="Frankfurt"))),
        replace(CERTIFIED, usual_given_name="", former_names="", doctoral_degree=""),
        replace(CERTIFIED, artistic_name="Erika M."),
        replace(CERTIFIED, former_names="MUSTERMANN"),
        replace(CERTIFIED, family_name="Mueller", given_names="Erika"),
    ],
)
def test_another_spelling_is_no_contradiction(register: Register, certified: Resident) -> None:
    assert register(ERIKA, SECOND).contradicts(certified, TODAY) is False


@pytest.mark.parametrize(
    "certified",
    [
        replace(CERTIFIED, homes=(HOME,)),
        replace(CERTIFIED, homes=(HOME, OTHER, OTHER)),
        replace(CERTIFIED, homes=(replace(HOME, house_number="17 d"), OTHER)),
        replace(CERTIFIED, homes=(replace(HOME, street="Kleine Hauptstraße"), OTHER)),
        replace(CERTIFIED, homes=(replace(HOME, postal_code="40998"), OTHER)),
        replace(CERTIFIED, homes=(HOME, replace(OTHER, city="Offenbach"))),
        replace(CERTIFIED, homes=(replace(HOME, residence=Residence.SECONDARY), OTHER)),
        replace(CERTIFIED, former_names="Nguyễn"),
        replace(CERTIFIED, doctoral_degree="Prof."),
    ],
)
def test_another_fact_is(register: Register, certified: Resident) -> None:
    assert register(ERIKA, SECOND).contradicts(certified, TODAY) is True


def test_who_is_called_otherwise_by_now(register: Register) -> None:
    """By marriage, say: the register knows the former name."""
    married = ERIKA.replace(";Müller;", ";Neumann;").replace(";Mustermann;", ";Mustermann, Müller;")
    once = replace(CERTIFIED, homes=(HOME,), former_names="Mustermann")
    assert register(married).contradicts(once, TODAY) is True
    assert register(married).contradicts(replace(once, given_names="Anna"), TODAY) is False
    assert register(married).contradicts(replace(once, birth_date=date(1984, 2, 28)), TODAY) is False
    # Whether she is the one or the other nobody can tell.
    assert register(married, f"9{ERIKA}").contradicts(once, TODAY) is False
    assert register(married + "yes").contradicts(once, TODAY) is False
