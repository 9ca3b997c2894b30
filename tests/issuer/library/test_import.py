"""The library's register as a file: planted cases, consent, replaced numbers, fees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import select

from issuer.importing.check_file import check_rows
from issuer.importing.file_check import FileCheck, RowIndex
from issuer.importing.rows import parse_rows
from issuer.library.fees import membership_fees, membership_fees_from_csv
from issuer.models import PassRow
from issuer.models_library import MemberRow, ReplacedCardRow
from issuer.register import load_contents
from passes.model import PassContent, PassStatus
from passes.periods import BERLIN
from tests.issuer.register_samples import CARD, TODAY, SampleRegister, places, row_text, sample_register
from tests.issuer.register_samples import sample_rows as rows_of

FILE = "library_valid.csv"
ROWS = rows_of(FILE)


@pytest.fixture
def register(register_url: str, tmp_path: Path) -> Iterator[SampleRegister]:
    with sample_register(register_url) as opened:
        table = tmp_path / "fees.csv"
        table.write_text("category;fee_cents\nadult;2000\n")
        with opened.writing() as session:
            membership_fees_from_csv(session, opened.tenant, CARD, table)
        yield opened


def contents(register: SampleRegister) -> dict[str, PassContent]:
    with register.reading() as session:
        loaded = load_contents(session, register.tenant, CARD, [row["member_id"] for row in ROWS])
        return {one.number: one for one in loaded}


def members(register: SampleRegister) -> dict[str, MemberRow]:
    with register.reading() as session:
        return {one.number: one for one in session.scalars(select(MemberRow))}


def test_all_members_issue_as_their_planted_cases_say(register: SampleRegister) -> None:
    checked = register.load(FILE)
    assert (len(checked.accepted), checked.refused, checked.findings) == (200, 0, ())
    cards, known = contents(register), members(register)
    assert len(known) == 200
    assert all(one.seal for one in cards.values())
    turned, tomorrow, leap = known["M500020"], known["M500021"], known["M500022"]
    assert (turned.birth_date, cards["M500020"].attributes["category"]) == (None, "adult")
    assert (tomorrow.birth_date, cards["M500021"].attributes["category"]) == (date(2005, 11, 21), "youth")
    assert leap.birth_date == date(2008, 2, 29)
    assert known["M500121"].consent_at is None
    for place in range(90, 99):
        number, lost = f"M5000{place}", place >= 96
        assert cards[number].status is PassStatus.SUSPENDED
        assert known[number].block_reason == ("lost" if lost else "fees")
        assert known[number].open_fees_cents == int(ROWS[place]["open_fees_cents"])
        assert ROWS[place]["block_reason"] not in repr(cards[number])
    for place in range(195, 200):
        assert cards[f"M500{place}"].attributes["category"] == "institution"
        assert known[f"M500{place}"].birth_date is None
    children = [row for row in ROWS if row["guardian_member_id"]]
    assert children
    for row in children:
        assert known[row["member_id"]].guardian_number == row["guardian_member_id"]
        assert known[row["member_id"]].consent_by == "clerk"
    with register.reading() as session:
        spent = session.scalars(select(ReplacedCardRow)).all()
        assert {one.card_key: one.number for one in spent} == {
            ROWS[place]["replaces_card_number"]: ROWS[place]["member_id"] for place in (99, 100, 101)
        }


def test_bad_rows_get_their_codes_with_a_fee_table_too(register: SampleRegister) -> None:
    register.load(FILE)
    expected = [row for row in rows_of("expected.csv") if row["file"] == "library_bad.csv"]
    found = [(row, field, code) for row, field, _, code in places(register.check("library_bad.csv").findings)]
    assert found == [(int(row["data_row"]), row["field"], row["code"]) for row in expected]


def test_the_same_file_twice_changes_nothing(register: SampleRegister) -> None:
    register.load(FILE)
    again = register.load(FILE, at=TODAY + timedelta(hours=1))
    assert (len(again.unchanged), len(again.accepted), again.findings) == (200, 0, ())


@pytest.mark.parametrize(
    ("at", "fee", "warned"),
    [
        (datetime(2026, 11, 20, 0, 0, tzinfo=BERLIN), "2000", False),
        (datetime(2026, 11, 19, 23, 59, tzinfo=BERLIN), "2000", True),
        (datetime(2026, 11, 19, 23, 59, tzinfo=BERLIN), "0", False),
        # The membership began while it was free.
        (datetime(2026, 11, 20, 0, 0, tzinfo=BERLIN), "0", False),
        (datetime(2026, 11, 20, 0, 0, tzinfo=BERLIN), "1999", True),
    ],
)
def test_a_fee_that_fits_no_day_is_a_warning(
    register: SampleRegister, at: datetime, fee: str, warned: bool
) -> None:
    category = "youth" if at.day == 19 else "adult"
    text = row_text(FILE, 21, category=category, fee_cents=fee)
    checked = register.check_text(text, CARD, at)
    assert len(checked.accepted) == 1
    expected = [(1, "fee_cents", "warn", "MEMBERSHIP_FEE_DIFFERS")] if warned else []
    assert places(checked.findings) == expected


def test_without_a_fee_table_nothing_is_said_of_fees(tmp_path: Path) -> None:
    with sample_register(tmp_path) as register:
        assert register.check_text(row_text(FILE, 1, fee_cents="1"), CARD).findings == ()


def test_a_guardian_whose_age_nothing_tells_is_a_warning(register: SampleRegister) -> None:
    """A youth may be under or over 18; in the register a birth date says so until 21."""
    register.load(FILE)
    text = row_text(FILE, 23, member_id="M1", card_number="D402840003", birth_date="")
    register.enter(register.check_text(text, CARD))
    child = {"member_id": "M2", "category": "child", "birth_date": "2015-01-01"}
    found = []
    for guardian in ("M1", "M500021", "M500022"):
        given = child | {
            "card_number": "D402848144",
            "guardian_member_id": guardian,
            "guardian_consent": "yes",
        }
        found.append(register.check_text(row_text(FILE, 23, **given), CARD).findings)
    assert [[one.code for one in findings] for findings in found] == [["GUARDIAN_AGE_UNCLEAR"], [], []]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"birth_date": "2010-11-21", "guardian_consent": ""}, "CONSENT_MISSING"),
        ({"birth_date": "2010-11-20", "category": "youth", "guardian_consent": ""}, None),
        ({"birth_date": "2010-11-21", "category": "duesselpass", "guardian_consent": ""}, "CONSENT_MISSING"),
        ({"birth_date": "", "guardian_consent": ""}, "CONSENT_MISSING"),
    ],
)
def test_who_turns_16_needs_no_consent_from_that_day(
    register: SampleRegister, changed: dict[str, str], code: str | None
) -> None:
    values = {"member_id": "M1", "category": "child", "guardian_member_id": ""}
    text = row_text(FILE, 121, **(values | changed))
    found = places(register.check_text(text, CARD).findings)
    assert found == ([(1, "guardian_consent", "error", code)] if code else [])


REPLACED = ROWS[99]["replaces_card_number"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        # A number that was replaced, given out again.
        ({"card_number": REPLACED, "replaces_card_number": ""}, "card_number"),
        # A number that somebody has is not replaced by another's card.
        (
            {"card_number": "D402840003", "replaces_card_number": ROWS[99]["card_number"]},
            "replaces_card_number",
        ),
        # Nor is a card's own.
        ({"card_number": "D402840003", "replaces_card_number": "D402840003"}, "replaces_card_number"),
    ],
)
def test_a_replaced_number_is_refused_in_an_import(
    register: SampleRegister, changed: dict[str, str], field: str
) -> None:
    register.load(FILE)
    checked = register.check_text(row_text(FILE, 100, member_id="M-NEW", **changed), CARD)
    assert places(checked.findings) == [(1, field, "error", "DUPLICATE_CARD")]
    says_spent = "wurde durch eine neue ersetzt und wird nicht noch einmal vergeben"
    assert (says_spent in checked.findings[0].sentence("de")) == (field == "card_number")
    assert ("replaced by a new one" in checked.findings[0].sentence("en")) == (field == "card_number")


@pytest.mark.parametrize("spender_first", [True, False])
def test_a_number_is_not_both_replaced_and_used_in_one_file(
    register: SampleRegister, spender_first: bool
) -> None:
    """Also where the two rows stand in different pieces of the file."""
    head, row = row_text(FILE, 100).splitlines()
    spender = row.replace("M500099", "M1").replace("D402136632", "D402840003")
    user = row.replace("M500099", "M2").replace("D402136632", REPLACED).removesuffix(REPLACED)
    assert spender.endswith(REPLACED)
    both = [spender, user] if spender_first else [user, spender]
    text = "\n".join((head, *both, ""))
    field = "card_number" if spender_first else "replaces_card_number"
    assert places(register.check_text(text, CARD).findings) == [(2, field, "error", "DUPLICATE_CARD")]
    with closing(RowIndex()) as index, BytesIO(text.encode()) as file:
        check = FileCheck(register.reading, register.tenant, CARD, file, None, TODAY, index)
        (rows,) = list(check.chunks())
        found = [finding for one in rows for finding in check.check([one]).findings]
    assert places(tuple(found)) == [(2, field, "error", "DUPLICATE_CARD")]


def test_the_fee_starts_on_the_day_the_table_says(register: SampleRegister, tmp_path: Path) -> None:
    table = tmp_path / "later.csv"
    table.write_text("category;fee_cents;valid_from\nadult;2400;2027-01-01\n")
    with register.writing() as session:
        assert membership_fees_from_csv(session, register.tenant, CARD, table) == 1
        fees = membership_fees(session, register.tenant, CARD.id)
    assert [fees.fee("adult", date(2026, 12, 31)), fees.fee("adult", date(2027, 1, 1))] == [2000, 2400]
    assert fees.fee("child", date(2027, 1, 1)) is None
    assert not membership_fees_of(register, "neuss")


def membership_fees_of(register: SampleRegister, tenant: str) -> bool:
    with register.reading() as session:
        return bool(membership_fees(session, tenant, CARD.id))


def test_other_cities_know_nothing_of_it(register: SampleRegister) -> None:
    register.load(FILE)
    text = row_text(FILE, 100, card_number=REPLACED, replaces_card_number="")
    with register.reading() as session:
        assert session.scalar(select(PassRow.number).where(PassRow.tenant == "neuss")) is None
    with register.reading() as session:
        checked = check_rows(session, "neuss", CARD, parse_rows(text.encode(), CARD), TODAY)
    assert len(checked.accepted) == 1
