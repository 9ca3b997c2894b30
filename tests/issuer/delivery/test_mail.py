"""Mails: what they say, that they arrive once, and what happens where they do not."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from issuer import lifecycle, waiting_letters
from issuer.application import Application
from issuer.background.tasks import RetryLater
from issuer.delivery import mail
from issuer.lifecycle import Actor, revoke
from issuer.models import HolderRow, PassRow
from issuer.models_access import PickupLinkRow
from issuer.models_delivery import LetterRow, MailRow
from issuer.pickup.links import redeem_link
from issuer.settings import load_settings, save_settings
from tests.service import PERMIT, City, running_numbers
from tests.smtp_server import Fault, SmtpServer, smtp_server

ADDRESS = "erika.mustermann@mail.example"
PASSWORD = "geheim und lang"
# What is said to a server and in a mail does not depend on the database; what is stored of it is tested on both.
SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


@pytest.fixture
def server(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    with smtp_server(tmp_path) as started:
        secret = city.folder / "smtp-password"
        secret.write_text(f"{PASSWORD}\n")
        secret.chmod(0o600)
        started.login = ("stadtpass", PASSWORD)
        for key, value in {
            "HOST": "localhost",
            "PORT": started.port,
            "USER": "stadtpass",
            "PASSWORD_FILE": "smtp-password",
            "SENDER": "stadtpass@musterstadt.example",
            "TIMEOUT_SECONDS": "1",
        }.items():
            monkeypatch.setenv(f"STADTPASS_MAIL_{key}", str(value))
        monkeypatch.setenv("SSL_CERT_FILE", str(started.ca_file))
        yield started
        assert started.broken == []


def holder_with(application: Application, number: str, **values: str) -> None:
    with application.writing() as session:
        ref = session.scalar(
            select(PassRow.holder_ref).where(PassRow.tenant == application.tenant, PassRow.number == number)
        )
        session.execute(
            update(HolderRow)
            .where(HolderRow.tenant == application.tenant, HolderRow.ref == ref)
            .values(**values)
        )


def queued(application: Application, kind: str = mail.PICKUP, **values: str) -> tuple[str, str]:
    """A mail about the first running permit, whose holder has ``values``; its id and the number."""
    number = running_numbers(application)[0]
    holder_with(application, number, **({"email": ADDRESS, "language": "de"} | values))
    with application.writing() as session:
        assert mail.queue_mail(session, application, kind, PERMIT, number, {})
    with application.reading() as session:
        (identity,) = mail.outstanding(session, application.tenant)
    return identity, number


def row_of(application: Application, identity: str) -> MailRow | None:
    with application.reading() as session:
        return session.get(MailRow, (application.tenant, identity))


def letters_of(application: Application) -> list[tuple[str, str]]:
    with application.reading() as session:
        rows = session.scalars(select(LetterRow).where(LetterRow.tenant == application.tenant))
        return [(row.kind, row.number) for row in rows]


def links(application: Application) -> int:
    with application.reading() as session:
        return session.scalar(select(func.count()).select_from(PickupLinkRow)) or 0


def token_in(message: EmailMessage) -> str:
    found = re.search(r"/p/l/([A-Za-z0-9_-]{22})\s", message.get_content())
    assert found is not None
    return found[1]


def test_a_mail_arrives_with_a_link_that_works_once(city: City, server: SmtpServer) -> None:
    application = city.open()
    identity, number = queued(application)
    mail.run(application, {"id": identity})
    (got,) = server.mails
    assert (got.sender, got.recipients) == ("stadtpass@musterstadt.example", [ADDRESS])
    assert (got.encrypted, got.user) == (True, "stadtpass")
    headers = got.message
    assert headers["To"] == ADDRESS
    assert headers["From"] == "Musterstadt <stadtpass@musterstadt.example>"
    assert headers["Subject"] == "[TEST] Musterstadt: Link zu Ihrem Bewohnerparkausweis"
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["Message-ID"] == f"<{identity}@stadtpass.example>"
    assert headers["Date"].datetime == application.now()
    assert headers.get_content_type() == "text/plain"
    assert number in headers.get_content()
    with application.writing() as session:
        key = redeem_link(session, application, token_in(headers))
        again = redeem_link(session, application, token_in(headers))
    assert key is not None
    assert (key.number, key.channel, again) == (number, "mail", None)


def test_the_link_is_made_when_the_mail_goes_out(city: City, server: SmtpServer) -> None:
    application = city.open()
    identity, _ = queued(application)
    city.clock.forward(days=2)
    mail.run(application, {"id": identity})
    city.clock.forward(minutes=59)
    with application.writing() as session:
        assert redeem_link(session, application, token_in(server.mails[0].message)) is not None


def test_a_second_run_sends_nothing(city: City, server: SmtpServer) -> None:
    application = city.open()
    identity, _ = queued(application)
    for _ in range(3):
        mail.run(application, {"id": identity})
    assert len(server.mails) == 1
    assert server.connections == 1
    with application.reading() as session:
        assert mail.outstanding(session, application.tenant) == []


def test_two_workers_send_one_mail(city: City, server: SmtpServer) -> None:
    application = city.open()
    identity, _ = queued(application)
    refused: list[RetryLater] = []

    def another_worker() -> None:
        server.before_taking = None
        with pytest.raises(RetryLater) as caught:
            mail.run(application, {"id": identity})
        refused.append(caught.value)

    server.before_taking = another_worker
    mail.run(application, {"id": identity})
    assert len(server.mails) == 1
    assert [one.reason for one in refused] == ["mail-claimed"]


def test_a_claim_of_a_dead_worker_runs_out(city: City, server: SmtpServer) -> None:
    application = city.open()
    identity, _ = queued(application)
    with application.writing() as session:
        row = session.get(MailRow, (application.tenant, identity))
        assert row is not None
        row.sending_until = application.now() + timedelta(seconds=30)
    with pytest.raises(RetryLater) as caught:
        mail.run(application, {"id": identity})
    assert caught.value.seconds == pytest.approx(30)
    city.clock.forward(seconds=31)
    mail.run(application, {"id": identity})
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("stage", "reply", "reason"),
    [
        ("connect", "421 4.3.2 later", "smtp-421"),
        ("connect", "drop", "smtp-SMTPServerDisconnected"),
        ("ehlo", "421 4.3.2 later", "smtp-SMTPServerDisconnected"),
        ("starttls", "454 4.7.0 no TLS today", "smtp-454"),
        ("auth", "535 5.7.8 wrong", "smtp-535"),
        ("mail", "550 5.7.1 not with this sender", "smtp-sender-550"),
        ("rcpt", "450 4.2.1 greylisted", "smtp-450"),
        ("rcpt", "554 5.7.1 relaying denied", "smtp-554"),
        ("data", "451 4.3.0 disk full", "smtp-451"),
        ("dot", "452 4.3.1 disk full", "smtp-452"),
        ("dot", "drop", "smtp-SMTPServerDisconnected"),
        ("rcpt-ok", "silence 1.5", "smtp-SMTPServerDisconnected"),
    ],
)
@SQLITE
def test_what_may_pass_is_tried_again(
    city: City, server: SmtpServer, stage: str, reply: str, reason: str
) -> None:
    application = city.open()
    identity, _ = queued(application)
    server.faults.append(Fault(stage, reply))
    with pytest.raises(RetryLater) as caught:
        mail.run(application, {"id": identity})
    assert caught.value.reason == reason
    assert server.mails == []
    mail.run(application, {"id": identity})
    assert len(server.mails) == 1
    assert letters_of(application) == []


@pytest.mark.parametrize(
    ("stage", "reply"),
    [("rcpt", "550 5.1.1 unknown"), ("data", "554 5.6.0 no"), ("dot", "552 5.2.2 mailbox full")],
)
def test_what_is_refused_for_good_becomes_a_letter(
    city: City, server: SmtpServer, stage: str, reply: str, caplog: pytest.LogCaptureFixture
) -> None:
    application = city.open()
    identity, number = queued(application)
    server.faults.append(Fault(stage, reply, times=5))
    with caplog.at_level(logging.DEBUG):
        mail.run(application, {"id": identity})
        mail.run(application, {"id": identity})
    row = row_of(application, identity)
    assert row is not None
    assert (row.failed_at, row.failure) == (application.now(), f"smtp-{reply[:3]}")
    assert letters_of(application) == [("pickup", number)]
    assert "mail not delivered" in caplog.text
    for record in caplog.records:
        assert ADDRESS not in str(record.__dict__)


@SQLITE
def test_a_server_that_says_goodbye_badly_has_the_mail(city: City, server: SmtpServer) -> None:
    application = city.open()
    identity, _ = queued(application)
    server.faults.append(Fault("quit", "500 what"))
    mail.run(application, {"id": identity})
    mail.run(application, {"id": identity})
    assert len(server.mails) == 1


def test_a_repetition_can_be_told_by_its_message_id(city: City, server: SmtpServer) -> None:
    """SMTP's blind spot (RFC 1047): the mail was taken, but the answer never came."""
    application = city.open()
    identity, _ = queued(application)
    server.faults.append(Fault("dot", "drop after"))
    with pytest.raises(RetryLater):
        mail.run(application, {"id": identity})
    mail.run(application, {"id": identity})
    first, second = (one.message["Message-ID"] for one in server.mails)
    assert first == second


