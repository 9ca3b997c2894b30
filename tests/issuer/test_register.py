"""Entering passes and reading them back."""

import multiprocessing
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from issuer import audit
from issuer.database import open_register, reading, writing
from issuer.errors import RegisterRefusal
from issuer.importing.check_file import check_rows
from issuer.importing.rows import read_rows
from issuer.models import AuditEntryRow, Base, HolderRow, PassRow, RevisionRow
from issuer.register import NewRevision, insert_passes, load_contents, plate_lines
from issuer.status_allocation import status_entries
from passes.model import PassStatus, RegisteredPlate
from passes.periods import BERLIN
from passes.plates import Plate
from passes.seasons import Season
from passes.status_list import Status
from tests.issuer.register_samples import (
    CARD,
    PERMIT,
    SAMPLES,
    TODAY,
    SampleRegister,
    row_text,
    sample_register,
    sample_rows,
    seal_for,
)

PERMITS = sample_rows("permits_valid.csv")
NUMBERS = [row["permit_id"] for row in PERMITS]


@pytest.fixture
def register(register_url: str) -> Iterator[SampleRegister]:
    with sample_register(register_url) as opened:
        opened.load("permits_valid.csv")
        yield opened


def test_contents_come_back_as_they_went_in(register: SampleRegister) -> None:
    checked = register.check("library_valid.csv")
    register.enter(checked)
    with register.reading() as session:
        contents = list(
            load_contents(session, register.tenant, CARD, [one.number for one in checked.accepted])
        )
    for row, content in zip(checked.accepted, contents, strict=True):
        assert content.number == row.number
        assert dict(content.attributes) == dict(row.attributes)
        assert (content.period, content.status, content.issued_at) == (row.period, row.status, TODAY)
        assert content.recipient is not None
        assert content.recipient.lines[0].endswith(row.holder.family_name)
    assert len({one.serial for one in contents}) == len({one.apple_token for one in contents}) == 200
    assert all(len(one.serial) == 32 and len(one.apple_token) == 64 for one in contents)


def test_plates_seasons_and_the_letters_lines(register: SampleRegister) -> None:
    with register.reading() as session:
        seasonal, missing = (
            list(load_contents(session, register.tenant, PERMIT, [number]))
            for number in (NUMBERS[55], "BPA-0000-000000")
        )
    assert missing == []
    assert seasonal[0].attributes["plates"] == (RegisteredPlate(Plate("D", "HX", "8900"), Season(8, 10)),)
    assert seasonal[0].recipient is not None
    assert seasonal[0].recipient.lines == ("Wolfgang Preuß", "Börsenwiesenweg 118", "40219 Düsseldorf")


def test_what_gets_a_seal_and_which_value_the_lists_say(register: SampleRegister) -> None:
    values = {
        "active": Status.VALID, "not_yet_valid": Status.VALID, "expired": Status.VALID,
        "superseded": Status.SUPERSEDED, "revoked": Status.INVALID, "suspended": Status.SUSPENDED,
    }  # fmt: skip
    with register.reading() as session:
        lists = {one.number: dict(one.entries) for one in status_entries(session, register.tenant)}
        contents = {one.number: one for one in load_contents(session, register.tenant, PERMIT, NUMBERS)}
    for row in PERMITS:
        seal = contents[row["permit_id"]].seal
        if row["status"] == "pending_payment":
            assert seal == ""
            continue
        list_number, index = map(int, seal.rsplit("/", 2)[1:])
        assert lists[list_number][index] == values[row["status"]]
    assert sum(len(entries) for entries in lists.values()) == 195


def test_the_plate_list_has_active_permits_of_the_window(register: SampleRegister) -> None:
    def entries(at: datetime, until: datetime) -> set[tuple[str, date]]:
        with register.reading() as session:
            found = [one.decode().split("\t") for one in plate_lines(session, register.tenant, at, until)]
        assert len({tuple(one[:4]) for one in found}) == len(found)
        return {(key, date.fromisoformat(last)) for key, _, last, *_ in found}

    window = entries(TODAY, TODAY + timedelta(hours=48))
    wanted = {
        (Plate.parse(row[column]).key, date.fromisoformat(row["valid_to"]))
        for row in PERMITS
        for column in ("plate_1", "plate_2")
        if row["status"] in ("active", "not_yet_valid") and row[column] and row["valid_from"] <= "2026-11-22"
    }
    assert window == wanted
    last_moment = datetime(2026, 11, 20, 23, 59, tzinfo=BERLIN)
    ends_today, starts_tomorrow = PERMITS[13], PERMITS[16]
    today = entries(last_moment, last_moment)
    tomorrow = entries(last_moment + timedelta(minutes=1), last_moment + timedelta(minutes=1))
    for row, listed in ((ends_today, (True, False)), (starts_tomorrow, (False, True))):
        key = (Plate.parse(row["plate_1"]).key, date.fromisoformat(row["valid_to"]))
        assert (key in today, key in tomorrow) == listed


