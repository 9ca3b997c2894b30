"""Who hears of a payment, by the kind of what was paid for.

A listener is called inside the transaction that moves the payment, so that what it does (issue, suspend) and the
payment's state are committed together or not at all. It must not call anybody outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from issuer.errors import IssuerRefusal

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from issuer.application import Application

# (session, application, ref, actor) -> "" if done, else the code of what a clerk has to look at. What it raises
# rolls the payment's move back as well: only for what may pass, such as a key that is not at hand.
Hear = Callable[["Session", "Application", str, str], str]


def _nothing(_session: Session, _application: Application, _ref: str, _actor: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Listener:
    """What happens when the money for a reference has come, or was taken back; ``next_path`` is where people go on.

    ``next_path`` takes the reference and gives a path of ours such as ``/p``, for the link on the return page.
    """

    on_paid: Hear
    on_charged_back: Hear = _nothing
    next_path: Callable[[str], str] = lambda _ref: "/p"


_listeners: dict[str, Listener] = {}


def register(kind: str, listener: Listener) -> None:
    """Have ``listener`` hear of payments of ``kind`` (at most 20 characters). Raises ValueError for a second one."""
    if _listeners.setdefault(kind, listener) != listener:
        raise ValueError(f"payments of {kind} have a listener")


def listener_of(kind: str) -> Listener:
    """Who hears of payments of ``kind``. Raises IssuerRefusal PAYMENT_KIND."""
    # Kinds that ship register themselves when their module is loaded.
    from issuer.cases import case_payments  # noqa: F401, PLC0415
    from issuer.payments import pass_payments  # noqa: F401, PLC0415

    try:
        return _listeners[kind]
    except KeyError:
        raise IssuerRefusal("PAYMENT_KIND", kind=kind) from None
