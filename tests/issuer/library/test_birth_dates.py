"""Birth dates entered later: what follows from them, and who can have consent and guardian at all."""

from __future__ import annotations

from datetime import date

import pytest

from issuer import audit
from issuer.library import families, members
from issuer.library.birth_dates import BirthDateNoted, set_birth_date
from issuer.lifecycle import revoke
from issuer.models import RevisionRow
from issuer.register import load_contents, subject
from keys.errors import Refusal
from passes.model import PassContent
from passes.status_list import Status
from tests.issuer.library.test_members import BY, Library, library
from tests.service import CARD, TODAY

__all__ = ["library"]
DAY = TODAY.date()


def born(age: int) -> date:
    """A birth date of somebody who has that age since today."""
    return DAY.replace(year=DAY.year - age)


def undated(library: Library, category: str, card: str = "0815") -> str:
    """A member as registers bring them in: with a group, and without a birth date."""
    given = {"member_id": f"U{card}", "card_number": card, "category": category, "birth_date": ""}
    consent = "yes" if category in ("child", "youth", "duesselpass") else ""
    checked = library.load(**given, guardian_consent=consent)
    assert not checked.refused, checked.findings
    return given["member_id"]


def enter(library: Library, number: str, day: date, consent_name: str = "") -> BirthDateNoted:
    return set_birth_date(
        *library.place, number, day, seal_for=library.sealer, actor=BY, consent_name=consent_name
    )


def content(library: Library, number: str) -> PassContent:
    (found,) = load_contents(library.session, library.tenant, library.type, [number])
    return found


def code_of(step: object, *arguments: object, **named: object) -> str:
    assert callable(step)
    with pytest.raises(Refusal) as refused:
        step(*arguments, **named)
    return refused.value.code


def test_it_is_stored_only_while_it_decides_something(library: Library) -> None:
    number = undated(library, "youth")
    assert enter(library, number, born(17)) == BirthDateNoted(True, "youth")
    assert library.member(number).birth_date == born(17)
    [entry] = audit.history(library.session, library.tenant, subject(CARD, number))[-1:]
    assert (entry.action, entry.before) == ("birth-date", None)
    assert str(born(17).year) not in str(entry.after)
    # Twenty when the membership began: the group stays, and the date goes.
    assert enter(library, number, born(21)) == BirthDateNoted(False, "youth")
    assert library.member(number).birth_date is None
    assert enter(library, number, born(22)) == BirthDateNoted(False, "adult")
    assert library.member(number).birth_date is None


def test_the_group_follows_with_a_new_seal_and_is_kept_through_a_birthday(library: Library) -> None:
    number = undated(library, "adult")
    before = content(library, number)
    noted = enter(library, number, born(12), consent_name="Erika Muster")
    assert noted == BirthDateNoted(True, "child")
    after = content(library, number)
    assert after.attributes["category"] == "child"
    assert (after.serial, after.seal == before.seal) == (before.serial, False)
    values = library.session.query(RevisionRow.status_value).filter_by(number=number).order_by(RevisionRow.n)
    assert [Status(one) for (one,) in values] == [Status.SUPERSEDED, Status.VALID]
    assert library.member(number).consent_name == "Erika Muster"
    # Fifteen when the membership began, sixteen since: a child until the renewal.
    row = library.pass_row(number)
    row.period_first = DAY.replace(year=DAY.year - 1)
    assert enter(library, number, born(16)).category == "child"
    assert content(library, number).seal == after.seal
    assert enter(library, number, born(17)).category == "youth"


def test_a_card_that_ended_keeps_its_group_until_the_renewal(library: Library) -> None:
    number = undated(library, "adult")
    revoke(library.session, library.tenant, CARD, number, actor=BY.__class__("desk", TODAY, "x"))
    assert enter(library, number, born(17)) == BirthDateNoted(True, "adult")


def test_a_child_needs_consent_and_an_adult_has_none(library: Library) -> None:
    parent = library.enrol(card="4711").number
    number = undated(library, "duesselpass")
    assert library.member(number).consent_at is not None
    families.set_guardian(*library.place, number, parent, actor=BY)
    enter(library, number, born(30))
    member = library.member(number)
    assert (member.guardian_number, member.consent_at, member.consent_by) == (None, None, None)
    # The register remembers that there was a date, and so that the member is of age.
    assert code_of(families.set_guardian, *library.place, number, parent, actor=BY) == "MEMBER_OF_AGE"
    assert code_of(members.give_consent, *library.place, number, "E. Muster", actor=BY) == "MEMBER_OF_AGE"
    child = library.enrol(
        card="4712", birth_date=born(9), category="child", consent_name="E. Muster", guardian_number=number
    )
    assert library.member(child.number).guardian_number == number
    assert code_of(enter, library, number, born(12), consent_name="E. Muster") == "WARDS_NEED_ADULT"
    library.member(child.number).guardian_number = None
    library.session.flush()
    assert code_of(enter, library, number, born(15)) == "CONSENT_MISSING"
    assert enter(library, number, born(16)) == BirthDateNoted(True, "duesselpass")
    assert code_of(enter, library, number, born(18), consent_name="E. Muster") == "MEMBER_OF_AGE"


def test_what_is_no_birth_date_here(library: Library) -> None:
    number = undated(library, "institution")
    assert code_of(enter, library, number, born(30)) == "BIRTH_DATE_NOT_WANTED"
    person = undated(library, "adult", "0816")
    assert code_of(enter, library, person, date(2030, 1, 1)) == "DATE_IN_FUTURE"
    assert code_of(enter, library, "nobody", born(30)) == "NUMBER_UNKNOWN"


def test_an_adult_is_enrolled_without_consent_and_guardian(library: Library) -> None:
    parent = library.enrol(card="4711").number
    assert code_of(library.enrol, card="4712", consent_name="Erika Muster") == "MEMBER_OF_AGE"
    assert code_of(library.enrol, card="4712", guardian_number=parent) == "MEMBER_OF_AGE"
    half = {"card": "4712", "category": "youth", "birth_date": born(17)}
    assert library.member(library.enrol(**half, guardian_number=parent).number).guardian_number == parent


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"guardian_member_id": "P1"}, "FAMILY_TIES_OF_ADULT"),
        ({"guardian_consent": "yes"}, "FAMILY_TIES_OF_ADULT"),
        ({}, None),
    ],
)
def test_an_import_takes_no_ties_of_an_adult(library: Library, row: dict[str, str], code: str | None) -> None:
    library.load(member_id="P1", card_number="4798", birth_date=born(40).isoformat(), category="adult")
    checked = library.load(member_id="P2", card_number="4799", birth_date=born(18).isoformat(),
                           category="youth", **row)  # fmt: skip
    found = [one.code for one in checked.findings if one.code == "FAMILY_TIES_OF_ADULT"]
    assert found == ([code] if code else [])
    member = library.member("P2")
    assert (member.guardian_number, member.consent_at) == (None, None)
