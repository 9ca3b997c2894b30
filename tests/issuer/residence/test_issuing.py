"""Certificates of residence: who gets one from the register, what it says, and what supersedes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import select

from issuer import audit
from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.models import AuditEntryRow, PassRow, RevisionRow
from issuer.models_eudi import EudiCredentialRow
from issuer.register import load_contents, subject
from issuer.residence.issuing import Asked, issue, look_up
from issuer.rules.addresses import Address
from issuer.rules.sources.protocols import Person, Resident, ResidesNot, SourceAway
from passes.model import PassContent, PassStatus
from passes.seal import read_seal
from tests.eudi_issuing_wallet import Wallet, error_of, new_key
from tests.issuer.eudi.conftest import MakeWallet, new_wallet, offer_of
from tests.issuer.residence.registry import (
    ASKED,
    BLOCKED,
    ERIKA,
    FILE,
    HOME,
    NEW_HOME,
    RESIDENCE,
    SECOND,
    issued,
    named,
    registry,
    write_register,
)
from tests.service import City

__all__ = ["new_wallet"]
SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
SD_JWT = f"{RESIDENCE}.sd-jwt"


@pytest.fixture
def application(city: City) -> Application:
    return registry(city)


def content(application: Application, number: str) -> PassContent:
    with application.reading() as session:
        [found] = load_contents(session, application.tenant, application.pass_types[RESIDENCE], [number])
    return found


def standing(application: Application, number: str) -> tuple[str, list[int]]:
    with application.reading() as session:
        status = session.get_one(PassRow, (application.tenant, RESIDENCE, number)).status
        entries = session.scalars(
            select(RevisionRow.status_value).where(
                RevisionRow.tenant == application.tenant, RevisionRow.number == number
            )
        ).all()
    return status, list(entries)


def test_it_says_what_the_register_says_and_not_what_was_typed(application: Application) -> None:
    number = issued(application, email="marie@example.org", language="en")
    assert number == "RC-2026-000001"
    made = content(application, number)
    assert made.attributes == {
        "family_name": "Müller-Đặng",
        "former_names": "Mustermann",
        "given_names": "Şeyma Quirina",
        "usual_given_name": "Quirina",
        "doctoral_degree": "Dr.",
        "birth_date": date(1984, 2, 29),
        "main_street": "Ährengässchen",
        "main_house_number": "17 c",
        "main_postal_code": "40999",
        "main_city": "Musterstadt",
        "secondary_street": "Übermühlgasse",
        "secondary_house_number": "1",
        "secondary_postal_code": "50999",
        "secondary_city": "Köln",
    }
    assert (made.status, made.language) == (PassStatus.ACTIVE, "en")
    assert (made.period.first, made.period.last) == (date(2026, 11, 20), date(2027, 2, 17))
    person = read_seal(made.seal).content.person
    assert person is not None
    assert person.full_name == "Dr. Şeyma Quirina Müller-Đặng"
    # So that a letter with a code finds its way.
    assert made.recipient is not None
    assert made.recipient.lines[0] == "Dr. Şeyma Quirina Müller-Đặng"
    assert "Ährengässchen 17 c" in made.recipient.lines


@SQLITE
@pytest.mark.parametrize(
    "asked",
    [
        replace(ASKED, birth_date=date(1984, 2, 28)),
        replace(ASKED, family_name="Mustermann"),
        replace(ASKED, house_number="18"),
        replace(ASKED, postal_code="40231"),
        Asked("Geheim", "Berta", date(1990, 5, 3), "Lohweilerplatz", "1"),
    ],
)
def test_everybody_else_hears_the_same(application: Application, asked: Asked) -> None:
    with pytest.raises(IssuerRefusal) as refused:
        look_up(application, asked)
    assert (refused.value.code, refused.value.params) == ("CERTIFICATE_AT_OFFICE", {})
    assert "Bürgerbüro" in refused.value.sentence()


@SQLITE
@pytest.mark.parametrize(
    "rows",
    [
        # Two of one name and birth date at one address; no main residence; four addresses; no house number; a birth
        # date that is not known; two rows of one person that do not agree.
        [("1", *ERIKA[1:], *HOME), ("9", *ERIKA[1:], *HOME)],
        [ERIKA + HOME[:4] + ("secondary", "", "")],
        [ERIKA + HOME, *((*ERIKA, "Weg", str(n), *SECOND[2:]) for n in (1, 2, 3))],
        [
            (*ERIKA, "Ährengässchen", "17 c", "40999", "", "main", "", ""),
            (*ERIKA, "Weg", "", *SECOND[2:]),
        ],
        [(*ERIKA[:6], "", *HOME)],
        [ERIKA + HOME, (*ERIKA[:5], "", ERIKA[6], *SECOND)],
        [ERIKA + HOME, ERIKA + SECOND[:5] + ("yes", "")],
    ],
)
def test_what_a_person_has_to_look_at(
    city: City, application: Application, rows: list[tuple[str, ...]]
) -> None:
    write_register(city.folder, *rows)
    with pytest.raises(IssuerRefusal) as refused:
        look_up(application, ASKED)
    assert refused.value.code == "CERTIFICATE_AT_OFFICE"


@SQLITE
def test_former_addresses_and_a_missing_register(city: City, application: Application) -> None:
    write_register(city.folder, ERIKA + HOME[:6] + ("2026-11-19",), ERIKA + NEW_HOME)
    with pytest.raises(IssuerRefusal):
        look_up(application, ASKED)
    number = issued(application, replace(ASKED, street="Pastorswiesenring", house_number="31"))
    assert "secondary_street" not in content(application, number).attributes
    (city.folder / FILE).unlink()
    assert look_up(application, ASKED) == SourceAway("FILE_MISSING")


@SQLITE
def test_a_block_also_hides_the_address_from_permits(application: Application) -> None:
    """§ 51 (2) BMG: whoever asks cannot tell a block from somebody who does not live there."""
    answer = application.sources.residents.residence(
        Person("Geheim", "Berta"), Address(*BLOCKED[7:10]), date(2026, 11, 20)
    )
    assert answer == ResidesNot()


@pytest.fixture
def wallet(application: Application, new_wallet: MakeWallet) -> Wallet:
    return new_wallet(application, uses_dpop=True)


def test_moving_supersedes_the_certificate(city: City, application: Application, wallet: Wallet) -> None:
    """It is not edited: the old one stays as it was, and answers as superseded, on paper and in every wallet."""
    first, same = issued(application), issued(application)
    before = content(application, first).attributes
    wallet.redeem(wallet.read_offer(offer_of(application, first, type_id=RESIDENCE).link))
    assert wallet.ask(SD_JWT, [new_key(), new_key()]).status_code == 200
    assert (standing(application, first), standing(application, same)) == (("active", [0]), ("active", [0]))
    write_register(city.folder, ERIKA + NEW_HOME, BLOCKED)
    new = issued(application, replace(ASKED, street="Pastorswiesenring", house_number="31"))
    assert standing(application, new) == ("active", [0])
    for old in (first, same):
        assert standing(application, old) == ("superseded", [3])
    assert content(application, first).attributes == before
    with application.reading() as session:
        values = session.scalars(select(EudiCredentialRow.status_value)).all()
        history = audit.history(session, application.tenant, subject(RESIDENCE, first))
    assert list(values) == [1, 1]
    assert history[-1].action == "supersede"
    assert error_of(wallet.refresh()) == (400, "invalid_grant")


@SQLITE
def test_another_language_is_another_certificate_and_no_change(
    application: Application, wallet: Wallet
) -> None:
    first = issued(application)
    wallet.redeem(wallet.read_offer(offer_of(application, first, type_id=RESIDENCE).link))
    assert wallet.ask(SD_JWT, [new_key()]).status_code == 200
    assert standing(application, issued(application, language="en")) == ("active", [0])
    assert standing(application, first) == ("active", [0])
    with application.reading() as session:
        assert session.scalars(select(EudiCredentialRow.status_value)).all() == [0]
        history = audit.history(session, application.tenant, subject(RESIDENCE, first))
    assert "holder-changed" not in [one.action for one in history]
    assert wallet.refresh().status_code == 200


def typed(application: Application, resident: Resident) -> str:
    """The number of a certificate of what a clerk has read off another system, which tells no key."""
    with application.writing() as session:
        return issue(session, application, replace(resident, key=""), actor="test").number


def test_typed_and_looked_up_ones_of_one_person_belong_together(city: City, application: Application) -> None:
    before = look_up(application, ASKED)
    assert isinstance(before, Resident)
    looked_up, same = issued(application), typed(application, before)
    home = replace(before.homes[0], street="Ährengässchen", house_number="17c")
    spelled = typed(application, replace(before, homes=(home, *before.homes[1:])))
    assert {standing(application, one)[0] for one in (looked_up, spelled)} == {"active"}
    # Moved; one at the counter while the register was away, then one by the register with yet another address.
    after = replace(before, homes=(replace(home, street="Weg", house_number="1"),))
    counter = typed(application, after)
    for one in (looked_up, same, spelled):
        assert standing(application, one) == ("superseded", [3])
    write_register(city.folder, ERIKA + NEW_HOME)
    newest = issued(application, replace(ASKED, street="Pastorswiesenring", house_number="31"))
    assert standing(application, counter)[0] == "superseded"
    assert standing(application, newest)[0] == "active"
    told = (city.folder / "revocations.log").read_text("utf-8")
    for one in (looked_up, same, spelled, counter):
        assert f'"{RESIDENCE}/{one}"' in told


@SQLITE
def test_people_of_one_name_and_birth_date_stay_apart(city: City, application: Application) -> None:
    other = ("9", *ERIKA[1:])
    write_register(city.folder, ERIKA + HOME, other + NEW_HOME)
    first = issued(application)
    second = issued(application, replace(ASKED, street="Pastorswiesenring", house_number="31"))
    resident = look_up(application, ASKED)
    assert isinstance(resident, Resident)
    home = replace(resident.homes[0], street="Weg", house_number="1")
    typed(application, replace(resident, homes=(home,)))
    assert [standing(application, one)[0] for one in (first, second)] == ["active", "active"]


def test_nothing_personal_is_logged(application: Application) -> None:
    issued(application, email="marie@example.org")
    with application.reading() as session:
        rows = session.scalars(select(AuditEntryRow).where(AuditEntryRow.tenant == application.tenant)).all()
    about = [one for one in rows if one.subject.startswith(RESIDENCE)]
    assert [one.action for one in about] == ["create"]
    told = " ".join(f"{one.actor} {one.before} {one.after} {one.reason}" for one in about)
    assert named(told, "example.org") == []
