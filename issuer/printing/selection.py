"""Who gets something printed: holders without mail address and without the pass in a wallet, and waiting letters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.eudi.holdings import is_in_eudi_wallet
from issuer.models import HolderRow, PassRow, PassTermRow, RevisionRow
from issuer.models_delivery import AppleRegistrationRow, WalletPassRow
from issuer.models_print import PrintItemRow
from issuer.residence.certificates import names_person
from issuer.search_terms import ZONE
from issuer.waiting_letters import waiting
from passes.model import PassStatus
from passes.periods import berlin_day

MOST: Final = 300
MOST_DAYS: Final = 183


class Kind(StrEnum):
    """What is printed: the pass itself, a letter that it ends soon, or the letters that are waiting."""

    PERMITS = "permits"
    ENDING = "ending"
    LETTERS = "letters"


@dataclass(frozen=True, slots=True)
class Selection:
    """What somebody asks to print: of the library's cards (``library``), or of all others.

    ``zone`` is a code or empty for all; ``days`` counts for `Kind.ENDING` only.
    """

    kind: Kind
    zone: str = ""
    days: int = 30
    library: bool = False

    def stored(self) -> dict[str, Any]:
        """As it stands in the run."""
        return {"zone": self.zone, "days": self.days if self.kind is Kind.ENDING else 0}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A pass to print with its current revision; ``letter_id`` of the waiting letter that it is, or empty."""

    type_id: str
    number: str
    n: int
    letter_id: str = ""


def chosen(session: Session, application: Application, selection: Selection) -> tuple[int, list[Chosen]]:
    """How many there are, and the first `MOST` of them: what one run takes.

    No run has library cards and others. Of passes those are printed whose present revision was not printed yet, or
    only spoiled; so a run takes what is new since the last one, and no pass is lost between two runs.
    """
    if selection.kind is Kind.LETTERS:
        return _letters(session, application, selection)
    tenant, now = application.tenant, application.now()
    today = berlin_day(now)
    conditions: list[ColumnElement[bool]] = [
        PassRow.tenant == tenant,
        PassRow.type_id.in_(printable_types(application, library=selection.library)),
        PassRow.status == PassStatus.ACTIVE.value,
        PassRow.period_last >= today,
        RevisionRow.tenant == tenant,
        RevisionRow.type_id == PassRow.type_id,
        RevisionRow.number == PassRow.number,
        RevisionRow.superseded_at.is_(None),
        HolderRow.tenant == tenant,
        HolderRow.ref == PassRow.holder_ref,
        HolderRow.email == "",
        *_without_wallet(tenant, now),
    ]
    if not selection.library or selection.kind is Kind.ENDING:
        # Of library members the register has no address as a rule: their cards are handed over at the desk.
        conditions.append(HolderRow.street != "")
    if selection.zone:
        conditions.append(_in_zone(tenant, selection.zone))
    if selection.kind is Kind.ENDING:
        conditions.append(PassRow.period_last <= today + timedelta(days=selection.days))
    else:
        printed = exists().where(
            PrintItemRow.tenant == tenant,
            PrintItemRow.type_id == PassRow.type_id,
            PrintItemRow.number == PassRow.number,
            PrintItemRow.n == RevisionRow.n,
            PrintItemRow.letter_id == "",
            PrintItemRow.state.in_(("waiting", "made")),
        )
        conditions.append(~printed)
    query = select(PassRow.type_id, PassRow.number, RevisionRow.n).where(*conditions)
    count = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = session.execute(query.order_by(PassRow.period_last, PassRow.type_id, PassRow.number).limit(MOST))
    return count, [Chosen(type_id, number, n) for type_id, number, n in rows]


def printable_types(application: Application, *, library: bool) -> list[str]:
    """The ids of the pass types that runs print: memberships for librarians, all others for clerks.

    What names a person goes with registrars alone, in no run.
    """
    return [
        one.id
        for one in application.pass_types
        if (one.spec.membership is not None) == library and not names_person(one)
    ]


def _letters(session: Session, application: Application, selection: Selection) -> tuple[int, list[Chosen]]:
    types = printable_types(application, library=selection.library)
    rows = [one for one in waiting(session, application) if one.can_be_posted and one.type_id in types]
    if selection.zone:
        there = {
            (type_id, number)
            for type_id, number in session.execute(
                select(PassTermRow.type_id, PassTermRow.number).where(
                    PassTermRow.tenant == application.tenant,
                    PassTermRow.kind == ZONE,
                    PassTermRow.value == selection.zone,
                )
            )
        }
        rows = [one for one in rows if (one.type_id, one.number) in there]
    # The oldest; and those of one pass together, since they carry one code.
    first = sorted(rows[:MOST], key=lambda one: (one.type_id, one.number))
    return len(rows), [Chosen(one.type_id, one.number, 0, one.id) for one in first]


def _without_wallet(tenant: str, now: datetime) -> list[ColumnElement[bool]]:
    on_a_phone = exists().where(
        AppleRegistrationRow.tenant == tenant, AppleRegistrationRow.serial == RevisionRow.serial
    )
    at_google = exists().where(
        WalletPassRow.tenant == tenant,
        WalletPassRow.serial == RevisionRow.serial,
        WalletPassRow.google_wanted.is_(True),
        WalletPassRow.withdrawn_at.is_(None),
    )
    return [~on_a_phone, ~at_google, ~is_in_eudi_wallet(tenant, now)]


def _in_zone(tenant: str, code: str) -> ColumnElement[bool]:
    return exists().where(
        PassTermRow.tenant == tenant,
        PassTermRow.kind == ZONE,
        PassTermRow.value == code,
        PassTermRow.type_id == PassRow.type_id,
        PassTermRow.number == PassRow.number,
    )
