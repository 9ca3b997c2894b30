"""The register: entering checked rows, and reading passes back as what carriers and lists are made from."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

import msgspec
from sqlalchemy import Text, cast, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer import audit, outgoing
from issuer.audit import AuditEvent
from issuer.errors import RegisterRefusal
from issuer.holder_changes import RESIDENCE, Certified, put_holders, supersede_older
from issuer.holders import holder_of
from issuer.importing.check_file import AcceptedRow
from issuer.library.card_numbers import check_unspent, spend
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.models_library import MemberRow
from issuer.outgoing import EventName, PassEvent
from issuer.revocation_log import ReplacedCard, RevocationLog, RevokedPass
from issuer.search_terms import add_terms
from issuer.status_allocation import allocate, chunks, half_year
from passes.model import Attribute, PassContent, PassStatus
from passes.pass_types import PassType
from passes.periods import Period, berlin_day
from passes.plate_list import plate_line
from passes.status_list import Status

# (number, period, attributes, (list number, index)) -> (hex kid, SP1 text)
SealFor = Callable[[str, Period, Mapping[str, Attribute], tuple[int, int]], tuple[str, str]]

_CHUNK: Final = 500
_SERIAL_BYTES: Final = 16
_TOKEN_BYTES: Final = 32
STATUS_VALUES: Final[Mapping[PassStatus, Status]] = {
    PassStatus.ACTIVE: Status.VALID,
    PassStatus.EXPIRED: Status.VALID,
    PassStatus.REVOKED: Status.INVALID,
    PassStatus.SUSPENDED: Status.SUSPENDED,
    PassStatus.SUPERSEDED: Status.SUPERSEDED,
    # Nothing was issued, so there is no entry; the value is never published.
    PassStatus.PENDING_PAYMENT: Status.INVALID,
}


@dataclass(frozen=True, slots=True)
class WalletIdentity:
    """How the wallets know a pass: Apple lets neither serial nor token of an installed pass change.

    A change keeps both, so that the pass on the phone is updated; a reissue takes fresh ones, so that the lost
    phone's pass is cut off.
    """

    serial: str
    apple_token: str = field(repr=False)

    @classmethod
    def fresh(cls) -> Self:
        """A random serial of 128 bits and token of 256 bits."""
        return cls(secrets.token_hex(_SERIAL_BYTES), secrets.token_hex(_TOKEN_BYTES))


@dataclass(frozen=True, slots=True)
class NewRevision:
    """What makes a revision: the place in a status list and the seal are None if none is issued."""

    tenant: str
    type_id: str
    number: str
    n: int
    attributes: Mapping[str, Attribute]
    place: tuple[int, int] | None
    value: Status
    seal: tuple[str, str] | None
    at: datetime
    wallet: WalletIdentity = field(default_factory=WalletIdentity.fresh)

    def row(self) -> dict[str, Any]:
        """The revision as a row."""
        return {
            "tenant": self.tenant,
            "serial": self.wallet.serial,
            "type_id": self.type_id,
            "number": self.number,
            "n": self.n,
            "attributes": stored_attributes.encode(self.attributes),
            "list_number": self.place[0] if self.place else None,
            "list_index": self.place[1] if self.place else None,
            "status_value": int(self.value),
            "kid": self.seal[0] if self.seal else None,
            "seal": self.seal[1] if self.seal else None,
            "apple_token": self.wallet.apple_token,
            "issued_at": self.at,
            "superseded_at": None,
        }


def subject(type_id: str, number: str) -> str:
    """How the audit trail names a pass."""
    return audit.pass_subject(type_id, number)


def insert_passes(
    session: Session,
    tenant: str,
    rows: Sequence[AcceptedRow],
    seal_for: SealFor,
    *,
    at: datetime,
    actor: str,
    log: RevocationLog | None = None,
    action: str = "import",
) -> list[str]:
    """Enter ``rows`` with holders, first revisions, seals and audit entries, in the caller's transaction.

    A row that another process has entered meanwhile is left out if it is the same. The rows that come in revoked, the
    certificates that are superseded and the card numbers that rows replace are noted in ``log`` as the last step
    before the caller commits. ``action`` is what the audit trail calls it. Returns the serials of the new revisions.
    Raises RegisterRefusal REGISTER_CHANGED if another process has entered something else under a number or card
    number, or replaced one of the card numbers; the caller rolls back and checks the file again.
    """
    new = _not_yet_entered(session, tenant, rows)
    if not new:
        return []
    places = _places(session, tenant, new)
    revisions: list[dict[str, Any]] = []
    for row in new:
        place = places.get(row.number)
        seal = seal_for(row.number, row.period, row.attributes, place) if place is not None else None
        value = STATUS_VALUES[row.status]
        revisions.append(
            NewRevision(tenant, row.type_id, row.number, 1, row.attributes, place, value, seal, at).row()
        )
    superseded = put_holders(session, tenant, {row.holder.ref: row.holder for row in new}, at, actor)
    try:
        session.execute(insert(PassRow), [_pass_row(tenant, row, at) for row in new])
        session.execute(insert(RevisionRow), revisions)
        _put_members(session, tenant, new, at, actor)
    except (IntegrityError, RegisterRefusal) as fault:
        raise RegisterRefusal("REGISTER_CHANGED") from fault
    add_terms(session, tenant, [(row.type_id, row.number, row.attributes) for row in new])
    audit.append(session, tenant, [_entered(row, places.get(row.number), action) for row in new], at, actor)
    _check_cards(session, tenant, new)
    entered = {one["serial"]: (one["type_id"], one["number"]) for one in revisions}
    outgoing.moved(session, tenant, entered, at)
    said = {one["number"]: one["attributes"] for one in revisions}
    certified = [
        Certified(row.number, row.holder.ref, row.period.first, said[row.number])
        for row in new
        if row.type_id == RESIDENCE and row.status is PassStatus.ACTIVE
    ]
    if certified:
        superseded += supersede_older(session, tenant, certified, at, actor)
    outgoing.tell(
        session,
        tenant,
        [
            PassEvent(EventName.ISSUED, one["type_id"], one["number"], one["serial"])
            for one, row in zip(revisions, new, strict=True)
            if row.status is PassStatus.ACTIVE
        ],
        at,
    )
    withdrawn = [
        RevokedPass(row.type_id, row.number, places.get(row.number))
        for row in new
        if row.status is PassStatus.REVOKED
    ]
    if log is not None:
        log.passes(tenant, withdrawn, at)
        log.superseded(tenant, superseded, at)
        replaced = [
            ReplacedCard(row.type_id, row.replaces, None)
            for row in new
            if row.member is not None and row.replaces
        ]
        log.cards(tenant, replaced, at)
    return [revision["serial"] for revision in revisions]


def load_contents(
    session: Session, tenant: str, pass_type: PassType, numbers: Iterable[str]
) -> Iterator[PassContent]:
    """The current revisions of the passes with ``numbers``, in that order, with the letter's recipient.

    A pass without a seal (unpaid) has an empty one. Numbers that the register lacks are left out.
    """
    for chunk in chunks(list(numbers), _CHUNK):
        rows = session.execute(
            select(PassRow, RevisionRow, HolderRow)
            .join(
                RevisionRow,
                (RevisionRow.tenant == PassRow.tenant)
                & (RevisionRow.type_id == PassRow.type_id)
                & (RevisionRow.number == PassRow.number),
            )
            .join(HolderRow, (HolderRow.tenant == PassRow.tenant) & (HolderRow.ref == PassRow.holder_ref))
            .where(
                PassRow.tenant == tenant,
                PassRow.type_id == pass_type.id,
                PassRow.number.in_(chunk),
                RevisionRow.superseded_at.is_(None),
            )
        )
        found = {row.number: content_of(pass_type, row, revision, holder) for row, revision, holder in rows}
        yield from (found[number] for number in chunk if number in found)


def content_of(
    pass_type: PassType, row: PassRow, revision: RevisionRow, holder: HolderRow | None
) -> PassContent:
    """One revision as plain values; without ``holder`` there is no recipient."""
    person = holder_of(holder) if holder is not None else None
    return PassContent(
        type_id=row.type_id,
        number=row.number,
        period=Period(row.period_first, row.period_last),
        attributes=stored_attributes.decode(pass_type, revision.attributes),
        seal=revision.seal or "",
        serial=revision.serial,
        issued_at=revision.issued_at,
        status=PassStatus(row.status),
        language=person.language if person is not None else "de",
        apple_token=revision.apple_token,
        recipient=person.recipient() if person is not None else None,
    )


class _OnTheList(msgspec.Struct):
    """Of a revision's attributes those that the plate list shows."""

    plates: list[tuple[str, str | None]] | None = None
    zone: tuple[str, str] | None = None


