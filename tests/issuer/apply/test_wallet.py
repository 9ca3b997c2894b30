"""A wallet instead of a document: asked beside the upload, compared with the application, what the office sees."""

from __future__ import annotations

import tomllib

import pytest
from httpx import Response

from issuer.application import Application
from issuer.cases import issue, steps
from issuer.cases.city import CityCaseRules
from issuer.cases.facts import ProofCredential
from issuer.cases.states import CaseState
from issuer.cases.store import CaseActor
from issuer.models_cases import CaseRow
from issuer.presentations.wishes import Credential
from issuer.presentations.words import GROUPS
from issuer.staff.permissions import Role
from issuer.web import rates
from issuer.workspace import CONFIG
from keys.texts import texts
from tests.browsers import ANDROID
from tests.issuer.apply.applicant import Applicant, Other, told
from tests.issuer.cases.test_evidence import PAPER
from tests.issuer.console.people import settle
from tests.issuer.eudi.conftest import set_up
from tests.service import PERMIT, TENANT, City
from tests.wallet_answers import CODE, asked, opens, refuses, shows

SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
DOCUMENTS = "/apply/documents"
# Where no register knows them to live.
STRANGER = {"house_number": "33"}
SHOWN = {
    "family_name": "ĐORĐEVIĆ",
    "given_names": "ĐORĐE MARIA",
    "main_street": "BÖRSENWIESENWEG 33",
    "main_postal_code": "40470",
    "main_city": "MUSTERSTADT",
}
BUTTON = "Mit der EUDI-Wallet nachweisen"


@pytest.fixture
def application(city: City) -> Application:
    return set_up(city)


@pytest.fixture
def stranger(applicant: Applicant) -> Applicant:
    """Somebody with a draft that lacks evidence of residence alone."""
    applicant.fill_in(**STRANGER)
    return applicant


def ask(who: Applicant) -> str:
    answer = who.send("/apply/wallet", DOCUMENTS)
    assert answer.status_code == 303, told(answer)
    path = str(answer.headers["location"])
    assert path.startswith("/apply/wallet/")
    return path


def use(who: Applicant, path: str, **fields: str) -> Response:
    """Press the button; the page that it leads to."""
    answer = who.send(path, DOCUMENTS, **fields)
    assert answer.status_code == 303, told(answer)
    assert answer.headers["location"].startswith(DOCUMENTS)
    return who.get(answer.headers["location"])


def proof(who: Applicant) -> ProofCredential | None:
    found = who.case().facts.residence_proof
    return None if found is None else found.credential


def test_a_wallet_proves_where_somebody_lives(
    stranger: Applicant, other: Other, application: Application, city: City
) -> None:
    offered = told(stranger.get(DOCUMENTS))
    assert BUTTON in offered
    assert "Ausweisdaten (PID) oder einer Meldebescheinigung" in offered
    assert "Nachweis hochladen" in offered
    path = ask(stranger)
    page = stranger.get(path)
    assert "data:image/png;base64," in page.text
    assert 'href="openid4vp://?client_id=x509_hash%3A' in page.text
    assert "Antworten Sie nur, wenn Sie diese Seite selbst geöffnet haben" in told(page)
    opens(application)
    assert "Ihre Wallet fragt Sie jetzt" in told(stranger.get(path))
    shows(application, Credential.PID, SHOWN, issuer="Bundesdruckerei TEST")
    page = stranger.get(path)
    assert "Nachweis übernehmen" in told(page)
    assert "ĐORĐEVIĆ" not in page.text
    # Looking at the page has used nothing.
    assert proof(stranger) is None
    after = told(use(stranger, path))
    assert "Ihre Wohnung ist nachgewiesen" in after
    assert "Ausweisdaten (PID), ausgestellt von Bundesdruckerei TEST, gezeigt am 20.11.2026" in after
    assert BUTTON not in after
    assert proof(stranger) is ProofCredential.PID
    assert asked(application).answer is None
    assert "ausgestellt von Bundesdruckerei TEST" in told(stranger.get("/apply/summary"))
    stranger.goes("/apply/case", stranger.submit())
    case = stranger.case()
    [residence] = [one for one in case.checks if one["name"] == "residence"]
    assert (residence["accepted"], residence["proven"]) == ("identity_card", True)
    assert "Wohnung mit der EUDI-Wallet nachgewiesen" in stranger.page()
    clerk = settle(application, city.clock, "erika", Role.CLERK)
    shown = told(clerk.client.get(f"/office/cases/{case.id}"))
    assert shown.count("Mit der EUDI-Wallet nachgewiesen: Ausweisdaten (PID), ausgestellt von") == 2
    assert "Wohnung mit der EUDI-Wallet nachgewiesen" in shown
    assert "Ausgestellt von: Bundesdruckerei TEST" in shown
    with application.reading() as session:
        row = session.get_one(CaseRow, (TENANT, case.id))
        assert "ĐORĐEVIĆ" not in repr((row.facts, row.checks))


