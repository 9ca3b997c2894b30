"""Offering passes for Google Wallet, the save link, and messages that ring."""

from __future__ import annotations

import base64
import json
import threading

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from issuer.application import Application
from issuer.background.tasks import RetryLater
from issuer.delivery import google_messages
from issuer.delivery.google_messages import MessageKind, queue_message
from issuer.delivery.google_objects import TASKS
from issuer.delivery.google_token import load_account
from issuer.google_wallet import is_offered, save_link
from issuer.settings import load_settings, save_settings
from keys.errors import Refusal
from tests.google_server import GoogleServer
from tests.issuer.google.helpers import ISSUER, deliver, serial_of, step, wallet_row, want
from tests.service import PERMIT, City, running_numbers


@pytest.fixture
def number(application: Application) -> str:
    return running_numbers(application)[0]


def offered(application: Application) -> bool:
    with application.reading() as session:
        return is_offered(application, session)


def setting(application: Application, **changes: object) -> None:
    with application.writing() as session:
        settings = load_settings(session, application.tenant)
        save_settings(session, application.tenant, msgspec.structs.replace(settings, **changes))


def test_the_link_names_an_object_that_google_has(
    application: Application, google: GoogleServer, number: str
) -> None:
    link = save_link(application, PERMIT, number)
    head, claims, signature = link.removeprefix("https://pay.google.com/gp/v/save/").split(".")
    told = json.loads(base64.urlsafe_b64decode(claims + "=="))
    (named,) = told["payload"]["genericObjects"]
    serial = serial_of(application, number)
    assert named == {"id": f"{ISSUER}.{serial}", "classId": next(iter(google.classes))}
    assert named["id"] in google.objects
    assert told["iat"] == int(application.now().timestamp())
    assert len(link) < 1800
    with application.reading() as session:
        account = load_account(application, session)
    assert account is not None
    key = account.signer.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(
        base64.urlsafe_b64decode(signature + "=="), f"{head}.{claims}".encode(), padding.PKCS1v15(), SHA256()
    )
    requests = len(google.seen)
    save_link(application, PERMIT, number)
    assert len(google.seen) == requests


def test_without_google_there_is_no_link_yet_and_the_object_follows(
    application: Application, google: GoogleServer, number: str
) -> None:
    google.fail("drop", match="genericObject")
    with pytest.raises(RetryLater):
        save_link(application, PERMIT, number)
    serial = serial_of(application, number)
    assert wallet_row(application, serial).google_wanted
    deliver(application, serial)
    assert f"{ISSUER}.{serial}" in google.objects


def test_an_object_that_google_refuses_gets_no_link(
    application: Application, google: GoogleServer, number: str
) -> None:
    google.fail("400", match="genericObject")
    with pytest.raises(Refusal) as refused:
        save_link(application, PERMIT, number)
    assert refused.value.code == "GOOGLE_NOT_POSSIBLE"
    assert save_link(application, PERMIT, number)


@pytest.mark.parametrize("name", ["suspend", "revoke"])
def test_a_pass_that_does_not_hold_gets_no_link(
    application: Application, google: GoogleServer, number: str, name: str
) -> None:
    step(application, name, number)
    with pytest.raises(Refusal) as refused:
        save_link(application, PERMIT, number)
    assert refused.value.code == "GOOGLE_PASS_NOT_RUNNING"
    assert not google.seen


@pytest.mark.parametrize(
    "off", [{"google_offered": False}, {"google_issuer_id": ""}, {"google_service_account": ""}]
)
def test_a_city_can_leave_google_out(
    application: Application,
    neighbour: Application,
    google: GoogleServer,
    number: str,
    off: dict[str, object],
) -> None:
    assert offered(application)
    setting(application, **off)
    assert not offered(application)
    assert offered(neighbour)
    with pytest.raises(Refusal) as refused:
        save_link(application, PERMIT, number)
    assert refused.value.code == "GOOGLE_NOT_OFFERED"
    assert not wallet_row(application, serial_of(application, number)).google_wanted


