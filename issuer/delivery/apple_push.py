"""Pushing to phones: telling Apple's push service that a pass of theirs has changed.

A push says nothing but that; the phone then asks the web service what is new, and fetches it. So a push that is
sent twice does no harm, and one for a device covers everything on it that has changed so far.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session

from issuer import keyring
from issuer.application import Application, Json
from issuer.background.tasks import Queue, RetryLater, Task
from issuer.counters import PUSHES
from issuer.delivery import apns_client
from issuer.delivery.apns_client import Answer, ApnsClient, ProviderToken
from issuer.errors import IssuerRefusal
from issuer.models_delivery import AppleDeviceRow, AppleRegistrationRow, WalletPassRow
from issuer.outgoing import PUSH_TASK, EventName, PassEvent, tell
from issuer.status_allocation import chunks
from keys.errors import KeyRefusal
from keys.lifecycle import KeyRecord, Purpose
from keys.tls_identity import client_context, server_check

# Devices whose results are written in one transaction.
CHUNK: Final = 200
_IN_CLAUSE: Final = 500
# Tokens that Apple does not take: BadDeviceToken and DeviceTokenNotForTopic with 400; 410 whatever the reason.
_BAD_TOKEN: Final = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic"})
# What Apple says of us and not of a device; also every 403.
_OPERATOR: Final = frozenset({"BadTopic", "MissingTopic", "TopicDisallowed"})
# If Apple takes none of so many tokens, it is the operator who has changed something, not all the phones.
_ALL_BAD: Final = 20
_log = logging.getLogger("stadtpass.apple")


@dataclass(frozen=True, slots=True)
class _Device:
    """A device to push to, and what it is to know of then: the newest tag by serial."""

    device_id: str
    push_token: str = field(repr=False)
    tags: Mapping[str, int]


@dataclass(slots=True)
class _Left:
    """Why something is left to do, and when to try again."""

    reason: str = ""
    seconds: float | None = None

    def note(self, reason: str, seconds: float | None = None) -> None:
        """The longest wait that somebody asked for counts."""
        self.reason = self.reason or reason or "UNKNOWN"
        if seconds is not None:
            self.seconds = max(self.seconds or 0, seconds)


def run(application: Application, payload: Json) -> None:
    """Push to the devices that have one of ``payload["serials"]`` and do not know its newest version.

    Raises RetryLater for the devices that are left.
    """
    serials = [str(one) for one in payload["serials"]]
    if not application.config.apple.push:
        _say_once(application.tenant, "apple push is switched off")
        return
    with application.reading() as session:
        devices = _due(session, application.tenant, serials)
    if not devices:
        return
    slowly = application.config.background.longest_wait_seconds
    left = _Left()
    try:
        client = _client(application)
        if client is None:
            _say_once(application.tenant, "apple push has no certificate or key")
            return
        for chunk in chunks(devices, CHUNK):
            at = application.now()
            answers = client.push_all([one.push_token for one in chunk], at)
            for answer in answers:
                PUSHES.labels(_result(answer)).inc()
            if _no_token_is_good(answers):
                _log.error("apple push takes no device token at all", extra={"reason": answers[0].reason})
                left.note(answers[0].reason, slowly)
                break
            with application.writing() as session:
                _record(session, application, list(zip(chunk, answers, strict=True)), at, left)
            if refused := next(filter(_is_about_us, answers), None):
                _log.error("apple push refuses us", extra={"reason": refused.reason})
                _forget(application.tenant)
                left.note(refused.reason, slowly)
                break
            if not any(one.status for one in answers):
                # Nobody is there: the rest would only wait as long again.
                break
    except KeyRefusal as refusal:
        _log.error("apple push impossible", extra={"reason": refusal.code})
        left.note(refusal.code, slowly)
    if left.reason:
        raise RetryLater(left.reason, left.seconds)


TASKS: tuple[Task, ...] = (Task(PUSH_TASK, Queue.DELIVERY, run),)


def outstanding(session: Session, tenant: str) -> list[str]:
    """The serials that phones have and that Apple has not taken a push for since their last change."""
    found = _registered(tenant).with_only_columns(AppleRegistrationRow.serial).distinct()
    return sorted(session.scalars(found.where(_is_due())))


def count_outstanding(session: Session, tenant: str) -> int:
    """How many registrations wait for a push."""
    found = _registered(tenant).with_only_columns(func.count(AppleRegistrationRow.serial))
    return session.scalar(found.where(_is_due())) or 0


def close_clients() -> None:
    """Close all connections to Apple, as at the end of the process."""
    with _clients_lock:
        clients = [client for _, client in _clients.values()]
        _clients.clear()
    for client in clients:
        client.close()
    apns_client.stop()


def _is_due() -> ColumnElement[bool]:
    return or_(
        AppleRegistrationRow.pushed_tag < WalletPassRow.update_tag,
        AppleRegistrationRow.pushed_tag < AppleRegistrationRow.registered_tag,
    )


def _registered(tenant: str) -> Select[AppleRegistrationRow, int]:
    return (
        select(AppleRegistrationRow, WalletPassRow.update_tag)
        .join(
            WalletPassRow,
            (WalletPassRow.tenant == tenant) & (WalletPassRow.serial == AppleRegistrationRow.serial),
        )
        .where(AppleRegistrationRow.tenant == tenant)
    )


def _due(session: Session, tenant: str, serials: Sequence[str]) -> list[_Device]:
    """The devices with something due among ``serials``, with everything that is due on them."""
    wanted: set[str] = set()
    for chunk in chunks(serials, _IN_CLAUSE):
        found = _registered(tenant).with_only_columns(AppleRegistrationRow.device_id)
        wanted.update(session.scalars(found.where(_is_due(), AppleRegistrationRow.serial.in_(chunk))))
    tags: dict[str, dict[str, int]] = {}
    tokens: dict[str, str] = {}
    for chunk in chunks(sorted(wanted), _IN_CLAUSE):
        due = _registered(tenant).where(_is_due(), AppleRegistrationRow.device_id.in_(chunk))
        for row, update_tag in session.execute(due):
            tags.setdefault(row.device_id, {})[row.serial] = max(update_tag, row.registered_tag)
        tokens.update(
            session.execute(
                select(AppleDeviceRow.device_id, AppleDeviceRow.push_token).where(
                    AppleDeviceRow.tenant == tenant, AppleDeviceRow.device_id.in_(chunk)
                )
            ).all()
        )
    return [_Device(one, tokens[one], tags[one]) for one in sorted(tags)]


def _no_token_is_good(answers: Sequence[Answer]) -> bool:
    return len(answers) >= _ALL_BAD and all(one.status == 400 and one.reason in _BAD_TOKEN for one in answers)


def _is_about_us(answer: Answer) -> bool:
    return answer.status == 403 or (answer.status == 400 and answer.reason in _OPERATOR)


def _record(
    session: Session,
    application: Application,
    results: Sequence[tuple[_Device, Answer]],
    asked_at: datetime,
    left: _Left,
) -> None:
    """Write down what became of the pushes; whatever a phone has changed meanwhile counts more."""
    tenant, now = application.tenant, application.now()
    rows = {
        row.device_id: row
        for row in session.scalars(
            select(AppleDeviceRow).where(
                AppleDeviceRow.tenant == tenant,
                AppleDeviceRow.device_id.in_([device.device_id for device, _ in results]),
            )
        )
    }
    taken: list[_Device] = []
    gone: list[str] = []
    for device, answer in results:
        row = rows.get(device.device_id)
        if row is None:
            continue
        if row.push_token != device.push_token:
            # Registered anew while the push was under way, which queues a push of its own.
            continue
        if answer.status == 200:
            taken.append(device)
            row.failing_since = None
        elif _is_gone(answer) and row.updated_at <= (answer.gone_since or asked_at):
            gone.append(device.device_id)
        else:
            if answer.status and not _is_about_us(answer):
                row.failing_since = row.failing_since or now
            left.note(answer.reason or f"STATUS_{answer.status}", answer.retry_after)
    session.flush()
    _mark(session, tenant, taken)
    _drop(session, tenant, gone, now)


def _result(answer: Answer) -> str:
    if answer.status == 200:
        return "taken"
    if _is_gone(answer):
        return "gone"
    return f"status-{answer.status}" if answer.status else "unreachable"


def _is_gone(answer: Answer) -> bool:
    return answer.status == 410 or (answer.status == 400 and answer.reason in _BAD_TOKEN)


def _mark(session: Session, tenant: str, devices: Iterable[_Device]) -> None:
    marks = [
        {"of_device": device.device_id, "of_serial": serial, "tag": tag}
        for device in devices
        for serial, tag in device.tags.items()
    ]
    if marks:
        table = AppleRegistrationRow.__table__
        session.connection().execute(
            update(AppleRegistrationRow)
            .where(
                table.c.tenant == tenant,
                table.c.device_id == bindparam("of_device"),
                table.c.serial == bindparam("of_serial"),
                table.c.pushed_tag < bindparam("tag"),
            )
            .values(pushed_tag=bindparam("tag")),
            marks,
        )


def _drop(session: Session, tenant: str, device_ids: Sequence[str], at: datetime) -> None:
    """Forget devices that can be reached no more, and say that their passes are gone from there."""
    if not device_ids:
        return
    mine = (AppleRegistrationRow.tenant == tenant, AppleRegistrationRow.device_id.in_(device_ids))
    lost = session.execute(
        select(WalletPassRow.type_id, WalletPassRow.number, WalletPassRow.serial)
        .join(
            AppleRegistrationRow,
            (AppleRegistrationRow.tenant == tenant) & (AppleRegistrationRow.serial == WalletPassRow.serial),
        )
        .where(WalletPassRow.tenant == tenant, *mine)
    ).all()
    session.execute(delete(AppleRegistrationRow).where(*mine))
    session.execute(
        delete(AppleDeviceRow).where(
            AppleDeviceRow.tenant == tenant, AppleDeviceRow.device_id.in_(device_ids)
        )
    )
    tell(session, tenant, [PassEvent(EventName.CARRIER_REMOVED, *one) for one in lost], at)
    _log.info("devices dropped", extra={"count": len(device_ids)})


_clients_lock = threading.Lock()
# The client of a tenant with what it was made for; a new key or address makes a new one.
_clients: dict[str, tuple[tuple[str, ...], ApnsClient]] = {}
_said: set[tuple[str, str]] = set()


def _say_once(tenant: str, text: str) -> None:
    if (tenant, text) not in _said:
        _said.add((tenant, text))
        _log.warning(text)


def _client(application: Application) -> ApnsClient | None:
    """The kept connection for the key that counts now; None if the city has nothing to prove itself with.

    Raises KeyRefusal for a certificate that has ended or does not fit, or a key that cannot be used.
    """
    config, at = application.config.apple, application.now()
    with application.reading() as session:
        try:
            record = _record_to_use(session, application.tenant, at)
        except IssuerRefusal:
            return None
        settings = application.settings(session)
    topic, team = settings.apple_pass_type_identifier, settings.apple_team_identifier
    if not record.provider_key_id:
        # Each time, since a certificate ends while a connection lives: refused before anything is sent.
        keyring.apple_identity(record, application.keys).check(topic, team, at)
    made_for = (record.kid.hex(), record.provider_key_id, topic, team, config.push_url, config.push_ca_file)
    with _clients_lock:
        known = _clients.get(application.tenant)
        if known is not None and known[0] == made_for:
            return known[1]
        client = _made(application, record, topic, team)
        _clients[application.tenant] = (made_for, client)
    if known is not None:
        known[1].close()
    return client


def _record_to_use(session: Session, tenant: str, at: datetime) -> KeyRecord:
    """The push key if there is one, otherwise the pass certificate. Raises IssuerRefusal NO_SIGNING_KEY."""
    own = keyring.has_signing_key(session, tenant, Purpose.APNS)
    return keyring.signing_record(session, tenant, Purpose.APNS if own else Purpose.APPLE_PASS, at)


def _made(application: Application, record: KeyRecord, topic: str, team: str) -> ApnsClient:
    config = application.config.apple
    ca_file = Path(config.push_ca_file) if config.push_ca_file else None
    token = None
    if record.provider_key_id:
        token = ProviderToken(application.keys.signer(record.uri), record.provider_key_id, team)
        context = server_check(ca_file)
    else:
        identity = keyring.apple_identity(record, application.keys)
        shown = (identity.certificate, *(one for one in identity.chain if one.issuer != one.subject))
        context = client_context(application.keys, record.uri, shown, ca_file)
    return ApnsClient(config.push_url, topic, context, config.timeout_seconds, token)


def _forget(tenant: str) -> None:
    """Begin anew next time, with a new connection and a new token."""
    with _clients_lock:
        known = _clients.pop(tenant, None)
    if known is not None:
        known[1].close()