@SQLITE
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"given_names": "Max"}, "steht ein anderer Name als im Antrag"),
        ({"main_street": "Börsenwiesenweg 34"}, "eine andere Anschrift als im Antrag"),
        ({"main_city": "Nachbarstadt"}, "eine andere Anschrift als im Antrag"),
        ({"main_postal_code": "", "family_name": ""}, "ein anderer Name und eine andere Anschrift"),
    ],
)
def test_what_does_not_agree_is_said_and_nothing_is_kept(
    stranger: Applicant, application: Application, values: dict[str, str], sentence: str
) -> None:
    path = ask(stranger)
    shows(application, Credential.PID, SHOWN | values)
    page = told(use(stranger, path))
    assert sentence in page
    assert proof(stranger) is None
    assert asked(application).answer is None
    # Another try, and the upload, are still there.
    assert BUTTON in page
    stranger.goes(DOCUMENTS, stranger.upload(PAPER.data))
    path = ask(stranger)
    shows(application, Credential.RESIDENCE_CERTIFICATE, SHOWN)
    assert "Ihre Wohnung ist nachgewiesen" in told(use(stranger, path))
    assert proof(stranger) is ProofCredential.RESIDENCE_CERTIFICATE


def test_one_wallet_gets_one_permit(stranger: Applicant, application: Application, other: Other) -> None:
    """Whichever of the given names in it somebody applies under."""
    shows_all(stranger, application)
    stranger.goes("/apply/case", stranger.submit())
    second = stranger.another()
    second.fill_in(**STRANGER, given_name="Maria", plate_1="D-XY 78", email="")
    shows_all(second, application)
    assert "Zu Ihrer Person läuft schon ein solcher Antrag" in told(second.submit())
    # Nor does it prove one that was handed in without.
    third = stranger.another()
    third.fill_in(**STRANGER, given_name="Maria Đorđe", plate_1="D-XY 79", email="")
    third.goes("/apply/case", third.submit())
    other.do(steps.ask_documents, third.case(), ["residence"])
    path = ask(third)
    shows(application, Credential.PID, SHOWN)
    assert "Zu der Person in Ihrer Wallet läuft schon ein anderer Antrag" in told(use(third, path))
    assert proof(third) is None
    assert asked(application).answer is None


def shows_all(who: Applicant, application: Application) -> None:
    path = ask(who)
    shows(application, Credential.PID, SHOWN)
    assert "Ihre Wohnung ist nachgewiesen" in told(use(who, path))


def test_another_address_needs_another_proof(stranger: Applicant, application: Application) -> None:
    path = ask(stranger)
    shows(application, Credential.PID, SHOWN)
    use(stranger, path)
    stranger.send("/apply/address", street="Börsenwiesenweg", house_number="35", postal_code="40470")
    assert proof(stranger) is None
    assert BUTTON in told(stranger.get(DOCUMENTS))


