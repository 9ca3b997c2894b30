"""A library card into an EUDI Wallet, from the library's desk."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from issuer.application import Application
from issuer.models import HolderRow, PassRow
from issuer.models_library import MemberRow
from issuer.staff.permissions import Role
from tests.eudi_issuing_wallet import error_of
from tests.issuer.console.people import Colleague, settle
from tests.issuer.console.permit_office import pdf_text
from tests.issuer.eudi.conftest import MakeWallet, new_wallet, offer_of, set_up  # noqa: F401
from tests.service import CARD, PERMIT, City, running_numbers
from tests.web_app import create_app

pytestmark = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


@dataclass
class Library:
    """A librarian before a member's page."""

    application: Application
    librarian: Colleague
    number: str

    @property
    def path(self) -> str:
        return f"/office/library/members/{CARD}/{self.number}"

    def settle_at(self, street: str) -> None:
        with self.application.writing() as session:
            row = session.get_one(PassRow, (self.application.tenant, CARD, self.number))
            holder = session.get_one(HolderRow, (self.application.tenant, row.holder_ref))
            holder.street, holder.postal_code, holder.city = street, "40474", "Düsseldorf"


def library_of(city: City, application: Application) -> Library:
    app = create_app(application)
    librarian = settle(application, city.clock, "lea", Role.LIBRARIAN, app=app)
    return Library(application, librarian, running_numbers(application, CARD)[0])


@pytest.fixture
def library(city: City) -> Library:
    return library_of(city, set_up(city))


def test_offer_on_the_screen(library: Library) -> None:
    assert f'action="{library.path}/eudi"' in library.librarian.client.get(library.path).text
    shown = library.librarian.send(f"{library.path}/eudi")
    assert shown.status_code == 200
    assert "data:image/png;base64," in shown.text
    assert re.search(r"<strong>\d{6}</strong>", shown.text)
    # The way back is the library's.
    assert f'href="{library.path}"' in shown.text


def test_code_by_letter(library: Library, new_wallet: MakeWallet) -> None:  # noqa: F811
    library.settle_at("Gartenweg 1")
    assert f'action="{library.path}/eudi-letter"' in library.librarian.client.get(library.path).text
    made = library.librarian.send(f"{library.path}/eudi-letter")
    assert made.headers["content-type"] == "application/pdf", made.text
    found = re.search(r"Transaktionscode (\d{4}) (\d{4})", pdf_text(made))
    assert found is not None, pdf_text(made)
    wallet = new_wallet(library.application)
    offer = wallet.read_offer(offer_of(library.application, library.number, tx_code=True, type_id=CARD).link)
    assert error_of(wallet.redeem(offer, "00000000")) == (400, "invalid_grant")
    assert wallet.redeem(offer, "".join(found.groups())).status_code == 200


def test_nobody_to_write_to(library: Library) -> None:
    library.settle_at("")
    page = library.librarian.client.get(library.path).text
    assert f'{library.path}/eudi"' in page
    assert "eudi-letter" not in page
    assert library.librarian.send(f"{library.path}/eudi-letter").status_code == 409


@pytest.mark.parametrize("step", ["eudi", "eudi-letter"])
def test_card_that_is_not_handed_over(library: Library, step: str) -> None:
    library.settle_at("Gartenweg 1")
    page = library.librarian.client.get(f"{library.path}/steps/block").text
    version = re.search(r'name="version" value="([0-9a-f]*)"', page)
    assert version is not None
    blocked = library.librarian.send(f"{library.path}/steps/block", reason="lost", version=version[1])
    assert blocked.status_code == 303, blocked.text
    assert "eudi" not in library.librarian.client.get(library.path).text
    assert library.librarian.send(f"{library.path}/{step}").status_code == 409


@pytest.mark.parametrize("step", ["eudi", "eudi-letter"])
def test_child_without_consent(library: Library, step: str) -> None:
    card, said = "24711300099995", {"consent": "yes", "consent_name": "Jürgen Müller"}
    made = library.librarian.send(
        "/office/library/new",
        **{"type_id": CARD, "card_number": card, "kind": "person", "language": "de", "category": "child"},
        **{"given_name": "Mia", "family_name": "Müller"},
        **{"birth_day": "3", "birth_month": "5", "birth_year": "2015"},
        **said,
    )
    assert made.status_code == 200, made.text
    tenant = library.application.tenant
    with library.application.writing() as session:
        member = session.scalars(select(MemberRow).where(MemberRow.consent_name == "Jürgen Müller")).one()
        assert member.tenant == tenant
        # As an old register brings it.
        member.consent_at = member.consent_name = None
        library.number = member.number
    library.settle_at("Gartenweg 1")
    assert "/eudi" not in library.librarian.client.get(library.path).text
    refused = library.librarian.send(f"{library.path}/{step}")
    assert (refused.status_code, "16" in refused.text) == (409, True)


@pytest.mark.parametrize("step", ["eudi", "eudi-letter"])
def test_only_library_cards(library: Library, step: str) -> None:
    permit = running_numbers(library.application, PERMIT)[0]
    path = f"/office/library/members/{PERMIT}/{permit}/{step}"
    assert library.librarian.send(path).status_code == 404


def test_off(city: City) -> None:
    library = library_of(city, city.open(city.other_folder))
    assert "eudi" not in library.librarian.client.get(library.path).text
    assert library.librarian.send(f"{library.path}/eudi").status_code == 409
