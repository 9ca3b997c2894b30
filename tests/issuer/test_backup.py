"""Backup and restore: everything comes back, except what was taken away since."""

from __future__ import annotations

import io
import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from litestar.testing import TestClient
from sqlalchemy import inspect, select, text, update

from issuer import audit, restore, verifier_devices
from issuer.application import Application
from issuer.backup_file import BackupDamaged, BackupReader, BackupWriter
from issuer.cli import main
from issuer.database import connect_register
from issuer.device_enrolment import confirm_device, invite_device
from issuer.errors import IssuerRefusal
from issuer.files import write_atomically
from issuer.models import Base, PassRow, RevisionRow, StatusListRow, WithdrawnPlaceRow
from issuer.models_access import (
    ApiClientRow,
    JobRow,
    LetterCodeRow,
    PickupLinkRow,
    VerifierDeviceRow,
    VisitRow,
)
from issuer.models_delivery import WalletPassRow, WebhookEndpointRow
from issuer.revocation_log import FILE_NAME as REVOCATIONS
from issuer.verifier_devices import Role
from issuer.workspace import CONFIG
from keys.envelope import create_key_file
from keys.errors import KeyRefusal
from keys.store import KeyFile, Passphrase
from tests.issuer.publication.app_device import AppDevice
from tests.service import DATABASES, PERMIT, TENANT, TODAY, City, passing_database, running_numbers
from tests.web_app import create_app

NOW = TODAY.isoformat()
LATER = (TODAY + timedelta(hours=2)).isoformat()
LAST = (TODAY + timedelta(hours=3)).isoformat()


def run(*arguments: object) -> int:
    return main([str(one) for one in arguments])


def verdict(seal: str, trust: Path, at: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    run("verify", seal, "--trust", trust, "--at", at, "--json")
    return str(json.loads(capsys.readouterr().out)["verdict"])


def seals(application: Application, number: str) -> list[str]:
    with application.reading() as session:
        return [
            seal
            for seal in session.scalars(
                select(RevisionRow.seal)
                .where(RevisionRow.tenant == application.tenant, RevisionRow.number == number)
                .order_by(RevisionRow.n)
            )
            if seal is not None
        ]


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyFile:
    made = create_key_file(tmp_path / "backup.key")
    monkeypatch.setenv("STADTPASS_BACKUP_KEY_FILE", str(made.path))
    return made


@pytest.fixture
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database to restore into: of the other kind than the city's, if the test names none.

    So every test reads and writes both; that each kind leads to each is for the one test that looks at every row.
    """
    others = {"sqlite": "postgresql", "postgresql": "sqlite"}
    kind = getattr(request, "param", None) or others[request.node.callspec.params["city"]]
    if kind == "sqlite":
        yield f"sqlite+pysqlite:///{tmp_path / 'restored.db'}"
        return
    with passing_database(request.getfixturevalue("postgresql")) as url:
        yield url


@dataclass
class Place:
    """Where a backup is restored: the new folder, and the arguments to get there."""

    folder: Path
    file: Path
    url: str

    def restore(self, *options: object, at: str = LATER) -> int:
        return run(
            "restore",
            "--data",
            self.folder,
            "--from",
            self.file,
            "--database-url",
            self.url,
            "--at",
            at,
            *options,
        )

    def bring(self, city: City, *names: str) -> None:
        """Carry over what is not in a backup."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for name in names:
            source = city.folder / name
            if source.is_dir():
                shutil.copytree(source, self.folder / name)
            else:
                shutil.copy(source, self.folder / name)


@pytest.fixture
def place(city: City, key: KeyFile, target: str, tmp_path: Path) -> Place:
    return Place(tmp_path / "new", tmp_path / "backup", target)


def key_files(folder: Path) -> dict[str, bytes]:
    names = ["service.key", *(f"keys/{one.name}" for one in (folder / "keys").glob("[!.]*"))]
    return {name: (folder / name).read_bytes() for name in names}


def content(application: Application) -> dict[str, list[tuple[object, ...]]]:
    with application.reading() as session:
        found = {}
        for table in Base.metadata.sorted_tables:
            query = select(table).where(table.c.tenant == application.tenant)
            found[table.name] = [
                tuple(row) for row in session.execute(query.order_by(*inspect(table).primary_key))
            ]
        return found


@pytest.mark.parametrize("target", DATABASES, indirect=True)
def test_everything_comes_back_on_every_database(city: City, place: Place) -> None:
    before = content(city.open())
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    assert place.file.stat().st_mode & 0o777 == 0o600
    assert b"Muster" not in place.file.read_bytes()
    place.bring(city, "keystore.key")
    assert place.restore("--accept-backup-log") == 0
    after = content(city.open(place.folder))
    # Lists are closed, phones fetch anew, and the restore is in the audit trail; nothing else is different.
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"wallet_passes", "status_lists", "sequences", "audit_entries", "audit_heads"}
    assert before["audit_entries"] == after["audit_entries"][:-1]
    assert key_files(city.folder) == key_files(place.folder)
    assert (place.folder / CONFIG).stat().st_mode & 0o777 == 0o600


