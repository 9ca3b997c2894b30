"""Checking a file against the register: which rows are new, unchanged, or wrong, and why.

A large file is checked piece by piece (`issuer.importing.file_check`); what a row must know of the rows of earlier
pieces is asked of `EarlierRows`.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.errors import IssuerRefusal
from issuer.holders import Holder
from issuer.importing.checks import CHECKS, Check, status_of
from issuer.importing.columns import Normaliser
from issuer.importing.earlier_rows import NO_EARLIER_ROWS, EarlierRows
from issuer.importing.findings import Finding
from issuer.importing.record import Record, RecordValue, differing, record_of
from issuer.importing.row_under_check import Member, RowUnderCheck, Surroundings, attributes_of, normalised
from issuer.importing.rows import RowFile
from issuer.importing.seal_check import SealCheck
from issuer.library.card_numbers import in_use, spent
from issuer.library.fees import membership_fees
from issuer.library.member_facts import MemberFacts, block_reason_of
from issuer.library.membership import is_surely_adult, keeps_birth_date
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.models_library import MemberRow
from issuer.rules.kinds import kind_table
from issuer.rules.sources.protocols import ResidentsRegister
from issuer.settings import record_key
from issuer.status_allocation import chunks
from issuer.tariffs import fees, zones
from passes.model import Attribute, PassStatus
from passes.pass_types import PassType
from passes.periods import Period, berlin_day

_CHUNK: Final = 500
_REF_BYTES: Final = 12
_NAME_BYTES: Final = 12
_LEGACY_IDENTITY: Final = (
    "family_name", "given_name", "doctoral_degree", "street", "house_number", "postal_code", "city",
)  # fmt: skip


# What certificates call it: they have several addresses, and the main one is that of the holder.
_OF_CERTIFICATES: Final = {
    "given_name": "given_names",
    **{name: f"main_{name}" for name in ("street", "house_number", "postal_code", "city")},
}


@dataclass(frozen=True, slots=True)
class AcceptedRow:
    """A row that may enter the register, with everything that is stored of it.

    ``names_person``: the pass says who its holder is, so what it says must not stand in the audit trail.
    """

    row: int
    line: int
    type_id: str
    number: str
    holder: Holder
    period: Period
    attributes: Mapping[str, Attribute]
    status: PassStatus
    record: Record
    card_key: str | None
    replaces: str | None
    member: MemberFacts | None = None
    names_person: bool = False


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """The outcome for each row, in the order of the file; ``findings`` are in that order too.

    ``fees_checked`` is false if the type asks for it but the city has no fee table.
    """

    accepted: tuple[AcceptedRow, ...]
    unchanged: tuple[str, ...]
    refused: int
    findings: tuple[Finding, ...]
    fees_checked: bool


def check_rows(
    session: Session,
    tenant: str,
    pass_type: PassType,
    file: RowFile,
    at: datetime,
    earlier: EarlierRows | None = None,
    *,
    residents: ResidentsRegister | None = None,
) -> CheckedFile:
    """Check all rows of ``file`` as of the aware time ``at``; nothing is written.

    Where ``file`` is a piece of a larger one, ``earlier`` knows the pieces before. ``residents`` is asked whether
    disclosure is blocked for somebody; None where a clerk has looked. Raises IssuerRefusal
    TENANT_UNKNOWN, CHECK_UNKNOWN for a check that the type names and nobody has.
    """
    checks = _checks_of(pass_type)
    before: EarlierRows = earlier if earlier is not None else NO_EARLIER_ROWS
    normaliser = Normaliser()
    rows = [normalised(source, file, pass_type, normaliser) for source in file.rows]
    numbers = [row.number for row in rows if row.number]
    around = _surroundings(session, tenant, pass_type, rows, at, before)
    around.residents = residents
    stored = _stored(session, tenant, pass_type.id, numbers)
    key, first_rows = record_key(session, tenant), before.first_rows(numbers)
    judge = _Judge(around, checks, stored, key, SealCheck(pass_type, at), first_rows)
    accepted: list[AcceptedRow] = []
    unchanged: list[str] = []
    for row in rows:
        outcome = judge.outcome(row)
        if isinstance(outcome, AcceptedRow):
            accepted.append(outcome)
        elif outcome is not None:
            unchanged.append(outcome)
    accepted = _with_guardians(accepted, {row.number: row for row in rows}, stored)
    names = _compare_holders(session, tenant, accepted, {row.source.row: row for row in rows}, key, before)
    before.keep(first_rows, around, names)
    findings = [*file.findings, *(finding for row in rows for finding in row.findings)]
    return CheckedFile(
        accepted=tuple(accepted),
        unchanged=tuple(unchanged),
        refused=len(rows) - len(accepted) - len(unchanged),
        findings=tuple(findings),
        fees_checked=bool(around.fees) or "fee" not in pass_type.spec.register.checks,
    )


def _with_guardians(
    accepted: Sequence[AcceptedRow], rows: Mapping[str, RowUnderCheck], stored: Collection[str]
) -> list[AcceptedRow]:
    """``accepted`` without guardians whose own row is refused: whoever gets that number later is a stranger."""
    kept = {one.number for one in accepted} | set(stored)
    found = []
    for one in accepted:
        guardian = one.member.guardian_number if one.member is not None else None
        # One that stands in another piece of the file is not judged here.
        if one.member is not None and guardian in rows and guardian not in kept:
            rows[one.number].warn("guardian_member_id", "GUARDIAN_LEFT_OUT", guardian=guardian)
            one = replace(one, member=replace(one.member, guardian_number=None))  # noqa: PLW2901
        found.append(one)
    return found


def _checks_of(pass_type: PassType) -> list[Check]:
    names = pass_type.spec.register.checks
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        raise IssuerRefusal("CHECK_UNKNOWN", type=pass_type.id, check=", ".join(unknown))
    return [CHECKS[name] for name in names]


class _Judge:
    """Decides row by row, in the order of the file; it remembers which numbers it has seen."""

    def __init__(
        self,
        around: Surroundings,
        checks: Sequence[Check],
        stored: Mapping[str, Mapping[str, RecordValue]],
        key: bytes,
        seals: SealCheck,
        first_rows: dict[str, int],
    ) -> None:
        self._around = around
        self._checks = checks
        self._stored = stored
        self._key = key
        self._seals = seals
        self._first_row = first_rows
        self._type = around.pass_type
        self._columns = around.pass_type.spec.register.columns
        self._number_column = around.pass_type.spec.register.number_column
        self._replaces = [spec.name for spec in self._columns if spec.name.startswith("replaces_")]

    def outcome(self, row: RowUnderCheck) -> AcceptedRow | str | None:
        """The row if it is new, its number if it is unchanged, None if it is refused."""
        if not row.values:
            return None
        if row.number:
            earlier = self._first_row.setdefault(row.number, row.source.row)
            if earlier != row.source.row:
                row.findings.clear()
                facts = {"number": row.number, "first": earlier}
                row.error(self._number_column, "DUPLICATE_ID", text="DUPLICATE_ID_IN_FILE", **facts)
                return None
        row.zone = self._around.zones.get(row.text("zone_code"))
        known = self._stored.get(row.number)
        if known is None:
            for check in self._checks:
                check(row, self._around)
        if row.refused or row.period is None:
            return None
        attributes = attributes_of(row, self._type)
        if known is None and not self._seals.fits(row, row.period, attributes, self._status(row)):
            return None
        record = record_of(self._columns, row.values, self._key, attributes)
        if known is None:
            return self._accepted(row, row.period, attributes, record)
        different = differing(known, record)
        if row.text("status") == "expired" and row.period.last >= self._around.today:
            # Time alone does not make a running permit an ended one.
            different.append("status")
        if not different:
            return row.number
        shown = dict.fromkeys(row.file.shown.get(column, column) for column in different)
        row.error(self._number_column, "DUPLICATE_ID", number=row.number, columns=", ".join(shown))
        return None

    def _status(self, row: RowUnderCheck) -> PassStatus:
        return status_of(row, self._around.today)

    def _accepted(
        self, row: RowUnderCheck, period: Period, attributes: Mapping[str, Attribute], record: Record
    ) -> AcceptedRow:
        return AcceptedRow(
            row=row.source.row,
            line=row.source.line,
            type_id=self._type.id,
            number=row.number,
            holder=_holder(row, self._type.id, self._key),
            period=period,
            attributes=attributes,
            status=self._status(row),
            record=record,
            card_key=row.card.text if row.card is not None else None,
            replaces=next(filter(None, map(row.text, self._replaces)), None),
            member=self._member(row),
            names_person=self._type.spec.person is not None,
        )

    def _member(self, row: RowUnderCheck) -> MemberFacts | None:
        rules = self._type.spec.membership
        if rules is None:
            return None
        born, today = row.day("birth_date"), self._around.today
        minor = not is_surely_adult(rules, row.text("category"), born, today)
        return MemberFacts(
            birth_date=born if born is not None and keeps_birth_date(rules, born, today) else None,
            guardian_number=(row.text("guardian_member_id") or None) if minor else None,
            consented=minor and row.yes("guardian_consent"),
            block_reason=block_reason_of(row.text("block_reason"), self._status(row)),
            open_fees_cents=row.integer("open_fees_cents"),
        )


def _holder(row: RowUnderCheck, type_id: str, key: bytes) -> Holder:
    return Holder(
        ref=_holder_ref(row, type_id, key),
        **{name: row.text(name) or row.text(_OF_CERTIFICATES.get(name, name)) for name in _LEGACY_IDENTITY},
        email=row.text("email"),
        language=row.text("language") or "de",
    )


def _holder_ref(row: RowUnderCheck, type_id: str, key: bytes) -> str:
    """The file's own reference; in a legacy file, one that follows from name and address; else the number."""
    ref = row.text("holder_ref")
    if ref:
        return ref
    if row.file.legacy:
        identity = "\x1f".join(row.text(column) for column in _LEGACY_IDENTITY)
        return f"L-{hmac.digest(key, identity.encode(), 'sha256')[:_REF_BYTES].hex()}"
    return f"{type_id}:{row.number}"


