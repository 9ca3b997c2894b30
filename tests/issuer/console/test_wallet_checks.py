"""Asking wallets at the counter and in the library: code, verdict, what is shown once, and what stays of it."""

from __future__ import annotations

import re
from html import unescape

import pytest
from httpx import Response
from litestar import Litestar
from sqlalchemy import select

from issuer.application import Application
from issuer.models import PassRow
from issuer.models_presentations import PresentationRow
from issuer.models_staff import CaseAccessRow
from issuer.presentations.wishes import Credential
from issuer.presentations.words import GROUPS
from issuer.staff.permissions import Role
from keys.texts import texts
from tests.issuer.console.people import Colleague, form_token, new_client, settle
from tests.issuer.eudi.conftest import set_up
from tests.service import CARD, City, running_numbers
from tests.wallet_answers import CODE, ERIKA, asked, opens, refuses, shows
from tests.web_app import create_app
from verifier.credentials.outcome import StatusVerdict

SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
COUNTER, LIBRARY = "/office/wallet", "/office/library/wallet"


@pytest.fixture
def application(city: City) -> Application:
    return set_up(city)


@pytest.fixture
def app(application: Application) -> Litestar:
    return create_app(application)


@pytest.fixture
def clerk(city: City, application: Application, app: Litestar) -> Colleague:
    return settle(application, city.clock, "erika", Role.CLERK, app=app)


@pytest.fixture
def librarian(city: City, application: Application, app: Litestar) -> Colleague:
    return settle(application, city.clock, "lena", Role.LIBRARIAN, app=app)


