"""A guardian's visit to the cards of the family: all on one phone, and none of anybody else."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time, timedelta

import pytest
from litestar.routes import HTTPRoute
from litestar.testing import TestClient
from pypdf import PdfReader
from sqlalchemy import select

from issuer import audit, google_wallet, lifecycle
from issuer.application import Application
from issuer.background.tasks import RetryLater
from issuer.delivery import mail
from issuer.errors import IssuerRefusal
from issuer.lifecycle import Actor
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.models_delivery import LetterRow, MailRow, WalletPassRow
from issuer.pickup import family_pages
from issuer.pickup.codes import create_letter_code, redeem_code
from issuer.pickup.family import family_link, has_children, tell_family
from issuer.register import load_contents, subject
from issuer.setup import DEMO_ROOT
from passes.apple_bundle import MOST_PASSES
from passes.card_codes import shown_symbology
from passes.periods import BERLIN
from tests.apple_phone import Phone
from tests.e2e.commandline import main_in_process
from tests.issuer.pickup.browser import HOST, browser, form_token, last_day, new_link, send, visit
from tests.issuer.pickup.families import (
    BORN,
    SAFARI,
    enter,
    family,
    leaves,
    new_family_link,
    visit_family,
    without_consent,
)
from tests.issuer.pickup.test_shown_codes import pictures
from tests.passes.code_readers import any_code, drawn, read
from tests.service import CARD, TODAY, City, running_numbers
from tests.web_app import create_app

SAVE = "https://pay.google.com/gp/v/save/"
PAGE = "/p/family"


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Google Wallet that says yes and takes three passes a link; returns what it was asked for."""
    asked: list[list[str]] = []

    def save_links(_application: Application, type_id: str, numbers: list[str]) -> list[str]:
        assert type_id == CARD
        asked.append(list(numbers))
        return [f"{SAVE}{start}" for start in range(0, len(numbers), 3)]

    monkeypatch.setattr(google_wallet, "is_offered", lambda application, session: True)
    monkeypatch.setattr(google_wallet, "save_links", save_links)
    return asked


def step(application: Application, name: str, number: str) -> None:
    with application.writing() as session:
        actor = Actor("test", application.now(), "a reason")
        getattr(lifecycle, name)(session, application.tenant, CARD, number, actor=actor)


def serial(application: Application, number: str) -> str:
    with application.reading() as session:
        [found] = load_contents(session, application.tenant, application.pass_types[CARD], [number])
    return found.serial


def history(application: Application, number: str) -> list[tuple[str, object]]:
    with application.reading() as session:
        entries = audit.history(session, application.tenant, subject(CARD, number))
    return [(one.action, one.after) for one in entries if one.actor == "holder"]


def test_the_page_shows_every_card_and_no_name_but_the_given_one(application: Application) -> None:
    numbers = family(application)
    other = running_numbers(application, CARD)[3]
    with browser(application) as client:
        link = new_family_link(application, numbers[0])
        before = client.get(link)
        assert "Die Ausweise Ihrer Familie liegen bereit" in before.text
        assert client.post(link).headers["location"] == PAGE
        assert client.post(link).status_code == 410
        page = client.get(PAGE)
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert all(number in page.text for number in numbers)
    assert other not in page.text
    # The guardian's own comes first.
    assert page.text.index(f"Ihr eigener Ausweis {numbers[0]}") < page.text.index(f"Ausweis {numbers[1]}")
    with application.reading() as session:
        pass_type = application.pass_types[CARD]
        for content in load_contents(session, application.tenant, pass_type, numbers):
            assert str(content.attributes["card_number"].text) in page.text  # type: ignore[union-attr]
            assert content.recipient is None or content.recipient.lines[0] not in page.text


def named(application: Application, number: str, given_name: str, family_name: str) -> None:
    with application.writing() as session:
        ref = session.get_one(PassRow, (application.tenant, CARD, number)).holder_ref
        row = session.get_one(HolderRow, (application.tenant, ref))
        row.given_name, row.family_name = given_name, family_name


