"""Mails about cases: one for each step that brings one, to the address as it is, and only while it is true."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from sqlalchemy import select

from issuer.application import Application
from issuer.cases import access, deadlines, issue, mails, steps
from issuer.cases.mails import CaseMail
from issuer.delivery import mail
from issuer.models_cases import CaseApplicantRow, CaseLinkRow, CaseRow
from issuer.models_delivery import LetterRow, MailRow
from issuer.nightly.reports import Report
from tests.issuer.cases.office import CLERK, ERIKA, Office
from tests.service import TODAY


@pytest.fixture
def office(application: Application) -> Office:
    return Office(application)


def queued(office: Office) -> list[str]:
    """The kinds of all mails, oldest first."""
    with office.application.reading() as session:
        rows = session.scalars(
            select(MailRow).where(MailRow.tenant == office.application.tenant).order_by(MailRow.created_at)
        )
        return [row.kind for row in rows]


def sent(office: Office) -> list[EmailMessage]:
    """What a worker puts into the folder, with nobody to take it."""
    folder = office.application.workspace.folder / office.application.config.mail.folder
    before = set(folder.glob("*.eml")) if folder.is_dir() else set()
    with office.application.reading() as session:
        waiting = mail.outstanding(session, office.application.tenant)
    for identity in waiting:
        mail.run(office.application, {"id": identity})
    new = sorted(set(folder.glob("*.eml")) - before) if folder.is_dir() else []
    found = [message_from_bytes(one.read_bytes(), policy=SMTP) for one in new]
    return [one for one in found if isinstance(one, EmailMessage)]


def ask(office: Office, case_id: str) -> None:
    with office.application.writing() as session:
        steps.ask_documents(session, office.application.tenant, case_id, office.by(CLERK), ["residence"])


def refuse(office: Office, case_id: str) -> None:
    with office.application.writing() as session:
        steps.refuse(session, office.application.tenant, case_id, office.by(CLERK), "no_proof")


def test_each_step_that_brings_one_brings_one(office: Office) -> None:
    case = office.submitted()
    assert queued(office) == ["case_received"]
    ask(office, case.id)
    office.clock.forward(seconds=1)
    with office.application.writing() as session:
        steps.documents_added(session, office.application.tenant, case.id, office.by("holder"))
        issue.approve(session, office.application, case.id, office.by(CLERK), office.rules)
    office.clock.forward(seconds=1)
    assert sorted(queued(office)) == ["case_documents", "case_payment", "case_received"]
    with office.application.writing() as session:
        issue.paid(session, office.application, case.id, office.by("payment:demo"))
    office.clock.forward(seconds=1)
    with office.application.writing() as session:
        issue.charged_back(session, office.application, case.id, office.by("payment:demo"))
    assert queued(office)[3:] == ["pickup", "case_charged_back"]


def test_what_is_no_longer_so_is_not_sent(office: Office) -> None:
    case = office.submitted()
    ask(office, case.id)
    refuse(office, case.id)
    (message,) = sent(office)
    assert "Entscheidung" in message["Subject"]
    # The others are gone, not waiting for ever.
    assert queued(office) == ["case_refused"]


@pytest.mark.parametrize("language", ["de", "en"])
def test_what_a_mail_says(office: Office, language: str) -> None:
    case = office.submitted(person=replace(ERIKA, language=language))
    (message,) = sent(office)
    text = message.get_content()
    assert message["To"] == ERIKA.email
    assert case.number in message["Subject"]
    assert message["Content-Language"] == language
    for secret in ("Mustermann", "Erika", "Pastorswiesenring", "D-XY", "40474"):
        assert secret not in str(message), secret
    links = re.findall(r"https://\S+", text)
    assert all(one.startswith("https://stadtpass.example/apply/") for one in links)
    (link,) = [one for one in links if access.PATH in one]
    with office.application.writing() as session:
        visit = access.redeem(session, office.application, link.rpartition("/")[2])
        assert visit is not None
        assert visit.case_id == case.id


@pytest.mark.parametrize("kind", list(CaseMail))
@pytest.mark.parametrize("language", ["de", "en"])
def test_every_mail_can_be_made(office: Office, kind: CaseMail, language: str) -> None:
    case = office.submitted(person=replace(ERIKA, language=language))
    sent(office)
    due = mails._DUE.get(kind)
    with office.application.writing() as session:
        row = session.get_one(CaseRow, (office.application.tenant, case.id))
        if due:
            row.state = sorted(due)[0].value
        assert mails.tell(session, row, kind, office.application.now())
    (message,) = sent(office)
    assert "{" not in message["Subject"] + message.get_content()
    assert len(message.get_content()) > 200


def test_whoever_has_no_address_gets_none_and_nothing_breaks(office: Office) -> None:
    case = office.submitted(person=replace(ERIKA, email=""))
    ask(office, case.id)
    refuse(office, case.id)
    assert queued(office) == []
    # And whose address was deleted meanwhile.
    other = office.submitted(person=replace(ERIKA, given_name="Max"))
    with office.application.writing() as session:
        session.delete(session.get_one(CaseApplicantRow, (office.application.tenant, other.id)))
    assert sent(office) == []
    assert queued(office) == []


def test_an_address_that_is_none_fails_without_a_letter(office: Office) -> None:
    office.submitted(person=replace(ERIKA, email="erika@example.org\r\nBcc: x@example.org"))
    assert sent(office) == []
    with office.application.reading() as session:
        (row,) = session.scalars(select(MailRow).where(MailRow.tenant == office.application.tenant)).all()
        assert (row.failure, row.sent_at) == ("address", None)
        assert session.scalars(select(LetterRow.id)).all() == []


def test_the_night_tells_of_what_it_ends(office: Office) -> None:
    office.draft()
    office.approved(person=replace(ERIKA, given_name="Max"))
    office.clock.forward(days=31)
    report = Report(office.application, TODAY.date(), deadlines.NAME)
    for _ in range(2):
        deadlines.run(office.application, report)
    told = queued(office)
    assert (told.count("case_abandoned"), told.count("case_lapsed")) == (1, 1)
    messages = [
        one for one in sent(office) if "verfallen" in one["Subject"] or "geschlossen" in one["Subject"]
    ]
    assert len(messages) == 2
    with office.application.reading() as session:
        # Nothing is left to look at.
        made = session.scalars(select(CaseLinkRow.created_at)).all()
        assert [one for one in made if one > TODAY + timedelta(days=30)] == []
