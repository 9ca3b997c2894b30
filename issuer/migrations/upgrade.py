"""Running the migrations inside a transaction of the caller, in both directions, or writing them down as SQL."""

from __future__ import annotations

import io
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

BASE = "base"


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the database behind ``connection`` up to ``revision``; the caller commits."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def downgrade(connection: Connection, revision: str) -> None:
    """Take the database behind ``connection`` back to ``revision``, or to nothing by ``base``; the caller commits.

    What only the newer schema can hold is gone then.
    """
    config = _config()
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


def sql(dialect: str, start: str | None, revision: str, *, down: bool = False) -> str:
    """The SQL that brings a database of ``dialect`` from ``start`` (None: empty) to ``revision``; nothing is run."""
    written = io.StringIO()
    config = _config()
    config.attributes["dialect"] = dialect
    config.output_buffer = written
    if down:
        command.downgrade(config, f"{start or BASE}:{revision}", sql=True)
    else:
        command.upgrade(config, f"{start}:{revision}" if start else revision, sql=True)
    return written.getvalue()


def steps() -> list[tuple[str, str]]:
    """All migrations, oldest first: (id, what it does)."""
    script = ScriptDirectory.from_config(_config())
    return [(step.revision, (step.doc or "").strip()) for step in script.walk_revisions()][::-1]


def known_versions() -> frozenset[str]:
    """The ids of all migrations that this version of the software has."""
    return frozenset(revision for revision, _ in steps())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