def test_the_given_name_tells_the_cards_apart_on_this_page_alone(application: Application) -> None:
    numbers = family(application)
    for number, name in zip(numbers, ("Erika", "Mia", "Ben"), strict=True):
        named(application, number, name, "Unverwechselbar")
    named(application, running_numbers(application, CARD)[3], "Fremda", "Unverwechselbar")
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        page = client.get(PAGE).text
        for number, name in zip(numbers, ("Erika", "Mia", "Ben"), strict=True):
            assert f"usweis {number} · {name}</h3>" in page
            assert page.count(name) == 1
        assert "Unverwechselbar" not in page
        assert "Fremda" not in page
        named(application, numbers[2], "", "Kita Unverwechselbar")
        assert f"Ausweis {numbers[2]}</h3>" in client.get(PAGE).text
        blocked(application, numbers[1])
        assert "Mia" not in client.get(PAGE).text
        shown = client.get(f"{PAGE}/card/{numbers[2]}/show").text
        assert "Unverwechselbar" not in shown


def test_both_codes_of_every_card_are_shown(application: Application) -> None:
    numbers = family(application)
    with application.reading() as session:
        pass_type = application.pass_types[CARD]
        contents = list(load_contents(session, application.tenant, pass_type, numbers))
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        page = client.get(PAGE).text
        for content in contents:
            address, card = f"{PAGE}/card/{content.number}/show", pass_type.card_of(content)
            assert card is not None
            assert f'href="{address}"' in page
            assert "".join(f"<span>{part}</span><wbr>" for part in card.groups).removesuffix("<wbr>") in page
            (seal,) = pictures(client.get(address).text)
            assert content.seal in any_code(drawn(seal, 45, 300)).values()
            answer = client.get(address, params={"code": "number"})
            *_, lying = pictures(answer.text)
            assert read(drawn(lying, 80, 300), shown_symbology(card)) == card.text
            assert f'href="{address}?code=seal"' in answer.text
            assert 'href="/p/family"' in answer.text
            assert answer.headers["cache-control"] == "no-store"


def test_codes_are_shown_of_nobody_else_and_of_no_card_that_is_left_out(application: Application) -> None:
    numbers = family(application)
    other = running_numbers(application, CARD)[3]

    def status(number: str) -> int:
        return client.get(f"{PAGE}/card/{number}/show").status_code

    with browser(application) as client:
        assert status(numbers[1]) == 403
        visit(client, application, numbers[0], CARD)
        assert status(numbers[0]) == 303
        visit_family(client, application, numbers[0])
        assert [status(one) for one in (*numbers, other, "M999999")] == [200, 200, 200, 404, 404]
        without_consent(application, numbers[1])
        assert status(numbers[1]) == 409
        leaves(application, numbers[1])
        assert status(numbers[1]) == 404
        blocked(application, numbers[2])
        assert status(numbers[2]) == 409
        revoked(application, numbers[0])
        assert status(numbers[0]) == 403


def test_a_phone_takes_all_cards_at_once(city: City, application: Application) -> None:
    numbers = family(application, 3)
    with browser(application) as client, TestClient(create_app(application)) as web:
        visit_family(client, application, numbers[0])
        answer = client.get(PAGE + "/cards.pkpasses")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/vnd.apple.pkpasses"
        assert answer.headers["content-disposition"] == f'attachment; filename="{numbers[0]}.pkpasses"'
        assert client.get(PAGE + "/cards.pkpasses", params={"part": 2}).status_code == 409
        with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
            passes = [bundle.read(name) for name in bundle.namelist()]
            assert all(re.fullmatch(r"[^/]+\.pkpass", name) for name in bundle.namelist())
        # Each is checked with openssl and registers itself, as on a phone.
        phone = Phone(web, (city.folder / DEMO_ROOT).read_bytes())
        assert [phone.add(one) for one in passes] == [201] * 4
        assert {one.serial for one in phone.passes.values()} == {serial(application, one) for one in numbers}
        # The next change of one child's card reaches this phone.
        phone.on_push()
        step(application, "suspend", numbers[2])
        assert phone.on_push() == [serial(application, numbers[2])]


