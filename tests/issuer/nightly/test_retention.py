"""What is deleted when, that it is what was previewed, and what stays: places, the audit trail, other cities."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select, update

from issuer import audit, lifecycle
from issuer.application import Application
from issuer.lifecycle import Actor
from issuer.list_content import KEPT
from issuer.models import HolderRow, PassRow, PassTermRow, RevisionRow, StatusListRow, WithdrawnPlaceRow
from issuer.models_access import (
    AccessTokenRow,
    IdempotencyRow,
    JobFindingRow,
    JobRow,
    LetterCodeRow,
    PickupLinkRow,
    VisitRow,
)
from issuer.models_delivery import (
    AppleDeviceRow,
    AppleLogRow,
    AppleRegistrationRow,
    GoogleMessageRow,
    GoogleNonceRow,
    LetterRow,
    MailRow,
    NightlyRunRow,
    ReminderRow,
    WalletPassRow,
    WebhookDeliveryRow,
)
from issuer.nightly import retention
from issuer.nightly.removals import delete_some
from issuer.nightly.reports import Report
from issuer.register import subject
from issuer.status_allocation import allocate, not_valid
from passes.periods import berlin_day
from tests.issuer.nightly.samples import (
    column,
    count,
    far_away,
    give_period,
    holder_of,
    report,
    snapshot,
)
from tests.service import CARD, PERMIT, TODAY, City, running_numbers

LAST = date(2026, 11, 20)
KEPT_DAYS = 183


def night(application: Application) -> None:
    retention.run(application, Report(application, berlin_day(application.now()), retention.NAME))


def previewed(application: Application) -> dict[str, int]:
    with application.reading() as session:
        return retention.preview(application, session)


@pytest.fixture
def number(application: Application) -> str:
    """A permit that ends today, with a holder of its own; all others hold for years."""
    chosen = running_numbers(application)[0]
    far_away(application)
    give_period(application, chosen, date(2025, 11, 21), LAST)
    ref = holder_of(application, chosen)
    with application.writing() as session:
        others = session.scalars(
            select(PassRow).where(PassRow.tenant == application.tenant, PassRow.holder_ref == ref)
        ).all()
        spare = session.scalars(
            select(PassRow.holder_ref).where(PassRow.tenant == application.tenant, PassRow.holder_ref != ref)
        ).first()
        for row in others:
            if row.number != chosen and spare is not None:
                row.holder_ref = spare
    return chosen


def serial_of(application: Application, number: str) -> str:
    return str(column(application, WalletPassRow.serial, number=number, type_id=PERMIT)[0])


def put(application: Application, table: Any, **values: Any) -> None:
    with application.writing() as session:
        session.execute(insert(table), [{"tenant": application.tenant, **values}])


def hang_on(application: Application, number: str) -> None:
    """Give the permit one row of everything that can hang on a pass."""
    serial, far = serial_of(application, number), datetime(2040, 1, 1, tzinfo=TODAY.tzinfo)
    of_pass = {"type_id": PERMIT, "number": number}
    put(application, AppleDeviceRow, device_id="d1", push_token="ab", created_at=TODAY, updated_at=TODAY)
    put(application, AppleRegistrationRow, device_id="d1", serial=serial, created_at=TODAY)
    put(application, GoogleMessageRow, serial=serial, message_id="m", sent_at=far)
    put(application, MailRow, id="m1", kind="pickup", params={}, created_at=TODAY, **of_pass)
    put(application, LetterRow, id="l1", kind="pickup", params={}, created_at=TODAY, **of_pass)
    put(application, ReminderRow, period_last=LAST, days=3, channel="mail", created_at=TODAY, **of_pass)
    put(
        application,
        PickupLinkRow,
        token_hash="t",
        channel="mail",
        created_at=TODAY,
        expires_at=far,
        **of_pass,
    )
    put(application, LetterCodeRow, code_hash="c", created_at=TODAY, expires_at=far, tries_left=5, **of_pass)
    put(application, VisitRow, visit_hash="v", channel="mail", started_at=TODAY, expires_at=far, **of_pass)


def test_a_pass_goes_on_the_day_that_was_promised_with_all_that_hangs_on_it(
    city: City, application: Application, neighbour: Application, number: str
) -> None:
    hang_on(application, number)
    ref = holder_of(application, number)
    others = snapshot(neighbour)
    city.clock.forward(days=KEPT_DAYS - 1)
    night(application)
    assert count(application, PassRow, number=number, type_id=PERMIT) == 1
    assert count(application, HolderRow, ref=ref) == 1
    city.clock.forward(days=1)
    night(application)
    for table in (
        PassRow,
        RevisionRow,
        PassTermRow,
        WalletPassRow,
        MailRow,
        LetterRow,
        PickupLinkRow,
        LetterCodeRow,
        VisitRow,
    ):
        assert count(application, table, number=number, type_id=PERMIT) == 0, table.__tablename__
    for table in (AppleDeviceRow, AppleRegistrationRow, GoogleMessageRow):
        assert count(application, table) == 0, table.__tablename__
    assert count(application, HolderRow, ref=ref) == 0
    assert count(application, PassRow) == 79
    assert snapshot(neighbour) == others


def test_the_audit_trail_stays_whole(city: City, application: Application, number: str) -> None:
    city.clock.forward(days=KEPT_DAYS)
    night(application)
    with application.reading() as session:
        entries = audit.history(session, application.tenant, subject(PERMIT, number))
        assert audit.verify(session, application.tenant).fault is None
    assert [one.action for one in entries] == ["import", "delete"]
    assert entries[-1].actor == "nightly"


def test_what_was_invalid_stays_invalid_as_long_as_lists_are_published(
    city: City, application: Application, number: str
) -> None:
    with application.writing() as session:
        actor = Actor("test", application.now(), "why")
        lifecycle.revoke(session, application.tenant, PERMIT, number, actor=actor)
    (list_number,) = column(application, RevisionRow.list_number, number=number, type_id=PERMIT)
    (index,) = column(application, RevisionRow.list_index, number=number, type_id=PERMIT)
    city.clock.forward(days=KEPT_DAYS)
    with application.reading() as session:
        before = sorted(not_valid(session, application.tenant))
    assert (list_number, index, 1) in before
    night(application)
    with application.reading() as session:
        assert sorted(not_valid(session, application.tenant)) == before
    city.clock.at = datetime(2041, 3, 1, tzinfo=TODAY.tzinfo) + KEPT
    night(application)
    assert count(application, WithdrawnPlaceRow) == 0


def test_places_withdrawn_before_are_not_all_read(city: City, application: Application, number: str) -> None:
    with application.writing() as session:
        actor = Actor("test", application.now(), "why")
        lifecycle.revoke(session, application.tenant, PERMIT, number, actor=actor)
        own = session.execute(
            select(RevisionRow.list_number, RevisionRow.list_index).where(
                RevisionRow.tenant == application.tenant,
                RevisionRow.type_id == PERMIT,
                RevisionRow.number == number,
            )
        ).one()
        # One that a restore has noted already, and many that have nothing to do with the pass.
        taken = {own.list_index} | {index for index in range(2000, 5000) if index != own.list_index}
        session.execute(
            insert(WithdrawnPlaceRow),
            [
                {
                    "tenant": application.tenant,
                    "list_number": own.list_number,
                    "list_index": index,
                    "status_value": 1,
                    "at": TODAY,
                }
                for index in sorted(taken)
            ],
        )
    city.clock.forward(days=KEPT_DAYS)
    read: list[int] = []
    with application.writing() as session:

        def look(
            connection: Connection,
            _cursor: object,
            statement: str,
            values: Any,
            _context: object,
            _many: bool,
        ) -> None:
            if statement.startswith("SELECT") and "FROM withdrawn_places" in statement:
                cursor = connection.connection.cursor()
                cursor.execute(statement, values)
                read.append(len(cursor.fetchall()))
                cursor.close()

        connection = session.connection()
        event.listen(connection, "after_cursor_execute", look)
        assert delete_some(session, application) == 1
        event.remove(connection, "after_cursor_execute", look)
    assert read == [1]
    assert count(application, WithdrawnPlaceRow) == len(taken)


def test_no_place_is_given_out_again(city: City, application: Application, number: str) -> None:
    (list_number,) = column(application, RevisionRow.list_number, number=number, type_id=PERMIT)
    city.clock.forward(days=KEPT_DAYS)
    night(application)
    with application.writing() as session:
        row = session.get(StatusListRow, (application.tenant, list_number))
        assert row is not None
        half = date(int(row.half_year[:4]), 6 if row.half_year.endswith("H1") else 12, 30)
        places = allocate(session, application.tenant, PERMIT, half, 50)
    assert list_number not in {place for place, _ in places}


def test_a_holder_with_another_pass_stays(city: City, application: Application, number: str) -> None:
    ref = holder_of(application, number)
    other = column(application, PassRow.number, type_id=CARD)[0]
    with application.writing() as session:
        session.execute(
            update(PassRow)
            .where(PassRow.tenant == application.tenant, PassRow.number == other)
            .values(holder_ref=ref)
        )
    city.clock.forward(days=KEPT_DAYS)
    night(application)
    assert count(application, HolderRow, ref=ref) == 1
    assert count(application, PassRow, number=number, type_id=PERMIT) == 0


def wallet(application: Application, number: str) -> WalletPassRow | None:
    with application.reading() as session:
        return session.scalars(
            select(WalletPassRow).filter_by(tenant=application.tenant, number=number, type_id=PERMIT)
        ).first()


def test_google_is_emptied_first(city: City, number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STADTPASS_GOOGLE_ENABLED", "true")
    application = city.open()
    with application.writing() as session:
        session.execute(
            update(WalletPassRow)
            .where(WalletPassRow.tenant == application.tenant, WalletPassRow.number == number)
            .values(google_wanted=True, google_tag=1)
        )
    city.clock.forward(days=KEPT_DAYS - 3)
    night(application)
    told = wallet(application, number)
    assert told is not None
    assert told.withdrawn_at == application.now()
    assert told.google_tag < told.update_tag
    city.clock.forward(days=10)
    night(application)
    assert wallet(application, number) is not None
    with application.writing() as session:
        session.execute(
            update(WalletPassRow)
            .where(WalletPassRow.tenant == application.tenant, WalletPassRow.number == number)
            .values(google_tag=WalletPassRow.update_tag)
        )
    night(application)
    assert wallet(application, number) is None


def test_an_outage_at_google_does_not_keep_data_for_ever(
    city: City, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STADTPASS_GOOGLE_ENABLED", "true")
    application = city.open()
    with application.writing() as session:
        session.execute(
            update(WalletPassRow)
            .where(WalletPassRow.tenant == application.tenant, WalletPassRow.number == number)
            .values(google_wanted=True, google_tag=1)
        )
    city.clock.forward(days=KEPT_DAYS + 29)
    night(application)
    assert wallet(application, number) is not None
    city.clock.forward(days=1)
    night(application)
    assert wallet(application, number) is None


def fill(application: Application, at: datetime) -> None:
    """One row for each rule with ``at`` as the time that counts."""
    tag = at.strftime("%Y%m%d%H%M%S")
    nobody = {"type_id": PERMIT, "number": "NOBODY"}
    put(
        application,
        AppleDeviceRow,
        device_id=f"failing-{tag}",
        push_token="ab",
        created_at=at,
        updated_at=at,
        failing_since=at,
    )
    put(application, AppleLogRow, id=tag, at=at, message="m")
    put(application, GoogleNonceRow, nonce_hash=tag, expires_at=at)
    put(application, GoogleMessageRow, serial="s", message_id=tag, sent_at=at)
    put(application, PickupLinkRow, token_hash=tag, channel="mail", created_at=at, expires_at=at, **nobody)
    put(application, LetterCodeRow, code_hash=tag, created_at=at, expires_at=at, tries_left=5, **nobody)
    put(application, VisitRow, visit_hash=tag, channel="mail", started_at=at, expires_at=at, **nobody)
    put(application, AccessTokenRow, token_hash=tag, client_id="c", scopes=[], expires_at=at)
    put(
        application,
        IdempotencyRow,
        client_id="c",
        key=tag,
        request_hash="h",
        status=200,
        headers={},
        body=b"",
        created_at=at,
    )
    put(
        application,
        JobRow,
        id=tag,
        kind="import",
        actor="a",
        state="done",
        params={},
        report={},
        created_at=at,
        finished_at=at,
    )
    put(
        application,
        JobFindingRow,
        job_id=tag,
        n=1,
        severity="error",
        code="C",
        text="C",
        package="issuer",
        params={},
    )
    put(application, MailRow, id=tag, kind="pickup", params={}, created_at=at, sent_at=at, **nobody)
    put(application, LetterRow, id=tag, kind="pickup", params={}, created_at=at, printed_at=at, **nobody)
    put(
        application,
        WebhookDeliveryRow,
        id=tag,
        endpoint_id="e",
        event="pass.issued",
        payload="{}",
        created_at=at,
        delivered_at=at,
    )
    put(application, ReminderRow, period_last=at.date(), days=3, channel="mail", created_at=at, **nobody)
    put(application, NightlyRunRow, day=at.date(), name="expiry", started_at=at, report={})


DAYS = {
    "apple_devices": 90,
    "apple_logs": 14,
    "google_nonces": 0,
    "google_messages": 14,
    "pickup_links": 14,
    "letter_codes": 0,
    "visits": 0,
    "access_tokens": 0,
    "idempotency_keys": 1,
    "jobs": 30,
    "mails": 90,
    "letters": 90,
    "webhook_deliveries": 30,
    "reminders": 183,
    "nightly_runs": 1098,
}


def test_each_rule_waits_as_long_as_it_says(city: City, application: Application) -> None:
    far_away(application)
    with application.writing() as session:
        session.execute(update(PassRow).values(period_last=date(2060, 12, 31)))
    fill(application, TODAY)
    # A device has to be registered, or it goes after a day.
    serial = column(application, WalletPassRow.serial)[0]
    (device,) = column(application, AppleDeviceRow.device_id)
    put(application, AppleRegistrationRow, device_id=device, serial=serial, created_at=TODAY)
    gone_after: dict[str, int] = {}
    for days in sorted({*DAYS.values(), *(one + 1 for one in DAYS.values())}):
        city.clock.at = TODAY + timedelta(days=days, seconds=-1)
        for name in previewed(application):
            gone_after.setdefault(name, days - 1)
    assert gone_after == {name: days if days else 0 for name, days in DAYS.items()}


def test_what_is_previewed_is_deleted_and_a_second_run_deletes_nothing(
    city: City, application: Application, neighbour: Application, number: str
) -> None:
    hang_on(application, number)
    for days in range(0, 1200, 40):
        fill(application, TODAY + timedelta(days=days))
    fill(neighbour, TODAY)
    others = snapshot(neighbour)
    city.clock.forward(days=1150)
    expected = previewed(application)
    assert set(DAYS) <= set(expected)
    assert (expected["passes"], expected["holders"]) == (1, 1)
    night(application)
    assert report(application, retention.NAME) == expected
    assert previewed(application) == {}
    after = snapshot(application)
    night(application)
    assert snapshot(application) == after
    assert snapshot(neighbour) == others


def test_a_run_in_small_chunks_deletes_the_same(
    city: City, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CHUNK", 3)
    monkeypatch.setattr(retention.removals, "CHUNK", 3)
    city.clock.forward(days=2 * 366)
    expected = previewed(application)
    assert expected["passes"] > 20
    night(application)
    assert report(application, retention.NAME) == expected
    assert previewed(application) == {}


def test_mails_in_a_folder_go_as_well(city: City, application: Application) -> None:
    folder = city.folder / "mail"
    folder.mkdir()
    old, young, foreign = (
        f"20260801T000000Z-{'a' * 32}.eml",
        f"20261101T000000Z-{'b' * 32}.eml",
        "notes.txt",
    )
    for name in (old, young, foreign):
        (folder / name).write_text("x")
    assert previewed(application)["mail_files"] == 1
    night(application)
    assert sorted(file.name for file in folder.iterdir()) == sorted([young, foreign])
    assert report(application, retention.NAME)["mail_files"] == 1


def test_what_is_still_under_way_stays(city: City, application: Application) -> None:
    far_away(application)
    put(application, MailRow, id="m", kind="pickup", params={}, created_at=TODAY, type_id=PERMIT, number="1")
    put(
        application, LetterRow, id="l", kind="pickup", params={}, created_at=TODAY, type_id=PERMIT, number="1"
    )
    city.clock.forward(days=1000)
    night(application)
    assert (count(application, MailRow), count(application, LetterRow)) == (1, 1)
