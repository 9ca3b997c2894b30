"""What holders read before a wallet gets it is everything that the wallet gets."""

from __future__ import annotations

import pytest

from passes.credential_words import credential_lines
from passes.credentials import pseudonym
from passes.eudi_spec import CredentialFormat
from passes.pass_types import PassType
from tests.passes.carrier_samples import CARD, PERMIT, city, library_card, permit
from tests.passes.credential_samples import RESIDENCE, SAMPLES, residence

BOTH: tuple[CredentialFormat, ...] = ("dc+sd-jwt", "mso_mdoc")
EVERYBODY = [("Ausstellende Behörde", "Landeshauptstadt Düsseldorf"), ("Ausstellendes Land", "DE")]


def test_library_card() -> None:
    content = library_card()
    assert credential_lines(CARD, content, city(), "de", BOTH) == [
        *EVERYBODY,
        ("Ausgestellt am", "17.04.2026"),
        ("Gültig bis einschließlich", "16.04.2027"),
        ("Nummer", "M500001"),
        ("Pseudonym", pseudonym(city(), content)),
        ("Ausweisnummer", "24711300000134"),
        ("Gruppe", "Kinder"),
        ("Ihre Bibliothek", "Zentralbibliothek"),
    ]


def test_permit() -> None:
    lines = dict(
        credential_lines(PERMIT, permit("D-AB 123", "D-E 5H", kind="two_plates"), city(), "en", BOTH)
    )
    assert lines["Number plates"] == "D-AB 123, D-E 5H"
    assert (lines["Zone"], lines["Name of the zone"]) == ("MÜ", "Münsterstraße")
    assert lines["Kind of permit"] == "two number plates"
    # Nobody has one, so no line without a text.
    assert "Organisation" not in lines


def test_an_address_is_one_line() -> None:
    lines = credential_lines(RESIDENCE, residence(), city(), "de", BOTH)
    assert lines[-2:] == [
        ("Hauptwohnung", "Zum Kühlen Grunde 17 c, 40213 Düsseldorf"),
        ("Nebenwohnung", "Hauptstraße 1, 50667 Köln"),
    ]
    assert ("Geburtsdatum", "29.02.1984") in lines


@pytest.mark.parametrize("form", BOTH)
@pytest.mark.parametrize("pass_type", [PERMIT, CARD, RESIDENCE], ids=lambda one: one.id)
def test_nothing_is_kept_from_the_holder(pass_type: PassType, form: CredentialFormat) -> None:
    """Every attribute that a claim is filled from stands in one of the lines."""
    content = SAMPLES[pass_type.id]
    told = " ".join(text for _, text in credential_lines(pass_type, content, city(), "de", [form]))
    sources = {
        str(one.source)
        for one in pass_type.eudi.claims
        if (one.path if form == "dc+sd-jwt" else one.element) and one.source in content.attributes
    }
    for name in sources:
        value = content.attributes[name]
        if isinstance(value, str) and name not in pass_type.words("de").choices:
            assert value in told, name
    assert sources


@pytest.mark.parametrize(("formats", "is_there"), [([], False), (["mso_mdoc"], True)])
def test_only_the_formats_asked_for(formats: list[CredentialFormat], is_there: bool) -> None:
    assert bool(credential_lines(CARD, library_card(), city(), "de", formats)) == is_there
