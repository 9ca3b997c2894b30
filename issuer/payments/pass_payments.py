"""Payments for a pass that was entered with status ``pending_payment``: kind ``pass``, ref ``TYPE/NUMBER``."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy.orm import Session

from issuer import lifecycle
from issuer.application import Application
from issuer.approval import approve
from issuer.errors import RegisterRefusal
from issuer.lifecycle import Actor
from issuer.models import HolderRow
from issuer.models_payments import PaymentRow
from issuer.payments.listeners import Listener, register
from issuer.payments.service import Purchase, begin
from issuer.register import subject
from keys.texts import LANGUAGES, texts
from passes.model import PassStatus
from passes.pass_types import PassType
from passes.periods import berlin_day

KIND: Final = "pass"
CHARGED_BACK: Final = "PAYMENT_CHARGED_BACK"
_OTHER_CHARACTERS: Final = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_PURPOSE: Final = 27
# The money is here and the right cannot be had any more: somebody has to give the money back.
_UNFULFILLABLE: Final = frozenset(
    {"NUMBER_UNKNOWN", "PASS_ENDED", "PASS_REVOKED", "PASS_SUPERSEDED", "PASS_SUSPENDED"}
)


def reference(type_id: str, number: str) -> str:
    """The ref of a pass."""
    return subject(type_id, number)


def begin_for_pass(
    session: Session,
    application: Application,
    pass_type: PassType,
    number: str,
    amount_cents: int,
    *,
    actor: str,
) -> PaymentRow:
    """Begin the payment of a pass that waits for it, over ``amount_cents``.

    Raises RegisterRefusal NUMBER_UNKNOWN, PASS_APPROVED or the code of another state; as `service.begin` does.
    """
    row, _ = lifecycle.current_revision(session, application.tenant, pass_type.id, number)
    if row.status == PassStatus.ACTIVE:
        raise RegisterRefusal("PASS_APPROVED", number=number)
    if row.status != PassStatus.PENDING_PAYMENT:
        raise lifecycle.wrong_state(row)
    if row.period_last < berlin_day(application.now()):
        raise RegisterRefusal("PASS_ENDED", number=number, last=row.period_last.isoformat())
    named = _OTHER_CHARACTERS.sub("-", number)
    person = session.get(HolderRow, (application.tenant, row.holder_ref))
    say = texts("issuer", person.language if person is not None else LANGUAGES[0])
    shown = say("PAYMENT_SHOWN_PASS", number=named)
    purchase = Purchase(KIND, reference(pass_type.id, number), amount_cents, named[:_LONGEST_PURPOSE], shown)
    return begin(session, application, purchase, actor=actor)


def on_paid(session: Session, application: Application, ref: str, actor: str) -> str:
    """Issue the pass. Raises KeyRefusal, IssuerRefusal while the key to seal with is not at hand."""
    type_id, _, number = ref.partition("/")
    if type_id not in {one.id for one in application.pass_types}:
        return "TYPE_UNKNOWN"
    pass_type = application.pass_types[type_id]
    try:
        row, _ = lifecycle.current_revision(session, application.tenant, type_id, number)
        if row.status == PassStatus.ACTIVE:
            # Somebody has approved it by hand before: the right is there, and now its money is.
            return ""
        approve(
            session,
            application.tenant,
            pass_type,
            number,
            seal_for=application.sealer(session, pass_type),
            actor=Actor(actor, application.now()),
        )
    except RegisterRefusal as refusal:
        if refusal.code in _UNFULFILLABLE:
            return refusal.code
        raise
    return ""


def on_charged_back(session: Session, application: Application, ref: str, actor: str) -> str:
    """Suspend the pass; one that does not hold stays as it is. A clerk has to look at it in any case."""
    type_id, _, number = ref.partition("/")
    try:
        row, _ = lifecycle.current_revision(session, application.tenant, type_id, number)
    except RegisterRefusal:
        return CHARGED_BACK
    if row.status == PassStatus.ACTIVE:
        by = Actor(actor, application.now(), CHARGED_BACK)
        lifecycle.suspend(session, application.tenant, type_id, number, actor=by)
    return CHARGED_BACK


register(KIND, Listener(on_paid, on_charged_back))
