"""How bulk jobs run: in chunks of one short transaction each, which also holds how far the job has come.

A job that was killed, or whose worker died, is run again and goes on where its last chunk was committed: an import
recognises the rows that are in the register, a list of numbers is taken up at its place. Where two workers run the
same job, as after a pause that looked like a death, the one that came later goes on and the other one stops at its
next chunk. A job that has ended has no input any more.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session, undefer

from issuer import lifecycle
from issuer.application import Application
from issuer.background.tasks import Json, Queue, RetryLater, Task
from issuer.database import let_others_write
from issuer.errors import RegisterRefusal
from issuer.importing.check_file import AcceptedRow, CheckedFile, check_rows
from issuer.importing.findings import FileRefused, Finding, Severity, of_refusal
from issuer.importing.rows import parse_rows
from issuer.lifecycle import Actor
from issuer.models_access import JobFindingRow, JobRow
from issuer.register import insert_passes
from issuer.revocation import revoked_places
from issuer.revocation_log import RevocationLog, RevokedPass
from issuer.sealing import RegisterSealer
from issuer.status_allocation import chunks
from keys.errors import KeyRefusal, Refusal
from passes.pass_types import PassType

TASK: Final = "job"
QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
OPEN: Final = (QUEUED, RUNNING)
IMPORT: Final = "import"
STEPS: Final = ("revoke", "suspend", "resume", "reissue")
# A seal takes a fifth of a millisecond and a row somewhat more: nobody waits long for the one writer.
ROWS_AT_ONCE: Final = 100
NUMBERS_AT_ONCE: Final = 50
_PATIENCE: Final = timedelta(days=1)
_FINDINGS_AT_ONCE: Final = 1000
_FIELD: Final = 200
_RUN: Final = "run"
# These are the operator's to mend, and then the job can go on.
_WAITS_FOR_OPERATOR: Final = frozenset({"NO_SIGNING_KEY", "REGISTER_BUSY", "REGISTER_GIVEN_UP"})


def run_job(application: Application, payload: Json) -> None:
    """Run the job ``payload["id"]`` to its end, from wherever it stands; nothing is done for one that has ended.

    Raises RetryLater where another process has changed what was checked, or the operator has to act first.
    """
    job = _begun(application, str(payload["id"]))
    if job is None:
        return
    run = _Run(application, job.id, job.actor, str(job.report[_RUN]))
    data, job.input = job.input or b"", None
    try:
        if job.kind == IMPORT:
            _import(run, job, data)
        else:
            _take_steps(run, job, data)
    except FileRefused as refused:
        _end(application, job.id, FAILED, [refused.finding()])
    except Refusal as refusal:
        if isinstance(refusal, KeyRefusal) or refusal.code in _WAITS_FOR_OPERATOR:
            raise RetryLater(refusal.code) from refusal
        if refusal.code == "REGISTER_CHANGED":
            raise RetryLater(refusal.code, 1) from refusal
        _end(application, job.id, FAILED, [_of_job(refusal)])


def give_up(application: Application, payload: Json) -> None:
    """End a job that could not be run for a day."""
    _end(application, str(payload["id"]), FAILED, [_of_job(RegisterRefusal("JOB_GIVEN_UP"))])


def outstanding(session: Session, tenant: str) -> list[str]:
    """The ids of the jobs that have not ended."""
    return list(session.scalars(select(JobRow.id).where(JobRow.tenant == tenant, JobRow.state.in_(OPEN))))


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a job; ``token`` stands in the job for as long as this run is the one that goes on."""

    application: Application
    job_id: str
    actor: str
    token: str

    def job(self, session: Session) -> JobRow | None:
        """The job, to be changed; None if it has ended, was cancelled, or belongs to another run now."""
        job = session.get(
            JobRow, (self.application.tenant, self.job_id), with_for_update=True, populate_existing=True
        )
        mine = job is not None and job.state == RUNNING and job.report.get(_RUN) == self.token
        return job if mine else None


TASKS: tuple[Task, ...] = (Task(TASK, Queue.JOBS, run_job, _PATIENCE, give_up),)


def _begun(application: Application, job_id: str) -> JobRow | None:
    """The job with its input, noted as running; None if there is nothing to do."""
    with application.writing() as session:
        job = session.get(
            JobRow, (application.tenant, job_id), with_for_update=True, options=[undefer(JobRow.input)]
        )
        if job is None or job.state not in OPEN or job.input is None:
            return None
        job.state = RUNNING
        job.started_at = job.started_at or application.now()
        job.report = {**job.report, _RUN: secrets.token_hex(8)}
    return job


def _import(run: _Run, job: JobRow, data: bytes) -> None:
    application = run.application
    pass_type = application.pass_types[str(job.params["type"])]
    rows = parse_rows(data, pass_type, job.params.get("encoding"))
    with application.reading() as session:
        residents = application.sources.residents
        checked = check_rows(
            session, application.tenant, pass_type, rows, application.now(), residents=residents
        )
        sealer = application.sealer(session, pass_type)
    if not _note_check(run, checked, len(rows.rows)):
        return
    del rows
    if not job.params.get("dry_run"):
        for chunk in chunks(checked.accepted, ROWS_AT_ONCE):
            if not _enter(run, chunk, sealer):
                return
            let_others_write()
    _end(application, job.id, DONE, run=run)


def _note_check(run: _Run, checked: CheckedFile, total: int) -> bool:
    """Keep what the check has found; False if this run is to stop."""
    with run.application.writing() as session:
        job = run.job(session)
        if job is None:
            return False
        entered = int(job.report.get("accepted", 0))
        dry = bool(job.params.get("dry_run"))
        job.report = {
            **job.report,
            "accepted": len(checked.accepted) if dry else entered,
            # On a second run the rows that the first has entered are there already.
            "unchanged": len(checked.unchanged) - (0 if dry else entered),
            "fees_checked": checked.fees_checked,
        }
        job.total = total
        job.refused = checked.refused
        job.done = total - checked.refused if dry else len(checked.unchanged)
        _add_findings(session, job, _new_findings(session, job, checked.findings))
    return True


