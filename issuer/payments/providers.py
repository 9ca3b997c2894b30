"""Which providers this installation has. The simulated one is only there for a demo city, whatever is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from issuer.errors import IssuerRefusal
from keys.private_files import read_private

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from issuer.application import Application
    from issuer.payments.provider import PaymentProvider

DEMO: Final = "demo"
XBEZAHLDIENSTE: Final = "xbezahldienste"
_LONGEST_SECRETS: Final = 4096
_SHORTEST_SECRET: Final = 16


def active_name(application: Application, session: Session) -> str:
    """The provider of new payments. Raises IssuerRefusal PAYMENTS_OFF, PAYMENTS_DEMO_ONLY."""
    configured = application.config.payments.provider
    test = application.settings(session).test
    if configured == DEMO and not test:
        raise IssuerRefusal("PAYMENTS_DEMO_ONLY")
    if configured:
        return configured
    if not test:
        raise IssuerRefusal("PAYMENTS_OFF")
    return DEMO


def provider_of(application: Application, session: Session, name: str) -> PaymentProvider | None:
    """The provider ``name``; None if this installation does not have it."""
    if name == DEMO:
        if not application.settings(session).test:
            return None
        from issuer.payments.simulated import SimulatedProvider  # noqa: PLC0415 - only a demo city needs it

        return SimulatedProvider(application)
    if name == XBEZAHLDIENSTE and application.config.payments.provider == name:
        from issuer.payments.xbezahldienste import XBezahldienste  # noqa: PLC0415 - loads the HTTP client

        return XBezahldienste(application)
    return None


def webhook_secrets(application: Application) -> tuple[bytes, ...]:
    """What notifications are signed with: the lines of ``webhook_secret_file``, two of them while it is changed.

    Empty without a file; lines under 16 bytes are none. Raises KeyRefusal for a file open to others, OSError.
    """
    name = application.config.payments.webhook_secret_file
    if not name:
        return ()
    content = read_private(application.workspace.folder / name, _LONGEST_SECRETS)
    return tuple(line.strip() for line in content.splitlines() if len(line.strip()) >= _SHORTEST_SECRET)
