"""A pass as an Apple Wallet pass: `.pkpass` bytes from a `PassContent`.

`ApplePassFactory` is made once per pass type, city and certificate. It runs the models once, keeps the JSON
as a template and fills only what differs from pass to pass. Every finished pass.json is checked strictly
(`passes.apple_schema`) before it is signed.

The texts in pass.json are German, the official language; ``en.lproj`` translates them on phones set to
English. So a phone in any third language shows German, and readers that know no translations do too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import lru_cache
from itertools import islice
from operator import is_, itemgetter
from typing import Self

from cryptography import x509

from keys.apple_certificates import AppleSigningIdentity
from keys.errors import Refusal
from keys.store import Signer
from keys.texts import texts
from passes.apple_bundle import PreparedFiles, PreparedImages
from passes.apple_models import (
    BARCODE_FORMATS,
    DayField,
    PassBarcode,
    PassField,
    WalletPass,
    pass_style,
)
from passes.apple_schema import ApplePassInvalid, check_pass_json
from passes.apple_texts import (
    SLOT_END,
    SLOT_START,
    change_message,
    marked,
    nfc,
    static_text,
    strings_files,
    translations,
)
from passes.apple_values import (
    JSON,
    SYMBOLOGIES,
    Value,
    card_code,
    days,
    field_value,
    number_code,
    shown_number,
)
from passes.cms import DetachedSigner
from passes.errors import PassRefusal
from passes.model import City, MainCode, PassContent, PassStatus
from passes.pass_types import FieldSpec, PassType

# Field keys of our own; a type's keys are lower case.
# How many passes are worked on together: enough for the caches, little memory.
_BATCH = 32
_REMINDERS = 16
_TEST_FIELD, _ISSUER_FIELD = "TEST", "ISSUER"
_VOID = frozenset({PassStatus.REVOKED, PassStatus.SUSPENDED, PassStatus.SUPERSEDED})


class ApplePassFactory:
    """Makes the passes of one type and city, signed with one certificate.

    ``certificate`` is Apple's for the city's pass type identifier and team, ``chain`` those above it (WWDR
    first), ``signer`` its key, loaded once. Raises KeyRefusal if they do not belong together or to the city,
    PassRefusal for images, words or an address that Apple does not take, TYPE_CARRIER for a type that is no
    Apple pass.

    Without HTTPS in ``city.base_url`` a test city's passes come without a web service: they never change on
    the phone. Otherwise that is refused (APPLE_BASE_URL).
    """

    def __init__(
        self,
        pass_type: PassType,
        city: City,
        certificate: x509.Certificate,
        chain: Sequence[x509.Certificate],
        signer: Signer,
    ) -> None:
        _ = pass_type.apple  # refuses a type that is never an Apple pass, whatever the certificate
        self._identity = AppleSigningIdentity(certificate, tuple(chain), signer)
        everything = (certificate, *chain)
        self._first = max(one.not_valid_before_utc for one in everything)
        self._last = min(one.not_valid_after_utc for one in everything)
        self._city = city
        self._identity.check(city.apple_pass_type_identifier, city.apple_team_identifier, self._first)
        self._cms = DetachedSigner(certificate, chain, signer)
        self._template = _Template(pass_type, city)
        self._images = PreparedImages(pass_type.images).files
        self._texts = translations(pass_type, city)
        self._files = self._prepared(None)
        # A night reminds of three last days.
        self._reminding = lru_cache(maxsize=_REMINDERS)(self._prepared)

    @classmethod
    def of(cls, pass_type: PassType, city: City, identity: AppleSigningIdentity) -> Self:
        """The factory for a certificate with its chain and key as `keys` hands them out."""
        return cls(pass_type, city, identity.certificate, identity.chain, identity.signer)

    def pass_json(self, content: PassContent) -> bytes:
        """The checked pass.json of ``content``.

        Raises ApplePassInvalid (APPLE_PASS_INVALID) with the place of a fault, PassRefusal
        APPLE_NOT_PAID for a right that does not exist yet.
        """
        data = self._template.fill(content)
        check_pass_json(data)
        return data

    def build(self, content: PassContent, signed_at: datetime) -> bytes:
        """The `.pkpass` of ``content`` (``application/vnd.apple.pkpass``), signed at ``signed_at`` (aware).

        Raises what `pass_json` raises, and KeyRefusal if a certificate is not valid at ``signed_at``.
        """
        data = self.pass_json(content)
        self._check_certificates(signed_at)
        files = self._files_of(content)
        manifest = files.manifest(data)
        return files.archive(data, manifest, self._cms.sign(manifest, signed_at))

    def build_all(self, contents: Iterable[PassContent], signed_at: datetime) -> Iterator[bytes]:
        """As `build`, for many passes: faster, because like work is done together.

        Passes before a faulty one are handed out before it raises.
        """
        self._check_certificates(signed_at)
        waiting = iter(contents)
        while batch := list(islice(waiting, _BATCH)):
            found: list[bytes] = []
            files = list(map(self._files_of, batch))
            fault: Refusal | None = None
            for content in batch:
                try:
                    found.append(self.pass_json(content))
                except Refusal as refused:
                    fault = refused
                    break
            manifests = list(map(PreparedFiles.manifest, files, found))
            signatures = self._cms.sign_all(manifests, signed_at)
            yield from map(PreparedFiles.archive, files, found, manifests, signatures)
            if fault is not None:
                raise fault

    def _files_of(self, content: PassContent) -> PreparedFiles:
        if content.reminded_days is None:
            return self._files
        return self._reminding((content.reminded_days, content.period.last))

    def _prepared(self, reminder: tuple[int, date] | None) -> PreparedFiles:
        return PreparedFiles(self._images | strings_files(self._texts, reminder))

    def _check_certificates(self, at: datetime) -> None:
        if not self._first <= at <= self._last:
            city = self._city
            self._identity.check(city.apple_pass_type_identifier, city.apple_team_identifier, at)


class _Template:
    """pass.json with slots. Values that a pass does not have leave their keys out: one variant per shape."""

    def __init__(self, pass_type: PassType, city: City) -> None:
        self._type = pass_type
        self._city = city
        self._test = texts("passes", "de")("TEST") if city.test else ""
        self._url = _service_url(city)
        values: dict[str, Value] = {"serial": lambda content: JSON(content.serial)}
        if self._url:
            values["token"] = lambda content: JSON(content.apple_token)
        self._codes: list[tuple[str, str]] = []
        for message, form, value in _codes(pass_type, city):
            self._codes.append((message, form))
            values[message] = value
        values["alt"] = shown_number(pass_type)
        values["ends"] = lambda content: days(content.period.last).end
        values["first_day"] = lambda content: days(content.period.first).start
        values["first_end"] = lambda content: days(content.period.first).end
        self._dynamic: dict[str, bool] = {}
        for spec in pass_type.spec.fields:
            if spec.apple != "none":
                made = field_value(spec, pass_type, city)
                if made is not None:
                    value, is_day = made
                    values[f"field {spec.key}"] = value
                    self._dynamic[spec.key] = is_day
        self._names = tuple(values)
        self._values = tuple(values.values())
        self._nothing = (None,) * len(values)
        self._variants: dict[tuple[bool, ...], _Variant] = {}

    def fill(self, content: PassContent) -> bytes:
        """The JSON for ``content``, not yet checked."""
        if content.status is PassStatus.PENDING_PAYMENT:
            raise PassRefusal("APPLE_NOT_PAID", number=content.number)
        try:
            found = [value(content) for value in self._values]
        except UnicodeEncodeError:
            raise ApplePassInvalid("APPLE_RULE_JSON", "$") from None
        # Enum members hash slowly, and nearly all passes are active.
        status = content.status
        void = status is not PassStatus.ACTIVE and status in _VOID
        shape = (void, *map(is_, found, self._nothing))
        variant = self._variants.get(shape)
        if variant is None:
            variant = self._variants[shape] = self._variant(shape)
        return variant.fill(found)

    def _variant(self, shape: tuple[bool, ...]) -> _Variant:
        void, *missing = shape
        present = {name for name, gone in zip(self._names, missing, strict=True) if not gone}
        return _Variant(self._model(present, void=void).to_json(), self._names)

    def _model(self, present: set[str], *, void: bool) -> WalletPass:
        spec, words, city = self._type.spec, self._type.words("de"), self._city
        style = pass_style(self._type.apple.style)
        groups = {
            "header": style.headerFields, "primary": style.primaryFields, "secondary": style.secondaryFields,
            "auxiliary": style.auxiliaryFields, "back": style.backFields,
        }  # fmt: skip
        if city.test:
            style.backFields.append(PassField(_TEST_FIELD, self._test, "TEST", detectors=()))
        for one in spec.fields:
            if one.apple != "none":
                field = self._field(one, present)
                if field is not None:
                    groups[one.apple].append(field)
        say = texts("passes", "de")
        issuer = PassField(_ISSUER_FIELD, nfc(city.name), say("APPLE_ISSUED_BY"), detectors=())
        style.backFields.append(issuer)
        made = WalletPass(
            style, city.apple_pass_type_identifier, marked(city, city.name), city.apple_team_identifier
        )
        made.serialNumber = _slot("serial")
        made.description = marked(city, words.description)
        made.logoText = marked(city, words.name)
        made.backgroundColor = spec.colours.background
        made.foregroundColor = spec.colours.foreground
        made.labelColor = spec.colours.label
        made.barcodes = [
            PassBarcode(_slot(message), form, _slot("alt") if "alt" in present else "")
            for message, form in self._codes
            if message in present
        ]
        made.expirationDate = _slot("ends")
        made.voided = void
        # The lock screen offers the pass on its first day; for the whole period it would be in the way.
        made.relevantDate = _slot("first_day")
        made.relevant_dates = [(_slot("first_day"), _slot("first_end"))]
        made.sharingProhibited = self._type.apple.sharing_prohibited
        if self._url:
            made.webServiceURL = self._url
            made.authenticationToken = _slot("token")
        return made

    def _field(self, spec: FieldSpec, present: set[str]) -> PassField | None:
        words = self._type.words("de")
        label = nfc(words.labels[spec.key])
        change = change_message(self._type, spec.key, "de") if spec.change_message else ""
        # A telephone number or address is worth a tap in the contact, and a nuisance elsewhere.
        detectors = () if spec.apple == "back" and spec.key != "contact" else None
        is_day = self._dynamic.get(spec.key)
        if is_day is None:
            text = static_text(spec.key, self._type, self._city, "de")
            if not text:
                return None
            return PassField(spec.key, text, label, change, detectors=detectors)
        slot = f"field {spec.key}"
        if slot not in present:
            if spec.key != "reminder":
                return None
            # The field is there from the start, since phones tell of a change and not of a field that is new; no
            # message with it, so that nobody's phone rings because there is nothing to be reminded of any more.
            return PassField(
                spec.key, static_text(spec.key, self._type, self._city, "de"), label, detectors=detectors
            )
        if is_day:
            return DayField(spec.key, _slot(slot), label, change)
        return PassField(spec.key, _slot(slot), label, change, detectors=detectors)


class _Variant:
    """The bytes between the slots, and which value goes into which."""

    __slots__ = ("_parts", "_pick")

    def __init__(self, text: str, names: Sequence[str]) -> None:
        first, *rest = text.split(f'"{SLOT_START}')
        parts = [first.encode()]
        order: list[int] = []
        for piece in rest:
            name, _, after = piece.partition(f'{SLOT_END}"')
            order.append(names.index(name))
            parts += (b"", after.encode())
        self._parts = parts
        self._pick = itemgetter(*order)

    def fill(self, values: Sequence[bytes | None]) -> bytes:
        """The JSON with ``values`` in the slots."""
        parts = self._parts.copy()
        parts[1::2] = self._pick(values)
        return b"".join(parts)


def _codes(pass_type: PassType, city: City) -> Iterator[tuple[str, str, Value]]:
    """The codes that a pass may have, in falling order: name of the value, format, and the value of a pass."""
    if pass_type.has_number_code and city.library_main_code is MainCode.NUMBER:
        for form, symbology in SYMBOLOGIES.items():
            yield f"number {form}", form, card_code(symbology, pass_type)
        return
    for index, entry in enumerate(pass_type.apple.barcodes):
        source, _, form = entry.partition(":")
        if form not in BARCODE_FORMATS:
            raise ApplePassInvalid("APPLE_RULE_BARCODE_FORMAT", f"{pass_type.id}: apple.barcodes", form)
        if source == "seal":
            yield "seal", form, lambda content: JSON(content.seal)
        else:
            yield f"code{index}", form, number_code(form, pass_type)


def _slot(name: str) -> str:
    return f"{SLOT_START}{name}{SLOT_END}"


def _service_url(city: City) -> str:
    """The web service's address, to which phones append ``/v1`` themselves; empty in a test without HTTPS."""
    base = city.base_url.rstrip("/")
    if base.startswith("https://"):
        return f"{base}/apple"
    if city.test:
        return ""
    raise PassRefusal("APPLE_BASE_URL", url=city.base_url)