@pytest.mark.parametrize("children", [9, 11])
def test_more_than_ten_cards_come_in_parts(application: Application, children: int) -> None:
    numbers = family(application, children)
    with browser(application, **{"user-agent": SAFARI}) as client:
        visit_family(client, application, numbers[0])
        found = []
        parts = 1 if len(numbers) <= MOST_PASSES else 2
        links = re.findall(r'href="(/p/family/cards\.pkpasses[^"]*)"', client.get(PAGE).text)
        assert len(links) == parts
        for link in links:
            with zipfile.ZipFile(io.BytesIO(client.get(link).content)) as bundle:
                assert len(bundle.namelist()) <= MOST_PASSES
                for name in bundle.namelist():
                    with zipfile.ZipFile(io.BytesIO(bundle.read(name))) as one:
                        found += re.findall(r'"serialNumber":"([0-9a-f]+)"', one.read("pass.json").decode())
        assert found == [serial(application, one) for one in numbers]
        for part in (0, -1, parts + 1, 10**12):
            assert client.get(PAGE + "/cards.pkpasses", params={"part": part}).status_code == 409
        assert client.get(PAGE + "/cards.pkpasses", params={"part": "x"}).status_code == 400


IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "


@pytest.mark.parametrize(
    ("agent", "bundle", "said"),
    [
        (SAFARI, True, False),
        (IPHONE + "CriOS/140.0.7339.101 Mobile/15E148 Safari/604.1", False, True),
        (IPHONE + "FxiOS/142.0 Mobile/15E148 Safari/605.1.15", False, True),
        (IPHONE + "Version/18.0 EdgiOS/139.0.3405.86 Mobile/15E148 Safari/604.1", False, True),
        (IPHONE + "GSA/380.0 Mobile/15E148 Safari/604.1", False, True),
        # The window inside another app.
        (IPHONE + "Mobile/15E148", False, True),
        ("Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", 0, 0),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36", 0, 0),
        ("", False, False),
    ],
)  # fmt: skip
def test_only_safari_is_offered_the_bundle(
    application: Application, google: list[list[str]], agent: str, bundle: bool, said: bool
) -> None:
    numbers = family(application)
    with browser(application, **{"user-agent": agent}) as client:
        visit_family(client, application, numbers[0])
        page = client.get(PAGE).text
    assert ("/p/family/cards.pkpasses" in page) == bundle
    assert ("nur Safari" in page) == said
    # Every card by itself is there on every device, and so are print and Google for all.
    for number in numbers:
        for name in ("apple.pkpass", "google", "card.pdf"):
            assert f"/p/family/card/{number}/{name}" in page
    assert {"/p/family/google", "/p/family/cards.pdf"} <= set(re.findall(r'(?:href|action)="([^"]+)"', page))
    first = re.search(r'id="all-(\w+)"', page)
    assert first is not None
    assert first[1] == ("apple" if bundle else "google" if "Android" in agent else "print")


def test_all_cards_are_one_print(application: Application) -> None:
    numbers = family(application)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        answer = client.get(PAGE + "/cards.pdf")
        one = client.get(f"{PAGE}/card/{numbers[1]}/card.pdf")
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages]
    assert [next(number for number in numbers if number in page) for page in pages] == numbers
    alone = [page.extract_text() for page in PdfReader(io.BytesIO(one.content)).pages]
    assert [numbers[1] in page for page in alone] == [True]
    assert one.headers["content-disposition"] == f'attachment; filename="{numbers[1]}.pdf"'


