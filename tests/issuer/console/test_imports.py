"""Imports in the console: upload, check, confirm, cancel, undo; by HTTP, with the task run by hand."""

from __future__ import annotations

import csv
import io
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import func, select

from issuer import audit, lifecycle
from issuer.application import Application
from issuer.carriers import Carrier
from issuer.importing import file_check, run_work, runs
from issuer.importing.run_work import give_up, run_expiry, run_task
from issuer.issue import IssueRequest, issue
from issuer.lifecycle import Actor
from issuer.models import AuditEntryRow, HolderRow, PassRow, RevisionRow, WithdrawnPlaceRow
from issuer.models_imports import ImportFindingRow, ImportHolderRow, ImportPassRow, ImportRunRow
from issuer.nightly import retention
from issuer.nightly.reports import Report
from issuer.pickup.links import create_link
from issuer.revocation_log import FILE_NAME
from issuer.staff.permissions import Role
from passes.periods import berlin_day
from passes.status_list import Status
from tests.issuer.console.people import Colleague, form_token, settle
from tests.issuer.register_samples import SAMPLES, sample_rows
from tests.service import CARD, PERMIT, City, rows

SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
LIST = "/office/imports"


@pytest.fixture
def chief(city: City, application: Application, monkeypatch: pytest.MonkeyPatch) -> Colleague:
    monkeypatch.setattr(run_work, "let_others_write", lambda: None)
    return settle(application, city.clock, "leitung", Role.SUPERVISOR)


def upload(
    one: Colleague, data: bytes, type_id: str = PERMIT, encoding: str = "utf-8", name: str = "register.csv"
) -> Response:
    token = form_token(one.client.get(f"{LIST}/new"))
    return one.client.post(
        f"{LIST}/upload",
        data={"form_token": token, "type": type_id, "encoding": encoding},
        files={"file": (name, data, "text/csv")},
    )


def checked(one: Colleague, data: bytes, type_id: str = PERMIT, encoding: str = "utf-8") -> str:
    """Upload and check; returns the page's path."""
    answer = upload(one, data, type_id, encoding)
    assert answer.status_code == 303, answer.text
    path = str(answer.headers["location"]).partition("?")[0]
    work(one, path)
    return path


def work(one: Colleague, path: str) -> None:
    run_task(one.application, {"id": path.rpartition("/")[2]})


def step(one: Colleague, path: str, name: str, **fields: str) -> Response:
    return one.send(f"{path}/{name}", page=path, **fields)


def taken_in(one: Colleague, data: bytes, type_id: str = PERMIT) -> str:
    path = checked(one, data, type_id)
    assert step(one, path, "confirm").status_code == 303
    work(one, path)
    return path


def run_of(one: Colleague, path: str) -> ImportRunRow:
    with one.application.reading() as session:
        return runs.find(session, one.application, path.rpartition("/")[2])


def problems(one: Colleague, path: str, **query: str) -> list[dict[str, str]]:
    answer = one.client.get(f"{path}/problems.csv", params=query)
    assert answer.status_code == 200, answer.text
    text = answer.content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter=";"))


def count(one: Colleague, table: Any) -> int:
    with one.application.reading() as session:
        query = select(func.count()).select_from(table).where(table.tenant == one.application.tenant)
        return session.scalar(query) or 0


def fresh_rows(count_: int) -> bytes:
    """``count_`` permits that the demo city does not have."""
    lines = rows("permits_valid.csv", 60 + count_).splitlines(keepends=True)
    return b"".join([lines[0], *lines[61:]])


def register(application: Application) -> list[Any]:
    """All that the register says of passes and holders, but for what is random."""
    with application.reading() as session:
        found = session.execute(
            select(
                PassRow.type_id,
                PassRow.number,
                PassRow.status,
                PassRow.period_last,
                HolderRow.ref,
                HolderRow.family_name,
                HolderRow.street,
                RevisionRow.n,
                RevisionRow.attributes,
                RevisionRow.status_value,
            )
            .join(
                RevisionRow,
                (RevisionRow.tenant == PassRow.tenant)
                & (RevisionRow.type_id == PassRow.type_id)
                & (RevisionRow.number == PassRow.number),
            )
            .join(HolderRow, (HolderRow.tenant == PassRow.tenant) & (HolderRow.ref == PassRow.holder_ref))
            .where(PassRow.tenant == application.tenant)
            .order_by(PassRow.type_id, PassRow.number, RevisionRow.n)
        )
        return [tuple(one) for one in found]