def test_the_tenants_do_not_see_each_other(register: SampleRegister) -> None:
    with register.reading() as session:
        assert list(load_contents(session, "neuss", PERMIT, NUMBERS)) == []
        assert list(plate_lines(session, "neuss", TODAY, TODAY)) == []
        assert list(status_entries(session, "neuss")) == []
    other = register.load("permits_valid.csv", tenant="neuss")
    assert (len(other.accepted), other.unchanged) == (200, ())
    with register.reading() as session:
        here = {one.number: one for one in load_contents(session, register.tenant, PERMIT, NUMBERS)}
        there = {one.number: one for one in load_contents(session, "neuss", PERMIT, NUMBERS)}
        assert audit.verify(session, "neuss").entries == 200
        records = [
            session.get_one(PassRow, (tenant, PERMIT.id, NUMBERS[0])).record
            for tenant in (register.tenant, "neuss")
        ]
    assert here.keys() == there.keys()
    assert not {one.serial for one in here.values()} & {one.serial for one in there.values()}
    assert records[0]["family_name"] != records[1]["family_name"]


def test_cards_of_another_tenant_are_no_duplicates(register: SampleRegister) -> None:
    register.load("library_valid.csv", tenant="neuss")
    checked = register.check("library_bad.csv")
    assert "DUPLICATE_CARD" not in {one.code for one in checked.findings}
    assert "DUPLICATE_CARD" in {
        one.code for one in register.check("library_bad.csv", tenant="neuss").findings
    }


def test_birth_dates_are_stored_only_while_they_decide_something_and_names_with_the_holder(
    register: SampleRegister, tmp_path: Path
) -> None:
    register.load("library_valid.csv")
    register.load("permits_legacy_cp1252.csv", encoding="cp1252", tenant="neuss")
    with register.reading() as session:
        texts = " ".join(
            str(value)
            for table in (PassRow, RevisionRow, AuditEntryRow)
            for row in session.execute(select(*table.__table__.columns))
            for value in row
        )
        holders = session.scalars(select(HolderRow.ref).where(HolderRow.tenant == "neuss")).all()
    for row in PERMITS:
        for column in ("family_name", "given_name", "street", "email"):
            assert len(row[column]) < 4 or row[column] not in texts
    data = b"".join(file.read_bytes() for file in tmp_path.iterdir()) or _all_rows(register)
    members = [row["birth_date"] for row in sample_rows("library_valid.csv") if row["birth_date"]]
    # Until the 21st birthday a library has to know the age; nobody has to know that of anybody else.
    born = [day for day in members if day <= "2005-11-20"]
    assert len(born) > 100
    legacy = (SAMPLES / "permits_legacy_cp1252.csv").read_text("cp1252").splitlines()[1:]
    # One holder for each name and address: the columns behind the number without the birth date.
    assert len(holders) == len({(*line.split(";")[1:4], *line.split(";")[5:9]) for line in legacy})
    born += [line.split(";")[4] for line in legacy]
    born += ["-".join(reversed(line.split(";")[4].split("."))) for line in legacy]
    assert len(PERMITS[0]["family_name"]) > 40
    assert PERMITS[0]["family_name"].encode() in data
    assert not [day for day in born if day.encode() in data]


def test_a_place_is_never_used_twice(register: SampleRegister) -> None:
    with register.reading() as session:
        taken = session.execute(
            select(RevisionRow.list_number, RevisionRow.list_index).where(RevisionRow.number == NUMBERS[0])
        ).one()
    place = (taken.list_number, taken.list_index)
    again = NewRevision(register.tenant, PERMIT.id, NUMBERS[0], 2, {}, place, Status.VALID, None, TODAY).row()
    with pytest.raises(IntegrityError, match="list_index"), register.writing() as session:
        session.execute(insert(RevisionRow), [again | {"superseded_at": TODAY}])
    with pytest.raises(IntegrityError), register.writing() as session:
        session.execute(insert(RevisionRow), [again | {"list_number": None, "list_index": None}])


