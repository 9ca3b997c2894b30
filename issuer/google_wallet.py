"""Offering passes for Google Wallet: the objects are put to Google first, then a short link names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy.orm import Session

from issuer import outgoing
from issuer.background.tasks import RetryLater
from issuer.delivery.google_client import GoogleClient
from issuer.delivery.google_objects import synchronise
from issuer.delivery.google_token import Account, load_account
from issuer.errors import IssuerRefusal
from issuer.lifecycle import current_revision
from issuer.models_delivery import WalletPassRow
from issuer.outgoing import GOOGLE_TASK
from passes.google_link import skinny_links
from passes.model import PassStatus
from passes.periods import berlin_day

if TYPE_CHECKING:
    from issuer.application import Application

# Somebody waits in front of a page.
_LONGEST_WAIT_SECONDS: Final = 8.0
# If the page's own attempt fails or dies, the object follows.
_FOLLOW_UP_SECONDS: Final = 60.0


def is_on(application: Application, session: Session) -> bool:
    """Whether operator and city have switched Google on. Off, nothing is offered, taken or sent, but what empties
    the objects that are there.
    """
    return application.config.google.enabled and application.settings(session).google_offered


def is_offered(application: Application, session: Session) -> bool:
    """Whether passes can be added to Google Wallet: switched on by operator and city, with account and key."""
    return is_on(application, session) and load_account(application, session) is not None


def save_link(application: Application, type_id: str, number: str) -> str:
    """The "Add to Google Wallet" link of a pass, whose object Google has by then in its newest state.

    Saving an id that Google knows changes nothing there, so the same pass may be asked for any number of times.
    Raises IssuerRefusal GOOGLE_NOT_OFFERED (also for a type that is no Google pass), GOOGLE_PASS_NOT_RUNNING,
    GOOGLE_NOT_POSSIBLE for an object that Google refuses, RegisterRefusal NUMBER_UNKNOWN, PassRefusal for a link that
    cannot be made; RetryLater for what may pass: the object then follows by itself, and a later call succeeds.
    """
    [link] = save_links(application, type_id, [number])
    return link


def save_links(application: Application, type_id: str, numbers: Sequence[str]) -> list[str]:
    """As `save_link` for several passes of one type: as few links as they fit into, one as a rule.

    No link is made before Google has all of them.
    """
    serials, account = _want(application, type_id, numbers)
    with GoogleClient(
        application, account, longest_wait=_LONGEST_WAIT_SECONDS, expected=len(serials)
    ) as client:
        for serial in serials.values():
            synchronise(application, client, serial, again=True)
    with application.reading() as session:
        for number, serial in serials.items():
            row = session.get(WalletPassRow, (application.tenant, serial))
            if row is None or row.google_failure is not None:
                raise IssuerRefusal("GOOGLE_NOT_POSSIBLE", number=number)
            if row.google_tag == 0:
                raise RetryLater("google-contended")
        class_id = application.google_factory(session, type_id).class_id
    objects = [(f"{account.city.google_issuer_id}.{serial}", class_id) for serial in serials.values()]
    return skinny_links(account.signer, account.city, objects, issued_at=application.now())


def _want(application: Application, type_id: str, numbers: Sequence[str]) -> tuple[dict[str, str], Account]:
    """Note that Google is to have the passes, in one short transaction; their serials by number."""
    serials: dict[str, str] = {}
    is_pass = "google" in application.pass_types[type_id].carriers
    with application.writing() as session:
        account = load_account(application, session)
        if not is_pass or account is None or not is_offered(application, session):
            raise IssuerRefusal("GOOGLE_NOT_OFFERED")
        behind = []
        for number in numbers:
            row = _wanted_row(session, application, type_id, number)
            serials[number] = row.serial
            if row.google_tag < row.update_tag:
                behind.append(row.serial)
        if behind:
            application.enqueue(session, GOOGLE_TASK, {"serials": behind}, delay_seconds=_FOLLOW_UP_SECONDS)
    return serials, account


def _wanted_row(session: Session, application: Application, type_id: str, number: str) -> WalletPassRow:
    tenant, now = application.tenant, application.now()
    owner, revision = current_revision(session, tenant, type_id, number)
    serial = revision.serial
    row = session.get(WalletPassRow, (tenant, serial))
    if row is None:
        outgoing.moved(session, tenant, {serial: (type_id, number)}, now)
        row = session.get_one(WalletPassRow, (tenant, serial))
    ended = owner.status != PassStatus.ACTIVE or owner.period_last < berlin_day(now)
    if ended or row.withdrawn_at is not None:
        raise IssuerRefusal("GOOGLE_PASS_NOT_RUNNING", number=number)
    row.google_wanted = True
    return row
