"""The pass in wallets: where it is, taking it out again, and cutting off a lost phone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from litestar import Response, get, post
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import lifecycle, outgoing
from issuer.application import Application
from issuer.eudi import following
from issuer.lifecycle import Actor
from issuer.models_delivery import AppleRegistrationRow, WalletPassRow
from issuer.pickup.guests import Guest, NoVisit, acting_guest_of, guest_of
from issuer.pickup.standing import HeldPass, held_pass
from issuer.pickup.visits import ACTOR, note, visit_hash
from issuer.web.forms import FormData
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from passes.periods import berlin_day

_LOST_PHONE: Final = "Vom Inhaber neu ausgestellt"
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class Wallets:
    """Where the pass is: the days on which Apple devices registered, and how Google stands."""

    apple_since: tuple[date, ...]
    google: str

    @property
    def is_anywhere(self) -> bool:
        """Whether any wallet has it, as far as we know."""
        return bool(self.apple_since) or self.google in ("asked", "saved")


def wallets_of(session: Session, application: Application, held: HeldPass) -> Wallets:
    """The wallets that have the pass now; ``google`` is none, asked, saved or removed."""
    since = session.scalars(
        select(AppleRegistrationRow.created_at)
        .where(
            AppleRegistrationRow.tenant == application.tenant,
            AppleRegistrationRow.serial == held.content.serial,
        )
        .order_by(AppleRegistrationRow.created_at)
    )
    row = held.wallet
    google = "none"
    if row is not None and row.google_wanted:
        google = row.google_state or "asked"
    return Wallets(tuple(berlin_day(at) for at in since), google)


@get("/p/pass/wallets", sync_to_thread=True)
def ask_to_remove(request: AnyRequest) -> Response[Any]:
    """What taking the pass out of all wallets does, with the button."""
    return guest_of(request).page("remove.html")


@post("/p/pass/wallets/remove", status_code=303, sync_to_thread=True)
def remove(request: AnyRequest, data: FormData) -> Response[Any]:
    """Take the pass out of all wallets: phones get a void pass, Google an emptied object."""
    guest = acting_guest_of(request, data)
    _set_withdrawn(guest, withdrawn=True)
    return guest.reader.go("/p/pass", done="removed")


@post("/p/pass/wallets/allow", status_code=303, sync_to_thread=True)
def allow(request: AnyRequest, data: FormData) -> Response[Any]:
    """Let wallets have the pass again."""
    guest = acting_guest_of(request, data)
    _set_withdrawn(guest, withdrawn=False)
    return guest.reader.go("/p/pass", done="allowed")


@get("/p/pass/devices", sync_to_thread=True)
def ask_to_drop(request: AnyRequest) -> Response[Any]:
    """What cutting off old devices does, with the button."""
    guest = guest_of(request)
    if not guest.held.is_offered:
        return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
    with guest.application.reading() as session:
        wallets = wallets_of(session, guest.application, guest.held)
    return guest.page("drop.html", wallets=wallets)


@post("/p/pass/devices/drop", status_code=303, sync_to_thread=True)
def drop(request: AnyRequest, data: FormData) -> Response[Any]:
    """Issue the pass anew, so that what old devices and prints show is void; other ways in are closed too."""
    guest = acting_guest_of(request, data)
    application, visit = guest.application, guest.visit
    actor = Actor(ACTOR, application.now(), _LOST_PHONE)
    try:
        with application.writing() as session:
            guest.check(session)
            lifecycle.reissue(
                session,
                application.tenant,
                guest.held.pass_type,
                visit.number,
                seal_for=application.sealer(session, guest.held.pass_type),
                actor=actor,
                keep_visit=visit_hash(application, visit),
            )
            note(session, application, visit.key, "drop-devices")
    except Refusal:
        return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
    return guest.reader.go("/p/pass", done="dropped")


def _set_withdrawn(guest: Guest, *, withdrawn: bool) -> None:
    application, visit = guest.application, guest.visit
    with application.writing() as session:
        guest.check(session)
        # Another visit may have issued the pass anew since this one looked.
        held = held_pass(session, application, visit.type_id, visit.number)
        if held is None:
            raise NoVisit
        serial = held.content.serial
        row = session.get(WalletPassRow, (application.tenant, serial), populate_existing=True)
        if row is not None and (row.withdrawn_at is not None) == withdrawn:
            return
        # Makes the row if there was none, and queues the work for phones and Google.
        outgoing.moved(
            session, application.tenant, {serial: (visit.type_id, visit.number)}, application.now()
        )
        row = session.get(WalletPassRow, (application.tenant, serial), populate_existing=True)
        if row is None:
            raise LookupError("the wallet pass just noted is gone")
        row.withdrawn_at = application.now() if withdrawn else None
        if withdrawn:
            following.invalidate(session, application.tenant, visit.type_id, visit.number, application.now())
        note(session, application, visit.key, "withdraw" if withdrawn else "allow")


HANDLERS: Final = [ask_to_remove, remove, allow, ask_to_drop, drop]