def test_a_register_is_checked_confirmed_and_taken_in_once(city: City, chief: Colleague) -> None:
    application, data = chief.application, fresh_rows(30)
    before = register(application)
    path = checked(chief, data)
    assert register(application) == before
    file = runs.file_of(application, path.rpartition("/")[2])
    assert file.read_bytes() == data
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    page = chief.client.get(path)
    assert "Neue Zeilen übernehmen: 30" in page.text
    assert "nichts beanstandet" in page.text
    clerk = settle(application, city.clock, "sachbearbeitung", Role.CLERK)
    assert "30" in clerk.client.get(path).text
    assert "<button" not in clerk.client.get(path).text.split("<main")[1]
    assert chief.client.get("/office").text.count("Importe warten") == 1
    assert step(chief, path, "confirm").status_code == 303
    assert step(chief, path, "confirm").status_code == 409
    assert 'data-hx-trigger="every 2s"' in chief.client.get(path).text
    work(chief, path)
    run = run_of(chief, path)
    assert (run.state, run.made, run.total, run.done) == ("imported", 30, 30, 30)
    assert len(register(application)) == len(before) + 30
    assert not file.exists()
    assert list(file.parent.iterdir()) == []
    # The work twice, and the same file twice, change nothing.
    after = register(application)
    work(chief, path)
    again = checked(chief, data)
    page = chief.client.get(again)
    assert "nichts Neues" in page.text
    assert "Diese Datei kennen wir" in page.text
    assert "Neue Zeilen übernehmen" not in page.text
    assert step(chief, again, "confirm").status_code == 409
    assert step(chief, again, "cancel").status_code == 303
    assert register(application) == after
    with application.reading() as session:
        actions = session.scalars(
            select(AuditEntryRow.action)
            .where(AuditEntryRow.subject == f"import/{run.id}")
            .order_by(AuditEntryRow.sequence)
        ).all()
        assert actions == ["import-upload", "import-confirm", "import-end"]
        entered = session.scalars(select(AuditEntryRow.actor).where(AuditEntryRow.action == "import")).all()
        assert entered.count(f"staff:{chief.account_id}") == 30
        assert audit.verify(session, application.tenant).fault is None
    listed = chief.client.get(LIST).text
    assert "Zeilen: 30. Neu 30" in listed
    assert "Rückgängig bis 21.11.2026" in listed


@SQLITE
def test_every_bad_row_has_its_code_in_the_table(chief: Colleague) -> None:
    for name, type_id in (("permits_bad.csv", PERMIT), ("library_bad.csv", CARD)):
        valid = (SAMPLES / name.replace("bad", "valid")).read_bytes()
        taken_in(chief, valid, type_id)
        path = checked(chief, (SAMPLES / name).read_bytes(), type_id)
        expected = [one for one in sample_rows("expected.csv") if one["file"] == name and one["code"]]
        found = problems(chief, path)
        assert [(one["row"], one["field"], one["code"]) for one in found] == [
            (one["data_row"], one["field"], one["code"]) for one in expected
        ]
        assert all(one["sentence"] for one in found)
        page = chief.client.get(path).text
        for one in expected:
            assert f"<code>{one['code']}</code>" in page
        run = run_of(chief, path)
        assert run.fresh + run.same + run.differing + run.refused == run.total
        assert run.differing == sum(one["code"] == "DUPLICATE_ID" for one in expected)
        step(chief, path, "cancel")


@SQLITE
def test_every_bad_file_has_its_code_in_the_table(chief: Colleague) -> None:
    for case in sample_rows("expected.csv"):
        if not case["file"].startswith("files/"):
            continue
        answer = upload(chief, (SAMPLES / case["file"]).read_bytes())
        assert answer.status_code == 303, case
        path = str(answer.headers["location"]).partition("?")[0]
        work(chief, path)
        run, found = run_of(chief, path), problems(chief, path)
        if case["outcome"] == "reject_file":
            assert (run.state, [one["code"] for one in found]) == ("refused", [case["code"]]), case
            assert not runs.file_of(chief.application, run.id).exists()
            assert f"<code>{case['code']}</code>" in chief.client.get(path).text
            assert step(chief, path, "confirm").status_code == 409
        else:
            assert run.state == "checked", case
            codes = [case["code"]] if case["outcome"] == "reject_row" else []
            assert [one["code"] for one in found] == codes, case
            step(chief, path, "cancel")


