"""Layouts of older registers, translated into the columns of a pass type.

What the old layout does not have is derived where it follows from what it has: the kind of permit from the
plate column. Term, fee channel, holder's reference and status follow later, from dates and the city's tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from issuer.errors import IssuerRefusal
from keys.errors import Refusal
from passes.periods import parse_date_german

# "wechselnde Fahrzeuge" as clerks wrote it: "wechs. Fahrzeuge", "wechselndes Fahrzeug", ...
_CHANGING = re.compile(r"wechs(?:\.|eln\w*) ?fahrzeuge?n?", re.IGNORECASE)
_ABOUT_VEHICLES = re.compile(r"wechs|fahrzeug", re.IGNORECASE)
_MONEY = re.compile(r"([0-9]{1,3}(?:\.[0-9]{3})+|[0-9]{1,6}),([0-9]{2})(?: ?(?:€|EUR))?")
_SEASONAL = re.compile(r"(.*\S)[ \u00a0]+\(?([0-9]{2})[/-]([0-9]{2})\)?")
# Legal forms after which no number plate ever looks like, as whole words.
_LEGAL_FORM = re.compile(
    r"(?:^|[\s(])(?:eG|e\.\s?G\.|e\.\s?V\.|g?GmbH|mbH|AG|KG|KGaA|OHG|GbR|UG|SE|Genossenschaft|Verein)(?=$|[\s),.])"
)
_LONGEST_PLATE_TEXT = 12


@dataclass(frozen=True, slots=True)
class LegacyFault:
    """A cell that cannot be translated: its column here, its header there, and the refusal."""

    column: str
    header: str
    refusal: Refusal

    @property
    def code(self) -> str:
        """The refusal's code."""
        return self.refusal.code

    @property
    def params(self) -> Mapping[str, object]:
        """What fills the refusal's sentence."""
        return self.refusal.params

    @property
    def package(self) -> str:
        """The package whose catalogue has the sentence."""
        return self.refusal.package


@dataclass(slots=True)
class Translated:
    """A row in the pass type's columns, with the cells that could not be translated."""

    values: dict[str, str]
    faults: list[LegacyFault] = field(default_factory=list)


class LegacyLayout(Protocol):
    """How an older register names its columns and writes its values."""

    @property
    def number_header(self) -> str:
        """The header by which the layout is recognised."""

    @property
    def required(self) -> tuple[str, ...]:
        """The headers without which a file cannot be read."""

    @property
    def headers(self) -> frozenset[str]:
        """All headers of the layout, those that are not read included."""

    def columns(self, present: frozenset[str]) -> dict[str, str]:
        """The pass type's columns that follow from the headers ``present``, with the header of each."""

    def translate(self, cells: Mapping[str, str]) -> Translated:
        """One row, from the cells by header."""


class _GermanPermitRegister:
    """The export of a German permit register: one header line, German dates, euros with a comma.

    Date of birth and remarks are not read: a permit does not need them, so they never enter the register.
    """

    number_header = "Ausweis-Nr."
    required = ("Ausweis-Nr.", "Nachname", "Gebiet", "Kennzeichen 1", "Gültig von", "Gültig bis")
    _plain: Final = {
        "Ausweis-Nr.": "permit_id",
        "Nachname": "family_name",
        "Vorname": "given_name",
        "Titel": "doctoral_degree",
        "Straße": "street",
        "Hausnr.": "house_number",
        "PLZ": "postal_code",
        "Ort": "city",
    }
    _days: Final = {"Gültig von": "valid_from", "Gültig bis": "valid_to"}
    headers = frozenset(
        {*_plain, *_days, "Gebiet", "Kennzeichen 1", "Kennzeichen 2", "Gebühr", "Geb.-Datum", "Bemerkung"}
    )

    def columns(self, present: frozenset[str]) -> dict[str, str]:
        shown = {
            column: header for header, column in {**self._plain, **self._days}.items() if header in present
        }
        shown |= {"zone_code": "Gebiet", "permit_kind": "Kennzeichen 1", "carsharing_org": "Kennzeichen 1"}
        shown |= {"plate_1": "Kennzeichen 1", "season_1": "Kennzeichen 1"}
        if "Kennzeichen 2" in present:
            shown |= {"plate_2": "Kennzeichen 2", "season_2": "Kennzeichen 2"}
        if "Gebühr" in present:
            shown["fee_cents"] = "Gebühr"
        return shown

    def translate(self, cells: Mapping[str, str]) -> Translated:
        row = Translated({column: cells[header] for header, column in self._plain.items() if header in cells})
        for header, column in self._days.items():
            self._day(row, column, header, cells[header].strip(" "))
        row.values["zone_code"] = cells["Gebiet"].strip(" ").partition(" ")[0]
        self._vehicles(row, cells["Kennzeichen 1"], cells.get("Kennzeichen 2", ""))
        fee = cells.get("Gebühr", "").replace("\u00a0", " ").strip(" ")
        found = _MONEY.fullmatch(fee)
        if found is not None:
            row.values["fee_cents"] = found[1].replace(".", "") + found[2]
        elif fee:
            row.faults.append(LegacyFault("fee_cents", "Gebühr", IssuerRefusal("MONEY_FORMAT")))
        return row

    def _day(self, row: Translated, column: str, header: str, text: str) -> None:
        if not text:
            row.values[column] = ""
            return
        try:
            row.values[column] = parse_date_german(text).isoformat()
        except Refusal as refusal:
            row.faults.append(LegacyFault(column, header, refusal))

    def _vehicles(self, row: Translated, first: str, second: str) -> None:
        values, first = row.values, " ".join(first.split())
        if _CHANGING.fullmatch(first):
            values |= {"permit_kind": "changing_vehicles", "plate_1": ""}
        elif _ABOUT_VEHICLES.search(first) and not _LEGAL_FORM.search(first):
            row.faults.append(LegacyFault("permit_kind", "Kennzeichen 1", IssuerRefusal("KIND_UNCLEAR")))
            return
        elif _is_organisation(first):
            values |= {"permit_kind": "carsharing", "plate_1": "", "carsharing_org": first}
        else:
            values["permit_kind"] = "two_plates" if second.strip(" ") else "standard"
            values["plate_1"], values["season_1"] = _plate_and_season(first)
        values["plate_2"], values["season_2"] = _plate_and_season(second.strip(" "))


def _plate_and_season(text: str) -> tuple[str, str]:
    found = _SEASONAL.fullmatch(text)
    return (text, "") if found is None else (found[1], f"{found[2]}-{found[3]}")


def _is_organisation(text: str) -> bool:
    """Whether the plate column holds a name: it has a legal form, or is long and has no digit in it."""
    if _LEGAL_FORM.search(text):
        return True
    return len(text) > _LONGEST_PLATE_TEXT and not any(character.isdigit() for character in text)


GERMAN_PERMIT_REGISTER: Final[LegacyLayout] = _GermanPermitRegister()
