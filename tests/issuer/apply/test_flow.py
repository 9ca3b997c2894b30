"""From the start page to the pass, by HTTP: every page, interrupted and continued, refused, paid and paid again."""

from __future__ import annotations

from issuer.cases.states import CaseState
from issuer.payments.provider import TransactionStatus
from tests.issuer.apply.applicant import NAME, ZONE, Applicant, Other, link_in, told
from tests.issuer.cases.test_evidence import PAPER


def test_from_the_start_page_to_the_pass(applicant: Applicant, other: Other) -> None:
    front = applicant.get("/")
    assert 'href="/apply"' in front.text
    assert "12 Monate 25,00 €" in told(applicant.get("/apply"))
    applicant.fill_in(plate_1="D-XY 77")
    # The register of vehicles knows no such plate; that he lives there the residents' register has confirmed.
    page = told(applicant.get("/apply/documents"))
    assert "Das Kennzeichen ist im Fahrzeugregister nicht gefunden" in page
    assert "Melderegister" not in page
    applicant.goes("/apply/documents", applicant.upload(PAPER.data, "vehicle_registration"))
    summary = told(applicant.get("/apply/summary"))
    for part in (
        "Börsenwiesenweg 31, 40470", f"{ZONE} ", "Đorđe Đorđević", "D-XY 77", "12 Monate", "25,00 € für 12 Monate",
        "Fahrzeugschein",
    ):  # fmt: skip
        assert part in summary, part
    applicant.goes("/apply/case", applicant.submit())
    case = applicant.case()
    assert case.state is CaseState.SUBMITTED
    page = applicant.page()
    assert "Das ist noch kein Ausweis" in page
    assert "liegt bei der Stadt" in page
    assert case.number in page
    assert "Jetzt bezahlen" not in page
    assert "gilt vom" not in page

    other.approve(case)
    page = applicant.page()
    assert "Zu bezahlen: 25,00 €" in page
    answer = applicant.send("/apply/case/pay", "/apply/case")
    assert answer.headers["location"].startswith("/payments/start/")
    assert applicant.get(answer.headers["location"]).status_code == 200
    other.pays(case, TransactionStatus.FAILED)
    page = applicant.page()
    assert "Die Zahlung hat nicht geklappt" in page
    assert "Noch einmal bezahlen" in page
    other.wait(seconds=1)
    again = applicant.send("/apply/case/pay", "/apply/case")
    assert again.headers["location"].startswith("/payments/start/")
    assert again.headers["location"] != answer.headers["location"]
    back = applicant.get(again.headers["location"].replace("start", "return"))
    assert "wird geprüft" in back.text
    other.pays(case, TransactionStatus.PAYED)
    back = applicant.get(again.headers["location"].replace("start", "return"))
    assert 'href="/apply/case"' in back.text

    case = applicant.case()
    assert case.state is CaseState.ISSUED
    page = applicant.page()
    assert f"Der Ausweis {case.pass_number} gilt vom 20.11.2026 bis einschließlich 19.11.2027." in page
    assert "noch kein Ausweis" not in page
    answer = applicant.send("/apply/case/pass", "/apply/case")
    assert answer.headers["location"].startswith("/p/l/")
    applicant.goes("/p/pass", applicant.client.post(answer.headers["location"]))
    assert "D-XY 77" in told(applicant.get("/p/pass"))
    assert other.queued(case.number, case.pass_number) == [
        "case_link",
        "case_payment",
        "case_received",
        "pickup",
    ]


def test_whom_the_registers_confirm_needs_nothing_else(applicant: Applicant) -> None:
    applicant.fill_in()
    applicant.goes("/apply/summary", applicant.get("/apply/documents"))
    page = told(applicant.get("/apply/summary"))
    assert "Nachweis" not in page
    applicant.goes("/apply/case", applicant.submit())


def test_interrupted_and_continued_with_the_link_of_the_mail(applicant: Applicant, other: Other) -> None:
    applicant.begin()
    applicant.send("/apply/address", street="Börsenwiesenweg 31", house_number="", postal_code="40470")
    applicant.send("/apply/person", **NAME)
    (message,) = other.delivered()
    assert message["To"] == NAME["email"]
    path = link_in(message)
    second = applicant.another()
    for _ in range(3):
        # Scanners of mails may look as often as they like.
        assert second.get(path).status_code == 200
        assert second.client.head(path).status_code == 200
    second.goes("/apply/case", second.client.post(path))
    second.goes("/apply/kind", second.get("/apply/case"))
    assert 'value="Đorđević"' in second.get("/apply/person").text
    # Once: whoever finds the mail later gets into nothing.
    third = applicant.another()
    assert third.client.post(path).status_code == 410
    assert third.get(path).status_code == 410
    assert third.get("/apply/kind").status_code == 403
