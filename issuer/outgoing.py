"""Noting that passes have changed: what wallets, phones and specialist systems must hear of, in one transaction.

Whoever changes a pass calls `note` in the same writing transaction. It gives the pass a new update tag and
Last-Modified, and queues the work for those that have it: pushes for registered phones, a patch for Google, events
for webhooks. EUDI credentials become invalid at once (`issuer.eudi.following`). Lists are rebuilt by whoever sees
that the audit trail has grown (`issuer.publication`).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import insert, select, true
from sqlalchemy.orm import Session

from issuer.background.queue import enqueue
from issuer.eudi import following
from issuer.models_delivery import (
    AppleRegistrationRow,
    WalletPassRow,
    WebhookDeliveryRow,
    WebhookEndpointRow,
)
from issuer.sequences import next_sequence
from issuer.status_allocation import chunks

SEQUENCE: Final = "wallet-updates"
PUSH_TASK: Final = "apple-push"
GOOGLE_TASK: Final = "google-objects"
WEBHOOK_TASK: Final = "webhook"
CHUNK: Final = 500
_ONE_SECOND: Final = timedelta(seconds=1)


class EventName(StrEnum):
    """What happens to a pass, as webhooks name it."""

    ISSUED = "pass.issued"
    CHANGED = "pass.changed"
    RENEWED = "pass.renewed"
    REISSUED = "pass.reissued"
    SUSPENDED = "pass.suspended"
    RESUMED = "pass.resumed"
    REVOKED = "pass.revoked"
    SUPERSEDED = "pass.superseded"
    EXPIRED = "pass.expired"
    CARRIER_ADDED = "carrier.added"
    CARRIER_REMOVED = "carrier.removed"


@dataclass(frozen=True, slots=True)
class PassEvent:
    """Something that happened to a pass; ``serial`` is the one that wallets know it by.

    ``says_else``: a renewal that has also changed what the pass says.
    """

    name: EventName
    type_id: str
    number: str
    serial: str
    says_else: bool = False


def note(session: Session, tenant: str, events: Sequence[PassEvent], at: datetime) -> None:
    """Note ``events`` of passes whose content or status is another one now, at the aware time ``at``."""
    if not events:
        return
    moved(session, tenant, {event.serial: (event.type_id, event.number) for event in events}, at)
    _follow(session, tenant, events, at)
    tell(session, tenant, events, at)


# After these credentials in EUDI Wallets say what is so no longer, and their wallet has no right to more.
_INVALID_BY: Final = frozenset({EventName.REISSUED, EventName.REVOKED, EventName.SUPERSEDED})
# After these its wallet may fetch what is so now. A renewal leaves the time until now as it was.
_FETCHED_ANEW_AFTER: Final = frozenset({EventName.CHANGED, EventName.RENEWED})
# What has expired says so itself: only its codes and tokens end.
_ENDED_BY: Final = frozenset({EventName.EXPIRED})


def _follow(session: Session, tenant: str, events: Sequence[PassEvent], at: datetime) -> None:
    # Of an import's hundreds a few are in such a wallet, or none.
    held = following.held(session, tenant, [(event.type_id, event.number) for event in events])
    for event in events:
        key = (event.type_id, event.number)
        if key not in held:
            continue
        if event.name in _INVALID_BY:
            following.invalidate(session, tenant, *key, at)
        elif event.name in _FETCHED_ANEW_AFTER:
            says_else = event.says_else or event.name is EventName.CHANGED
            following.change(session, tenant, *key, at, says_else=says_else)
        elif event.name is EventName.SUSPENDED:
            following.suspend(session, tenant, *key, at)
        elif event.name is EventName.RESUMED:
            following.resume(session, tenant, *key)
        elif event.name in _ENDED_BY:
            following.end_sessions(session, tenant, *key, at)


def moved(session: Session, tenant: str, serials: Mapping[str, tuple[str, str]], at: datetime) -> None:
    """Have wallets fetch the passes with ``serials`` (each with type id and number) anew; nobody else is told."""
    tag = next_sequence(session, tenant, SEQUENCE, at)
    known: dict[str, WalletPassRow] = {}
    for chunk in chunks(sorted(serials), CHUNK):
        rows = session.scalars(
            select(WalletPassRow).where(WalletPassRow.tenant == tenant, WalletPassRow.serial.in_(chunk))
        )
        known.update({row.serial: row for row in rows})
    moment = at.astimezone(UTC).replace(microsecond=0)
    for row in known.values():
        row.update_tag = tag
        # HTTP dates have whole seconds: two changes within one must not look like one.
        row.modified_at = max(moment, row.modified_at + _ONE_SECOND)
    session.flush()
    fresh = [
        {
            "tenant": tenant,
            "serial": serial,
            "type_id": type_id,
            "number": number,
            "update_tag": tag,
            "modified_at": moment,
        }
        for serial, (type_id, number) in serials.items()
        if serial not in known
    ]
    if fresh:
        session.execute(insert(WalletPassRow), fresh)
    enqueue_wallets(session, tenant, list(known))


def everything_moved(
    session: Session, tenant: str, at: datetime, type_ids: Collection[str] | None = None
) -> int:
    """Have wallets fetch every pass that they hold, as when the city has changed what stands on all of them.

    ``type_ids`` are the pass types concerned; None for all. Returns how many passes that are; those in no wallet are
    made with the new values anyway.
    """
    registered = select(AppleRegistrationRow.serial).where(AppleRegistrationRow.tenant == tenant)
    held = session.execute(
        select(WalletPassRow.serial, WalletPassRow.type_id, WalletPassRow.number).where(
            WalletPassRow.tenant == tenant,
            WalletPassRow.google_wanted.is_(True) | WalletPassRow.serial.in_(registered),
            true() if type_ids is None else WalletPassRow.type_id.in_(type_ids),
        )
    ).all()
    if held:
        moved(session, tenant, {serial: (type_id, number) for serial, type_id, number in held}, at)
    return len(held)


def google_switched(session: Session, tenant: str, at: datetime) -> int:
    """Have every object at Google brought to what is so now, as when the city switches Google off: then to nothing.

    Returns how many that are.
    """
    held = session.execute(
        select(WalletPassRow.serial, WalletPassRow.type_id, WalletPassRow.number).where(
            WalletPassRow.tenant == tenant, WalletPassRow.google_wanted.is_(True)
        )
    ).all()
    if held:
        moved(session, tenant, {serial: (type_id, number) for serial, type_id, number in held}, at)
    return len(held)


def enqueue_wallets(session: Session, tenant: str, serials: Sequence[str]) -> None:
    """Queue pushes for those of ``serials`` that a phone has, and patches for those that Google has."""
    for chunk in chunks(serials, CHUNK):
        registered = session.scalars(
            select(AppleRegistrationRow.serial)
            .where(AppleRegistrationRow.tenant == tenant, AppleRegistrationRow.serial.in_(chunk))
            .distinct()
        ).all()
        if registered:
            enqueue(session, tenant, PUSH_TASK, {"serials": sorted(registered)})
        wanted = session.scalars(
            select(WalletPassRow.serial).where(
                WalletPassRow.tenant == tenant,
                WalletPassRow.serial.in_(chunk),
                WalletPassRow.google_wanted.is_(True),
            )
        ).all()
        if wanted:
            enqueue(session, tenant, GOOGLE_TASK, {"serials": sorted(wanted)})


def tell(session: Session, tenant: str, events: Sequence[PassEvent], at: datetime) -> None:
    """Queue ``events`` for every webhook endpoint that wants them."""
    endpoints = session.scalars(
        select(WebhookEndpointRow).where(
            WebhookEndpointRow.tenant == tenant, WebhookEndpointRow.disabled_at.is_(None)
        )
    ).all()
    rows: list[dict[str, Any]] = []
    for endpoint in endpoints:
        for event in events:
            if event.name.value in endpoint.events:
                rows.append(_delivery(tenant, endpoint.id, event, at))
    for chunk in chunks(rows, CHUNK):
        session.execute(insert(WebhookDeliveryRow), chunk)
    for row in rows:
        enqueue(session, tenant, WEBHOOK_TASK, {"id": row["id"]})


def _delivery(tenant: str, endpoint_id: str, event: PassEvent, at: datetime) -> dict[str, Any]:
    identity = secrets.token_hex(16)
    payload = {
        "type": event.name.value,
        "timestamp": at.astimezone(UTC).isoformat(timespec="seconds"),
        # Number and type only: who wants to know more asks the API, with its scopes.
        "data": {"type": event.type_id, "number": event.number},
    }
    return {
        "tenant": tenant,
        "id": identity,
        "endpoint_id": endpoint_id,
        "event": event.name.value,
        "payload": msgspec.json.encode(payload).decode(),
        "created_at": at,
    }
