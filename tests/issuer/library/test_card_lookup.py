"""A desk looks a plain card number up: what it is told, by whom, and what nobody is told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient
from sqlalchemy import select, text

from issuer import device_cards, lifecycle
from issuer.application import Application
from issuer.library import members
from issuer.library.sources import (
    Patron,
    PatronStanding,
    PatronUnknown,
    SourceMisbehaves,
    SourceUnavailable,
)
from issuer.lifecycle import Actor
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.models_library import BlockReason
from issuer.revocation_log import RevocationLog
from issuer.settings import load_settings, save_settings
from issuer.verifier_devices import Role, lock_device
from issuer.web.rate_limits import Buckets
from issuer.workspace import CONFIG
from passes.card_numbers import CardNumber
from passes.model import PassStatus
from passes.status_list import Status
from tests.issuer.publication.app_device import AppDevice
from tests.issuer.publication.handheld import Http
from tests.issuer.publication.test_app_devices import ON_ONE_DATABASE, enrolled, refused
from tests.paia_server import PASSWORD, USER, Fault, PaiaServer
from tests.service import CARD, City
from tests.web_app import create_app

PATH = "/check/cards"
VALID = "BQD18N001000"


@pytest.fixture
def http(application: Application, monkeypatch: pytest.MonkeyPatch) -> Iterator[Http]:
    # On a busy machine some requests take as long as it takes until one more is allowed.
    monkeypatch.setattr(device_cards, "Buckets", lambda: Buckets(lambda: 0.0))
    with TestClient(create_app(application)) as client:
        yield client


@pytest.fixture
def desk(application: Application, http: Http, city: City) -> AppDevice:
    return enrolled(application, http, city.clock, Role.LIBRARIAN)


@dataclass
class Library:
    """A library's system: answers what the test has put in, and remembers what it was asked."""

    answers: dict[str, Patron | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    stalls: threading.Event | None = None

    def patron(self, card_number: str) -> Patron:
        self.asked.append(card_number)
        if self.stalls is not None:
            self.stalls.wait(20)
        answer = self.answers.get(card_number, PatronUnknown("PATRON_UNKNOWN"))
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    monkeypatch.setattr(device_cards, "source_of", lambda _: made)
    return made


def patron(number: str = VALID, standing: PatronStanding = PatronStanding.ACTIVE, **more: Any) -> Patron:
    return Patron(
        card_number=number,
        name="Maximiliane Muster",
        standing=standing,
        **{"expires": None, "open_fees_cents": 450, "category": "", "message": "Bitte zahlen", **more},
    )


def ask(desk: AppDevice, http: Http, *read: str, symbology: str | None = None, **headers: str) -> Any:
    body = msgspec.json.encode({"read": read, "symbology": symbology})
    signed = desk.headers("POST", PATH, body) | headers
    return http.post(PATH, content=body, headers=signed)


def told(desk: AppDevice, http: Http, *read: str, **more: Any) -> tuple[str, str, str | None]:
    answer = ask(desk, http, *read, **more)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found["verdict"], found["reason"], found["card_number"]


def number_of(application: Application, card: str) -> str:
    """The number of the pass with this card number."""
    query = select(PassRow.number).where(PassRow.tenant == application.tenant, PassRow.card_key == card)
    with application.reading() as session:
        return session.scalars(query).one()


def step(application: Application, step: Callable[..., None], number: str) -> None:
    with application.writing() as session:
        step(session, application.tenant, CARD, number, actor=Actor("test", application.now(), "why"))


def set_schemes(application: Application, *schemes: str) -> None:
    with application.writing() as session:
        settings = load_settings(session, application.tenant)
        changed = msgspec.structs.replace(settings, library_card_schemes=schemes)
        save_settings(session, application.tenant, changed)


def test_a_valid_card_and_nothing_about_the_person(
    application: Application, http: Http, desk: AppDevice, caplog: pytest.LogCaptureFixture
) -> None:
    with application.reading() as session:
        before = [tuple(row) for row in session.execute(text("SELECT count(*) FROM audit_entries"))]
        name = session.scalars(
            select(HolderRow.family_name).join(
                PassRow, (PassRow.tenant == HolderRow.tenant) & (PassRow.holder_ref == HolderRow.ref)
            ).where(PassRow.tenant == application.tenant, PassRow.card_key == VALID)
        ).one()  # fmt: skip
    with caplog.at_level(logging.DEBUG):
        answer = ask(desk, http, f"*{VALID}*\r", **{"Accept-Language": "de"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "verdict": "GREEN", "reason": "VALID", "card_number": VALID, "valid_from": None,
        "valid_until": "2027-04-16", "category": "Erwachsene", "cause": None, "test": True,
        "time": int(application.now().timestamp()),
    }  # fmt: skip
    assert name not in answer.text
    assert ask(desk, http, VALID, **{"Accept-Language": "en"}).json()["category"] == "adults"
    # Nothing is stored or logged of it.
    with application.reading() as session:
        assert [tuple(row) for row in session.execute(text("SELECT count(*) FROM audit_entries"))] == before
        assert session.execute(text("SELECT count(*) FROM device_nonces")).scalar_one() == 0
    assert VALID not in caplog.text


def test_what_the_register_says(application: Application, http: Http, desk: AppDevice, city: City) -> None:
    number, card = number_of(application, VALID), VALID
    assert told(desk, http, card)[:2] == ("GREEN", "VALID")
    step(application, lifecycle.suspend, number)
    assert told(desk, http, card) == ("RED", "SUSPENDED", card)
    step(application, lifecycle.resume, number)
    assert told(desk, http, card)[:2] == ("GREEN", "VALID")
    city.clock.forward(days=400)
    desk.clock = city.clock
    assert told(desk, http, card) == ("RED", "EXPIRED", card)
    city.clock.forward(days=-900)
    answer = ask(desk, http, card).json()
    assert (answer["reason"], answer["valid_from"]) == ("NOT_YET_VALID", "2026-04-17")
    city.clock.forward(days=500)
    step(application, lifecycle.revoke, number)
    assert told(desk, http, card) == ("RED", "REVOKED", card)
    assert told(desk, http, "24711399999999") == ("GREY", "CARD_UNKNOWN", "24711399999999")


def replace_card(application: Application, number: str, new: str) -> None:
    pass_type = application.pass_types[CARD]
    with application.writing() as session:
        place = (session, application.tenant, pass_type)
        sealer, by = application.sealer(session, pass_type), Actor("test", application.now())
        log = RevocationLog(application.workspace.folder)
        members.replace_card(*place, number, CardNumber(new), seal_for=sealer, actor=by, log=log)


def test_a_replaced_number_never_holds_again(
    application: Application, http: Http, desk: AppDevice, library: Library
) -> None:
    number = number_of(application, VALID)
    replace_card(application, number, "BQD18N009999")
    assert told(desk, http, f"*{VALID}*") == ("RED", "SUPERSEDED", VALID)
    # Whatever the library's system says of it, which nobody asks.
    library.answers[VALID] = patron()
    assert told(desk, http, VALID)[:2] == ("RED", "SUPERSEDED")
    assert library.asked == []
    library.answers["BQD18N009999"] = patron("BQD18N009999")
    assert told(desk, http, "bqd18n009999") == ("GREEN", "VALID", "BQD18N009999")


@pytest.mark.parametrize(
    ("why", "cause"),
    [
        (BlockReason.LOST, "lost"),
        (BlockReason.RETURNED, "returned"),
        (BlockReason.FEES, None),
        (BlockReason.OTHER, None),
    ],
)
@ON_ONE_DATABASE
def test_why_a_card_is_blocked_is_told_where_a_desk_may_read_it(
    application: Application, http: Http, desk: AppDevice, why: BlockReason, cause: str | None
) -> None:
    number, pass_type = number_of(application, VALID), application.pass_types[CARD]
    with application.writing() as session:
        by = Actor("test", application.now())
        members.block(session, application.tenant, pass_type, number, why, actor=by, open_fees_cents=1234)
    found = ask(desk, http, VALID)
    assert (found.json()["reason"], found.json()["cause"]) == ("SUSPENDED", cause)
    assert "1234" not in found.text
    assert "fees" not in found.text
    with application.writing() as session:
        members.unblock(session, application.tenant, pass_type, number, actor=by)
    assert told(desk, http, VALID)[:2] == ("GREEN", "VALID")


@ON_ONE_DATABASE
def test_a_number_that_can_be_two_cards_is_neither(
    application: Application, http: Http, desk: AppDevice
) -> None:
    replace_card(application, number_of(application, VALID), "A24711300000134B")
    found = ask(desk, http, "A24711300000134B").json()
    assert (found["verdict"], found["reason"], found["cause"]) == ("GREY", "ASK_LIBRARY", "several")
    # A camera knows the code, and which of the two it is.
    assert told(desk, http, "A24711300000134B", symbology="CODABAR")[2] == "24711300000134"
    assert told(desk, http, "A24711300000134B", symbology="CODE_128")[2] == "A24711300000134B"


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("read", "symbology", "expected"),
    [
        (["]A0BQD18N001000"], None, ("GREEN", "VALID", VALID)),
        (["bqd18n001000"], None, ("GREEN", "VALID", VALID)),
        (["bqd18nß001000", "BQD18N001000"], None, ("GREEN", "VALID", VALID)),
        (["A24711300000134B\r"], None, ("GREEN", "VALID", "24711300000134")),
        (["A24711300000134B"], "CODABAR", ("GREEN", "VALID", "24711300000134")),
        (["2471 1300 0001 34"], None, ("GREEN", "VALID", "24711300000134")),
        (["A2471130000"], "CODABAR", ("GREY", "CARD_MISREAD", None)),
        (["*BQD18N"], None, ("GREY", "CARD_MISREAD", None)),
        (["SP1:6BFOXN"], None, ("GREY", "CARD_MISREAD", None)),
    ],
)
def test_what_a_scanner_delivers(
    http: Http, desk: AppDevice, read: list[str], symbology: str | None, expected: tuple[str, str, str | None]
) -> None:
    assert told(desk, http, *read, symbology=symbology) == expected


@ON_ONE_DATABASE
def test_a_number_that_fits_no_scheme_of_the_library_is_looked_up_nowhere(
    application: Application, http: Http, desk: AppDevice, library: Library
) -> None:
    set_schemes(application, "codabar14", "sbc_like")
    for wrong in ("24711300000135", "247113000", "BQD18N00100"):
        assert told(desk, http, wrong) == ("GREY", "CARD_MISREAD", None)
    assert library.asked == []
    library.answers[VALID] = patron()
    assert told(desk, http, VALID)[:2] == ("GREEN", "VALID")
    self = desk.ask(http, "GET", "/check/devices/self").json()
    assert self["card_schemes"] == ["codabar14", "sbc_like"]


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("answer", "expected", "until"),
    [
        (patron(), ("GREEN", "VALID"), "2027-04-16"),
        (patron(expires=date(2026, 12, 24)), ("GREEN", "VALID"), "2026-12-24"),
        (patron(expires=date(2026, 11, 20)), ("GREEN", "VALID"), "2026-11-20"),
        # It says active, and has an end that is over: it lies in one of the two.
        (patron(expires=date(2026, 11, 19)), ("RED", "EXPIRED"), "2026-11-19"),
        (patron(standing=PatronStanding.INACTIVE), ("RED", "SUSPENDED"), "2027-04-16"),
        (patron(standing=PatronStanding.OWES_FEES), ("RED", "SUSPENDED"), "2027-04-16"),
        (
            patron(standing=PatronStanding.EXPIRED, expires=date(2026, 1, 1)),
            ("RED", "EXPIRED"),
            "2026-01-01",
        ),
        (patron(standing=PatronStanding.EXPIRED_OWES_FEES), ("RED", "EXPIRED"), "2027-04-16"),
        (patron("BQD18N001011"), ("GREY", "ASK_LIBRARY"), None),
        (PatronUnknown("PATRON_UNKNOWN"), ("RED", "CARD_UNKNOWN"), None),
        (SourceUnavailable("SOURCE_UNAVAILABLE"), ("GREY", "ASK_LIBRARY"), None),
        (SourceMisbehaves("SOURCE_MISBEHAVES"), ("GREY", "ASK_LIBRARY"), None),
    ],
)
def test_the_library_has_the_last_word(
    http: Http,
    desk: AppDevice,
    library: Library,
    answer: Patron | Exception,
    expected: tuple[str, str],
    until: str | None,
) -> None:
    library.answers[VALID] = answer
    found = ask(desk, http, VALID)
    assert (found.json()["verdict"], found.json()["reason"]) == expected
    assert found.json()["valid_until"] == until
    assert found.json()["cause"] == ("silent" if expected[0] == "GREY" else None)
    assert library.asked == [VALID]
    for private in ("Muster", "450", "4,50", "zahlen"):
        assert private not in found.text


