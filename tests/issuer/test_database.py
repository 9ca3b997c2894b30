"""Opening the register, its transactions, and its schema."""

import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from issuer.database import create_register, open_register, reading, sqlite_url, writing
from issuer.errors import RegisterRefusal
from issuer.migrations import HEAD
from issuer.migrations.upgrade import known_versions
from issuer.models import Base, SettingRow, TenantRow, ZoneRow
from issuer.sequences import next_sequence

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1)))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    created = create_register(sqlite_url(tmp_path / "data"))
    yield created
    created.dispose()


def test_the_migrations_give_the_tables_of_the_models(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert context.get_current_revision() == HEAD
    assert HEAD in known_versions()


def test_every_table_and_key_has_the_tenant() -> None:
    for table in Base.metadata.tables.values():
        assert table.primary_key.columns.keys()[0] == "tenant", table.name


def test_the_file_is_private_durable_and_checked(engine: Engine, tmp_path: Path) -> None:
    mode = (tmp_path / "data" / "register.db").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    with engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert pragmas == ["wal", 2, 1, 30000]
    with pytest.raises(IntegrityError), writing(engine) as session:
        session.add(ZoneRow(tenant="nobody", code="HO", name="Ost", tariff_class=""))


def test_opening_what_is_no_register(tmp_path: Path) -> None:
    with pytest.raises(RegisterRefusal) as caught:
        open_register(sqlite_url(tmp_path))
    assert caught.value.code == "REGISTER_MISSING"
    (tmp_path / "register.db").write_bytes(b"not a database at all, but long enough " * 100)
    with pytest.raises(RegisterRefusal) as caught:
        open_register(sqlite_url(tmp_path))
    assert caught.value.code == "REGISTER_DAMAGED"


def test_a_register_of_a_later_version_is_left_alone(engine: Engine, tmp_path: Path) -> None:
    with writing(engine) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RegisterRefusal) as caught:
        open_register(sqlite_url(tmp_path / "data"))
    assert caught.value.code == "REGISTER_NEWER"


def test_times_come_back_in_utc_and_naive_ones_are_refused(engine: Engine) -> None:
    with writing(engine) as session:
        session.add(TenantRow(tenant="a", created_at=NOW))
    with reading(engine) as session:
        stored = session.scalars(select(TenantRow.created_at)).one()
    assert (stored, stored.tzinfo) == (NOW, UTC)
    with pytest.raises(StatementError), writing(engine) as session:
        session.add(TenantRow(tenant="b", created_at=NOW.replace(tzinfo=None)))


def test_an_exception_leaves_nothing_behind(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), writing(engine) as session:
        session.add(TenantRow(tenant="a", created_at=NOW))
        session.flush()
        raise ZeroDivisionError
    with reading(engine) as session:
        assert session.scalars(select(TenantRow)).all() == []


def test_writers_wait_for_each_other_and_see_what_was_written(engine: Engine) -> None:
    with writing(engine) as session:
        session.add(TenantRow(tenant="a", created_at=NOW))
        session.flush()
        session.add(SettingRow(tenant="a", key="count", value="0"))

    def count_up() -> None:
        for _ in range(20):
            with writing(engine) as session:
                row = session.get_one(SettingRow, ("a", "count"))
                row.value = str(int(row.value) + 1)

    threads = [threading.Thread(target=count_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as session:
        assert session.get_one(SettingRow, ("a", "count")).value == "60"


@pytest.mark.parametrize("register_url", ["postgresql"], indirect=True)
def test_a_writer_that_stands_still_loses_its_turn_and_stores_nothing(
    register_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_register(register_url)
    # Not before: on a machine with much to do, the making of the tables stands still for a second now and then.
    monkeypatch.setattr("issuer.database._IDLE_SECONDS", 1)
    holds, wake = threading.Event(), threading.Event()
    refusals: list[RegisterRefusal] = []

    def stand_still() -> None:
        with pytest.raises(RegisterRefusal) as refusal, writing(engine) as session:
            session.add(TenantRow(tenant="frozen", created_at=NOW))
            session.flush()
            holds.set()
            wake.wait(60)
        refusals.append(refusal.value)

    frozen = threading.Thread(target=stand_still)
    frozen.start()
    try:
        assert holds.wait(60)
        with writing(engine, patience_seconds=30) as session:
            session.add(TenantRow(tenant="next", created_at=NOW))
    finally:
        wake.set()
        frozen.join()
    assert [one.code for one in refusals] == ["REGISTER_GIVEN_UP"]
    # The connection that was lost is not used again.
    for _ in range(3):
        with reading(engine) as session:
            assert session.scalars(select(TenantRow.tenant)).all() == ["next"]
    engine.dispose()


def test_sequence_numbers_only_grow_and_each_tenant_has_its_own(engine: Engine) -> None:
    with writing(engine) as session:
        session.add_all([TenantRow(tenant=name, created_at=NOW) for name in ("a", "b")])
        session.flush()
        first = next_sequence(session, "a", "index", NOW)
        assert first == int(NOW.timestamp() * 1000)
        assert next_sequence(session, "a", "index", NOW - timedelta(days=9)) == first + 1
        assert next_sequence(session, "a", "index", NOW + timedelta(seconds=1)) == first + 1000
        assert next_sequence(session, "a", "plates", NOW) == first
        assert next_sequence(session, "b", "index", NOW - timedelta(days=1)) == first - 86_400_000
