"""What the lists have to say at one moment, read from one state of the register.

Every run of a publisher has a number, which becomes the sequence of whatever it signs. It is taken first, in a short
writing transaction; then comes this reading transaction, and it gives up if a higher number has been taken meanwhile.
So of any two runs the one with the higher number has read the newer state: its number was taken after the other had
begun to read, and it began to read after that. Whoever goes by sequences, as devices do, never goes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from issuer import keyring
from issuer.database import writing
from issuer.models import AuditHeadRow, SequenceRow
from issuer.plate_table import PlateTable, table_since, whole_table
from issuer.sequences import next_sequence
from issuer.settings import Settings, load_settings
from issuer.status_allocation import last_touched, not_valid, status_entries
from issuer.trust_bundle import BundlePlan, p256, plan_bundle
from keys.errors import Refusal
from keys.lifecycle import KeyRecord, Purpose
from keys.store import KeyManager
from passes.pass_types import PassTypes
from passes.periods import berlin_day
from passes.plate_list import PlateList, read_plate_list, verified_plate_list
from passes.status_list import Status

# A list is kept this long after its last seal has expired, and after the last seal that it got or lost:
# records may be taken over from an old register when they have ended already, and their prints still lie in cars.
KEPT = timedelta(days=30)
# Every run takes a number for the index. Lists had numbers of their own once, none higher than the index's.
_RUNS = "index"


@dataclass(frozen=True, slots=True)
class PublishedPlates:
    """The plate list that is out, and the newest audit entry whose change it holds."""

    data: bytes
    audit_sequence: int


@dataclass(frozen=True, slots=True)
class ListContent:
    """What a run publishes. ``statuses`` has the entries of each list that are not valid.

    ``audit_sequence`` is the newest audit entry of the state that was read: the lists hold every change up to it.
    ``plates`` is None where the plate list stays as it was published before; ``plates_renew_at`` is when (seconds)
    everything in it has to be read again.
    """

    tenant: str
    number: int
    at: datetime
    audit_sequence: int
    settings: Settings
    list_key: KeyRecord
    bundle: BundlePlan
    statuses: Mapping[int, Sequence[tuple[int, Status]]]
    plates: PlateTable | None
    plates_renew_at: int
    epoch_keys: Mapping[int, bytes]
    unpublished: frozenset[bytes]


def take_number(engine: Engine, tenant: str, at: datetime) -> int:
    """The number of a new run at the aware time ``at``, used up at once. Raises IssuerRefusal TENANT_UNKNOWN."""
    with writing(engine) as session:
        load_settings(session, tenant)
        return next_number(session, tenant, at)


def next_number(session: Session, tenant: str, at: datetime) -> int:
    """As `take_number`, in the caller's writing transaction."""
    return next_sequence(session, tenant, _RUNS, at)


def is_newest(session: Session, tenant: str, number: int) -> bool:
    """Whether no run with a higher number had begun when ``session`` began to read."""
    last = session.scalar(
        select(SequenceRow.last_value).where(SequenceRow.tenant == tenant, SequenceRow.name == _RUNS)
    )
    return last == number


def read_content(
    session: Session,
    tenant: str,
    pass_types: PassTypes,
    manager: KeyManager,
    number: int,
    at: datetime,
    plates_before: PublishedPlates | None = None,
) -> ListContent | None:
    """What the run ``number`` of the aware time ``at`` publishes; None if another has begun since.

    ``session`` must be one of `issuer.database.reading` that was begun after the number was taken. From
    ``plates_before`` only what has changed is read. Raises IssuerRefusal NO_SIGNING_KEY, KeyRefusal where the list
    key may not sign now.
    """
    if not is_newest(session, tenant, number):
        return None
    settings = load_settings(session, tenant)
    head = session.scalar(select(AuditHeadRow.sequence).where(AuditHeadRow.tenant == tenant))
    list_key = keyring.signing_record(session, tenant, Purpose.LIST, at)
    epoch_keys = keyring.epoch_keys(session, tenant, manager)
    now, half = int(at.timestamp()), renew_after(settings.list_ttl, settings.plate_list_expiry)
    plates: PlateTable | None = None
    old = _readable(plates_before, list_key) if plates_before is not None else None
    if old is not None and plates_before is not None and old.epoch_keys == epoch_keys:
        read_at = old.frame.expires - int(settings.plate_list_expiry.total_seconds())
        if old.frame.ttl == settings.list_ttl.total_seconds() and read_at <= now < read_at + half:
            plates = table_since(session, tenant, pass_types, old, plates_before.audit_sequence, at)
    plates = plates or whole_table(session, tenant, settings, at)
    return ListContent(
        tenant=tenant,
        number=number,
        at=at,
        audit_sequence=head or 0,
        settings=settings,
        list_key=list_key,
        bundle=plan_bundle(session, tenant, pass_types, settings),
        statuses=_statuses(session, tenant, at),
        plates=None
        if old is not None and (plates.lines, plates.expires) == (old.table, old.frame.expires)
        else plates,
        plates_renew_at=plates.expires - int(settings.plate_list_expiry.total_seconds()) + half,
        epoch_keys=epoch_keys,
        unpublished=frozenset(
            one.kid
            for one in keyring.records(session, tenant)
            if one.purpose in keyring.PUBLISHED and one.published_at is None
        ),
    )


def renew_after(ttl: timedelta, life: timedelta) -> int:
    """After how many seconds a list is signed anew; if that fails, it is neither stale nor expired for as long."""
    return int(min(ttl, life).total_seconds()) // 2


def _readable(plates: PublishedPlates, list_key: KeyRecord) -> PlateList | None:
    """The list, if the key that signs now has signed it."""
    with suppress(Refusal):
        return verified_plate_list(read_plate_list(plates.data), p256(list_key))
    return None


def _statuses(session: Session, tenant: str, at: datetime) -> dict[int, list[tuple[int, Status]]]:
    oldest = at - KEPT
    ended: list[int] = []
    statuses: dict[int, list[tuple[int, Status]]] = {}
    for one in status_entries(session, tenant):
        statuses[one.number] = []
        if one.last_expiry is not None and one.last_expiry < berlin_day(oldest):
            ended.append(one.number)
    touched = last_touched(session, tenant, ended) if ended else {}
    for number in ended:
        if touched.get(number, oldest) <= oldest:
            del statuses[number]
    for number, index, value in not_valid(session, tenant):
        if number in statuses:
            statuses[number].append((index, Status(value)))
    return statuses
