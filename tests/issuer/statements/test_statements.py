"""Statements about a plate: what they say of a moment, and that nothing but what was signed passes for one."""

from __future__ import annotations

import hashlib
import json
import subprocess
from base64 import urlsafe_b64decode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jws as other_library
from joserfc.jwk import ECKey
from sqlalchemy import func, select, update

from issuer import audit, keyring
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.audit import AuditEvent, Facts
from issuer.cli import main
from issuer.errors import IssuerRefusal
from issuer.lifecycle import Actor
from issuer.models import AuditEntryRow, HolderRow, PassRow, RevisionRow
from issuer.nightly import retention
from issuer.nightly.reports import Report
from issuer.publication import publish_due
from issuer.renewal import Renewal, renew
from issuer.staff.permissions import Role
from issuer.statements import pdf
from issuer.statements.answer import Made, state
from issuer.statements.check import check
from issuer.statements.document import Question, read
from issuer.statements.question import read_moment, read_question
from keys import lifecycle as key_life
from keys.bundle import root_from_pem
from keys.lifecycle import Purpose
from passes.periods import BERLIN
from passes.plates import Plate
from tests.issuer.api.conftest import bearer, new_client
from tests.issuer.api.test_checks import change, permit, plate_of, step, zone_of
from tests.issuer.console.people import form_token, settle
from tests.service import PERMIT, TODAY, City

SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
OTHER = Plate.parse("D-ZZ 9999")


def ask(application: Application, plate: Plate, at: datetime, zone: str | None = None) -> Made:
    return state(application, plate, Question(plate.canonical, zone, at), "test")


def says(application: Application, plate: Plate, at: datetime, zone: str | None = None) -> tuple[str, str]:
    found = ask(application, plate, at, zone).statement
    return found.answer, found.reason


def published(application: Application, folder: Path) -> Path:
    """The folder that whoever checks a statement has."""
    folder.mkdir(exist_ok=True)
    assert main(
        ["publish", "--data", str(application.workspace.folder), "--out", str(folder),
         "--at", application.now().isoformat()]
    ) == 0  # fmt: skip
    return folder


def test_a_changed_plate_at_the_moment_of_its_change(city: City, application: Application) -> None:
    content = permit(application)
    plate, zone = plate_of(content), zone_of(content)
    city.clock.forward(hours=1)
    changed_at = city.clock()
    change(application, content, OTHER)
    city.clock.forward(days=1)
    just_before = changed_at - timedelta(microseconds=1)
    assert says(application, plate, just_before, zone) == ("permit", "VALID")
    assert says(application, plate, changed_at, zone) == ("no-permit", "NOT_LISTED")
    assert says(application, OTHER, just_before) == ("no-permit", "NOT_LISTED")
    assert says(application, OTHER, changed_at) == ("permit", "VALID")
    [before] = ask(application, plate, just_before).statement.permits
    [after] = ask(application, OTHER, changed_at).statement.permits
    assert (before.binding, before.binding_until, after.binding, after.binding_until) == (
        1,
        changed_at.astimezone(UTC),
        2,
        None,
    )
    assert before.number == after.number == content.number
    assert before.status_list != after.status_list
    assert [one.action for one in after.steps] == ["import", "change"]


def test_revoked_and_taken_back(city: City, application: Application) -> None:
    content = permit(application)
    plate = plate_of(content)
    before = city.clock()
    city.clock.forward(hours=1)
    revoked_at = city.clock()
    step(application, "revoke", content)
    city.clock.forward(hours=1)
    # Whichever step takes a revocation back: what it says of the status is what counts.
    with application.writing() as session:
        session.execute(
            update(PassRow)
            .where(PassRow.tenant == application.tenant, PassRow.number == content.number)
            .values(status="active")
        )
        event = AuditEvent(
            "undo",
            f"{content.type_id}/{content.number}",
            {"status": "revoked"},
            {"status": "active"},
            "Irrtum",
        )
        audit.append(session, application.tenant, [event], city.clock(), "t")
    undone_at = city.clock()
    city.clock.forward(hours=1)
    assert says(application, plate, before) == ("permit", "VALID")
    assert says(application, plate, revoked_at) == ("no-permit", "REVOKED")
    assert says(application, plate, undone_at - timedelta(seconds=1)) == ("no-permit", "REVOKED")
    assert says(application, plate, undone_at) == ("permit", "VALID")
    made = ask(application, plate, before)
    [found] = made.statement.permits
    assert [(one.action, one.status) for one in found.steps] == [
        ("import", "active"),
        ("revoke", "revoked"),
        ("undo", "active"),
    ]
    assert "Irrtum" not in made.jws + json.dumps(str(made.statement))


