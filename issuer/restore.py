"""Restoring a backup into an empty place, so that nothing withdrawn since comes back to life.

The folder becomes an installation in the very last step, when ``stadtpass.toml`` is written. A restore that was
interrupted before is none: the next one clears what it has left and starts anew.

What happened after the backup is unknown to the register, but prints and phones of that time exist:

- Passes and keys in the revocation log are revoked again; of a pass that the register does not know, the place in the
  status list stays invalid.
- Card numbers that were replaced are spent again; a card that still has one is void until it gets another.
- What the status lists published last call invalid, suspended or superseded is taken over (``published``).
- No place of a status list is given out again: all lists are closed, and new ones get higher numbers.
- API clients, verifier devices and webhooks come back locked: any of them may have been locked since.
- Invitations and devices that waited for their confirmation do not come back, and no lease runs.
- Sequence numbers follow the clock, so devices take the new lists, and phones fetch every pass anew.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import shutil
import tarfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

from sqlalchemy import MetaData, Table, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from issuer import reconciliation
from issuer.backup import (
    END,
    FILES,
    FORMAT,
    KEYS,
    LARGEST_LOG,
    MANIFEST,
    TABLES,
    TYPES,
    decoded,
    tables_of_tenant,
)
from issuer.backup_file import BackupDamaged, BackupReader
from issuer.configuration import Config, read_config
from issuer.database import connect_register, sqlite_url, version_of, writing
from issuer.errors import IssuerRefusal
from issuer.files import write_atomically
from issuer.migrations import HEAD
from issuer.models import TenantRow
from issuer.reconciliation import Reconciled
from issuer.restored_log import RevocationLogs, lacks_lines_of, logs_of, read_logs
from issuer.revocation_log import FILE_NAME as REVOCATIONS
from issuer.service_secret import FILE_NAME as SERVICE_KEY
from issuer.trust_bundle import BUNDLE_FILE
from issuer.workspace import CONFIG, KEY_FILE
from keys.private_files import DIRECTORY_MODE, FILE_MODE
from keys.store import Unlock

# Says that the folder belongs to a restore that has not ended; from just before the rows are committed on, which.
PENDING: Final = ".restore"
# What may lie in the folder before: it is not in the backup, and it is newer than the backup.
_WELCOME: Final = frozenset({REVOCATIONS, KEY_FILE, "root", PENDING, "lost+found"})
_DATABASE_FILES: Final = ("register.db", "register.db-wal", "register.db-shm")
_MADE: Final = (*_DATABASE_FILES, SERVICE_KEY, BUNDLE_FILE, KEYS, TYPES)
_SINGLE_FILES: Final = frozenset({CONFIG, SERVICE_KEY, BUNDLE_FILE, REVOCATIONS})
_LARGEST_MEMBER: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What to restore, and what is known of the time after the backup.

    ``revocations`` are the newest revocation logs, one of each machine; the one in ``folder`` is always read.
    Without any, only ``accept_backup_log`` says that nothing was revoked since. ``published`` is a folder with the
    newest lists. ``keep_credentials`` leaves API clients, enrolled devices and webhooks as they were.
    """

    folder: Path
    file: Path
    at: datetime
    actor: str
    secret: Unlock | None
    database_url: str = ""
    revocations: tuple[Path, ...] = ()
    accept_backup_log: bool = False
    published: Path | None = None
    keep_credentials: bool = False


@dataclass(slots=True)
class RestoreReport:
    """What came of it."""

    created_at: datetime
    rows: int = 0
    files: int = 0
    reconciled: Reconciled = field(default_factory=Reconciled)


@dataclass(slots=True)
class _Contents:
    """What is read before the register's rows come, and what they are checked against at the end."""

    manifest: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)


def restore(request: RestoreRequest) -> RestoreReport:
    """Restore the backup, or raise IssuerRefusal if it cannot be done as a whole.

    Then nothing is left behind; but once the rows are in the database, the folder stays marked, and the same restore
    again goes on from there. Codes: RESTORE_NOT_EMPTY, RESTORE_TENANT_EXISTS, RESTORE_NO_LOG, RESTORE_LOG_OLDER,
    RESTORE_LOG_UNREADABLE, RESTORE_SCHEMA, RESTORE_LISTS, BACKUP_DAMAGED, BACKUP_SECRET; KeyRefusal for a wrong
    secret; OSError.
    """
    logs = _logs_at_hand(request)
    # Read once from end to end before anything is touched: whole, and from whoever has the secret.
    contents = _look(request)
    config_text = _with_database(contents.files.get(CONFIG, b""), request.database_url)
    log = _log_to_replay(logs, contents)
    _check_folder(request.folder)
    request.folder.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    _clear(request.folder)
    mark = hashlib.sha256(f"{contents.manifest}\n{config_text}".encode()).hexdigest().encode()
    pending = request.folder / PENDING
    before = pending.read_bytes() if pending.is_file() else b""
    if not before:
        write_atomically(pending, b"", mode=FILE_MODE)
    try:
        # The same restore, interrupted: its rows may be in the database already, all of them or none.
        report = _restore(request, contents, config_text, log, mark=mark, again=before == mark)
    except BaseException:
        _clear(request.folder)
        if not pending.read_bytes():
            pending.unlink()
        raise
    return report


