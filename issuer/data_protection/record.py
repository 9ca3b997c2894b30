"""The record of processing activities (Art. 30 GDPR), generated from configuration, tables and what is stored.

An activity that is switched off and of which nothing is stored is left out: Google is in it only as long as people
are offered Google Wallet, or an object is still there. Purposes and legal bases are a draft that the city decides
on; fields, periods, recipients and measures are what this installation does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

import issuer.backup  # noqa: F401 - all tables join the metadata
from issuer import google_wallet, keyring
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.data_protection.measures import Measure, measures
from issuer.data_protection.tables import FIXED, PERSONAL, SHARED, Activity
from issuer.models import Base
from issuer.models_access import ApiClientRow
from issuer.models_delivery import WalletPassRow, WebhookEndpointRow
from issuer.residence.certificates import certificate_ids
from keys.lifecycle import Purpose
from keys.texts import Texts

# Columns of tables that both wallets share.
_GOOGLE_COLUMNS: Final = "google_"


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its fields as they are, and after how many days (or by which rule) its rows are deleted."""

    name: str
    fields: tuple[str, ...]
    period: str
    days: int | None


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who gets data of an activity, by its text RECORD_RECIPIENT_<code>."""

    code: str
    params: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Entry:
    """One activity of the record."""

    activity: Activity
    tables: tuple[Table, ...]
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """The whole record; ``made_at`` is aware."""

    city: str
    contact: str
    officer: str
    made_at: datetime
    entries: tuple[Entry, ...]
    measures: tuple[Measure, ...]


def make_record(session: Session, application: Application) -> Record:
    """The record as things are in ``session``'s state of the register."""
    settings = application.settings(session)
    google = _is_google_there(session, application)
    return Record(
        city=settings.city_name,
        contact=settings.contact,
        officer=settings.data_protection_contact,
        made_at=application.now(),
        entries=tuple(
            Entry(
                activity,
                tuple(_tables(application, activity, google=google)),
                tuple(_recipients(session, application, activity)),
            )
            for activity in Activity
            if _is_there(session, application, activity, google=google)
        ),
        measures=tuple(measures(session, application)),
    )


def as_json(record: Record, say: Texts) -> dict[str, Any]:
    """The record for a program or an archive, with the sentences in one language."""
    return {
        "controller": record.city,
        "contact": record.contact,
        "data_protection_officer": record.officer,
        "made_at": record.made_at.isoformat(timespec="seconds"),
        "activities": [
            {
                "id": one.activity.value,
                "name": say(f"RECORD_{one.activity.name}"),
                "purpose": say(f"RECORD_{one.activity.name}_PURPOSE"),
                "legal_basis": say(f"RECORD_{one.activity.name}_BASIS"),
                "people": say(f"RECORD_{one.activity.name}_PEOPLE"),
                "recipients": recipient_texts(one, say),
                "tables": [
                    {"name": table.name, "fields": list(table.fields), "deleted": period_text(table, say)}
                    for table in one.tables
                ],
            }
            for one in record.entries
        ],
        "measures": [
            {"measure": one.code, "in_force": one.is_on, "text": say(one.text, **one.params)}
            for one in record.measures
        ],
    }


def recipient_texts(entry: Entry, say: Texts) -> list[str]:
    """The recipients of an activity in words; nobody, where there are none."""
    found = [say(f"RECORD_RECIPIENT_{one.code}", **one.params) for one in entry.recipients]
    return found or [say("RECORD_RECIPIENT_NONE")]


def period_text(table: Table, say: Texts) -> str:
    """When rows of a table are deleted, in words."""
    return say(f"RECORD_PERIOD_{table.period.upper()}", days=table.days or 0)


