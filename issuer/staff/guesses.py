"""How often passwords and codes may be tried: slower and slower, but nobody is locked out.

Counted are wrong tries, by client address and by account. A stranger who guesses at an account must not keep its
owner out, so a browser in which the person has logged in before holds a cookie and has tries of its own ("device
cookies", OWASP: Slow Down Online Guessing Attacks with Device Cookies). The cookie opens nothing.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import Final

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.web.rates import Rate, give_back, take

# An office behind one address comes to work at eight.
ADDRESS: Final = (Rate("staff-address", seconds=10, burst=40),)
# Five at once, then one a minute, and in the long run four an hour.
STRANGERS: Final = (
    Rate("staff-account", seconds=60, burst=5),
    Rate("staff-account-long", seconds=900, burst=30),
)
KNOWN: Final = (Rate("staff-known", seconds=60, burst=10),)

_PURPOSE: Final = "staff-known"
_MARK: Final = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9a-f]{32})")

Tries = list[tuple[Rate, str]]


def tries_of(application: Application, network: str, account: str, mark: str | None) -> Tries:
    """What a try counts against: ``account`` is an id, or the typed name where there is none by it.

    ``mark`` is the cookie of a browser that may be known to the account.
    """
    known = _known(application, account, mark)
    if known is not None:
        rates = [(rate, f"{account}/{known}") for rate in KNOWN]
    else:
        rates = [(rate, account) for rate in STRANGERS]
    return [*((rate, network) for rate in ADDRESS), *rates]


def may_try(session: Session, application: Application, tries: Tries) -> bool:
    """Count a try in a writing transaction, before it is looked at; False if it comes too soon."""
    taken: Tries = []
    for rate, who in tries:
        if not take(session, application, rate, who):
            forget_try(session, application, taken)
            return False
        taken.append((rate, who))
    return True


def forget_try(session: Session, application: Application, tries: Tries) -> None:
    """In a writing transaction: the try was right, and does not count."""
    for rate, who in tries:
        give_back(session, application, rate, who)


def new_mark(application: Application, account_id: str) -> str:
    """A cookie by which a browser is known to the account."""
    name = secrets.token_urlsafe(16)
    return f"{name}.{_signature(application, account_id, name)}"


def _known(application: Application, account_id: str, mark: str | None) -> str | None:
    found = _MARK.fullmatch(mark or "")
    if found is None or not hmac.compare_digest(_signature(application, account_id, found[1]), found[2]):
        return None
    return found[1]


def _signature(application: Application, account_id: str, name: str) -> str:
    return application.derived(_PURPOSE, account_id, name).hex()[:32]