@SQLITE
def test_a_fault_late_in_the_file_refuses_all_of_it(
    chief: Colleague, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_check, "ROWS_AT_ONCE", 5)
    path = checked(chief, rows("permits_valid.csv", 80) + b'"open;1\n')
    run = run_of(chief, path)
    assert (run.state, run.total, run.fresh, run.same) == ("refused", 0, 0, 0)
    assert [one["code"] for one in problems(chief, path)] == ["QUOTES"]


@SQLITE
def test_problems_in_pages_by_code_and_safe_in_a_spreadsheet(chief: Colleague) -> None:
    lines = fresh_rows(120).decode().splitlines()
    head = lines[0].split(";")
    broken = []
    for place, line in enumerate(lines[1:]):
        cells = line.split(";")
        cells[head.index("zone_code")] = "=1+1" if place % 2 else "XX"
        broken.append(";".join(cells))
    head[head.index("language")] = "=HYPERLINK(1)"
    path = checked(chief, "\n".join([";".join(head), *broken]).encode())
    found = problems(chief, path)
    assert len(found) >= 120
    assert found[0]["code"] == "UNKNOWN_COLUMN"
    assert found[0]["field"] == "'=HYPERLINK(1)"
    assert not [one for one in found for cell in one.values() if cell.startswith(("=", "+", "-", "@"))]
    some = problems(chief, path, code="ZONE_UNKNOWN")
    assert {one["code"] for one in some} == {"ZONE_UNKNOWN"}
    assert some[0]["suggestion"].count(",") > 3
    first = chief.client.get(path).text
    last = chief.client.get(path, params={"page": "3"}).text
    assert first.count("<tr") == 51
    assert "Seite 1 von 3" in first
    assert last.count("<tr") == len(found) - 100 + 1
    one = chief.client.get(path, params={"code": "UNKNOWN_COLUMN"}).text
    assert one.count("<tr") == 2
    for wrong in ("<script>", "NO_SUCH", "x" * 100):
        assert chief.client.get(path, params={"code": wrong, "page": wrong}).status_code == 200


@SQLITE
def test_what_is_no_file_of_a_register_is_refused_at_once(
    city: City, chief: Colleague, monkeypatch: pytest.MonkeyPatch
) -> None:
    for data, name in ((b"PK\x03\x04" + b"x" * 900, "a.csv"), (b"\xd0\xcf\x11\xe0" + b"x" * 900, "b.csv")):
        answer = upload(chief, data, name=name)
        assert answer.status_code == 422
        assert "keine CSV-Datei" in answer.text
    assert "Wählen Sie eine Datei" in upload(chief, b"", name="").text
    assert "Wählen Sie die Art" in upload(chief, fresh_rows(1), type_id="nothing").text
    assert "Zeichenkodierung aus der Liste" in upload(chief, fresh_rows(1), encoding="utf-7").text
    token = form_token(chief.client.get(f"{LIST}/new"))
    fields = {"type": PERMIT, "encoding": "utf-8"}
    files = {"file": ("a.csv", fresh_rows(1), "text/csv")}
    for wrong in ({}, {"form_token": "0" * 32}):
        answer = chief.client.post(f"{LIST}/upload", data=fields | wrong, files=files)
        assert answer.status_code == 403
    boundary = "x" * 20
    head = {"content-type": f"multipart/form-data; boundary={boundary}"}
    cut = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="form_token"\r\n\r\n{token}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="type"\r\n\r\n{PERMIT}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na;b\n1;'
    )
    answer = chief.client.post(f"{LIST}/upload", content=cut.encode(), headers=head)
    assert answer.status_code == 422
    assert "nicht vollständig" in answer.text
    monkeypatch.setattr("issuer.console.import_upload.LARGEST_FILE", 1000)
    answer = upload(chief, fresh_rows(20))
    assert answer.status_code == 422
    assert "zu groß" in answer.text
    assert list(runs.folder_of(chief.application).iterdir()) == []
    assert count(chief, ImportRunRow) == 0
    # Everywhere else a form stays small.
    assert chief.client.post(f"{LIST}/x/confirm", content=b"x" * 17_000).status_code == 413
    auditor = settle(chief.application, city.clock, "pruefung", Role.AUDITOR)
    assert auditor.client.get(LIST).status_code == 403


