"""How somebody proves that a case is theirs: one small protocol, and the one way there is, a link from a mail.

What pages ask is only which case a visit is for (`issuer.cases.access`); how the visit came about they do not know.
BundID fits in as another `IdentityProvider`:

- its page sends the browser to BundID with a signed ``AuthnRequest`` that asks for a level of assurance
  (``STORK-QAA-Level-1`` for a user name, ``-3`` for ELSTER and an identity card without PIN, ``-4`` for eID), and
  keeps the request's id in a cookie;
- its ``AssertionConsumerService``, a POST under ``/apply``, gets the SAML response: that is the ``proof``;
- ``arrive`` checks signature, audience, ``InResponseTo`` and time, and answers with an `Arrival`: the visit, the
  level (1: `LOW`, 3: `SUBSTANTIAL`, 4: `HIGH`), and the person with the attributes that BundID vouches for (family
  name, given name, address, mail address), so that a draft begins filled in and the name can be trusted.
  Which cases are theirs goes by the pseudonym ``bPK2``, which would be stored as a keyed hash beside the case.

A provider answers None for whatever is not good, without saying why: the page is the same for all reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.cases import access
from issuer.cases.access import CaseVisit
from issuer.holders import Holder


class Assurance(IntEnum):
    """How sure it is who has come, in the steps of eIDAS (Regulation (EU) 910/2014, article 8)."""

    # Somebody who can read the mail, or was shown the link: below "low".
    LINK = 0
    LOW = 1
    SUBSTANTIAL = 2
    HIGH = 3


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody who has come in: their visit, how sure it is who they are, and what is vouched for of the person."""

    visit: CaseVisit
    assurance: Assurance
    person: Holder | None = None


class IdentityProvider(Protocol):
    """One way to come in. ``proof`` is what the browser brings: a link's token, a SAML response."""

    def is_open(self, session: Session, application: Application, proof: str) -> bool:
        """Whether ``proof`` would be accepted now; uses nothing up."""
        ...

    def arrive(self, session: Session, application: Application, proof: str) -> Arrival | None:
        """Accept ``proof`` once, in a writing transaction, and begin a visit; None for whatever is not good."""
        ...


class MailLink:
    """The one-time link of `issuer.cases.access`: whoever has it may go on with the case."""

    def is_open(self, session: Session, application: Application, proof: str) -> bool:
        """As `IdentityProvider.is_open`."""
        return access.is_open(session, application, proof)

    def arrive(self, session: Session, application: Application, proof: str) -> Arrival | None:
        """As `IdentityProvider.arrive`."""
        visit = access.redeem(session, application, proof)
        return Arrival(visit, Assurance.LINK) if visit is not None else None


PROVIDER: Final[IdentityProvider] = MailLink()
