"""What may stand in a pass.json: read strictly, on the final bytes of every pass, before it is signed.

A phone answers a faulty pass with "invalid" or drops the fault silently. Shape and types are checked while
decoding, rules between keys afterwards. Only what Stadtpass writes is allowed; an unknown key is a fault.
Sources: developer.apple.com, Pass; apple/pass-builder (Pass.swift, PassDateTimeFormatter.swift,
PassColor.swift, FieldFormattingValidator.swift, Pass+Barcode.swift).
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from keys.texts import texts
from passes.errors import PassRefusal

# Apple states no limits for texts; these are far above what a pass can show.
_Text = Annotated[str, Meta(min_length=1, max_length=4000)]
_Short = Annotated[str, Meta(min_length=1, max_length=200)]
_Key = Annotated[str, Meta(min_length=1, max_length=64)]
_Token = Annotated[str, Meta(min_length=16, max_length=200)]
_DateStyle = Literal[
    "PKDateStyleNone", "PKDateStyleShort", "PKDateStyleMedium", "PKDateStyleLong", "PKDateStyleFull"
]  # fmt: skip
_NumberStyle = Literal[
    "PKNumberStyleDecimal", "PKNumberStylePercent", "PKNumberStyleScientific", "PKNumberStyleSpellOut"
]  # fmt: skip
_Alignment = Literal[
    "PKTextAlignmentLeft", "PKTextAlignmentCenter", "PKTextAlignmentRight", "PKTextAlignmentNatural"
]  # fmt: skip
_Detector = Literal[
    "PKDataDetectorTypePhoneNumber", "PKDataDetectorTypeLink", "PKDataDetectorTypeAddress",
    "PKDataDetectorTypeCalendarEvent",
]  # fmt: skip
_LegacyFormat = Literal["PKBarcodeFormatQR", "PKBarcodeFormatPDF417", "PKBarcodeFormatAztec"]
_Format = Literal[
    "PKBarcodeFormatQR", "PKBarcodeFormatPDF417", "PKBarcodeFormatAztec", "PKBarcodeFormatCode128",
    "PKBarcodeFormatCode39", "PKBarcodeFormatCodabar", "PKBarcodeFormatEAN13", "PKBarcodeFormatI2of5",
]  # fmt: skip
_Transit = Literal[
    "PKTransitTypeAir", "PKTransitTypeBoat", "PKTransitTypeBus", "PKTransitTypeGeneric", "PKTransitTypeTrain"
]  # fmt: skip

LEGACY_FORMATS: Final = frozenset({"PKBarcodeFormatQR", "PKBarcodeFormatPDF417", "PKBarcodeFormatAztec"})

# The zone is Z or has a colon, seconds may be missing, nothing stands behind the zone.
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}"
    r"(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_BYTE = r" *(?:[01]?[0-9]?[0-9]|2[0-4][0-9]|25[0-5]) *"
_COLOUR = re.compile(rf"#[0-9A-Fa-f]{{3}}|#[0-9A-Fa-f]{{6}}|rgb\({_BYTE},{_BYTE},{_BYTE}\)")
_PASS_TYPE = re.compile(r"pass(?:\.[A-Za-z0-9-]+)+")
_SERIAL = re.compile(r"[A-Za-z0-9._-]+")
_PRINTABLE = re.compile(r"[!-~]+")
_CURRENCY = re.compile(r"[A-Z]{3}")
_TEAM = re.compile(r"[A-Z0-9]{10}")
_URL = re.compile(r"https://[^\s/?#@]+(?:/[^\s?#]*)?")
_LINKED = re.compile(r"""(?:[^<>]|<a href=(?:"https?://[^"<>]+"|'https?://[^'<>]+')>[^<>]*</a>)*""")
# ANSI/AIM BC3, BC1, ISO/IEC 15417, 15420, 16390.
_ENCODABLE = {
    "PKBarcodeFormatCodabar": re.compile(r"[0-9$:/.+-]+"),
    "PKBarcodeFormatCode39": re.compile(r"[0-9A-Z $%+./-]+"),
    "PKBarcodeFormatCode128": re.compile(r"[ -~]+"),
    "PKBarcodeFormatEAN13": re.compile(r"[0-9]{13}"),
    "PKBarcodeFormatI2of5": re.compile(r"(?:[0-9]{2})+"),
}


