"""The five endpoints as phones use them, and what earlier servers got wrong about them."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

from sqlalchemy import select

from issuer.application import Application
from issuer.models_delivery import (
    AppleDeviceRow,
    AppleRegistrationRow,
    WalletPassRow,
    WebhookDeliveryRow,
    WebhookEndpointRow,
)
from tests.issuer.apple.conftest import Desk
from tests.service import City

KIND = "pass.example.stadtpass.demo"


def registrations(application: Application) -> list[tuple[str, str]]:
    with application.reading() as session:
        rows = session.execute(
            select(AppleRegistrationRow.device_id, AppleRegistrationRow.serial).where(
                AppleRegistrationRow.tenant == application.tenant
            )
        )
        return sorted((device, serial) for device, serial in rows)


def devices(application: Application) -> dict[str, str]:
    with application.reading() as session:
        rows = session.execute(
            select(AppleDeviceRow.device_id, AppleDeviceRow.push_token).where(
                AppleDeviceRow.tenant == application.tenant
            )
        )
        return dict(rows.all())


def test_a_phone_registers_hears_of_a_change_and_fetches_it(desk: Desk) -> None:
    number = desk.numbers[0]
    phone = desk.phone(number)
    serial = desk.serial(number)
    assert phone.on_push() == [serial]
    assert not phone.get(serial).voided
    assert phone.on_push() == []
    desk.suspend(number)
    assert phone.on_push() == [serial]
    assert phone.get(serial).voided
    desk.resume(number)
    assert phone.on_push() == [serial]
    assert not phone.get(serial).voided


def test_registering_is_201_once_and_200_after_that_not_always_200_or_201(desk: Desk) -> None:
    """edutap and zuegli always answer 200."""
    phone = desk.phone(desk.numbers[0])
    assert phone.register(desk.serial(desk.numbers[0])) == 200
    assert len(registrations(desk.application)) == 1


def test_a_new_push_token_replaces_the_old_one_for_all_passes_of_the_device(desk: Desk) -> None:
    """django-walletpass keeps the old token; vapor stores the new one on an orphan row."""
    first, second = desk.numbers[:2]
    phone = desk.phone(first, second)
    phone.push_token = "ab" * 32
    assert phone.register(desk.serial(first)) == 200
    assert devices(desk.application) == {phone.device_id: "ab" * 32}
    assert len(registrations(desk.application)) == 2


def test_three_changes_in_one_transaction_all_arrive(desk: Desk) -> None:
    """django-walletpass lists only the newest of them, and the others never again."""
    numbers = desk.numbers[:3]
    phone = desk.phone(*numbers)
    phone.on_push()
    desk.suspend(*numbers)
    assert sorted(phone.on_push()) == sorted(map(desk.serial, numbers))


def test_changes_within_one_second_are_told_apart(desk: Desk) -> None:
    """Servers with a clock of seconds as tag skip the second change, or answer 304 to it."""
    number = desk.numbers[0]
    phone = desk.phone(number)
    phone.on_push()
    desk.suspend(number)
    assert phone.on_push() == [desk.serial(number)]
    # The clock stands still.
    desk.resume(number)
    assert phone.on_push() == [desk.serial(number)]
    assert not phone.get(desk.serial(number)).voided


def test_a_change_between_two_lists_in_the_same_second_is_not_skipped(desk: Desk) -> None:
    """zuegli adds one to its tag of seconds; laravel-mobile-pass truncates it."""
    first, second = desk.numbers[:2]
    phone = desk.phone(first, second)
    phone.on_push()
    desk.suspend(first)
    assert phone.on_push() == [desk.serial(first)]
    desk.suspend(second)
    assert phone.on_push() == [desk.serial(second)]


def test_a_pass_that_changed_before_it_was_registered_is_fetched_although_the_phone_has_a_newer_tag(
    desk: Desk, city: City
) -> None:
    old, other = desk.numbers[:2]
    downloaded = desk.handed_out(desk.serial(old))
    phone = desk.phone(other)
    phone.on_push()
    city.clock.forward(minutes=1)
    desk.suspend(old)
    city.clock.forward(minutes=1)
    desk.suspend(other)
    assert phone.on_push() == [desk.serial(other)]
    # The phone's tag is newer than the change of the pass that it adds now.
    assert phone.add(downloaded) == 201
    assert phone.on_push() == [desk.serial(old)]
    assert phone.get(desk.serial(old)).voided


def test_the_list_shows_a_device_its_own_passes_only(desk: Desk) -> None:
    """edutap's list ignores the device."""
    first, second = desk.numbers[:2]
    phone, other = desk.phone(first), desk.phone(second)
    assert phone.on_push() == [desk.serial(first)]
    assert other.on_push() == [desk.serial(second)]


def test_a_list_without_anything_is_204_and_empty_for_unknown_devices_too(desk: Desk) -> None:
    """zuegli and edutap answer 200 with an empty list, django-walletpass 400."""
    for device in ("0" * 32, "unknown"):
        answer = desk.web.get(f"/apple/v1/devices/{device}/registrations/{KIND}")
        assert (answer.status_code, answer.content) == (204, b"")


def test_a_garbage_tag_lists_everything_and_is_no_500(desk: Desk) -> None:
    """django-walletpass dies of it."""
    number = desk.numbers[0]
    phone = desk.phone(number)
    path = f"/apple/v1/devices/{phone.device_id}/registrations/{KIND}"
    for tag in ("garbage", "", "-1", "1.5", "9" * 400, "%00", "²", "1e3"):
        answer = desk.web.get(f"{path}?passesUpdatedSince={tag}")
        assert answer.status_code == 200, tag
        assert answer.json()["serialNumbers"] == [desk.serial(number)]