def plate_lines(
    session: Session,
    tenant: str,
    from_at: datetime,
    until_at: datetime,
    *,
    only: tuple[str, Sequence[str]] | None = None,
) -> Iterator[bytes]:
    """The plates of every active pass valid at any moment from ``from_at`` to ``until_at``, both aware, as lines.

    ``only`` are a type id and the numbers, a few hundred at most, to which this is limited.
    """
    # A large city has hundreds of thousands: days and attributes come as text, which nothing else is made of.
    query = (
        select(
            cast(PassRow.period_first, Text),
            cast(PassRow.period_last, Text),
            cast(RevisionRow.attributes, Text),
        )
        .join(
            RevisionRow,
            (RevisionRow.tenant == PassRow.tenant)
            & (RevisionRow.type_id == PassRow.type_id)
            & (RevisionRow.number == PassRow.number),
        )
        .where(
            PassRow.tenant == tenant,
            PassRow.status == PassStatus.ACTIVE.value,
            PassRow.period_last >= berlin_day(from_at),
            PassRow.period_first <= berlin_day(until_at),
            RevisionRow.superseded_at.is_(None),
        )
        .execution_options(yield_per=5000)
    )
    if only is not None:
        query = query.where(PassRow.type_id == only[0], PassRow.number.in_(only[1]))
    read = msgspec.json.Decoder(_OnTheList).decode
    for first, last, attributes in session.connection().execute(query):
        shown = read(attributes)
        zone = shown.zone[0] if shown.zone else ""
        for key, season in shown.plates or ():
            yield plate_line(key, first, last, zone, season or "")


