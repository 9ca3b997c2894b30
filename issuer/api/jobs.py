"""Bulk jobs: imports, and steps for many passes; started, watched and cancelled here, run by `job_runs`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Response, get, post
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import Body, FromPath, FromQuery, QueryParameter, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from issuer.api import job_runs
from issuer.api.auth import ApiRequest, application_of, require
from issuer.api.documentation import Success, documented
from issuer.api.idempotency import Answer, answer_once
from issuer.api.job_runs import OPEN, QUEUED, TASK, TASKS, outstanding
from issuer.api.paging import USUAL_PAGE, Cursor, Limit, page_of
from issuer.api.pass_answers import may_act, respond
from issuer.api.pass_examples import TYPE, body_example
from issuer.api.pass_schemas import Number, Reason, TypeId
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.importing.csv_file import ENCODINGS
from issuer.models_access import JobFindingRow, JobRow
from issuer.web.problems import language_of, misplaced, problem
from keys.errors import Refusal
from keys.texts import texts
from passes.pass_types import PassType

__all__ = ["HANDLERS", "TASKS", "outstanding"]

# More than 60,000 permits; checking takes some forty bytes of memory for each of the file.
LARGEST_FILE: Final = 16 * 1024 * 1024
MOST_NUMBERS: Final = 10_000
MOST_OPEN: Final = 20
_LARGEST_LIST: Final = 1024 * 1024
_CSV: Final = ("text/csv", "application/octet-stream")
_JOB_ID: Final = "0f6c5f3a9d6e4b1c8a7d2e5f4b3a2c1d"


class NewJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step for all ``numbers`` of a type; ``reason`` is one line for the audit trail, without names."""

    kind: Literal["revoke", "suspend", "resume", "reissue"]
    type: TypeId
    numbers: Annotated[list[Number], msgspec.Meta(min_length=1, max_length=MOST_NUMBERS)]
    reason: Reason


class Job(msgspec.Struct, frozen=True, omit_defaults=True):
    """A job and how far it has come; ``accepted`` and ``unchanged`` are those of an import."""

    id: str
    kind: str
    type: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    total: int
    done: int
    refused: int
    findings: int
    created_at: datetime
    created_by: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    dry_run: bool | None = None
    accepted: int | None = None
    unchanged: int | None = None
    fees_checked: bool | None = None


class JobPage(msgspec.Struct, frozen=True):
    """A page of jobs, newest first."""

    items: list[Job]
    next: str | None


class JobFinding(msgspec.Struct, frozen=True):
    """A fault or a warning. Rows count from 1: data rows of a file, or places in the list of numbers."""

    row: int | None
    line: int | None
    field: str | None
    severity: Literal["error", "warn"]
    code: str
    detail: str


class FindingPage(msgspec.Struct, frozen=True):
    """A page of findings, in the order in which they were found."""

    items: list[JobFinding]
    next: str | None


_AT: Final = datetime.fromisoformat("2026-11-20T11:00:00+00:00")
_JOB: Final = Job(
    _JOB_ID, "import", TYPE, "running", 2400, 1200, 3, 4, _AT, "api:portal", _AT, None, False, 1190, 10
)
_FINDING: Final = JobFinding(
    17, 18, "zone_code", "error", "ZONE_UNKNOWN", "There is no zone XX. Known are: BÖ, HO."
)
_STARTED: Final = Success(202, Job, {"job": _JOB}, "The job; `Location` says where to watch it")
_UNKNOWN: Final = problem(404, "JOB_UNKNOWN", id=_JOB_ID)
_TOO_MANY: Final = problem(429, "JOBS_TOO_MANY", limit=MOST_OPEN)


@dataclass
class _CsvOperation(Operation):
    """An import reads its body as it comes, so the body is described here."""

    def __post_init__(self) -> None:
        schema = Schema(type=OpenAPIType.STRING, format="binary")  # type: ignore[arg-type]
        content = {one: OpenAPIMediaType(schema=schema) for one in _CSV}
        self.request_body = RequestBody(required=True, content=content, description="The CSV file")


