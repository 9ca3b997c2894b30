"""Google Wallet: the class of a pass type and the object of a pass (generic pass, Wallet Objects API v1).

The shapes are those of Google's discovery document for walletobjects v1, which the tests check against. What
the document does not offer is not sent: a generic class has no ``reviewStatus``. Object content lies on
Google's servers, so nothing goes in that is not on the face of the pass: no name, address or birth date.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from keys.texts import texts
from passes.base45 import ALPHABET
from passes.card_numbers import CardNumber, Symbology
from passes.display import Shown, shown_fields
from passes.errors import PassRefusal
from passes.model import City, MainCode, PassContent, PassStatus
from passes.pass_types import PassType
from passes.rotating import DIGITS, KEY_BYTES, STEP_SECONDS
from passes.rotating import PREFIX as ROTATING_PREFIX
from passes.seal import MAX_TEXT, PREFIX

# JSON of the API: strings, numbers, booleans, lists and objects.
Json = dict[str, Any]

_ROWS: Final = ("row1", "row2", "row3")
_ROW_SHAPES: Final[Mapping[int, tuple[str, tuple[str, ...]]]] = {
    1: ("oneItem", ("item",)),
    2: ("twoItems", ("startItem", "endItem")),
    3: ("threeItems", ("startItem", "middleItem", "endItem")),
}
_BARCODES: Final[Mapping[str, tuple[str, re.Pattern[str]]]] = {
    "QR": ("QR_CODE", re.compile(r"[ -~]+")),
    "Aztec": ("AZTEC", re.compile(r"[ -~]+")),
    "PDF417": ("PDF_417", re.compile(r"[ -~]+")),
    "Code128": ("CODE_128", re.compile(r"[ -~]+")),
    "Code39": ("CODE_39", re.compile(r"[0-9A-Z $%+./-]+")),
    "Codabar": ("CODABAR", re.compile(r"[0-9$:/.+-]+")),
    "EAN13": ("EAN_13", re.compile(r"[0-9]{13}")),
    "I2of5": ("ITF_14", re.compile(r"[0-9]{14}")),
}
# Google's ITF is ITF-14 alone: 14 digits with its check digit.
_TYPE_OF: Final[Mapping[Symbology, str]] = {
    Symbology.CODABAR: "CODABAR",
    Symbology.CODE_39: "CODE_39",
    Symbology.CODE_128: "CODE_128",
    Symbology.EAN_13: "EAN_13",
    Symbology.ITF: "ITF_14",
    Symbology.QR: "QR_CODE",
}
_STATES: Final = {
    PassStatus.ACTIVE: "ACTIVE",
    PassStatus.EXPIRED: "EXPIRED",
    PassStatus.PENDING_PAYMENT: "INACTIVE",
    PassStatus.SUSPENDED: "INACTIVE",
    PassStatus.REVOKED: "INACTIVE",
    PassStatus.SUPERSEDED: "INACTIVE",
}
_ISSUER: Final = re.compile(r"[0-9]{1,20}")
# Google: "alphanumeric characters, '.', '_', or '-'".
_SUFFIX: Final = re.compile(r"[A-Za-z0-9._-]{1,80}")
_SEAL: Final = re.compile(re.escape(PREFIX) + f"[{re.escape(ALPHABET.decode())}]+")
# Google cuts longer texts off on small screens, and half a rule is worse than none.
_LONGEST_TEXT: Final = 500
_ONE_SECOND: Final = timedelta(seconds=1)


class GooglePassFactory:
    """Makes the class and the objects of one pass type for one city.

    ``callback_url`` (public https) is told when somebody adds or removes a pass; None for no callbacks. A
    TEST city whose addresses are not https gets neither callbacks nor a logo. What the factory returns is
    shared between its objects and must not be changed.

    Raises PassRefusal: TYPE_CARRIER for a type that is no Google pass, GOOGLE_ISSUER without a numeric issuer id,
    GOOGLE_ID for a tenant that cannot stand in an id, GOOGLE_BASE_URL for a base or callback URL that is not https
    outside TEST, GOOGLE_TYPE for a pass type that does not fit a generic pass, GOOGLE_TEXT for a text that Google
    would cut off.
    """

    def __init__(self, pass_type: PassType, city: City, *, callback_url: str | None = None) -> None:
        _ = pass_type.google  # refuses a type that is never a Google pass
        if not _ISSUER.fullmatch(city.google_issuer_id):
            raise PassRefusal("GOOGLE_ISSUER", city=city.name)
        self._pass_type = pass_type
        self._city = city
        urls = (city.base_url, callback_url or city.base_url)
        self._public: Final = all(url.startswith("https://") for url in urls)
        if not self._public and not city.test:
            raise PassRefusal("GOOGLE_BASE_URL", url=city.base_url)
        self._callback_url = callback_url
        # The tenant is part of the id: cities that share an issuer account must not share texts.
        self.class_id: Final = _id(city.google_issuer_id, f"{city.tenant}.{pass_type.id}")
        self._placed = _placed(pass_type)
        self._in_class = frozenset(
            key
            for key in self._placed["text"]
            if key == "contact" or (key not in pass_type.attributes and key in pass_type.words("de").texts)
        )
        self._in_object = tuple(
            key for place in (*_ROWS, "text") for key in self._placed[place] if key not in self._in_class
        )
        self._shows_card = pass_type.has_number_code and city.library_main_code is MainCode.NUMBER
        source, _, form = pass_type.google.barcode.partition(":")
        if form not in _BARCODES:
            raise PassRefusal("GOOGLE_TYPE", type=pass_type.id, fault=f"barcode {form}")
        self._shows_seal = source == "seal" and not self._shows_card
        self._barcode_type, self._barcode_form = _BARCODES[form]
        self._base = self._constant_parts()
        self._class = self._make_class()

    def google_class(self) -> Json:
        """The class: what all passes of the type share, as a GenericClass."""
        return self._class.copy()

    def google_object(self, content: PassContent, rotating_key: bytes | None = None) -> Json:
        """One pass as a GenericObject.

        ``rotating_key`` (20 bytes, a secret) makes the barcode rotate if the city wants that and the type
        shows the seal; the object then holds the key. The status decides the state; Google watches the time.

        Raises PassRefusal GOOGLE_ID for a serial that cannot stand in an id, GOOGLE_SEAL for text that is
        no seal, GOOGLE_BARCODE for a number that the barcode cannot hold; ValueError for a key of another
        length.
        """
        german = shown_fields(self._pass_type, content, self._city, "de")
        english = shown_fields(self._pass_type, content, self._city, "en")
        header = self._placed["header"][0]
        if header not in german:
            raise PassRefusal("GOOGLE_TYPE", type=self._pass_type.id, fault=f"{header} is empty")
        made: Json = {
            "id": _id(self._city.google_issuer_id, content.serial),
            "classId": self.class_id,
            **self._base,
            "header": _localized(german[header].text, english[header].text),
            "state": _STATES[content.status],
            "validTimeInterval": {
                "start": {"date": content.period.starts_at.isoformat()},
                # The last second, not the first one after: Google shows this day as the last one.
                "end": {"date": (content.period.ends_at - _ONE_SECOND).isoformat()},
            },
            "textModulesData": [
                _text_module(german[key], english[key]) for key in self._in_object if key in german
            ],
        }
        if content.status is PassStatus.ACTIVE:
            made["notifications"] = {"expiryNotification": {"enableNotification": True}}
        if rotating_key is not None and self._shows_seal and self._city.google_rotating_barcode:
            made["rotatingBarcode"] = self._rotating(content, rotating_key)
            # A picture of a rotating code is worth nothing; saying so by itself spares people the try.
            made["passConstraints"] = {"screenshotEligibility": "INELIGIBLE"}
        else:
            made["barcode"] = self._static(content)
        return made

    def emptied(self, serial: str) -> Json:
        """What is left of the object of a pass whose holder is forgotten: Google deletes no object.

        It says nothing of the pass and shows no code. It must replace the object as a whole (PUT): what a
        PATCH leaves out stays. Raises PassRefusal GOOGLE_ID for a serial that cannot stand in an id.
        """
        return {
            "id": _id(self._city.google_issuer_id, serial),
            "classId": self.class_id,
            **self._base,
            # Google wants a header; the type is all that may still be said.
            "header": self._base["subheader"],
            "state": "INACTIVE",
            "textModulesData": [],
        }

    def _static(self, content: PassContent) -> Json:
        kind, value = self._code(content)
        return {
            "type": kind,
            "renderEncoding": "UTF_8",
            "value": value,
            "alternateText": _number_on_card(content),
        }

    def _code(self, content: PassContent) -> tuple[str, str]:
        """Google's type and the value of the code that does not rotate."""
        card = self._pass_type.card_of(content) if self._shows_card else None
        if card is not None:
            shown = next(one for one in card.symbologies if one is not Symbology.ITF or card.is_gtin_14)
            return _TYPE_OF[shown], card.text
        value = _checked_seal(content) if self._shows_seal else _number_on_card(content)
        if not self._barcode_form.fullmatch(value):
            raise PassRefusal("GOOGLE_BARCODE", number=content.number, barcode=self._barcode_type)
        return self._barcode_type, value

    def _rotating(self, content: PassContent, key: bytes) -> Json:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a rotating key has {KEY_BYTES} bytes")
        token = _checked_seal(content).removeprefix(PREFIX)
        return {
            "type": self._barcode_type,
            "renderEncoding": "UTF_8",
            "valuePattern": ROTATING_PREFIX + "{totp_timestamp_seconds}:{totp_value_0}:" + token,
            "totpDetails": {
                "algorithm": "TOTP_SHA1",
                "periodMillis": str(STEP_SECONDS * 1000),
                "parameters": [{"key": key.hex().upper(), "valueLength": DIGITS}],
            },
            "alternateText": _number_on_card(content),
        }

    def _constant_parts(self) -> Json:
        spec, city = self._pass_type.spec, self._city
        title_de, title_en = city.name, city.name
        if city.test:
            title_de = f"{texts('passes', 'de')('TEST')} · {city.name}"
            title_en = f"{texts('passes', 'en')('TEST')} · {city.name}"
        names = self._pass_type.words("de").name, self._pass_type.words("en").name
        parts: Json = {
            "genericType": self._pass_type.google.generic_type,
            "cardTitle": _localized(title_de, title_en),
            "subheader": _localized(*names),
            "hexBackgroundColor": spec.colours.background,
        }
        if logo := self._logo():
            parts["logo"] = {
                "sourceUri": {"uri": logo},
                "contentDescription": _localized(f"Logo: {city.name}", f"Logo: {city.name}"),
            }
        return parts

    def _logo(self) -> str | None:
        """The public address of the logo; Google fetches it and cuts it to a circle."""
        images = self._pass_type.images if self._public else {}
        name = next((one for one in ("google-logo.png", "logo.png") if one in images), None)
        base = self._city.base_url.rstrip("/")
        return f"{base}/static/types/{self._pass_type.id}/{name}" if name else None

    def _make_class(self) -> Json:
        german, english = self._pass_type.words("de"), self._pass_type.words("en")
        modules = []
        for key in self._placed["text"]:
            if key not in self._in_class:
                continue
            in_german, in_english = german.texts.get(key, ""), english.texts.get(key, "")
            if key == "contact":
                in_german = in_english = self._city.contact
            if max(len(in_german), len(in_english)) > _LONGEST_TEXT:
                raise PassRefusal("GOOGLE_TEXT", type=self._pass_type.id, field=key, limit=_LONGEST_TEXT)
            if in_german:
                modules.append(
                    _text_module(
                        Shown(key, german.labels[key], in_german), Shown(key, english.labels[key], in_english)
                    )
                )
        apple = self._pass_type.spec.apple
        sharing = apple is not None and not apple.sharing_prohibited
        made: Json = {
            "id": self.class_id,
            "classTemplateInfo": {
                "cardTemplateOverride": {
                    "cardRowTemplateInfos": [
                        _row(self._placed[place]) for place in _ROWS if self._placed[place]
                    ]
                }
            },
            "textModulesData": modules,
            "multipleDevicesAndHoldersAllowedStatus": (
                "MULTIPLE_HOLDERS" if sharing else "ONE_USER_ALL_DEVICES"
            ),
        }
        if self._callback_url is not None and self._public:
            made["callbackOptions"] = {"url": self._callback_url}
        return made