def test_an_outage_leaves_no_links_behind(city: City, server: SmtpServer) -> None:
    application = city.open()
    identity, _ = queued(application)
    server.faults.append(Fault("connect", "421 later", times=5))
    for _ in range(5):
        with pytest.raises(RetryLater):
            mail.run(application, {"id": identity})
    assert links(application) == 0


def test_days_of_failing_end_in_a_letter(city: City, server: SmtpServer) -> None:
    application = city.open()
    identity, number = queued(application)
    mail.give_up(application, {"id": identity})
    assert letters_of(application) == [("pickup", number)]
    mail.run(application, {"id": identity})
    assert server.mails == []


@SQLITE
def test_a_certificate_of_nobody_we_trust(
    city: City, server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    application = city.open()
    identity, _ = queued(application)
    with pytest.raises(RetryLater) as caught:
        mail.run(application, {"id": identity})
    assert caught.value.reason == "smtp-tls"
    server.mails.clear()


@pytest.mark.parametrize("implicit", [False, True])
@SQLITE
def test_a_certificate_for_another_host(
    city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, implicit: bool
) -> None:
    with smtp_server(tmp_path, implicit_tls=implicit, host_name="evil.example") as other:
        monkeypatch.setenv("STADTPASS_MAIL_HOST", "localhost")
        monkeypatch.setenv("STADTPASS_MAIL_PORT", str(other.port))
        monkeypatch.setenv("STADTPASS_MAIL_SECURITY", "tls" if implicit else "starttls")
        monkeypatch.setenv("SSL_CERT_FILE", str(other.ca_file))
        application = city.open()
        identity, _ = queued(application)
        with pytest.raises(RetryLater) as caught:
            mail.run(application, {"id": identity})
        assert caught.value.reason == "smtp-tls"
        assert other.mails == []


@SQLITE
def test_encryption_from_the_first_byte(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with smtp_server(tmp_path, implicit_tls=True) as other:
        monkeypatch.setenv("STADTPASS_MAIL_HOST", "localhost")
        monkeypatch.setenv("STADTPASS_MAIL_PORT", str(other.port))
        monkeypatch.setenv("STADTPASS_MAIL_SECURITY", "tls")
        monkeypatch.setenv("SSL_CERT_FILE", str(other.ca_file))
        application = city.open()
        identity, _ = queued(application)
        mail.run(application, {"id": identity})
        assert [one.encrypted for one in other.mails] == [True]
        assert other.broken == []


@SQLITE
def test_a_server_without_starttls_gets_nothing(city: City, server: SmtpServer) -> None:
    server.starttls = False
    application = city.open()
    identity, _ = queued(application)
    with pytest.raises(RetryLater) as caught:
        mail.run(application, {"id": identity})
    assert caught.value.reason == "smtp-SMTPNotSupportedError"
    assert server.mails == []


@SQLITE
def test_a_password_that_others_can_read_is_not_used(city: City, server: SmtpServer) -> None:
    (city.folder / "smtp-password").chmod(0o644)
    application = city.open()
    identity, _ = queued(application)
    with pytest.raises(RetryLater) as caught:
        mail.run(application, {"id": identity})
    assert caught.value.reason == "smtp-KeyRefusal"


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example\r\nBcc: c@d.example",
        "a@b.example, c@d.example",
        "a@b.example>\r\nRCPT TO:<c@d.example",
        "a b",
        "@",
    ],
)
@SQLITE
def test_what_is_no_address_becomes_neither_header_nor_command(
    city: City, server: SmtpServer, address: str
) -> None:
    application = city.open()
    identity, number = queued(application, email=address)
    mail.run(application, {"id": identity})
    assert server.mails == []
    assert letters_of(application) == [("pickup", number)]
    assert links(application) == 0