def _restore(
    request: RestoreRequest,
    contents: _Contents,
    config_text: str,
    log: RevocationLogs,
    *,
    mark: bytes,
    again: bool,
) -> RestoreReport:
    folder = request.folder
    config = _config_of(folder, config_text)
    report = RestoreReport(datetime.fromisoformat(contents.manifest["created_at"]), files=len(contents.files))
    for name, data in contents.files.items():
        if name not in (CONFIG, REVOCATIONS):
            _place(folder, name, data)
    url = config.database_url or sqlite_url(folder)
    _make_file(url)
    engine = connect_register(url)
    try:
        with writing(engine) as session:
            if again and _has_tenant(session, config.tenant):
                report.rows = sum(contents.counts.values())
            else:
                _fill(session, request, contents, report)
            # Applied a second time, it changes nothing that is withdrawn already.
            report.reconciled = reconciliation.reconcile(
                session,
                config.tenant,
                request.at,
                request.actor,
                log.entries,
                request.published,
                keep_credentials=request.keep_credentials,
                cards=log.cards,
            )
            # The log lasts before the register does: nothing in it may ever be missing from it.
            write_atomically(folder / REVOCATIONS, log.data, mode=FILE_MODE)
            # Nobody can be sure of a commit that fails, so whose rows may be there is written down before it.
            write_atomically(folder / PENDING, mark, mode=FILE_MODE)
    finally:
        engine.dispose()
    write_atomically(folder / CONFIG, config_text.encode(), mode=FILE_MODE)
    (folder / PENDING).unlink()
    return report


def _fill(session: Session, request: RestoreRequest, contents: _Contents, report: RestoreReport) -> None:
    connection = session.connection()
    tenant, schema = contents.manifest["tenant"], contents.manifest["schema"]
    from issuer.migrations.upgrade import known_versions, upgrade  # noqa: PLC0415 - loads Alembic

    found = version_of(connection)
    if schema not in known_versions() or (found is not None and found != schema):
        raise IssuerRefusal("RESTORE_SCHEMA", backup=schema, program=found or HEAD)
    if found is None:
        # An older backup comes into the schema of its time, and is then brought up to date.
        upgrade(connection, schema)
    elif _has_tenant(session, tenant):
        raise IssuerRefusal("RESTORE_TENANT_EXISTS", tenant=tenant)
    tables = _tables(session)
    with _opened(request) as archive:
        for name, rows in _row_chunks(archive, tenant):
            if name not in tables:
                raise BackupDamaged
            session.execute(insert(tables[name]), _typed(tables[name], rows, connection.dialect.name))
            report.rows += len(rows)
    if found is None and schema != HEAD:
        upgrade(connection)


def _has_tenant(session: Session, tenant: str) -> bool:
    if version_of(session.connection()) is None:
        return False
    return session.scalar(select(TenantRow.tenant).where(TenantRow.tenant == tenant)) is not None


def _tables(session: Session) -> Mapping[str, Table]:
    reflected = MetaData()
    reflected.reflect(session.connection())
    known = {table.name for table in tables_of_tenant()}
    return {name: table for name, table in reflected.tables.items() if name in known}


def _typed(table: Table, rows: list[dict[str, Any]], dialect: str) -> list[dict[str, Any]]:
    for row in rows:
        if row.keys() - table.c.keys():
            raise BackupDamaged
        if dialect == "sqlite":
            for name, value in row.items():
                # SQLite keeps no zone; what is stored is UTC.
                if isinstance(value, datetime):
                    row[name] = value.replace(tzinfo=None)
    return rows