def test_back_from_a_wallet_on_this_device(stranger: Applicant, application: Application) -> None:
    stranger.client.headers["user-agent"] = ANDROID
    path = ask(stranger)
    order = told(stranger.get(path))
    assert order.index("auf diesem Gerät") < order.index("auf einem anderen Gerät")
    assert asked(application).back == path
    shows(application, Credential.PID, SHOWN, same_device=True)
    # Nobody but the browser that the wallet came back to has the code.
    assert "Ihre Wallet fragt Sie jetzt" in told(stranger.get(path))
    assert "gibt es nicht mehr" in told(use(stranger, path))
    page = stranger.get(f"{path}?response_code={CODE}")
    assert f'name="response_code" value="{CODE}"' in page.text
    assert "Ihre Wohnung ist nachgewiesen" in told(use(stranger, path, response_code=CODE))


def test_another_browser_sees_no_answer(stranger: Applicant, application: Application) -> None:
    path = ask(stranger)
    shows(application, Credential.PID, SHOWN)
    second = stranger.another()
    second.fill_in(**STRANGER)
    second.goes(DOCUMENTS, second.get(path))
    assert "gibt es nicht mehr" in told(use(second, path))
    assert "Ihre Wohnung ist nachgewiesen" in told(use(stranger, path))


@SQLITE
def test_a_question_goes_on_after_a_pause(
    stranger: Applicant, application: Application, other: Other
) -> None:
    path = ask(stranger)
    stranger.get("/apply/person")
    shows(application, Credential.PID, SHOWN)
    other.wait(minutes=9)
    assert "Nachweis übernehmen" in told(stranger.get(path))
    other.wait(minutes=2)
    page = told(stranger.get(path))
    assert "Die Anfrage ist zu Ende" in page
    assert "Versuchen Sie es noch einmal, oder laden Sie ein Dokument hoch." in page
    assert "gibt es nicht mehr" in told(use(stranger, path))


@SQLITE
def test_asking_anew_ends_the_question_before(stranger: Applicant, application: Application) -> None:
    path = ask(stranger)
    identity = path.rpartition("/")[2]
    assert f'name="instead" value="{identity}"' in stranger.get(path).text
    shows(application, Credential.PID, SHOWN)
    answer = stranger.send("/apply/wallet", DOCUMENTS, instead=identity)
    assert answer.headers["location"] != path
    assert "gibt es nicht mehr" in told(use(stranger, path))
    # Whatever else stands there ends nothing, and is no fault.
    for nothing in ("x", "0" * 32, "ü", "x" * 300):
        assert stranger.send("/apply/wallet", DOCUMENTS, instead=nothing).status_code == 303


@SQLITE
def test_a_script_hears_of_changes_alone(stranger: Applicant, application: Application) -> None:
    path = ask(stranger)
    script = {"hx-request": "true"}
    assert stranger.client.get(path, params={"seen": "waiting"}, headers=script).status_code == 204
    shows(application, Credential.PID, SHOWN)
    part = stranger.client.get(path, params={"seen": "waiting"}, headers=script)
    assert "Nachweis übernehmen" in told(part)
    assert "<html" not in part.text
    gone = stranger.client.get(f"/apply/wallet/{'0' * 32}", headers=script)
    assert "Die Anfrage ist zu Ende" in told(gone)


@SQLITE
@pytest.mark.parametrize("language", ["de", "en"])
def test_every_refusal_says_what_to_do(stranger: Applicant, application: Application, language: str) -> None:
    path = ask(stranger)
    say = texts("issuer", language)
    for code, group in GROUPS.items():
        refuses(application, code, "x")
        page = told(stranger.get(f"{path}?lang={language}"))
        assert say(f"WALLET_GROUP_{group.name}") in page, code
        assert say(f"WALLET_APPLY_DO_{group.name}") in page, code