def test_each_pass_has_its_audit_entry(register: SampleRegister) -> None:
    with register.reading() as session:
        report = audit.verify(session, register.tenant)
        (entry,) = audit.history(session, register.tenant, f"{PERMIT.id}/{NUMBERS[80]}")
    assert (report.entries, report.fault) == (200, None)
    assert entry.after is not None
    assert (entry.action, entry.actor, entry.after["plates"]) == (
        "import", "clerk", [PERMITS[80]["plate_1"], PERMITS[80]["plate_2"]],
    )  # fmt: skip


def test_rows_entered_meanwhile_are_left_out_or_refused(register: SampleRegister) -> None:
    first = register.check_text(row_text("permits_valid.csv", permit_id="N-1", holder_ref="H-1"))
    other = register.check_text(row_text("permits_valid.csv", permit_id="N-1", holder_ref="H-2"))
    assert len(register.enter(first)) == 1
    assert register.enter(first) == []
    with pytest.raises(RegisterRefusal) as caught:
        register.enter(other)
    assert caught.value.code == "REGISTER_CHANGED"


def test_a_card_taken_meanwhile_is_refused_and_nothing_enters(register: SampleRegister) -> None:
    checked = [
        register.check_text(row_text("library_valid.csv", member_id=number), CARD)
        for number in ("A-1", "A-2")
    ]
    register.enter(checked[0])
    with pytest.raises(RegisterRefusal) as caught:
        register.enter(checked[1])
    assert caught.value.code == "REGISTER_CHANGED"
    with register.reading() as session:
        assert list(load_contents(session, register.tenant, CARD, ["A-2"])) == []
        assert session.get(HolderRow, (register.tenant, f"{CARD.id}:A-2")) is None


def test_the_newest_row_of_a_holder_counts_and_another_name_is_named(register: SampleRegister) -> None:
    moved = register.check_text(row_text("permits_valid.csv", permit_id="N-1", street="Neue Straße"))
    assert moved.findings == ()
    register.enter(moved)
    renamed = register.check_text(row_text("permits_valid.csv", permit_id="N-2", family_name="Anders"))
    assert [one.code for one in renamed.findings] == ["HOLDER_DIFFERS"]
    with register.reading() as session:
        (content,) = load_contents(session, register.tenant, PERMIT, [NUMBERS[0]])
    assert content.recipient is not None
    assert content.recipient.lines[1] == "Neue Straße 17"
    assert len(register.check("permits_valid.csv").unchanged) == 200


def _all_rows(register: SampleRegister) -> bytes:
    """What the database holds, where it is no file that could be read."""
    with register.reading() as session:
        rows = [
            row for table in Base.metadata.sorted_tables for row in session.execute(select(*table.columns))
        ]
    return "\n".join(str(value) for row in rows for value in row).encode()


def _load_in_process(url: str, start: "multiprocessing.synchronize.Barrier") -> None:
    engine = open_register(url)
    file = read_rows(SAMPLES / "library_valid.csv", CARD)
    with reading(engine) as session:
        checked = check_rows(session, "duesseldorf", CARD, file, TODAY)
    start.wait(timeout=60)
    for place in range(0, 200, 50):
        with writing(engine) as session:
            rows = checked.accepted[place : place + 50]
            insert_passes(session, "duesseldorf", rows, seal_for, at=TODAY, actor="clerk")
    engine.dispose()


def test_two_processes_with_the_same_file_enter_it_once(register: SampleRegister, register_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    processes = [context.Process(target=_load_in_process, args=(register_url, start)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0, 0]
    with register.reading() as session:
        revisions = session.scalar(
            select(func.count()).select_from(RevisionRow).where(RevisionRow.type_id == CARD.id)
        )
        report = audit.verify(session, register.tenant)
    assert (revisions, report.entries, report.fault) == (200, 400, None)


def test_expired_rows_are_entered_as_expired(register: SampleRegister) -> None:
    at = datetime(2030, 1, 1, tzinfo=BERLIN)
    register.load("permits_valid.csv", at, tenant="neuss")
    with register.reading() as session:
        statuses = {one.status for one in load_contents(session, "neuss", PERMIT, NUMBERS)}
        assert list(plate_lines(session, "neuss", at, at)) == []
    assert PassStatus.ACTIVE not in statuses
