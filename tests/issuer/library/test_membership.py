"""The rules by themselves: ages, consent, fees, and what a type's file may say of them."""

from __future__ import annotations

import shutil
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest

from issuer.errors import IssuerRefusal
from issuer.library.membership import (
    MembershipFees,
    category_for,
    check_category,
    consent_needed,
    fee_due,
    is_of_age,
    rules_of,
)
from passes.errors import PassRefusal
from passes.pass_types import PassTypes

TYPES = PassTypes.load()
RULES = rules_of(TYPES["library-card"])
TODAY = date(2026, 11, 20)
FEES = MembershipFees({"adult": ((date(1, 1, 1), 2000), (date(2027, 1, 1), 2400))})


@pytest.mark.parametrize(
    ("born", "category", "cents"),
    [
        (date(2005, 11, 20), "adult", 2000),
        (date(2005, 11, 20), "youth", 2000),
        (date(2005, 11, 21), "youth", 0),
        (date(2005, 11, 20), "duesselpass", 0),
        (date(1950, 1, 1), "duesselpass", 0),
        (None, "institution", 0),
        (None, "adult", 2000),
    ],
)
def test_the_fee_starts_on_the_21st_birthday(born: date | None, category: str, cents: int) -> None:
    assert fee_due(RULES, FEES, category, born, TODAY) == cents


def test_the_fee_is_that_of_the_day_and_a_missing_one_is_said() -> None:
    assert fee_due(RULES, FEES, "adult", None, date(2027, 1, 1)) == 2400
    with pytest.raises(IssuerRefusal, match="MEMBERSHIP_FEE_MISSING"):
        fee_due(RULES, MembershipFees({"other": ()}), "adult", None, TODAY)


@pytest.mark.parametrize(
    ("born", "category"),
    [
        (date(2010, 11, 21), "child"),
        (date(2010, 11, 20), "youth"),
        (date(2005, 11, 21), "youth"),
        (date(2005, 11, 20), "adult"),
    ],
)
def test_age_says_the_category(born: date, category: str) -> None:
    assert category_for(RULES, born, TODAY) == category
    check_category(RULES, category, born, TODAY)


def test_consent_is_needed_until_the_day_before_the_16th_birthday() -> None:
    assert consent_needed(RULES, "child", date(2010, 11, 21), TODAY)
    assert not consent_needed(RULES, "child", date(2010, 11, 20), TODAY)
    assert consent_needed(RULES, "duesselpass", date(2010, 11, 21), TODAY)
    assert [consent_needed(RULES, one, None, TODAY) for one in ("child", "youth", "institution")] == [
        True, False, False,
    ]  # fmt: skip


def test_who_is_of_age() -> None:
    assert [is_of_age(RULES, "youth", born, TODAY) for born in (date(2008, 11, 20), date(2008, 11, 21))] == [
        True, False,
    ]  # fmt: skip
    assert [is_of_age(RULES, one, None, TODAY) for one in ("child", "youth", "adult", "gone")] == [
        False, None, True, True,
    ]  # fmt: skip


def test_a_permit_has_no_members() -> None:
    with pytest.raises(IssuerRefusal, match="NOT_A_MEMBERSHIP"):
        rules_of(TYPES["resident-parking-permit"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("consent_under = 16", ""),
        ("consent_under = 16", "consent_under = 121"),
        ("consent_under = 16", 'consent_under = 16\nhome = "Rath"'),
        ('name = "child"\nbelow_age = 16', 'name = "child"\nfrom_age = 16\nbelow_age = 16'),
        ('name = "child"\nbelow_age = 16', 'name = "kid"\nbelow_age = 16'),
        ('name = "child"\nbelow_age = 16', 'name = "youth"\nbelow_age = 16'),
        ('birth_date = "none"', 'birth_date = "none"\nbelow_age = 3'),
        ('birth_date = "none"', 'birth_date = "maybe"'),
    ],
)
def test_rules_are_read_strictly(tmp_path: Path, old: str, new: str) -> None:
    type_file = _another(tmp_path)
    text = type_file.read_text()
    assert old in text
    type_file.write_text(text.replace(old, new))
    with pytest.raises(PassRefusal, match="TYPE_FILE"):
        PassTypes.load(tmp_path)


def test_another_city_has_other_numbers(tmp_path: Path) -> None:
    type_file = _another(tmp_path)
    text = type_file.read_text().replace("free_until = 21", "free_until = 18")
    text = text.replace("below_age = 21", "below_age = 18").replace("from_age = 21", "from_age = 18")
    type_file.write_text(text)
    rules = rules_of(PassTypes.load(tmp_path)["town-library"])
    assert fee_due(rules, FEES, "adult", date(2008, 11, 20), TODAY) == 2000
    assert fee_due(rules, FEES, "youth", date(2008, 11, 21), TODAY) == 0


def _another(folder: Path) -> Path:
    """A copy of the library card under another id; its ``type.toml``."""
    shutil.copytree(str(files("passes").joinpath("types", "library-card")), folder / "town-library")
    type_file = folder / "town-library" / "type.toml"
    text = type_file.read_text().replace('id = "library-card"', 'id = "town-library"')
    type_file.write_text(text.replace("seal_code = 2", "seal_code = 200"))
    return type_file
