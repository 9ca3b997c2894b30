"""The life of a pass after it was issued: change, revoke, suspend, resume, reissue.

Each is one step in the caller's writing transaction: a new revision or a new status, and its audit entry.
What an older revision showed stays in its status list as superseded, so that an old print answers. Approval and
renewal are steps of their own (`issuer.approval`, `issuer.renewal`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer import audit, outgoing
from issuer.audit import AuditEvent, Fact
from issuer.debts import check_no_debt
from issuer.doors import close_doors
from issuer.errors import RegisterRefusal
from issuer.importing.record import digest, status_word
from issuer.library.card_numbers import has_spent_number, take_card
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.models_library import MemberRow
from issuer.outgoing import EventName, PassEvent
from issuer.pass_changes import changed_attributes, known_columns
from issuer.register import (
    STATUS_VALUES,
    NewRevision,
    SealFor,
    WalletIdentity,
    content_of,
    subject,
)
from issuer.revocation_log import ReplacedCard, RevocationLog
from issuer.search_terms import replace_terms
from issuer.settings import record_key
from issuer.status_allocation import allocate
from passes.card_numbers import CardNumber
from passes.model import Attribute, PassContent, PassStatus, RegisteredPlate
from passes.pass_types import PassType
from passes.periods import Period, berlin_day
from passes.status_list import Status

_LONGEST_REASON: Final = 500
# What stands in the way, by the status that the pass has.
_STATE_CODES: Final = {
    PassStatus.ACTIVE: "PASS_NOT_SUSPENDED",
    PassStatus.SUSPENDED: "PASS_SUSPENDED",
    PassStatus.REVOKED: "PASS_REVOKED",
    PassStatus.SUPERSEDED: "PASS_SUPERSEDED",
    PassStatus.EXPIRED: "PASS_ENDED",
    PassStatus.PENDING_PAYMENT: "PASS_UNPAID",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, when (aware), and why; every step but a change needs a reason."""

    name: str
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """A change of status: what it is called, where it leads, and from where it may start."""

    action: str
    event: EventName
    status: PassStatus
    allowed: tuple[PassStatus, ...]


_REVOKE: Final = _Step(
    "revoke",
    EventName.REVOKED,
    PassStatus.REVOKED,
    (PassStatus.ACTIVE, PassStatus.SUSPENDED, PassStatus.EXPIRED, PassStatus.PENDING_PAYMENT),
)
_SUSPEND: Final = _Step("suspend", EventName.SUSPENDED, PassStatus.SUSPENDED, (PassStatus.ACTIVE,))
_RESUME: Final = _Step("resume", EventName.RESUMED, PassStatus.ACTIVE, (PassStatus.SUSPENDED,))


@dataclass(frozen=True, slots=True)
class Changes:
    """What `change` shall alter; None leaves a value as it is."""

    plates: tuple[RegisteredPlate, ...] | None = None
    zone_code: str | None = None
    card_number: CardNumber | None = None


def find_type(session: Session, tenant: str, number: str, type_id: str | None = None) -> str:
    """The type of the pass ``number``. Raises RegisterRefusal NUMBER_UNKNOWN, NUMBER_AMBIGUOUS."""
    query = select(PassRow.type_id).where(PassRow.tenant == tenant, PassRow.number == number)
    if type_id is not None:
        query = query.where(PassRow.type_id == type_id)
    found = session.scalars(query.order_by(PassRow.type_id)).all()
    if not found:
        raise RegisterRefusal("NUMBER_UNKNOWN", number=number)
    if len(found) > 1:
        raise RegisterRefusal("NUMBER_AMBIGUOUS", number=number, types=", ".join(found))
    return found[0]


