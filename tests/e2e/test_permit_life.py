"""The whole life of a permit against the running service, in browsers of the people who meet it.

Applied for and refused; applied for, paid, on the telephone, charged back and settled; another car; renewed across
the 29th of February; given back. And one of somebody who has neither telephone nor mail address.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pypdf
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as NotThere

from passes.periods import BERLIN
from tests.browsers import DESKTOP, PHONE, chromium, context
from tests.e2e.permit_city import Clerk, PermitCity
from tests.service import new_database
from tests.web_pages import needs_chromium

# The fixtures of the browsers are this module's as well.
__all__ = ["chromium"]

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
    pytest.mark.timeout(900),
]
VALID, SUPERSEDED, REVOKED = ("GREEN", "VALID"), ("RED", "SUPERSEDED"), ("RED", "REVOKED")
SUSPENDED = ("RED", "SUSPENDED")
MAIL = "djordje@example.org"


@pytest.fixture(params=["sqlite", "postgresql"])
def city(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PermitCity]:
    database = ""
    if request.param == "postgresql":
        database = new_database(request.getfixturevalue("postgresql"), f"life_{secrets.token_hex(6)}")
    made = PermitCity(tmp_path, database).set_up()
    made.start()
    yield made
    made.kill()


@dataclass(frozen=True)
class Asks:
    """What somebody fills in; of a resident of the demo city nothing has to be proved."""

    given_name: str = "Đorđe"
    family_name: str = "Đorđević"
    email: str = MAIL
    street: str = "Börsenwiesenweg"
    house_number: str = "31"
    postal_code: str = "40470"
    plate: str = "D-AY 1930E"
    first: tuple[str, str, str] = ("1", "3", "2027")
    months: str = "12"


def send(page: Page, action: str) -> None:
    """Press the button of the form that goes to ``action``."""
    page.locator(f'form[method=post][action$="{action}"] button[type=submit]').click()


def arrive(page: Page, path: str) -> None:
    """Wait for the page at ``path`` (a regular expression); what stands there instead says why it does not come."""
    try:
        page.wait_for_url(re.compile(rf"{path}(\?.*)?$"))
    except NotThere:
        pytest.fail(f"{page.url} and not {path}: {page.locator('main').inner_text()}")


def choose(page: Page, name: str, value: str) -> None:
    page.locator(f'input[name="{name}"][value="{value}"]').check()


def type_in(page: Page, field: str, text: str) -> None:
    """Type into a field whose text is looked at while somebody types, once the page's script has come to it."""
    expect(
        page.locator(f"{field}[data-htmx-powered], [data-htmx-powered]:has({field})").first
    ).to_be_attached()
    page.fill(field, text)


def fill_day(page: Page, day: tuple[str, str, str]) -> None:
    for field, value in zip(("day", "month", "year"), day, strict=True):
        page.fill(f"#{field}", value)


