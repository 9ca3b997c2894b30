"""Objects at Google follow the register: inserted, patched, replaced, and never behind for good."""

from __future__ import annotations

import threading
from datetime import timedelta

import msgspec
import pytest

from issuer import keyring, outgoing
from issuer.application import Application
from issuer.background.tasks import RetryLater
from issuer.delivery import google_objects
from issuer.settings import load_settings, save_settings
from passes.rotating import pass_key
from tests.google_server import GoogleServer
from tests.issuer.google.helpers import (
    ISSUER,
    change_zone,
    deliver,
    reissue,
    serial_of,
    step,
    texts_of,
    wallet_row,
    want,
)
from tests.service import PERMIT, City, running_numbers


def at_google(google: GoogleServer, serial: str) -> dict[str, object]:
    return google.objects[f"{ISSUER}.{serial}"]


def first(application: Application) -> tuple[str, str]:
    number = running_numbers(application)[0]
    serial = serial_of(application, number)
    want(application, serial)
    return number, serial


def test_an_object_is_inserted_with_its_class_and_then_left_alone(
    application: Application, google: GoogleServer
) -> None:
    _, serial = first(application)
    deliver(application, serial)
    assert at_google(google, serial)["state"] == "ACTIVE"
    assert [(one.method, one.status) for one in google.seen] == [("POST", 200), ("POST", 200)]
    assert wallet_row(application, serial).google_tag == wallet_row(application, serial).update_tag
    deliver(application, serial)
    assert len(google.seen) == 2
    (made,) = google.classes.values()
    assert made["callbackOptions"] == {"url": "https://stadtpass.example/google/callback"}