def google_class(pass_type: PassType, city: City) -> Json:
    """The GenericClass of one pass type; see `GooglePassFactory`, which makes many objects faster."""
    return GooglePassFactory(pass_type, city).google_class()


def google_object(
    pass_type: PassType, content: PassContent, city: City, rotating_key: bytes | None = None
) -> Json:
    """The GenericObject of one pass; see `GooglePassFactory`, which makes many objects faster."""
    return GooglePassFactory(pass_type, city).google_object(content, rotating_key)


def _placed(pass_type: PassType) -> Mapping[str, tuple[str, ...]]:
    places = {
        place: tuple(field.key for field in pass_type.spec.fields if field.google == place)
        for place in ("header", *_ROWS, "text")
    }
    if len(places["header"]) != 1:
        raise PassRefusal("GOOGLE_TYPE", type=pass_type.id, fault="exactly one field must be the header")
    if any(len(places[place]) > max(_ROW_SHAPES) for place in _ROWS):
        raise PassRefusal("GOOGLE_TYPE", type=pass_type.id, fault="a row has more than three fields")
    return places


def _row(keys: tuple[str, ...]) -> Json:
    name, items = _ROW_SHAPES[len(keys)]
    return {
        name: {
            item: {"firstValue": {"fields": [{"fieldPath": f"object.textModulesData['{key}']"}]}}
            for item, key in zip(items, keys, strict=True)
        }
    }


def _text_module(german: Shown, english: Shown) -> Json:
    return {
        "id": german.key,
        "localizedHeader": _localized(german.label, english.label),
        "localizedBody": _localized(german.text, english.text),
    }


def _localized(german: str, english: str) -> Json:
    made: Json = {"defaultValue": {"language": "de", "value": german}}
    if english != german:
        made["translatedValues"] = [{"language": "en", "value": english}]
    return made


def _id(issuer: str, suffix: str) -> str:
    if not _SUFFIX.fullmatch(suffix):
        raise PassRefusal("GOOGLE_ID", suffix=suffix[:80])
    return f"{issuer}.{suffix}"


def _checked_seal(content: PassContent) -> str:
    if len(content.seal) > MAX_TEXT or not _SEAL.fullmatch(content.seal):
        raise PassRefusal("GOOGLE_SEAL", number=content.number)
    return content.seal


def _number_on_card(content: PassContent) -> str:
    """What people read out when a code cannot be scanned: the card number, or else the pass number."""
    cards = (value.text for value in content.attributes.values() if isinstance(value, CardNumber))
    return next(cards, content.number)