@ON_ONE_DATABASE
def test_a_card_that_only_the_library_has(http: Http, desk: AppDevice, library: Library) -> None:
    library.answers["4711"] = patron("4711", expires=date(2027, 1, 1))
    assert told(desk, http, "A4711B") == ("GREEN", "VALID", "4711")
    assert library.asked == ["A4711B", "4711"]
    # The library has renewed what has ended in the register.
    assert told(desk, http, "9999") == ("RED", "CARD_UNKNOWN", "9999")


@ON_ONE_DATABASE
def test_what_the_register_has_ended_needs_no_library(
    application: Application, http: Http, desk: AppDevice, library: Library, city: City
) -> None:
    number, card = number_of(application, VALID), VALID
    step(application, lifecycle.suspend, number)
    assert told(desk, http, card)[:2] == ("RED", "SUSPENDED")
    assert library.asked == []
    step(application, lifecycle.resume, number)
    city.clock.forward(days=400)
    library.answers[card] = SourceUnavailable("SOURCE_UNAVAILABLE")
    assert told(desk, http, card)[:2] == ("RED", "EXPIRED")
    # Renewed there, and not yet here.
    library.answers[card] = patron(expires=date(2028, 1, 1))
    assert told(desk, http, card)[:2] == ("GREEN", "VALID")