def test_suspended_by_a_chargeback_and_expired_since(city: City, application: Application) -> None:
    content = permit(application)
    plate = plate_of(content)
    before = city.clock()
    city.clock.forward(hours=2)
    step(application, "suspend", content)
    suspended_at = city.clock()
    city.clock.forward(hours=2)
    step(application, "resume", content)
    resumed_at = city.clock()
    with application.reading() as session:
        last = session.get_one(PassRow, (application.tenant, PERMIT, content.number)).period_last
    city.clock.at = datetime.combine(last, TODAY.timetz()) + timedelta(days=2)
    assert says(application, plate, before) == ("permit", "VALID")
    assert says(application, plate, suspended_at) == ("no-permit", "SUSPENDED")
    assert says(application, plate, resumed_at) == ("permit", "VALID")
    ends = datetime(last.year, last.month, last.day, 23, 59, 59, tzinfo=BERLIN)
    assert says(application, plate, ends) == ("permit", "VALID")
    assert says(application, plate, ends + timedelta(seconds=1)) == ("no-permit", "EXPIRED")


def test_renewed_later_is_told_with_the_days_of_then(city: City, application: Application) -> None:
    content = permit(application)
    plate = plate_of(content)
    with application.reading() as session:
        last = session.get_one(PassRow, (application.tenant, PERMIT, content.number)).period_last
    city.clock.at = datetime.combine(last - timedelta(days=10), TODAY.timetz())
    before = city.clock()
    city.clock.forward(days=1)
    with application.writing() as session:
        pass_type = application.pass_types[PERMIT]
        renew(
            session, application.tenant, pass_type, content.number, Renewal(12),
            seal_for=application.sealer(session, pass_type), actor=Actor("t", city.clock(), "x"),
        )  # fmt: skip
    renewed_at = city.clock()
    city.clock.forward(days=60)
    assert [one.last_day for one in ask(application, plate, before).statement.permits] == [last]
    [after] = ask(application, plate, renewed_at).statement.permits
    assert after.last_day > last
    assert says(application, plate, city.clock() - timedelta(days=1)) == ("permit", "VALID")


@pytest.mark.parametrize("end", ["import-undone", "delete"])
def test_a_number_given_again_has_nothing_of_the_pass_before(
    city: City, application: Application, end: str
) -> None:
    content = permit(application)
    plate, about = plate_of(content), f"{content.type_id}/{content.number}"
    asked = city.clock()
    city.clock.forward(days=1)
    with application.writing() as session:
        # Another one had the number, and was valid; the one that has it now has not been paid for.
        events = [
            AuditEvent(
                "expire", about, {"status": "active", "valid_to": "2030-01-01"}, {"status": "expired"}
            ),
            AuditEvent(end, about, {"status": "expired"}),
            AuditEvent("issue", about, None, {"status": "pending_payment"}),
        ]
        audit.append(session, application.tenant, events, city.clock(), "t")
        session.execute(
            update(PassRow)
            .where(PassRow.tenant == application.tenant, PassRow.number == content.number)
            .values(status="pending_payment")
        )
    made = ask(application, plate, asked).statement
    assert made.answer != "permit"
    [found] = made.permits
    assert (found.finding, found.status) == ("NOT_LISTED", "pending_payment")
    assert found.last_day < date(2030, 1, 1)
    assert [one.action for one in found.steps] == ["issue"]


def test_what_was_deleted_is_no_answer(city: City, application: Application) -> None:
    content = permit(application)
    plate = plate_of(content)
    asked = city.clock()
    assert says(application, OTHER, asked) == ("no-permit", "NOT_LISTED")
    with application.reading() as session:
        last = session.scalar(
            select(func.max(PassRow.period_last)).where(PassRow.tenant == application.tenant)
        )
    assert last is not None
    city.clock.at = datetime.combine(last, TODAY.timetz()) + timedelta(days=400)
    retention.run(application, Report(application, city.clock().date(), "retention"))
    assert says(application, plate, asked) == ("not-held", "NOT_HELD")
    assert says(application, OTHER, asked) == ("not-held", "NOT_HELD")
    # Of days that no deleted pass reached, nothing is missing.
    assert says(application, plate, datetime.combine(last, TODAY.timetz()) + timedelta(days=2)) == (
        "no-permit",
        "NOT_LISTED",
    )
    # Entries of an older version tell no last day; the trail of the pass does.
    with application.writing() as session:
        session.execute(
            update(AuditEntryRow)
            .where(AuditEntryRow.action == "delete")
            .values(before='{"status":"expired"}')
        )
    assert says(application, plate, asked) == ("not-held", "NOT_HELD")
    assert (
        says(application, plate, datetime.combine(last, TODAY.timetz()) + timedelta(days=2))[0] == "no-permit"
    )


