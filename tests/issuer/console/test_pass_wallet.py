"""A pass into an EUDI Wallet at the counter: code on the screen and by word of mouth, or by letter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from issuer.application import Application
from issuer.models import HolderRow, PassRow
from tests.eudi_issuing_wallet import error_of
from tests.issuer.console.permit_office import PermitOffice, pdf_text
from tests.issuer.eudi.conftest import MakeWallet, new_wallet, offer_of, set_up  # noqa: F401
from tests.service import PERMIT, City, running_numbers

pytestmark = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


@pytest.fixture
def application(city: City) -> Application:
    return set_up(city)


@pytest.fixture
def office(city: City, application: Application, tmp_path: Path) -> PermitOffice:
    return PermitOffice.of(city, application, tmp_path)


def test_offer_on_the_screen(office: PermitOffice) -> None:
    path = f"/office/passes/{PERMIT}/{running_numbers(office.application)[0]}"
    assert f"{path}/eudi" in office.clerk.client.get(path).text
    shown = office.clerk.send(f"{path}/eudi")
    assert shown.status_code == 200
    assert "data:image/png;base64," in shown.text
    assert re.search(r"<strong>\d{6}</strong>", shown.text)
    office.clerk.send(f"{path}/steps/suspend", reason="lost")
    assert office.clerk.send(f"{path}/eudi").status_code == 409


def test_code_by_letter(
    office: PermitOffice,
    new_wallet: MakeWallet,  # noqa: F811
) -> None:
    number = running_numbers(office.application)[0]
    made = office.clerk.send(f"/office/passes/{PERMIT}/{number}/eudi-letter")
    assert made.headers["content-type"] == "application/pdf"
    found = re.search(r"Transaktionscode (\d{4}) (\d{4})", pdf_text(made))
    assert found is not None, pdf_text(made)
    # What the fifth wrong one does is what the letter says.
    assert "Nach fünf falschen Eingaben gilt er nicht mehr." in pdf_text(made)
    wallet = new_wallet(office.application)
    offer = wallet.read_offer(offer_of(office.application, number, tx_code=True, type_id=PERMIT).link)
    assert error_of(wallet.redeem(offer, "00000000")) == (400, "invalid_grant")
    assert wallet.redeem(offer, "".join(found.groups())).status_code == 200


def test_nobody_to_write_to(office: PermitOffice) -> None:
    application, number = office.application, running_numbers(office.application)[0]
    with application.writing() as session:
        row = session.get_one(PassRow, (application.tenant, PERMIT, number))
        session.get_one(HolderRow, (application.tenant, row.holder_ref)).street = ""
    assert office.clerk.send(f"/office/passes/{PERMIT}/{number}/eudi-letter").status_code == 409


def test_off(city: City, tmp_path: Path) -> None:
    office = PermitOffice.of(city, city.open(city.other_folder), tmp_path)
    path = f"/office/passes/{PERMIT}/{running_numbers(office.application)[0]}"
    assert "eudi" not in office.clerk.client.get(path).text
    assert office.clerk.send(f"{path}/eudi").status_code == 409
