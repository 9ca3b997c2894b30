"""Webhooks: where they may go, how they are signed, and what becomes of faults."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from issuer import audit
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.background.tasks import RetryLater
from issuer.delivery.webhooks import TASKS, outstanding
from issuer.errors import IssuerRefusal
from issuer.models_delivery import WebhookDeliveryRow
from issuer.webhook_targets import address_of, is_public, target_of
from issuer.workspace import CONFIG
from tests.issuer.api.conftest import Http
from tests.issuer.api.office import Office, codes, office_of
from tests.issuer.webhook_receiver import Receiver, dripping_handshake, receiver
from tests.service import City, running_numbers

HOOKS = "/api/v1/webhooks"
EVENTS = ["pass.suspended", "pass.revoked"]
Serve = Callable[..., Http]


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Receiver]:
    folder = tmp_path / "receiver"
    folder.mkdir()
    with receiver(folder) as made:
        yield made


def configured(folder: Path, there: Receiver, *hosts: str) -> None:
    listed = ", ".join(f'"{one}"' for one in (f"private:localhost:{there.port}", *hosts))
    with (folder / CONFIG).open("a") as file:
        file.write(
            f'\n[webhooks]\nallowed_hosts = [{listed}]\nca_file = "{there.ca_file}"\ntimeout_seconds = 0.5\n'
        )


@pytest.fixture
def application(city: City, there: Receiver) -> Application:
    configured(city.folder, there, "portal.example.org")
    return city.open()


@pytest.fixture
def neighbour(city: City, there: Receiver) -> Application:
    configured(city.other_folder, there)
    return city.open(city.other_folder)


@pytest.fixture
def office(serve: Serve, application: Application) -> Office:
    return office_of(serve, application)


def hook(office: Office, there: Receiver, events: list[str] = EVENTS) -> dict[str, Any]:
    answer = office.post(HOOKS, json={"url": there.url, "events": events})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def run(application: Application) -> None:
    """Everything that is outstanding, once."""
    with application.reading() as session:
        found = outstanding(session, application.tenant)
    for one in found:
        TASKS[0].run(application, {"id": one})


def deliveries(office: Office, made: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = office.get(f"{HOOKS}/{made['id']}/deliveries").json()["items"]
    return found


def test_what_happens_is_delivered_and_signed(
    office: Office, application: Application, there: Receiver
) -> None:
    made = hook(office, there)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])
    number = running_numbers(application)[0]
    office.step(number, "suspend", {"reason": "x"})
    office.step(number, "resume", {"reason": "x"})
    run(application)
    (one,) = there.received
    assert one.event["type"] == "pass.suspended"
    assert one.event["data"] == {"type": "resident-parking-permit", "number": number}
    assert one.path == "/events?from=stadtpass"
    assert one.headers["host"] == f"localhost:{there.port}"
    assert one.signatures_of(made["secret"]) == 1
    assert one.signatures_of("whsec_" + "A" * 43 + "=") == 0
    (delivery,) = deliveries(office, made)
    assert one.headers["webhook-id"] == delivery["id"]
    assert (delivery["attempts"], delivery["last_status"]) == (1, "HTTP_204")
    assert "delivered_at" in delivery
    # A task that runs twice sends nothing twice.
    TASKS[0].run(application, {"id": delivery["id"]})
    assert len(there.received) == 1
    assert "secret" not in office.get(f"{HOOKS}/{made['id']}").json()


def test_each_city_has_its_own(
    office: Office, serve: Serve, application: Application, neighbour: Application, there: Receiver
) -> None:
    made = hook(office, there)
    other = office_of(serve, neighbour)
    own = hook(other, there)
    number = running_numbers(neighbour)[0]
    other.step(number, "suspend", {"reason": "x"})
    run(application)
    assert there.received == []
    run(neighbour)
    (one,) = there.received
    assert (one.signatures_of(own["secret"]), one.signatures_of(made["secret"])) == (1, 0)
    delivery = deliveries(other, own)[0]
    TASKS[0].run(application, {"id": delivery["id"]})
    path = f"{HOOKS}/{own['id']}"
    for answer in (
        office.get(path),
        office.patch(path, json={"enabled": False}),
        office.delete(path),
        office.post(f"{path}/rotate"),
        office.post(f"{path}/test"),
        office.get(f"{path}/deliveries"),
        office.post(f"{path}/deliveries/{delivery['id']}/redeliver"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "WEBHOOK_UNKNOWN")
    mixed = office.post(f"{HOOKS}/{made['id']}/deliveries/{delivery['id']}/redeliver")
    assert (mixed.status_code, mixed.json()["code"]) == (404, "DELIVERY_UNKNOWN")
    assert [one["id"] for one in office.get(HOOKS).json()["items"]] == [made["id"]]


def test_rotation_signs_with_both_for_a_day(
    office: Office, application: Application, there: Receiver, city: City
) -> None:
    made = hook(office, there)
    rotated = office.post(f"{HOOKS}/{made['id']}/rotate").json()
    assert rotated["secret"] != made["secret"]
    for hours, old in ((0, 1), (25, 0)):
        city.clock.forward(hours=hours)
        office.post(f"{HOOKS}/{made['id']}/test")
        run(application)
        last = there.received[-1]
        assert last.event["type"] == "webhook.test"
        assert last.signatures_of(rotated["secret"]) == 1
        assert last.signatures_of(made["secret"]) == old
        assert abs(int(last.headers["webhook-timestamp"]) - city.clock().timestamp()) <= 1


@pytest.mark.parametrize(
    ("answer", "reason", "seconds"),
    [
        ((500, {}), "HTTP_500", None),
        ((404, {}), "HTTP_404", None),
        ((503, {"retry-after": "7"}), "HTTP_503", 7),
        ((429, {"retry-after": "999999"}), "HTTP_429", 3600),
        ((500, {"retry-after": "7"}), "HTTP_500", None),
        ((503, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), "HTTP_503", None),
    ],
)
def test_a_fault_is_tried_again(
    office: Office, application: Application, there: Receiver, answer: Any, reason: str, seconds: Any
) -> None:
    made = hook(office, there)
    there.answers.append(answer)
    sent = office.post(f"{HOOKS}/{made['id']}/test").json()
    with pytest.raises(RetryLater) as later:
        run(application)
    assert (later.value.reason, later.value.seconds) == (reason, seconds)
    assert deliveries(office, made)[0]["last_status"] == reason
    run(application)
    (delivery,) = deliveries(office, made)
    assert (delivery["attempts"], delivery["last_status"]) == (2, "HTTP_204")
    assert [one.headers["webhook-id"] for one in there.received] == [sent["id"]] * 2


def test_redirects_are_not_followed(office: Office, application: Application, there: Receiver) -> None:
    made = hook(office, there)
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.settimeout(0.2)
        there.answers.append((307, {"location": f"http://127.0.0.1:{inside.getsockname()[1]}/admin"}))
        office.post(f"{HOOKS}/{made['id']}/test")
        with pytest.raises(RetryLater, match="HTTP_307"):
            run(application)
        with pytest.raises(TimeoutError):
            inside.accept()
    assert len(there.received) == 1


def test_a_receiver_that_takes_its_time(office: Office, application: Application, there: Receiver) -> None:
    made = hook(office, there)
    there.pause = 0.8
    office.post(f"{HOOKS}/{made['id']}/test")
    with pytest.raises(RetryLater, match="TIMEOUT"):
        run(application)


def test_a_receiver_whose_answer_drips_in(office: Office, application: Application, there: Receiver) -> None:
    made = hook(office, there)
    # Never half a second without a byte, and taken in the end: only a deadline for all of it helps.
    there.drip = 8
    office.post(f"{HOOKS}/{made['id']}/test")
    with pytest.raises(RetryLater, match="TIMEOUT"):
        run(application)
    assert deliveries(office, made)[0]["last_status"] == "TIMEOUT"
    there.drip = 0
    run(application)
    assert [one["last_status"] for one in deliveries(office, made)] == ["HTTP_204"]


def test_a_handshake_that_drips_in(serve: Serve, there: Receiver, city: City) -> None:
    with dripping_handshake(seconds=8) as port:
        configured(city.folder, there, f"private:localhost:{port}")
        application = city.open()
        office = office_of(serve, application)
        made = office.post(HOOKS, json={"url": f"https://localhost:{port}/", "events": EVENTS}).json()
        office.post(f"{HOOKS}/{made['id']}/test")
        with pytest.raises(RetryLater, match="TIMEOUT"):
            run(application)


def test_a_name_server_that_says_nothing(
    office: Office, application: Application, there: Receiver, monkeypatch: Any
) -> None:
    made = hook(office, there)
    office.post(f"{HOOKS}/{made['id']}/test")
    asked, given_up = threading.Event(), threading.Event()

    def silent(*_: object) -> list[Any]:
        asked.set()
        given_up.wait(8)
        return [ip_address("127.0.0.1")]

    with monkeypatch.context() as patched:
        patched.setattr("issuer.webhook_targets.system_resolver", silent)
        with pytest.raises(RetryLater, match="TIMEOUT"):
            run(application)
    assert asked.is_set() and not given_up.is_set()
    # An answer that comes too late disturbs nobody.
    given_up.set()
    run(application)
    assert [one["last_status"] for one in deliveries(office, made)] == ["HTTP_204"]


def test_an_endless_answer_is_not_read(office: Office, application: Application, there: Receiver) -> None:
    made = hook(office, there)
    there.flood = True
    there.answers.append((200, {}))
    office.post(f"{HOOKS}/{made['id']}/test")
    run(application)
    assert deliveries(office, made)[0]["last_status"] == "HTTP_200"


def test_a_receiver_with_a_foreign_certificate(
    office: Office, application: Application, there: Receiver, city: City
) -> None:
    made = hook(office, there)
    office.post(f"{HOOKS}/{made['id']}/test")
    config = city.folder / CONFIG
    config.write_text(re.sub(r"ca_file = .*", "", config.read_text()))
    with pytest.raises(RetryLater, match="CONNECTION"):
        run(city.open())
    assert there.received == []


def test_gone_switches_the_endpoint_off(office: Office, application: Application, there: Receiver) -> None:
    made = hook(office, there)
    there.answers.append((410, {}))
    office.post(f"{HOOKS}/{made['id']}/test")
    run(application)
    assert office.get(f"{HOOKS}/{made['id']}").json()["enabled"] is False
    (delivery,) = deliveries(office, made)
    assert "failed_at" in delivery
    number = running_numbers(application)[0]
    office.step(number, "suspend", {"reason": "x"})
    run(application)
    assert len(there.received) == 1
    path = f"{HOOKS}/{made['id']}/deliveries/{delivery['id']}/redeliver"
    assert office.post(path).json()["code"] == "WEBHOOK_DISABLED"
    office.patch(f"{HOOKS}/{made['id']}", json={"enabled": True})
    assert office.post(path).status_code == 202
    assert office.post(path).json()["code"] == "DELIVERY_UNDER_WAY"
    run(application)
    assert [one.headers["webhook-id"] for one in there.received] == [delivery["id"]] * 2
    assert "delivered_at" in deliveries(office, made)[0]


def test_given_up(office: Office, application: Application, there: Receiver) -> None:
    made = hook(office, there)
    sent = office.post(f"{HOOKS}/{made['id']}/test").json()
    task = TASKS[0]
    assert task.give_up is not None
    task.give_up(application, {"id": sent["id"]})
    run(application)
    assert there.received == []
    assert "failed_at" in deliveries(office, made)[0]


def test_a_host_taken_from_the_list_gets_nothing(
    office: Office, application: Application, there: Receiver, city: City
) -> None:
    made = hook(office, there)
    office.post(f"{HOOKS}/{made['id']}/test")
    config = city.folder / CONFIG
    config.write_text(re.sub(r"allowed_hosts = .*", "allowed_hosts = []", config.read_text()))
    with pytest.raises(RetryLater, match="WEBHOOK_HOST"):
        run(city.open())
    assert there.received == []


def test_changing_and_removing(office: Office, application: Application, there: Receiver) -> None:
    made = hook(office, there)
    path = f"{HOOKS}/{made['id']}"
    changed = office.patch(path, json={"events": ["pass.resumed"], "enabled": False}).json()
    assert (changed["events"], changed["enabled"], changed["url"]) == (["pass.resumed"], False, there.url)
    assert codes(office.patch(path, json={"url": "https://evil.example.net/"})) == {"#/url": "WEBHOOK_HOST"}
    office.post(f"{path}/test")
    assert office.delete(path).status_code == 204
    assert office.get(path).status_code == 404
    with application.reading() as session:
        assert session.scalars(select(WebhookDeliveryRow)).all() == []
        entries = audit.history(session, application.tenant, f"webhook/{made['id']}")
    assert [one.action for one in entries] == ["add-webhook", "change-webhook", "remove-webhook"]
    assert there.url not in str(entries) and made["secret"] not in str(entries)


def test_limits_and_scope(office: Office, serve: Serve, application: Application, there: Receiver) -> None:
    body = {"url": there.url, "events": EVENTS}
    for more in ({"events": []}, {"events": ["pass.everything"]}, {"surprise": 1}):
        assert office.post(HOOKS, json=body | more).status_code == 422
    for _ in range(20):
        hook(office, there)
    assert office.post(HOOKS, json=body).json()["code"] == "WEBHOOKS_TOO_MANY"
    assert office_of(serve, application, Scope.PASSES_READ).post(HOOKS, json=body).status_code == 403


@pytest.mark.parametrize(
    "url",
    [
        "http://portal.example.org/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/plain,x",
        "https://user:secret@portal.example.org/",
        "https://portal.example.org@evil.example.net/",
        "https://portal.example.org\\@evil.example.net/",
        "https://portal.example.org/#x",
        "https://portal.example.org:99999/",
        "https:///nothing",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://portal.example.org/\r\nHost: x",
        "https://pörtal.example.org/",
        "https://[::1/",
        "//portal.example.org/",
        "https://portal..example.org/",
        "https://portal.example.org/" + "x" * 500,
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(IssuerRefusal) as refusal:
        target_of(url, ["portal.example.org", "private:127.0.0.1"])
    assert refusal.value.code == "WEBHOOK_URL"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.net/",
        "https://sub.portal.example.org/",
        "https://portal.example.org.evil.example.net/",
        "https://portal.example.org:8443/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://intern.example.org/",
    ],
)
def test_hosts_that_are_not_listed(url: str) -> None:
    with pytest.raises(IssuerRefusal) as refusal:
        target_of(url, ["portal.example.org", "private:intern.example.org:8443", "nonsense:port:x"])
    assert refusal.value.code == "WEBHOOK_HOST"


def test_how_addresses_are_stored() -> None:
    allowed = ["Portal.Example.org", "private:10.0.0.7:8443"]
    assert target_of("HTTPS://PORTAL.example.org:443?x=1", allowed).url == "https://portal.example.org/?x=1"
    inside = target_of("https://10.0.0.7:8443/a", allowed)
    assert (inside.url, inside.private) == ("https://10.0.0.7:8443/a", True)


@pytest.mark.parametrize(
    ("addresses", "ok"),
    [
        (["93.184.215.14"], True),
        (["2606:2800:21f:cb07:6820:80da:af6b:8b2c"], True),
        (["93.184.215.14", "10.0.0.1"], False),
        (["127.0.0.1"], False),
        (["169.254.169.254"], False),
        (["100.64.0.1"], False),
        (["0.0.0.0"], False),
        (["224.0.0.1"], False),
        (["::1"], False),
        (["::ffff:127.0.0.1"], False),
        (["64:ff9b::a00:1"], False),
        (["2002:7f00:1::"], False),
        (["fe80::1"], False),
        (["fd00::1"], False),
    ],
)
def test_names_that_lead_inside(addresses: list[str], ok: bool) -> None:
    found = [ip_address(one) for one in addresses]
    target = target_of("https://portal.example.org/", ["portal.example.org"])
    assert all(map(is_public, found)) is ok
    if ok:
        assert address_of(target, lambda *_: found) == found[0]
    else:
        with pytest.raises(IssuerRefusal) as refusal:
            address_of(target, lambda *_: found)
        assert refusal.value.code == "WEBHOOK_ADDRESS"
    inside = target_of("https://portal.example.org/", ["private:portal.example.org"])
    assert address_of(inside, lambda *_: found) == found[0]


def test_a_listed_public_name_that_leads_inside_is_not_called(
    office: Office, application: Application, there: Receiver, monkeypatch: Any
) -> None:
    answer = office.post(HOOKS, json={"url": "https://portal.example.org/", "events": EVENTS})
    office.post(f"{HOOKS}/{answer.json()['id']}/test")
    monkeypatch.setattr("issuer.webhook_targets.system_resolver", lambda *_: [ip_address("127.0.0.1")])
    with pytest.raises(RetryLater, match="WEBHOOK_ADDRESS"):
        run(application)
    assert there.received == []
