"""Zones, fees and settings of a city."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from issuer.errors import IssuerRefusal
from issuer.importing.findings import FileRefused
from issuer.settings import Settings, create_tenant, load_settings, record_key, save_settings
from issuer.tariffs import fees, fees_from_csv, find_zone, zones, zones_from_csv
from passes.model import DisplayMode
from passes.zones import Zone
from tests.issuer.register_samples import (
    PERMIT,
    SAMPLES,
    TODAY,
    SampleRegister,
    places,
    row_text,
    sample_register,
)

TENANT = "duesseldorf"


@pytest.fixture
def register(tmp_path: Path) -> Iterator[SampleRegister]:
    with sample_register(tmp_path / "register", fees=False) as opened:
        yield opened


def write(folder: Path, text: str) -> Path:
    file = folder / "table.csv"
    file.write_text(text, "utf-8")
    return file


def test_the_samples_load_twice_with_the_same_result(register: SampleRegister) -> None:
    for _ in range(2):
        with register.writing() as session:
            assert zones_from_csv(session, TENANT, SAMPLES / "zones.csv") == 20
            assert fees_from_csv(session, TENANT, SAMPLES / "fees.csv") == 4
    with register.reading() as session:
        assert len(zones(session, TENANT)) == 20
        assert zones(session, TENANT)["MÜ"].zone == Zone("MÜ", "Münsterstraße")
        table = fees(session, TENANT)
        assert len(table.rows) == 4
        assert not fees(session, "neuss")
    assert table.fee("B", "online", 12, date(2026, 1, 1)) == 2500
    assert table.fee("B", "online", 6, date(2026, 1, 1)) is None
    assert table.fee("B", "counter", 24, date(2026, 1, 1)) == 5500


def test_fees_by_class_and_day(register: SampleRegister, tmp_path: Path) -> None:
    text = (
        "tariff_class;channel;term_months;valid_from;fee_cents\n"
        ";online;12;;2500\nB;online;12;;3000\nB;online;12;2026-07-01;3600\n;online;12;2027-01-01;2600\n"
    )
    with register.writing() as session:
        fees_from_csv(session, TENANT, write(tmp_path, text))
        table = fees(session, TENANT)
    days = (date(2026, 6, 30), date(2026, 7, 1), date(2027, 1, 1))
    assert [table.fee("B", "online", 12, day) for day in days] == [3000, 3600, 3600]
    assert [table.fee("A", "online", 12, day) for day in days] == [2500, 2500, 2600]


def test_a_zone_that_has_ended_is_unknown_to_later_permits(register: SampleRegister, tmp_path: Path) -> None:
    text = "zone_code;zone_name;valid_until\nBO\u0308;Börsenwiese;2026-10-01\n"
    with register.writing() as session:
        zones_from_csv(session, TENANT, write(tmp_path, text))
    checked = register.check_text(row_text("permits_valid.csv"), PERMIT)
    assert places(checked.findings) == [(1, "zone_code", "error", "ZONE_UNKNOWN")]
    for language, wrong in (("de", "gibt es nicht"), ("en", "There is no zone")):
        sentence = checked.findings[0].sentence(language)
        assert wrong not in sentence
        assert "BÖ," not in sentence
        assert "2026-10-02" in sentence
    earlier = row_text("permits_valid.csv", valid_from="2026-10-01", valid_to="2027-09-30")
    assert len(register.check_text(earlier, PERMIT).accepted) == 1


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ("zone_code;zone_name\nHO;Ost\nHHHHHHHHHHHHH;x\n", 3, "CONFIG_ROW"),
        ("zone_code;zone_name\nHO;\n", 2, "CONFIG_ROW"),
        ("zone_code;zone_name;valid_from\nHO;Ost;1.1.2026\n", 2, "CONFIG_ROW"),
        ("zone_code;zone_name\nHO\n", 2, "COLUMN_COUNT"),
        ("zone_code;name\nHO;Ost\n", 1, "COLUMN_MISSING"),
    ],
)
def test_a_faulty_table_is_refused_with_its_line(
    register: SampleRegister, tmp_path: Path, text: str, line: int, code: str
) -> None:
    with pytest.raises(FileRefused) as caught, register.writing() as session:
        zones_from_csv(session, TENANT, write(tmp_path, text))
    assert (caught.value.code, caught.value.line) == (code, line)
    assert str(line) in caught.value.sentence("de")


@pytest.mark.parametrize("cents", ["25,00", "-1", "", "99999999999"])
def test_fees_are_whole_cents(register: SampleRegister, tmp_path: Path, cents: str) -> None:
    text = f"channel;term_months;fee_cents\nonline;12;{cents}\n"
    with pytest.raises(FileRefused, match="fee_cents"), register.writing() as session:
        fees_from_csv(session, TENANT, write(tmp_path, text))


def test_zones_of_another_tenant_are_unknown(register: SampleRegister, tmp_path: Path) -> None:
    with register.writing() as session:
        zones_from_csv(session, "neuss", write(tmp_path, "zone_code;zone_name\nNE;Neuss\n"))
        assert find_zone(session, "neuss", " NE ", TODAY.date()).zone.name == "Neuss"
        with pytest.raises(IssuerRefusal) as caught:
            find_zone(session, TENANT, "NE", TODAY.date())
    assert caught.value.code == "ZONE_UNKNOWN"


def test_settings_are_kept_by_tenant(register: SampleRegister) -> None:
    chosen = Settings(city_name="Düsseldorf", display_mode=DisplayMode.DIGITAL_ALLOWED, list_ttl_hours=12)
    with register.writing() as session:
        save_settings(session, TENANT, chosen)
    with register.reading() as session:
        assert load_settings(session, TENANT) == chosen
        assert load_settings(session, "neuss") == Settings(city_name="neuss")
        assert chosen.city(TENANT).display_mode is DisplayMode.DIGITAL_ALLOWED
        assert record_key(session, TENANT) != record_key(session, "neuss")
        assert len(record_key(session, TENANT)) == 32
    with register.writing() as session:
        save_settings(session, TENANT, Settings(city_name="Düsseldorf"))
        assert load_settings(session, TENANT) == Settings(city_name="Düsseldorf")
        with pytest.raises(IssuerRefusal, match="TENANT_EXISTS"):
            create_tenant(session, TENANT, Settings(), TODAY)
        with pytest.raises(IssuerRefusal, match="TENANT_UNKNOWN"):
            load_settings(session, "nobody")
