"""The payment page of the simulated provider: one chooses what becomes of the payment.

What is chosen is written to the provider's own books first and then told by signed notifications over HTTP, to the
route that every provider uses, on the address at which this process is reached.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from issuer.application import Application
from issuer.payments.call import call
from issuer.payments.pages import euros
from issuer.payments.provider import ProviderUnavailable, TransactionStatus
from issuer.payments.providers import DEMO, provider_of
from issuer.payments.simulated import PAGE, SimulatedProvider, Transaction, new_event_id
from issuer.web.forms import FormData, text_of
from issuer.web.reader import AnyRequest, Reader, reader_of

# (address, headers, body) -> nothing; raises ProviderUnavailable.
Post = Callable[[str, Mapping[str, str], bytes], None]

_S: Final = TransactionStatus
# Each step is what the provider then says, and how often it tells of it.
_STEPS: Final[Mapping[str, tuple[tuple[TransactionStatus, int], ...]]] = {
    "pay": ((_S.PAYED, 1),),
    "twice": ((_S.PAYED, 2),),
    "late": ((_S.EXPIRED, 1), (_S.PAYED, 1)),
    "fail": ((_S.FAILED, 1),),
    "cancel": ((_S.CANCELED, 1),),
    "chargeback": ((_S.CHARGED_BACK, 1),),
}
_FROM: Final[Mapping[str, TransactionStatus]] = {
    **dict.fromkeys(("pay", "twice", "late", "fail", "cancel"), _S.INITIAL),
    "chargeback": _S.PAYED,
}
_SECONDS: Final = 10.0
_log = logging.getLogger("stadtpass.payments")


@get(PAGE + "/{transaction_id:str}", sync_to_thread=True)
def show(request: AnyRequest, transaction_id: FromPath[str]) -> Response[Any]:
    """The page with what can be chosen now."""
    _, reader, provider = _provider(request)
    found = provider.find(transaction_id) if provider is not None else None
    if found is None:
        return _unknown(reader)
    return _page(reader, transaction_id, found)


@post(PAGE + "/{transaction_id:str}", status_code=303, sync_to_thread=True)
def choose(request: AnyRequest, transaction_id: FromPath[str], data: FormData) -> Response[Any]:
    """Do what was chosen, and tell of it."""
    application, reader, provider = _provider(request)
    found = provider.find(transaction_id) if provider is not None else None
    if provider is None or found is None:
        return _unknown(reader)
    if not reader.is_from_here():
        return reader.problem(403, "FOREIGN_FORM")
    choice = text_of(data, "choice")
    if _FROM.get(choice) is not found.status:
        return _page(reader, transaction_id, found, status=409)
    host, port = request.scope["server"] or ("127.0.0.1", 80)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}{PAGE}/events"
    act(application, provider, transaction_id, choice, address)
    if choice in ("pay", "twice"):
        # Here one can still take the money back; on the way home is a link.
        return reader.go(f"{PAGE}/{transaction_id}")
    return reader.leave(found.return_url)


def act(
    application: Application,
    provider: SimulatedProvider,
    transaction_id: str,
    choice: str,
    address: str,
    send: Post | None = None,
) -> None:
    """Have the simulated provider do ``choice`` and tell ``address`` of each step.

    What cannot be told is not told again: the service asks by itself.
    """
    for status, times in _STEPS[choice]:
        found = provider.find(transaction_id)
        if found is None:
            return
        now = msgspec.structs.replace(found, status=status)
        provider.store(transaction_id, now)
        event_id = new_event_id()
        for _ in range(times):
            body, headers = provider.message(now, event_id, application.now())
            try:
                (send or _post)(address, headers, body)
            except ProviderUnavailable as fault:
                _log.warning("demo notification not taken", extra={"reason": fault.reason})


def _post(address: str, headers: Mapping[str, str], body: bytes) -> None:
    answer = call("POST", address, headers=headers, content=body, ca_file="", seconds=_SECONDS)
    if answer.status != 200:
        raise ProviderUnavailable(f"http-{answer.status}")


def _provider(request: AnyRequest) -> tuple[Application, Reader, SimulatedProvider | None]:
    application, reader = reader_of(request)
    with application.reading() as session:
        provider = provider_of(application, session, DEMO)
    return application, reader, provider if isinstance(provider, SimulatedProvider) else None


def _page(reader: Reader, transaction_id: str, found: Transaction, *, status: int = 200) -> Response[Any]:
    return reader.page(
        "payments/demo.html",
        status=status,
        transaction=found,
        action=reader.url(f"{PAGE}/{transaction_id}"),
        amount=euros(found.amount_cents),
        choices=[name for name, needed in _FROM.items() if needed is found.status],
    )


def _unknown(reader: Reader) -> Response[Any]:
    say = reader.say
    return reader.page(
        "problem.html",
        status=404,
        title=say("PAYMENT_PAGE_UNKNOWN"),
        text=say("PAYMENT_PAGE_UNKNOWN_TEXT"),
        has_visit=False,
    )


HANDLERS: Final = [show, choose]
