"""Who gets in, and who does not: visits, forms from elsewhere, links, limits, two windows at once."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from issuer.application import Application
from issuer.cases import steps
from issuer.cases.access import VISIT_LIFETIME
from issuer.cases.states import CaseState
from issuer.models_cases import CaseRow
from issuer.payments.provider import TransactionStatus
from tests.issuer.apply.applicant import HOST, NAME, Applicant, Other, link_in, told
from tests.service import TENANT, City

PAGES = (
    "/apply/address", "/apply/person", "/apply/kind", "/apply/plates", "/apply/car", "/apply/term",
    "/apply/documents", "/apply/summary", "/apply/case", "/apply/case/withdraw", "/apply/link",
)  # fmt: skip
ACTIONS = (
    "/apply/address", "/apply/address/zone", "/apply/person", "/apply/kind", "/apply/plates", "/apply/plates/check",
    "/apply/car", "/apply/term", "/apply/documents/remove", "/apply/documents/done", "/apply/summary",
    "/apply/case/pay", "/apply/case/withdraw", "/apply/case/pass", "/apply/link", "/apply/end",
)  # fmt: skip


def cases(application: Application) -> int:
    with application.reading() as session:
        return session.scalar(select(func.count()).select_from(CaseRow).where(CaseRow.tenant == TENANT)) or 0


def test_without_a_visit_nothing_opens(applicant: Applicant, other: Other) -> None:
    for path in PAGES:
        answer = applicant.get(path)
        assert (answer.status_code, "Ihr Besuch ist zu Ende" in answer.text) == (403, True), path
    for path in ACTIONS:
        assert applicant.client.post(path, data={"form_token": "0" * 32}).status_code == 403, path
    applicant.begin()
    other.wait(seconds=VISIT_LIFETIME.total_seconds() + 1)
    assert applicant.get("/apply/address").status_code == 403


def test_a_part_of_a_page_gets_no_page_in_it(applicant: Applicant) -> None:
    answer = applicant.client.post("/apply/address/zone", headers={"hx-request": "true"})
    assert (answer.status_code, "<html" in answer.text) == (403, False)
    assert "Ihr Besuch ist zu Ende" in answer.text


def test_a_link_to_a_mistyped_address_opens_nothing_once_that_is_put_right(
    applicant: Applicant, other: Other
) -> None:
    applicant.begin()
    applicant.send("/apply/address", street="Börsenwiesenweg 31", postal_code="40470")
    applicant.send("/apply/person", **{**NAME, "email": "djordje@example.com"})
    (wrong,) = other.delivered()
    applicant.send("/apply/person", **NAME)
    (right,) = other.delivered()
    stranger = applicant.another()
    assert stranger.client.post(link_in(wrong)).status_code == 410
    assert right["To"] == NAME["email"]
    stranger.goes("/apply/case", stranger.client.post(link_in(right)))


def test_only_forms_of_this_visit_count(applicant: Applicant) -> None:
    applicant.fill_in()
    before = applicant.case()
    token = applicant.token("/apply/address")
    for path in ACTIONS:
        for sent, headers in (
            ({}, {}),
            ({"form_token": "0" * 32}, {}),
            ({"form_token": token}, {"sec-fetch-site": "cross-site"}),
            ({"form_token": token}, {"origin": "https://evil.example"}),
        ):
            answer = applicant.client.post(path, data=sent, headers=headers)
            assert answer.status_code == 403, (path, sent, headers)
    files = {"document": ("x.jpg", b"x")}
    assert applicant.client.post("/apply/documents", files=files).status_code == 403
    for path in ("/apply", "/apply/new", "/apply/l/" + "x" * 22):
        answer = applicant.client.post(path, data={}, headers={"sec-fetch-site": "cross-site"})
        assert answer.status_code == 403, path
    assert applicant.case() == before


def test_the_end_of_a_visit_is_its_end(applicant: Applicant) -> None:
    applicant.applied()
    cookies = dict(applicant.client.cookies)
    applicant.goes("/apply", applicant.send("/apply/end", "/apply/case"))
    assert applicant.get("/apply/case").status_code == 403
    applicant.client.cookies.update(cookies)
    assert applicant.get("/apply/case").status_code == 403
    assert applicant.case().state is CaseState.SUBMITTED


def test_another_city_knows_nothing_of_it(applicant: Applicant, neighbour: Application) -> None:
    applicant.begin()
    there = Applicant(neighbour)
    there.client.cookies.update(dict(applicant.client.cookies))
    assert there.get("/apply/address").status_code == 403


def test_beginning_is_limited(applicant: Applicant) -> None:
    statuses = [applicant.client.post("/apply").status_code for _ in range(12)]
    assert (statuses[0], statuses[-1]) == (303, 429)
    assert cases(applicant.application) == statuses.count(303) < 12


def test_a_new_link_is_the_same_answer_for_everybody(applicant: Applicant, other: Other) -> None:
    case = applicant.applied()
    other.delivered()
    stranger = applicant.another()
    given = {
        "theirs": (case.number.lower(), "Djordje@Example.org"),
        "wrong address": (case.number, "max@example.org"),
        "no case": ("A-2026-999999", NAME["email"]),
        "never": ("O'; DROP--", "a@b"),
    }
    answers = {}
    for name, (number, email) in given.items():
        answer = stranger.client.post("/apply/new", data={"number": number, "email": email})
        answers[name] = (answer.status_code, answer.headers["location"], answer.content)
        messages = other.delivered()
        assert [message["To"] for message in messages] == ([NAME["email"]] if name == "theirs" else []), name
        if messages:
            stranger.goes("/apply/case", stranger.client.post(link_in(messages[0])))
            assert case.number in stranger.page()
    assert len(set(answers.values())) == 1
    for data in ({}, {"number": case.number, "email": "x"}, {"number": "x" * 21, "email": "a@b"}):
        assert stranger.client.post("/apply/new", data=data).status_code == 422
    statuses = [
        stranger.client.post("/apply/new", data={"number": "A-1", "email": "a@b.de"}).status_code
        for _ in range(12)
    ]
    assert statuses[-1] == 429


def test_without_a_mail_address_the_link_is_shown(applicant: Applicant, other: Other) -> None:
    case = applicant.applied(email="")
    assert other.queued(case.number) == []
    page = applicant.get("/apply/link")
    assert case.number in page.text
    assert "/apply/l/" not in page.text
    shown = applicant.send("/apply/link")
    (link,) = [one for one in shown.text.split() if f"{HOST}/apply/l/" in one]
    path = link.partition(HOST)[2].partition("<")[0]
    second = applicant.another()
    second.goes("/apply/case", second.client.post(path))
    assert "ist eingegangen" in second.page()


def test_of_two_submits_at_once_one_counts(applicant: Applicant, other: Other) -> None:
    applicant.fill_in()
    form = {"form_token": applicant.token("/apply/summary"), "confirm": "yes", "version": applicant.version()}
    start, answers = threading.Barrier(2), []
    browsers = [applicant, applicant.another()]
    browsers[1].client.cookies.update(dict(applicant.client.cookies))

    def submit(one: Applicant) -> None:
        start.wait()
        answers.append(one.client.post("/apply/summary", data=form))

    threads = [threading.Thread(target=submit, args=(one,)) for one in browsers]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    for answer in answers:
        applicant.goes("/apply/case", answer)
    case = applicant.case()
    assert case.state is CaseState.SUBMITTED
    assert other.queued(case.number) == ["case_link", "case_received"]


def test_what_another_window_has_changed_is_shown_before_it_is_handed_in(applicant: Applicant) -> None:
    applicant.fill_in()
    seen = applicant.version()
    applicant.send("/apply/plates", plate_1="D-XY 99")
    answer = applicant.send("/apply/summary", confirm="yes", version=seen)
    applicant.goes("/apply/summary", answer)
    assert "D-XY 99" in told(applicant.get(answer.headers["location"]))
    assert applicant.case().state is CaseState.DRAFT
    for version in ("", "-1", "9" * 30, "²"):
        applicant.goes("/apply/summary", applicant.send("/apply/summary", confirm="yes", version=version))
    assert "bestätigen Sie" in told(applicant.send("/apply/summary", version=applicant.version()))


def test_who_has_one_already_is_told_so(applicant: Applicant, other: Other, city: City) -> None:
    first = applicant.applied()
    second = applicant.another()
    second.fill_in()
    answer = second.submit()
    assert answer.status_code == 422
    assert "läuft schon ein solcher Antrag" in told(answer)
    assert first.number not in told(answer)
    other.do(steps.refuse, first, "no_proof")
    second.goes("/apply/case", second.submit())


def test_who_holds_one_reads_it_before_and_after_sending(applicant: Applicant, other: Other) -> None:
    case = applicant.applied()
    other.approve(case)
    applicant.send("/apply/case/pay", "/apply/case")
    other.pays(case, TransactionStatus.PAYED)
    number = applicant.case().pass_number or "-"
    second = applicant.another()
    second.fill_in()
    page = second.get("/apply/summary")
    sent = second.submit()
    assert sent.status_code == 422
    for one in (page, sent):
        assert "jede Person kann nur einen haben" in told(one)
        # Whoever types a name must not learn which permit that person has.
        assert number not in one.text


def test_a_link_holds_for_thirty_days(applicant: Applicant, other: Other) -> None:
    applicant.applied()
    path = link_in(other.delivered()[-1])
    other.wait(days=29, hours=23)
    assert applicant.get(path).status_code == 200
    other.wait(hours=2)
    assert applicant.get(path).status_code == 410
    assert applicant.client.post(path).status_code == 410


@pytest.mark.parametrize("path", ["/apply/address", "/apply/summary", "/apply/term"])
def test_what_was_handed_in_is_not_changed_any_more(applicant: Applicant, path: str) -> None:
    applicant.fill_in()
    token = applicant.token("/apply/address")
    applicant.submit()
    before = applicant.case()
    applicant.goes("/apply/case", applicant.get(path))
    applicant.goes("/apply/case", applicant.client.post(path, data={"form_token": token}))
    assert applicant.case() == before