def change(
    session: Session,
    tenant: str,
    pass_type: PassType,
    number: str,
    changes: Changes,
    *,
    seal_for: SealFor,
    actor: Actor,
    log: RevocationLog | None = None,
) -> PassContent:
    """Give the pass other plates, another zone or another card number: a new revision with a new seal.

    A card number that is replaced is noted in ``log``: then this is to be called last in the writing transaction, and
    OSError where the disk does not take the entry says that nothing must be committed.

    Raises RegisterRefusal NUMBER_UNKNOWN, the code of the state that forbids it (PASS_REVOKED, PASS_ENDED ...),
    NOTHING_CHANGES, ATTRIBUTE_NOT_OF_TYPE, PLATES_NOT_OF_KIND, PLATE_COUNT, CARD_TAKEN, CARD_SPENT, CARD_JUST_TAKEN;
    IssuerRefusal ZONE_UNKNOWN, or ZONE_ENDED for a zone that does not hold today (or when the pass begins, if later).
    """
    row, current = running(session, (tenant, pass_type.id, number), actor.at)
    before = stored_attributes.decode(pass_type, current.attributes)
    day = max(row.period_first, berlin_day(actor.at))
    after = changed_attributes(session, tenant, pass_type, before, changes, day)
    if after == before:
        raise RegisterRefusal("NOTHING_CHANGES", number=number)
    card, old_card = after.get("card_number"), row.card_key
    if isinstance(card, CardNumber) and card.text != row.card_key:
        take_card(session, row, card.text, actor.at)
    row.record = {**row.record, **known_columns(row, pass_type, after)}
    facts_before, facts_after = stored_attributes.facts(before), stored_attributes.facts(after)
    different = [name for name in facts_after if facts_before.get(name) != facts_after[name]]
    event = AuditEvent(
        "change",
        subject(pass_type.id, number),
        {name: facts_before.get(name) for name in different},
        {name: facts_after[name] for name in different},
        actor.reason,
    )
    following = NextRevision(after, event, WalletIdentity(current.serial, current.apple_token))
    content = supersede(session, pass_type, row, current, following, seal_for=seal_for, actor=actor)
    if log is not None and old_card is not None and old_card != row.card_key:
        log.cards(tenant, [ReplacedCard(pass_type.id, old_card, place_of(current))], actor.at)
    return content


def reissue(
    session: Session,
    tenant: str,
    pass_type: PassType,
    number: str,
    *,
    seal_for: SealFor,
    actor: Actor,
    keep_visit: str = "",
) -> PassContent:
    """Give the same right a new seal, serial and token, as after a lost phone; what was shown is superseded.

    Links, letter codes and visits end with it, but for the visit with the stored hash ``keep_visit``.
    Raises RegisterRefusal REASON_MISSING, NUMBER_UNKNOWN, or the code of the state that forbids it.
    """
    reason = reason_of(actor)
    row, current = running(session, (tenant, pass_type.id, number), actor.at)
    close_doors(session, tenant, pass_type.id, number, actor.at, keep_visit=keep_visit)
    attributes = stored_attributes.decode(pass_type, current.attributes)
    event = AuditEvent("reissue", subject(pass_type.id, number), None, {"revision": current.n + 1}, reason)
    following = NextRevision(attributes, event, WalletIdentity.fresh(), EventName.REISSUED)
    return supersede(session, pass_type, row, current, following, seal_for=seal_for, actor=actor)


def reseal(
    session: Session, tenant: str, pass_type: PassType, number: str, *, seal_for: SealFor, actor: Actor
) -> PassContent:
    """Give the same right a new seal and nothing else new, as after the revocation of a key.

    The pass in the wallet stays and is updated. A suspended pass stays suspended. Raises RegisterRefusal
    REASON_MISSING, NUMBER_UNKNOWN, or the code of the state that forbids it.
    """
    reason = reason_of(actor)
    row, current = current_revision(session, tenant, pass_type.id, number)
    if row.status != PassStatus.SUSPENDED:
        row, current = running(session, (tenant, pass_type.id, number), actor.at)
    attributes = stored_attributes.decode(pass_type, current.attributes)
    event = AuditEvent("reseal", subject(pass_type.id, number), None, {"revision": current.n + 1}, reason)
    following = NextRevision(attributes, event, WalletIdentity(current.serial, current.apple_token))
    return supersede(session, pass_type, row, current, following, seal_for=seal_for, actor=actor)


