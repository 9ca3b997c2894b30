"""Rows that cannot be sealed are findings of the check: they never stop a file half-way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from issuer.importing.check_file import CheckedFile, check_rows
from issuer.importing.rows import parse_rows
from issuer.register import insert_passes, load_contents
from issuer.sealing import RegisterSealer
from passes.model import PassStatus
from passes.pass_types import PassType, PassTypes
from passes.seal import Sealer, read_seal
from tests.e2e.museum import TYPE, add_type
from tests.issuer.register_samples import PERMIT, TODAY, SampleRegister, places, row_text, sample_register
from tests.trust_factory import Key

KEY = Key()
HEADER = "card_id;family_name;level;guests;house;valid_from;valid_to;status"


@pytest.fixture
def register(tmp_path: Path) -> Iterator[SampleRegister]:
    with sample_register(tmp_path / "register") as opened:
        yield opened


@pytest.fixture
def talkative(tmp_path: Path) -> PassType:
    """A type of data only whose seal has four long texts."""
    sealed = TYPE.replace('kind = "text"\nmax_length = 60', 'kind = "text"\nseal_key = 10\nmax_length = 200')
    for key in (11, 12, 13):
        extra = f'[[attributes]]\nname = "more{key}"\nkind = "text"\nseal_key = {key}\nmax_length = 200\n\n'
        column = f'[[register.columns]]\nname = "more{key}"\nkind = "text"\nattribute = "more{key}"\n'
        sealed = sealed.replace("[[fields]]", f"{extra}[[fields]]", 1) + column
    sealed = sealed.replace('attribute = "house"\nmax_length = 60', 'attribute = "house"')
    add_type(tmp_path, type=sealed)
    return PassTypes.load(tmp_path / "types")["museum-card"]


def check(register: SampleRegister, pass_type: PassType, text: str) -> CheckedFile:
    with register.reading() as session:
        return check_rows(session, register.tenant, pass_type, parse_rows(text.encode(), pass_type), TODAY)


def enter(register: SampleRegister, pass_type: PassType, checked: CheckedFile) -> list[str]:
    sealer = RegisterSealer(pass_type, Sealer(KEY, KEY.kid), TODAY)
    with register.writing() as session:
        return insert_passes(session, register.tenant, checked.accepted, sealer, at=TODAY, actor="clerk")


def test_one_row_of_another_century_leaves_all_others_in(register: SampleRegister) -> None:
    header, row = row_text("permits_valid.csv").splitlines()
    number = row.split(";")[header.split(";").index("permit_id")]
    lines = [row.replace(number, f"P-{n}") for n in range(1, 601)]
    lines[399] = lines[399].replace("2026", "1926").replace("2027", "1927")
    checked = check(register, PERMIT, "\n".join((header, *lines)))
    assert places(checked.findings) == [(400, "valid_from", "error", "DATE_YEAR")]
    assert "1970" in checked.findings[0].sentence("de")
    assert (len(checked.accepted), checked.refused) == (599, 1)
    assert len(enter(register, PERMIT, checked)) == 599


def test_the_first_and_the_last_days_can_be_sealed(register: SampleRegister) -> None:
    rows = [
        row_text("permits_valid.csv", permit_id=f"P-{first}", valid_from=first, valid_to=last, term_months="")
        for first, last in (("1970-01-02", "1970-12-31"), ("2199-01-01", "2199-12-31"))
    ]
    checked = check(register, PERMIT, rows[0] + rows[1].splitlines()[1])
    assert places(checked.findings) == []
    enter(register, PERMIT, checked)
    with register.reading() as session:
        contents = list(
            load_contents(session, register.tenant, PERMIT, [one.number for one in checked.accepted])
        )
    for content in contents:
        assert read_seal(content.seal).content.expires == int(content.period.ends_at.timestamp())


def test_a_seal_that_would_be_too_large_is_a_finding_of_its_row(
    register: SampleRegister, talkative: PassType
) -> None:
    text = "Ä" * 60
    lines = [
        f"{HEADER};more11;more12;more13",
        f"MUS-1;Ada;single;1;{text};2026-03-01;2027-02-28;active;{text};{text};{text}",
        "MUS-2;Ada;single;1;Haus;2026-03-01;2027-02-28;active;a;b;c",
        f"MUS-3;Ada;single;1;{text};2026-03-01;2027-02-28;pending_payment;{text};{text};{text}",
    ]
    checked = check(register, talkative, "\n".join(lines))
    assert places(checked.findings) == [(1, "card_id", "error", "SEAL_TOO_LARGE")]
    assert "MUS-1" in checked.findings[0].sentence("de")
    assert [(one.number, one.status) for one in checked.accepted] == [
        ("MUS-2", PassStatus.ACTIVE),
        ("MUS-3", PassStatus.PENDING_PAYMENT),
    ]
    assert len(enter(register, talkative, checked)) == 2


def test_a_value_that_no_seal_takes_is_named(register: SampleRegister, talkative: PassType) -> None:
    lines = [
        f"{HEADER};more11;more12;more13",
        f"MUS-1;Ada;single;1;Haus;2026-03-01;2027-02-28;active;a;{'x' * 121};c",
    ]
    checked = check(register, talkative, "\n".join(lines))
    assert places(checked.findings) == [(1, "more12", "error", "SEAL_MALFORMED")]
    for language in ("de", "en"):
        assert "more12" in checked.findings[0].sentence(language)
        assert "claims" not in checked.findings[0].sentence(language)


def test_a_check_says_exactly_what_sealing_would_say(register: SampleRegister, talkative: PassType) -> None:
    """Byte by byte across the limit: what the check lets through is sealed, at any place in the lists."""
    outcomes = set()
    for length in range(60, 90):
        cells = ("x" * 80, "x" * 80, "x" * length)
        row = f"MUS-{length};Ada;single;1;{'x' * 90};2026-03-01;2027-02-28;active;{';'.join(cells)}"
        checked = check(register, talkative, f"{HEADER};more11;more12;more13\n{row}\n")
        outcomes.add(bool(checked.accepted))
        for one in checked.accepted:
            sealer = RegisterSealer(talkative, Sealer(KEY, KEY.kid), TODAY)
            sealer(one.number, one.period, one.attributes, (0xFFFF, (1 << 20) - 1))
    assert outcomes == {True, False}