class ApplePassInvalid(PassRefusal):
    """A pass.json breaks a rule of Apple's. ``rule`` names it, ``place`` is its path (``$.barcodes[0]``)."""

    def __init__(self, rule: str, place: str, detail: str = "") -> None:
        super().__init__("APPLE_PASS_INVALID", rule=rule, place=place, detail=detail)
        self.rule = rule
        self.place = place

    def sentence(self, language: str = "de") -> str:
        """The refusal with its rule in words."""
        say = texts(self.package, language)
        rule = say(self.rule, detail=self.params["detail"])
        return say(self.code, place=self.place, rule=rule)


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, rename="camel"):
    pass


class _Field(_Strict, frozen=True, kw_only=True):
    key: _Key
    value: Annotated[str, Meta(max_length=4000)] | int | float
    label: _Short | UnsetType = UNSET
    change_message: _Short | UnsetType = UNSET
    attributed_value: _Text | UnsetType = UNSET
    date_style: _DateStyle | UnsetType = UNSET
    time_style: _DateStyle | UnsetType = UNSET
    is_relative: bool | UnsetType = UNSET
    ignores_time_zone: bool | UnsetType = UNSET
    number_style: _NumberStyle | UnsetType = UNSET
    currency_code: Annotated[str, Meta(min_length=3, max_length=3)] | UnsetType = UNSET


class _AlignedField(_Field, frozen=True, kw_only=True):
    text_alignment: _Alignment | UnsetType = UNSET


class _AuxiliaryField(_AlignedField, frozen=True, kw_only=True):
    row: Literal[0, 1] | UnsetType = UNSET


class _BackField(_Field, frozen=True, kw_only=True):
    data_detector_types: list[_Detector] | UnsetType = UNSET


class _Style(_Strict, frozen=True, kw_only=True):
    header_fields: Annotated[list[_AlignedField], Meta(max_length=3)] = []
    primary_fields: Annotated[list[_Field], Meta(max_length=2)] = []
    secondary_fields: Annotated[list[_AlignedField], Meta(max_length=4)] = []
    auxiliary_fields: Annotated[list[_AuxiliaryField], Meta(max_length=5)] = []
    back_fields: Annotated[list[_BackField], Meta(max_length=50)] = []


class _BoardingPass(_Style, frozen=True, kw_only=True):
    transit_type: _Transit


class _Barcode(_Strict, frozen=True, kw_only=True):
    format: _Format
    message: Annotated[str, Meta(min_length=1, max_length=2000)]
    message_encoding: Literal["iso-8859-1", "utf-8"]
    alt_text: _Short | UnsetType = UNSET


class _LegacyBarcode(_Barcode, frozen=True, kw_only=True):
    format: _LegacyFormat


class _Location(_Strict, frozen=True, kw_only=True):
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    altitude: float | UnsetType = UNSET
    relevant_text: _Short | UnsetType = UNSET


class _RelevantDate(_Strict, frozen=True, kw_only=True):
    date: _Short | UnsetType = UNSET
    relevant_date: _Short | UnsetType = UNSET
    start_date: _Short | UnsetType = UNSET
    end_date: _Short | UnsetType = UNSET


class _Pass(_Strict, frozen=True, kw_only=True):
    format_version: Literal[1]
    pass_type_identifier: _Short
    team_identifier: _Short
    serial_number: Annotated[str, Meta(min_length=1, max_length=128)]
    organization_name: _Short
    description: _Short
    logo_text: _Short | UnsetType = UNSET
    background_color: _Short | UnsetType = UNSET
    foreground_color: _Short | UnsetType = UNSET
    label_color: _Short | UnsetType = UNSET
    suppress_strip_shine: bool | UnsetType = UNSET
    boarding_pass: _BoardingPass | UnsetType = UNSET
    coupon: _Style | UnsetType = UNSET
    event_ticket: _Style | UnsetType = UNSET
    generic: _Style | UnsetType = UNSET
    store_card: _Style | UnsetType = UNSET
    barcode: _LegacyBarcode | UnsetType = UNSET
    barcodes: Annotated[list[_Barcode], Meta(min_length=1, max_length=10)] | UnsetType = UNSET
    expiration_date: _Short | UnsetType = UNSET
    voided: bool | UnsetType = UNSET
    relevant_date: _Short | UnsetType = UNSET
    relevant_dates: Annotated[list[_RelevantDate], Meta(min_length=1, max_length=50)] | UnsetType = UNSET
    locations: Annotated[list[_Location], Meta(min_length=1, max_length=10)] | UnsetType = UNSET
    max_distance: Annotated[float, Meta(gt=0)] | UnsetType = UNSET
    grouping_identifier: _Short | UnsetType = UNSET
    sharing_prohibited: bool | UnsetType = UNSET
    web_service_url: _Text | UnsetType = msgspec.field(default=UNSET, name="webServiceURL")
    authentication_token: _Token | UnsetType = UNSET


