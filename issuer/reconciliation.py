"""Making a restored register agree with what has happened since its backup, as far as anybody can know.

Everything here only ever takes validity away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from issuer import audit, keyring, lifecycle, outgoing
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal
from issuer.eudi import status_lists
from issuer.holder_changes import RESIDENCE, supersede_certificate
from issuer.library import restored_cards
from issuer.lifecycle import Actor
from issuer.models import PassRow, RevisionRow, SequenceRow, StatusListRow, WithdrawnPlaceRow
from issuer.models_access import ApiClientRow, JobRow, VerifierDeviceRow
from issuer.models_delivery import WalletPassRow, WebhookEndpointRow
from issuer.models_eudi import IssuanceSessionRow
from issuer.models_imports import ImportRunRow
from issuer.models_staff import StaffAccountRow
from issuer.restored_lists import lists_in
from issuer.restored_log import LoggedCard, LoggedRevocation
from issuer.sequences import next_sequence
from issuer.staff.accounts import State
from issuer.status_allocation import CAPACITY, NUMBERS, half_year
from keys import lifecycle as key_lifecycle
from keys.errors import Refusal
from keys.lifecycle import KeyState
from passes.model import PassStatus
from passes.periods import berlin_day
from passes.status_list import Status, StatusList

# More lists than can have begun between a backup and its restore.
_NUMBERS_LEFT_OUT: Final = 1000
# A list that the register does not know is published for as long as a pass can hold.
_UNKNOWN_LIST_YEARS: Final = 5
_REASON: Final = "restore"
# What a restored place has is only ever replaced by what stands further behind here.
_STRONGER: Final = (Status.VALID, Status.SUSPENDED, Status.SUPERSEDED, Status.INVALID)
_RUNNING: Final = (PassStatus.ACTIVE, PassStatus.SUSPENDED)
_REVOCABLE: Final = (
    PassStatus.ACTIVE,
    PassStatus.SUSPENDED,
    PassStatus.EXPIRED,
    PassStatus.PENDING_PAYMENT,
)


@dataclass(slots=True)
class Reconciled:
    """What was taken back: passes and keys revoked, passes suspended, places of passes that nobody knows.

    ``superseded`` counts certificates of residence that had been superseded since.
    ``reissue`` are passes (type, number) whose seal was replaced after the backup: they need another one.
    ``cards`` counts card numbers replaced since, ``renumber`` are the passes that still have one of them.
    ``clients``, ``devices`` and ``webhooks`` count what was locked, since nobody knows what was since the backup.
    """

    passes: int = 0
    keys: int = 0
    suspended: int = 0
    superseded: int = 0
    places: int = 0
    clients: int = 0
    devices: int = 0
    webhooks: int = 0
    cards: int = 0
    reissue: dict[tuple[str, str], None] = field(default_factory=dict)
    renumber: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Run:
    session: Session
    tenant: str
    at: datetime
    actor: str
    done: Reconciled = field(default_factory=Reconciled)

    @property
    def by(self) -> Actor:
        return Actor(self.actor, self.at, _REASON)


def reconcile(
    session: Session,
    tenant: str,
    at: datetime,
    actor: str,
    revoked: Sequence[LoggedRevocation],
    published: Path | None,
    *,
    cards: Sequence[LoggedCard] = (),
    keep_credentials: bool,
) -> Reconciled:
    """Apply what the log says and the lists in ``published`` to the register restored in ``session``.

    The log says what was ``revoked``, and which ``cards`` were replaced.

    API clients, verifier devices and webhooks are locked unless ``keep_credentials``; who was not let in yet is
    forgotten in any case. Raises IssuerRefusal
    RESTORE_REVOCATION for a revocation that cannot be applied, RESTORE_LISTS for a list that is not this city's.
    """
    run = _Run(session, tenant, at, actor)
    _replay(run, revoked)
    for card in cards:
        if card.place is not None:
            _withdraw(run, card.place, Status.SUPERSEDED, card.type_id)
    if published is not None:
        for number, found in lists_in(session, tenant, published):
            _take_over(run, number, found)
    run.done.cards, run.done.renumber = restored_cards.spend_again(session, tenant, cards)
    for one in run.done.renumber:
        run.done.reissue.pop(one, None)
    _close_lists(run)
    _let_wallets_fetch(run)
    _end_jobs(run)
    _end_device_states(run)
    if not keep_credentials:
        _lock_credentials(run)
    facts: dict[str, audit.Fact] = {
        "passes_revoked": run.done.passes,
        "keys_revoked": run.done.keys,
        "suspended": run.done.suspended,
        "superseded": run.done.superseded,
        "places": run.done.places,
        "cards_replaced": run.done.cards,
        "clients_revoked": run.done.clients,
        "devices_locked": run.done.devices,
        "webhooks_disabled": run.done.webhooks,
    }
    audit.append(session, tenant, [AuditEvent("restore", "register", after=facts)], at, actor)
    return run.done


def _replay(run: _Run, revoked: Sequence[LoggedRevocation]) -> None:
    for one in revoked:
        try:
            if one.kid is not None:
                _revoke_key(run, one.kid)
            elif one.superseded_at is not None:
                row = run.session.get(PassRow, (run.tenant, one.type_id, one.number))
                # A number comes free again when its pass is deleted.
                if row is not None and row.created_at <= one.superseded_at:
                    _supersede(run, row)
                if one.place is not None:
                    _withdraw(run, one.place, Status.SUPERSEDED, one.type_id)
            else:
                is_meant = not one.seal_only or _has_seal(run, one)
                if is_meant and not _is_known(run, one.place):
                    _revoke_pass(run, one.type_id, one.number)
                if one.place is not None:
                    _withdraw(run, one.place, Status.INVALID, one.type_id)
        except Refusal as refusal:
            raise IssuerRefusal(
                "RESTORE_REVOCATION", file=one.file, line=one.line, code=refusal.code
            ) from refusal


def _revoke_key(run: _Run, kid: str) -> None:
    for record in keyring.records(run.session, run.tenant):
        # A key that the register does not know is in no bundle: nobody trusts it.
        if record.kid.hex() == kid and record.state is not KeyState.REVOKED:
            after = key_lifecycle.revoke(record, run.at)
            keyring.transition(run.session, record, after, run.at, run.actor, _REASON)
            status_lists.distrust(run.session, run.tenant, kid, run.at)
            run.done.keys += 1


def _has_seal(run: _Run, one: LoggedRevocation) -> bool:
    """Whether the pass is the one whose seal was withdrawn, and not a later one with its number."""
    revision = _revision_at(run, one.place) if one.place is not None else None
    return revision is not None and (revision.type_id, revision.number) == (one.type_id, one.number)


def _revoke_pass(run: _Run, type_id: str, number: str) -> None:
    """Revoke the pass with every seal that still stands: after a renewal there are two."""
    row = run.session.get(PassRow, (run.tenant, type_id, number))
    if row is None:
        return
    if row.status in _REVOCABLE:
        lifecycle.revoke(run.session, run.tenant, type_id, number, actor=run.by)
        run.done.passes += 1
    for one in run.session.scalars(
        select(RevisionRow).where(
            RevisionRow.tenant == run.tenant,
            RevisionRow.type_id == type_id,
            RevisionRow.number == number,
            RevisionRow.status_value.in_((int(Status.VALID), int(Status.SUSPENDED))),
        )
    ):
        one.status_value = int(Status.INVALID)
    run.session.flush()


def _supersede(run: _Run, row: PassRow) -> None:
    """Supersede a certificate of residence that holds, or would when it is resumed."""
    if row.status not in _RUNNING:
        return
    row, current = lifecycle.current_revision(run.session, run.tenant, row.type_id, row.number)
    supersede_certificate(run.session, row, current, run.at, run.actor)
    run.done.superseded += 1


def _is_known(run: _Run, place: tuple[int, int] | None) -> bool:
    """Whether the register knows that this seal was revoked: then also whether the right was given back."""
    revision = _revision_at(run, place) if place is not None else None
    return revision is not None and revision.status_value == Status.INVALID


def _withdraw(run: _Run, place: tuple[int, int], value: Status, type_id: str) -> None:
    """Make sure that ``place`` says ``value``, or something stronger."""
    revision = _revision_at(run, place)
    if revision is not None:
        revision.status_value = _stronger(revision.status_value, value)
        run.session.flush()
        return
    # Nobody can ever resume a pass that the register does not have.
    kept = Status.INVALID if value is Status.SUSPENDED else value
    row = run.session.get(WithdrawnPlaceRow, (run.tenant, *place))
    if row is not None:
        row.status_value = _stronger(row.status_value, kept)
    else:
        _know_list(run, place[0], type_id)
        run.session.add(
            WithdrawnPlaceRow(
                tenant=run.tenant,
                list_number=place[0],
                list_index=place[1],
                status_value=int(kept),
                at=run.at,
            )
        )
        run.done.places += 1
    run.session.flush()


def _stronger(one: int, other: Status) -> int:
    return int(max(Status(one), other, key=_STRONGER.index))


def _revision_at(run: _Run, place: tuple[int, int]) -> RevisionRow | None:
    return run.session.scalars(
        select(RevisionRow).where(
            RevisionRow.tenant == run.tenant,
            RevisionRow.list_number == place[0],
            RevisionRow.list_index == place[1],
        )
    ).one_or_none()


def _know_list(run: _Run, number: int, type_id: str) -> None:
    if run.session.get(StatusListRow, (run.tenant, number)) is None:
        last = berlin_day(run.at + timedelta(days=366 * _UNKNOWN_LIST_YEARS))
        run.session.add(
            StatusListRow(
                tenant=run.tenant,
                number=number,
                type_id=type_id,
                half_year=half_year(last),
                capacity=CAPACITY,
                used=CAPACITY,
            )
        )
        run.session.flush()


def _take_over(run: _Run, number: int, found: StatusList) -> None:
    for index, value in found.not_valid():
        _take_over_place(run, (number, index), value)


def _take_over_place(run: _Run, place: tuple[int, int], value: Status) -> None:
    revision = _revision_at(run, place)
    row = (
        run.session.get(PassRow, (run.tenant, revision.type_id, revision.number))
        if revision is not None
        else None
    )
    if revision is None or row is None:
        _withdraw(run, place, value, "")
        return
    current, stood = revision.superseded_at is None, revision.status_value != Status.SUPERSEDED
    if value is Status.INVALID and stood and not _is_known(run, place):
        # All standing seals of a pass say the same, so this one tells of the pass.
        _revoke_pass(run, row.type_id, row.number)
    elif value is Status.SUSPENDED and stood and row.status == PassStatus.ACTIVE:
        lifecycle.suspend(run.session, run.tenant, row.type_id, row.number, actor=run.by)
        run.done.suspended += 1
    elif value is Status.SUPERSEDED and row.type_id == RESIDENCE and (current or stood):
        # What it says is so no longer, or the phone was lost: the holder gets another either way.
        _supersede(run, row)
    elif value is Status.SUPERSEDED and (current or stood) and row.status in _REVOCABLE:
        # Both seals of a renewed pass tell of the same reissue.
        run.done.reissue[row.type_id, row.number] = None
    _withdraw(run, place, value, row.type_id)


def _close_lists(run: _Run) -> None:
    """Give out no place again that a pass may have which was issued after the backup."""
    session, tenant = run.session, run.tenant
    session.execute(
        update(StatusListRow).where(StatusListRow.tenant == tenant).values(used=StatusListRow.capacity)
    )
    highest = (
        session.scalar(select(func.max(StatusListRow.number)).where(StatusListRow.tenant == tenant)) or 0
    )
    floor = session.get(SequenceRow, (tenant, NUMBERS))
    if floor is None:
        session.add(SequenceRow(tenant=tenant, name=NUMBERS, last_value=highest + _NUMBERS_LEFT_OUT))
    else:
        floor.last_value = max(floor.last_value, highest) + _NUMBERS_LEFT_OUT
    session.flush()
    # Which of these became invalid since, no list outside says; invalid ones must never be valid again.
    status_lists.close_all(session, tenant, run.at, _NUMBERS_LEFT_OUT)
    # Codes that were used since would work again.
    session.execute(
        update(IssuanceSessionRow)
        .where(IssuanceSessionRow.tenant == tenant, IssuanceSessionRow.ended_at.is_(None))
        .values(ended_at=run.at)
    )


def _let_wallets_fetch(run: _Run) -> None:
    """Whatever phones have got since the backup: what the register says now is newer."""
    session, tenant = run.session, run.tenant
    tag = next_sequence(session, tenant, outgoing.SEQUENCE, run.at)
    moment = run.at.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
    mine = WalletPassRow.tenant == tenant
    for row in session.scalars(select(WalletPassRow).where(mine, WalletPassRow.modified_at >= moment)):
        row.update_tag, row.modified_at = tag, row.modified_at + timedelta(seconds=1)
    session.flush()
    session.execute(
        update(WalletPassRow)
        .where(mine, WalletPassRow.modified_at < moment)
        .values(update_tag=tag, modified_at=moment)
    )


def _end_jobs(run: _Run) -> None:
    """A bulk job that had not ended will not go on: its task is not in the backup."""
    session = run.session
    for job in session.scalars(
        select(JobRow).where(JobRow.tenant == run.tenant, JobRow.state.in_(("queued", "running")))
    ):
        job.state, job.finished_at = "failed", run.at
    # The file of an import is in no backup either. What it has made can be undone.
    session.execute(
        update(ImportRunRow)
        .where(
            ImportRunRow.tenant == run.tenant, ImportRunRow.state.in_(("checking", "importing", "undoing"))
        )
        .values(state="failed", ended_at=run.at)
    )
    session.execute(
        update(ImportRunRow)
        .where(ImportRunRow.tenant == run.tenant, ImportRunRow.state == "checked")
        .values(state="expired", ended_at=run.at)
    )
    session.flush()


def _end_device_states(run: _Run) -> None:
    """Forget invitations and devices that waited, and which leases ran: they are of minutes long gone.

    A device that still has a lease takes a new one when it next asks.
    """
    of_tenant = VerifierDeviceRow.tenant == run.tenant
    run.session.execute(delete(VerifierDeviceRow).where(of_tenant, VerifierDeviceRow.expires_at.is_not(None)))
    run.session.execute(update(VerifierDeviceRow).where(of_tenant).values(lease_until=None))


def _lock_credentials(run: _Run) -> None:
    """What was revoked, locked, changed or removed since the backup must not open anything again."""
    session, tenant = run.session, run.tenant
    for client in session.scalars(
        select(ApiClientRow).where(ApiClientRow.tenant == tenant, ApiClientRow.revoked_at.is_(None))
    ):
        client.revoked_at = run.at
        client.previous_hash = client.previous_until = None
        run.done.clients += 1
    for device in session.scalars(
        select(VerifierDeviceRow).where(
            VerifierDeviceRow.tenant == tenant, VerifierDeviceRow.locked_at.is_(None)
        )
    ):
        device.locked_at = run.at
        run.done.devices += 1
    # Somebody may have been locked, or have changed the password, since; `staff unlock` lets people in again.
    session.execute(
        update(StaffAccountRow).where(StaffAccountRow.tenant == tenant).values(state=State.LOCKED.value)
    )
    for endpoint in session.scalars(
        select(WebhookEndpointRow).where(
            WebhookEndpointRow.tenant == tenant, WebhookEndpointRow.disabled_at.is_(None)
        )
    ):
        endpoint.disabled_at = run.at
        run.done.webhooks += 1
    session.flush()