def _tables(application: Application, activity: Activity, *, google: bool) -> Iterator[Table]:
    own = {name: stored.period for name, stored in PERSONAL.items() if stored.activity is activity}
    for name, period in {**own, **SHARED.get(activity, {})}.items():
        columns = [one.name for one in Base.metadata.tables[name].columns if one.name != "tenant"]
        fields = tuple(one for one in columns if google or not one.startswith(_GOOGLE_COLUMNS))
        days = None if period in FIXED else getattr(application.config.retention, period)
        yield Table(name, fields, period, days)


def _is_there(session: Session, application: Application, activity: Activity, *, google: bool) -> bool:
    match activity:
        case Activity.GOOGLE:
            return google
        case Activity.RESIDENCE:
            return bool(certificate_ids(application.pass_types))
        case Activity.APPLE:
            has_key = keyring.has_signing_key(session, application.tenant, Purpose.APPLE_PASS)
            return has_key or _has_rows(session, application, activity)
        case Activity.PAYMENTS:
            return bool(application.config.payments.provider) or _has_rows(session, application, activity)
    return True


def _is_google_there(session: Session, application: Application) -> bool:
    if google_wallet.is_on(application, session) or _has_rows(session, application, Activity.GOOGLE):
        return True
    wanted = select(func.count()).where(
        WalletPassRow.tenant == application.tenant, WalletPassRow.google_wanted.is_(True)
    )
    return bool(session.scalar(wanted))


def _has_rows(session: Session, application: Application, activity: Activity) -> bool:
    for name, stored in PERSONAL.items():
        if stored.activity is activity:
            table = Base.metadata.tables[name]
            query = select(table.c.tenant).where(table.c.tenant == application.tenant).limit(1)
            if session.execute(query).first() is not None:
                return True
    return False


def _recipients(session: Session, application: Application, activity: Activity) -> Iterator[Recipient]:
    config = application.config
    match activity:
        case Activity.PASSES:
            if config.library.source:
                host = urlsplit(config.library.url).hostname or config.library.host
                yield Recipient("LIBRARY", {"host": host})
        case Activity.RESIDENCE:
            if config.sources.residents:
                yield Recipient("RESIDENTS", {})
        case Activity.CASES:
            for name in ("residents", "vehicles"):
                if getattr(config.sources, name):
                    yield Recipient(f"SOURCE_{name.upper()}", {})
        case Activity.PAYMENTS:
            if config.payments.provider:
                host = urlsplit(config.payments.url).hostname or config.payments.provider
                yield Recipient("PAYMENT", {"host": host})
        case Activity.PICKUP:
            if config.mail.host:
                yield Recipient("MAIL", {"host": config.mail.host})
        case Activity.APPLE:
            if config.apple.push:
                yield Recipient("APPLE_PUSH", {})
            yield Recipient("APPLE_WALLET", {})
        case Activity.GOOGLE:
            yield Recipient("GOOGLE", {})
        case Activity.CHECKS:
            yield Recipient("WARDENS", {})
        case Activity.INTERFACES:
            yield from _systems(session, application)
        case Activity.STAFF:
            if config.oidc.issuer:
                yield Recipient("OIDC", {"issuer": config.oidc.issuer})


def _systems(session: Session, application: Application) -> Iterator[Recipient]:
    clients = session.scalars(
        select(ApiClientRow)
        .where(ApiClientRow.tenant == application.tenant, ApiClientRow.revoked_at.is_(None))
        .order_by(ApiClientRow.name)
    )
    for one in clients:
        fines = {Scope.CHECKS_READ.value, Scope.STATEMENTS_READ.value}
        code = "FINES" if fines & set(one.scopes) else "SYSTEM"
        yield Recipient(code, {"name": one.name, "scopes": ", ".join(one.scopes)})
    hosts = session.scalars(
        select(WebhookEndpointRow.url).where(
            WebhookEndpointRow.tenant == application.tenant, WebhookEndpointRow.disabled_at.is_(None)
        )
    )
    for host in sorted({urlsplit(url).hostname or "" for url in hosts}):
        yield Recipient("WEBHOOK", {"host": host})