def _surroundings(
    session: Session,
    tenant: str,
    pass_type: PassType,
    rows: Sequence[RowUnderCheck],
    at: datetime,
    before: EarlierRows,
) -> Surroundings:
    guardians = {row.text("guardian_member_id") for row in rows} - {""}
    members = _members(session, tenant, pass_type.id, guardians)
    members |= {
        row.number: Member(row.text("category") or None, row.day("birth_date"))
        for row in rows
        if row.number in guardians
    }
    members |= before.members(sorted(guardians))
    columns = [one.name for one in pass_type.spec.register.columns if one.name.startswith("replaces_card")]
    texts = sorted(
        {row.card.text for row in rows if row.card is not None}
        | {row.text(column) for row in rows for column in columns} - {""}
    )
    # Whoever has a card in the register has it, or had it until it was replaced, whatever a row claims.
    cards = before.cards(texts) | in_use(session, tenant, pass_type.id, texts)
    replaced = before.spent(texts) | spent(session, tenant, pass_type.id, texts)
    today = berlin_day(at)
    return Surroundings(
        pass_type=pass_type,
        today=today,
        zones=zones(session, tenant),
        fees=fees(session, tenant),
        membership_fees=membership_fees(session, tenant, pass_type.id),
        cards=cards,
        spent=replaced,
        members=members,
        kinds=kind_table(session, tenant, pass_type.id).on(today),
    )


