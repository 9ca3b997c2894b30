"""A reminder on an iPhone: the night moves the pass on, the phone gets a push and finds a field that says so."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime
from typing import Any

from issuer.models_delivery import ReminderRow
from issuer.nightly.run import run_night
from issuer.renewal import Renewal, renew
from passes.periods import BERLIN
from tests.apple_phone import HeldPass
from tests.issuer.apple.conftest import Desk
from tests.issuer.apple.pushing import Start, run, waiting
from tests.issuer.nightly.samples import column, far_away, give_period
from tests.service import PERMIT, City

LAST = date(2027, 2, 28)


def night(desk: Desk, city: City, day: date) -> None:
    city.clock.at = datetime(day.year, day.month, day.day, 3, tzinfo=BERLIN)
    run_night(desk.application)


def reminder(held: HeldPass) -> dict[str, Any]:
    (field,) = [one for one in held.data["generic"]["backFields"] if one["key"] == "reminder"]
    return field


def english(held: HeldPass) -> str:
    with zipfile.ZipFile(io.BytesIO(held.archive)) as files:
        return files.read("en.lproj/pass.strings").decode()


def test_each_reminder_reaches_the_phone_once(desk: Desk, city: City, start: Start) -> None:
    number = desk.numbers[0]
    far_away(desk.application)
    give_period(desk.application, number, date(2026, 3, 1), LAST)
    serial, phone = desk.serial(number), desk.phone(number)
    server, pushing = start()
    run(pushing, *waiting(pushing))
    phone.on_push()
    assert "changeMessage" not in reminder(phone.get(serial))
    seal = phone.get(serial).data["barcodes"]
    said = set()
    for day, days in ((date(2027, 1, 29), 30), (date(2027, 2, 14), 14), (date(2027, 2, 25), 3)):
        pushed = len(server.pushes)
        night(desk, city, day)
        assert waiting(pushing) == [serial]
        run(pushing, serial)
        assert len(server.pushes) == pushed + 1
        assert phone.on_push() == [serial]
        field = reminder(phone.get(serial))
        assert f"28.02.2027, in höchstens {days} Tagen" in field["value"]
        assert field["changeMessage"] == "%@"
        line = next(one for one in english(phone.get(serial)).splitlines() if field["value"] in one)
        assert f"28 February 2027, in {days} days at most" in line
        said.add(field["value"])
        # The same night again, and the day after: nothing, and a pass fetched then is the one that was pushed.
        night(desk, city, day)
        city.clock.forward(days=1)
        run_night(desk.application)
        assert waiting(pushing) == []
        assert phone.on_push() == []
        assert not phone.fetch(serial)
        assert phone.read(desk.handed_out(serial)) == phone.get(serial).data
    assert len(said) == 3
    assert phone.get(serial).data["barcodes"] == seal
    assert server.violations == []


def test_who_has_renewed_is_reminded_of_nothing(desk: Desk, city: City) -> None:
    application, number = desk.application, desk.numbers[0]
    far_away(application)
    give_period(application, number, date(2026, 3, 1), LAST)
    serial, phone = desk.serial(number), desk.phone(number)
    night(desk, city, date(2027, 1, 29))
    phone.on_push()
    assert "changeMessage" in reminder(phone.get(serial))
    pass_type = application.pass_types[PERMIT]
    with application.writing() as session:
        sealer = application.sealer(session, pass_type)
        renew(
            session, application.tenant, pass_type, number, Renewal(12), seal_for=sealer, actor=desk._actor()
        )
    assert phone.on_push() == [serial]
    assert "changeMessage" not in reminder(phone.get(serial))
    night(desk, city, date(2027, 2, 14))
    assert phone.on_push() == []


def test_what_does_not_hold_shows_no_reminder(desk: Desk, city: City) -> None:
    revoked, suspended = desk.numbers[:2]
    far_away(desk.application)
    phone = desk.phone(revoked, suspended)
    serials = {desk.serial(revoked), desk.serial(suspended)}
    for number in (revoked, suspended):
        give_period(desk.application, number, date(2026, 3, 1), LAST)
    night(desk, city, date(2027, 1, 29))
    assert set(phone.on_push()) == serials
    desk.revoke(revoked)
    desk.suspend(suspended)
    assert set(phone.on_push()) == serials
    for serial in serials:
        assert phone.get(serial).voided
        assert "changeMessage" not in reminder(phone.get(serial))
    night(desk, city, date(2027, 2, 14))
    assert phone.on_push() == []
    assert set(column(desk.application, ReminderRow.days)) == {30}