def test_on_to_google_with_one_link_or_several(application: Application, google: list[list[str]]) -> None:
    numbers = family(application, 4)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        answer = send(client, PAGE + "/google", PAGE)
        # Five cards do not fit into one link of this Google.
        assert answer.status_code == 200
        assert re.findall(r'href="(https://pay[^"]+)"', answer.text) == [SAVE + "0", SAVE + "3"]
        leaves(application, numbers[4])
        leaves(application, numbers[3])
        answer = send(client, PAGE + "/google", PAGE)
        assert (answer.status_code, answer.headers["location"]) == (303, SAVE + "0")
        answer = send(client, f"{PAGE}/card/{numbers[1]}/google", PAGE)
        assert (answer.status_code, answer.headers["location"]) == (303, SAVE + "0")
    assert google == [numbers, numbers[:3], [numbers[1]]]


@pytest.mark.parametrize("fault", [RetryLater("google-unreachable"), IssuerRefusal("GOOGLE_NOT_POSSIBLE")])
def test_google_that_fails_is_said_and_nothing_is_noted(
    application: Application,
    google: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
) -> None:
    def fails(*_: object) -> list[str]:
        raise fault

    numbers = family(application)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        monkeypatch.setattr(google_wallet, "save_links", fails)
        answer = send(client, PAGE + "/google", PAGE)
    assert answer.status_code == 503
    assert 'href="/p/family"' in answer.text
    assert not [one for one in history(application, numbers[1]) if one[0] == "fetch"]


def test_every_fetch_is_noted_at_every_card(application: Application, google: list[list[str]]) -> None:
    numbers = family(application)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        client.get(PAGE + "/cards.pkpasses")
        client.get(PAGE + "/cards.pdf")
        send(client, PAGE + "/google", PAGE)
        client.get(f"{PAGE}/card/{numbers[1]}/apple.pkpass")
    of_all = [("fetch", {"channel": "mail", "carrier": carrier}) for carrier in ("apple", "print", "google")]
    assert history(application, numbers[0]) == [("pickup", {"channel": "mail", "family": "yes"}), *of_all]
    through = [(action, {**facts, "guardian": numbers[0]}) for action, facts in of_all]
    assert history(application, numbers[1]) == [*through, through[0]]
    assert history(application, numbers[2]) == through


def test_the_childs_own_page_says_that_the_guardian_did_it(application: Application) -> None:
    numbers = family(application)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        client.get(PAGE + "/cards.pdf")
        for number, said in ((numbers[0], False), (numbers[1], True)):
            visit(client, application, number, CARD)
            page = client.get("/p/pass/data").text
            assert "PDF zum Drucken geladen" in page
            assert ("von der erziehungsberechtigten Person" in page) == said
            assert numbers[0] not in page or not said
        [member] = client.get("/p/pass/data.json").json()["library_members"]
        assert (member["birth_date"], member["guardian_number"]) == (BORN.isoformat(), numbers[0])
        # Who of the library noted it is not the child's data.
        assert "consent_by" not in member


def blocked(application: Application, number: str) -> None:
    step(application, "suspend", number)


def revoked(application: Application, number: str) -> None:
    step(application, "revoke", number)


@pytest.mark.parametrize(
    ("happens", "sentence"),
    [
        (blocked, r"ist gesperrt\. Bitte melden Sie sich an der Theke der Bibliothek"),
        (revoked, "gilt nicht mehr"),
        (without_consent, "Ihre Einwilligung fehlt noch"),
    ],
)
def test_what_cannot_be_fetched_is_left_out_with_a_sentence(
    application: Application,
    google: list[list[str]],
    happens: Callable[[Application, str], None],
    sentence: str,
) -> None:
    numbers = family(application)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        happens(application, numbers[1])
        page = client.get(PAGE).text
        assert re.search(rf"<li[^>]*>{numbers[1]}[^<]*{sentence}", page)
        assert f"/card/{numbers[1]}/" not in page
        for name in ("apple.pkpass", "card.pdf"):
            assert client.get(f"{PAGE}/card/{numbers[1]}/{name}").status_code == 409
        assert send(client, f"{PAGE}/card/{numbers[1]}/google", PAGE).status_code == 409
        with zipfile.ZipFile(io.BytesIO(client.get(PAGE + "/cards.pkpasses").content)) as bundle:
            assert len(bundle.namelist()) == 2
        assert len(PdfReader(io.BytesIO(client.get(PAGE + "/cards.pdf").content)).pages) == 2
        send(client, PAGE + "/google", PAGE)
    assert google == [[numbers[0], numbers[2]]]
    assert not [one for one in history(application, numbers[1]) if one[0] == "fetch"]