def test_what_the_office_asks_for_later(stranger: Applicant, application: Application, other: Other) -> None:
    stranger.goes("/apply/case", stranger.submit())
    case = stranger.case()
    # While the office looks at it nothing can be added.
    assert stranger.get(DOCUMENTS).headers["location"] == "/apply/case"
    other.do(steps.ask_documents, case, ["residence"])
    assert BUTTON in stranger.page()
    path = ask(stranger)
    shows(application, Credential.RESIDENCE_CERTIFICATE, SHOWN)
    page = told(use(stranger, path))
    assert "Bitte weisen Sie nach, dass Sie in dem Gebiet wohnen." not in page
    assert "Es fehlt kein Nachweis mehr." in page
    stranger.goes("/apply/case", stranger.send("/apply/documents/done", DOCUMENTS))
    # Nothing is left that a clerk would have to look at.
    with application.writing() as session:
        rules = CityCaseRules.of(session, application, PERMIT)
        by = CaseActor("staff:1", application.now())
        case = issue.approve(session, application, case.id, by, rules)
    assert case.state is CaseState.AWAITING_PAYMENT


@SQLITE
@pytest.mark.parametrize("fields", [{}, {**STRANGER, "residence": "secondary"}])
def test_no_wallet_is_asked_where_none_can_help(applicant: Applicant, fields: dict[str, str]) -> None:
    """Whom the register knows needs none, and wallets show the main residence alone."""
    applicant.fill_in(**fields, plate_1="D-XY 77")
    assert BUTTON not in told(applicant.get(DOCUMENTS))
    applicant.goes(DOCUMENTS, applicant.send("/apply/wallet", DOCUMENTS))


@SQLITE
def test_where_nothing_is_set_up_nothing_is_offered(city: City) -> None:
    who = Applicant(city.open())
    who.fill_in(**STRANGER)
    page = told(who.get(DOCUMENTS))
    assert "Nachweis hochladen" in page
    assert "Wallet" not in page
    who.goes(DOCUMENTS, who.send("/apply/wallet", DOCUMENTS))


@SQLITE
def test_a_city_that_trusts_nobody_for_identities_asks_for_certificates(city: City) -> None:
    config = city.folder / CONFIG
    lines = config.read_text().splitlines()
    config.write_text("\n".join(one for one in lines if not one.startswith("pid = ")) + "\n")
    assert "pid" not in tomllib.loads(config.read_text())["eudi"]["trusted"]
    application = set_up(city)
    who = Applicant(application)
    who.fill_in(**STRANGER)
    assert "eine EUDI-Wallet mit einer Meldebescheinigung" in told(who.get(DOCUMENTS))
    path = ask(who)
    # Another credential than those that count for the need: a fault of ours or a change of settings meanwhile.
    shows(application, Credential.PID, SHOWN)
    assert "zählt hier nicht" in told(use(who, path))
    assert proof(who) is None


def test_questions_are_counted(stranger: Applicant) -> None:
    for _ in range(rates.WALLETS_OF_CASE.burst):
        ask(stranger)
    answer = stranger.send("/apply/wallet", DOCUMENTS)
    assert answer.status_code == 429


@pytest.mark.parametrize("identity", ["a%20b", "x" * 200, "%C3%BC"])
def test_questions_that_are_none(stranger: Applicant, identity: str) -> None:
    path = f"/apply/wallet/{identity}"
    stranger.goes(DOCUMENTS, stranger.get(path))
    assert "gibt es nicht mehr" in told(use(stranger, path))


def test_a_form_of_another_page_is_refused(stranger: Applicant, application: Application) -> None:
    path = ask(stranger)
    shows(application, Credential.PID, SHOWN)
    for where in ("/apply/wallet", path):
        assert stranger.client.post(where, data={"form_token": "0" * 32}).status_code == 403
    assert asked(application).answer is not None
