"""What wallets show and what is believed of it, in both formats; and that nothing of it stays."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from issuer.models import AuditEntryRow
from issuer.models_presentations import PresentationRow
from issuer.presentations.asking import take
from issuer.presentations.store import Shown, State
from issuer.presentations.wishes import Credential, Wish
from passes.card_numbers import CardNumber
from tests.eudi_presenting_wallet import MDOC, SD_JWT, Held
from tests.issuer.presentations.conftest import Service
from tests.issuer.presentations.samples import (
    APPLICANT,
    CARD,
    DESK,
    RESIDENCE,
    asked,
    become,
    own,
    pid,
)
from tests.passes.credential_samples import SAMPLES
from verifier.credentials.outcome import StatusVerdict

FORMATS = (SD_JWT, MDOC)
MAIN_RESIDENCE = {
    "family_name": "Müller-Đặng",
    "given_names": "Şeyma Marie",
    "main_street": "Zum Kühlen Grunde",
    "main_house_number": "17 c",
    "main_postal_code": "40213",
    "main_city": "Düsseldorf",
}


def shown(service: Service, wish: Wish, held: Held) -> Shown:
    """What comes of showing ``held``."""
    made = asked(service.application, wish, APPLICANT)
    wallet = service.wallet()
    wallet.held = [held]
    assert wallet.answer(wallet.read(made.link)).json() == {}
    assert become(service.application, made, APPLICANT).state is State.HOLDS
    with service.application.writing() as session:
        return take(session, service.application, made.id, APPLICANT)


@pytest.mark.parametrize("form", FORMATS)
def test_library_card(service: Service, form: str) -> None:
    found = shown(service, Wish.LIBRARY_CARD, own(service.application, CARD, form))
    content = SAMPLES[CARD]
    card = content.attributes["card_number"]
    assert isinstance(card, CardNumber)
    assert found.values == {
        "number": content.number,
        "card_number": card.text,
        "valid_until": str(content.period.last),
    }
    assert found.issuer == "TEST Stadtpass Demo"
    assert found.at == service.application.now()
    assert found.until > found.at


@pytest.mark.parametrize("form", FORMATS)
def test_certificate_of_residence(service: Service, form: str) -> None:
    found = shown(service, Wish.RESIDENCE_CERTIFICATE, own(service.application, RESIDENCE, form))
    assert found.values == {**MAIN_RESIDENCE, "birth_date": "1984-02-29"}
    assert found.credential is Credential.RESIDENCE_CERTIFICATE


@pytest.mark.parametrize("form", FORMATS)
def test_proof_of_residence_by_certificate(service: Service, form: str) -> None:
    found = shown(service, Wish.PROOF_OF_RESIDENCE, own(service.application, RESIDENCE, form))
    assert found.values == MAIN_RESIDENCE


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("house_number", [True, False])
def test_proof_of_residence_by_identity(service: Service, form: str, house_number: bool) -> None:
    """Most identities have the house number in the street, and some beside it."""
    found = shown(service, Wish.PROOF_OF_RESIDENCE, pid(service.application, form, house_number=house_number))
    expected = dict(MAIN_RESIDENCE)
    if not house_number:
        expected["main_street"] += f" {expected.pop('main_house_number')}"
    assert found.values == expected
    assert (found.credential, found.status) == (Credential.PID, StatusVerdict.NONE)
    assert found.issuer == "TEST Demo PID Provider"


@pytest.mark.parametrize("method", ["A128GCM", "A256GCM"])
def test_both_encryptions(service: Service, method: str) -> None:
    made = asked(service.application)
    wallet = service.wallet()
    wallet.held = [own(service.application, CARD, SD_JWT)]
    question = wallet.read(made.link, post=False)
    members = {"vp_token": wallet.vp_token(question), "state": question.claims["state"], "iss": "ignored"}
    response = wallet.encrypted(question, members, enc=method)
    assert wallet.send(question, {"response": response}).status_code == 200
    assert become(service.application, made).state is State.HOLDS


def test_nothing_of_a_person_is_kept_or_logged(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(0):
        made = asked(service.application, Wish.RESIDENCE_CERTIFICATE)
        wallet = service.wallet()
        wallet.held = [own(service.application, RESIDENCE, SD_JWT)]
        assert wallet.answer(wallet.read(made.link)).status_code == 200
        with service.application.reading() as session:
            row = session.get_one(PresentationRow, (service.application.tenant, made.id))
            stored = b"".join(str(one).encode() for one in vars(row).values()) + (row.answer or b"")
            assert row.answer
        with service.application.writing() as session:
            take(session, service.application, made.id, DESK)
        with service.application.reading() as session:
            row = session.get_one(PresentationRow, (service.application.tenant, made.id))
            assert (row.answer, row.seed) == (None, None)
            entries = session.scalars(
                select(AuditEntryRow).where(AuditEntryRow.subject == f"presentation/{made.id}")
            ).all()
    assert [one.action for one in entries] == ["presentation-ask", "presentation-answer", "presentation-take"]
    told = "".join(f"{one.actor}{one.after}{one.before}{one.reason}" for one in entries)
    logged = "\n".join(f"{one.getMessage()} {vars(one)}" for one in caplog.records)
    # Digits alone would also be found in times and random numbers.
    for secret in ("Müller", "Şeyma", "Kühlen", "Düsseldorf", "1984-02-29"):
        assert secret.encode() not in stored
        assert secret not in told
        assert secret not in logged
