"""The PDF of a pass: a card for the windscreen and a letter, or a certificate, as the pass type asks, set by typst.

PDF/UA-1 (ISO 14289-1) for people with a screen reader and PDF/A-2a (ISO 19005-2) for the city's files:
tagged, fonts embedded, language and title set. Texts go to typst as JSON data and are never part of its
markup. The card in the car is German whatever the holder reads, because wardens read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import typst

from keys.texts import LANGUAGES, Texts, texts
from passes.card_codes import Bars, card_code, card_code_svg
from passes.card_numbers import CardNumber
from passes.display import Shown, day_text, display_hint, shown_fields
from passes.errors import PassRefusal
from passes.model import City, PassContent
from passes.pass_types import PassType
from passes.pdf_certificate import HowToCheck, certificate_data
from passes.periods import berlin_day
from passes.qr import qr_svg
from passes.zones import Zone

_STANDARDS: Final[list[typst.PDFStandard]] = ["a-2a", "ua-1"]
_TEMPLATES: Final = Path(str(files("passes").joinpath("pdf_templates")))
_FONTS: Final = Path(str(files("passes").joinpath("fonts")))


class PdfFactory:
    """Sets PDFs; fonts and templates are read once. Use one factory per thread."""

    def __init__(self) -> None:
        fonts = typst.Fonts(
            include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(_FONTS)]
        )
        self._compiler = typst.Compiler(
            str(_TEMPLATES / "main.typ"), root=str(_TEMPLATES), font_paths=fonts, ignore_system_fonts=True
        )

    def render(
        self,
        pass_type: PassType,
        content: PassContent,
        city: City,
        language: str,
        check: HowToCheck | None = None,
    ) -> bytes:
        """The documents of ``pass_type`` for one pass; letter and certificate are in ``language`` (``de`` or ``en``).

        ``check`` is what a certificate says of how to check it; without it, it has no electronic seal and the app is
        at the city's own address.

        The same values give the same bytes: the time of creation is ``content.issued_at``. Name and address
        stand in the letter only. Raises PassRefusal PDF_LETTERS for a character that the fonts lack, and what
        `qr.qr_matrix` raises for a seal that is none.
        """
        return self.render_several(pass_type, [content], city, language, check)

    def render_several(
        self,
        pass_type: PassType,
        contents: Sequence[PassContent],
        city: City,
        language: str,
        check: HowToCheck | None = None,
    ) -> bytes:
        """As `render`, for several passes of ``pass_type`` in one PDF; at least one, in their order.

        It is set as one document, since joining PDFs would lose the tags for screen readers. The time of creation is
        that of the pass issued last.
        """
        chosen = language if language in LANGUAGES else "de"
        told = check or HowToCheck(f"{city.base_url}/check/")
        documents = [_document(pass_type, content, city, chosen, told) for content in contents]
        data = {**documents[0], "others": documents[1:]}
        if len(contents) > 1:
            name = pass_type.words(chosen).name
            data["title"] = texts("passes", chosen)("PDF_SEVERAL", name=name, count=len(contents))
        try:
            made = self._compiler.compile(
                format="pdf",
                sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
                pdf_standards=_STANDARDS,
                timestamp=int(max(content.issued_at for content in contents).timestamp()),
            )
        except typst.TypstError as fault:
            if "could not be displayed" in str(fault):
                numbers = ", ".join(content.number for content in contents)
                raise PassRefusal("PDF_LETTERS", number=numbers) from fault
            raise
        if not isinstance(made, bytes):
            raise TypeError("typst gave no single PDF")
        return made


def _document(
    pass_type: PassType, content: PassContent, city: City, language: str, check: HowToCheck
) -> dict[str, Any]:
    say, words = texts("passes", language), pass_type.words(language)
    documents = pass_type.pdf.documents
    colours = pass_type.spec.colours
    made: dict[str, Any] = {
        "language": language,
        "title": f"{words.name} {content.number}",
        "description": words.description,
        "city": city.name,
        "test": city.test,
        "documents": list(documents),
        "colours": {"background": colours.background, "foreground": colours.foreground},
        "seal": {
            "svg": qr_svg(content.seal),
            "alt": say("PDF_SEAL_ALT", name=words.name, number=content.number),
        },
    }
    if "certificate" in documents:
        made["certificate"] = certificate_data(pass_type, content, city, language, check)
    if {"windscreen-card", "letter"} & set(documents):
        made["card"] = _card(pass_type, content, city)
        made["letter"] = _letter(pass_type, content, city, say)
        made["sheet"] = {
            "title": say("PDF_SHEET_TITLE"),
            "hint": display_hint(pass_type, content, city, language),
            "steps": [say("PDF_STEP_PRINT"), say("PDF_STEP_FOLD"), say("PDF_STEP_CHANGE")],
        }
    return made


def _card(pass_type: PassType, content: PassContent, city: City) -> dict[str, Any]:
    """What stands in public: the fields that the type shows in print, and nothing of the holder."""
    say, words = texts("passes", "de"), pass_type.words("de")
    shown = shown_fields(pass_type, content, city, "de")
    return {
        "title": words.name,
        "test": say("TEST"),
        "large": [_large(one, content) for one in _printed(pass_type, shown, "large")],
        "small": [{"label": one.label, "text": one.text} for one in _printed(pass_type, shown, "small")],
        "seal-caption": say("PDF_SEAL_CAPTION"),
        "number-code": _number_code(pass_type, content),
    }


def _number_code(pass_type: PassType, content: PassContent) -> dict[str, Any] | None:
    """The code of the card number for the readers that a library has; None for types without one."""
    card = pass_type.card_of(content)
    if card is None or not pass_type.has_number_code:
        return None
    say, code = texts("passes", "de"), card_code(card)
    made: dict[str, Any] = {
        "svg": card_code_svg(card),
        "alt": say("PDF_NUMBER_CODE_ALT", number=card.text),
        "caption": say("PDF_NUMBER_CODE_CAPTION"),
    }
    return made | ({"kind": "bars", "modules": code.modules} if isinstance(code, Bars) else {"kind": "qr"})


def _letter(pass_type: PassType, content: PassContent, city: City, say: Texts) -> dict[str, Any]:
    words = pass_type.words(say.language)
    shown = shown_fields(pass_type, content, city, say.language)
    large = _printed(pass_type, shown, "large")
    own_texts = [key for key in shown if key in words.texts and key not in pass_type.attributes]
    in_car = "windscreen-card" in pass_type.pdf.documents
    paragraphs = [{"title": shown[key].label, "text": shown[key].text} for key in own_texts]
    if in_car:
        paragraphs.insert(0, {"title": say("PDF_KEEP_TITLE"), "text": say("PDF_KEEP_TEXT")})
    return {
        "recipient": list(content.recipient.lines) if content.recipient else [],
        "office": words.description,
        "test": say("TEST"),
        "info": [
            {"label": words.labels.get("number", say("PDF_NUMBER")), "text": content.number},
            {"label": say("PDF_DATE"), "text": day_text(berlin_day(content.issued_at), say.language)},
        ],
        "subject": say("PDF_SUBJECT", name=words.name, number=content.number),
        "greeting": say("PDF_GREETING"),
        "opening": say("PDF_OPENING"),
        "facts": [
            {"label": one.label, "text": one.text, "large": one in large}
            for one in (*large, *_printed(pass_type, shown, "small"))
        ],
        "hint": display_hint(pass_type, content, city, say.language),
        "paragraphs": paragraphs,
        "closing": say("PDF_CLOSING"),
        "machine": say("PDF_MACHINE"),
        "contact": city.contact,
        "cut-out": "" if in_car else say("PDF_CUT_OUT"),
    }


def _printed(pass_type: PassType, shown: Mapping[str, Shown], size: str) -> list[Shown]:
    return [shown[spec.key] for spec in pass_type.spec.fields if spec.pdf == size and spec.key in shown]


def _large(field: Shown, content: PassContent) -> dict[str, Any]:
    """A field with what the card needs to set it large: plates one by one, a zone's code beside its name."""
    made: dict[str, Any] = {"label": field.label, "text": field.text, "kind": "text"}
    value = content.attributes.get("plates" if field.key == "vehicle" else field.key)
    if isinstance(value, Zone):
        made |= {"kind": "zone", "code": value.code, "name": value.name}
    elif isinstance(value, tuple) and value:
        plates = [
            {"plate": one.plate.canonical, "season": one.season.text if one.season else ""} for one in value
        ]
        made |= {"kind": "plates", "plates": plates}
    elif isinstance(value, CardNumber):
        made |= {"kind": "card", "groups": list(value.groups)}
    elif field.day is not None:
        made["kind"] = "date"
    return made