def _stored(
    session: Session, tenant: str, type_id: str, numbers: Iterable[str]
) -> dict[str, Mapping[str, RecordValue]]:
    """The records of those passes that the register has."""
    found: dict[str, Mapping[str, RecordValue]] = {}
    for chunk in chunks(sorted(set(numbers)), _CHUNK):
        rows = session.execute(
            select(PassRow.number, PassRow.record).where(
                PassRow.tenant == tenant, PassRow.type_id == type_id, PassRow.number.in_(chunk)
            )
        )
        found.update(dict(rows.all()))
    return found


def _members(session: Session, tenant: str, type_id: str, numbers: Iterable[str]) -> dict[str, Member]:
    """Members in the register: their categories, and the birth dates that still decide something."""
    found: dict[str, Member] = {}
    for chunk in chunks(sorted(numbers), _CHUNK):
        rows = session.execute(
            select(RevisionRow.number, RevisionRow.attributes, MemberRow.birth_date)
            .outerjoin(
                MemberRow,
                (MemberRow.tenant == RevisionRow.tenant)
                & (MemberRow.type_id == RevisionRow.type_id)
                & (MemberRow.number == RevisionRow.number),
            )
            .where(
                RevisionRow.tenant == tenant,
                RevisionRow.type_id == type_id,
                RevisionRow.number.in_(chunk),
                RevisionRow.superseded_at.is_(None),
            )
        )
        found.update({number: Member(told.get("category"), born) for number, told, born in rows})
    return found


def _compare_holders(
    session: Session,
    tenant: str,
    accepted: Sequence[AcceptedRow],
    rows: Mapping[int, RowUnderCheck],
    key: bytes,
    before: EarlierRows,
) -> dict[str, str]:
    """Warn where a row gives a holder another name than the register: the reference may be a wrong one.

    Returns the digest of each holder's name, as it stood first.
    """
    refs = sorted({one.holder.ref for one in accepted})
    names = before.names(refs)
    for chunk in chunks(refs, _CHUNK):
        found = session.execute(
            select(HolderRow.ref, HolderRow.family_name, HolderRow.given_name).where(
                HolderRow.tenant == tenant, HolderRow.ref.in_(chunk)
            )
        )
        names.update({ref: _name_digest(key, family, given) for ref, family, given in found})
    for one in accepted:
        name = _name_digest(key, one.holder.family_name, one.holder.given_name)
        if names.setdefault(one.holder.ref, name) != name:
            rows[one.row].warn("holder_ref", "HOLDER_DIFFERS", ref=one.holder.ref)
    return names


def _name_digest(key: bytes, family_name: str, given_name: str) -> str:
    return hmac.digest(key, f"name\x1f{family_name}\x1f{given_name}".encode(), "sha256")[:_NAME_BYTES].hex()
