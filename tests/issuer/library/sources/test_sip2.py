"""The SIP2 client against a strict stand-in that stalls, drips, lies and hangs up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from issuer.configuration import LibraryConfig
from issuer.errors import IssuerRefusal
from issuer.library.sources import Patron, PatronStanding, PatronUnknown, SourceMisbehaves, SourceUnavailable
from issuer.library.sources.connected import ask, connect
from issuer.library.sources.guarded import GuardedSource
from tests.apns_server import ServerCertificate
from tests.service import SetClock
from tests.sip2_server import INSTITUTION, LOCATION, PASSWORD, USER, Account, Sip2Server

NUMBER = "0012345"
ERIKA = "Müßter, Erika"
Connect = Callable[..., GuardedSource]


@pytest.fixture
def server() -> Iterator[Sip2Server]:
    with Sip2Server({NUMBER: Account(ERIKA), "A 17": Account("Kind, Kai")}) as made:
        yield made
        assert made.broken == []


@pytest.fixture
def connected(server: Sip2Server, tmp_path: Path) -> Iterator[Connect]:
    made: list[GuardedSource] = []
    file = tmp_path / "library.password"
    file.write_text(PASSWORD + "\n")
    file.chmod(0o600)

    def make(**other: Any) -> GuardedSource:
        settings: dict[str, Any] = {
            "source": "sip2",
            "host": "localhost",
            "port": server.port,
            "tls": False,
            "user": USER,
            "password_file": file.name,
            "institution": INSTITUTION,
            "location": LOCATION,
            "timeout_seconds": 1.0,
            "desk_seconds": 0.5,
            **other,
        }
        source = connect(LibraryConfig(**settings), tmp_path, SetClock())
        assert source is not None
        made.append(source)
        return source

    yield make
    for one in made:
        one.close()


def refused(call: Callable[[], object], kind: type[IssuerRefusal]) -> str:
    """The code that ``call`` is refused with; the sentence exists in both languages."""
    with pytest.raises(kind) as caught:
        call()
    assert len({caught.value.sentence(language) for language in ("de", "en")}) == 2
    return caught.value.code


def test_a_patron_and_what_is_asked(server: Sip2Server, connected: Connect) -> None:
    server.accounts[NUMBER] = Account(
        ERIKA, expires="20271231    235959", owes="3.50", category="ERW", message=("Guten Tag!", "Bis bald.")
    )
    source = connected()
    assert source.patron(NUMBER) == Patron(
        NUMBER,
        ERIKA,
        PatronStanding.ACTIVE,
        expires=date(2027, 12, 31),
        open_fees_cents=350,
        category="ERW",
        message="Guten Tag! Bis bald.",
    )
    assert source.patron("A 17").name == "Kind, Kai"
    # One connection, one log-in, one look at what the system can do.
    assert (server.connections, server.seen) == (1, ["93", "99", "63", "63"])


@pytest.mark.parametrize(
    ("account", "standing"),
    [
        (Account(ERIKA), PatronStanding.ACTIVE),
        (Account(ERIKA, flags=(0, 1, 3)), PatronStanding.INACTIVE),
        (Account(ERIKA, flags=(4,)), PatronStanding.INACTIVE),
        # Too many items on loan or overdue: the card itself is good.
        (Account(ERIKA, flags=(0, 1, 5)), PatronStanding.ACTIVE),
        (Account(ERIKA, flags=(0, 6)), PatronStanding.ACTIVE),
        (Account(ERIKA, flags=(10,)), PatronStanding.OWES_FEES),
        (Account(ERIKA, flags=(0, 11)), PatronStanding.OWES_FEES),
        (Account(ERIKA, flags=(4, 11)), PatronStanding.INACTIVE),
        (Account(ERIKA, expires="20261120"), PatronStanding.ACTIVE),
        (Account(ERIKA, expires="20261119"), PatronStanding.EXPIRED),
        (Account(ERIKA, flags=(0, 1, 2, 3), expires="20261119"), PatronStanding.EXPIRED),
        (Account(ERIKA, flags=(10,), expires="20261119"), PatronStanding.EXPIRED_OWES_FEES),
        (Account(ERIKA, flags=(4,), expires="20261119"), PatronStanding.INACTIVE),
    ],
)
def test_what_the_flags_mean(
    server: Sip2Server, connected: Connect, account: Account, standing: PatronStanding
) -> None:
    server.accounts[NUMBER] = account
    assert connected().patron(NUMBER).standing is standing


@pytest.mark.parametrize(
    ("owes", "currency", "cents"),
    [("", "EUR", None), ("0.00", "USD", 0), ("12,5", "EUR", 1250), ("7", "EUR", 700), ("-3.00", "EUR", 0)],
)
def test_fees(server: Sip2Server, connected: Connect, owes: str, currency: str, cents: int | None) -> None:
    server.accounts[NUMBER] = Account(ERIKA, owes=owes, currency=currency)
    assert connected().patron(NUMBER).open_fees_cents == cents


@pytest.mark.parametrize(
    "account",
    [
        Account(ERIKA, owes="3.50", currency="USD"),
        Account(ERIKA, owes="a lot"),
        Account(ERIKA, owes="٣.50"),
        Account(ERIKA, expires="20261340"),
        Account(ERIKA, expires="31.12.2026"),
        Account("x" * 201),
        Account("Erika\tMuster"),
    ],
)
def test_fields_that_are_none(server: Sip2Server, connected: Connect, account: Account) -> None:
    server.accounts[NUMBER] = account
    source = connected()
    assert refused(lambda: source.patron(NUMBER), SourceMisbehaves) == "LIBRARY_FIELD"
    assert source.patron("A 17").name == "Kind, Kai"


def test_who_is_not_there(server: Sip2Server, connected: Connect) -> None:
    source = connected()
    assert refused(lambda: source.patron("4711"), PatronUnknown) == "LIBRARY_PATRON_UNKNOWN"
    assert source.patron(NUMBER).name == ERIKA
    assert server.connections == 1


@pytest.mark.parametrize("number", ["", " 1", "1|BLY", "1\r99", "ü", "1" * 41, "..", "1\x00"])
def test_numbers_that_are_not_sent(server: Sip2Server, connected: Connect, number: str) -> None:
    assert refused(lambda: connected().patron(number), PatronUnknown) == "LIBRARY_PATRON_UNKNOWN"
    assert server.seen == []


def test_a_system_without_patron_information(server: Sip2Server, connected: Connect) -> None:
    server.messages = "YNNNYNYN"
    assert connected().patron(NUMBER).name == ERIKA
    assert server.seen[-1] == "23"


@pytest.mark.parametrize(
    ("attribute", "value", "kind", "code"),
    [
        ("messages", "NYNNYNYN", SourceMisbehaves, "LIBRARY_UNSUPPORTED"),
        ("messages", "", SourceMisbehaves, "LIBRARY_UNSUPPORTED"),
        ("version", "1.00", SourceMisbehaves, "LIBRARY_VERSION"),
        ("online", "N", SourceUnavailable, "LIBRARY_OFFLINE"),
        ("online", "?", SourceMisbehaves, "LIBRARY_MESSAGE"),
    ],
)
def test_what_the_system_says_of_itself(
    server: Sip2Server, connected: Connect, attribute: str, value: str, kind: type[IssuerRefusal], code: str
) -> None:
    setattr(server, attribute, value)
    assert refused(lambda: connected().patron(NUMBER), kind) == code


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("stall", SourceUnavailable, "LIBRARY_TIMEOUT"),
        ("drip", SourceUnavailable, "LIBRARY_TIMEOUT"),
        ("close", SourceUnavailable, "LIBRARY_CLOSED"),
        ("half", SourceUnavailable, "LIBRARY_CLOSED"),
        ("checksum", SourceMisbehaves, "LIBRARY_CHECKSUM"),
        ("no checksum", SourceMisbehaves, "LIBRARY_CHECKSUM"),
        ("sequence", SourceMisbehaves, "LIBRARY_SEQUENCE"),
        ("other patron", SourceMisbehaves, "LIBRARY_OTHER_PATRON"),
        ("long", SourceMisbehaves, "LIBRARY_TOO_LONG"),
        ("encoding", SourceMisbehaves, "LIBRARY_ENCODING"),
        ("lie", SourceMisbehaves, "LIBRARY_NAMELESS"),
        ("another message", SourceMisbehaves, "LIBRARY_MESSAGE"),
        ("no message", SourceMisbehaves, "LIBRARY_MESSAGE"),
        ("more", SourceMisbehaves, "LIBRARY_MESSAGE"),
        ("flags", SourceMisbehaves, "LIBRARY_MESSAGE"),
        ("silent about validity", SourceMisbehaves, "LIBRARY_FIELD"),
        ("valid?", SourceMisbehaves, "LIBRARY_FIELD"),
        ("twice", SourceMisbehaves, "LIBRARY_FIELD"),
        ("resend", SourceMisbehaves, "LIBRARY_RESEND"),
    ],
)
def test_answers_that_are_none(
    server: Sip2Server,
    connected: Connect,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    kind: type[IssuerRefusal],
    code: str,
) -> None:
    number = "4711" if fault == "lie" else NUMBER
    source = connected()
    server.fail(fault, at="63", times=9)
    began = time.monotonic()
    with caplog.at_level(logging.DEBUG):
        assert refused(lambda: source.patron(number), kind) == code
    assert time.monotonic() - began < 2
    assert ERIKA not in caplog.text
    assert PASSWORD not in caplog.text
    assert NUMBER not in caplog.text
    server.faults.clear()
    # Nothing of the faulty answer is left for the next question.
    assert source.patron("A 17").name == "Kind, Kai"


@pytest.mark.parametrize("fault", ["close", "half", "checksum", "resend"])
def test_one_fault_is_mended_by_a_second_try(server: Sip2Server, connected: Connect, fault: str) -> None:
    server.fail(fault, at="63")
    assert connected().patron(NUMBER).name == ERIKA


@pytest.mark.parametrize("fault", ["close after", "stall"])
def test_a_connection_that_was_closed_is_made_again(
    server: Sip2Server, connected: Connect, fault: str
) -> None:
    source = connected()
    server.fail(fault, at="63")
    try:
        source.patron(NUMBER)
    except SourceUnavailable:
        assert fault == "stall"
    time.sleep(0.1)
    assert source.patron(NUMBER).name == ERIKA
    assert server.connections == 2


def test_the_log_in_is_refused(server: Sip2Server, connected: Connect, tmp_path: Path) -> None:
    (tmp_path / "library.password").write_text("falsch")
    assert refused(lambda: connected().patron(NUMBER), SourceUnavailable) == "LIBRARY_LOGIN_REFUSED"
    server.login = False
    assert connected(user="", password_file="").patron(NUMBER).name == ERIKA


def test_a_password_that_others_can_read(connected: Connect, tmp_path: Path) -> None:
    (tmp_path / "library.password").chmod(0o644)
    assert refused(lambda: connected().patron(NUMBER), SourceUnavailable) == "LIBRARY_CREDENTIALS"


def test_lines_that_end_with_cr_lf(server: Sip2Server, connected: Connect) -> None:
    server.end = b"\r\n"
    source = connected()
    for _ in range(3):
        assert source.patron(NUMBER).name == ERIKA
    assert server.connections == 1


@pytest.mark.parametrize("encoding", ["cp850", "iso-8859-1"])
def test_other_character_sets(server: Sip2Server, connected: Connect, encoding: str) -> None:
    server.encoding = encoding
    assert connected(encoding=encoding).patron(NUMBER).name == ERIKA


def test_without_error_detection(server: Sip2Server, connected: Connect) -> None:
    server.error_detection = False
    assert connected(error_detection=False).patron(NUMBER).name == ERIKA
    assert refused(lambda: connected().patron(NUMBER), SourceUnavailable) == "LIBRARY_CLOSED"
    server.broken.clear()


def test_tls(server: Sip2Server, connected: Connect, tmp_path: Path) -> None:
    certificate = ServerCertificate.new(tmp_path)
    server.context = certificate.context()
    source = connected(tls=True, ca_file=str(certificate.ca_file))
    assert source.patron(NUMBER).name == ERIKA
    assert source.patron("A 17").name == "Kind, Kai"
    assert server.connections == 1
    seen = len(server.seen)
    # An authority that nobody trusts, a name that is not in it, no TLS at all: no password leaves the house.
    assert refused(lambda: connected(tls=True).patron(NUMBER), SourceUnavailable) == "LIBRARY_CERTIFICATE"
    other = connected(tls=True, ca_file=str(certificate.ca_file), host="127.0.0.2")
    assert refused(lambda: other.patron(NUMBER), SourceUnavailable) in (
        "LIBRARY_CERTIFICATE",
        "LIBRARY_UNREACHABLE",
    )
    server.context = None
    plain = connected(tls=True, ca_file=str(certificate.ca_file))
    assert refused(lambda: plain.patron(NUMBER), SourceUnavailable) in (
        "LIBRARY_UNREACHABLE",
        "LIBRARY_TIMEOUT",
    )
    assert len(server.seen) == seen
    server.broken.clear()


def test_a_name_server_that_says_nothing(connected: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: time.sleep(3))
    began = time.monotonic()
    assert refused(lambda: connected().patron(NUMBER), SourceUnavailable) == "LIBRARY_TIMEOUT"
    assert time.monotonic() - began < 2


def test_repeated_failures_make_a_pause(
    server: Sip2Server, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("issuer.library.sources.guarded._PAUSE_SECONDS", 0.5)
    source = connected(timeout_seconds=0.3)
    server.fail("stall", at="63", times=4)
    for _ in range(3):
        assert refused(lambda: source.patron(NUMBER), SourceUnavailable) == "LIBRARY_TIMEOUT"
    began = time.monotonic()
    assert refused(lambda: ask(source, NUMBER), SourceUnavailable) == "LIBRARY_PAUSED"
    assert time.monotonic() - began < 0.1
    time.sleep(0.5)
    # One tries, and fails: the pause begins anew. The next one finds that all is well.
    assert refused(lambda: source.patron(NUMBER), SourceUnavailable) == "LIBRARY_TIMEOUT"
    assert refused(lambda: source.patron(NUMBER), SourceUnavailable) == "LIBRARY_PAUSED"
    time.sleep(0.5)
    assert source.patron(NUMBER).name == ERIKA
    assert source.patron(NUMBER).name == ERIKA


def test_somebody_at_the_desk_does_not_wait_for_the_night(server: Sip2Server, connected: Connect) -> None:
    source = connected(timeout_seconds=2.0)
    server.fail("stall", at="63")
    night = threading.Thread(target=lambda: refused(lambda: source.patron(NUMBER), SourceUnavailable))
    night.start()
    time.sleep(0.2)
    began = time.monotonic()
    assert refused(lambda: ask(source, "A 17"), SourceUnavailable) == "LIBRARY_TIMEOUT"
    assert time.monotonic() - began < 1
    night.join()


def test_many_threads_get_their_own_answers(server: Sip2Server, connected: Connect) -> None:
    server.accounts |= {str(n): Account(f"Person {n}") for n in range(40)}
    source = connected(timeout_seconds=10.0)
    found: dict[int, str] = {}

    def look_up(n: int) -> None:
        found[n] = source.patron(str(n)).name

    threads = [threading.Thread(target=look_up, args=(n,)) for n in range(40)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == {n: f"Person {n}" for n in range(40)}
    assert server.connections == 1
