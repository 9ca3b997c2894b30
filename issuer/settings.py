"""The settings of a tenant: what the city is called, how its passes are shown, how long its lists live."""

from __future__ import annotations

import base64
import re
import secrets
import unicodedata
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from issuer.errors import IssuerRefusal
from issuer.models import SettingRow, TenantRow
from passes.card_numbers import SCHEME_NAME
from passes.model import City, DisplayMode, MainCode

_RECORD_KEY = "record_key"
_KEY_BYTES = 32

# Settings of version 0.1.0 that had no effect; a register may still hold them.
_NO_LONGER_READ = ("clock_tolerance_seconds",)
_LONGEST = {
    "city_name": 200, "contact": 500, "authority": 300, "court": 300, "data_protection_contact": 500,
    "accessibility_office": 500, "open_data_publisher": 200,
}  # fmt: skip
_PAGES: Final = ("imprint_url", "privacy_url")
_MOST_GAPS, _LONGEST_GAP = 50, 500
_FORMS = {
    "apple_pass_type_identifier": (
        re.compile(r"pass(?:\.[A-Za-z0-9-]{1,63}){1,8}"),
        "pass.de.musterstadt.stadtpass",
    ),
    "apple_team_identifier": (re.compile(r"[A-Z0-9]{10}"), "ABCDE12345"),
    "google_issuer_id": (re.compile(r"[0-9]{1,20}"), "3388000000012345678"),
    "google_service_account": (
        re.compile(r"[A-Za-z0-9._-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"),
        "pass@projekt.iam.gserviceaccount.com",
    ),
    "open_data_from": (re.compile(r"20[0-9]{2}-(?:0[1-9]|1[0-2])"), "2027-01"),
    "open_data_contributor": (
        re.compile(r"https?://(?:www\.)?dcat-ap\.de/def/contributors/[A-Za-z0-9_-]{1,60}"),
        "http://dcat-ap.de/def/contributors/openNRW",
    ),
    "open_data_geocoding": (
        re.compile(
            r"http://dcat-ap\.de/def/politicalGeocoding/"
            r"(?:municipalityKey/[0-9]{8}|regionalKey/[0-9]{12}|districtKey/[0-9]{5})"
        ),
        "http://dcat-ap.de/def/politicalGeocoding/municipalityKey/05111000",
    ),
}
_MAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z][A-Za-z0-9-]{1,62}")
# Settings that stand on passes: when one changes, those in wallets are out of date.
SHOWN_ON_PASSES: Final = (
    "city_name", "display_mode", "contact", "base_url", "google_rotating_barcode", "library_main_code",
)  # fmt: skip
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# Phones append /v1 themselves, and lists and images their own names: neither a slash nor /v1 at the end.
_PATH = r"(?::[1-9][0-9]{0,4})?(?:/(?!\.{1,2}(?:/|\Z)|v1\Z)[A-Za-z0-9._~-]{1,60}){0,6}"
_PUBLIC_URL = re.compile(rf"https://{_LABEL}(?:\.{_LABEL}){{1,10}}{_PATH}")
_PAGE_URL = re.compile(
    rf"https://{_LABEL}(?:\.{_LABEL}){{1,10}}(?::[1-9][0-9]{{0,4}})?(?:/[A-Za-z0-9._~%/-]{{0,300}})?"
)
_LOCAL_URL = re.compile(rf"https?://(?:localhost|127\.0\.0\.1|\[::1\]){_PATH}")

_Hours = Annotated[int, msgspec.Meta(ge=1, le=24 * 400)]


class LegalRemedy(StrEnum):
    """How a decision of the city is contested: by objection (Widerspruch) to itself, or in court at once (Klage)."""

    OBJECTION = "objection"
    ACTION = "action"


