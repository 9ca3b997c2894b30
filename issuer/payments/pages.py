"""What people see of a payment with us: the way to the provider's page, and the page they come back to.

Both go by our own random id, which only the payer and the provider know. The return page shows what the register
says; nothing that stands in its address is believed.
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath

from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.models_payments import PaymentRow
from issuer.payments.checks import may_hurry, schedule
from issuer.payments.listeners import listener_of
from issuer.payments.opening import open_transaction
from issuer.payments.provider import ProviderRefused, ProviderUnavailable
from issuer.payments.service import RETURN_PATH, START_PATH, find_payment
from issuer.payments.states import OPEN
from issuer.web.problems import RETRY_AFTER_SECONDS
from issuer.web.reader import AnyRequest, Reader, reader_of

_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_CLOSED: Final = frozenset({"PAYMENT_CLOSED"})
_log = logging.getLogger("stadtpass.payments")


@get(START_PATH + "/{payment_id:str}", sync_to_thread=True)
def start(request: AnyRequest, payment_id: FromPath[str]) -> Response[Any]:
    """On to the provider's page: by itself, and by a link.

    No redirect: a browser would hold one that follows a form against the policy of that form's page.
    """
    application, reader = reader_of(request)
    row = _find(application, payment_id)
    if row is None:
        return _unknown(reader)
    try:
        address = open_transaction(application, row.id)
    except IssuerRefusal as refusal:
        if refusal.code in _CLOSED:
            return reader.go(f"{RETURN_PATH}/{row.id}")
        raise
    except (ProviderUnavailable, ProviderRefused) as fault:
        _log.error("payment cannot be opened", extra={"payment": row.id, "reason": fault.reason})
        made = reader.page("payments/unavailable.html", status=503, payment=row)
        made.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return made
    return reader.page("payments/start.html", payment=row, amount=_euros(row), address=address)


@get(RETURN_PATH + "/{payment_id:str}", sync_to_thread=True)
def come_back(request: AnyRequest, payment_id: FromPath[str]) -> Response[Any]:
    """How the payment stands; while it is open the page asks again by itself."""
    application, reader = reader_of(request)
    row = _find(application, payment_id)
    if row is None:
        return _unknown(reader)
    if may_hurry(row, application.now()):
        _hurry(application, row.id)
    return reader.page(
        "payments/return.html",
        payment=row,
        amount=_euros(row),
        is_open=row.state in OPEN,
        # The code of what a clerk has to do is not the payer's; that somebody looks at it is.
        looked_at=bool(row.attention),
        next_path=listener_of(row.kind).next_path(row.ref),
        start_path=f"{START_PATH}/{row.id}",
    )


def _find(application: Application, payment_id: str) -> PaymentRow | None:
    if _ID.fullmatch(payment_id) is None:
        return None
    with application.reading() as session:
        return find_payment(session, application.tenant, payment_id)


def _hurry(application: Application, payment_id: str) -> None:
    with application.writing() as session:
        row = find_payment(session, application.tenant, payment_id)
        if row is not None and may_hurry(row, application.now()):
            schedule(session, application, row, 0)


def _unknown(reader: Reader) -> Response[Any]:
    say = reader.say
    return reader.page(
        "problem.html",
        status=404,
        title=say("PAYMENT_PAGE_UNKNOWN"),
        text=say("PAYMENT_PAGE_UNKNOWN_TEXT"),
        has_visit=False,
    )


def _euros(row: PaymentRow) -> str:
    return euros(row.amount_cents)


def euros(cents: int) -> str:
    """An amount as people write it here: ``30,00 €``."""
    return f"{cents // 100},{cents % 100:02d} €"


HANDLERS: Final = [start, come_back]