def test_nothing_is_sent_that_nobody_wanted_or_that_the_operator_has_switched_off(
    application: Application,
    city: City,
    google: GoogleServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serial = serial_of(application, running_numbers(application)[0])
    deliver(application, serial)
    want(application, serial)
    monkeypatch.setenv("STADTPASS_GOOGLE_ENABLED", "false")
    deliver(city.open(), serial)
    assert not google.seen


def test_what_is_there_already_is_patched_and_no_update_names_a_review_status(
    application: Application, google: GoogleServer, city: City
) -> None:
    _, serial = first(application)
    deliver(application, serial)
    # Another process, such as one that lost its answers, knows of neither class nor object.
    again = city.open()
    with again.writing() as session:
        session.get_one(google_objects.WalletPassRow, (again.tenant, serial)).google_tag = 0
    deliver(again, serial)
    assert [(one.method, one.status) for one in google.seen[2:]] == [
        ("POST", 409),
        ("PATCH", 200),
        ("POST", 409),
        ("PATCH", 200),
    ]
    assert all("reviewStatus" not in (one.body or {}) for one in google.seen)


def test_a_change_reaches_google_and_messages_stay(
    application: Application, google: GoogleServer, city: City
) -> None:
    number, serial = first(application)
    deliver(application, serial)
    at_google(google, serial)["messages"] = [{"id": "m"}]
    before = texts_of(at_google(google, serial))
    city.clock.forward(hours=1)
    step(application, "suspend", number)
    step(application, "resume", number)
    change_zone(application, number, "GP" if "Golzheimer Platz" not in before else "HO")
    deliver(application, serial)
    assert google.seen[-1].method == "PATCH"
    assert texts_of(at_google(google, serial)) != before
    assert at_google(google, serial)["messages"] == [{"id": "m"}]


@pytest.mark.parametrize("name", ["suspend", "revoke"])
def test_a_pass_that_holds_no_more_is_inactive(
    application: Application, google: GoogleServer, name: str
) -> None:
    number, serial = first(application)
    deliver(application, serial)
    assert "notifications" in at_google(google, serial)
    step(application, name, number)
    deliver(application, serial)
    assert at_google(google, serial)["state"] == "INACTIVE"
    assert "notifications" not in at_google(google, serial)


def test_a_resumed_pass_is_active_again(application: Application, google: GoogleServer) -> None:
    number, serial = first(application)
    deliver(application, serial)
    step(application, "suspend", number)
    deliver(application, serial)
    step(application, "resume", number)
    deliver(application, serial)
    assert at_google(google, serial)["state"] == "ACTIVE"
    assert "notifications" in at_google(google, serial)


def test_the_serial_before_a_reissue_is_inactive(application: Application, google: GoogleServer) -> None:
    number, serial = first(application)
    deliver(application, serial)
    fresh = reissue(application, number)
    assert set(outstanding(application)) == {serial}
    deliver(application, serial, fresh)
    assert at_google(google, serial)["state"] == "INACTIVE"
    # Nobody has asked for the new one yet.
    assert f"{ISSUER}.{fresh}" not in google.objects


def test_a_pass_that_has_ended_is_expired(application: Application, google: GoogleServer, city: City) -> None:
    _, serial = first(application)
    city.clock.forward(days=800)
    at_google_before = dict(google.objects)
    deliver(application, serial)
    # Google never had it and needs no expired one.
    assert google.objects == at_google_before
    assert wallet_row(application, serial).google_tag > 0


def test_an_object_whose_pass_has_ended_meanwhile_is_expired(
    application: Application, google: GoogleServer, city: City
) -> None:
    number, serial = first(application)
    deliver(application, serial)
    step(application, "suspend", number)
    step(application, "resume", number)
    city.clock.forward(days=800)
    deliver(application, serial)
    assert at_google(google, serial)["state"] == "EXPIRED"


def test_of_a_withdrawn_pass_nothing_is_left(application: Application, google: GoogleServer) -> None:
    number, serial = first(application)
    deliver(application, serial)
    at_google(google, serial)["messages"] = [{"id": "m"}]
    with application.writing() as session:
        row = session.get_one(google_objects.WalletPassRow, (application.tenant, serial))
        row.withdrawn_at = application.now()
        outgoing.moved(session, application.tenant, {serial: (PERMIT, number)}, application.now())
    deliver(application, serial)
    left = at_google(google, serial)
    assert left["state"] == "INACTIVE"
    assert left["textModulesData"] == []
    assert not {"barcode", "rotatingBarcode", "messages", "validTimeInterval", "notifications"} & set(left)
    assert number not in str(left)


def test_an_object_that_google_has_lost_is_inserted_again(
    application: Application, google: GoogleServer
) -> None:
    number, serial = first(application)
    deliver(application, serial)
    google.objects.clear()
    google.classes.clear()
    step(application, "suspend", number)
    step(application, "resume", number)
    deliver(application, serial)
    assert at_google(google, serial)["state"] == "ACTIVE"


def test_the_code_rotates_with_the_epoch_key_and_stops_where_the_city_stops_it(
    application: Application, google: GoogleServer
) -> None:
    number, serial = first(application)

    def rotate(on: bool) -> None:
        with application.writing() as session:
            settings = load_settings(session, application.tenant)
            changed = msgspec.structs.replace(settings, google_rotating_barcode=on)
            save_settings(session, application.tenant, changed)
            outgoing.moved(session, application.tenant, {serial: (PERMIT, number)}, application.now())
        deliver(application, serial)

    rotate(True)
    with application.reading() as session:
        epochs = keyring.epoch_keys(session, application.tenant, application.keys)
    made: dict[str, dict[str, dict[str, list[dict[str, object]]]]] = at_google(google, serial)  # type: ignore[assignment]
    expected = pass_key(epochs[max(epochs)], number).hex().upper()
    assert made["rotatingBarcode"]["totpDetails"]["parameters"][0]["key"] == expected
    rotate(False)
    # A patch would leave the secret key at Google.
    assert "rotatingBarcode" not in at_google(google, serial)
    assert "barcode" in at_google(google, serial)
    rotate(True)
    assert "barcode" not in at_google(google, serial)
    step(application, "revoke", number)
    deliver(application, serial)
    assert "rotatingBarcode" not in at_google(google, serial)


def outstanding(application: Application) -> list[str]:
    with application.reading() as session:
        return list(google_objects.outstanding(session, application.tenant))


def counted(application: Application) -> dict[str, int]:
    with application.reading() as session:
        return google_objects.counts(session, application.tenant)


def test_what_google_refuses_is_noted_and_tried_again_only_when_it_has_changed(
    application: Application, google: GoogleServer
) -> None:
    number, serial = first(application)
    google.fail("400", match="genericObject")
    deliver(application, serial)
    assert (wallet_row(application, serial).google_failure or "").startswith("INVALID_ARGUMENT@")
    assert outstanding(application) == []
    assert counted(application) == {"wanted": 1, "outstanding": 0, "refused": 1}
    requests = len(google.seen)
    deliver(application, serial)
    assert len(google.seen) == requests
    step(application, "suspend", number)
    step(application, "resume", number)
    assert outstanding(application) == [serial]
    deliver(application, serial)
    assert wallet_row(application, serial).google_failure is None
    assert counted(application) == {"wanted": 1, "outstanding": 0, "refused": 0}


def test_a_run_that_is_postponed_keeps_what_it_has_done(
    application: Application, google: GoogleServer
) -> None:
    serials = [serial_of(application, number) for number in running_numbers(application)[:12]]
    want(application, *serials)
    google.fail("429", match="POST /walletobjects/v1/genericObject", times=3, retry_after="7")
    with pytest.raises(RetryLater) as later:
        deliver(application, *serials)
    assert later.value.reason == "google-429"
    assert later.value.seconds is not None and 7 <= later.value.seconds <= 7 * 1.25
    assert 1 <= len(outstanding(application)) <= 12
    # How many requests were under way when the first was refused is chance: none of the refusals may be left over.
    google.faults.clear()
    deliver(application, *serials)
    assert outstanding(application) == []
    inserted = [
        one.body["id"] for one in google.calls("POST", "genericObject") if one.body and one.status == 200
    ]
    assert sorted(inserted) == sorted(f"{ISSUER}.{serial}" for serial in serials)


def test_a_change_during_the_request_is_sent_afterwards(
    application: Application, google: GoogleServer
) -> None:
    number, serial = first(application)
    deliver(application, serial)
    step(application, "suspend", number)
    once = threading.Lock()

    def change(method: str, path: str) -> None:
        if method == "PUT" and once.acquire(blocking=False):
            step(application, "resume", number)

    google.before = change
    deliver(application, serial)
    # Noted is the tag of what was sent, so the change is still due.
    assert outstanding(application) == [serial]
    deliver(application, serial)
    assert at_google(google, serial)["state"] == "ACTIVE"


def test_of_two_workers_with_the_same_object_the_newest_state_wins(
    application: Application, city: City, google: GoogleServer
) -> None:
    """The slower one read before the change and arrives at Google after it."""
    number, serial = first(application)
    deliver(application, serial)
    step(application, "suspend", number)
    other, slow_is_there, go = city.open(), threading.Event(), threading.Event()

    def hold(method: str, path: str) -> None:
        if method == "PUT" and not slow_is_there.is_set():
            slow_is_there.set()
            go.wait(5)

    google.before = hold
    slow = threading.Thread(target=deliver, args=(application, serial))
    slow.start()
    assert slow_is_there.wait(5)
    step(other, "resume", number)
    deliver(other, serial)
    assert at_google(google, serial)["state"] == "ACTIVE"
    go.set()
    slow.join(10)
    assert at_google(google, serial)["state"] == "ACTIVE"
    assert outstanding(application) == []


def test_two_cities_under_one_issuer_have_their_own_objects_and_classes(
    application: Application, neighbour: Application, google: GoogleServer
) -> None:
    _, own = first(application)
    _, other = first(neighbour)
    deliver(application, own, other)
    assert set(google.objects) == {f"{ISSUER}.{own}"}
    deliver(neighbour, own, other)
    assert len(google.objects) == len(google.classes) == 2
    assert outstanding(application) == outstanding(neighbour) == []


def test_every_image_has_a_public_https_address(application: Application, google: GoogleServer) -> None:
    _, serial = first(application)
    deliver(application, serial)
    logo = at_google(google, serial)["logo"]
    assert "https://stadtpass.example/static/types/" in str(logo)


def test_the_tag_that_is_outstanding_follows_the_clock_back(
    application: Application, google: GoogleServer, city: City
) -> None:
    number, serial = first(application)
    deliver(application, serial)
    city.clock.at -= timedelta(days=3)
    step(application, "suspend", number)
    deliver(application, serial)
    assert at_google(google, serial)["state"] == "INACTIVE"