def test_an_undone_import_is_missing_as_what_was_deleted_is(city: City, application: Application) -> None:
    asked = city.clock()
    city.clock.forward(days=1)
    about = f"{PERMIT}/GONE-1"

    def note(action: str, subject: str, before: Facts | None, after: Facts | None = None) -> None:
        with application.writing() as session:
            event = AuditEvent(action, subject, before, after)
            audit.append(session, application.tenant, [event], city.clock(), "t")

    def is_missing(day: str) -> bool:
        return says(application, OTHER, datetime.fromisoformat(day).replace(tzinfo=UTC))[0] == "not-held"

    # The run's own entry is of no pass.
    note("import-undone", "import/abc", None, {"removed": 1})
    assert says(application, OTHER, asked) == ("no-permit", "NOT_LISTED")
    # The newest end is of days before the question, an older one reaches it.
    note("import", about, None, {"status": "active", "valid_to": "2026-11-20"})
    note("import-undone", about, {"status": "active"})
    assert is_missing("2026-11-20T11:00")
    note("import", about, None, {"status": "active", "valid_to": "2026-11-01"})
    note("import-undone", about, {"status": "active", "valid_to": "2026-11-01"})
    # Of the number's next pass, whose days say nothing of the ones before.
    note("import", about, None, {"status": "active", "valid_to": "2030-01-01"})
    assert is_missing("2026-11-20T11:00")
    city.clock.forward(days=30)
    assert not is_missing("2026-11-21T12:30")


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-10-25T01:59", "2026-10-24T23:59"),
        ("2026-10-25T02:30+02:00", "2026-10-25T00:30"),
        ("2026-10-25T02:30+01:00", "2026-10-25T01:30"),
        ("2026-10-25T03:00", "2026-10-25T02:00"),
        ("2026-03-29T03:00", "2026-03-29T01:00"),
        ("2026-11-03T13:00Z", "2026-11-03T13:00"),
    ],
)
def test_moments(text: str, utc: str) -> None:
    assert read_moment(text, TODAY) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-10-25T02:30", "STATEMENT_TIME_TWICE"),
        ("2026-03-29T02:30", "TIME_FORMAT"),
        ("2026-11-20T12:00:01", "STATEMENT_FUTURE"),
        ("gestern", "TIME_FORMAT"),
        ("2" * 100, "TIME_FORMAT"),
    ],
)
def test_moments_that_are_none(text: str, code: str) -> None:
    with pytest.raises(Exception) as refused:
        read_moment(text, TODAY)
    assert refused.value.code == code  # type: ignore[attr-defined]


def test_the_repeated_hour_is_two(city: City, application: Application) -> None:
    content = permit(application)
    plate = plate_of(content)
    with application.writing() as session:
        session.execute(
            update(PassRow).where(PassRow.number == content.number).values(period_last=date(2027, 12, 31))
        )
    city.clock.at = datetime(2027, 10, 31, 0, 45, tzinfo=UTC)
    change(application, content, OTHER)
    city.clock.forward(days=1)
    # 02:30 on the clock, before and after it was put back: the change at 02:45 summer time lies between.
    assert says(application, plate, read_moment("2027-10-31T02:30+02:00", city.clock()))[0] == "permit"
    assert says(application, plate, read_moment("2027-10-31T02:30+01:00", city.clock()))[0] == "no-permit"


