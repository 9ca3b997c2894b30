"""The register's schema up and down, on SQLite and PostgreSQL, with a city in it."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import inspect, text

from issuer.cli import main
from issuer.database import connect_register, open_register, version_of, writing
from issuer.device_enrolment import invite_device
from issuer.migrations import HEAD
from issuer.migrations.upgrade import downgrade, known_versions, steps, upgrade
from issuer.verifier_devices import Role, add_device, devices
from tests.service import City, running_numbers


def migrate(city: City, *arguments: str) -> int:
    return main(["migrate", *arguments, "--data", str(city.folder)])


def rows(city: City, table: str) -> int:
    engine = connect_register(city.open().workspace.database_url)
    with engine.connect() as connection:
        count = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
    engine.dispose()
    return int(count)


def test_head_is_the_newest_step() -> None:
    assert steps()[-1][0] == HEAD
    assert known_versions() == {revision for revision, _ in steps()}
    assert all(said for _, said in steps())


def test_down_and_up_again_with_data(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    before = {table: rows(city, table) for table in ("passes", "revisions", "wallet_passes", "pass_terms")}
    numbers = running_numbers(city.open())
    assert migrate(city, "down", "0001") == 0
    engine = connect_register(city.open().workspace.database_url)
    with engine.connect() as connection:
        assert version_of(connection) == "0001"
        assert not inspect(connection).has_table("wallet_passes")
        assert inspect(connection).has_table("passes")
    engine.dispose()
    assert migrate(city, "up") == 0
    assert {table: rows(city, table) for table in before} == before
    assert running_numbers(city.open()) == numbers
    assert "0001" in capsys.readouterr().out


def test_opening_runs_what_is_missing(city: City) -> None:
    url = city.open().workspace.database_url
    migrate(city, "down", "0001")
    engine = open_register(url)
    with engine.connect() as connection:
        assert version_of(connection) == HEAD
    engine.dispose()


def test_a_dry_run_prints_sql_and_changes_nothing(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    assert migrate(city, "down", "0001", "--dry-run") == 0
    assert "DROP TABLE wallet_passes" in capsys.readouterr().out
    assert rows(city, "wallet_passes") > 0
    migrate(city, "down", "0001")
    capsys.readouterr()
    assert migrate(city, "up", "--dry-run") == 0
    assert "CREATE TABLE wallet_passes" in capsys.readouterr().out
    migrate(city, "status", "--json")
    assert json.loads(capsys.readouterr().out)["register"] == "0001"


def test_status_and_wrong_ways(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    assert migrate(city, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["register"] == HEAD
    assert migrate(city, "status") == 0
    assert HEAD in capsys.readouterr().out
    assert migrate(city, "down", "base") == 64
    assert migrate(city, "up", "9999") == 64
    assert "9999" in capsys.readouterr().err
    assert migrate(city, "up") == 0
    migrate(city, "down", "0001")
    assert migrate(city, "down", HEAD) == 64


def test_a_newer_register_is_refused(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    with writing(city.open().engine) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for command in (("up",), ("down", "0001"), ("status",)):
        assert migrate(city, *command) == 64
    assert main(["serve", "--data", str(city.folder), "--port", "0"]) == 64
    assert "9999" in capsys.readouterr().err


def test_from_nothing_and_back_to_nothing(city: City) -> None:
    engine = connect_register(city.open().workspace.database_url)
    with writing(engine) as session:
        downgrade(session.connection(), "base")
        assert inspect(session.connection()).get_table_names() == ["alembic_version"]
        upgrade(session.connection())
    engine.dispose()


def test_devices_with_a_token_outlive_those_of_the_app(city: City) -> None:
    application = city.open()
    with application.writing() as session:
        add_device(session, application, "token", Role.WARDEN, (), actor="test")
        invite_device(session, application, "app", Role.WARDEN, (), actor="test")
    assert migrate(city, "down", "0002") == 0
    assert migrate(city, "up") == 0
    application = city.open()
    with application.reading() as session:
        assert [one.name for one in devices(session, application.tenant, application.now())] == ["token"]
