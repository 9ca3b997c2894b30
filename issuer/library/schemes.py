"""Reading a card number by the schemes that a library has chosen for itself."""

from __future__ import annotations

from issuer.settings import Settings
from passes.card_numbers import CardNumber
from passes.errors import PassRefusal
from passes.pass_types import PassType


def read_card(settings: Settings, pass_type: PassType, text: str, symbology: str = "") -> CardNumber:
    """A number as it was typed or scanned at the desk, under the first of the library's schemes that it fits.

    A library without schemes has numbers that are text alone. Raises PassRefusal CARD_FORMAT for a number that fits
    none of them, CARD_SCHEME_UNKNOWN for a scheme that is set and nobody has, CARD_SYMBOLOGY_UNKNOWN.
    """
    refusal: PassRefusal | None = None
    for scheme in settings.library_card_schemes:
        try:
            return pass_type.card_number(text, scheme, symbology)
        except PassRefusal as found:
            if found.code != "CARD_FORMAT":
                raise
            refusal = refusal or found
    if refusal is not None:
        raise refusal
    return pass_type.card_number(text, "", symbology)