def revoke(session: Session, tenant: str, type_id: str, number: str, *, actor: Actor) -> None:
    """End the right for good. Raises RegisterRefusal as `reissue` does."""
    row = _take(_REVOKE, session, (tenant, type_id, number), actor)
    key = record_key(session, tenant)
    known = {
        "revoked_on": berlin_day(actor.at).isoformat(),
        "revocation_reason": actor.reason or "",
    }
    row.record = row.record | {
        name: digest(key, name, text) for name, text in known.items() if name in row.record
    }
    session.flush()


def suspend(session: Session, tenant: str, type_id: str, number: str, *, actor: Actor) -> None:
    """Put the right on hold. Raises RegisterRefusal as `reissue` does."""
    _take(_SUSPEND, session, (tenant, type_id, number), actor)


def resume(session: Session, tenant: str, type_id: str, number: str, *, actor: Actor) -> None:
    """Let a suspended right hold again. Raises RegisterRefusal as `suspend` does, PASS_IN_DEBT."""
    check_no_debt(session, tenant, type_id, number)
    row = _take(_RESUME, session, (tenant, type_id, number), actor)
    # Why a library's card was held back goes with the block, whoever ends it.
    session.execute(
        update(MemberRow)
        .where(MemberRow.tenant == tenant, MemberRow.type_id == type_id, MemberRow.number == number)
        .values(block_reason=None, blocked_at=None)
    )
    if "block_reason" in row.record:
        row.record = row.record | {"block_reason": None}
    session.flush()


def current_revision(session: Session, tenant: str, type_id: str, number: str) -> tuple[PassRow, RevisionRow]:
    """The pass and its current revision, locked for a change. Raises RegisterRefusal NUMBER_UNKNOWN."""
    row = session.get(PassRow, (tenant, type_id, number), with_for_update=True, populate_existing=True)
    if row is None:
        raise RegisterRefusal("NUMBER_UNKNOWN", number=number)
    current = session.scalars(
        select(RevisionRow).where(
            RevisionRow.tenant == tenant,
            RevisionRow.type_id == type_id,
            RevisionRow.number == number,
            RevisionRow.superseded_at.is_(None),
        )
    ).one()
    return row, current


def running(session: Session, key: tuple[str, str, str], at: datetime) -> tuple[PassRow, RevisionRow]:
    """The pass ``key`` if it is active and its last day has not passed: only that gets a new seal.

    Raises RegisterRefusal NUMBER_UNKNOWN, or the code of the state that forbids it.
    """
    tenant, type_id, number = key
    row, current = current_revision(session, tenant, type_id, number)
    if row.status != PassStatus.ACTIVE:
        raise wrong_state(row)
    if row.period_last < berlin_day(at):
        raise RegisterRefusal("PASS_ENDED", number=number, last=row.period_last.isoformat())
    return row, current


def place_of(revision: RevisionRow) -> tuple[int, int] | None:
    """The list number and index of the revision's seal; None if it has none."""
    if revision.list_number is None or revision.list_index is None:
        return None
    return revision.list_number, revision.list_index


def _standing(session: Session, row: PassRow) -> Sequence[RevisionRow]:
    """The revisions whose seals still say what the pass says: the current one, and the one before a renewal.

    A seal that was revoked says so for ever, also when the right was given back with another one.
    """
    return session.scalars(
        select(RevisionRow).where(
            RevisionRow.tenant == row.tenant,
            RevisionRow.type_id == row.type_id,
            RevisionRow.number == row.number,
            RevisionRow.status_value.not_in((int(Status.SUPERSEDED), int(Status.INVALID))),
        )
    ).all()


def wrong_state(row: PassRow) -> RegisterRefusal:
    """The refusal of a step that the status of the pass does not allow."""
    last = row.period_last.isoformat()
    return RegisterRefusal(_STATE_CODES[PassStatus(row.status)], number=row.number, last=last)