def told(page: Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


def ask(who: Colleague, path: str = COUNTER) -> str:
    """Ask a wallet; the path of the question."""
    answer = who.send(path, page=path)
    assert answer.status_code == 303, told(answer)
    found = str(answer.headers["location"])
    assert found.startswith(path + "/")
    return found


def view(who: Colleague, path: str, **fields: str) -> Response:
    token = form_token(who.client.get("/office/account"))
    return who.client.post(path, data={"form_token": token, **fields})


def accesses(application: Application) -> list[tuple[str, str]]:
    with application.reading() as session:
        rows = session.execute(
            select(CaseAccessRow.subject, CaseAccessRow.kind).where(CaseAccessRow.kind == "checked")
        )
        return [(subject, kind) for subject, kind in rows]


def test_a_certificate_of_residence_is_seen_once(application: Application, clerk: Colleague) -> None:
    path = ask(clerk)
    page = clerk.client.get(path)
    assert "Wartet auf die Wallet" in told(page)
    assert "data:image/png;base64," in page.text
    assert 'href="openid4vp://?client_id=x509_hash%3A' in page.text
    # Without a script the page loads itself anew.
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page.text
    opens(application)
    page = clerk.client.get(path)
    assert "Die Wallet hat die Anfrage gelesen" in told(page)
    assert "data:image/png;base64," not in page.text
    shows(application, Credential.RESIDENCE_CERTIFICATE, ERIKA)
    page = clerk.client.get(path)
    assert "Der Nachweis gilt" in told(page)
    assert 'class="state state--success"' in page.text
    assert "kern-icon--success" in page.text
    assert "refresh" not in page.text
    assert "Mustermann" not in page.text
    seen = view(clerk, path)
    assert seen.status_code == 200
    for part in (
        "Erika Maria Mustermann", "12.08.1964", "Heidestraße 17, 40474 Düsseldorf", "Stadt Beispiel TEST",
        "nicht widerrufen", "Diese Angaben stehen nur jetzt hier",
    ):  # fmt: skip
        assert part in told(seen), part
    assert seen.headers["cache-control"] == "no-store"
    # That somebody was checked, and nothing of who it was.
    assert accesses(application) == [("wallet/residence", "checked")]
    assert asked(application).answer is None
    again = view(clerk, path)
    assert again.status_code == 409
    assert "Mustermann" not in again.text
    assert "Die Anfrage ist zu Ende" in told(clerk.client.get(path))


def test_a_card_of_the_register_leads_to_its_member(application: Application, librarian: Colleague) -> None:
    number = running_numbers(application, CARD)[0]
    with application.reading() as session:
        card = session.get_one(PassRow, (application.tenant, CARD, number)).card_key
    assert card is not None
    values = {"number": number, "card_number": card, "valid_until": "2027-09-30"}
    path = ask(librarian, LIBRARY)
    shows(application, Credential.LIBRARY_CARD, values)
    seen = view(librarian, path)
    assert f'href="/office/library/members/{CARD}/{number}"' in seen.text
    assert "30.09.2027" in told(seen)
    assert accesses(application) == [(f"{CARD}/{number}", "checked")]
    # Another library's card may have the same member number.
    path = ask(librarian, LIBRARY)
    shows(application, Credential.LIBRARY_CARD, values | {"card_number": "1" + card})
    seen = view(librarian, path)
    assert "steht nicht in unserem Register" in told(seen)
    assert "/office/library/members/" not in seen.text
    assert ("wallet/library-card", "checked") in accesses(application)


@SQLITE
def test_each_check_is_an_entry_where_it_does_not_say_whom(
    application: Application, clerk: Colleague
) -> None:
    """Two people within ten minutes are two, though both are called the same in the log."""
    for _ in range(2):
        path = ask(clerk)
        shows(application, Credential.RESIDENCE_CERTIFICATE, ERIKA)
        assert view(clerk, path).status_code == 200
    assert accesses(application) == [("wallet/residence", "checked")] * 2


@SQLITE
@pytest.mark.parametrize("status", list(StatusVerdict))
def test_what_is_known_of_a_revocation(
    application: Application, clerk: Colleague, status: StatusVerdict
) -> None:
    path = ask(clerk)
    shows(application, Credential.RESIDENCE_CERTIFICATE, ERIKA, status=status)
    said = {
        StatusVerdict.VALID: "nicht widerrufen",
        StatusVerdict.NONE: "kann nicht widerrufen werden; er endet am 20.12.2026",
        StatusVerdict.NOT_CHECKED: "nicht geprüft",
    }
    page = told(view(clerk, path))
    assert said[status] in page
    # A list may be an hour old.
    assert "eben geprüft" not in page


@SQLITE
def test_each_place_asks_for_its_own(
    application: Application, clerk: Colleague, librarian: Colleague, city: City, app: Litestar
) -> None:
    assert clerk.client.get(LIBRARY).status_code == 403
    assert librarian.client.get(COUNTER).status_code == 403
    assert "Bibliotheksausweis" not in told(clerk.client.get(COUNTER))
    assert "Meldebescheinigung" not in told(librarian.client.get(LIBRARY))
    # Neither does a question of one place show at the other, to somebody who may use both.
    both = settle(application, city.clock, "both", Role.CLERK, Role.LIBRARIAN, app=app)
    path = ask(both, LIBRARY)
    assert both.client.get(path.replace(LIBRARY, COUNTER)).status_code == 404


def test_nobody_else_sees_the_answer(
    application: Application, clerk: Colleague, city: City, app: Litestar
) -> None:
    path = ask(clerk)
    shows(application, Credential.RESIDENCE_CERTIFICATE, ERIKA)
    other = settle(application, city.clock, "other", Role.CLERK, app=app)
    for page in (other.client.get(path), view(other, path)):
        assert page.status_code in (404, 409)
        assert "Mustermann" not in page.text
    assert accesses(application) == []
    assert "Erika Maria Mustermann" in told(view(clerk, path))


def test_back_from_a_wallet_on_the_same_device(
    application: Application, clerk: Colleague, app: Litestar
) -> None:
    path = ask(clerk)
    assert asked(application).back == f"{path}/back"
    shows(application, Credential.RESIDENCE_CERTIFICATE, ERIKA, same_device=True)
    # Without the code that the wallet brings back it is nobody's answer.
    assert "Die Wallet hat die Anfrage gelesen" in told(clerk.client.get(path))
    assert view(clerk, path).status_code == 409
    # The browser may leave the strict cookie out here, and the page shows nothing.
    back = new_client(application, app).get(f"{path}/back", params={"response_code": CODE})
    assert back.status_code == 200
    target = f"{path}?response_code={CODE}"
    assert f'content="0; url={target}"' in unescape(back.text)
    page = clerk.client.get(target)
    assert "Der Nachweis gilt" in told(page)
    assert f'name="response_code" value="{CODE}"' in page.text
    assert "Erika Maria Mustermann" in told(view(clerk, path, response_code=CODE))


@SQLITE
@pytest.mark.parametrize("code", ["", "a b", '"><script>', "x" * 200])
def test_the_way_back_leads_nowhere_else(application: Application, app: Litestar, code: str) -> None:
    browser = new_client(application, app)
    back = browser.get(f"{COUNTER}/{'0' * 32}/back", params={"response_code": code})
    assert back.status_code == 200
    assert f'content="0; url={COUNTER}/{"0" * 32}"' in back.text
    assert "<script>" not in back.text.replace('<script src="', "")


@pytest.mark.parametrize("identity", ["a%20b", "x" * 200, "%C3%BC"])
def test_questions_that_are_none(clerk: Colleague, identity: str) -> None:
    path = f"{COUNTER}/{identity}"
    assert clerk.client.get(path).status_code == 404
    assert view(clerk, path).status_code == 409


@SQLITE
def test_a_script_hears_of_changes_alone(application: Application, clerk: Colleague) -> None:
    path = ask(clerk)
    headers = {"hx-request": "true"}
    assert clerk.client.get(path, params={"seen": "waiting"}, headers=headers).status_code == 204
    opens(application)
    part = clerk.client.get(path, params={"seen": "waiting"}, headers=headers)
    assert part.status_code == 200
    assert "<html" not in part.text
    assert "seen=opened" in unescape(part.text)
    shows(application, Credential.RESIDENCE_CERTIFICATE, ERIKA)
    part = clerk.client.get(path, params={"seen": "opened"}, headers=headers)
    # Nothing to ask any more.
    assert "hx-get" not in part.text
    assert "Angaben ansehen" in told(part)


@SQLITE
@pytest.mark.parametrize("language", ["de", "en"])
def test_every_refusal_says_why_and_what_to_do(
    application: Application, clerk: Colleague, language: str
) -> None:
    path = ask(clerk)
    say, says = texts("issuer", language), texts("verifier", language)
    for code, group in GROUPS.items():
        refuses(application, code, "no base64url")
        page = told(clerk.client.get(path, params={"lang": language}))
        sentence = (says if code in says else say)(code)
        assert sentence in page, code
        # How the protocols call what is wrong stands in the audit trail.
        assert "base64url" not in page, code
        assert say(f"WALLET_GROUP_{group.name}") in page, code
        assert say(f"WALLET_DESK_DO_{group.name}") in page, code
        assert view(clerk, path).status_code == 409, code


@SQLITE
@pytest.mark.parametrize(
    ("code", "is_needed_anew"),
    [
        ("PRESENTATION_REVOKED", True),
        ("PRESENTATION_EXPIRED", True),
        ("PRESENTATION_SUSPENDED", False),
        ("PRESENTATION_NOT_YET_VALID", False),
    ],
)
def test_nobody_is_sent_for_what_they_have(
    application: Application, clerk: Colleague, code: str, is_needed_anew: bool
) -> None:
    path = ask(clerk)
    refuses(application, code, "")
    page = told(clerk.client.get(path))
    assert ("dass sie diesen Nachweis neu braucht" in page) == is_needed_anew
    assert ("neu braucht die Person ihn nicht" in page) == (not is_needed_anew)


def test_every_code_of_the_verifier_has_its_advice() -> None:
    own = {"PRESENTATION_NOT_SET_UP", "PRESENTATION_UNKNOWN", "PRESENTATION_NOTHING"}
    for package in ("issuer", "verifier"):
        codes = {one for one in texts(package, "de").sentences if one.startswith("PRESENTATION_")}
        assert codes - own <= GROUPS.keys()


def test_a_question_ends(city: City, application: Application, clerk: Colleague) -> None:
    path = ask(clerk)
    city.clock.forward(minutes=11)
    assert "Die Anfrage ist zu Ende" in told(clerk.client.get(path))
    with application.writing() as session:
        session.delete(session.get_one(PresentationRow, (application.tenant, path.rpartition("/")[2])))
    assert clerk.client.get(path).status_code == 404
    # A page that still asks hears that it is over, instead of asking for ever.
    part = clerk.client.get(path, params={"seen": "waiting"}, headers={"hx-request": "true"})
    assert part.status_code == 200
    assert "Die Anfrage ist zu Ende" in told(part)


@SQLITE
def test_where_nothing_is_set_up_it_says_so(city: City) -> None:
    plain = city.open()
    bare = create_app(plain)
    clerk = settle(plain, city.clock, "plain", Role.CLERK, Role.LIBRARIAN, app=bare)
    for path in (COUNTER, LIBRARY):
        page = clerk.client.get(path)
        assert page.status_code == 200
        assert "Wallets können hier nicht angefragt werden" in told(page)
        assert clerk.send(path).status_code == 409
    assert "EUDI-Wallet" not in told(clerk.client.get("/office"))
    assert "EUDI-Wallet" not in told(clerk.client.get("/office/counter"))
    assert "EUDI-Wallet" not in told(clerk.client.get("/office/library"))


@SQLITE
def test_and_where_it_is_the_desk_leads_there(clerk: Colleague, librarian: Colleague) -> None:
    for page in ("/office", "/office/counter"):
        assert f'href="{COUNTER}"' in clerk.client.get(page).text
    for page in ("/office", "/office/library"):
        assert f'href="{LIBRARY}"' in librarian.client.get(page).text