def test_nothing_personal_and_noted_without_the_plate(application: Application) -> None:
    content = permit(application)
    plate = plate_of(content)
    made = ask(application, plate, application.now())
    payload = urlsafe_b64decode(made.jws.split(".")[1] + "==").decode()
    with application.reading() as session:
        row = session.get_one(PassRow, (application.tenant, PERMIT, content.number))
        holder = session.get_one(HolderRow, (application.tenant, row.holder_ref))
        [noted] = audit.history(session, application.tenant, f"statement/{made.statement.id}")
        assert audit.verify(session, application.tenant).fault is None
    for text in (holder.family_name, holder.street, holder.email, holder.ref):
        assert text
        assert text not in payload
    assert noted.after is not None
    assert noted.after["digest"] == hashlib.sha256(made.jws.encode()).hexdigest()
    assert plate.canonical not in str(noted) + str(noted.after)
    assert made.statement.audit_hash != audit.FIRST_HASH
    assert made.subjects == (f"{PERMIT}/{content.number}",)


def test_lists_of_that_time(city: City, application: Application) -> None:
    content = permit(application)
    plate = plate_of(content)
    assert ask(application, plate, city.clock()).statement.published == []
    publish_due(application)
    at = city.clock()
    city.clock.forward(minutes=5)
    found = {one.name: one.sequence for one in ask(application, plate, at).statement.published}
    assert {"plates.cwt", "index.cwt"} < set(found)
    assert any(name.startswith("status/") for name in found)
    assert ask(application, plate, at - timedelta(minutes=1)).statement.published == []


@SQLITE
def test_signed_so_that_others_can_check(city: City, application: Application, tmp_path: Path) -> None:
    plate = plate_of(permit(application))
    made = ask(application, plate, application.now())
    with application.reading() as session:
        [record] = keyring.records(session, application.tenant, Purpose.STATEMENT)
    key = ECKey.import_key(_pem(record.public_key()))
    read_there = other_library.deserialize_compact(
        made.jws, key, registry=other_library.JWSRegistry(algorithms=["ES256"])
    )
    assert json.loads(read_there.payload)["question"]["plate"] == plate.canonical
    assert read_there.headers() == {"alg": "ES256", "kid": record.kid.hex(), "typ": "stadtpass-statement+jws"}
    signed, _, signature = made.jws.rpartition(".")
    raw = urlsafe_b64decode(signature + "==")
    (tmp_path / "key.pem").write_bytes(_pem(record.public_key()))
    (tmp_path / "signed").write_text(signed)
    (tmp_path / "signature").write_bytes(
        encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    )
    told = subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "signed"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "Verified OK"


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[no-any-return]


