"""Somebody who applies for a permit in a browser, and the office and the payment service at the other end."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from html import unescape
from typing import Any

from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select

from issuer.application import Application
from issuer.cases import issue, steps, store
from issuer.cases.city import CityCaseRules
from issuer.cases.store import Case, CaseActor
from issuer.delivery import mail
from issuer.models_cases import CaseRow
from issuer.models_delivery import MailRow
from issuer.models_payments import PaymentRow
from issuer.payments.opening import open_transaction
from issuer.payments.provider import TransactionStatus
from issuer.payments.service import payments_of
from tests.issuer.payments.till import DemoProvider, payment
from tests.service import PERMIT, TENANT, SetClock
from tests.web_app import create_app

HOST = "https://stadtpass.example"
CLERK = "staff:1"
# Of the demo city's streets: one zone with all its numbers.
ADDRESS = {"street": "Börsenwiesenweg", "house_number": "31", "postal_code": "40470"}
ZONE = "BÖ"
NAME = {"given_name": "Đorđe", "family_name": "Đorđević", "email": "djordje@example.org", "language": "de"}
PLATE = "D-AY 1930E"
TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{32})"')


def told(page: Response) -> str:
    """What a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


@dataclass
class Applicant:
    """A browser of somebody who applies; it follows no redirects by itself."""

    application: Application
    client: TestClient[Litestar] = field(init=False)
    app: Litestar | None = None

    def __post_init__(self) -> None:
        self.client = TestClient(self.app or create_app(self.application), base_url=HOST)
        self.client.follow_redirects = False
        self.client.headers["accept-language"] = "de"

    def another(self) -> Applicant:
        """The same person with another browser."""
        return Applicant(self.application, app=self.client.app)

    def get(self, path: str) -> Response:
        return self.client.get(path)

    def token(self, page: str) -> str:
        answer = self.client.get(page)
        found = TOKEN.search(answer.text)
        assert found is not None, (
            page,
            answer.status_code,
            answer.headers.get("location"),
            answer.text[:3000],
        )
        return found.group(1)

    def send(self, path: str, page: str = "", **fields: Any) -> Response:
        """Send the form of a page, by default the page at the same path."""
        data = {"form_token": self.token(page or path), **fields}
        return self.client.post(path, data=data)

    def goes(self, to: str, answer: Response) -> None:
        assert answer.status_code == 303, told(answer)
        assert answer.headers["location"].partition("?")[0] == to

    def begin(self) -> None:
        self.goes("/apply/address", self.client.post("/apply"))

    def fill_in(self, **other: Any) -> None:
        """Everything up to the evidence; ``other`` are fields instead of the usual ones."""

        def of(fields: dict[str, str]) -> dict[str, Any]:
            return {name: other.get(name, value) for name, value in fields.items()}

        self.begin()
        self.goes("/apply/person", self.send("/apply/address", **of(ADDRESS)))
        person = of(NAME)
        self.goes("/apply/kind" if person["email"] else "/apply/link", self.send("/apply/person", **person))
        self.goes("/apply/plates", self.send("/apply/kind", **of({"permit_kind": "standard"})))
        self.goes("/apply/car", self.send("/apply/plates", **of({"plate_1": PLATE})))
        self.goes("/apply/term", self.send("/apply/car", **of({"keeper": "holder", "residence": "main"})))
        first = {"day": "20", "month": "11", "year": "2026"}
        self.goes("/apply/documents", self.send("/apply/term", **of({"term_months": "12", **first})))

    def version(self) -> str:
        found = re.search(r'name="version" value="(\d+)"', self.get("/apply/summary").text)
        assert found is not None
        return found.group(1)

    def submit(self) -> Response:
        return self.send("/apply/summary", confirm="yes", version=self.version())

    def applied(self, **other: Any) -> Case:
        """The whole way until the application is handed in."""
        self.fill_in(**other)
        self.goes("/apply/case", self.submit())
        return self.case()

    def upload(self, data: bytes, evidence_type: str = "identity_card", name: str = "x.jpg") -> Response:
        fields = {"form_token": self.token("/apply/documents"), "evidence_type": evidence_type}
        return self.client.post("/apply/documents", data=fields, files={"document": (name, data)})

    def case(self) -> Case:
        """The newest case of the city."""
        with self.application.reading() as session:
            row = session.scalars(
                select(CaseRow).where(CaseRow.tenant == TENANT).order_by(CaseRow.number.desc()).limit(1)
            ).one()
            return store.case_of(row)

    def page(self, language: str = "") -> str:
        """What the page of the case says."""
        answer = self.get("/apply/case" + (f"?lang={language}" if language else ""))
        assert answer.status_code == 200, (answer.status_code, answer.headers.get("location"))
        return told(answer)


@dataclass
class Other:
    """The office, the payment service, the post: whoever answers an application."""

    application: Application

    def wait(self, **step: float) -> None:
        """Let time pass."""
        clock = self.application.now
        assert isinstance(clock, SetClock)
        clock.forward(**step)

    def _actor(self, name: str = CLERK) -> CaseActor:
        return CaseActor(name, self.application.now())

    def approve(self, case: Case) -> Case:
        """Look at all evidence and approve."""
        application = self.application
        with application.writing() as session:
            rules = CityCaseRules.of(session, application, PERMIT)
            for check in case.checks:
                if check["outcome"] == "evidence":
                    steps.accept_evidence(
                        session, TENANT, case.id, self._actor(), check["name"], check["evidence"][0]
                    )
            return issue.approve(session, application, case.id, self._actor(), rules)

    def do(self, work: Callable[..., object], case: Case, *more: object) -> None:
        """Take a step of `issuer.cases.steps` as a clerk."""
        with self.application.writing() as session:
            work(session, TENANT, case.id, self._actor(), *more)

    def payments(self, case: Case) -> list[PaymentRow]:
        with self.application.reading() as session:
            return payments_of(session, TENANT, "case", case.id)

    def pays(self, case: Case, status: TransactionStatus) -> None:
        """The payment service says ``status`` of the newest payment."""
        newest = self.payments(case)[0]
        if newest.provider_id is None:
            open_transaction(self.application, newest.id)
        row = payment(self.application, newest.id)
        DemoProvider(self.application).tell(row, status)

    def queued(self, *numbers: str | None) -> Sequence[str]:
        """The kinds of the mails about cases and passes with ``numbers``, sorted."""
        with self.application.reading() as session:
            return sorted(session.scalars(select(MailRow.kind).where(MailRow.number.in_(numbers))))

    def delivered(self) -> list[EmailMessage]:
        """Send what is queued; the mails that came out of it."""
        folder = self.application.workspace.folder / self.application.config.mail.folder
        before = set(folder.glob("*.eml")) if folder.is_dir() else set()
        with self.application.reading() as session:
            waiting = mail.outstanding(session, TENANT)
        for identity in waiting:
            mail.run(self.application, {"id": identity})
        new = sorted(set(folder.glob("*.eml")) - before) if folder.is_dir() else []
        made = [message_from_bytes(one.read_bytes(), policy=SMTP) for one in new]
        return [one for one in made if isinstance(one, EmailMessage)]


def link_in(message: EmailMessage) -> str:
    """The path of the link in a mail about a case."""
    found = re.search(rf"{HOST}(/apply/l/[A-Za-z0-9_-]{{22}})\s", message.get_content())
    assert found is not None, message.get_content()
    return found.group(1)