def _row_chunks(archive: tarfile.TarFile, tenant: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for name, data in _members(archive):
        if not name.startswith(TABLES):
            continue
        rows = []
        for line in data().splitlines():
            try:
                row = {key: decoded(value) for key, value in json.loads(line).items()}
            except (ValueError, KeyError, TypeError, AttributeError):
                raise BackupDamaged from None
            if row.get("tenant") != tenant:
                raise BackupDamaged
            rows.append(row)
        if rows:
            yield name.split("/")[1], rows


def _look(request: RestoreRequest) -> _Contents:
    """Everything but the rows, which are counted."""
    contents = _Contents()
    with _opened(request) as archive:
        for name, data in _members(archive):
            if name == MANIFEST:
                contents.manifest = _object(data())
            elif name == END:
                contents.end = _object(data())
            elif name.startswith(FILES) and _is_ours(name.removeprefix(FILES)):
                contents.files[name.removeprefix(FILES)] = data()
            elif name.startswith(TABLES) and name.count("/") == 2:
                table = name.split("/")[1]
                contents.counts[table] = contents.counts.get(table, 0) + data().count(b"\n")
            else:
                raise BackupDamaged
    manifest, end = contents.manifest, contents.end
    told = {name: count for name, count in end.get("rows", {}).items() if count}
    if manifest.get("format") != FORMAT or told != contents.counts or CONFIG not in contents.files:
        raise BackupDamaged
    if sorted(FILES + name for name in contents.files) != end.get("files"):
        raise BackupDamaged
    return contents


@contextlib.contextmanager
def _opened(request: RestoreRequest) -> Iterator[tarfile.TarFile]:
    with request.file.open("rb") as file:
        reader = cast("IO[bytes]", BackupReader(file, request.secret))
        try:
            with (
                gzip.GzipFile(fileobj=reader, mode="rb") as unpacked,
                tarfile.open(fileobj=unpacked, mode="r|") as archive,
            ):
                yield archive
        except (tarfile.TarError, EOFError, gzip.BadGzipFile, UnicodeDecodeError):
            raise BackupDamaged from None


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, Any]]:
    for entry in archive:
        stream = archive.extractfile(entry) if entry.isfile() else None
        limit = LARGEST_LOG if entry.name == FILES + REVOCATIONS else _LARGEST_MEMBER
        if stream is None or entry.size > limit:
            raise BackupDamaged
        yield entry.name, stream.read


def _is_ours(name: str) -> bool:
    path = PurePosixPath(name)
    steps = path.parts
    if path.is_absolute() or ".." in steps or str(path) != name or "\0" in name:
        return False
    return name in _SINGLE_FILES or (len(steps) in (2, 3, 4) and steps[0] in (KEYS, TYPES))


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        raise BackupDamaged from None
    if not isinstance(value, dict):
        raise BackupDamaged
    return value


def _place(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    for parent in reversed(path.relative_to(folder).parents[:-1]):
        (folder / parent).mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    write_atomically(path, data, mode=FILE_MODE)


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise IssuerRefusal("RESTORE_NOT_EMPTY", folder=folder)
    present = {one.name for one in folder.iterdir()} if folder.is_dir() else set()
    interrupted = PENDING in present and CONFIG not in present
    if present - _WELCOME and not interrupted:
        raise IssuerRefusal("RESTORE_NOT_EMPTY", folder=folder)


def _clear(folder: Path) -> None:
    """Take away what an interrupted restore may have left; only ever called where no installation is."""
    for name in _MADE:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _logs_at_hand(request: RestoreRequest) -> tuple[Path, ...]:
    own = request.folder / REVOCATIONS
    found = (*request.revocations, own) if own.is_file() else request.revocations
    if not found and not request.accept_backup_log:
        raise IssuerRefusal("RESTORE_NO_LOG", file=REVOCATIONS)
    return found


def _log_to_replay(files: tuple[Path, ...], contents: _Contents) -> RevocationLogs:
    tenant, of_backup = contents.manifest["tenant"], contents.files.get(REVOCATIONS, b"")
    if not files:
        return logs_of(Path(REVOCATIONS), of_backup, tenant)
    found = read_logs(files, tenant)
    if lacks_lines_of(found.data, of_backup):
        raise IssuerRefusal("RESTORE_LOG_OLDER")
    return found


def _with_database(config: bytes, url: str) -> str:
    """The backup's ``stadtpass.toml`` with another register, if ``url`` names one."""
    try:
        text = config.decode()
        before = tomllib.loads(text)
        if not url:
            return text
        kept = [line for line in text.splitlines() if not line.startswith("database_url")]
        changed = "\n".join([f"database_url = {json.dumps(url)}", *kept]) + "\n"
        after = tomllib.loads(changed)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise BackupDamaged from None
    if after != before | {"database_url": url}:
        raise BackupDamaged
    return changed


def _config_of(folder: Path, text: str) -> Config:
    aside = folder / f"{PENDING}.toml"
    try:
        write_atomically(aside, text.encode(), mode=FILE_MODE)
        return read_config(aside, {})
    finally:
        aside.unlink(missing_ok=True)


def _make_file(url: str) -> None:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        os.close(os.open(parsed.database, os.O_CREAT | os.O_RDWR, FILE_MODE))