def test_the_guardians_own_card_may_be_blocked(application: Application) -> None:
    numbers = family(application)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        blocked(application, numbers[0])
        page = client.get(PAGE).text
        assert f"{numbers[0]} ist gesperrt" in page
        assert client.get(f"{PAGE}/card/{numbers[1]}/apple.pkpass").status_code == 200
        assert client.post(new_family_link(application, numbers[0])).status_code == 303


def test_ended_and_taken_out_of_wallets(city: City, application: Application) -> None:
    numbers = family(application, 5)
    with application.writing() as session:
        row = session.get_one(WalletPassRow, (application.tenant, serial(application, numbers[2])))
        row.withdrawn_at = TODAY
    with browser(application, **{"user-agent": SAFARI}) as client:
        # The card of the sample that ends on 28 November.
        city.clock.forward(days=9)
        visit_family(client, application, numbers[0])
        page = client.get(PAGE).text
        assert f"{numbers[1]} ist abgelaufen" in page
        assert "aus den Wallets genommen" in page
        assert client.get(f"{PAGE}/card/{numbers[2]}/apple.pkpass").status_code == 409
        assert client.get(f"{PAGE}/card/{numbers[2]}/card.pdf").status_code == 200


def test_a_child_that_leaves_the_family_is_out_at_once(
    application: Application, google: list[list[str]]
) -> None:
    numbers = family(application)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        assert client.get(f"{PAGE}/card/{numbers[1]}/apple.pkpass").status_code == 200
        leaves(application, numbers[1])
        assert numbers[1] not in client.get(PAGE).text
        for name in ("apple.pkpass", "card.pdf"):
            assert client.get(f"{PAGE}/card/{numbers[1]}/{name}").status_code == 404
        assert send(client, f"{PAGE}/card/{numbers[1]}/google", PAGE).status_code == 404
        with zipfile.ZipFile(io.BytesIO(client.get(PAGE + "/cards.pkpasses").content)) as bundle:
            assert len(bundle.namelist()) == 2


@pytest.mark.parametrize(
    ("category", "born", "last"),
    [
        # Eighteen with the beginning of the birthday (section 187 (2) BGB), whatever the card's category is still.
        ("child", date(2008, 11, 21), 1),
        ("youth", date(2008, 11, 21), 1),
        ("duesselpass", date(2008, 11, 21), 1),
        ("youth", date(2009, 2, 28), 100),
        ("youth", date(2009, 3, 1), 101),
    ],
)
def test_whoever_comes_of_age_is_out_in_the_middle_of_a_visit(
    city: City, application: Application, category: str, born: date, last: int
) -> None:
    numbers = family(application)
    becomes(application, numbers[1], category)
    enter(application, numbers[1], birth_date=born)
    for number in numbers:
        with application.writing() as session:
            session.get_one(PassRow, (application.tenant, CARD, number)).period_last = date(2029, 1, 1)
    city.clock.at = datetime.combine(TODAY.date() + timedelta(days=last), time(), BERLIN) - timedelta(
        minutes=1
    )
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        assert client.get(f"{PAGE}/card/{numbers[1]}/apple.pkpass").status_code == 200
        city.clock.forward(minutes=1)
        assert client.get(f"{PAGE}/card/{numbers[1]}/apple.pkpass").status_code == 404
        page = client.get(PAGE).text
        assert numbers[1] not in page
        assert numbers[2] in page


def test_from_sixteen_on_nobody_has_to_consent(city: City, application: Application) -> None:
    numbers = family(application, 1, born=date(2010, 11, 21))
    without_consent(application, numbers[1])
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        assert client.get(f"{PAGE}/card/{numbers[1]}/apple.pkpass").status_code == 409
        city.clock.forward(hours=12)
        visit_family(client, application, numbers[0])
        assert client.get(f"{PAGE}/card/{numbers[1]}/apple.pkpass").status_code == 200