@SQLITE
def test_names_stand_nowhere_in_a_mail(city: City, server: SmtpServer) -> None:
    application = city.open()
    identity, _ = queued(application, family_name="Mustermann\r\nBcc: c@d.example", given_name="Erika")
    mail.run(application, {"id": identity})
    (got,) = server.mails
    assert got.recipients == [ADDRESS]
    assert got.message["Bcc"] is None
    assert "Mustermann" not in got.message.as_string()


@pytest.mark.parametrize(
    ("language", "found"), [("en", "Hello,"), ("de", "Guten Tag,"), ("tr", "Guten Tag,")]
)
@SQLITE
def test_the_holders_language(city: City, server: SmtpServer, language: str, found: str) -> None:
    application = city.open()
    identity, _ = queued(application, language=language)
    mail.run(application, {"id": identity})
    message = server.mails[0].message
    assert found in message.get_content()
    assert message["Content-Language"] == ("en" if language == "en" else "de")


@pytest.mark.parametrize("kind", mail.KINDS)
@pytest.mark.parametrize("language", ["de", "en"])
@SQLITE
def test_every_kind_has_its_words(city: City, server: SmtpServer, kind: str, language: str) -> None:
    application = city.open()
    identity, number = queued(application, kind, language=language)
    mail.run(application, {"id": identity})
    text = server.mails[0].message.get_content()
    assert number in text
    assert "{" not in text
    assert "Rathausplatz 1" in text
    token_in(server.mails[0].message)