_DECODER = msgspec.json.Decoder(_Pass)


_NO_STYLE = (UNSET, UNSET, UNSET, UNSET)


def check_pass_json(data: bytes) -> None:
    """Return if ``data`` is a pass.json that Apple Wallet takes.

    Raises ApplePassInvalid (a PassRefusal, code APPLE_PASS_INVALID) with the place of the first fault. The
    values themselves, one of which is a secret, never get into it.
    """
    try:
        found = _DECODER.decode(data)
    except msgspec.ValidationError as fault:
        raise _shape_fault(str(fault)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ApplePassInvalid("APPLE_RULE_JSON", "$") from None
    _check_head(found)
    _check_style(found)
    _check_barcodes(found)
    if found.relevant_dates is not UNSET:
        for index, one in enumerate(found.relevant_dates):
            _check_relevant(one, f"$.relevantDates[{index}]")


def _shape_fault(message: str) -> ApplePassInvalid:
    detail, _, place = message.partition(" - at `")
    return ApplePassInvalid("APPLE_RULE_SHAPE", place.rstrip("`") or "$", detail.replace("`", ""))


# Days recur from pass to pass, so answers are kept.
@lru_cache(maxsize=8192)
def _is_time(text: str) -> bool:
    """Whether ``text`` has the form Apple reads, and is a time of calendar and clock."""
    if _TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _check_head(found: _Pass) -> None:
    fault = _head_fault(
        found.pass_type_identifier,
        found.team_identifier,
        (found.background_color, found.foreground_color, found.label_color),
        found.web_service_url,
        found.authentication_token is UNSET,
    )
    if fault is not None:
        raise ApplePassInvalid(*fault)
    if _SERIAL.fullmatch(found.serial_number) is None:
        raise ApplePassInvalid("APPLE_RULE_SERIAL", "$.serialNumber")
    if (token := found.authentication_token) is not UNSET and _PRINTABLE.fullmatch(token) is None:
        raise ApplePassInvalid("APPLE_RULE_TOKEN", "$.authenticationToken")
    if (at := found.expiration_date) is not UNSET and not _is_time(at):
        raise ApplePassInvalid("APPLE_RULE_TIME", "$.expirationDate")
    if (at := found.relevant_date) is not UNSET and not _is_time(at):
        raise ApplePassInvalid("APPLE_RULE_TIME", "$.relevantDate")


@lru_cache(maxsize=256)
def _head_fault(
    pass_type: str,
    team: str,
    colours: tuple[str | UnsetType, ...],
    url: str | UnsetType,
    without_token: bool,
) -> tuple[str, str] | None:
    """The rule broken by what is the same in all passes of a type, and where; None if there is none."""
    if _PASS_TYPE.fullmatch(pass_type) is None:
        return "APPLE_RULE_PASS_TYPE", "$.passTypeIdentifier"
    if _TEAM.fullmatch(team) is None:
        return "APPLE_RULE_TEAM", "$.teamIdentifier"
    for name, colour in zip(("background", "foreground", "label"), colours, strict=True):
        if colour is not UNSET and _COLOUR.fullmatch(colour) is None:
            return "APPLE_RULE_COLOUR", f"$.{name}Color"
    if (url is UNSET) != without_token:
        return "APPLE_RULE_SERVICE", "$.webServiceURL"
    if url is UNSET:
        return None
    if _URL.fullmatch(url) is None:
        return "APPLE_RULE_SERVICE_URL", "$.webServiceURL"
    # The phone appends /v1 itself; with it in the address no device ever registers.
    return ("APPLE_RULE_SERVICE_V1", "$.webServiceURL") if "v1" in url.split("/") else None


def _check_style(found: _Pass) -> None:
    style = found.generic
    others = (found.store_card, found.event_ticket, found.coupon, found.boarding_pass)
    if style is UNSET or others != _NO_STYLE:
        styles = [one for one in (style, *others) if one is not UNSET]
        if len(styles) != 1:
            raise ApplePassInvalid("APPLE_RULE_ONE_STYLE", "$")
        style = styles[0]
    if (
        found.grouping_identifier is not UNSET
        and found.event_ticket is UNSET
        and found.boarding_pass is UNSET
    ):
        raise ApplePassInvalid("APPLE_RULE_GROUPING", "$.groupingIdentifier")
    fields: list[_Field] = [
        *style.header_fields,
        *style.primary_fields,
        *style.secondary_fields,
        *style.auxiliary_fields,
        *style.back_fields,
    ]
    for field in fields:
        if (
            field.date_style is UNSET
            and field.time_style is UNSET
            and field.is_relative is UNSET
            and field.ignores_time_zone is UNSET
            and field.number_style is UNSET
            and field.currency_code is UNSET
            and field.attributed_value is UNSET
            and field.change_message is UNSET
        ):
            # Most fields have nothing to format; passing over them here is half the time of all checks.
            continue
        rule = _fault_of(field)
        if rule:
            raise ApplePassInvalid(rule, _place(found, field))
    if len({field.key for field in fields}) != len(fields):
        raise ApplePassInvalid("APPLE_RULE_KEY_TWICE", "$")


def _fault_of(field: _Field) -> str:
    """The rule that a field breaks, or nothing."""
    dated = (
        field.date_style is not UNSET
        or field.time_style is not UNSET
        or field.is_relative is not UNSET
        or field.ignores_time_zone is not UNSET
    )
    value = field.value
    if type(value) is str:
        if field.number_style is not UNSET or field.currency_code is not UNSET:
            return "APPLE_RULE_NUMBER"
        if dated and not _is_time(value):
            return "APPLE_RULE_DATE"
    elif dated:
        return "APPLE_RULE_DATE"
    elif field.currency_code is not UNSET and (
        field.number_style is not UNSET or _CURRENCY.fullmatch(field.currency_code) is None
    ):
        return "APPLE_RULE_CURRENCY"
    if field.change_message is not UNSET and "%@" not in field.change_message:
        return "APPLE_RULE_CHANGE"
    if field.attributed_value is not UNSET and _LINKED.fullmatch(field.attributed_value) is None:
        return "APPLE_RULE_MARKUP"
    return ""


def _place(found: _Pass, wanted: _Field) -> str:
    for name in ("generic", "store_card", "event_ticket", "coupon", "boarding_pass"):
        style = getattr(found, name)
        for group in _Style.__struct_fields__ if style is not UNSET else ():
            for index, field in enumerate(getattr(style, group)):
                if field is wanted:
                    return f"$.{_camel(name)}.{_camel(group)}[{index}]"
    return "$"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _check_barcodes(found: _Pass) -> None:
    if found.barcodes is not UNSET:
        for index, one in enumerate(found.barcodes):
            _check_barcode(one, f"$.barcodes[{index}]")
    if found.barcode is not UNSET:
        _check_barcode(found.barcode, "$.barcode")
        if found.barcodes is UNSET:
            raise ApplePassInvalid("APPLE_RULE_LEGACY_BARCODE", "$.barcode")


def _check_barcode(one: _Barcode, place: str) -> None:
    message = one.message
    # The phone encodes the message anew; a character outside the encoding would change the code's bytes.
    if not message.isascii() and one.message_encoding == "iso-8859-1" and max(message) > "\xff":
        raise ApplePassInvalid("APPLE_RULE_ENCODING", place)
    form = _ENCODABLE.get(one.format)
    if form is None:
        return
    if form.fullmatch(message) is None or (one.format == "PKBarcodeFormatEAN13" and not _ean13(message)):
        raise ApplePassInvalid("APPLE_RULE_SYMBOLOGY", place)


def _ean13(digits: str) -> bool:
    """The check digit of ISO/IEC 15420 annex A: weights 1 and 3 from the left, sum divisible by 10."""
    return sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(digits)) % 10 == 0


def _check_relevant(one: _RelevantDate, place: str) -> None:
    rule = _relevant_fault(one.date, one.relevant_date, one.start_date, one.end_date)
    if rule:
        raise ApplePassInvalid(rule, place)


@lru_cache(maxsize=4096)
def _relevant_fault(
    moment: str | UnsetType, old_moment: str | UnsetType, start: str | UnsetType, end: str | UnsetType
) -> str:
    """The rule that a relevant date breaks, or nothing."""
    times = [at for at in (moment, old_moment, start, end) if at is not UNSET]
    if not all(map(_is_time, times)):
        return "APPLE_RULE_TIME"
    if start is UNSET and end is UNSET:
        # The moment is called relevantDate in iOS 18 and date in later ones.
        return "APPLE_RULE_RELEVANT_BOTH" if moment is UNSET or moment != old_moment else ""
    if start is UNSET or end is UNSET or len(times) != 2:
        return "APPLE_RULE_RELEVANT"
    return "APPLE_RULE_RELEVANT" if datetime.fromisoformat(start) >= datetime.fromisoformat(end) else ""