def apply(page: Page, city: PermitCity, asks: Asks) -> str:
    """Apply from the front page to the confirmation; the number of the case."""
    page.goto(city.url)
    page.get_by_role("link", name="Bewohnerparkausweis beantragen").click()
    arrive(page, "/apply")
    send(page, "/apply")
    arrive(page, "/apply/address")
    for field in ("street", "house_number", "postal_code"):
        page.fill(f"#{field}", getattr(asks, field))
    # The zone is said while somebody types, before any button.
    expect(page.locator("main")).to_contain_text("BÖ")
    send(page, "/apply/address")
    arrive(page, "/apply/person")
    for field in ("given_name", "family_name", "email"):
        page.fill(f"#{field}", getattr(asks, field))
    choose(page, "language", "de")
    send(page, "/apply/person")
    arrive(page, "/apply/kind")
    choose(page, "permit_kind", "standard")
    send(page, "/apply/kind")
    arrive(page, "/apply/plates")
    type_in(page, "#plate_1", asks.plate)
    expect(page.locator("#plate_1-answer")).to_contain_text(asks.plate)
    send(page, "/apply/plates")
    arrive(page, "/apply/car")
    choose(page, "keeper", "holder")
    choose(page, "residence", "main")
    send(page, "/apply/car")
    arrive(page, "/apply/term")
    # What it costs is said before anything is to be paid.
    expect(page.locator("main")).to_contain_text("€")
    choose(page, "term_months", asks.months)
    fill_day(page, asks.first)
    send(page, "/apply/term")
    arrive(page, "/apply/(documents|summary)")
    if page.url.endswith("documents"):
        page.locator('input[name="evidence_type"]').first.check()
        page.set_input_files(
            "#document", files=[{"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo()}]
        )
        send(page, "/apply/documents")
        expect(page.locator(".documents li")).to_have_count(1)
        page.goto(f"{city.url}/apply/summary")
    page.check("#confirm")
    send(page, "/apply/summary")
    arrive(page, "/apply/case")
    (number,) = re.findall(r"A-\d{4}-\d+", page.locator("h1").inner_text())
    return str(number)


def photo() -> bytes:
    """A document as a telephone takes it."""
    file = BytesIO()
    Image.effect_noise((800, 600), 60).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def open_case(clerk: Clerk, number: str) -> Page:
    """Find the case by its number and open it."""
    page = clerk.page
    page.goto(f"{clerk.city.url}/office/cases?q={number}")
    page.get_by_role("link", name=number, exact=True).click()
    arrive(page, "/office/cases/[^/?]+")
    return page


def pay(page: Page, choice: str = "pay") -> str:
    """Pay from the page of the case; the address of the payment at its provider."""
    send(page, "/apply/case/pay")
    return pay_there(page, choice)


def pay_there(page: Page, choice: str = "pay") -> str:
    """Choose how the payment ends on the simulated provider's page, and go on to the page of the case."""
    arrive(page, "/payments/demo/.*")
    address = page.url
    page.locator(f'form:has(input[value="{choice}"]) button').click()
    if choice == "pay":
        page.get_by_role("link", name="Zurück zur Stadt").click()
    arrive(page, "/payments/return/.*")
    # The money counts when the provider has said so; the page asks by itself.
    page.get_by_role("link", name="Weiter").click()
    arrive(page, "/apply/case")
    return address


def fetch_seal(page: Page) -> str:
    """From the page of the case to the pass in a wallet; the code in it."""
    send(page, "/apply/case/pass")
    arrive(page, "/p/l/.*")
    page.locator("main form button[type=submit]").click()
    arrive(page, "/p/pass")
    return seal_in_wallet(page)


def seal_in_wallet(page: Page) -> str:
    with page.expect_download() as download:
        page.get_by_role("link", name="Zu Apple Wallet hinzufügen").click()
    with ZipFile(download.value.path()) as archive:
        found = re.search(rb'"message":"(SP1:[^"]+)"', archive.read("pass.json"))
    assert found is not None
    return found[1].decode().replace("\\/", "/")


def in_print(pdf: bytes) -> set[str]:
    """The codes on a printed permit, as a scanner reads them."""
    import pypdfium2

    found = set()
    for page in pypdfium2.PdfDocument(pdf):
        found |= {one.text for one in zxingcpp.read_barcodes(page.render(scale=3).to_pil())}
    return found


def approve(clerk: Clerk, number: str) -> None:
    page = open_case(clerk, number)
    send(page, "/approve")
    expect(page.locator("[role=status]").first).to_be_visible()


def test_from_the_application_to_the_end(city: PermitCity, chromium: Browser) -> None:
    with context(chromium, viewport=PHONE) as phone, context(chromium, viewport=DESKTOP) as desk:
        clerk = Clerk.invited(city, desk, "erika", "clerk", "supervisor")
        refuse(city, phone.new_page(), clerk)
        page = phone.new_page()
        held = get_permit(city, page, clerk)
        charge_back(city, page, clerk, held)
        changed = another_car(city, page, held)
        give_back(city, page, renew_over_a_leap_day(city, page, changed))


def refuse(city: PermitCity, page: Page, clerk: Clerk) -> None:
    """Somebody whom the register does not know hands in a document; it proves nothing, and the office says so."""
    asks = Asks("Nina", "Nirgends", "nina@example.org", plate="D-NN 77")
    number = apply(page, city, asks)
    expect(page.locator(".state")).to_contain_text("eingegangen")
    assert "gültig" not in page.locator(".state h2").inner_text()
    desk = open_case(clerk, number)
    expect(desk.locator("#documents ~ ul a")).to_have_count(1)
    desk.get_by_role("link", name="Ablehnen").click()
    choose(desk, "code", "no_proof")
    desk.locator("main form button[type=submit]").click()
    expect(desk.locator("#text")).not_to_have_value("")
    send(desk, "/refuse")
    expect(desk.locator("main")).to_contain_text("abgelehnt")
    page.reload()
    expect(page.locator(".state")).to_contain_text("abgelehnt")
    assert number in city.mail("nina@example.org", "Entscheidung")
    # The letter says how the decision is contested.
    with desk.expect_download() as download:
        desk.get_by_role("link", name="Ablehnungsbescheid").click()
    text = " ".join(one.extract_text() for one in pypdf.PdfReader(download.value.path()).pages)
    assert "Rechtsbehelfsbelehrung" in text


@dataclass(frozen=True)
class Held:
    """What somebody has got: the case, the number of the permit, its code, and where it was paid."""

    case: str
    permit: str
    seal: str
    payment: str
    last: tuple[str, str, str] = ("29", "2", "2028")


def get_permit(city: PermitCity, page: Page, clerk: Clerk) -> Held:
    """Applied for, left, continued by the link in the mail, approved, a payment that fails and one that does not."""
    number = apply(page, city, Asks())
    page.context.clear_cookies()
    open_link(page, city.link(city.mail(MAIL, number)), "/apply/case")
    expect(page.locator(".state")).to_contain_text("eingegangen")
    approve(clerk, number)
    page.reload()
    pay(page, "fail")
    expect(page.locator("main")).to_contain_text("Die Zahlung hat nicht geklappt")
    expect(page.locator('form[action$="/apply/case/pass"]')).to_have_count(0)
    payment = pay(page)
    state = page.locator(".state--success")
    expect(state).to_be_visible()
    (permit,) = set(re.findall(r"RPP-\d{4}-\d+", page.locator("main").inner_text()))
    seal = fetch_seal(page)
    # The permit begins in nine days: until then it is no fault, and no green either.
    city.becomes(seal, ("RED", "NOT_YET_VALID"))
    city.move_to(datetime(2027, 3, 1, 8, tzinfo=BERLIN))
    clerk.log_in()
    city.becomes(seal, VALID)
    return Held(number, permit, seal, payment)


def charge_back(city: PermitCity, page: Page, clerk: Clerk, held: Held) -> None:
    """The money is called back: the permit is suspended everywhere until the office has settled it."""
    page.goto(held.payment)
    page.locator('form:has(input[value="chargeback"]) button').click()
    city.becomes(held.seal, SUSPENDED)
    desk = open_case(clerk, held.case)
    desk.fill("#note", "Überwiesen")
    send(desk, "/settle")
    expect(desk.locator("[role=status]").first).to_be_visible()
    city.becomes(held.seal, VALID)


def another_car(city: PermitCity, page: Page, held: Held) -> Held:
    """The holder changes the plate by a mail's link and what only the holder knows; the code of before is dead."""
    open_pass(page, city, held)
    page.get_by_role("link", name="Kennzeichen ändern").click()
    type_in(page, "#plate", "D-XY 99")
    expect(page.locator("#plate-reading")).to_contain_text("D-XY 99")
    choose(page, "keeper", "holder")
    send(page, "/p/pass/plate")
    arrive(page, "/p/pass/plate/confirm")
    expect(page.locator(".swap__old")).to_contain_text("D-AY 1930E")
    expect(page.locator(".swap__new")).to_contain_text("D-XY 99")
    fill_day(page, held.last)
    send(page, "/p/pass/plate/confirm")
    arrive(page, "/p/pass")
    changed = seal_in_wallet(page)
    city.becomes(changed, VALID)
    city.becomes(held.seal, SUPERSEDED)
    return replace(held, seal=changed)


def renew_over_a_leap_day(city: PermitCity, page: Page, held: Held) -> Held:
    """Renewed seven weeks before the end, with nothing to prove: from the day after the 29th of February."""
    # By now the register of vehicles knows of the car.
    with (city.data / "sources" / "vehicles.csv").open("a", encoding="utf-8") as register:
        register.write("D-XY 99;Đorđević;Đorđe\n")
    city.move_to(datetime(2028, 1, 10, 9, tzinfo=BERLIN))
    city.becomes(held.seal, VALID)
    open_pass(page, city, held)
    page.get_by_role("link", name="Jetzt verlängern").click()
    choose(page, "term", "12")
    page.check("#unchanged")
    send(page, "/p/pass/renew")
    pay_there(page)
    expect(page.locator(".state--success")).to_contain_text("28.02.2029")
    renewed = fetch_seal(page)
    city.becomes(renewed, VALID)
    city.move_to(datetime(2028, 2, 29, 23, 50, tzinfo=BERLIN))
    assert city.verdict(renewed) == VALID
    city.move_to(datetime(2028, 3, 1, 0, 10, tzinfo=BERLIN))
    city.becomes(renewed, VALID)
    return replace(held, seal=renewed, last=("28", "2", "2029"))


def give_back(city: PermitCity, page: Page, held: Held) -> None:
    """The holder moves away: given back, and red."""
    seal = open_pass(page, city, held)
    page.goto(f"{city.url}/p/pass/give-back")
    fill_day(page, held.last)
    page.check("#sure")
    send(page, "/p/pass/give-back")
    city.becomes(seal, REVOKED)


def open_link(page: Page, link: str, to: str) -> None:
    """Open a one-time link and press its button."""
    page.goto(link)
    page.locator("main form button[type=submit]").click()
    arrive(page, to)


def open_pass(page: Page, city: PermitCity, held: Held) -> str:
    """Ask for a link by mail, as somebody with a new telephone does; the code in the pass."""
    page.context.clear_cookies()
    known = city.mails(MAIL)
    page.goto(f"{city.url}/p/new")
    page.fill("#number", held.permit)
    fill_day(page, held.last)
    page.locator("main form button[type=submit]").click()
    arrive(page, "/p/new/sent")
    open_link(page, city.link(city.mail(MAIL, "/p/l/", known)), "/p/pass")
    return seal_in_wallet(page)


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_of_somebody_with_neither_telephone_nor_mail(city: PermitCity, chromium: Browser) -> None:
    """At the counter: proofs by sight, cash with a receipt, a printed permit in hand; found by name, and revoked."""
    with context(chromium, viewport=DESKTOP) as desk:
        clerk = Clerk.invited(city, desk, "max", "clerk")
        page = clerk.page
        page.get_by_role("link", name="Schalter", exact=True).click()
        arrive(page, "/office/counter")
        person = {
            "given_name": "Ottilie",
            "family_name": "Müller-Lüdenscheidt",
            "street": "Börsenwiesenweg",
            "house_number": "31",
            "postal_code": "40470",
            "city": "Musterstadt",
        }
        for field, value in person.items():
            page.fill(f"#{field}", value)
        send(page, "/office/counter")
        arrive(page, "/office/counter/[^/]+/permit")
        choose(page, "permit_kind", "standard")
        page.fill("#plate_1", "D-OM 4711")
        choose(page, "keeper", "holder")
        choose(page, "residence", "main")
        choose(page, "term_months", "12")
        for field, value in (("day", "20"), ("month", "2"), ("year", "2027")):
            page.fill(f"#first_{field}", value)
        send(page, "/permit")
        arrive(page, "/office/counter/[^/]+/evidence")
        for group in page.locator("fieldset").all():
            # What was seen is ticked; the last choice is that it was not.
            group.locator("input[type=radio]").first.check()
        send(page, "/evidence")
        arrive(page, "/office/counter/[^/]+/finish")
        page.fill("#receipt", "K-2027-0815")
        send(page, "/pay")
        link = page.get_by_role("link", name="Drucken")
        expect(page.locator("main")).to_contain_text("RPP-2027-")
        with page.expect_download() as download:
            link.or_(page.locator('a[href$="/print.pdf"]')).first.click()
        codes = in_print(Path(download.value.path()).read_bytes())
        (seal,) = {one for one in codes if one.startswith("SP1:")}
        city.becomes(seal, VALID)
        # The name is found however its umlauts are typed.
        page.goto(f"{city.url}/office/passes?q=Mueller-Luedenscheidt")
        page.get_by_role("link", name=re.compile("RPP-2027-")).click()
        arrive(page, "/office/passes/[^/]+/[^/]+")
        page.locator('a[href$="/steps/revoke"]').click()
        page.locator("main input[type=radio]").first.check()
        page.locator("main form[method=post] button[type=submit]").click()
        city.becomes(seal, REVOKED)
        assert not city.mails("@")