@pytest.mark.parametrize(
    ("language", "subject", "void"),
    [
        (
            "de",
            "Musterstadt: Bitte drucken Sie Ihren Bewohnerparkausweis neu aus",
            "Ihr bisheriger Ausdruck gilt nicht mehr",
        ),
        (
            "en",
            "Musterstadt: please print your Resident parking permit again",
            "what you printed before is no longer valid",
        ),
    ],
)
def test_after_a_new_seal_the_mail_asks_to_print_again(
    city: City, server: SmtpServer, language: str, subject: str, void: str
) -> None:
    application = city.open()
    identity, number = queued(application, mail.RESEALED, language=language)
    mail.run(application, {"id": identity})
    message = server.mails[0].message
    assert message["Subject"].strip() == f"[TEST] {subject}"
    text = " ".join(message.get_content().split())
    assert void in text
    with application.writing() as session:
        key = redeem_link(session, application, token_in(message))
    assert key is not None
    assert key.number == number


@pytest.mark.parametrize(("kind", "family"), [(mail.FAMILY, True), (mail.PICKUP, False)])
@SQLITE
def test_only_a_familys_mail_leads_to_the_family(
    city: City, server: SmtpServer, kind: str, family: bool
) -> None:
    application = city.open()
    identity, number = queued(application, kind)
    mail.run(application, {"id": identity})
    message = server.mails[0].message
    assert ("Ausweisen Ihrer Familie" in message["Subject"]) == family
    with application.writing() as session:
        key = redeem_link(session, application, token_in(message))
    assert key is not None
    assert (key.number, key.family) == (number, family)


@pytest.mark.parametrize(("step", "sent"), [("suspend", 1), ("revoke", 0)])
@SQLITE
def test_a_familys_mail_goes_out_unless_the_guardians_card_was_taken_back(
    city: City, server: SmtpServer, step: str, sent: int
) -> None:
    application = city.open()
    identity, number = queued(application, mail.FAMILY)
    with application.writing() as session:
        by = Actor("t", application.now(), "x")
        getattr(lifecycle, step)(session, application.tenant, PERMIT, number, actor=by)
    mail.run(application, {"id": identity})
    assert len(server.mails) == sent
    assert letters_of(application) == []


def test_the_address_is_the_one_at_sending_time(city: City, server: SmtpServer) -> None:
    application = city.open()
    identity, number = queued(application)
    holder_with(application, number, email="new@mail.example")
    mail.run(application, {"id": identity})
    assert server.mails[0].recipients == ["new@mail.example"]


