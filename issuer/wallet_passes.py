"""A pass as wallets know it: by its serial, with the newest content that belongs to it.

A serial outlives what it stands for. After a reissue it names a pass that is void from then on, and a withdrawn or
revoked one is void as well; phones and Google have to fetch that, so the serial is still found here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from sqlalchemy import BindParameter, ScalarSelect, Select, bindparam, func, select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.models_delivery import ReminderRow, WalletPassRow
from issuer.register import content_of
from passes.model import PassContent, PassStatus


@dataclass(frozen=True, slots=True)
class WalletPass:
    """What a wallet is to have under a serial.

    ``content.status`` says what becomes of it: superseded where a reissue gave the right another serial, revoked
    where the holder has withdrawn the pass from wallets (``withdrawn``). ``update_tag`` grows with every change,
    ``modified_at`` (aware, whole seconds) moves on with it.
    """

    content: PassContent
    apple_token: str = field(repr=False)
    update_tag: int
    modified_at: datetime
    withdrawn: bool

    @property
    def serial(self) -> str:
        """The name in both wallets: 32 hex digits."""
        return self.content.serial


def _find() -> Select[WalletPassRow, RevisionRow, PassRow, HolderRow, int]:
    """Made once: building a statement costs more than running this one."""
    tenant: BindParameter[str] = bindparam("tenant")
    serial: BindParameter[str] = bindparam("serial")
    return (
        select(WalletPassRow, RevisionRow, PassRow, HolderRow, _reminded_days())
        .join(RevisionRow, (RevisionRow.tenant == tenant) & (RevisionRow.serial == WalletPassRow.serial))
        .join(
            PassRow,
            (PassRow.tenant == tenant)
            & (PassRow.type_id == RevisionRow.type_id)
            & (PassRow.number == RevisionRow.number),
        )
        .outerjoin(HolderRow, (HolderRow.tenant == tenant) & (HolderRow.ref == PassRow.holder_ref))
        .where(WalletPassRow.tenant == tenant, WalletPassRow.serial == serial)
        .order_by(RevisionRow.n.desc())
        .limit(1)
    )


def _reminded_days() -> ScalarSelect[int]:
    """Which reminder of this end of the pass went out last.

    What was recorded counts, and not how many days are left now: the record is made in the transaction that moves
    update tag and Last-Modified on. So the pass says the same whenever it is fetched in between, and a 304 is true;
    going by the calendar it would become another one at midnight while its Last-Modified stood still.
    """
    return (
        select(func.min(ReminderRow.days))
        .where(
            ReminderRow.tenant == PassRow.tenant,
            ReminderRow.type_id == PassRow.type_id,
            ReminderRow.number == PassRow.number,
            ReminderRow.period_last == PassRow.period_last,
        )
        .scalar_subquery()
    )


_FIND: Final = _find()


def find(application: Application, session: Session, serial: str) -> WalletPass | None:
    """The pass with ``serial`` in one state of the register; None for a serial of nobody here."""
    found = session.execute(_FIND, {"tenant": application.tenant, "serial": serial}).first()
    if found is None:
        return None
    wallet, revision, row, holder, reminded_days = found
    content = replace(
        content_of(application.pass_types[row.type_id], row, revision, holder), reminded_days=reminded_days
    )
    if revision.superseded_at is not None:
        content = replace(content, status=PassStatus.SUPERSEDED)
    elif wallet.withdrawn_at is not None:
        content = replace(content, status=PassStatus.REVOKED)
    return WalletPass(
        content=content,
        apple_token=revision.apple_token,
        update_tag=wallet.update_tag,
        # A register of an earlier version has fractions here, and HTTP dates have none.
        modified_at=wallet.modified_at.replace(microsecond=0),
        withdrawn=wallet.withdrawn_at is not None,
    )


@dataclass(frozen=True, slots=True)
class AppleAccess:
    """What opens a pass for the phones that hold it, a secret, of which type it is, and when it last changed."""

    type_id: str
    token: str = field(repr=False)
    modified_at: datetime


def apple_access(session: Session, tenant: str, serial: str) -> AppleAccess | None:
    """The token and time of the pass with ``serial``; None for a serial of nobody.

    Asked with every request of every phone, so it reads columns and no objects.
    """
    found = session.connection().execute(_ACCESS, {"tenant": tenant, "serial": serial}).first()
    return None if found is None else AppleAccess(found[0], found[1], found[2].replace(microsecond=0))


def _access() -> Select[str, str, datetime]:
    wallets, revisions = WalletPassRow.__table__.c, RevisionRow.__table__.c
    return (
        select(revisions.type_id, revisions.apple_token, wallets.modified_at)
        .where(
            wallets.tenant == bindparam("tenant"),
            wallets.serial == bindparam("serial"),
            revisions.tenant == wallets.tenant,
            revisions.serial == wallets.serial,
        )
        .order_by(revisions.n.desc())
        .limit(1)
    )


_ACCESS: Final = _access()


def apple_pass(application: Application, session: Session, wallet_pass: WalletPass) -> bytes:
    """The signed `.pkpass` of ``wallet_pass``; voided where its status says that it holds no more.

    Raises IssuerRefusal NO_SIGNING_KEY, KeyRefusal for a certificate that cannot sign now, PassRefusal
    APPLE_NOT_PAID for a right that does not exist yet, ApplePassInvalid.
    """
    factory = application.apple_factory(session, wallet_pass.content.type_id)
    return factory.build(wallet_pass.content, application.now())