def test_the_operator_can_leave_google_out(
    city: City, google: GoogleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STADTPASS_GOOGLE_ENABLED", "false")
    assert not offered(city.open())


def at_google(application: Application, number: str) -> str:
    serial = serial_of(application, number)
    want(application, serial)
    deliver(application, serial)
    return serial


def send(application: Application, serial: str, message_id: str, kind: str = "changed") -> None:
    params = {"last": "01.10.2027"} if kind == "reminder" else {}
    google_messages.run(
        application, {"serial": serial, "kind": kind, "message_id": message_id, "params": params}
    )


def messages(google: GoogleServer, serial: str) -> list[str]:
    return [one["id"] for one in google.objects[f"{ISSUER}.{serial}"].get("messages", [])]


def test_a_message_rings_in_both_languages_and_once(
    application: Application, google: GoogleServer, number: str
) -> None:
    serial = at_google(application, number)
    for _ in range(3):
        send(application, serial, "reminder-14", "reminder")
    (made,) = google.objects[f"{ISSUER}.{serial}"]["messages"]
    assert made["messageType"] == "TEXT_AND_NOTIFY"
    assert (
        "Musterstadt: Ihr Ausweis gilt noch bis 01.10.2027" in made["localizedBody"]["defaultValue"]["value"]
    )
    assert "valid until 01.10.2027" in made["localizedBody"]["translatedValues"][0]["value"]


def test_the_fourth_message_of_a_day_waits(
    application: Application, google: GoogleServer, number: str, city: City
) -> None:
    serial = at_google(application, number)
    for name in "abc":
        send(application, serial, name)
        city.clock.forward(hours=1)
    with pytest.raises(RetryLater) as later:
        send(application, serial, "d")
    assert (later.value.reason, later.value.seconds) == ("google-message-budget", 21 * 3600)
    assert messages(google, serial) == ["a", "b", "c"]
    city.clock.forward(hours=21, seconds=1)
    send(application, serial, "d")
    assert messages(google, serial) == ["a", "b", "c", "d"]


def test_many_messages_at_the_same_time_keep_the_budget(
    application: Application, google: GoogleServer, number: str
) -> None:
    serial = at_google(application, number)
    outcomes: list[str] = []

    def one(name: str) -> None:
        try:
            send(application, serial, name)
            outcomes.append("sent")
        except RetryLater as later:
            outcomes.append(later.reason)

    threads = [threading.Thread(target=one, args=(f"m{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["google-message-budget"] * 3 + ["sent"] * 3
    assert len(messages(google, serial)) == 3


@pytest.mark.parametrize(("after", "sent"), [(True, 1), (False, 2)])
def test_a_message_whose_answer_was_lost_is_not_sent_twice(
    application: Application, google: GoogleServer, number: str, after: bool, sent: int
) -> None:
    serial = at_google(application, number)
    google.fail("drop", match="addMessage", after=after)
    with pytest.raises(RetryLater):
        send(application, serial, "a")
    send(application, serial, "a")
    assert messages(google, serial) == ["a"]
    assert len(google.calls("POST", "addMessage")) == sent


def test_messages_wait_for_the_object_and_go_to_nobody_without_one(
    application: Application, google: GoogleServer, number: str
) -> None:
    serial = serial_of(application, number)
    send(application, serial, "a")
    with application.writing() as session:
        assert not queue_message(session, application, serial, MessageKind.CHANGED, "a")
    want(application, serial)
    with application.writing() as session:
        assert queue_message(session, application, serial, MessageKind.CHANGED, "a")
    with pytest.raises(RetryLater) as later:
        send(application, serial, "a")
    assert later.value.reason == "google-object-first"
    assert not google.seen
    google.objects.clear()
    deliver(application, serial)
    google.objects.clear()
    send(application, serial, "a")


def test_the_tasks_have_their_names() -> None:
    assert [task.name for task in TASKS] == ["google-objects", "google-message"]
