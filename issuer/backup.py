"""Backing an installation up while it runs: one state of the register, and the files that belong to it.

The register is written as rows, the same for every database, so that a backup moves from SQLite to PostgreSQL and
back. Of the database only this tenant's rows are taken. The files are read after the register: a key or a line of the
revocation log that came in between is one too many, never one too few.

Not part of a backup: the key file that opens the keystores (it must not lie beside them), the root's keystore (it has
copies of its own), the task engine's tables (what is outstanding stands in the rows), and what may not come back to
life or is made anew (`LEFT_OUT`).
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import secrets
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any, Final, cast

from sqlalchemy import Table, inspect, null, select
from sqlalchemy.orm import Session

import issuer.models_access
import issuer.models_cases
import issuer.models_delivery
import issuer.models_desk
import issuer.models_eudi
import issuer.models_feedback
import issuer.models_figures
import issuer.models_imports
import issuer.models_library
import issuer.models_library_checks
import issuer.models_payments
import issuer.models_presentations
import issuer.models_print
import issuer.models_rules
import issuer.models_staff  # noqa: F401 - their tables join the metadata
from issuer.backup_file import BackupWriter
from issuer.database import reading, version_of
from issuer.errors import IssuerRefusal
from issuer.files import sync_folder
from issuer.models import Base
from issuer.revocation_log import FILE_NAME as REVOCATIONS
from issuer.service_secret import FILE_NAME as SERVICE_KEY
from issuer.trust_bundle import BUNDLE_FILE
from issuer.workspace import CONFIG, Workspace
from keys.store import Unlock

FORMAT: Final = 1
MANIFEST, END = "manifest.json", "end.json"
FILES, TABLES = "files/", "tables/"
KEYS, TYPES = "keys", "types"
# One-time secrets and open doors that were used or closed since must not open again; the rest is made anew.
LEFT_OUT: Final = frozenset(
    {
        "access_tokens",
        "letter_codes",
        # Codes of letters stand in them, which are gone as well.
        "print_files",
        "pickup_links",
        "visits",
        "case_links",
        "case_visits",
        "eudi_batches",
        "eudi_presentations",
        "eudi_replays",
        "eudi_requests",
        "eudi_tokens",
        "eudi_transaction_codes",
        "import_holders",
        "published_lists",
        "publications",
        "workers",
        "rate_slots",
        "staff_links",
        "staff_sessions",
    }
)
# What a restored job, which never goes on, does not need.
_EMPTIED: Final = frozenset({("jobs", "input")})
# More than any city writes; a restore reads no more.
LARGEST_LOG: Final = 1024 * 1024 * 1024
_ROWS: Final = 1000
_LARGEST_FILE: Final = 16 * 1024 * 1024
_COMPRESSION: Final = 6


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds."""

    rows: int
    files: int
    size: int


def back_up(workspace: Workspace, out: Path, at: datetime, secret: Unlock | None) -> BackupReport:
    """Write a backup of the installation as of now to the new file ``out``, under ``secret`` or open with None.

    Raises IssuerRefusal BACKUP_EXISTS, RegisterRefusal, KeyRefusal, OSError; then nothing is left of the file.
    """
    if out.exists():
        raise IssuerRefusal("BACKUP_EXISTS", file=out)
    aside = out.with_name(f".{out.name}.{secrets.token_hex(8)}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            report = _write(workspace, file, at, secret)
            file.flush()
            os.fsync(file.fileno())
        # A hard link fails where somebody has made the file meanwhile; a rename would replace it.
        os.link(aside, out)
        sync_folder(out.absolute().parent)
    except FileExistsError:
        raise IssuerRefusal("BACKUP_EXISTS", file=out) from None
    finally:
        with suppress(OSError):
            aside.unlink()
    return BackupReport(report[0], report[1], out.stat().st_size)


def tables_of_tenant() -> Iterator[Table]:
    """The tables that a backup holds, in an order in which their rows can come back."""
    for table in Base.metadata.sorted_tables:
        if table.name not in LEFT_OUT:
            yield table


def _write(workspace: Workspace, file: IO[bytes], at: datetime, secret: Unlock | None) -> tuple[int, int]:
    writer = BackupWriter(file, secret)
    packed = gzip.GzipFile(
        filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=cast("IO[bytes]", writer), mtime=0
    )
    counts: dict[str, int] = {}
    with packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        with reading(workspace.engine) as session:
            _add(archive, MANIFEST, _json(_manifest(workspace, session, at)))
            for table in tables_of_tenant():
                counts[table.name] = _dump(archive, session, table, workspace.tenant)
        names = [_add(archive, FILES + name, data) for name, data in _files(workspace)]
        names += _add_log(archive, workspace.folder / REVOCATIONS)
        _add(archive, END, _json({"rows": counts, "files": sorted(names)}))
    writer.close()
    return sum(counts.values()), len(names)


def _manifest(workspace: Workspace, session: Session, at: datetime) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "tenant": workspace.tenant,
        "schema": version_of(session.connection()),
        "created_at": at.astimezone(UTC).isoformat(),
        "database": session.connection().dialect.name,
    }


