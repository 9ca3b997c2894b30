"""Deleting what is no longer needed, by rules that can be shown before and proven afterwards.

What is deleted leaves only its number in the night's report. The rules stand in `issuer.nightly.retention_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from sqlalchemy.orm import Session

from issuer.database import let_others_write
from issuer.importing import runs
from issuer.library.clearing import CHUNK as CLEARED_AT_ONCE
from issuer.library.clearing import CLEARED
from issuer.nightly import removals
from issuer.nightly.reports import Report
from issuer.nightly.retention_rules import CHUNK, FIRST, LAST

if TYPE_CHECKING:
    from issuer.application import Application
    from issuer.background.engine import Engine

NAME: Final = "retention"
_MAIL_FILE: Final = re.compile(r"([0-9]{8}T[0-9]{6})Z-[0-9a-f]{32}\.eml")


class _Counted(Protocol):
    """A rule of deletion, or one that clears something in rows that stay."""

    @property
    def name(self) -> str: ...

    def count(self, session: Session, application: Application) -> int: ...

    def oldest(self, session: Session, application: Application) -> date | None: ...


_COUNTED: Final[tuple[_Counted, ...]] = (*FIRST, *CLEARED, *LAST)


@dataclass(frozen=True, slots=True)
class Due:
    """How many rows of a kind would be deleted now, and the day (Europe/Berlin) of the oldest, if rows have one."""

    name: str
    count: int
    oldest: date | None


def preview(application: Application, session: Session) -> dict[str, int]:
    """How much each rule would delete now; rules with nothing to do are left out."""
    counts = {
        "withdrawn_from_wallets": removals.count_to_withdraw(session, application),
        "passes": removals.count_to_delete(session, application),
        "certificates": removals.count_certificates(session, application),
        **{rule.name: rule.count(session, application) for rule in _COUNTED},
        "mail_files": len(_old_mail_files(application)),
        "import_files": len(runs.stale_files(application)),
    }
    return {name: count for name, count in counts.items() if count}


def due(application: Application, session: Session) -> list[Due]:
    """The same with the oldest day of each kind, in the order of deletion."""
    files = _old_mail_files(application)
    found = [
        Due("withdrawn_from_wallets", removals.count_to_withdraw(session, application), None),
        *(
            Due(one.name, one.count(session, application), one.oldest(session, application))
            for one in _COUNTED
        ),
        Due("passes", removals.count_to_delete(session, application), removals.oldest(session, application)),
        Due(
            "certificates",
            removals.count_certificates(session, application),
            removals.oldest_certificate(session, application),
        ),
        Due("mail_files", len(files), _day_of(files[0]) if files else None),
        Due("import_files", len(runs.stale_files(application)), None),
    ]
    return [one for one in found if one.count]


def run(application: Application, report: Report, engine: Engine | None = None) -> None:
    """Delete by every rule, in short transactions; ended tasks of ``engine`` as well, where one runs here."""
    _repeat(application, report, "withdrawn_from_wallets", removals.CHUNK, removals.withdraw_some)
    for rule in FIRST:
        _repeat(application, report, rule.name, CHUNK, rule.delete_some)
    for clearing in CLEARED:
        _repeat(application, report, clearing.name, CLEARED_AT_ONCE, clearing.delete_some)
    _repeat(application, report, "passes", removals.CHUNK, removals.delete_some)
    _repeat(application, report, "certificates", removals.CHUNK, removals.delete_certificates)
    for rule in LAST:
        _repeat(application, report, rule.name, CHUNK, rule.delete_some)
    old = _old_mail_files(application)
    for file in old:
        file.unlink(missing_ok=True)
    import_files = runs.expire(application)
    pruned = 0
    if engine is not None:
        # The engine goes by the real clock, whatever clock the service was given.
        limit = datetime.now(UTC) - timedelta(days=application.config.retention.finished_work)
        pruned = engine.prune(limit)
    if old or pruned or import_files:
        with application.writing() as session:
            counts = {"mail_files": len(old), "finished_work": pruned, "import_files": import_files}
            report.add(session, counts)


def _repeat(
    application: Application,
    report: Report,
    name: str,
    chunk: int,
    some: Callable[[Session, Application], int],
) -> None:
    while True:
        with application.writing() as session:
            count = some(session, application)
            report.add(session, {name: count})
        if count < chunk:
            return
        let_others_write()


def _old_mail_files(application: Application) -> list[Path]:
    """Mails that were written into the folder for want of a server, and are as old as mails may get."""
    folder = application.workspace.folder / application.config.mail.folder
    if not folder.is_dir():
        return []
    oldest = application.now() - timedelta(days=application.config.retention.mails)
    limit = f"{oldest.astimezone(UTC):%Y%m%dT%H%M%S}"
    found = ((file, _MAIL_FILE.fullmatch(file.name)) for file in folder.iterdir())
    return sorted(file for file, name in found if name is not None and name[1] < limit)


def _day_of(file: Path) -> date:
    return datetime.strptime(file.name[:8], "%Y%m%d").replace(tzinfo=UTC).date()
