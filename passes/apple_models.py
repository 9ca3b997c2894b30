"""The models of `py_pkpass`, put right where they produce what Apple forbids.

Used from py_pkpass 1.0.2: its classes for pass, styles, fields and barcodes with Apple's names. Corrected:
empty ``changeMessage``, ``label`` and ``textAlignment`` are left out; ``barcodes`` is a list with fallback;
``Decimal`` stays a number; a location must exist; user information must be JSON; keys it lacks are added.
Not used: its signing, which loads the key for every pass, and its archive (`passes.apple_bundle`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from py_pkpass import models

from passes.apple_schema import LEGACY_FORMATS, ApplePassInvalid

BARCODE_FORMATS: Final[Mapping[str, str]] = {
    name: f"PKBarcodeFormat{name}"
    for name in ("QR", "PDF417", "Aztec", "Code128", "Code39", "Codabar", "EAN13", "I2of5")
}
Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


class PassField(models.Field):  # type: ignore[misc]
    """A text or number on the pass. ``value`` is str, int, float or Decimal; the rest is left out if empty.

    ``detectors`` (back fields only) are Apple's data detector types; an empty tuple switches them off, None
    leaves them as Apple sets them.
    """

    def __init__(
        self,
        key: str,
        value: str | float | Decimal,
        label: str = "",
        change_message: str = "",
        detectors: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(key, value, label)
        self.changeMessage = change_message
        self.textAlignment = ""
        self.detectors = detectors

    def json_dict(self) -> dict[str, Json]:
        """The field as Apple reads it, without empty keys."""
        found: dict[str, Json] = {
            name: value
            for name, value in vars(self).items()
            if name not in {"value", "detectors"} and value not in ("", None)
        }
        found["value"] = _number(self.value)
        if self.detectors is not None:
            found["dataDetectorTypes"] = list(self.detectors)
        return found


class DayField(PassField):
    """A day, shown by the phone in its own language and the same day in every time zone.

    ``value`` is a full time with offset (``2026-11-20T12:00:00+01:00``); noon keeps the day right in readers
    that overlook ``ignoresTimeZone``.
    """

    def __init__(self, key: str, value: str, label: str = "", change_message: str = "") -> None:
        super().__init__(key, value, label, change_message)
        self.dateStyle = models.DateStyle.MEDIUM
        self.timeStyle = models.DateStyle.NONE
        self.ignoresTimeZone = True


class PassBarcode(models.Barcode):  # type: ignore[misc]
    """A barcode. ``form`` is one of `BARCODE_FORMATS`; raises ApplePassInvalid for any other."""

    def __init__(self, message: str, form: str, alt_text: str = "") -> None:
        if form not in BARCODE_FORMATS:
            raise ApplePassInvalid("APPLE_RULE_BARCODE_FORMAT", "$.barcodes", form)
        super().__init__(message, BARCODE_FORMATS[form], alt_text)

    @property
    def has_legacy_form(self) -> bool:
        """Whether the single ``barcode`` of old systems may hold it."""
        return self.format in LEGACY_FORMATS


class PassLocation(models.Location):  # type: ignore[misc]
    """A place in degrees (WGS 84). Raises ApplePassInvalid for one that does not exist."""

    def __init__(self, latitude: float, longitude: float, relevant_text: str = "") -> None:
        if not (_within(latitude, 90) and _within(longitude, 180)):
            raise ApplePassInvalid("APPLE_RULE_LOCATION", "$.locations")
        super().__init__(latitude, longitude)
        self.relevantText = relevant_text

    def json_dict(self) -> dict[str, Json]:
        """Latitude, longitude and, if there is one, the text."""
        found: dict[str, Json] = {"latitude": self.latitude, "longitude": self.longitude}
        if self.relevantText:
            found["relevantText"] = self.relevantText
        return found


_STYLES: Final[Mapping[str, type[Any]]] = {
    "generic": models.Generic,
    "storeCard": models.StoreCard,
    "eventTicket": models.EventTicket,
    "coupon": models.Coupon,
}


def pass_style(name: str) -> Any:
    """An empty `py_pkpass` style: generic, storeCard, eventTicket or coupon. Raises KeyError for others."""
    return _STYLES[name]()


class WalletPass(models.Pass):  # type: ignore[misc]
    """A pass.json. ``barcodes`` is in order of preference; ``relevant_dates`` are (start, end)."""

    def __init__(
        self, style: Any, pass_type_identifier: str, organization_name: str, team_identifier: str
    ) -> None:
        super().__init__(
            style,
            passTypeIdentifier=pass_type_identifier,
            organizationName=organization_name,
            teamIdentifier=team_identifier,
        )
        self.barcodes: list[PassBarcode] = []
        self.relevant_dates: list[tuple[str, str]] = []

    def create(self, *_: object, **__: object) -> None:
        """Not the way: raises NotImplementedError. `passes.apple.ApplePassFactory` signs."""
        raise NotImplementedError("passes are signed by passes.apple.ApplePassFactory")

    def json_dict(self) -> dict[str, Json]:
        """The pass as Apple reads it, in plain JSON values.

        Raises ApplePassInvalid for user information that is not JSON.
        """
        if self.userInfo is not None:
            _check_json(self.userInfo)
        found: dict[str, Json] = super().json_dict()
        found.pop("suppressStripShine")
        if self.locations:
            found["locations"] = [one.json_dict() for one in self.locations]
        if self.barcodes:
            found["barcodes"] = [one.json_dict() for one in self.barcodes]
            legacy = next((one for one in self.barcodes if one.has_legacy_form), None)
            if legacy is not None:
                found["barcode"] = legacy.json_dict()
        if self.relevant_dates:
            found["relevantDates"] = [
                {"startDate": start, "endDate": end} for start, end in self.relevant_dates
            ]
        return found

    def to_json(self) -> str:
        """The text of pass.json on one line."""
        return json.dumps(self.json_dict(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def time_text(at: datetime) -> str:
    """``at`` (aware) as Apple wants times: to the second, zone as ``+01:00``. Raises ValueError if naive."""
    if at.tzinfo is None:
        raise ValueError("Apple wants times with a zone")
    return at.isoformat(timespec="seconds")


def _number(value: str | float | Decimal) -> str | int | float:
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)


def _within(value: object, limit: int) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and abs(value) <= limit


def _check_json(value: object) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ApplePassInvalid("APPLE_RULE_USER_INFO", "$.userInfo") from None
