"""Reminders 30, 14 and 3 days before the end: once each, to those who can still renew, where they are reached."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import update

from issuer import lifecycle
from issuer.application import Application
from issuer.lifecycle import Actor
from issuer.models import PassRow
from issuer.models_delivery import LetterRow, MailRow, ReminderRow, WalletPassRow
from issuer.nightly import reminders
from issuer.nightly.reminders import step_of
from issuer.nightly.reports import Report
from issuer.renewal import Renewal, renew
from passes.periods import BERLIN
from tests.issuer.nightly.samples import column, count, far_away, give_period, holder_of, report
from tests.service import PERMIT, City, running_numbers

FIRST, LAST = date(2026, 3, 1), date(2027, 2, 28)


@pytest.fixture
def number(application: Application) -> str:
    """A permit to the end of February 2027 whose holder has an address; all others are far from their end."""
    chosen = running_numbers(application)[0]
    far_away(application)
    give_period(application, chosen, FIRST, LAST)
    holder_of(application, chosen, email="erika@mail.example", language="de")
    return chosen


def night(application: Application, city: City, day: date, hour: int = 3) -> None:
    city.clock.at = datetime(day.year, day.month, day.day, hour, tzinfo=BERLIN)
    reminders.run(application, Report(application, day, reminders.NAME))


def sent(application: Application) -> list[int]:
    return sorted(column(application, ReminderRow.days), reverse=True)


@pytest.mark.parametrize(
    ("last", "today", "expected"),
    [
        (date(2027, 2, 28), date(2027, 1, 28), None),
        (date(2027, 2, 28), date(2027, 1, 29), 30),
        (date(2027, 2, 28), date(2027, 2, 13), 30),
        (date(2027, 2, 28), date(2027, 2, 14), 14),
        (date(2027, 2, 28), date(2027, 2, 25), 3),
        (date(2027, 2, 28), date(2027, 2, 28), 3),
        (date(2027, 2, 28), date(2027, 3, 1), None),
        # Leap day: a day more between.
        (date(2028, 3, 1), date(2028, 1, 31), 30),
        (date(2028, 3, 1), date(2028, 1, 30), None),
        (date(2028, 2, 29), date(2028, 2, 26), 3),
        # Days of 23 and 25 hours are days.
        (date(2027, 3, 31), date(2027, 3, 28), 3),
        (date(2026, 10, 28), date(2026, 10, 25), 3),
    ],
)
def test_which_reminder_a_day_brings(last: date, today: date, expected: int | None) -> None:
    assert step_of(date(2026, 3, 1), last, today) == expected


def test_a_short_pass_is_not_reminded_of_on_the_day_it_begins() -> None:
    first, last = date(2026, 11, 20), date(2026, 12, 19)
    assert [step_of(first, last, first + timedelta(days=n)) for n in (0, 10, 15, 16)] == [None, None, 14, 14]


def test_three_reminders_in_a_year(city: City, application: Application, number: str) -> None:
    day = date(2026, 12, 1)
    while day <= date(2027, 3, 3):
        night(application, city, day)
        day += timedelta(days=1)
    assert sent(application) == [30, 14, 3]
    assert report(application, reminders.NAME) == {"30-days-mail": 1, "14-days-mail": 1, "3-days-mail": 1}
    assert count(application, MailRow, kind="reminder") == 3
    assert count(application, LetterRow) == 0


def test_nights_that_were_missed_bring_the_newest_alone(
    city: City, application: Application, number: str
) -> None:
    night(application, city, date(2027, 2, 26))
    night(application, city, date(2027, 2, 27))
    assert sent(application) == [3]


def test_a_missed_day_is_made_up_for_the_day_after(city: City, application: Application, number: str) -> None:
    night(application, city, date(2027, 1, 30))
    assert sent(application) == [30]


def test_a_clock_that_was_set_back_sends_nothing_again(
    city: City, application: Application, number: str
) -> None:
    night(application, city, date(2027, 2, 25))
    night(application, city, date(2027, 2, 14))
    assert sent(application) == [3]


def test_the_clock_changes_in_between(city: City, application: Application) -> None:
    number = running_numbers(application)[0]
    far_away(application)
    give_period(application, number, date(2026, 4, 1), date(2027, 3, 31))
    for day in (date(2027, 3, 27), date(2027, 3, 28)):
        night(application, city, day)
    # The 28th has 23 hours and is three days before the end; the day before was four.
    assert sent(application) == [14, 3]


def test_without_an_address_there_is_a_letter(city: City, application: Application, number: str) -> None:
    holder_of(application, number, email="")
    night(application, city, date(2027, 1, 29))
    assert count(application, MailRow) == 0
    assert column(application, LetterRow.number) == [number]
    assert report(application, reminders.NAME) == {"30-days-letter": 1}


@pytest.mark.parametrize("step", ["revoke", "suspend"])
def test_nobody_is_reminded_of_what_does_not_hold(
    city: City, application: Application, number: str, step: str
) -> None:
    with application.writing() as session:
        actor = Actor("test", application.now(), "why")
        getattr(lifecycle, step)(session, application.tenant, PERMIT, number, actor=actor)
    night(application, city, date(2027, 1, 29))
    assert sent(application) == []


def test_who_has_renewed_is_left_in_peace_until_the_new_end(
    city: City, application: Application, number: str
) -> None:
    night(application, city, date(2027, 1, 29))
    pass_type = application.pass_types[PERMIT]
    with application.reading() as session:
        sealer = application.sealer(session, pass_type)
    with application.writing() as session:
        actor = Actor("test", application.now())
        renew(session, application.tenant, pass_type, number, Renewal(12), seal_for=sealer, actor=actor)
    night(application, city, date(2027, 2, 14))
    night(application, city, date(2027, 2, 26))
    assert sent(application) == [30]
    night(application, city, date(2028, 1, 30))
    assert sorted(column(application, ReminderRow.period_last)) == [LAST, date(2028, 2, 29)]


def test_who_has_a_successor_is_left_in_peace(city: City, application: Application, number: str) -> None:
    other = next(one for one in column(application, PassRow.number, type_id=PERMIT) if one != number)
    with application.writing() as session:
        session.execute(
            update(PassRow)
            .where(PassRow.tenant == application.tenant, PassRow.number == other)
            .values(replaces=number, status="active")
        )
    night(application, city, date(2027, 1, 29))
    assert sent(application) == []


def test_a_phone_with_google_wallet_rings(
    city: City, application: Application, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[tuple[str, dict[str, object]]] = []

    def note(self: Application, session: object, task: str, payload: dict[str, object], **_: object) -> bool:
        tasks.append((task, payload))
        return True

    monkeypatch.setattr(Application, "enqueue", note)
    with application.writing() as session:
        session.execute(
            update(WalletPassRow)
            .where(WalletPassRow.tenant == application.tenant, WalletPassRow.number == number)
            .values(google_wanted=True)
        )
    night(application, city, date(2027, 1, 29))
    (message,) = [payload for task, payload in tasks if task == "google-message"]
    assert message["message_id"] == "reminder-20270228-30"
    assert message["params"] == {"last": "28.02.2027"}
    assert len(sent(application)) == 1


def test_what_is_previewed_is_sent(city: City, application: Application, neighbour: Application) -> None:
    """With the demo's own passes, on a day with reminders of every step."""
    city.clock.at = datetime(2026, 11, 20, 3, tzinfo=BERLIN)
    with application.reading() as session:
        expected = reminders.preview(application, session)
    assert sum(expected.values()) >= 3
    night(application, city, date(2026, 11, 20))
    assert report(application, reminders.NAME) == expected
    with application.reading() as session:
        assert reminders.preview(application, session) == {}
    assert count(neighbour, ReminderRow) == 0


def test_a_run_that_was_killed_goes_on_where_it_was(
    city: City, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminders, "CHUNK", 1)
    city.clock.at = datetime(2026, 11, 20, 3, tzinfo=BERLIN)
    with application.reading() as session:
        expected = reminders.preview(application, session)
    whole = reminders.mail.tell_holder
    calls = 0

    def dies(*arguments: object) -> str:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(reminders.mail, "tell_holder", dies)
    with pytest.raises(KeyboardInterrupt):
        night(application, city, date(2026, 11, 20))
    assert sum(report(application, reminders.NAME).values()) == 2
    night(application, city, date(2026, 11, 20))
    assert report(application, reminders.NAME) == expected
    assert count(application, MailRow) + count(application, LetterRow) == sum(expected.values())