def test_what_was_revoked_after_the_backup_stays_revoked(
    city: City, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    application = city.open()
    revoked, changed, kept, suspended = running_numbers(application)[:4]
    published, again = tmp_path / "published", tmp_path / "again"
    assert run("publish", "--data", city.folder, "--out", published, "--at", NOW) == 0
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0

    steps: tuple[tuple[object, ...], ...] = (
        ("revoke", revoked, "--reason", "case 1"),
        ("reissue", changed, "--reason", "phone lost", "--out", tmp_path / "out"),
        ("suspend", suspended, "--reason", "case 2"),
    )
    for command, number, *rest in steps:
        assert run(command, number, "--type", PERMIT, "--data", city.folder, "--at", LATER, *rest) == 0
    old, new = seals(application, changed)
    # Issued after the backup and revoked again: the restored register has never heard of it.
    assert (
        run("revoke", changed, "--type", PERMIT, "--data", city.folder, "--at", LATER, "--reason", "x") == 0
    )
    assert run("publish", "--data", city.folder, "--out", published, "--at", LATER) == 0
    for seal in (seals(application, revoked)[0], old, new, seals(application, suspended)[0]):
        assert verdict(seal, published, LATER, capsys) != "GREEN"

    place.bring(city, "keystore.key", "root", REVOCATIONS)
    assert place.restore("--published", published, at=LAST) == 0
    assert run("publish", "--data", place.folder, "--out", again, "--at", LAST) == 0
    # A device that knows the old lists takes the new ones.
    shutil.copy(published / ".state.json", again / ".state.json")
    assert verdict(seals(application, revoked)[0], again, LAST, capsys) == "RED"
    assert verdict(old, again, LAST, capsys) == "RED"
    assert verdict(new, again, LAST, capsys) == "RED"
    assert verdict(seals(application, suspended)[0], again, LAST, capsys) == verdict(
        seals(application, suspended)[0], published, LATER, capsys
    )
    assert verdict(seals(application, kept)[0], again, LAST, capsys) == "GREEN"

    restored = city.open(place.folder)
    with restored.reading() as session:
        assert audit.verify(session, TENANT).fault is None
        assert session.scalars(select(WithdrawnPlaceRow)).one().status_value == 1
        for one in session.scalars(select(StatusListRow)):
            assert one.used == one.capacity
    # New passes get places that nobody can have had.
    highest = max(one for (one,) in _query(restored, "SELECT number FROM status_lists"))
    assert run("reissue", kept, "--type", PERMIT, "--reason", "x", "--out", tmp_path / "o", "--data",
               place.folder, "--at", LAST) == 0  # fmt: skip
    assert max(one for (one,) in _query(restored, "SELECT number FROM status_lists")) > highest + 500


def test_a_seal_replaced_after_a_suspension_stays_replaced(
    city: City, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stolen = running_numbers(city.open())[0]
    published, again = tmp_path / "published", tmp_path / "again"
    common = ("--type", PERMIT, "--data", city.folder, "--reason", "phone stolen")
    assert run("suspend", stolen, *common, "--at", NOW) == 0
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    assert run("resume", stolen, *common, "--at", LATER) == 0
    assert run("reissue", stolen, *common, "--at", LATER, "--out", tmp_path / "out") == 0
    assert run("publish", "--data", city.folder, "--out", published, "--at", LATER) == 0
    old = seals(city.open(), stolen)[0]

    place.bring(city, "keystore.key", "root")
    capsys.readouterr()
    assert place.restore("--accept-backup-log", "--published", published, at=LAST) == 0
    assert stolen in capsys.readouterr().err
    restored = ("--type", PERMIT, "--data", place.folder, "--reason", "back", "--at", LAST)
    assert run("resume", stolen, *restored) == 0
    assert run("publish", "--data", place.folder, "--out", again, "--at", LAST) == 0
    assert verdict(old, again, LAST, capsys) == "RED"
    assert run("reissue", stolen, *restored, "--out", tmp_path / "o") == 0
    assert run("publish", "--data", place.folder, "--out", again, "--at", LAST) == 0
    assert verdict(seals(city.open(place.folder), stolen)[-1], again, LAST, capsys) == "GREEN"


@pytest.mark.parametrize("known_from", ["log", "lists"])
def test_both_seals_of_a_renewed_pass_end(
    city: City, place: Place, tmp_path: Path, known_from: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two seals stand after a renewal, in two lists; what tells of one is enough to end both."""
    number, published = running_numbers(city.open())[0], tmp_path / "published"
    with city.open().writing() as session:
        first = session.scalars(
            select(RevisionRow).where(RevisionRow.tenant == TENANT, RevisionRow.number == number)
        ).one()
        values = {one.name: getattr(first, one.name) for one in RevisionRow.__table__.columns}
        line: dict[str, object] = {"at": LATER, "tenant": TENANT, "pass": f"{PERMIT}/{number}"}
        line["place"] = [first.list_number, first.list_index]
        first.superseded_at = TODAY
        session.add(
            StatusListRow(
                tenant=TENANT, number=900, type_id=PERMIT, half_year="2027H2", capacity=1024, used=1
            )
        )
        session.flush()
        session.add(RevisionRow(**(values | {"n": 2, "list_number": 900, "list_index": 0})))
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    place.bring(city, "keystore.key")
    if known_from == "log":
        (tmp_path / "log").write_text(json.dumps(line) + "\n")
        options: tuple[object, ...] = ("--revocations", tmp_path / "log")
    else:
        revoked = ("--type", PERMIT, "--data", city.folder, "--reason", "case 1", "--at", LATER)
        assert run("revoke", number, *revoked) == 0
        assert run("publish", "--data", city.folder, "--out", published, "--at", LATER) == 0
        (published / "status" / "900.cwt").unlink()
        options = ("--accept-backup-log", "--published", published)
    assert place.restore(*options) == 0
    with city.open(place.folder).reading() as session:
        assert session.scalars(select(PassRow.status).where(PassRow.number == number)).all() == ["revoked"]
        rows = session.scalars(select(RevisionRow.status_value).where(RevisionRow.number == number)).all()
        assert rows == [1, 1]


def test_logs_of_several_machines(
    city: City, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    application = city.open()
    numbers = running_numbers(application)[:3]
    lines = [
        json.dumps({"at": LATER, "tenant": TENANT, "pass": f"{PERMIT}/{one}", "place": None})
        for one in numbers
    ]
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    place.bring(city, "keystore.key")
    (tmp_path / "a").write_text(f"{lines[0]}\n{lines[1]}\n" + '{"at": "2026-11-2')
    (tmp_path / "b").write_text(f"{lines[1]}\nnothing of ours\n")
    (place.folder / REVOCATIONS).write_text(lines[2] + "\n")
    options = ("--revocations", tmp_path / "a", "--revocations", tmp_path / "b")
    assert place.restore(*options) == 64
    told = capsys.readouterr().err
    assert str(tmp_path / "b") in told
    assert "2" in told
    (tmp_path / "b").write_text(f"{lines[1]}\n")
    assert place.restore(*options) == 0
    with city.open(place.folder).reading() as session:
        for one in numbers:
            assert session.scalars(select(PassRow.status).where(PassRow.number == one)).all() == ["revoked"]
    kept = (place.folder / REVOCATIONS).read_text().splitlines()
    assert sorted(one for one in kept if one.endswith("}")) == sorted(lines)


def _query(application: Application, statement: str) -> list[tuple[int]]:
    with application.reading() as session:
        return [(row[0],) for row in session.execute(text(statement))]


def test_the_log_alone_keeps_revoked_passes_and_keys_revoked(
    city: City, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    application = city.open()
    revoked, late = running_numbers(application)[:2]
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    common = ("--type", PERMIT, "--data", city.folder, "--at", LATER, "--reason", "case 1")
    assert run("revoke", revoked, *common) == 0
    assert run("reissue", late, *common, "--out", tmp_path / "out") == 0
    assert run("revoke", late, *common) == 0
    with application.reading() as session:
        kid = session.execute(text("SELECT kid FROM signing_keys WHERE purpose = 'google'")).scalars().first()
    assert run("keys", "revoke", kid, "--data", city.folder, "--at", LATER, "--reason", "leaked") == 0

    place.bring(city, "keystore.key", "root")
    # Half a line at the end was never acknowledged.
    log = (city.folder / REVOCATIONS).read_bytes() + b'{"at": "2026-11-2'
    (tmp_path / "log").write_bytes(log)
    assert place.restore("--revocations", tmp_path / "log", at=LAST) == 0
    assert run("publish", "--data", place.folder, "--out", tmp_path / "again", "--at", LAST) == 0
    for number in (revoked, late):
        for seal in seals(application, number)[-1:]:
            assert verdict(seal, tmp_path / "again", LAST, capsys) == "RED"
    restored = city.open(place.folder)
    with restored.reading() as session:
        states = session.execute(text(f"SELECT state FROM signing_keys WHERE kid = '{kid}'")).scalars().all()
        assert states == ["revoked"]
        assert audit.verify(session, TENANT).fault is None
    assert (place.folder / REVOCATIONS).read_bytes() == log


def test_phones_and_google_get_every_pass_anew(city: City, place: Place) -> None:
    application = city.open()
    with application.writing() as session:
        session.execute(update(WalletPassRow).values(update_tag=5, modified_at=TODAY + timedelta(minutes=1)))
        serial = session.scalars(select(WalletPassRow.serial).order_by(WalletPassRow.serial)).first()
        assert serial is not None
        row = (
            session.get(WalletPassRow, (TENANT, serial))
            or session.scalars(select(WalletPassRow).where(WalletPassRow.tenant == TENANT)).first()
        )
        assert row is not None
        row.modified_at = TODAY + timedelta(days=1)
        serial = row.serial
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    place.bring(city, "keystore.key")
    assert place.restore("--accept-backup-log") == 0
    with city.open(place.folder).reading() as session:
        rows = session.scalars(select(WalletPassRow)).all()
        assert {row.update_tag for row in rows} == {int((TODAY + timedelta(hours=2)).timestamp() * 1000)}
        for row in rows:
            moment = (
                TODAY + timedelta(days=1, seconds=1)
                if row.serial == serial
                else TODAY + timedelta(hours=2, seconds=1)
            )
            assert row.modified_at == moment


def test_used_doors_stay_shut_and_jobs_end(city: City, place: Place) -> None:
    application = city.open()
    number = running_numbers(application)[0]
    with application.writing() as session:
        common = {"tenant": TENANT, "type_id": PERMIT, "number": number, "channel": "mail"}
        session.add(
            PickupLinkRow(
                **common,
                token_hash="a" * 64,
                created_at=TODAY,
                expires_at=TODAY + timedelta(hours=1),
                used_at=None,
            )
        )
        session.add(
            LetterCodeRow(
                tenant=TENANT,
                code_hash="d" * 64,
                type_id=PERMIT,
                number=number,
                created_at=TODAY,
                expires_at=TODAY + timedelta(days=30),
                tries_left=5,
            )
        )
        session.add(
            VisitRow(**common, visit_hash="b" * 64, started_at=TODAY, expires_at=TODAY + timedelta(hours=1))
        )
        session.add(
            JobRow(
                tenant=TENANT,
                id="c" * 32,
                kind="import",
                actor="api:x",
                state="running",
                params={},
                input=b"\x00\xff",
                report={"a": [1]},
                created_at=TODAY,
                started_at=None,
                finished_at=None,
            )
        )
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    place.bring(city, "keystore.key")
    assert place.restore("--accept-backup-log") == 0
    with city.open(place.folder).reading() as session:
        assert session.scalars(select(PickupLinkRow)).all() == []
        assert session.scalars(select(LetterCodeRow)).all() == []
        assert session.scalars(select(VisitRow)).all() == []
        job = session.scalars(select(JobRow)).one()
        assert (job.state, job.input, job.report) == ("failed", None, {"a": [1]})


def test_credentials_come_back_locked(
    city: City, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--data", city.folder, "--at", NOW)
    assert run("clients", "add", "register", "--scope", "passes:read", *data) == 0
    capsys.readouterr()
    assert run("devices", "add", "warden 1", "--json", *data) == 0
    device = json.loads(capsys.readouterr().out)
    with city.open().writing() as session:
        session.add(
            WebhookEndpointRow(
                tenant=TENANT,
                id="e" * 32,
                url="https://old.example/",
                events=[],
                rotated_at=None,
                created_at=TODAY,
                disabled_at=None,
            )
        )
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    place.bring(city, "keystore.key")
    assert place.restore("--accept-backup-log") == 0
    application = city.open(place.folder)
    with application.reading() as session:
        for column in (ApiClientRow.revoked_at, VerifierDeviceRow.locked_at, WebhookEndpointRow.disabled_at):
            assert session.scalars(select(column)).all() == [TODAY + timedelta(hours=2)]
    assert verifier_devices.known_device(application, f"Bearer {device['token']}") is None
    # The office lets in again what it knows.
    restored = ("--data", place.folder, "--at", LAST)
    assert run("devices", "unlock", device["id"], *restored) == 0
    assert verifier_devices.known_device(application, f"Bearer {device['token']}") is not None
    assert run("clients", "add", "register", "--scope", "passes:read", *restored) == 0


def test_credentials_are_kept_on_request(sqlite_backup: Place, tmp_path: Path) -> None:
    source = tmp_path / TENANT
    assert run("clients", "add", "register", "--scope", "passes:read", "--data", source, "--at", NOW) == 0
    assert run("devices", "add", "warden 1", "--data", source, "--at", NOW) == 0
    sqlite_backup.file = tmp_path / "second"
    assert run("backup", "--data", source, "--out", sqlite_backup.file, "--at", NOW) == 0
    assert sqlite_backup.restore("--accept-backup-log", "--keep-credentials") == 0
    engine = connect_register(sqlite_backup.url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT revoked_at FROM api_clients")).scalars().all() == [None]
        assert connection.execute(text("SELECT locked_at FROM verifier_devices")).scalars().all() == [None]
    engine.dispose()


@pytest.mark.parametrize("kept", [True, False], ids=["keep credentials", "lock"])
def test_nobody_comes_in_by_a_restore_and_no_lease_runs(city: City, place: Place, kept: bool) -> None:
    application = city.open()
    with TestClient(create_app(application)) as http:
        active, waiting = AppDevice(city.clock), AppDevice(city.clock)
        invitations = []
        for name in ("active", "waiting", "invited", "locked"):
            with application.writing() as session:
                made = invite_device(session, application, name, Role.WARDEN, [], actor="test")
            invitations.append(made)
        digits = active.enrol(http, invitations[0].code).json()["check_code"]
        confirm_device(application, active.id, digits, actor="test")
        assert active.lease(http).status_code == 201
        shown = waiting.enrol(http, invitations[1].code).json()["check_code"]
        with application.writing() as session:
            verifier_devices.lock_device(session, application, invitations[3].id, actor="test")
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    place.bring(city, "keystore.key")
    # So soon that the ten minutes are not over.
    at = (TODAY + timedelta(minutes=1)).isoformat()
    options = ["--accept-backup-log", *(["--keep-credentials"] if kept else [])]
    assert place.restore(*options, at=at) == 0
    restored = city.open(place.folder)
    with restored.reading() as session:
        rows = session.scalars(select(VerifierDeviceRow)).all()
        assert [(row.id, row.lease_until) for row in rows] == [(active.id, None)]
        assert audit.verify(session, TENANT).fault is None
    with pytest.raises(IssuerRefusal, match="DEVICE_UNKNOWN"):
        confirm_device(restored, waiting.id, shown, actor="test")
    with TestClient(create_app(restored)) as http:
        assert AppDevice(city.clock).enrol(http, invitations[2].code).status_code == 404
        assert waiting.state(http) == "DEVICE_UNKNOWN"
        assert active.state(http) == ("active" if kept else "locked")
        if kept:
            refused = active.ask(http, "GET", "/lists/plates.cwt")
            assert (refused.status_code, refused.json()["code"]) == (401, "DEVICE_LEASE")
            assert active.lease(http).status_code == 201


@pytest.fixture
def sqlite_backup(request: pytest.FixtureRequest, tmp_path: Path, key: KeyFile) -> Place:
    """A backup of the SQLite city."""
    template: Path = request.getfixturevalue("sqlite_cities")
    shutil.copy(template / "shared.db", tmp_path / "shared.db")
    folder = tmp_path / TENANT
    shutil.copytree(template / TENANT, folder)
    config = (folder / CONFIG).read_text()
    (folder / CONFIG).write_text(config.replace(str(template / "shared.db"), str(tmp_path / "shared.db")))
    assert run("backup", "--data", folder, "--out", tmp_path / "backup", "--at", NOW) == 0
    return Place(
        tmp_path / "new", tmp_path / "backup", f"sqlite+pysqlite:///{tmp_path / 'new' / 'register.db'}"
    )


def empty(folder: Path) -> bool:
    return not folder.exists() or not list(folder.iterdir())


def test_a_log_is_asked_for(sqlite_backup: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sqlite_backup.restore() == 64
    assert "--accept-backup-log" in capsys.readouterr().err
    assert empty(sqlite_backup.folder)


@pytest.mark.parametrize(
    "line",
    [
        b'{"at": "2026-11-20T10:00:00+00:00", "tenant": "musterstadt", "pass": "x"}',
        b'{"at": "2026-11-20T10:00:00+00:00", "tenant": "musterstadt", "pass": "t/1", "place": ["a", 1]}',
        b'{"at": "2026-11-20T10:00:00+00:00", "tenant": }',
        b"nothing of ours",
    ],
)
def test_a_log_that_cannot_be_applied_stops_everything(
    sqlite_backup: Place, tmp_path: Path, line: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log").write_bytes(line + b"\n")
    assert sqlite_backup.restore("--revocations", tmp_path / "log") == 64
    assert "1" in capsys.readouterr().err
    assert empty(sqlite_backup.folder)
    # Another city's lines are none of ours.
    (tmp_path / "log").write_bytes(b'{"at": "2026-11-20T10:00:00+00:00", "tenant": "x", "pass": "t/1"}\n')
    assert sqlite_backup.restore("--revocations", tmp_path / "log") == 0


def test_a_log_older_than_the_backups_is_refused(
    sqlite_backup: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / TENANT
    line = b'{"at": "2026-11-20T10:00:00+00:00", "tenant": "musterstadt", "pass": "t/1", "place": null}\n'
    (folder / REVOCATIONS).write_bytes(line)
    assert run("backup", "--data", folder, "--out", tmp_path / "second", "--at", NOW) == 0
    (tmp_path / "log").write_bytes(b"")
    sqlite_backup.file = tmp_path / "second"
    assert sqlite_backup.restore("--revocations", tmp_path / "log") == 64
    assert empty(sqlite_backup.folder)
    (tmp_path / "log").write_bytes(line + line.replace(b"t/1", b"t/2"))
    assert sqlite_backup.restore("--revocations", tmp_path / "log") == 0
    assert (sqlite_backup.folder / REVOCATIONS).read_bytes().count(b"\n") == 2


def test_nothing_is_overwritten(
    sqlite_backup: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / TENANT
    assert run("backup", "--data", source, "--out", sqlite_backup.file) == 64
    before = (source / CONFIG).read_bytes()
    assert run("restore", "--data", source, "--from", sqlite_backup.file, "--accept-backup-log") == 64
    assert (source / CONFIG).read_bytes() == before
    sqlite_backup.folder.mkdir()
    (sqlite_backup.folder / "letters.txt").write_text("mine")
    assert sqlite_backup.restore("--accept-backup-log") == 64
    assert [one.name for one in sqlite_backup.folder.iterdir()] == ["letters.txt"]
    # The database of the running city is named by its own stadtpass.toml: it has the tenant already.
    other = tmp_path / "other"
    assert run("restore", "--data", other, "--from", sqlite_backup.file, "--accept-backup-log") == 64
    assert "musterstadt" in capsys.readouterr().err
    assert empty(other)


def test_a_wrong_secret_and_a_changed_byte(
    sqlite_backup: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = sqlite_backup.file.read_bytes()
    for damaged in (
        whole[:-1],
        whole[: len(whole) // 2],
        whole[:200],
        whole + b"x",
        whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :],
        b"",
        b"no backup",
    ):
        sqlite_backup.file.write_bytes(damaged)
        assert sqlite_backup.restore("--accept-backup-log") == 64
        assert empty(sqlite_backup.folder)
    sqlite_backup.file.write_bytes(whole)
    other = create_key_file(tmp_path / "other.key")
    monkeypatch.setenv("STADTPASS_BACKUP_KEY_FILE", str(other.path))
    assert sqlite_backup.restore("--accept-backup-log") == 64
    monkeypatch.delenv("STADTPASS_BACKUP_KEY_FILE")
    monkeypatch.setenv("STADTPASS_BACKUP_PASSPHRASE", "a passphrase of some length")
    assert sqlite_backup.restore("--accept-backup-log") == 64
    assert empty(sqlite_backup.folder)


def test_plain_is_said_and_cut_off_ones_are_noticed(
    sqlite_backup: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STADTPASS_BACKUP_KEY_FILE")
    capsys.readouterr()
    plain = tmp_path / "plain"
    assert run("backup", "--data", tmp_path / TENANT, "--out", tmp_path / "closed", "--at", NOW) == 64
    assert run("backup", "--data", tmp_path / TENANT, "--out", plain, "--plain", "--at", NOW) == 0
    assert "plain" in capsys.readouterr().err
    sqlite_backup.file = tmp_path / "cut"
    sqlite_backup.file.write_bytes(plain.read_bytes()[:-2000])
    assert sqlite_backup.restore("--accept-backup-log") == 64
    assert empty(sqlite_backup.folder)
    sqlite_backup.file = plain
    assert sqlite_backup.restore("--accept-backup-log") == 0


def test_a_passphrase_works_too(
    sqlite_backup: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STADTPASS_BACKUP_KEY_FILE")
    monkeypatch.setenv("STADTPASS_BACKUP_PASSPHRASE", "a passphrase of some length")
    sqlite_backup.file = tmp_path / "second"
    assert run("backup", "--data", tmp_path / TENANT, "--out", sqlite_backup.file, "--at", NOW) == 0
    assert sqlite_backup.restore("--accept-backup-log") == 0


def test_a_restore_that_is_cut_short_leaves_nothing_and_can_be_repeated(
    sqlite_backup: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("issuer.reconciliation._close_lists", fail)
        assert sqlite_backup.restore("--accept-backup-log") == 64
    assert empty(sqlite_backup.folder)

    class Killed(BaseException):
        """As if the process ended here: nothing is cleared."""

    def kill(*_arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("issuer.reconciliation._close_lists", kill)
        patch.setattr(restore, "_clear", lambda _folder: None)
        patch.setattr(Path, "unlink", lambda *_a, **_k: None)
        with pytest.raises(Killed):
            sqlite_backup.restore("--accept-backup-log")
    assert (sqlite_backup.folder / "keys").is_dir()
    # Half a folder is no installation for anybody, and the next restore starts anew.
    assert run("show", "1", "--data", sqlite_backup.folder) == 64
    assert sqlite_backup.restore("--accept-backup-log") == 0
    assert not (sqlite_backup.folder / restore.PENDING).exists()


def test_a_restore_killed_after_its_rows_were_stored_is_finished(
    city: City, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    place.bring(city, "keystore.key")

    class Killed(BaseException):
        """As if the process ended here: nothing is cleared."""

    written = write_atomically

    def killed(path: Path, data: bytes, *, mode: int = 0o644) -> None:
        if path.name == CONFIG:
            raise Killed
        written(path, data, mode=mode)

    with monkeypatch.context() as patch:
        patch.setattr(restore, "write_atomically", killed)
        patch.setattr(restore, "_clear", lambda _folder: None)
        patch.setattr(Path, "unlink", lambda *_a, **_k: None)
        with pytest.raises(Killed):
            place.restore("--accept-backup-log")
    assert run("show", "1", "--data", place.folder) == 64
    assert place.restore("--accept-backup-log") == 0
    with city.open(place.folder).reading() as session:
        assert audit.verify(session, TENANT).fault is None
    assert running_numbers(city.open(place.folder)) == running_numbers(city.open())


def test_a_restore_that_fails_after_its_rows_were_stored_is_finished(
    city: City, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    place.bring(city, "keystore.key")
    written = write_atomically

    def full(path: Path, data: bytes, *, mode: int = 0o644) -> None:
        if path.name == CONFIG:
            raise OSError(28, "No space left on device")
        written(path, data, mode=mode)

    with monkeypatch.context() as patch:
        patch.setattr(restore, "write_atomically", full)
        assert place.restore("--accept-backup-log") == 64
    # Neither does a second failure, before the rows, take the mark away.
    assert place.restore("--accept-backup-log", "--published", tmp_path) == 64
    # Another restore is none of this one.
    other = Place(place.folder, tmp_path / "other", place.url)
    assert run("backup", "--data", city.folder, "--out", other.file, "--at", LATER) == 0
    assert other.restore("--accept-backup-log") == 64
    assert place.restore("--accept-backup-log") == 0
    assert not (place.folder / restore.PENDING).exists()
    assert running_numbers(city.open(place.folder)) == running_numbers(city.open())


def test_a_running_city_is_never_taken_for_an_interrupted_restore(
    sqlite_backup: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before it looked: the database that the backup names is the running city's."""

    class Killed(BaseException):
        """As if the process ended here: nothing is cleared."""

    def kill(*_arguments: object) -> None:
        raise Killed

    command = ("restore", "--data", tmp_path / "new", "--from", sqlite_backup.file, "--accept-backup-log")
    with monkeypatch.context() as patch:
        patch.setattr(restore, "_fill", kill)
        patch.setattr(restore, "_clear", lambda _folder: None)
        patch.setattr(Path, "unlink", lambda *_a, **_k: None)
        with pytest.raises(Killed):
            run(*command)
    before = (tmp_path / "shared.db").read_bytes()
    assert run(*command) == 64
    assert (tmp_path / "shared.db").read_bytes() == before


def test_a_long_revocation_log_is_backed_up(sqlite_backup: Place, tmp_path: Path) -> None:
    line = json.dumps(
        {"at": NOW, "tenant": "elsewhere", "pass": f"{PERMIT}/1", "place": None, "x": "y" * 900}
    )
    log = f"{line}\n".encode() * 20_000
    assert len(log) > 17 * 1024 * 1024
    (tmp_path / TENANT / REVOCATIONS).write_bytes(log)
    sqlite_backup.file = tmp_path / "second"
    assert run("backup", "--data", tmp_path / TENANT, "--out", sqlite_backup.file, "--at", NOW) == 0
    assert sqlite_backup.restore("--accept-backup-log") == 0
    assert (sqlite_backup.folder / REVOCATIONS).read_bytes() == log


def test_only_this_citys_rows_are_taken(sqlite_backup: Place) -> None:
    assert sqlite_backup.restore("--accept-backup-log") == 0
    engine = connect_register(sqlite_backup.url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT tenant FROM tenants")).scalars().all() == [TENANT]
    engine.dispose()


def written(data: bytes, secret: KeyFile | Passphrase | None, pieces: int) -> bytes:
    file = io.BytesIO()
    writer = BackupWriter(file, secret)
    for start in range(0, len(data), pieces):
        writer.write(data[start : start + pieces])
    writer.close()
    return file.getvalue()


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000])
@pytest.mark.parametrize("pieces", [1000, 65_536, 1_000_000])
def test_the_file_gives_back_what_was_written(tmp_path: Path, size: int, pieces: int) -> None:
    key = create_key_file(tmp_path / "key")
    data = secrets.token_bytes(size)
    for secret in (key, None):
        file = written(data, secret, pieces)
        reader = BackupReader(io.BytesIO(file), key)
        read = b""
        while part := reader.read(7000):
            read += part
        assert read == data


CHUNK = 65_536 + 16


@pytest.mark.parametrize(
    "damage",
    [
        lambda head, body: head + body[CHUNK : 2 * CHUNK] + body[:CHUNK] + body[2 * CHUNK :],
        lambda head, body: head + body[: 2 * CHUNK],
        lambda head, body: head + body + body[2 * CHUNK :],
        lambda head, body: head + body[:CHUNK] + body[2 * CHUNK :],
        lambda head, body: head,
        lambda head, body: head.replace(b"hkdf", b"HKDF") + body,
    ],
    ids=["swapped", "cut", "longer", "left out", "empty", "head"],
)
def test_chunks_cannot_be_moved(tmp_path: Path, damage: Callable[[bytes, bytes], bytes]) -> None:
    key = create_key_file(tmp_path / "key")
    file = written(secrets.token_bytes(150_000), key, 65_536)
    cut = file.index(b"\n", file.index(b"\n") + 1) + 1
    with pytest.raises((BackupDamaged, KeyRefusal, IssuerRefusal)):
        BackupReader(io.BytesIO(damage(file[:cut], file[cut:])), key).read()
