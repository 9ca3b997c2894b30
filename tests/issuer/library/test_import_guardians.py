"""Guardians whose rows stand in another piece of a large file, and are refused there."""

from __future__ import annotations

import csv
import hashlib
import io

import pytest

from issuer.application import Application
from issuer.importing import file_check, run_findings, run_work, runs
from issuer.importing.runs import Upload
from issuer.models_library import MemberRow
from tests.issuer.publication.test_app_devices import ON_ONE_DATABASE
from tests.service import CARD


def row(number: str, card: str, **cells: str) -> dict[str, str]:
    return {
        "member_id": number, "card_number": card, "family_name": "Muster", "given_name": "Kim",
        "birth_date": "1980-05-05", "category": "adult", "guardian_member_id": "", "guardian_consent": "",
        "valid_from": "2026-01-01", "valid_to": "2026-12-31", "fee_cents": "2000", "status": "active",
        "open_fees_cents": "0", **cells,
    }  # fmt: skip


def imported(application: Application, rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    data, run_id = text.getvalue().encode(), runs.new_id()
    runs.file_of(application, run_id).write_bytes(data)
    with application.writing() as session:
        came = Upload(run_id, CARD, "members.csv", "utf-8", len(data), hashlib.sha256(data).hexdigest())
        runs.begin(session, application, came, actor="test")
    run_work.run_task(application, {"id": run_id})
    with application.writing() as session:
        runs.confirm(session, application, run_id, actor="test")
    run_work.run_task(application, {"id": run_id})
    return run_id


@ON_ONE_DATABASE
def test_a_guardian_refused_in_another_piece_is_left_out(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_work, "let_others_write", lambda: None)
    monkeypatch.setattr(file_check, "ROWS_AT_ONCE", 2)
    child = {"birth_date": "2015-05-05", "category": "child", "guardian_consent": "yes", "fee_cents": "0"}
    wrong = {"valid_to": "2025-01-01"}
    run_id = imported(
        application,
        [
            row("X1", "990001", **wrong),
            row("X2", "990002"),
            row("K1", "990003", **child, guardian_member_id="X1"),
            row("K2", "990004", **child, guardian_member_id="X2"),
            row("K3", "990005", **child, guardian_member_id="X3"),
            row("K4", "990006", **child, guardian_member_id="M500001"),
            row("X3", "990007", **wrong),
        ],
    )
    with application.reading() as session:
        kept = {
            number: session.get_one(MemberRow, (application.tenant, CARD, number)).guardian_number
            for number in ("K1", "K2", "K3", "K4")
        }
        problems = run_findings.problems(session, application.tenant, run_id, "de", most=100)
    assert kept == {"K1": None, "K2": "X2", "K3": None, "K4": "M500001"}
    told = [(one.row, one.severity.value) for one in problems if one.code == "GUARDIAN_LEFT_OUT"]
    assert told == [(3, "warn"), (5, "warn")]