def test_one_import_works_at_a_time(chief: Colleague, neighbour: Application) -> None:
    first = str(upload(chief, fresh_rows(3)).headers["location"]).partition("?")[0]
    answer = upload(chief, fresh_rows(4))
    assert answer.status_code == 409
    assert "anderer Import" in answer.text
    work(chief, first)
    second = checked(chief, fresh_rows(4))
    assert step(chief, first, "confirm").status_code == 303
    answer = step(chief, second, "confirm")
    assert answer.status_code == 409
    assert "anderer Import" in answer.text
    work(chief, first)
    assert step(chief, second, "confirm").status_code == 303
    work(chief, second)
    run = run_of(chief, second)
    # The first three are there by now: what was new when it was checked is not any more.
    assert (run.state, run.made) == ("imported", 1)
    with neighbour.reading() as session:
        assert session.scalar(select(func.count()).where(ImportRunRow.tenant == neighbour.tenant)) == 0


@SQLITE
def test_cancelled_between_pieces_it_leaves_what_it_has_made(
    chief: Colleague, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_check, "ROWS_AT_ONCE", 10)
    application = chief.application
    path = checked(chief, fresh_rows(30))
    step(chief, path, "confirm")
    pieces = []

    def cancel_after_the_second() -> None:
        pieces.append(1)
        if len(pieces) == 2:
            assert "20 von 30" in chief.client.get(path).text
            answer = step(chief, path, "cancel")
            assert answer.status_code == 303, answer.text

    monkeypatch.setattr(run_work, "let_others_write", cancel_after_the_second)
    work(chief, path)
    run = run_of(chief, path)
    assert (run.state, run.made) == ("cancelled", 20)
    assert count(chief, ImportPassRow) == 20
    assert list(runs.folder_of(application).iterdir()) == []
    assert step(chief, path, "undo").status_code == 303
    monkeypatch.setattr(run_work, "let_others_write", lambda: None)
    work(chief, path)
    assert run_of(chief, path).removed == 20


def test_undoing_leaves_the_register_as_it_was(city: City, chief: Colleague) -> None:
    """Also what the import has written over; and every seal that was made is invalid for good."""
    application = chief.application
    lines = fresh_rows(20).decode().splitlines()
    head = lines[0].split(";")
    with application.reading() as session:
        known = session.scalars(
            select(HolderRow.ref).where(HolderRow.tenant == application.tenant, HolderRow.street != "")
        ).first()
    cells = lines[1].split(";")
    cells[head.index("holder_ref")] = known or ""
    data = "\n".join([lines[0], ";".join(cells), *lines[2:]]).encode()
    before = register(application)
    path = taken_in(chief, data)
    assert register(application) != before
    assert count(chief, ImportHolderRow) == 1
    with application.reading() as session:
        made = {
            (one.list_number, one.list_index)
            for one in session.scalars(
                select(RevisionRow)
                .join(
                    ImportPassRow,
                    (ImportPassRow.tenant == RevisionRow.tenant)
                    & (ImportPassRow.type_id == RevisionRow.type_id)
                    & (ImportPassRow.number == RevisionRow.number),
                )
                .where(RevisionRow.tenant == application.tenant, RevisionRow.list_number.is_not(None))
            )
        }
    page = chief.client.get(f"{path}/undo")
    assert "die entfernt werden: 20." in page.text
    assert "Schon in Gebrauch" not in page.text
    assert step(chief, path, "undo").status_code == 303
    work(chief, path)
    run = run_of(chief, path)
    assert (run.state, run.removed, run.kept, run.revoked) == ("undone", 20, 0, 0)
    assert register(application) == before
    with application.reading() as session:
        withdrawn = session.scalars(
            select(WithdrawnPlaceRow).where(WithdrawnPlaceRow.tenant == application.tenant)
        ).all()
        assert {(one.list_number, one.list_index) for one in withdrawn} == made
        assert {one.status_value for one in withdrawn} == {int(Status.INVALID)}
        assert audit.verify(session, application.tenant).fault is None
        # Statements go by the last day of what is gone.
        gone = session.scalars(
            select(AuditEntryRow.before).where(
                AuditEntryRow.tenant == application.tenant,
                AuditEntryRow.action == "import-undone",
                AuditEntryRow.before != "null",
            )
        ).all()
        assert len(gone) == 20
        assert all('"valid_to":"' in one for one in gone)
    log = (application.workspace.folder / FILE_NAME).read_text()
    assert log.count('"seal": ') == len(made)
    assert step(chief, path, "undo").status_code == 409
    # The corrected file can be taken in under the same numbers, with seals at other places.
    again = taken_in(chief, fresh_rows(20))
    assert run_of(chief, again).made == 20
    with application.reading() as session:
        places = session.execute(
            select(RevisionRow.list_number, RevisionRow.list_index).where(
                RevisionRow.tenant == application.tenant
            )
        )
        assert made.isdisjoint({(number, index) for number, index in places})
        assert runs.can_be_undone(application, run_of(chief, again))
    city.clock.forward(hours=24, seconds=1)
    chief.log_in()
    assert step(chief, again, "undo").status_code == 409
    assert chief.client.get(f"{again}/undo").status_code == 409


