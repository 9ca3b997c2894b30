"""What a certificate says as PDF: a formal page about a person or a right, and not a card to cut out.

The values stand in the order of the type's fields, the residences as lines. The sheet says how its two proofs are
checked, each by what it covers: the QR code, also on paper, and the electronic seal, in the file alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from keys.texts import Texts, texts
from passes.display import Shown, composed_lines, day_text, shown_fields
from passes.model import City, PassContent
from passes.pass_types import PassType
from passes.periods import berlin_day

# These stand apart from what is certified.
_OF_THE_SHEET: Final = ("number", "contact")


@dataclass(frozen=True, slots=True)
class HowToCheck:
    """What the sheet says to whoever is shown it: the address of the verifier's app, and of the electronic seal.

    ``has_seal`` is whether the file gets one (`passes.signed_pdf`) after it has been set.
    """

    app: str
    has_seal: bool = False


def certificate_data(
    pass_type: PassType, content: PassContent, city: City, language: str, check: HowToCheck
) -> dict[str, Any]:
    """The texts of the page in ``language`` (``de`` or ``en``) for the template."""
    say, words = texts("passes", language), pass_type.words(language)
    shown = [
        one
        for key, one in shown_fields(pass_type, content, city, language).items()
        if key not in _OF_THE_SHEET and _is_printed(pass_type, key)
    ]
    further = pass_type.pdf.further
    german = pass_type.words("de").name
    return {
        "title": words.name,
        # What the document is called where it is issued, for those who are handed a translation.
        "german-title": german if german != words.name else "",
        "opening": words.texts["certificate_opening"],
        "facts": [_fact(pass_type, content, one) for one in shown if one.key not in further],
        "further-title": words.texts["certificate_further"],
        "further": [_fact(pass_type, content, one) for one in shown if one.key in further],
        "info": [
            {"label": say("PDF_NUMBER"), "text": content.number},
            {
                "label": say("CERTIFICATE_ISSUED"),
                "text": day_text(berlin_day(content.issued_at), language),
            },
            {"label": say("CERTIFICATE_CHECKABLE"), "text": day_text(content.period.last, language)},
        ],
        "check-title": say("CERTIFICATE_CHECK_TITLE"),
        "check": _how(say, pass_type, content, check),
        "app": check.app,
        "seal-caption": say("PDF_SEAL_CAPTION"),
        "closing": say("CERTIFICATE_MACHINE"),
        "contact": city.contact,
        "test": say("TEST"),
    }


def _how(say: Texts, pass_type: PassType, content: PassContent, check: HowToCheck) -> list[str]:
    last = day_text(content.period.last, say.language)
    code = "CERTIFICATE_CHECK_PERSON" if pass_type.spec.person is not None else "CERTIFICATE_CHECK"
    return [
        say(code, last=last),
        say("CERTIFICATE_SEALED" if check.has_seal else "CERTIFICATE_UNSEALED"),
    ]


def _is_printed(pass_type: PassType, key: str) -> bool:
    return any(one.key == key and one.pdf != "none" for one in pass_type.spec.fields)


def _fact(pass_type: PassType, content: PassContent, one: Shown) -> dict[str, Any]:
    composed = pass_type.composed.get(one.key)
    lines = list(composed_lines(composed, content.attributes)) if composed is not None else [one.text]
    large = any(spec.key == one.key and spec.pdf == "large" for spec in pass_type.spec.fields)
    return {"label": one.label, "lines": lines, "large": large}