def _dump(archive: tarfile.TarFile, session: Session, table: Table, tenant: str) -> int:
    key = list(inspect(table).primary_key)
    columns = [null().label(one.name) if (table.name, one.name) in _EMPTIED else one for one in table.c]
    rows = session.execute(
        select(*columns).where(table.c.tenant == tenant).order_by(*key).execution_options(yield_per=_ROWS)
    )
    count = 0
    for part, chunk in enumerate(rows.mappings().partitions(_ROWS), start=1):
        lines = b"".join(_json({name: encoded(value) for name, value in row.items()}) for row in chunk)
        _add(archive, f"{TABLES}{table.name}/{part:06d}.jsonl", lines)
        count += len(chunk)
    return count


def _files(workspace: Workspace) -> Iterator[tuple[str, bytes]]:
    folder = workspace.folder
    for name in (CONFIG, SERVICE_KEY, BUNDLE_FILE):
        with suppress(FileNotFoundError):
            yield name, _content(folder / name)
    scheme, _, place = workspace.config.keys.partition(":")
    for name, inside in ((KEYS, folder / place if scheme == "file" else None), (TYPES, folder / TYPES)):
        # A keystore elsewhere, or in a device, is backed up as its maker says.
        if inside is None or not inside.is_dir() or (name == KEYS and place != KEYS):
            continue
        for path in _below(inside):
            with suppress(FileNotFoundError):
                yield f"{name}/{path.relative_to(inside).as_posix()}", _content(path)


def _below(folder: Path) -> Iterable[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and not path.name.startswith(".")
    )


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise IssuerRefusal("BACKUP_FILE_LARGE", file=path)
    return data


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> str:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o600
    archive.addfile(entry, io.BytesIO(data))
    return name


def _add_log(archive: tarfile.TarFile, path: Path) -> list[str]:
    """The revocation log as long as it is now, piece by piece: it is only ever appended to."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return []
    with file:
        entry = tarfile.TarInfo(FILES + path.name)
        entry.size, entry.mode = os.fstat(file.fileno()).st_size, 0o600
        if entry.size > LARGEST_LOG:
            raise IssuerRefusal("BACKUP_FILE_LARGE", file=path)
        archive.addfile(entry, file)
    return [entry.name]


def encoded(value: Any) -> Any:
    """A column's value as JSON can say it; `decoded` is the way back."""
    if isinstance(value, datetime):
        return {"time": value.astimezone(UTC).isoformat()}
    if isinstance(value, date):
        return {"day": value.isoformat()}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict | list):
        return {"json": value}
    return value


def decoded(value: Any) -> Any:
    """The value of a column from what `encoded` made of it. Raises ValueError, KeyError, TypeError."""
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "time":
        return datetime.fromisoformat(inner)
    if kind == "day":
        return date.fromisoformat(inner)
    if kind == "bytes":
        return base64.b64decode(inner, validate=True)
    if kind == "json":
        return inner
    raise ValueError(kind)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
