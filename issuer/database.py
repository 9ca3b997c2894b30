"""Opening the register's database: SQLite by default, PostgreSQL by another URL, the same code for both.

SQLite runs in WAL mode with `synchronous=FULL`: what was committed survives a power cut. A transaction that
writes takes the write lock at its start (`BEGIN IMMEDIATE`), so that what it has read cannot change before
it writes, and two commands wait for each other instead of failing. PostgreSQL does the same by an advisory
lock: one writer at a time, short transactions, and no interleaving that only one of the databases would show.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DatabaseError, DBAPIError, InternalError, OperationalError
from sqlalchemy.orm import Session

from issuer.errors import RegisterRefusal
from issuer.migrations import HEAD

FILE_NAME = "register.db"
BUSY_TIMEOUT_SECONDS = 30
_WRITING = "stadtpass_writing"
_PATIENCE = "stadtpass_patience"
_GAP_SECONDS = 0.1


def sqlite_url(folder: Path) -> str:
    """The URL of the register in the data folder ``folder``."""
    return URL.create("sqlite+pysqlite", database=str(folder / FILE_NAME)).render_as_string()


def create_register(url: str) -> Engine:
    """Make the register at ``url``, or bring the one that is there up to date, and open it.

    The file is readable by its owner alone. Raises RegisterRefusal as `open_register` does.
    """
    database = _sqlite_file(url)
    if database is not None:
        database.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(database, os.O_CREAT | os.O_RDWR, 0o600))
    return _open(url)


def open_register(url: str) -> Engine:
    """Open the register at ``url`` and run the migrations it has not seen.

    Raises RegisterRefusal REGISTER_MISSING, REGISTER_DAMAGED for a file that is no register, REGISTER_NEWER
    for one of a later version, REGISTER_BUSY if another process keeps it locked.
    """
    database = _sqlite_file(url)
    if database is not None and not database.is_file():
        raise RegisterRefusal("REGISTER_MISSING", path=str(database))
    return _open(url)


def connect_register(url: str) -> Engine:
    """As `open_register`, but the schema stays as it is, whatever version it has."""
    database = _sqlite_file(url)
    if database is not None and not database.is_file():
        raise RegisterRefusal("REGISTER_MISSING", path=str(database))
    return _connect(url)


@contextmanager
def writing(engine: Engine, patience_seconds: float = BUSY_TIMEOUT_SECONDS) -> Iterator[Session]:
    """A session in one transaction that may write: committed at the end, rolled back on any exception.

    Raises RegisterRefusal REGISTER_BUSY if the write lock stays taken for ``patience_seconds``; REGISTER_GIVEN_UP if
    PostgreSQL has ended this transaction because it stood still for a minute: nothing of it is stored.
    """
    options = {_WRITING: True, _PATIENCE: patience_seconds}
    with _session(engine.execution_options(**options)) as session:
        yield session


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session in one transaction that only reads: it sees one state of the register throughout."""
    with _session(engine) as session:
        yield session


def let_others_write() -> None:
    """Wait a moment between two writing transactions of bulk work, so that requests that write get their turn.

    SQLite does not queue its writers: who asks again at once nearly always wins.
    """
    time.sleep(_GAP_SECONDS)


@contextmanager
def _session(engine: Engine) -> Iterator[Session]:
    try:
        with Session(engine, expire_on_commit=False) as session, session.begin():
            session.connection()
            yield session
    except OperationalError as fault:
        if _is_busy(fault):
            raise RegisterRefusal("REGISTER_BUSY", seconds=BUSY_TIMEOUT_SECONDS) from fault
        raise
    except InternalError as fault:
        if _sqlstate(fault) == _IDLE_IN_TRANSACTION:
            raise RegisterRefusal("REGISTER_GIVEN_UP", seconds=_IDLE_SECONDS) from fault
        raise


def _connect(url: str) -> Engine:
    engine = create_engine(
        url,
        # A connection that the server has closed meanwhile is noticed before it is used.
        pool_pre_ping=not url.startswith("sqlite"),
        pool_size=20,
        max_overflow=20,
        json_serializer=lambda value: msgspec.json.encode(value, order="deterministic").decode(),
        json_deserializer=msgspec.json.decode,
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def _open(url: str) -> Engine:
    engine = _connect(url)
    try:
        _migrate(engine)
    except OperationalError as fault:
        engine.dispose()
        if _is_busy(fault):
            raise RegisterRefusal("REGISTER_BUSY", seconds=BUSY_TIMEOUT_SECONDS) from fault
        raise
    except DatabaseError as fault:
        engine.dispose()
        raise RegisterRefusal("REGISTER_DAMAGED", path=str(make_url(url).database)) from fault
    except RegisterRefusal:
        engine.dispose()
        raise
    return engine


def _migrate(engine: Engine) -> None:
    with engine.connect() as connection:
        if version_of(connection) == HEAD:
            return
    # Alembic is loaded only when there is something to do: every command opens the register.
    from issuer.migrations.upgrade import known_versions, upgrade  # noqa: PLC0415

    with engine.execution_options(**{_WRITING: True}).begin() as connection:
        found = version_of(connection)
        if found is not None and found not in known_versions():
            raise RegisterRefusal("REGISTER_NEWER", version=found)
        upgrade(connection)


def version_of(connection: Connection) -> str | None:
    """The migration that the register has reached; None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _sqlite_file(url: str) -> Path | None:
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver must not begin transactions on its own: `_begin_sqlite` says which kind.
    connection.isolation_level = None
    for statement in (
        f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        "PRAGMA trusted_schema = OFF",
    ):
        connection.execute(statement)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITING, False)
    patience = _patience_milliseconds(connection)
    # Connections are used again; only the rare impatient writer changes what they are set to.
    if connection.info.get(_PATIENCE, BUSY_TIMEOUT_SECONDS * 1000) != patience:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience}")
        connection.info[_PATIENCE] = patience
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _patience_milliseconds(connection: Connection) -> int:
    seconds: float = connection.get_execution_options().get(_PATIENCE, BUSY_TIMEOUT_SECONDS)
    return round(seconds * 1000)


# Any number will do, as long as nothing else in the database locks it.
_WRITERS_LOCK = 0x57AD7A55
_IDLE_SECONDS = 60
# Codes of PostgreSQL, appendix A of its manual.
_LOCK_NOT_AVAILABLE = "55P03"
_IDLE_IN_TRANSACTION = "25P03"


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITING, False):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_patience_milliseconds(connection)}")
        # A writer whose process is frozen or cut off must not hold up everybody else for hours.
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _is_busy(fault: OperationalError) -> bool:
    """Whether another process keeps what is wanted: SQLite's locked file, PostgreSQL's lock."""
    return "locked" in str(fault.orig) or _sqlstate(fault) == _LOCK_NOT_AVAILABLE


def _sqlstate(fault: DBAPIError) -> str | None:
    return getattr(fault.orig, "sqlstate", None)