@post(
    "/jobs",
    status_code=202,
    sync_to_thread=True,
    guards=[require(Scope.JOBS_WRITE)],
    request_max_body_size=_LARGEST_LIST,
    operation_id="createJob",
    tags=["Jobs"],
    summary="Revoke, suspend, resume or reissue many passes",
    description="Each pass for itself: what cannot be done with one is a finding and stops no other.",
    responses=documented(_STARTED, _TOO_MANY),
)
def create_job(
    request: ApiRequest,
    data: Annotated[
        NewJob,
        Body(
            examples=body_example("revoke", NewJob("revoke", TYPE, ["BPA-2026-100001"], "Fee charged back"))
        ),
    ],
) -> Response[bytes]:
    """Start a step for many passes."""
    application = application_of(request)
    pass_type = may_act(request.user, _pass_type(application, data.type, pointer="#/type"))
    if Scope.PASSES_WRITE not in request.user.scopes and data.kind == "reissue":
        raise problem(403, "SCOPE_MISSING", scope=Scope.PASSES_WRITE)
    if Scope.PASSES_REVOKE not in request.user.scopes and data.kind != "reissue":
        raise problem(403, "SCOPE_MISSING", scope=Scope.PASSES_REVOKE)
    params = {"type": pass_type.id, "reason": data.reason}
    content = msgspec.json.encode(data.numbers)

    def effect(session: Session) -> Answer:
        return _start(request, session, data.kind, params, content, len(data.numbers))

    return answer_once(request, data, effect)


@post(
    "/jobs/imports",
    status_code=202,
    sync_to_thread=True,
    guards=[require(Scope.JOBS_WRITE)],
    opt={"content_types": _CSV},
    request_max_body_size=LARGEST_FILE,
    operation_id="createImport",
    operation_class=_CsvOperation,
    tags=["Jobs"],
    summary="Import a CSV file",
    description=(
        "The file has the columns of the pass type's register, or those of its legacy layout. Refused rows stop no "
        "good ones; the same file again changes nothing. With `dry_run` it is checked only. The file is deleted when "
        "the job has ended. Certificates of residence need the scope `residence:write` as well, also for a dry run: "
        "what is found tells of the register of residents."
    ),
    responses=documented(_STARTED, _TOO_MANY, problem(422, "FILE_MISSING")),
)
def create_import(
    request: ApiRequest,
    body: RawBody,
    type_id: Annotated[str, QueryParameter(name="type", max_length=40)],
    dry_run: FromQuery[bool] = False,
    encoding: Annotated[
        str | None,
        QueryParameter(max_length=20, description="Where the file is not UTF-8: cp1252, latin-1 ..."),
    ] = None,
) -> Response[bytes]:
    """Start the import of a file."""
    application = application_of(request)
    pass_type = _pass_type(application, type_id, parameter="type")
    if Scope.PASSES_WRITE not in request.user.scopes and not dry_run:
        raise problem(403, "SCOPE_MISSING", scope=Scope.PASSES_WRITE)
    may_act(request.user, pass_type)
    if encoding is not None and encoding.strip().lower().replace("_", "-") not in ENCODINGS:
        known = ", ".join(sorted(set(ENCODINGS.values())))
        raise misplaced(IssuerRefusal("ENCODING_UNKNOWN", known=known), parameter="encoding")
    data = bytes(body)
    if not data:
        raise problem(422, "FILE_MISSING")
    params = {"type": pass_type.id, "dry_run": dry_run, "encoding": encoding}

    def effect(session: Session) -> Answer:
        return _start(request, session, job_runs.IMPORT, params, data, 0)

    return answer_once(request, data, effect)


@get(
    "/jobs",
    sync_to_thread=True,
    guards=[require(Scope.JOBS_WRITE)],
    operation_id="listJobs",
    tags=["Jobs"],
    summary="List jobs",
    description="Newest first; jobs are deleted some weeks after they were started.",
    responses=documented(Success(200, JobPage, {"page": JobPage([_JOB], None)}, "The jobs")),
)
def list_jobs(request: ApiRequest, cursor: Cursor = None, limit: Limit = USUAL_PAGE) -> Response[bytes]:
    """All jobs of the city, in pages."""
    application = application_of(request)
    query = select(JobRow).where(JobRow.tenant == application.tenant)
    with application.reading() as session:
        page = page_of(
            application, session, query, [JobRow.created_at, JobRow.id],
            name="jobs", limit=limit, cursor=cursor, descending=True,
        )  # fmt: skip
        return respond(JobPage([_shown(session, one) for one in page.items], page.next))


@get(
    "/jobs/{job_id:str}",
    sync_to_thread=True,
    guards=[require(Scope.JOBS_WRITE)],
    operation_id="getJob",
    tags=["Jobs"],
    summary="Watch a job",
    description="`done` and `refused` grow towards `total`.",
    responses=documented(Success(200, Job, {"job": _JOB}, "The job"), _UNKNOWN),
)
def get_job(request: ApiRequest, job_id: FromPath[str]) -> Response[bytes]:
    """A job and how far it has come."""
    application = application_of(request)
    with application.reading() as session:
        return respond(_shown(session, _find(application, session, job_id)))