def test_an_unpaid_card_never_holds(
    application: Application, http: Http, desk: AppDevice, library: Library
) -> None:
    with application.writing() as session:
        row = session.scalars(
            select(PassRow).where(PassRow.tenant == application.tenant, PassRow.card_key == VALID)
        ).one()
        row.status = PassStatus.PENDING_PAYMENT.value
    library.answers[VALID] = patron()
    found = ask(desk, http, VALID).json()
    assert (found["verdict"], found["reason"], found["cause"]) == ("GREY", "ASK_LIBRARY", None)
    # For whom it would be is told of a card alone that the register answers for.
    assert (found["valid_until"], found["category"]) == (None, None)
    library.answers[VALID] = patron(standing=PatronStanding.OWES_FEES)
    assert told(desk, http, VALID)[:2] == ("RED", "SUSPENDED")


def test_a_card_whose_seal_has_a_newer_one_never_holds(
    application: Application, http: Http, desk: AppDevice, library: Library, city: City
) -> None:
    """As after a restore: the number may be one that was lost and replaced since the backup."""
    number = number_of(application, VALID)
    with application.writing() as session:
        mine = (RevisionRow.tenant == application.tenant, RevisionRow.type_id == CARD)
        row = session.scalars(select(RevisionRow).where(*mine, RevisionRow.number == number)).one()
        row.status_value = int(Status.SUPERSEDED)
    library.answers[VALID] = patron()
    assert told(desk, http, VALID)[:2] == ("GREY", "ASK_LIBRARY")
    city.clock.forward(days=400)
    assert told(desk, http, VALID)[:2] == ("GREY", "ASK_LIBRARY")
    library.answers[VALID] = PatronUnknown("PATRON_UNKNOWN")
    assert told(desk, http, VALID)[:2] == ("RED", "CARD_UNKNOWN")