_SchemeName = Annotated[str, msgspec.Meta(pattern=rf"\A{SCHEME_NAME.pattern}\Z")]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings with their defaults; a tenant stores those it has chosen."""

    city_name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] = "Musterstadt"
    display_mode: DisplayMode = DisplayMode.PAPER_REQUIRED
    base_url: str = "https://example.org"
    contact: str = ""
    # Letters of the permit office: who decides, with its address; how a decision is contested, and where.
    authority: str = ""
    legal_remedy: LegalRemedy = LegalRemedy.OBJECTION
    court: str = ""
    # Where the nightly run writes to when a certificate or key ends soon; empty for nowhere but the log.
    operator_mail: str = ""
    # Pages of the city's own web site, linked under every page; empty for none.
    imprint_url: str = ""
    privacy_url: str = ""
    # Who to turn to about data protection, for the record of processing.
    data_protection_contact: str = ""
    # What the accessibility statement says: the office in charge, the day it was last checked (ISO), known barriers.
    accessibility_office: str = ""
    accessibility_checked: str = ""
    accessibility_gaps: tuple[str, ...] = ()
    test: bool = False
    apple_pass_type_identifier: str = ""
    apple_team_identifier: str = ""
    google_issuer_id: str = ""
    google_service_account: str = ""
    google_rotating_barcode: bool = False
    # Which code library cards show in the wallets; the other one is on print and pick-up page.
    library_main_code: MainCode = MainCode.SEAL
    # Whether people are offered Google Wallet at all, once account and key are there.
    google_offered: bool = True
    list_ttl_hours: _Hours = 24
    list_expiry_hours: _Hours = 7 * 24
    plate_list_expiry_hours: _Hours = 48
    bundle_ttl_hours: _Hours = 90 * 24
    # Whether counts of valid permits are published under /open-data, and below which count one is small.
    open_data: bool = False
    open_data_threshold: Annotated[int, msgspec.Meta(ge=3, le=1000)] = 10
    # The first month (2027-01) that is counted, once the register is complete. Empty: the first after its set-up.
    open_data_from: str = ""
    open_data_license: Literal["dl-zero-de/2.0", "dl-by-de/2.0"] = "dl-zero-de/2.0"
    # For the catalogue entry (DCAT-AP.de). Without a name the city's; without contributor and geocoding no entry.
    open_data_publisher: str = ""
    open_data_contributor: str = ""
    open_data_geocoding: str = ""
    open_data_mail: str = ""
    # The schemes of the library's card numbers, tried in this order at the desk; empty: numbers are text alone.
    library_card_schemes: Annotated[tuple[_SchemeName, ...], msgspec.Meta(max_length=20)] = ()

    @property
    def list_ttl(self) -> timedelta:
        """How long a status list is fresh."""
        return timedelta(hours=self.list_ttl_hours)

    @property
    def list_expiry(self) -> timedelta:
        """How long a status list may be used at all."""
        return timedelta(hours=self.list_expiry_hours)

    @property
    def plate_list_expiry(self) -> timedelta:
        """How long a plate list may be used at all."""
        return timedelta(hours=self.plate_list_expiry_hours)

    @property
    def bundle_ttl(self) -> timedelta:
        """How long a trust bundle is fresh."""
        return timedelta(hours=self.bundle_ttl_hours)

    def city(self, tenant: str) -> City:
        """What the carriers say of the city."""
        return City(
            tenant=tenant,
            name=self.city_name,
            display_mode=self.display_mode,
            base_url=self.base_url,
            contact=self.contact,
            test=self.test,
            apple_pass_type_identifier=self.apple_pass_type_identifier,
            apple_team_identifier=self.apple_team_identifier,
            google_issuer_id=self.google_issuer_id,
            google_service_account=self.google_service_account,
            google_rotating_barcode=self.google_rotating_barcode,
            library_main_code=self.library_main_code,
        )


def create_tenant(session: Session, tenant: str, settings: Settings, at: datetime) -> None:
    """Add ``tenant`` with ``settings`` and a fresh record key.

    Raises IssuerRefusal TENANT_EXISTS, and what `checked` raises.
    """
    if session.get(TenantRow, tenant) is not None:
        raise IssuerRefusal("TENANT_EXISTS", tenant=tenant)
    session.add(TenantRow(tenant=tenant, created_at=at))
    session.flush()
    key = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    session.add(SettingRow(tenant=tenant, key=_RECORD_KEY, value=msgspec.json.encode(key).decode()))
    save_settings(session, tenant, settings)


def load_settings(session: Session, tenant: str) -> Settings:
    """The settings of ``tenant``. Raises IssuerRefusal TENANT_UNKNOWN, SETTING_INVALID."""
    return _decoded(tenant, _stored(session, tenant))


@lru_cache(maxsize=256)
def _decoded(tenant: str, rows: tuple[tuple[str, str], ...]) -> Settings:
    """What is asked for with every request is read every time, but decoded only when it has changed."""
    unread = (_RECORD_KEY, *_NO_LONGER_READ)
    try:
        return msgspec.convert(
            {key: msgspec.json.decode(value) for key, value in rows if key not in unread}, Settings
        )
    except (msgspec.ValidationError, msgspec.DecodeError) as fault:
        raise IssuerRefusal("SETTING_INVALID", tenant=tenant, fault=str(fault)) from fault


def save_settings(session: Session, tenant: str, settings: Settings) -> None:
    """Store what differs from the defaults; a setting that is the default again is dropped.

    Raises what `checked` raises.
    """
    defaults = msgspec.to_builtins(Settings())
    for key, value in msgspec.to_builtins(checked(settings)).items():
        row = session.get(SettingRow, (tenant, key))
        if value == defaults[key]:
            if row is not None:
                session.delete(row)
            continue
        text = msgspec.json.encode(value).decode()
        if row is None:
            session.add(SettingRow(tenant=tenant, key=key, value=text))
        else:
            row.value = text
    session.flush()


def checked(settings: Settings) -> Settings:
    """``settings`` with texts in NFC, if they can stand on passes and in addresses.

    Raises IssuerRefusal SETTING_TEXT for a text that is too long, padded, has characters that cannot be printed
    or, as the city's name, is empty; SETTING_BASE_URL for a base URL that is not ``https://host[/path]``
    (a test city may use localhost, also with http); SETTING_IDENTIFIER for what Apple or Google would not give;
    SETTING_MAIL for a mail address that is none; SETTING_PAGE for a page's address that is none, SETTING_DAY
    for a day that is none.
    """
    texts = {key: unicodedata.normalize("NFC", getattr(settings, key)) for key in _LONGEST}
    for key, limit in _LONGEST.items():
        text = texts[key]
        if len(text) > limit or not text.isprintable() or text != text.strip():
            raise IssuerRefusal("SETTING_TEXT", key=key, limit=limit)
    if not texts["city_name"]:
        raise IssuerRefusal("SETTING_TEXT", key="city_name", limit=_LONGEST["city_name"])
    for key, (form, example) in _FORMS.items():
        value = getattr(settings, key)
        if value and form.fullmatch(value) is None:
            raise IssuerRefusal("SETTING_IDENTIFIER", key=key, example=example)
    _check_accessibility(settings)
    for key in _PAGES:
        address = getattr(settings, key)
        if address and _PAGE_URL.fullmatch(address) is None:
            raise IssuerRefusal("SETTING_PAGE", key=key)
    for key in ("operator_mail", "open_data_mail"):
        if (mail := getattr(settings, key)) and _MAIL.fullmatch(mail) is None:
            raise IssuerRefusal("SETTING_MAIL", key=key)
    local = settings.test and _LOCAL_URL.fullmatch(settings.base_url)
    if not local and _PUBLIC_URL.fullmatch(settings.base_url) is None:
        raise IssuerRefusal("SETTING_BASE_URL", key="base_url")
    return msgspec.structs.replace(settings, **texts)


def _check_accessibility(settings: Settings) -> None:
    for gap in settings.accessibility_gaps[: _MOST_GAPS + 1]:
        if not 0 < len(gap) <= _LONGEST_GAP or not gap.isprintable():
            raise IssuerRefusal("SETTING_TEXT", key="accessibility_gaps", limit=_LONGEST_GAP)
    if len(settings.accessibility_gaps) > _MOST_GAPS:
        raise IssuerRefusal("SETTING_TEXT", key="accessibility_gaps", limit=_LONGEST_GAP)
    if settings.accessibility_checked:
        try:
            date.fromisoformat(settings.accessibility_checked)
        except ValueError:
            raise IssuerRefusal("SETTING_DAY", key="accessibility_checked") from None


def record_key(session: Session, tenant: str) -> bytes:
    """The tenant's key for the digests that stand in a pass's record instead of personal data.

    Raises IssuerRefusal TENANT_UNKNOWN.
    """
    return base64.b64decode(msgspec.json.decode(dict(_stored(session, tenant))[_RECORD_KEY], type=str))


_ROWS: Final = (
    select(SettingRow.__table__.c.key, SettingRow.__table__.c.value)
    .where(SettingRow.__table__.c.tenant == bindparam("tenant"))
    .order_by(SettingRow.__table__.c.key)
)


def _stored(session: Session, tenant: str) -> tuple[tuple[str, str], ...]:
    rows = tuple((key, value) for key, value in session.connection().execute(_ROWS, {"tenant": tenant}))
    # Every tenant has had a record key from its first moment.
    if not rows:
        raise IssuerRefusal("TENANT_UNKNOWN", tenant=tenant)
    return rows