def reason_of(actor: Actor) -> str:
    """The reason that ``actor`` gives. Raises RegisterRefusal REASON_MISSING."""
    reason = (actor.reason or "").strip()
    if not reason or len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise RegisterRefusal("REASON_MISSING", limit=_LONGEST_REASON)
    return reason


def _take(step: _Step, session: Session, key: tuple[str, str, str], actor: Actor) -> PassRow:
    """Take ``step`` with the pass (tenant, type id, number)."""
    reason = reason_of(actor)
    tenant, type_id, number = key
    row, current = current_revision(session, tenant, type_id, number)
    if row.status not in step.allowed:
        raise wrong_state(row)
    before: dict[str, Fact] = {"status": row.status}
    row.status = step.status.value
    row.updated_at = actor.at
    # One that was superseded stays so: what an old print showed does not come back.
    for one in _standing(session, row):
        one.status_value = int(STATUS_VALUES[step.status])
    if "status" in row.record:
        row.record = {**row.record, "status": status_word(step.status)}
    session.flush()
    event = AuditEvent(step.action, subject(type_id, number), before, {"status": step.status.value}, reason)
    audit.append(session, tenant, [event], actor.at, actor.name)
    outgoing.note(session, tenant, [PassEvent(step.event, type_id, number, current.serial)], actor.at)
    return row


@dataclass(frozen=True, slots=True)
class NextRevision:
    """What the next revision of a pass is to say, what the audit trail says of it, and who it is to wallets.

    ``older_stand``: the seals until now stay good until their own last day, as after a renewal.
    """

    attributes: Mapping[str, Attribute]
    event: AuditEvent
    wallet: WalletIdentity
    name: EventName = EventName.CHANGED
    older_stand: bool = False


def supersede(
    session: Session,
    pass_type: PassType,
    row: PassRow,
    current: RevisionRow,
    following: NextRevision,
    *,
    seal_for: SealFor,
    actor: Actor,
) -> PassContent:
    """Supersede the current revision by one in a new place of the status list; the pass keeps its status.

    Raises RegisterRefusal CARD_REPLACED for a card whose number was replaced after the backup it was restored from.
    """
    if has_spent_number(session, row):
        raise RegisterRefusal("CARD_REPLACED", card=row.card_key, number=row.number)
    period = Period(row.period_first, row.period_last)
    if not following.older_stand:
        for older in _standing(session, row):
            older.status_value = int(Status.SUPERSEDED)
    current.superseded_at = actor.at
    row.updated_at = actor.at
    session.flush()
    place = allocate(session, row.tenant, row.type_id, row.period_last, 1)[0]
    new = NewRevision(
        tenant=row.tenant,
        type_id=row.type_id,
        number=row.number,
        n=current.n + 1,
        attributes=following.attributes,
        place=place,
        value=STATUS_VALUES[PassStatus(row.status)],
        seal=seal_for(row.number, period, following.attributes, place),
        at=actor.at,
        wallet=following.wallet,
    )
    session.execute(insert(RevisionRow), [new.row()])
    audit.append(session, row.tenant, [following.event], actor.at, actor.name)
    replace_terms(session, row.tenant, row.type_id, row.number, following.attributes)
    says_else = stored_attributes.encode(following.attributes) != current.attributes
    notes = [PassEvent(following.name, new.type_id, new.number, new.wallet.serial, says_else)]
    outgoing.note(session, row.tenant, notes, actor.at)
    # A reissue changes two passes as wallets see it: the new one, and the old one, which is void from now on.
    if new.wallet.serial != current.serial:
        outgoing.moved(session, row.tenant, {current.serial: (row.type_id, row.number)}, actor.at)
    revision = session.get(RevisionRow, (new.tenant, new.type_id, new.number, new.n))
    if revision is None:
        raise LookupError("the revision just stored is gone")
    holder = session.get(HolderRow, (row.tenant, row.holder_ref))
    return content_of(pass_type, row, revision, holder)