@pytest.mark.parametrize(
    ("city", "choice"), [("sqlite", "keep"), ("postgresql", "revoke")], indirect=["city"]
)
def test_what_is_in_use_stays_or_is_revoked(chief: Colleague, choice: str) -> None:
    application = chief.application
    path = taken_in(chief, fresh_rows(12))
    with application.reading() as session:
        numbers = session.scalars(
            select(ImportPassRow.number)
            .join(
                PassRow,
                (PassRow.tenant == ImportPassRow.tenant)
                & (PassRow.type_id == ImportPassRow.type_id)
                & (PassRow.number == ImportPassRow.number),
            )
            .where(PassRow.tenant == application.tenant, PassRow.status == "active")
            .order_by(ImportPassRow.row)
        ).all()
    suspended, written, free = numbers[:3]
    with application.writing() as session:
        actor = Actor("test", application.now(), "Test")
        lifecycle.suspend(session, application.tenant, PERMIT, suspended, actor=actor)
        create_link(session, application, PERMIT, written, "mail")
    page = chief.client.get(f"{path}/undo")
    assert "Schon in Gebrauch: 2" in page.text
    assert suspended in page.text
    assert free not in page.text
    assert step(chief, path, "undo", touched=choice).status_code == 303
    work(chief, path)
    run = run_of(chief, path)
    expected = (10, 2, 0) if choice == "keep" else (10, 0, 2)
    assert (run.removed, run.kept, run.revoked) == expected
    with application.reading() as session:
        left = {
            number: session.get(PassRow, (application.tenant, PERMIT, number))
            for number in (suspended, written, free)
        }
    assert left[free] is None
    statuses = [one.status if one is not None else None for one in (left[suspended], left[written])]
    assert statuses == (["suspended", "active"] if choice == "keep" else ["revoked", "revoked"])
    # A number that was handed out is never another pass's: the row of the file meets the pass that has it.
    again = checked(chief, fresh_rows(12))
    assert run_of(chief, again).fresh == 10


@SQLITE
def test_nobody_confirms_and_the_file_is_gone(city: City, chief: Colleague) -> None:
    application = chief.application
    path = checked(chief, fresh_rows(2))
    run_id = path.rpartition("/")[2]
    file = runs.file_of(application, run_id)
    city.clock.forward(hours=24, seconds=1)
    chief.log_in()
    answer = step(chief, path, "confirm")
    assert answer.status_code == 409
    assert "24 Stunden" in answer.text
    run_expiry(application, {"id": run_id})
    assert run_of(chief, path).state == "expired"
    assert not file.exists()
    assert "Nicht bestätigt" in chief.client.get(LIST).text