def _not_yet_entered(session: Session, tenant: str, rows: Sequence[AcceptedRow]) -> list[AcceptedRow]:
    entered: dict[tuple[str, str], dict[str, Any]] = {}
    for type_id in {row.type_id for row in rows}:
        for chunk in chunks([row.number for row in rows if row.type_id == type_id], _CHUNK):
            found = session.execute(
                select(PassRow.number, PassRow.record).where(
                    PassRow.tenant == tenant, PassRow.type_id == type_id, PassRow.number.in_(chunk)
                )
            )
            entered.update({(type_id, number): record for number, record in found})
    new: list[AcceptedRow] = []
    for row in rows:
        record = entered.get((row.type_id, row.number))
        if record is None:
            new.append(row)
        elif record != row.record:
            raise RegisterRefusal("REGISTER_CHANGED")
    return new


def _places(session: Session, tenant: str, rows: Sequence[AcceptedRow]) -> dict[str, tuple[int, int]]:
    """A place in a status list for each row that gets a seal, drawn for all of a half-year at once."""
    groups: dict[tuple[str, str], list[AcceptedRow]] = {}
    for row in rows:
        if row.status is not PassStatus.PENDING_PAYMENT:
            groups.setdefault((row.type_id, half_year(row.period.last)), []).append(row)
    places: dict[str, tuple[int, int]] = {}
    for (type_id, _), members in groups.items():
        drawn = allocate(session, tenant, type_id, members[0].period.last, len(members))
        places.update(zip((row.number for row in members), drawn, strict=True))
    return places


def _check_cards(session: Session, tenant: str, rows: Sequence[AcceptedRow]) -> None:
    """That no card has a replaced number. Behind the audit trail's lock, whoever was quicker is seen."""
    try:
        for type_id in {row.type_id for row in rows}:
            given = [row.card_key for row in rows if row.type_id == type_id and row.card_key is not None]
            check_unspent(session, tenant, type_id, given)
    except RegisterRefusal as refusal:
        raise RegisterRefusal("REGISTER_CHANGED") from refusal


def _put_members(
    session: Session, tenant: str, rows: Sequence[AcceptedRow], at: datetime, actor: str
) -> None:
    """Store what is known of a library's members, and which card numbers their cards replace."""
    members = [
        row.member.row((tenant, row.type_id, row.number), at, actor) for row in rows if row.member is not None
    ]
    if members:
        session.execute(insert(MemberRow), members)
    for type_id in {row.type_id for row in rows if row.member is not None}:
        replaced = {row.replaces: row.number for row in rows if row.type_id == type_id and row.replaces}
        if replaced:
            spend(session, tenant, type_id, replaced, at)


def _pass_row(tenant: str, row: AcceptedRow, at: datetime) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "type_id": row.type_id,
        "number": row.number,
        "holder_ref": row.holder.ref,
        "period_first": row.period.first,
        "period_last": row.period.last,
        "status": row.status.value,
        "record": row.record,
        "card_key": row.card_key,
        "replaces": row.replaces,
        "created_at": at,
        "updated_at": at,
    }


def _entered(row: AcceptedRow, place: tuple[int, int] | None, action: str) -> AuditEvent:
    after: dict[str, audit.Fact] = {
        "status": row.status.value,
        "valid_from": row.period.first.isoformat(),
        "valid_to": row.period.last.isoformat(),
        "status_list": list(place) if place else None,
        **({} if row.names_person else stored_attributes.facts(row.attributes)),
    }
    return AuditEvent(action, subject(row.type_id, row.number), after=after)