@pytest.mark.parametrize(
    ("category", "in_family"),
    [("child", True), ("youth", False), ("adult", False), ("duesselpass", False), ("institution", False)],
)
def test_without_a_birth_date_the_category_decides_and_in_doubt_against(
    application: Application, category: str, in_family: bool
) -> None:
    numbers = family(application, 1)
    becomes(application, numbers[1], category)
    enter(application, numbers[1], birth_date=None)
    with application.reading() as session:
        assert has_children(session, application, CARD, numbers[0]) == in_family


def becomes(application: Application, number: str, category: str) -> None:
    with application.writing() as session:
        row = session.scalars(
            select(RevisionRow).where(
                RevisionRow.tenant == application.tenant,
                RevisionRow.type_id == CARD,
                RevisionRow.number == number,
            )
        ).one()
        row.attributes = {**row.attributes, "category": category}


@pytest.mark.parametrize("name", ["cards.pkpasses", "cards.pdf", "card/{}/apple.pkpass", "card/{}/card.pdf"])
def test_a_child_that_leaves_while_its_card_is_made_is_not_handed_over(
    application: Application, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    numbers = family(application)
    known = family_pages._fetched

    def overtaken(*arguments: object) -> object:
        leaves(application, numbers[1])
        return known(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(family_pages, "_fetched", overtaken)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        assert client.get(f"{PAGE}/{name.format(numbers[1])}").status_code == 409
    assert not [one for number in numbers for one in history(application, number) if one[0] == "fetch"]


def test_a_revoked_guardian_has_no_family(application: Application) -> None:
    numbers = family(application)
    with browser(application) as client, browser(application) as late:
        visit_family(client, application, numbers[0])
        link = new_family_link(application, numbers[0])
        with application.writing() as session:
            code = create_letter_code(session, application, CARD, numbers[0], family=True)
        revoked(application, numbers[0])
        assert client.get(f"{PAGE}/card/{numbers[1]}/apple.pkpass").status_code == 403
        assert client.get(PAGE).status_code == 403
        assert late.get(link).status_code == 410
        assert late.post(link).status_code == 410
        fields = {"code": code, **last_day(application, numbers[0], CARD)}
        assert late.post("/p/code", data=fields).status_code == 422
        assert "visit" not in str(late.cookies)
    with application.writing() as session, pytest.raises(IssuerRefusal) as refused:
        family_link(session, application, CARD, numbers[0], "desk")
    assert refused.value.code == "FAMILY_NONE"
    assert numbers[0] in refused.value.sentence("de")


def test_a_reissue_of_the_guardians_card_shuts_every_door(application: Application) -> None:
    numbers = family(application)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        link = new_family_link(application, numbers[0])
        pass_type = application.pass_types[CARD]
        with application.writing() as session:
            code = create_letter_code(session, application, CARD, numbers[0], family=True)
            lifecycle.reissue(
                session,
                application.tenant,
                pass_type,
                numbers[0],
                seal_for=application.sealer(session, pass_type),
                actor=Actor("test", application.now(), "phone lost"),
            )
        assert client.get(PAGE).status_code == 403
        assert client.post(link).status_code == 410
        fields = {"code": code, **last_day(application, numbers[0], CARD)}
        assert client.post("/p/code", data=fields).status_code == 422


def routes(application: Application, number: str) -> list[tuple[str, str]]:
    """Every route of family visits, with ``number`` where one stands for a card."""
    found = [
        (method, route.path.replace("{number:str}", number))
        for route in create_app(application).routes
        if isinstance(route, HTTPRoute) and route.path.startswith(PAGE)
        for method in sorted(route.methods - {"OPTIONS", "HEAD"})
    ]
    assert len(found) == 10
    return found


def ask(client: TestClient, method: str, path: str, **fields: str):  # type: ignore[no-untyped-def, type-arg]
    return client.post(path, data=fields) if method == "POST" else client.get(path)


def test_no_address_leads_to_a_card_of_anybody_else(
    application: Application, neighbour: Application, google: list[list[str]]
) -> None:
    numbers = family(application)
    strangers = family(application, first=3)
    abroad = family(neighbour, first=6)
    foreign = [
        *strangers,
        *abroad,
        running_numbers(application)[0],
        "M999999",
        "%2e%2e",
        "x" * 300,
        "M50000%00",
    ]
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        token = form_token(client.get(PAGE))
        said = set()
        for number in foreign:
            for method, path in routes(application, number):
                if "/card/" in path:
                    answer = ask(client, method, path, form_token=token)
                    assert answer.status_code == 404, path
                    if "%" not in number:
                        said.add(answer.text)
        # Nothing tells a card that somebody has from a number that nobody has.
        assert len(said) == 1
    assert google == []
    for number in (*strangers, *abroad):
        assert history(application, number) == []
        assert history(neighbour, number) == []


def test_nothing_without_a_family_visit(application: Application, neighbour: Application) -> None:
    numbers = family(application)
    family(neighbour)
    with browser(application) as nobody, browser(application) as alone, browser(neighbour) as abroad:
        # The guardian's own card is the visit's, but not with the family.
        visit(alone, application, numbers[0], CARD)
        token = form_token(alone.get("/p/pass"))
        with browser(application) as guardian:
            visit_family(guardian, application, numbers[0])
            abroad.cookies.update(guardian.cookies)
        for method, path in routes(application, numbers[1]):
            assert ask(nobody, method, path).status_code == 403
            answer = ask(alone, method, path, form_token=token)
            assert (answer.status_code, answer.headers["location"]) == (303, "/p/pass")
        for method, path in routes(neighbour, numbers[1]):
            abroad.cookies.update(guardian.cookies)
            assert ask(abroad, method, path).status_code == 403
        # It goes on.
        assert alone.get("/p/pass").status_code == 200
    assert history(application, numbers[1]) == []


def test_forms_need_the_visits_token_and_our_pages(application: Application, google: list[list[str]]) -> None:
    numbers = family(application)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        token = form_token(client.get(PAGE))
        for method, path in routes(application, numbers[1]):
            if method == "POST":
                assert client.post(path).status_code == 403
                assert client.post(path, data={"form_token": "0" * 32}).status_code == 403
                foreign = {"Sec-Fetch-Site": "cross-site"}
                assert client.post(path, data={"form_token": token}, headers=foreign).status_code == 403
    assert google == []


def test_the_visit_ends_with_its_half_hour_and_by_its_button(city: City, application: Application) -> None:
    numbers = family(application)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        city.clock.forward(minutes=29, seconds=59)
        assert client.get(PAGE).status_code == 200
        city.clock.forward(seconds=1)
        assert client.get(f"{PAGE}/card/{numbers[1]}/card.pdf").status_code == 403
        visit_family(client, application, numbers[0])
        assert send(client, "/p/pass/end", PAGE).headers["location"] == "/p/ended"
        assert client.get(PAGE).status_code == 403


def test_the_guardians_own_page_leads_back(application: Application) -> None:
    numbers = family(application)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        assert 'href="/p/pass"' in client.get(PAGE).text
        page = client.get("/p/pass").text
        assert 'href="/p/family"' in page
        assert numbers[0] in page
        assert numbers[1] not in page
        visit(client, application, numbers[0], CARD)
        assert "/p/family" not in client.get("/p/pass").text


def test_a_code_for_the_other_phone_leads_to_the_family(application: Application) -> None:
    numbers = family(application)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        assert "<img" not in client.get(PAGE + "/phone").text
        answer = send(client, PAGE + "/phone", PAGE)
        assert "<img" in answer.text
        token = form_token(client.get(PAGE))
        part = client.post(PAGE + "/phone", data={"form_token": token}, headers={"HX-Request": "true"})
        assert "<html" not in part.text
        statuses = [send(client, PAGE + "/phone", PAGE).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        leaves(application, numbers[1])
        leaves(application, numbers[2])
    assert history(application, numbers[0])[-1] == ("screen-link", {"channel": "mail", "family": "yes"})


def test_the_code_from_a_letter_opens_the_family(application: Application) -> None:
    numbers = family(application)
    with application.writing() as session:
        own = create_letter_code(session, application, CARD, numbers[0])
        code = create_letter_code(session, application, CARD, numbers[0], family=True)
    with browser(application) as client:
        day = last_day(application, numbers[0], CARD)
        answer = client.post("/p/code", data={"code": code, **day})
        assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
        assert client.post("/p/code", data={"code": code, **day}).status_code == 422
        # The code to the own card is another one, and opens that card alone.
        answer = client.post("/p/code", data={"code": own, **day})
        assert answer.headers["location"] == "/p/pass"
        assert client.get(PAGE).headers["location"] == "/p/pass"
        children = {"code": own, **last_day(application, numbers[1], CARD)}
        assert client.post("/p/code", data=children).status_code == 422
    with application.writing() as session:
        first = create_letter_code(session, application, CARD, numbers[0], family=True)
        create_letter_code(session, application, CARD, numbers[0], family=True)
        assert redeem_code(session, application, first, TODAY.date()) is None


def mails(application: Application) -> list[tuple[str, str]]:
    with application.reading() as session:
        rows = session.scalars(select(MailRow).where(MailRow.tenant == application.tenant))
        return sorted((row.kind, row.number) for row in rows)


def test_a_guardian_who_asks_for_a_link_gets_the_familys(city: City, application: Application) -> None:
    numbers = family(application)
    with browser(application) as client:
        for number in numbers[:2]:
            fields = {"number": number, **last_day(application, number, CARD)}
            assert client.post("/p/new", data=fields).status_code == 303
        assert mails(application) == [(mail.FAMILY, numbers[0]), (mail.PICKUP, numbers[1])]
        link = new_family_link(application, numbers[0])
        city.clock.forward(hours=2)
        assert client.get(link).status_code == 410
        assert client.post(f"{link}/new").status_code == 303
        old = new_link(application, numbers[1], type_id=CARD)
        city.clock.forward(hours=2)
        assert client.post(f"{old}/new").status_code == 303
    kinds = [mail.FAMILY, mail.FAMILY, mail.PICKUP, mail.PICKUP]
    assert [kind for kind, _ in mails(application)] == kinds


def test_the_command_line_makes_links_and_codes_for_families(city: City, application: Application) -> None:
    numbers = family(application)
    common = ("--type", CARD, "--family", "--json", "--data", city.folder, "--at", "2026-11-20T12:00")
    with browser(application) as client:
        link = json.loads(main_in_process("pickup-link", numbers[0], *common).stdout)["url"]
        assert client.post(link).headers["location"] == PAGE
        code = json.loads(main_in_process("pickup-link", numbers[0], "--letter", *common).stdout)["code"]
        fields = {"code": code, **last_day(application, numbers[0], CARD)}
        assert client.post("/p/code", data=fields).headers["location"] == PAGE
    refused = main_in_process("pickup-link", numbers[1], *common)
    assert refused.code != 0
    assert "kein Kind" in refused.stderr + refused.stdout


def test_the_desk_tells_the_guardian_by_mail_or_letter(application: Application) -> None:
    numbers = family(application)
    with application.writing() as session:
        assert has_children(session, application, CARD, numbers[0])
        assert not has_children(session, application, CARD, numbers[1])
        assert not has_children(session, application, CARD, "M999999")
        way = tell_family(session, application, CARD, numbers[0])
        with pytest.raises(IssuerRefusal):
            tell_family(session, application, CARD, numbers[1])
        letters = session.scalars(select(LetterRow.kind).where(LetterRow.tenant == application.tenant)).all()
    assert way == "mail" if mails(application) else letters == [mail.FAMILY]
    assert new_family_link(application, numbers[0]).startswith("/p/l/")
    assert HOST not in new_family_link(application, numbers[0])
