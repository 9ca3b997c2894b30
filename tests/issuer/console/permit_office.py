"""Cases of the permit office and its people, for tests: each acts in a browser of their own."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from httpx import Response
from litestar import Litestar
from pypdf import PdfReader

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEntry
from issuer.cases import steps, store
from issuer.cases.city import CityCaseRules
from issuer.cases.facts import CaseFacts, CaseKind, Channel, PlateFact
from issuer.cases.states import CaseState
from issuer.cases.store import Case, CaseActor
from issuer.holders import Holder
from issuer.rules.directory import streets_from_csv
from issuer.staff.permissions import Role
from tests.issuer.cases.office import ERIKA, HOLDER, WANTED
from tests.issuer.console.people import Colleague, settle
from tests.service import PERMIT, City
from tests.web_app import create_app

STREETS = """street;postal_code;zone_code;number_from;number_to;side
Pastorswiesenring;40474;BÖ;1;99;
Am Feldrand;40474;;;;
Gartenweg;40474;HO;1;40;
"""


@dataclass
class PermitOffice:
    """A service, and what its people and applicants do."""

    city: City
    application: Application
    app: Litestar
    people: dict[str, Colleague] = field(default_factory=dict)
    count: int = 0

    @classmethod
    def of(cls, city: City, application: Application, folder: Path) -> PermitOffice:
        file = folder / "streets.csv"
        file.write_text(STREETS, "utf-8")
        with application.writing() as session:
            streets_from_csv(session, application.tenant, file)
        return cls(city, application, create_app(application))

    def person(self, login: str, *roles: Role) -> Colleague:
        if login not in self.people:
            self.people[login] = settle(self.application, self.city.clock, login, *roles, app=self.app)
        return self.people[login]

    @property
    def clerk(self) -> Colleague:
        return self.person("erika", Role.CLERK)

    @property
    def lead(self) -> Colleague:
        return self.person("vera", Role.SUPERVISOR)

    def submitted(self, person: Holder | None = None, **facts: Any) -> Case:
        """A case that came online; every time of somebody else."""
        self.count += 1
        ending = chr(97 + self.count // 26) + chr(97 + self.count % 26)
        who = person or replace(ERIKA, family_name=f"Muster{ending}")
        plates = tuple(PlateFact(f"D-{row} {77 + self.count}") for row in ("XY", "XZ"))
        if facts.get("permit_kind") != "two_plates":
            plates = plates[:1]
        given = {
            name: getattr(WANTED, name)
            for name in ("permit_kind", "zone", "term_months", "first_day", "keeper", "residence")
        }
        wanted = CaseFacts(**{**given, "plates": plates, **facts})
        tenant = self.application.tenant
        with self.application.writing() as session:
            by = CaseActor(HOLDER, self.application.now())
            begun = store.begin(session, tenant, CaseKind.NEW, PERMIT, Channel.ONLINE, by)
            steps.save_draft(session, tenant, begun.id, by, wanted, who)
            rules = CityCaseRules.of(session, self.application, PERMIT)
            return steps.submit(session, tenant, begun.id, by, rules)

    def checked(self, case: Case, by: Colleague | None = None) -> None:
        """Accept evidence for every open check."""
        for one in self.case(case.id).checks:
            if one["outcome"] == "evidence" and not one.get("accepted"):
                answer = self.send(
                    by or self.clerk, case.id, "accept", check=one["name"], evidence=one["evidence"][0]
                )
                assert answer.status_code == 303, answer.text

    def case(self, case_id: str) -> Case:
        with self.application.reading() as session:
            return store.find(session, self.application.tenant, case_id)

    def state(self, case_id: str) -> CaseState:
        return self.case(case_id).state

    def history(self, case_id: str) -> list[AuditEntry]:
        with self.application.reading() as session:
            case = store.find(session, self.application.tenant, case_id)
            return list(audit.history(session, self.application.tenant, case.subject))

    def page(self, who: Colleague, case_id: str) -> Response:
        return who.client.get(f"/office/cases/{case_id}")

    def form(self, who: Colleague, case_id: str) -> dict[str, str]:
        """What every form of the case's page has, as it is now, also where the page offers none."""
        return {"version": str(self.case(case_id).version), "seen": "0", **hidden(self.page(who, case_id))}

    def send(self, who: Colleague, case_id: str, step: str, **fields: Any) -> Response:
        form = self.form(who, case_id)
        return who.client.post(f"/office/cases/{case_id}/{step}", data={**form, **fields})


def hidden(page: Response) -> dict[str, str]:
    found = dict(
        re.findall(r'<input type="hidden" name="(form_token|version|seen)" value="([^"]*)">', page.text)
    )
    assert "form_token" in found, page.text[:3000]
    return found


def pdf_text(answer: Response) -> str:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    pages = PdfReader(io.BytesIO(answer.content)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())