def test_an_address_that_is_gone_becomes_a_letter(city: City, server: SmtpServer) -> None:
    application = city.open()
    identity, number = queued(application)
    holder_with(application, number, email="")
    mail.run(application, {"id": identity})
    assert (server.mails, letters_of(application)) == ([], [("pickup", number)])


def test_without_an_address_there_is_no_mail(application: Application) -> None:
    number = running_numbers(application)[0]
    holder_with(application, number, email="")
    with application.writing() as session:
        assert not mail.queue_mail(session, application, "pickup", PERMIT, number, {})
        assert not mail.queue_mail(session, application, "pickup", PERMIT, "UNKNOWN", {})
        assert mail.tell_holder(session, application, "changed", PERMIT, number, {}) == "letter"
        assert mail.tell_holder(session, application, "changed", PERMIT, number, {}) == "letter"
    with application.reading() as session:
        assert [(one.kind, one.number) for one in waiting_letters.waiting(session, application)] == [
            ("changed", number)
        ]
        assert mail.outstanding(session, application.tenant) == []


def test_another_kind_of_mail_is_a_fault(application: Application) -> None:
    with pytest.raises(ValueError, match="kind"), application.writing() as session:
        mail.queue_mail(session, application, "operator", PERMIT, "1", {})


@pytest.mark.parametrize("kind", ["reminder", "changed"])
def test_what_is_no_longer_so_is_not_sent(city: City, server: SmtpServer, kind: str) -> None:
    application = city.open()
    identity, number = queued(application, kind)
    with application.writing() as session:
        actor = Actor("test", application.now(), "lost")
        revoke(session, application.tenant, PERMIT, number, actor=actor)
    mail.run(application, {"id": identity})
    assert server.mails == []
    assert row_of(application, identity) is None
    assert letters_of(application) == []


def test_without_a_server_mails_are_files_for_their_owner(city: City) -> None:
    application = city.open()
    identity, _ = queued(application)
    mail.run(application, {"id": identity})
    (file,) = (city.folder / "mail").iterdir()
    assert file.name == f"20261120T110000Z-{identity}.eml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert (city.folder / "mail").stat().st_mode & 0o777 == 0o700
    message = message_from_bytes(file.read_bytes(), policy=SMTP)
    assert isinstance(message, EmailMessage)
    assert message["To"] == ADDRESS
    token_in(message)


def test_a_mail_is_its_tenants_own(city: City, neighbour: Application) -> None:
    application = city.open()
    identity, _ = queued(application)
    mail.run(neighbour, {"id": identity})
    with neighbour.reading() as session:
        assert mail.outstanding(session, neighbour.tenant) == []
    row = row_of(application, identity)
    assert row is not None
    assert row.sent_at is None


def test_a_mail_to_the_operator(city: City, server: SmtpServer) -> None:
    application = city.open()
    warning = {
        "code": "KEY_ENDS_SOON",
        "package": "issuer",
        "purpose": "seal",
        "name": "0123456789abcdef",
        "end": "2026-12-01T11:00:00+00:00",
        "within": 30,
        "days_left": 11,
    }
    with application.writing() as session:
        settings = load_settings(session, application.tenant)
        save_settings(
            session,
            application.tenant,
            type(settings)(**_changed(settings, operator_mail="it@stadt.example")),
        )
        mail.queue_operator_mail(session, application, {"warnings": [warning]})
    with application.reading() as session:
        (identity,) = mail.outstanding(session, application.tenant)
    mail.run(application, {"id": identity})
    assert server.mails[0].recipients == ["it@stadt.example"]
    assert "01.12.2026, in 11 Tagen" in server.mails[0].message.get_content()


def _changed(settings: object, **values: object) -> dict[str, object]:
    import msgspec

    return {**{name: getattr(settings, name) for name in msgspec.structs.asdict(settings)}, **values}


def test_the_stand_in_verifies_like_a_real_one(tmp_path: Path) -> None:
    """What the tests above trust in: without its authority, the stand-in's certificate is refused."""
    import smtplib

    with smtp_server(tmp_path) as server, smtplib.SMTP("localhost", server.port) as client:
        with pytest.raises(ssl.SSLCertVerificationError):
            client.starttls(context=ssl.create_default_context())
        client.close()
