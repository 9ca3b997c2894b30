"""What was signed by a document signer of the city itself: believed for as long as the register believes the key."""

from __future__ import annotations

from typing import Any

import pytest

from issuer.application import Application
from issuer.cli import main
from issuer.eudi.identity import document_signer
from issuer.presentations.store import State
from issuer.presentations.wishes import Wish
from passes.credentials import Binding, CredentialFactory
from tests.eudi_presenting_wallet import MDOC, SD_JWT, Held
from tests.eudi_wallet import Wallet as HolderKey
from tests.issuer.eudi.test_document_signers import current, new_signer
from tests.issuer.presentations.conftest import wallet_of
from tests.issuer.presentations.samples import RESIDENCE, asked, become, own
from tests.passes.credential_samples import SAMPLES
from tests.service import City

FORMATS = (SD_JWT, MDOC)


def refusal_of(application: Application, held: Held) -> str | None:
    """What comes of showing ``held`` at the desk: the code of the refusal."""
    made = asked(application, Wish.RESIDENCE_CERTIFICATE)
    wallet = wallet_of(application)
    wallet.held = [held]
    wallet.answer(wallet.read(made.link))
    found = become(application, made)
    assert (found.state is State.HOLDS) == (found.refusal is None)
    return None if found.refusal is None else found.refusal.code


def without_place(application: Application, form: Any) -> Held:
    """What a thief of the key makes: everything as in a genuine credential, but no place in a status list."""
    key = HolderKey(application.now())
    with application.reading() as session:
        signer = document_signer(session, application)
        city = application.settings(session).city(application.tenant)
    pass_type = application.pass_types[RESIDENCE]
    nowhere: Any = None
    [made] = CredentialFactory(pass_type, city, signer).issue(
        form, SAMPLES[RESIDENCE], [Binding(key.public_key, nowhere)], application.now()
    )
    name = f"{city.base_url}{pass_type.eudi.vct}" if form == SD_JWT else str(pass_type.eudi.doctype)
    return Held(form, name, made, key)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_no_credential_of_ours_goes_without_a_status(application: Application, form: str) -> None:
    assert refusal_of(application, without_place(application, form)) == "PRESENTATION_STATUS_UNKNOWN"


def test_a_stolen_key_vouches_for_nobody(application: Application, city: City) -> None:
    """Its certificate does not say so, and a thief points into no list."""
    stolen = current(application)
    genuine, forged = own(application, RESIDENCE, SD_JWT), without_place(application, SD_JWT)
    assert refusal_of(application, genuine) is None
    new_signer(application)
    assert main(["keys", "revoke", stolen, "--reason", "entwendet", "--data", str(city.folder)]) == 0
    assert refusal_of(application, forged) == "PRESENTATION_REVOKED"
    # The authority of the new key, which signs this list now, is not among those that this city trusts.
    assert refusal_of(application, genuine) == "PRESENTATION_STATUS_UNKNOWN"