@get(
    "/jobs/{job_id:str}/findings",
    sync_to_thread=True,
    guards=[require(Scope.JOBS_WRITE)],
    operation_id="getJobFindings",
    tags=["Jobs"],
    summary="Read what a job has found",
    description="Errors and warnings with their places; errors keep a row out of the register, warnings do not.",
    responses=documented(
        Success(200, FindingPage, {"page": FindingPage([_FINDING], None)}, "The findings"), _UNKNOWN
    ),
)
def get_findings(
    request: ApiRequest, job_id: FromPath[str], cursor: Cursor = None, limit: Limit = USUAL_PAGE
) -> Response[bytes]:
    """The findings of a job, in pages."""
    application = application_of(request)
    language = language_of(request)
    with application.reading() as session:
        job = _find(application, session, job_id)
        query = select(JobFindingRow).where(
            JobFindingRow.tenant == application.tenant, JobFindingRow.job_id == job.id
        )
        page = page_of(
            application, session, query, [JobFindingRow.n],
            name=f"findings:{job.id}", limit=limit, cursor=cursor,
        )  # fmt: skip
    return respond(FindingPage([_finding(one, language) for one in page.items], page.next))


@post(
    "/jobs/{job_id:str}/cancel",
    status_code=200,
    sync_to_thread=True,
    guards=[require(Scope.JOBS_WRITE)],
    operation_id="cancelJob",
    tags=["Jobs"],
    summary="Cancel a job",
    description="What it has done already stays.",
    responses=documented(
        Success(200, Job, {"job": _JOB}, "The cancelled job"),
        _UNKNOWN,
        problem(409, "JOB_ENDED", id=_JOB_ID),
    ),
)
def cancel_job(request: ApiRequest, job_id: FromPath[str]) -> Response[bytes]:
    """Stop a job before its next chunk."""
    application = application_of(request)

    def effect(session: Session) -> Answer:
        job = _find(application, session, job_id)
        if job.state not in OPEN:
            raise problem(409, "JOB_ENDED", id=job.id)
        job_runs.end(job, job_runs.CANCELLED, application)
        session.flush()
        return Answer(200, _shown(session, job))

    return answer_once(request, None, effect)


HANDLERS: list[ControllerRouterHandler] = [
    create_job,
    create_import,
    list_jobs,
    get_job,
    get_findings,
    cancel_job,
]


def _start(
    request: ApiRequest, session: Session, kind: str, params: Mapping[str, Any], data: bytes, total: int
) -> Answer:
    application = application_of(request)
    open_jobs = session.scalar(
        select(func.count())
        .select_from(JobRow)
        .where(JobRow.tenant == application.tenant, JobRow.state.in_(OPEN))
    )
    if (open_jobs or 0) >= MOST_OPEN:
        raise problem(429, "JOBS_TOO_MANY", headers={"Retry-After": "60"}, limit=MOST_OPEN)
    job = JobRow(
        tenant=application.tenant,
        id=secrets.token_hex(16),
        kind=kind,
        actor=request.user.actor,
        state=QUEUED,
        total=total,
        done=0,
        refused=0,
        params=dict(params),
        input=data,
        report={},
        created_at=application.now(),
        started_at=None,
        finished_at=None,
    )
    session.add(job)
    session.flush()
    application.enqueue(session, TASK, {"id": job.id})
    return Answer(202, _shown(session, job), {"Location": f"/api/v1/jobs/{job.id}"})


def _pass_type(application: Application, type_id: str, **place: str) -> PassType:
    try:
        return application.pass_types[type_id]
    except Refusal as refusal:
        raise misplaced(refusal, **place) from None


def _find(application: Application, session: Session, job_id: str) -> JobRow:
    job = session.get(JobRow, (application.tenant, job_id[:40]), populate_existing=True)
    if job is None:
        raise problem(404, "JOB_UNKNOWN", id=job_id[:40])
    return job


def _shown(session: Session, job: JobRow) -> Job:
    findings = session.scalar(
        select(func.count())
        .select_from(JobFindingRow)
        .where(JobFindingRow.tenant == job.tenant, JobFindingRow.job_id == job.id)
    )
    is_import = job.kind == job_runs.IMPORT
    return Job(
        id=job.id,
        kind=job.kind,
        type=job.params["type"],
        state=job.state,  # type: ignore[arg-type]
        total=job.total,
        done=job.done,
        refused=job.refused,
        findings=findings or 0,
        created_at=job.created_at,
        created_by=job.actor,
        started_at=job.started_at,
        finished_at=job.finished_at,
        dry_run=bool(job.params.get("dry_run")) if is_import else None,
        accepted=job.report.get("accepted"),
        unchanged=job.report.get("unchanged"),
        fees_checked=job.report.get("fees_checked"),
    )


def _finding(row: JobFindingRow, language: str) -> JobFinding:
    places = {"row": row.row, "line": row.line, "field": row.field}
    known = {name: value for name, value in places.items() if value is not None}
    detail = texts(row.package, language)(row.text, **{**places, **row.params, **known})
    return JobFinding(row.row, row.line, row.field, row.severity, row.code, detail)  # type: ignore[arg-type]
