"""The settings of a tenant: what the city is called, how its passes are shown, how long its lists live."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.errors import IssuerRefusal
from issuer.models import SettingRow, TenantRow
from passes.model import City, DisplayMode

_RECORD_KEY = "record_key"
_KEY_BYTES = 32

_Hours = Annotated[int, msgspec.Meta(ge=1, le=24 * 400)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings with their defaults; a tenant stores those it has chosen."""

    city_name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] = "Musterstadt"
    display_mode: DisplayMode = DisplayMode.PAPER_REQUIRED
    base_url: str = "https://example.org"
    contact: str = ""
    test: bool = False
    apple_pass_type_identifier: str = ""
    apple_team_identifier: str = ""
    google_issuer_id: str = ""
    google_service_account: str = ""
    google_rotating_barcode: bool = False
    list_ttl_hours: _Hours = 24
    list_expiry_hours: _Hours = 7 * 24
    plate_list_expiry_hours: _Hours = 48
    bundle_ttl_hours: _Hours = 90 * 24
    clock_tolerance_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 120

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

    @property
    def clock_tolerance(self) -> timedelta:
        """How far two clocks may differ."""
        return timedelta(seconds=self.clock_tolerance_seconds)

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
        )


def create_tenant(session: Session, tenant: str, settings: Settings, at: datetime) -> None:
    """Add ``tenant`` with ``settings`` and a fresh record key. Raises IssuerRefusal TENANT_EXISTS."""
    if session.get(TenantRow, tenant) is not None:
        raise IssuerRefusal("TENANT_EXISTS", tenant=tenant)
    session.add(TenantRow(tenant=tenant, created_at=at))
    session.flush()
    key = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    session.add(SettingRow(tenant=tenant, key=_RECORD_KEY, value=msgspec.json.encode(key).decode()))
    save_settings(session, tenant, settings)


def tenants(session: Session) -> list[str]:
    """All tenants of the register, sorted."""
    return list(session.scalars(select(TenantRow.tenant).order_by(TenantRow.tenant)))


def load_settings(session: Session, tenant: str) -> Settings:
    """The settings of ``tenant``. Raises IssuerRefusal TENANT_UNKNOWN, SETTING_INVALID."""
    stored = _stored(session, tenant)
    stored.pop(_RECORD_KEY, None)
    try:
        return msgspec.convert({key: msgspec.json.decode(value) for key, value in stored.items()}, Settings)
    except (msgspec.ValidationError, msgspec.DecodeError) as fault:
        raise IssuerRefusal("SETTING_INVALID", tenant=tenant, fault=str(fault)) from fault


def save_settings(session: Session, tenant: str, settings: Settings) -> None:
    """Store what differs from the defaults; a setting that is the default again is dropped."""
    defaults = msgspec.to_builtins(Settings())
    for key, value in msgspec.to_builtins(settings).items():
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


def record_key(session: Session, tenant: str) -> bytes:
    """The tenant's key for the digests that stand in a pass's record instead of personal data.

    Raises IssuerRefusal TENANT_UNKNOWN.
    """
    return base64.b64decode(msgspec.json.decode(_stored(session, tenant)[_RECORD_KEY], type=str))


def _stored(session: Session, tenant: str) -> dict[str, str]:
    if session.get(TenantRow, tenant) is None:
        raise IssuerRefusal("TENANT_UNKNOWN", tenant=tenant)
    rows = session.execute(select(SettingRow.key, SettingRow.value).where(SettingRow.tenant == tenant))
    return dict(rows.all())