def test_a_list_of_another_pass_type_is_empty(desk: Desk) -> None:
    phone = desk.phone(desk.numbers[0])
    answer = desk.web.get(f"/apple/v1/devices/{phone.device_id}/registrations/pass.other")
    assert (answer.status_code, answer.content) == (204, b"")


def test_unregistering_one_pass_leaves_the_others(desk: Desk) -> None:
    """edutap deletes all registrations of the device; laravel-mobile-pass answers 204."""
    first, second = desk.numbers[:2]
    phone = desk.phone(first, second)
    other = desk.phone(first)
    assert phone.remove(desk.serial(first)) == 200
    assert registrations(desk.application) == sorted(
        [(phone.device_id, desk.serial(second)), (other.device_id, desk.serial(first))]
    )
    assert phone.remove(desk.serial(second)) == 200
    assert devices(desk.application) == {other.device_id: other.push_token}


def test_unregistering_twice_is_no_fault(desk: Desk) -> None:
    number = desk.numbers[0]
    phone = desk.phone(number)
    held = phone.get(desk.serial(number))
    assert phone.remove(held.serial) == 200
    phone.passes[KIND, held.serial] = held
    assert phone.remove(held.serial) == 200


def test_carriers_that_come_and_go_are_told_once_each(desk: Desk) -> None:
    application = desk.application
    with application.writing() as session:
        session.add(
            WebhookEndpointRow(
                tenant=application.tenant,
                id="0" * 32,
                url="https://dms.example/hook",
                events=["carrier.added", "carrier.removed"],
                created_at=application.now(),
                disabled_at=None,
            )
        )
    number = desk.numbers[0]
    phone = desk.phone(number)
    phone.register(desk.serial(number))
    phone.remove(desk.serial(number))
    with application.reading() as session:
        events = sorted(session.scalars(select(WebhookDeliveryRow.event)))
        payloads = " ".join(session.scalars(select(WebhookDeliveryRow.payload)))
    assert events == ["carrier.added", "carrier.removed"]
    assert number in payloads
    assert phone.device_id not in payloads


# ---- fetching


def test_last_modified_is_that_of_the_pass_and_stays_until_it_changes(desk: Desk, city: City) -> None:
    """edutap and webservice-toolkit send the time of the request."""
    number = desk.numbers[0]
    phone = desk.phone(number)
    serial = desk.serial(number)
    assert phone.fetch(serial)
    first = phone.get(serial).modified
    city.clock.forward(hours=1)
    phone.get(serial).modified = ""
    assert phone.fetch(serial)
    assert phone.get(serial).modified == first == format_datetime(desk.found(serial).modified_at, usegmt=True)


def test_what_has_not_changed_is_304_for_each_form_of_date(desk: Desk) -> None:
    """vapor parses the date as a number, so never answers 304."""
    number = desk.numbers[0]
    phone = desk.phone(number)
    held = desk.found(desk.serial(number))
    at = held.modified_at
    path = f"/apple/v1/passes/{KIND}/{held.serial}"
    forms = (
        format_datetime(at, usegmt=True),
        at.strftime("%A, %d-%b-%y %H:%M:%S GMT"),
        at.strftime("%a %b %e %H:%M:%S %Y"),
        format_datetime(at + timedelta(hours=1), usegmt=True),
    )
    credentials = {"authorization": f"ApplePass {held.apple_token}"}
    for form in forms:
        answer = desk.web.get(path, headers={**credentials, "if-modified-since": form})
        assert (answer.status_code, answer.content) == (304, b""), form
    earlier = format_datetime(at - timedelta(seconds=1), usegmt=True)
    for form in (earlier, "yesterday", "", "0", "Thu, 99 Foo 99999 99:99:99 GMT", "x" * 5000, "1e400", "("):
        answer = desk.web.get(path, headers={**credentials, "if-modified-since": form})
        assert answer.status_code == 200, form
    assert phone.read(answer.content)["serialNumber"] == held.serial


def test_a_date_tells_nothing_without_the_token(desk: Desk) -> None:
    """zuegli looks at the date before it looks at the token."""
    held = desk.found(desk.serial(desk.numbers[0]))
    for at in (held.modified_at, held.modified_at - timedelta(days=1)):
        headers = {"if-modified-since": format_datetime(at, usegmt=True)}
        assert desk.web.get(f"/apple/v1/passes/{KIND}/{held.serial}", headers=headers).status_code == 401


def test_a_revoked_a_reissued_and_a_withdrawn_pass_become_void_on_the_phone(desk: Desk) -> None:
    revoked, reissued, withdrawn = desk.numbers[:3]
    phone = desk.phone(revoked, reissued, withdrawn)
    old = desk.serial(reissued)
    phone.on_push()
    desk.revoke(revoked)
    new = desk.reissue(reissued)
    application = desk.application
    with application.writing() as session:
        row = session.get(WalletPassRow, (application.tenant, desk.serial(withdrawn)))
        assert row is not None
        row.withdrawn_at = application.now()
        row.update_tag += 10_000_000
        row.modified_at += timedelta(seconds=1)
    assert sorted(phone.on_push()) == sorted([desk.serial(revoked), old, desk.serial(withdrawn)])
    assert all(phone.get(one).voided for one in (desk.serial(revoked), old, desk.serial(withdrawn)))
    assert not phone.read(desk.handed_out(new)).get("voided")
    assert new != old