@SQLITE
def test_the_smallest_change_is_refused(city: City, application: Application, tmp_path: Path) -> None:
    made = ask(application, plate_of(permit(application)), application.now())
    folder = published(application, tmp_path / "trust")
    bundle, root = (folder / "bundle.cwt").read_bytes(), root_from_pem((folder / "root.pub").read_bytes())
    good = made.jws.encode()
    assert check(good, bundle, root, city.clock()).statement == made.statement
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place in range(0, len(good), 7):
        if good[place] not in alphabet:
            continue
        other = alphabet[(alphabet.index(good[place]) + 1) % 64]
        with pytest.raises(IssuerRefusal):
            check(good[:place] + bytes([other]) + good[place + 1 :], bundle, root, city.clock())
    header, payload, signature = made.jws.split(".")
    from keys.es256 import ORDER

    raw = urlsafe_b64decode(signature + "==")
    high = raw[:32] + (ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    from base64 import urlsafe_b64encode

    def form(part: bytes) -> str:
        return urlsafe_b64encode(part).rstrip(b"=").decode()

    kid = json.loads(urlsafe_b64decode(header + "=="))["kid"]
    for bad in (
        f"{header}.{payload}.{form(high)}",
        f"{form(b'{}')}.{payload}.{signature}",
        f"{form(json.dumps({'alg': 'none', 'typ': 'stadtpass-statement+jws', 'kid': kid}).encode())}.{payload}.",
        f"{form(json.dumps({'alg': 'HS256', 'typ': 'stadtpass-statement+jws', 'kid': kid}).encode())}"
        f".{payload}.{signature}",
        f"{header}.{payload}.{signature}\n{header}.{payload}.{signature}",
        "",
        "x" * 300_000,
        "%PDF-1.7 without anything",
    ):
        with pytest.raises(IssuerRefusal):
            check(bad.encode(), bundle, root, city.clock())


@SQLITE
def test_keys_of_another_purpose_or_revoked_count_for_nothing(
    city: City, application: Application, tmp_path: Path
) -> None:
    from issuer.statements.document import sign

    made = ask(application, plate_of(permit(application)), application.now())
    with application.reading() as session:
        seal_key = keyring.records(session, application.tenant, Purpose.SEAL)[0]
        list_key = keyring.records(session, application.tenant, Purpose.LIST)[0]
    folder = published(application, tmp_path / "trust")
    root = root_from_pem((folder / "root.pub").read_bytes())
    for record in (seal_key, list_key):
        forged = sign(made.statement, application.keys.signer(record.uri), record.kid).encode()
        with pytest.raises(IssuerRefusal) as refused:
            check(forged, (folder / "bundle.cwt").read_bytes(), root, city.clock())
        assert refused.value.code == "STATEMENT_KEY"
    # With the list key's bundle entry nothing changes for devices: their keys are where they were.
    with application.writing() as session:
        [record] = keyring.records(session, application.tenant, Purpose.STATEMENT)
        keyring.transition(
            session, record, key_life.revoke(record, city.clock()), city.clock(), "t", "stolen"
        )
    city.clock.forward(hours=1)
    again = published(application, tmp_path / "trust")
    with pytest.raises(IssuerRefusal) as refused:
        check(made.jws.encode(), (again / "bundle.cwt").read_bytes(), root, city.clock())
    assert refused.value.code == "STATEMENT_KEY"
    with pytest.raises(IssuerRefusal) as refused:
        ask(application, OTHER, city.clock())
    assert refused.value.code == "NO_SIGNING_KEY"


@SQLITE
def test_on_the_command_line(
    city: City, application: Application, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = permit(application)
    plate = plate_of(content).canonical
    folder = published(application, tmp_path / "trust")
    common = ["--data", str(city.folder), "--at", TODAY.isoformat()]
    for name in ("s.jws", "s.pdf"):
        file = tmp_path / name
        assert main(["statement", "make", plate, "2026-11-20T11:00", "--out", str(file), *common]) == 0
        assert file.stat().st_mode & 0o777 == 0o600
        capsys.readouterr()
        verify = ["statement", "verify", str(file), "--trust", str(folder), "--at", TODAY.isoformat()]
        assert main(verify) == 0
        told = capsys.readouterr().out
        assert "Echt: unterschrieben von Musterstadt" in told
        assert "TEST" in told
        assert "galt für das Kennzeichen ein Ausweis" in told
        assert main([*verify, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["statement"]["permits"][0]["number"] == content.number
    damaged = (tmp_path / "s.pdf").read_bytes()
    (tmp_path / "s.jws").write_bytes((tmp_path / "s.jws").read_bytes().replace(b".", b".x", 1))
    (tmp_path / "s.pdf").write_bytes(damaged + b"stream\n" + b"a.b." + b"c" * 86 + b"\nendstream")
    assert main(["statement", "verify", str(tmp_path / "s.jws"), "--trust", str(folder)]) == 1
    capsys.readouterr()
    # A second statement in the PDF: which one would count?
    assert main(["statement", "verify", str(tmp_path / "s.pdf"), "--trust", str(folder)]) == 1
    capsys.readouterr()
    assert main(["statement", "make", "CEE-1", "2026-11-20T11:00", *common]) == 64
    assert main(["statement", "make", plate, "2026-10-25T02:30", *common]) == 64
    assert "+02:00 / 2026-10-25T02:30:00+01:00" in capsys.readouterr().err
    assert main(["statement", "make", plate, "2026-11-20T11:00", "--zone", "XX", *common]) == 64


@SQLITE
def test_the_pdf_in_both_languages(application: Application) -> None:
    made = ask(application, plate_of(permit(application)), application.now())
    for language in ("de", "en"):
        data = pdf.render(made.statement, made.jws, language)
        assert data == pdf.render(made.statement, made.jws, language)
        assert read(data).statement == made.statement


@SQLITE
def test_pdfs_are_set_by_several_threads(application: Application) -> None:
    made = ask(application, plate_of(permit(application)), application.now())
    alone = pdf.render(made.statement, made.jws, "de")
    with ThreadPoolExecutor(4) as threads:
        work = [threads.submit(pdf.render, made.statement, made.jws, "de") for _ in range(12)]
        assert {one.result() for one in work} == {alone}


def test_by_the_interface(application: Application, http: Any) -> None:
    content = permit(application)
    plate = plate_of(content)
    headers = bearer(new_client(application, Scope.STATEMENTS_READ, name="fines").secret)
    path = "/api/v1/statements/plate"
    at = (TODAY - timedelta(hours=1)).isoformat()
    told = http.post(
        path, json={"plate": plate.canonical, "at": at, "zone": zone_of(content)}, headers=headers
    )
    assert told.status_code == 200, told.text
    assert told.headers["cache-control"] == "no-store"
    body = told.json()
    assert (body["statement"]["answer"], body["statement"]["reason"]) == ("permit", "VALID")
    assert read(body["jws"].encode()).statement.id == body["statement"]["id"]
    checks_only = bearer(new_client(application, Scope.CHECKS_READ, name="other").secret)
    assert http.post(path, json={"plate": "D-AB 1", "at": at}, headers=checks_only).status_code == 403
    for asked, code in (
        ({"plate": "CEE 1234", "at": at}, "PLATE_SEVERAL"),
        ({"plate": "D-AB 1", "at": "2026-11-21T12:00:00Z"}, "STATEMENT_FUTURE"),
        ({"plate": "D-AB 1", "at": "2026-10-25T02:30"}, "STATEMENT_TIME_TWICE"),
        ({"plate": "D-AB 1", "at": at, "zone": "QQ"}, "STATEMENT_ZONE"),
    ):
        answer = http.post(path, json=asked, headers=headers)
        assert answer.status_code == 422
        assert code in answer.text
    with application.reading() as session:
        actors = session.scalars(select(AuditEntryRow.actor).where(AuditEntryRow.action == "statement")).all()
    assert actors == ["api:fines"]


def test_in_the_console(city: City, application: Application) -> None:
    content = permit(application)
    plate = plate_of(content)
    clerk = settle(application, city.clock, "erika", Role.CLERK)
    path = "/office/statements"

    def send(**fields: str) -> Any:
        token = form_token(clerk.client.get(path))
        values = {"plate": plate.canonical, "zone": "", "day": "20.11.2026", "time": "11:00", **fields}
        return clerk.client.post(path, data={"form_token": token, **values})

    page = send()
    assert page.status_code == 200
    assert "galt für das Kennzeichen ein Ausweis" in page.text
    assert content.number in page.text
    jws = page.text.split('name="jws" value="')[1].split('"')[0]
    for kind, start in (("pdf", b"%PDF-"), ("jws", b"eyJ")):
        file = clerk.send(f"{path}/file", jws=jws, form=kind)
        assert file.status_code == 200
        assert file.content.startswith(start)
        assert read(file.content).statement.question.plate == plate.canonical
    assert clerk.send(f"{path}/file", jws=jws[:-3] + "AAA", form="pdf").status_code == 422
    auditor = settle(application, city.clock, "otto", Role.AUDITOR)
    assert content.number in auditor.client.get("/office/accesses", params={"q": content.number}).text
    for fields, said in (
        ({"plate": "CEE 1234"}, "Welches ist gemeint"),
        ({"plate": ""}, "Geben Sie ein Kennzeichen ein"),
        ({"plate": "<b>"}, "kein Kennzeichen"),
        ({"zone": "QQ"}, "Diese Zone gibt es nicht"),
        ({"day": "31.2.2026"}, "Geben Sie den Tag so ein"),
        ({"day": "29.3.2026", "time": "2:30"}, "eine Uhrzeit"),
        ({"day": "25.10.2026", "time": "2:30"}, "Welche der beiden"),
        ({"day": "21.11.2027"}, "in der Zukunft"),
    ):
        answer = send(**fields)
        assert answer.status_code == 422, fields
        assert said in answer.text, fields
        assert "<b>" not in answer.text
    assert send(plate="CEE 1234", meant="C-EE 1234").status_code == 200
    assert "02:30:00 (UTC+0100)" in send(day="25.10.2026", time="2:30", which="second").text


def test_another_city_is_not_asked(application: Application, neighbour: Application) -> None:
    plate = plate_of(permit(application))
    with neighbour.writing() as session:
        session.execute(
            update(RevisionRow)
            .where(RevisionRow.tenant == neighbour.tenant)
            .values(attributes={"zone": ["HO", "x"]})
        )
    found = ask(neighbour, plate, neighbour.now()).statement
    assert {one.number for one in found.permits} <= {
        one.number for one in ask(application, plate, application.now()).statement.permits
    }
    with neighbour.reading() as session, pytest.raises(Exception, match="STATEMENT_ZONE"):
        read_question(session, neighbour.tenant, "D-AB 1", "QQ", "2026-11-01T12:00", TODAY)
