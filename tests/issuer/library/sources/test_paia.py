"""The PAIA client against a strict stand-in that stalls, lies, and says no in every way that HTTP has."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from issuer.configuration import LibraryConfig
from issuer.errors import IssuerRefusal
from issuer.library.before_issue import MemberNotInOrder, Unchecked, check_before_issue
from issuer.library.sources import Patron, PatronStanding, PatronUnknown, SourceMisbehaves, SourceUnavailable
from issuer.library.sources.connected import connect
from issuer.library.sources.guarded import GuardedSource
from tests.apns_server import ServerCertificate
from tests.issuer.library.sources.test_sip2 import refused
from tests.paia_server import PASSWORD, USER, PaiaServer, Token
from tests.service import SetClock

NUMBER = "00/12 45"
ERIKA = "Erika Müßter"
Connect = Callable[..., GuardedSource]


@pytest.fixture
def server() -> Iterator[PaiaServer]:
    with PaiaServer({NUMBER: {"name": ERIKA, "status": 0}, "17": {"name": "Kai Kind", "status": 0}}) as made:
        yield made
        assert made.broken == []


@pytest.fixture
def connected(server: PaiaServer, tmp_path: Path) -> Connect:
    for name, text in (("password", PASSWORD), ("token", "fixed-token")):
        file = tmp_path / f"library.{name}"
        file.write_text(text + "\n")
        file.chmod(0o600)

    def make(**other: Any) -> GuardedSource:
        settings: dict[str, Any] = {
            "source": "paia",
            "url": f"{server.url}/core",
            "login_url": f"{server.url}/auth",
            "user": USER,
            "password_file": "library.password",
            "timeout_seconds": 1.0,
            **other,
        }
        source = connect(LibraryConfig(**settings), tmp_path, SetClock())
        assert source is not None
        return source

    return make


def test_a_patron(server: PaiaServer, connected: Connect) -> None:
    server.patrons[NUMBER] |= {
        "expires": "2027-12-31",
        "email": "erika@musterstadt.example",
        "address": "Musterweg 1",
        "type": ["http://example.org/adult", "http://example.org/staff"],
        "note": "Bitte\nmelden Sie sich.",
        "newer": {"than": "us"},
    }
    source = connected()
    assert source.patron(NUMBER) == Patron(
        NUMBER,
        ERIKA,
        PatronStanding.ACTIVE,
        expires=date(2027, 12, 31),
        category="http://example.org/adult http://example.org/staff",
        message="Bitte melden Sie sich.",
    )
    assert source.patron("17").name == "Kai Kind"
    assert server.asked("login") == 1
    # Fees are not asked for unless the operator wants it.
    assert server.asked("fees") == 0
    assert ("patron", "/core/00%2F12%2045") in server.seen


@pytest.mark.parametrize(
    ("status", "expires", "standing"),
    [
        (0, None, PatronStanding.ACTIVE),
        (1, None, PatronStanding.INACTIVE),
        (2, None, PatronStanding.EXPIRED),
        (3, None, PatronStanding.OWES_FEES),
        (4, None, PatronStanding.EXPIRED_OWES_FEES),
        # Whatever PAIA does not define is inactive.
        (5, None, PatronStanding.INACTIVE),
        (2**63, None, PatronStanding.INACTIVE),
        (0, "2026-11-20", PatronStanding.ACTIVE),
        (0, "2026-11-19", PatronStanding.EXPIRED),
        (0, "2026-11-20T23:59:59Z", PatronStanding.ACTIVE),
        (0, "2026-11-20T00:00:00+01:00", PatronStanding.ACTIVE),
        (3, "2026-11-19", PatronStanding.EXPIRED_OWES_FEES),
        (1, "2026-11-19", PatronStanding.INACTIVE),
    ],
)
def test_account_states(
    server: PaiaServer, connected: Connect, status: int, expires: str | None, standing: PatronStanding
) -> None:
    server.patrons["17"] = {"name": ERIKA, "status": status} | ({"expires": expires} if expires else {})
    assert connected().patron("17").standing is standing


@pytest.mark.parametrize("status", [1, 5, 99])
def test_an_unknown_state_is_a_blocked_account_at_the_desk(
    server: PaiaServer, connected: Connect, status: int
) -> None:
    server.patrons["17"]["status"] = status
    refusal = refused(lambda: check_before_issue(connected(), "17"), MemberNotInOrder)
    assert refusal == "LIBRARY_MEMBER_BLOCKED"


def test_a_system_that_stalls_keeps_no_desk_waiting(server: PaiaServer, connected: Connect) -> None:
    server.fail("stall", times=9)
    began = time.monotonic()
    found = check_before_issue(connected(timeout_seconds=60.0, desk_seconds=0.5), "17")
    assert isinstance(found, Unchecked)
    assert found.fault.code == "LIBRARY_TIMEOUT"
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("stall", SourceUnavailable, "LIBRARY_TIMEOUT"),
        ("drip", SourceUnavailable, "LIBRARY_TIMEOUT"),
        ("drop", SourceUnavailable, "LIBRARY_UNREACHABLE"),
        ("internal_error", SourceUnavailable, "LIBRARY_BROKEN"),
        ("service_unavailable", SourceUnavailable, "LIBRARY_BROKEN"),
        ("429", SourceUnavailable, "LIBRARY_BUSY"),
        ("insufficient_scope", SourceUnavailable, "LIBRARY_FORBIDDEN"),
        ("invalid_grant", SourceUnavailable, "LIBRARY_TOKEN_REFUSED"),
        ("not_implemented", SourceMisbehaves, "LIBRARY_NOT_PAIA"),
        ("invalid_request", SourceMisbehaves, "LIBRARY_NOT_PAIA"),
        ("no such page", SourceMisbehaves, "LIBRARY_NOT_PAIA"),
        ("page", SourceMisbehaves, "LIBRARY_NOT_PAIA"),
        ("elsewhere", SourceMisbehaves, "LIBRARY_REDIRECT"),
        ("huge", SourceMisbehaves, "LIBRARY_TOO_LONG"),
        ("packed", SourceMisbehaves, "LIBRARY_ANSWER"),
        ("deep", SourceMisbehaves, "LIBRARY_ANSWER"),
        ("malformed", SourceMisbehaves, "LIBRARY_ANSWER"),
        ("encoding", SourceMisbehaves, "LIBRARY_ANSWER"),
        ('{"status": 0}', SourceMisbehaves, "LIBRARY_ANSWER"),
        ('{"name": 17, "status": 0}', SourceMisbehaves, "LIBRARY_ANSWER"),
        ('{"name": "E", "status": "0"}', SourceMisbehaves, "LIBRARY_ANSWER"),
        ('{"name": "E", "status": true}', SourceMisbehaves, "LIBRARY_ANSWER"),
        ('{"name": "E", "status": 0.5}', SourceMisbehaves, "LIBRARY_ANSWER"),
        ('{"name": "E", "status": -1}', SourceMisbehaves, "LIBRARY_ANSWER"),
        ('{"name": "E", "status": 0, "type": "x"}', SourceMisbehaves, "LIBRARY_ANSWER"),
        ('{"name": "E", "status": 0, "expires": 2027}', SourceMisbehaves, "LIBRARY_ANSWER"),
        ('{"name": "E", "status": 0, "expires": "31.12.2027"}', SourceMisbehaves, "LIBRARY_FIELD"),
        ('{"name": "E", "status": 0, "expires": "2027-02-30"}', SourceMisbehaves, "LIBRARY_FIELD"),
        ('{"name": "E", "status": 0, "expires": "2027-02-03T25:00:00Z"}', SourceMisbehaves, "LIBRARY_FIELD"),
        # Whether somebody may borrow is not guessed from silence.
        ('{"name": "E"}', SourceMisbehaves, "LIBRARY_FIELD"),
        ('{"name": " ", "status": 0}', SourceMisbehaves, "LIBRARY_NAMELESS"),
        ('{"error": "invalid_grant", "code": 401}', SourceMisbehaves, "LIBRARY_ANSWER"),
    ],
)
def test_answers_that_are_none(
    server: PaiaServer,
    connected: Connect,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    kind: type[IssuerRefusal],
    code: str,
) -> None:
    source = connected()
    server.fail(fault, times=9)
    began = time.monotonic()
    with caplog.at_level(logging.DEBUG, logger="stadtpass"):
        assert refused(lambda: source.patron(NUMBER), kind) == code
    assert time.monotonic() - began < 2
    for secret in (ERIKA, PASSWORD, NUMBER, "10 EUR", *server.tokens):
        assert secret not in caplog.text
    # A token goes nowhere else.
    assert all("elsewhere" not in path for _, path in server.seen)
    server.faults.clear()
    assert source.patron("17").name == "Kai Kind"


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("access_denied", SourceUnavailable, "LIBRARY_LOGIN_REFUSED"),
        ("internal_error", SourceUnavailable, "LIBRARY_BROKEN"),
        ("stall", SourceUnavailable, "LIBRARY_TIMEOUT"),
        ("elsewhere", SourceMisbehaves, "LIBRARY_REDIRECT"),
        ("{}", SourceMisbehaves, "LIBRARY_ANSWER"),
        (
            '{"access_token": "a\\nb", "token_type": "Bearer", "patron": "x", "scope": "read_patron"}',
            SourceMisbehaves,
            "LIBRARY_FIELD",
        ),
        (
            '{"access_token": "ab", "token_type": "MAC", "patron": "x", "scope": "read_patron"}',
            SourceMisbehaves,
            "LIBRARY_FIELD",
        ),
        (
            '{"access_token": "ab", "token_type": "bearer", "patron": "x", "scope": "read_items"}',
            SourceUnavailable,
            "LIBRARY_FORBIDDEN",
        ),
    ],
)
def test_log_ins_that_fail(
    server: PaiaServer, connected: Connect, fault: str, kind: type[IssuerRefusal], code: str
) -> None:
    server.fail(fault, at="login", times=9)
    source = connected()
    assert refused(lambda: source.patron(NUMBER), kind) == code
    assert server.asked("patron") == 0


@pytest.mark.parametrize("grant", ["client_credentials", "password"])
def test_both_grants(server: PaiaServer, connected: Connect, grant: str, tmp_path: Path) -> None:
    assert connected(grant=grant).patron(NUMBER).name == ERIKA
    (tmp_path / "library.password").write_text("falsch")
    refusal = refused(lambda: connected(grant=grant).patron(NUMBER), SourceUnavailable)
    assert refusal == "LIBRARY_LOGIN_REFUSED"


def test_a_withdrawn_token_is_replaced_once(server: PaiaServer, connected: Connect) -> None:
    source = connected()
    source.patron(NUMBER)
    server.tokens.clear()
    assert source.patron(NUMBER).name == ERIKA
    assert server.asked("login") == 2


def test_a_token_near_its_end_is_not_used(server: PaiaServer, connected: Connect) -> None:
    server.expires_in = 60
    source = connected()
    for _ in range(2):
        source.patron(NUMBER)
    assert server.asked("login") == 2
    server.expires_in = None
    for _ in range(3):
        source.patron(NUMBER)
    assert server.asked("login") == 3


def test_a_token_for_each_patron(server: PaiaServer, connected: Connect) -> None:
    source = connected(token_per_patron=True)
    assert source.patron(NUMBER).name == ERIKA
    assert source.patron("17").name == "Kai Kind"
    assert server.asked("login") == 2
    told = '{"access_token": "ab", "token_type": "Bearer", "patron": "18", "scope": "read_patron"}'
    server.fail(told, at="login")
    assert refused(lambda: source.patron("17"), SourceMisbehaves) == "LIBRARY_OTHER_PATRON"


def test_a_log_in_refused_for_one_patron_alone(
    server: PaiaServer, connected: Connect, tmp_path: Path
) -> None:
    server.denies_unknown = True
    source = connected(token_per_patron=True)
    # Before anybody was logged in it can be the password as well.
    assert refused(lambda: source.patron("18"), SourceUnavailable) == "LIBRARY_LOGIN_REFUSED"
    source = connected(token_per_patron=True)
    assert source.patron("17").name == "Kai Kind"
    for number in ("18", "19", "20", "21"):
        assert refused(lambda one=number: source.patron(one), PatronUnknown) == "LIBRARY_PATRON_UNKNOWN"  # type: ignore[misc]
    assert source.patron("17").name == "Kai Kind"
    (tmp_path / "library.password").write_text("falsch")
    assert refused(lambda: source.patron("18"), SourceUnavailable) == "LIBRARY_LOGIN_REFUSED"


def test_a_token_for_good(server: PaiaServer, connected: Connect, tmp_path: Path) -> None:
    server.tokens["fixed-token"] = Token("read_patron", None)
    source = connected(login_url="", token_file="library.token")
    assert source.patron(NUMBER).name == ERIKA
    server.tokens.clear()
    assert refused(lambda: source.patron(NUMBER), SourceUnavailable) == "LIBRARY_TOKEN_REFUSED"
    assert server.asked("login") == 0
    source = connected(login_url="", token_file="library.token")
    for content, mode in (("", 0o600), ("two words", 0o600), ("fixed-token", 0o640)):
        (tmp_path / "library.token").write_text(content)
        (tmp_path / "library.token").chmod(mode)
        assert refused(lambda: source.patron(NUMBER), SourceUnavailable) == "LIBRARY_CREDENTIALS"


def test_who_is_not_there(server: PaiaServer, connected: Connect) -> None:
    source = connected()
    assert refused(lambda: source.patron("4711"), PatronUnknown) == "LIBRARY_PATRON_UNKNOWN"
    seen = len(server.seen)
    assert refused(lambda: source.patron(".."), PatronUnknown) == "LIBRARY_PATRON_UNKNOWN"
    assert len(server.seen) == seen


@pytest.mark.parametrize(
    ("answer", "cents"),
    [
        ({"amount": "12.50 EUR", "fee": [{"amount": "12.50 EUR", "about": "late"}]}, 1250),
        ({"amount": "-2.00 EUR"}, 0),
        ({}, None),
        ({"amount": "12.50 USD"}, None),
        ({"amount": 12.5}, None),
    ],
)
def test_fees(server: PaiaServer, connected: Connect, answer: dict[str, Any], cents: int | None) -> None:
    server.patrons["17"]["status"] = 3
    server.fees["17"] = answer
    source = connected(fees=True)
    found = source.patron("17")
    assert (found.standing, found.open_fees_cents) == (PatronStanding.OWES_FEES, cents)
    source.patron(NUMBER)
    # Who owes nothing is not asked about.
    assert server.asked("fees") == 1


def test_fees_that_may_not_be_read(server: PaiaServer, connected: Connect) -> None:
    server.patrons["17"]["status"] = 4
    server.scope = "read_patron"
    assert connected(fees=True).patron("17").standing is PatronStanding.EXPIRED_OWES_FEES
    assert server.asked("fees") == 0


def test_tls(server: PaiaServer, tmp_path: Path) -> None:
    certificate = ServerCertificate.new(tmp_path)
    (tmp_path / "library.password").write_text(PASSWORD)
    (tmp_path / "library.password").chmod(0o600)
    with PaiaServer(server.patrons, context=certificate.context()) as secure:

        def made(ca_file: str) -> GuardedSource:
            config = LibraryConfig(
                source="paia",
                url=f"{secure.url}/core",
                login_url=f"{secure.url}/auth",
                user=USER,
                password_file="library.password",
                ca_file=ca_file,
                timeout_seconds=2.0,
            )
            source = connect(config, tmp_path, SetClock())
            assert source is not None
            return source

        assert made(str(certificate.ca_file)).patron("17").name == "Kai Kind"
        seen = len(secure.seen)
        assert refused(lambda: made("").patron("17"), SourceUnavailable) == "LIBRARY_CERTIFICATE"
        assert len(secure.seen) == seen