def _new_findings(session: Session, job: JobRow, findings: Sequence[Finding]) -> list[Finding]:
    """Those that no earlier run has noted; a second one finds no warnings, and errors only in further rows."""
    rows = session.execute(
        select(JobFindingRow.row, JobFindingRow.code).where(
            JobFindingRow.tenant == job.tenant, JobFindingRow.job_id == job.id
        )
    )
    noted = {(row, code) for row, code in rows}
    return [one for one in findings if (one.row, one.code) not in noted]


def _enter(run: _Run, rows: Sequence[AcceptedRow], sealer: RegisterSealer) -> bool:
    application = run.application
    with application.writing() as session:
        job = run.job(session)
        if job is None:
            return False
        entered = insert_passes(
            session,
            application.tenant,
            rows,
            sealer,
            at=application.now(),
            actor=run.actor,
            log=RevocationLog(application.workspace.folder),
        )
        # Rows that somebody else has entered alike in between count as unchanged.
        same = len(rows) - len(entered)
        job.done += len(rows)
        job.report = {
            **job.report,
            "accepted": job.report["accepted"] + len(entered),
            "unchanged": job.report["unchanged"] + same,
        }
    return True


def _take_steps(run: _Run, job: JobRow, data: bytes) -> None:
    application = run.application
    numbers: list[str] = msgspec.json.decode(data, type=list[str])
    pass_type = application.pass_types[str(job.params["type"])]
    with application.reading() as session:
        sealer = application.sealer(session, pass_type) if job.kind == "reissue" else None
    while True:
        with application.writing() as session:
            row = run.job(session)
            if row is None:
                return
            place = row.done + row.refused
            chunk = numbers[place : place + NUMBERS_AT_ONCE]
            if chunk:
                _take_chunk(application, session, row, pass_type, chunk, sealer)
        let_others_write()
        if not chunk:
            _end(application, job.id, DONE, run=run)
            return


def _take_chunk(
    application: Application,
    session: Session,
    job: JobRow,
    pass_type: PassType,
    numbers: Sequence[str],
    sealer: RegisterSealer | None,
) -> None:
    actor = Actor(job.actor, application.now(), str(job.params["reason"]))
    findings: list[Finding] = []
    revoked: list[RevokedPass] = []
    place = job.done + job.refused
    for index, number in enumerate(numbers, start=place + 1):
        try:
            with session.begin_nested():
                _take_step(application, session, job.kind, pass_type, number, sealer, actor)
                if job.kind == "revoke":
                    revoked += revoked_places(session, application.tenant, pass_type.id, number)
        except KeyRefusal:
            raise
        except Refusal as refusal:
            findings.append(of_refusal(index, index, number, refusal))
    job.refused += len(findings)
    job.done += len(numbers) - len(findings)
    _add_findings(session, job, findings)
    session.flush()
    # Last, so that what stands in the log is committed at once; one that is not acknowledged does no harm there.
    RevocationLog(application.workspace.folder).passes(application.tenant, revoked, actor.at)


def _take_step(
    application: Application,
    session: Session,
    kind: str,
    pass_type: PassType,
    number: str,
    sealer: RegisterSealer | None,
    actor: Actor,
) -> None:
    tenant = application.tenant
    if sealer is not None:
        lifecycle.reissue(session, tenant, pass_type, number, seal_for=sealer, actor=actor)
        return
    steps: dict[str, Callable[..., Any]] = {
        "revoke": lifecycle.revoke,
        "suspend": lifecycle.suspend,
        "resume": lifecycle.resume,
    }
    steps[kind](session, tenant, pass_type.id, number, actor=actor)


def _end(
    application: Application,
    job_id: str,
    state: str,
    findings: Sequence[Finding] = (),
    run: _Run | None = None,
) -> None:
    with application.writing() as session:
        job = session.get(JobRow, (application.tenant, job_id), with_for_update=True, populate_existing=True)
        if job is None or job.state not in OPEN or (run is not None and run.job(session) is None):
            return
        _add_findings(session, job, findings)
        end(job, state, application)


def end(job: JobRow, state: str, application: Application) -> None:
    """Note in the caller's transaction that a job has ended; its input may hold names and goes at once."""
    job.state, job.finished_at, job.input = state, application.now(), None


def _of_job(refusal: Refusal) -> Finding:
    return Finding(None, None, None, Severity.ERROR, refusal.code, refusal.params, refusal.package)


def _add_findings(session: Session, job: JobRow, findings: Sequence[Finding]) -> None:
    last = session.scalar(
        select(func.max(JobFindingRow.n)).where(
            JobFindingRow.tenant == job.tenant, JobFindingRow.job_id == job.id
        )
    )
    rows = [
        {
            "tenant": job.tenant,
            "job_id": job.id,
            "n": n,
            "row": one.row,
            "line": one.line,
            "field": one.field[:_FIELD] if one.field else None,
            "severity": one.severity.value,
            "code": one.code,
            "text": one.text or one.code,
            "package": one.package,
            "params": _plain(one),
        }
        for n, one in enumerate(findings, start=(last or 0) + 1)
    ]
    for chunk in chunks(rows, _FINDINGS_AT_ONCE):
        session.execute(insert(JobFindingRow), chunk)


def _plain(finding: Finding) -> dict[str, Any]:
    """The params of a finding as JSON; a refusal among them becomes its sentence's place in the catalogue."""
    return {
        name: value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
        for name, value in finding.params.items()
    }