@ON_ONE_DATABASE
def test_a_card_of_the_register_is_found_whatever_its_check_digit(
    application: Application, http: Http, desk: AppDevice, library: Library
) -> None:
    replace_card(application, number_of(application, VALID), "24711300099991")
    set_schemes(application, "codabar14")
    library.answers["24711300099991"] = patron("24711300099991")
    assert told(desk, http, "24711300099991")[:2] == ("GREEN", "VALID")
    assert told(desk, http, VALID)[:2] == ("RED", "SUPERSEDED")
    assert told(desk, http, "24711300099992") == ("GREY", "CARD_MISREAD", None)
    assert library.asked == ["24711300099991"]


@ON_ONE_DATABASE
def test_a_library_that_stalls_keeps_nobody_waiting(
    http: Http, desk: AppDevice, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("issuer.library.card_lookup.PATIENCE_SECONDS", 0.05)
    library.stalls = threading.Event()
    # More than may wait for it at once.
    for _ in range(6):
        answer = ask(desk, http, VALID).json()
        assert (answer["verdict"], answer["reason"], answer["cause"]) == ("GREY", "ASK_LIBRARY", "silent")
    assert len(library.asked) <= 4
    library.stalls.set()


@ON_ONE_DATABASE
def test_a_library_that_speaks_paia(city: City) -> None:
    secret = city.folder / "library.password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    with PaiaServer({VALID: {"name": "Maximiliane Muster", "status": 0, "expires": "2026-12-24"}}) as server:
        config = city.folder / CONFIG
        library = {
            "source": "paia", "url": f"{server.url}/core", "login_url": f"{server.url}/auth", "user": USER,
            "password_file": secret.name,
        }  # fmt: skip
        lines = [f'{name} = "{value}"' for name, value in library.items()]
        config.write_text("\n".join([config.read_text(), "[library]", *lines, ""]))
        application = city.open()
        with TestClient(create_app(application)) as http:
            desk = enrolled(application, http, city.clock, Role.LIBRARIAN)
            found = ask(desk, http, f"*{VALID}*").json()
            assert (found["reason"], found["valid_until"]) == ("VALID", "2026-12-24")
            server.patrons[VALID]["status"] = 3
            found = ask(desk, http, VALID)
            assert (found.json()["reason"], found.json()["cause"]) == ("SUSPENDED", None)
            assert "Muster" not in found.text
            assert told(desk, http, "24711300000134")[:2] == ("RED", "CARD_UNKNOWN")
            server.faults.append(Fault("stall"))
            found = ask(desk, http, VALID).json()
            assert (found["verdict"], found["reason"], found["cause"]) == ("GREY", "ASK_LIBRARY", "silent")


@ON_ONE_DATABASE
def test_only_librarians_devices_of_this_city_ask(
    application: Application, neighbour: Application, http: Http, desk: AppDevice, city: City
) -> None:
    warden = enrolled(application, http, city.clock, Role.WARDEN)
    assert refused(ask(warden, http, VALID)) == (403, "DEVICE_NOT_LIBRARIAN")
    stranger = AppDevice(city.clock, id="0" * 32)
    assert refused(ask(stranger, http, VALID)) == (401, "DEVICE_UNKNOWN")
    assert refused(http.post(PATH, json={"read": [VALID]})) == (401, "DEVICE_SIGNATURE")
    body = msgspec.json.encode({"read": [VALID]})
    altered = body.replace(b"1000", b"1011")
    headers = desk.headers("POST", PATH, body)
    assert refused(http.post(PATH, content=altered, headers=headers)) == (401, "DEVICE_SIGNATURE")
    with TestClient(create_app(neighbour)) as next_door:
        assert refused(ask(desk, next_door, VALID)) == (401, "DEVICE_UNKNOWN")
    with application.writing() as session:
        lock_device(session, application, desk.id, actor="test")
    assert refused(ask(desk, http, VALID)) == (401, "DEVICE_LOCKED")


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b'{"read":[]}', b'{"read":[""]}', b'{"read":"1"}', b'{"read":["1"],"more":1}',
        b'{"read":["' + b"1" * 81 + b'"]}', b'{"read":["1"],"symbology":"PLATE"}', b"[" * 2000,
        msgspec.json.encode({"read": ["1"] * 9}),
    ],
)  # fmt: skip
def test_bodies_that_nobody_sends(http: Http, desk: AppDevice, body: bytes) -> None:
    answer = desk.ask(http, "POST", PATH, body)
    assert refused(answer) == (400, "REQUEST_UNREADABLE")
    assert desk.ask(http, "POST", PATH, b" " * 5000).status_code == 413


