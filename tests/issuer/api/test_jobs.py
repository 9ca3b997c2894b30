"""Bulk jobs: an import is the one of the command line, whatever interrupts it; steps for many passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from issuer.api import job_runs
from issuer.api.jobs import TASKS, outstanding
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.background.tasks import RetryLater
from issuer.carriers import Carrier
from issuer.issue import IssueRequest, issue
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.models_access import JobRow
from issuer.revocation_log import FILE_NAME
from tests.issuer.api.conftest import Http
from tests.issuer.api.office import Office, codes, office_of
from tests.service import PERMIT, TODAY, City, rows, running_numbers

JOBS = "/api/v1/jobs"
CSV = {"Content-Type": "text/csv"}
Serve = Callable[..., Http]


@pytest.fixture
def office(serve: Serve, application: Application) -> Office:
    return office_of(serve, application)


def file_of_faults() -> bytes:
    """Rows that are there, 100 new ones, and three faults: a zone, a plate, a number twice."""
    lines = rows("permits_valid.csv", 160).decode().splitlines()
    lines[100] = lines[100].replace(lines[100].split(";")[11], "XX")
    cells = lines[110].split(";")
    cells[14] = "NO PLATE"
    lines[110] = ";".join(cells)
    return "\n".join([*lines, lines[120]]).encode()


def start_import(office: Office, data: bytes, **params: Any) -> dict[str, Any]:
    answer = office.post(f"{JOBS}/imports", content=data, params={"type": PERMIT, **params}, headers=CSV)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{JOBS}/{answer.json()['id']}"
    found: dict[str, Any] = answer.json()
    return found


def run(application: Application, job: dict[str, Any]) -> None:
    TASKS[0].run(application, {"id": job["id"]})


def look(office: Office, job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = office.get(f"{JOBS}/{job['id']}").json()
    return found


def findings(office: Office, job: dict[str, Any], limit: int = 200) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = office.get(f"{JOBS}/{job['id']}/findings", params=params).json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


def register(application: Application) -> dict[str, Any]:
    """What the register says, without what is random for each pass."""
    with application.reading() as session:
        found = session.execute(
            select(PassRow, RevisionRow, HolderRow)
            .join(
                RevisionRow,
                (RevisionRow.tenant == PassRow.tenant)
                & (RevisionRow.type_id == PassRow.type_id)
                & (RevisionRow.number == PassRow.number),
            )
            .join(HolderRow, (HolderRow.tenant == PassRow.tenant) & (HolderRow.ref == PassRow.holder_ref))
            .where(PassRow.tenant == application.tenant)
        )
        return {
            f"{one.type_id}/{one.number}": (
                one.status,
                one.period_first,
                one.period_last,
                sorted(one.record),
                revision.attributes,
                revision.n,
                revision.status_value,
                revision.seal is not None,
                holder.family_name,
                holder.email,
            )
            for one, revision, holder in found
        }


def seals(application: Application) -> dict[str, str | None]:
    with application.reading() as session:
        found = session.execute(
            select(RevisionRow.number, RevisionRow.seal).where(RevisionRow.tenant == application.tenant)
        )
        return dict(found.all())


def issue_by_command(application: Application, data: bytes, folder: Path) -> Any:
    file = folder / "permits.csv"
    file.write_bytes(data)
    request = IssueRequest(PERMIT, file, folder / "out", TODAY, "test", carriers=(Carrier.SEAL,))
    return issue(application.workspace, request)


def test_an_import_is_that_of_the_command_line(
    office: Office, application: Application, neighbour: Application, tmp_path: Path
) -> None:
    data = file_of_faults()
    told = issue_by_command(neighbour, data, tmp_path)
    job = start_import(office, data)
    assert (job["state"], job["total"]) == ("queued", 0)
    run(application, job)
    done = look(office, job)
    assert done["state"] == "done"
    assert (done["accepted"], done["unchanged"], done["refused"]) == (
        told.accepted,
        told.unchanged,
        told.refused,
    )
    assert (told.accepted, told.unchanged, told.refused) == (98, 60, 3)
    assert done["done"] + done["refused"] == done["total"] == 161
    assert register(application) == register(neighbour)
    found = findings(office, job, limit=1)
    assert [(one["row"], one["line"], one["code"]) for one in found] == [
        (one.row, one.line, one.code) for one in told.findings
    ]
    assert found[0]["detail"] == told.findings[0].sentence("de")
    with application.reading() as session:
        stored = session.get(JobRow, (application.tenant, job["id"]))
        assert stored is not None and stored.input is None


def test_a_killed_import_goes_on(
    office: Office, application: Application, neighbour: Application, tmp_path: Path, monkeypatch: Any
) -> None:
    data = file_of_faults()
    told = issue_by_command(neighbour, data, tmp_path)
    job = start_import(office, data)
    monkeypatch.setattr(job_runs, "ROWS_AT_ONCE", 40)
    whole = job_runs.insert_passes
    calls: list[int] = []

    def killed(*args: Any, **more: Any) -> list[str]:
        calls.append(len(args[2]))
        if len(calls) == 2:
            whole(*args, **more)
            raise KeyboardInterrupt
        return whole(*args, **more)

    monkeypatch.setattr(job_runs, "insert_passes", killed)
    with pytest.raises(KeyboardInterrupt):
        run(application, job)
    half = look(office, job)
    assert (half["state"], half["accepted"], half["done"]) == ("running", 40, 100)
    first = seals(application)
    with application.reading() as session:
        assert outstanding(session, application.tenant) == [job["id"]]
    run(application, job)
    done = look(office, job)
    assert (done["state"], done["accepted"], done["unchanged"], done["refused"]) == ("done", 98, 60, 3)
    assert done["done"] + done["refused"] == done["total"]
    assert register(application) == register(neighbour)
    # What the first run has issued was not issued again.
    after = seals(application)
    assert {number: after[number] for number in first} == first
    assert len(findings(office, job)) == len(told.findings)
    # Run a third time, by a worker that has not heard of the end: nothing happens.
    run(application, job)
    assert look(office, job) == done
    assert seals(application) == after


def test_of_two_runs_the_later_one_goes_on(
    office: Office, application: Application, monkeypatch: Any
) -> None:
    job = start_import(office, rows("permits_valid.csv", 160))
    monkeypatch.setattr(job_runs, "ROWS_AT_ONCE", 25)
    whole = job_runs.insert_passes
    calls: list[int] = []

    def slow(*args: Any, **more: Any) -> list[str]:
        calls.append(1)
        return whole(*args, **more)

    begun = job_runs._begun

    def overtaken(*args: Any) -> Any:
        found = begun(*args)
        if not calls:
            calls.append(0)
            run(application, job)
        return found

    monkeypatch.setattr(job_runs, "insert_passes", slow)
    monkeypatch.setattr(job_runs, "_begun", overtaken)
    run(application, job)
    done = look(office, job)
    assert (done["state"], done["accepted"], done["unchanged"], done["total"]) == ("done", 100, 60, 160)
    assert calls.count(1) == 4


def test_a_dry_run_changes_nothing(office: Office, application: Application) -> None:
    before = register(application)
    job = start_import(office, file_of_faults(), dry_run=True)
    run(application, job)
    done = look(office, job)
    assert (done["state"], done["dry_run"], done["accepted"], done["refused"]) == ("done", True, 98, 3)
    assert register(application) == before


def test_a_file_that_cannot_be_read(office: Office, application: Application) -> None:
    for data, code in ((b"\xff\xfe\x00", "ENCODING"), (b"a;b\n1;2\n", "COLUMN_MISSING")):
        job = start_import(office, data)
        run(application, job)
        assert look(office, job)["state"] == "failed"
        assert [one["code"] for one in findings(office, job)] == [code]
    empty = office.post(f"{JOBS}/imports", content=b"", params={"type": PERMIT}, headers=CSV)
    assert (empty.status_code, empty.json()["code"]) == (422, "FILE_MISSING")
    latin = start_import(office, "permit_id\nä\n".encode("cp1252"), encoding="cp1252")
    run(application, latin)
    assert [one["code"] for one in findings(office, latin)] == ["COLUMN_MISSING"]


def test_what_is_refused_at_once(office: Office) -> None:
    bad_type = office.post(f"{JOBS}/imports", content=b"x", params={"type": "dog-tag"}, headers=CSV)
    assert codes(bad_type) == {"type": "TYPE_UNKNOWN"}
    bad = office.post(
        f"{JOBS}/imports", content=b"x", params={"type": PERMIT, "encoding": "ebcdic"}, headers=CSV
    )
    assert codes(bad) == {"encoding": "ENCODING_UNKNOWN"}
    json_type = {"Content-Type": "application/json"}
    other = office.post(f"{JOBS}/imports", content=b"{}", params={"type": PERMIT}, headers=json_type)
    assert other.status_code == 415
    many = {"kind": "revoke", "type": PERMIT, "numbers": ["x"] * 10_001, "reason": "x"}
    assert office.post(JOBS, json=many).status_code == 422
    assert office.post(JOBS, json=many | {"numbers": []}).status_code == 422
    assert office.post(JOBS, json=many | {"numbers": ["x"], "kind": "import"}).status_code == 422


def test_only_so_many_jobs_wait(office: Office) -> None:
    for _ in range(20):
        start_import(office, b"x")
    answer = office.post(f"{JOBS}/imports", content=b"x", params={"type": PERMIT}, headers=CSV)
    assert (answer.status_code, answer.json()["code"]) == (429, "JOBS_TOO_MANY")


def start_step(office: Office, kind: str, numbers: list[str]) -> dict[str, Any]:
    answer = office.post(
        JOBS, json={"kind": kind, "type": PERMIT, "numbers": numbers, "reason": "Fee charged back"}
    )
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def statuses(application: Application, numbers: list[str]) -> set[str]:
    with application.reading() as session:
        return set(
            session.scalars(
                select(PassRow.status).where(
                    PassRow.tenant == application.tenant,
                    PassRow.type_id == PERMIT,
                    PassRow.number.in_(numbers),
                )
            )
        )


def test_steps_for_many(office: Office, application: Application, neighbour: Application) -> None:
    numbers = running_numbers(application)
    for kind, status in (("suspend", "suspended"), ("resume", "active"), ("reissue", "active")):
        job = start_step(office, kind, numbers)
        run(application, job)
        done = look(office, job)
        assert (done["state"], done["done"], done["refused"]) == ("done", len(numbers), 0)
        assert statuses(application, numbers) == {status}
    assert statuses(neighbour, numbers) == {"active"}
    job = start_step(office, "suspend", [numbers[0], "nothing", numbers[0]])
    run(application, job)
    assert (look(office, job)["done"], look(office, job)["refused"]) == (1, 2)
    assert [(one["row"], one["field"], one["code"]) for one in findings(office, job)] == [
        (2, "nothing", "NUMBER_UNKNOWN"),
        (3, numbers[0], "PASS_SUSPENDED"),
    ]


def test_a_killed_revocation_goes_on_at_its_place(
    office: Office, application: Application, neighbour: Application, monkeypatch: Any
) -> None:
    numbers = running_numbers(application)
    job = start_step(office, "revoke", numbers)
    monkeypatch.setattr(job_runs, "NUMBERS_AT_ONCE", 5)
    whole = job_runs._take_chunk
    calls: list[int] = []

    def killed(*args: Any) -> None:
        calls.append(1)
        whole(*args)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(job_runs, "_take_chunk", killed)
    with pytest.raises(KeyboardInterrupt):
        run(application, job)
    assert look(office, job)["done"] == 5
    run(application, job)
    done = look(office, job)
    assert (done["state"], done["done"], done["refused"]) == ("done", len(numbers), 0)
    assert statuses(application, numbers) == {"revoked"}
    assert statuses(neighbour, numbers) == {"active"}
    logged = [
        json.loads(line)["pass"]
        for line in (application.workspace.folder / FILE_NAME).read_text().splitlines()
    ]
    assert {f"{PERMIT}/{number}" for number in numbers} <= set(logged)


def test_a_cancelled_job_stops(office: Office, application: Application, monkeypatch: Any) -> None:
    numbers = running_numbers(application)
    job = start_step(office, "suspend", numbers)
    monkeypatch.setattr(job_runs, "NUMBERS_AT_ONCE", 5)
    step = job_runs._take_step
    taken: list[str] = []

    def noted(*args: Any) -> None:
        step(*args)
        taken.append(args[4])

    monkeypatch.setattr(job_runs, "_take_step", noted)
    chunk = job_runs._take_chunk

    def last(*args: Any) -> None:
        chunk(*args)
        if len(taken) == 10:
            job_runs.end(args[2], job_runs.CANCELLED, application)

    monkeypatch.setattr(job_runs, "_take_chunk", last)
    run(application, job)
    assert taken == numbers[:10]
    assert look(office, job)["state"] == "cancelled"
    waiting = start_step(office, "suspend", numbers)
    cancelled = office.post(f"{JOBS}/{waiting['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    run(application, waiting)
    assert look(office, waiting)["done"] == 0
    again = office.post(f"{JOBS}/{waiting['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "JOB_ENDED")


def test_without_a_key_it_waits_for_the_operator(
    office: Office, application: Application, city: City
) -> None:
    job = start_step(office, "reissue", running_numbers(application))
    # Long after the end of every key.
    city.clock.forward(days=366 * 30)
    with pytest.raises(RetryLater):
        run(application, job)
    assert look_at_state(application, job) == "running"
    task = TASKS[0]
    assert task.give_up is not None
    task.give_up(application, {"id": job["id"]})
    assert look_at_state(application, job) == "failed"


def look_at_state(application: Application, job: dict[str, Any]) -> str:
    with application.reading() as session:
        found = session.get(JobRow, (application.tenant, job["id"]))
    assert found is not None
    return found.state


def test_scopes_and_cities(
    office: Office, serve: Serve, application: Application, neighbour: Application
) -> None:
    jobs_only = office_of(serve, application, Scope.JOBS_WRITE)
    step = {"kind": "revoke", "type": PERMIT, "numbers": ["x"], "reason": "x"}
    for body in (step, step | {"kind": "reissue"}):
        assert jobs_only.post(JOBS, json=body).json()["code"] == "SCOPE_MISSING"
    assert (
        jobs_only.post(f"{JOBS}/imports", content=b"x", params={"type": PERMIT}, headers=CSV).status_code
        == 403
    )
    dry = jobs_only.post(
        f"{JOBS}/imports", content=b"x", params={"type": PERMIT, "dry_run": "true"}, headers=CSV
    )
    assert dry.status_code == 202
    job = start_step(office, "suspend", running_numbers(application))
    there = office_of(serve, neighbour)
    for answer in (
        there.get(f"{JOBS}/{job['id']}"),
        there.get(f"{JOBS}/{job['id']}/findings"),
        there.post(f"{JOBS}/{job['id']}/cancel"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "JOB_UNKNOWN")
    run(neighbour, job)
    assert look(office, job)["state"] == "queued"
    assert there.get(JOBS).json()["items"] == []
    assert [one["id"] for one in office.get(JOBS, params={"limit": 1}).json()["items"]] != []
    listed = office.get(JOBS).json()["items"]
    assert {one["id"] for one in listed} == {job["id"], dry.json()["id"]}
