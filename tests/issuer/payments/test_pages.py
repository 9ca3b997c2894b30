"""The pages of a payment: to the provider, back from it, and the simulated provider over real HTTP."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from issuer.application import Application
from issuer.cli import main
from issuer.payments.provider import ProviderUnavailable, TransactionStatus
from issuer.payments.simulated import SimulatedProvider
from issuer.web import server
from tests.issuer.payments.till import DemoProvider, approvals, begin, begun, payment, status_of, unpaid
from tests.service import City

S = TransactionStatus


@pytest.fixture
def demo(application: Application) -> DemoProvider:
    unpaid(application, "A-1")
    made = DemoProvider(application)
    made.client.follow_redirects = False
    return made


def test_the_way_to_the_provider(demo: DemoProvider) -> None:
    row = begin(demo.application)
    for _ in range(2):
        page = demo.client.get(f"/payments/start/{row.id}?lang=en")
        known = payment(demo.application, row.id)
        assert (page.status_code, known.state) == (200, "pending")
        assert f'href="{known.redirect_url}"' in page.text
        assert "25,00" in page.text
    demo.tell(row := known, S.CANCELED)
    closed = demo.client.get(f"/payments/start/{row.id}")
    assert (closed.status_code, closed.headers["location"]) == (303, f"/payments/return/{row.id}")


def test_a_provider_that_is_away(demo: DemoProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise ProviderUnavailable("timeout")

    row = begin(demo.application)
    monkeypatch.setattr(SimulatedProvider, "create", away)
    page = demo.client.get(f"/payments/start/{row.id}?lang=en")
    assert (page.status_code, "retry-after" in page.headers) == (503, True)
    assert payment(demo.application, row.id).state == "created"


def test_the_return_page_believes_the_register_alone(demo: DemoProvider) -> None:
    row = begun(demo.application)
    address = f"/payments/return/{row.id}?lang=en&status=PAYED&state=paid&payment_status=paid"
    page = demo.client.get(address)
    assert "being checked" in page.text
    assert "has been received" not in page.text
    assert 'http-equiv="refresh"' in page.text
    assert status_of(demo.application) == "pending_payment"
    demo.tell(row, S.PAYED)
    page = demo.client.get(f"/payments/return/{row.id}?lang=en&status=FAILED")
    assert "has been received" in page.text
    assert 'http-equiv="refresh"' not in page.text
    for name in ("xyz", "0" * 22, "%00", "a" * 500):
        assert demo.client.get(f"/payments/return/{name}").status_code == 404
        assert demo.client.get(f"/payments/start/{name}").status_code == 404


def test_waiting_on_the_return_page_has_the_provider_asked_but_not_each_time(
    demo: DemoProvider, city: City
) -> None:
    row = begun(demo.application)
    demo.client.get(f"/payments/return/{row.id}")
    first = payment(demo.application, row.id)
    assert first.next_check_at == demo.application.now()
    for _ in range(5):
        demo.client.get(f"/payments/return/{row.id}")
    assert payment(demo.application, row.id).checks == first.checks


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("status", list(S))
def test_every_state_has_its_page(demo: DemoProvider, status: TransactionStatus, language: str) -> None:
    row = begun(demo.application)
    demo.tell(row, status)
    assert demo.client.get(f"/payments/return/{row.id}?lang={language}").status_code == 200
    page = demo.client.get(f"/payments/demo/{row.provider_id}?lang={language}")
    assert page.status_code == 200
    assert "TEST" in page.text


def test_a_choice_from_elsewhere_or_out_of_turn(demo: DemoProvider) -> None:
    row = begun(demo.application)
    page = f"/payments/demo/{row.provider_id}"
    foreign = demo.client.post(page, data={"choice": "pay"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    for choice in ("chargeback", "steal", ""):
        assert demo.client.post(page, data={"choice": choice}).status_code == 409
    assert demo.client.post("/payments/demo/" + "0" * 32, data={"choice": "pay"}).status_code == 404
    assert payment(demo.application, row.id).state == "pending"


@pytest.fixture
def served(application: Application) -> Iterator[str]:
    """The address of the running service, without a worker."""
    started = threading.Event()
    with server.take_port("127.0.0.1", 0) as port:
        place = port.getsockname()
        app_server = _Quiet(application, port, started)
        app_server.start()
        assert started.wait(30)
        yield f"http://127.0.0.1:{place[1]}"
        app_server.stop()


class _Quiet(threading.Thread):
    """uvicorn in a thread, as `serve` sets it up."""

    def __init__(self, application: Application, port: socket.socket, started: threading.Event) -> None:
        super().__init__(daemon=True)
        import uvicorn

        from tests.web_app import create_app

        self.port, self.started = port, started
        config = uvicorn.Config(create_app(application), log_config=None, lifespan="on")
        self.server = uvicorn.Server(config)

    def run(self) -> None:
        import asyncio

        async def go() -> None:
            serving = asyncio.create_task(self.server.serve(sockets=[self.port]))
            while not self.server.started:
                await asyncio.sleep(0.01)
            self.started.set()
            await serving

        asyncio.run(go())

    def stop(self) -> None:
        self.server.should_exit = True
        self.join(20)


@pytest.mark.parametrize(
    ("choice", "state", "status"),
    [
        ("pay", "paid", "active"),
        ("twice", "paid", "active"),
        ("late", "paid_late", "pending_payment"),
        ("fail", "failed", "pending_payment"),
        ("cancel", "cancelled", "pending_payment"),
    ],
)
def test_what_is_chosen_comes_by_signed_messages_over_http(
    application: Application, served: str, choice: str, state: str, status: str
) -> None:
    unpaid(application, "A-1")
    row = begun(application)
    page = f"{served}/payments/demo/{row.provider_id}"
    with httpx.Client(timeout=30) as client:
        answer = client.post(page, data={"choice": choice})
        assert answer.status_code == 303, answer.text
        assert (payment(application, row.id).state, status_of(application)) == (state, status)
        if state == "paid":
            assert approvals(application) == 1
            assert client.post(page, data={"choice": "chargeback"}).status_code == 303
            assert (payment(application, row.id).state, status_of(application)) == (
                "charged_back",
                "suspended",
            )


def test_the_command_line(application: Application, city: City, capsys: pytest.CaptureFixture[str]) -> None:
    unpaid(application, "A-1")

    def told(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["payments", *arguments, "--data", str(city.folder), "--at", city.clock.at.isoformat()])
        return code, capsys.readouterr().out

    assert told("list")[0] == 0
    code, out = told("link", "A-1", "--cents", "2500", "--json")
    begun_id = json.loads(out)["id"]
    assert (code, json.loads(out)["url"].endswith(f"/payments/start/{begun_id}")) == (0, True)
    assert json.loads(told("list", "--json", "--state", "created")[1])[0]["id"] == begun_id
    assert json.loads(told("check", begun_id, "--json")[1])["state"] == "pending"
    row = payment(application, begun_id)
    demo = DemoProvider(application)
    demo.tell(row, S.EXPIRED)
    demo.tell(row, S.PAYED)
    assert begun_id in told("list", "--to-settle")[1]
    assert "paid_late" in told("show", begun_id)[1]
    assert [one["status"] for one in json.loads(told("show", begun_id, "--json")[1])["events"]] != []
    assert told("settle", begun_id, "--reason", "refunded")[0] == 0
    assert json.loads(told("list", "--to-settle", "--json")[1]) == []
    assert told("settle", begun_id, "--reason", "refunded")[0] == 64
    assert told("show", "nothing")[0] == 64