@ON_ONE_DATABASE
def test_who_tries_numbers_is_slowed_down(http: Http, desk: AppDevice) -> None:
    found = [ask(desk, http, f"2471130000{at:04}") for at in range(15)]
    answers = [one.status_code for one in found]
    assert answers.index(429) == 10
    assert set(answers[10:]) == {429}
    assert int(found[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize("beside", [[VALID], [VALID, "BQD18N001011"], []])
@ON_ONE_DATABASE
def test_many_numbers_at_once_count_each(http: Http, desk: AppDevice, beside: list[str]) -> None:
    found = []
    for at in range(5):
        guessed = [f"2471130{at}{one:04}" for one in range(8 - len(beside))]
        found.append(ask(desk, http, *guessed, *beside).status_code)
    assert found == [200, 200, 429, 429, 429]


@ON_ONE_DATABASE
def test_numbers_of_which_a_silent_library_says_nothing_count(
    http: Http, desk: AppDevice, library: Library
) -> None:
    library.answers = {f"2471130000{at:04}": SourceUnavailable("SOURCE_UNAVAILABLE") for at in range(12)}
    found = [ask(desk, http, number).status_code for number in library.answers]
    assert found == [200] * 10 + [429] * 2


@ON_ONE_DATABASE
def test_cards_that_are_known_never_slow_a_desk_down(http: Http, desk: AppDevice, library: Library) -> None:
    library.answers["4711"] = patron("4711")
    for _ in range(12):
        assert told(desk, http, "4711", "47 11")[:2] == ("GREEN", "VALID")
        assert ask(desk, http, "bqd18n001000", VALID).status_code == 200