@SQLITE
def test_what_is_kept_of_imports_goes_by_its_time(city: City, chief: Colleague) -> None:
    application = chief.application
    data = fresh_rows(3) + fresh_rows(1).splitlines()[1] + b"\n"
    path = taken_in(chief, data)
    orphan = runs.file_of(application, "orphan")
    orphan.write_bytes(b"x")
    os.utime(orphan, (0, 0))

    def night() -> None:
        report = Report(application, berlin_day(application.now()), retention.NAME)
        report.begin()
        retention.run(application, report)

    night()
    assert not orphan.exists()
    assert [count(chief, table) for table in (ImportPassRow, ImportFindingRow)] == [3, 1]
    city.clock.forward(days=2)
    night()
    assert [count(chief, table) for table in (ImportPassRow, ImportFindingRow)] == [0, 1]
    city.clock.forward(days=31)
    night()
    assert [count(chief, table) for table in (ImportRunRow, ImportFindingRow)] == [1, 0]
    city.clock.forward(days=400)
    night()
    assert count(chief, ImportRunRow) == 0
    assert path


@SQLITE
def test_progress_comes_alone_and_then_the_whole_page(chief: Colleague) -> None:
    path = str(upload(chief, fresh_rows(3)).headers["location"]).partition("?")[0]
    part = chief.client.get(path, headers={"hx-request": "true"})
    assert "<html" not in part.text
    assert re.search(r'<progress[^>]* max="100" value="\d+"', part.text)
    assert "hx-refresh" not in part.headers
    work(chief, path)
    part = chief.client.get(path, headers={"hx-request": "true"})
    assert part.headers["hx-refresh"] == "true"
    assert chief.client.get(f"{LIST}/no-such-import").status_code == 404
    assert chief.client.get(f"{LIST}/no-such-import/problems.csv").status_code == 404


@SQLITE
def test_two_workers_with_one_import_enter_each_row_once(
    chief: Colleague, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them only seemed to be dead: the one that came later goes on, the other one stops."""
    monkeypatch.setattr(file_check, "ROWS_AT_ONCE", 10)
    path = checked(chief, fresh_rows(30))
    step(chief, path, "confirm")
    pieces = []

    def another_comes() -> None:
        pieces.append(1)
        if len(pieces) == 1:
            work(chief, path)

    monkeypatch.setattr(run_work, "let_others_write", another_comes)
    work(chief, path)
    run = run_of(chief, path)
    assert (run.state, run.made, run.done) == ("imported", 30, 30)
    assert count(chief, ImportPassRow) == 30
    assert list(runs.folder_of(chief.application).iterdir()) == []


@SQLITE
def test_what_others_enter_in_between_is_seen(
    chief: Colleague, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    application, data = chief.application, fresh_rows(12)
    path = checked(chief, data)
    step(chief, path, "confirm")
    lines = data.decode().splitlines()
    cells = lines[5].split(";")
    cells[lines[0].split(";").index("family_name")] = "Anderswie"
    others = tmp_path / "others.csv"
    others.write_text("\n".join([lines[0], lines[2], ";".join(cells)]))
    enter = run_work._enter_piece

    def others_come_first(*arguments: Any) -> bool:
        monkeypatch.setattr(run_work, "_enter_piece", enter)
        at = application.now()
        request = IssueRequest(PERMIT, others, tmp_path / "out", at, "test", carriers=(Carrier.SEAL,))
        assert issue(application.workspace, request).accepted == 2
        return enter(*arguments)

    monkeypatch.setattr(run_work, "_enter_piece", others_come_first)
    work(chief, path)
    run = run_of(chief, path)
    assert (run.state, run.made, run.done) == ("imported", 10, 12)
    assert [(one["row"], one["code"]) for one in problems(chief, path)] == [("5", "DUPLICATE_ID")]


@SQLITE
def test_without_its_file_or_after_a_day_of_trouble_an_import_ends(chief: Colleague) -> None:
    application = chief.application
    path = checked(chief, fresh_rows(3))
    run_id = path.rpartition("/")[2]
    step(chief, path, "confirm")
    runs.file_of(application, run_id).unlink()
    work(chief, path)
    assert run_of(chief, path).state == "failed"
    assert [one["code"] for one in problems(chief, path)] == ["IMPORT_FILE_GONE"]
    path = str(upload(chief, fresh_rows(3)).headers["location"]).partition("?")[0]
    give_up(application, {"id": path.rpartition("/")[2]})
    assert run_of(chief, path).state == "failed"
    assert [one["code"] for one in problems(chief, path)] == ["IMPORT_GIVEN_UP"]
    assert list(runs.folder_of(application).iterdir()) == []
    assert step(chief, path, "undo").status_code == 409
