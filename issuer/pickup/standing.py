"""How a pass stands today for its holder, and what it says: the same words as on its carriers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.library.membership import consent_missing
from issuer.models_delivery import WalletPassRow
from issuer.models_library import MemberRow
from issuer.register import load_contents
from issuer.residence.certificates import names_person
from passes.card_numbers import CardNumber
from passes.display import Shown, display_hint, shown_fields
from passes.errors import PassRefusal
from passes.model import City, DisplayMode, PassContent, PassStatus
from passes.pass_types import PassType
from passes.periods import berlin_day


class Standing(StrEnum):
    """Whether the pass holds; only the first two have anything to fetch."""

    VALID = "valid"
    NOT_YET = "not_yet"
    ENDED = "ended"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"
    UNPAID = "unpaid"


_OF_STATUS: Final = {
    PassStatus.SUSPENDED: Standing.SUSPENDED,
    PassStatus.REVOKED: Standing.REVOKED,
    PassStatus.SUPERSEDED: Standing.SUPERSEDED,
    PassStatus.PENDING_PAYMENT: Standing.UNPAID,
    PassStatus.EXPIRED: Standing.ENDED,
}
# Sentences that stand in a section of their own, or that a page has no room for.
_NOT_IN_LIST: Final = ("display_hint", "standing", "rules", "contact", "privacy")


def standing_of(content: PassContent, today: date) -> Standing:
    """How ``content`` stands on the day ``today`` (Europe/Berlin)."""
    return standing_at(content.status, content.period.first, content.period.last, today)


def standing_at(status: PassStatus, first: date, last: date, today: date) -> Standing:
    """How a pass with ``status`` and the days ``first`` to ``last`` stands on the day ``today``."""
    if status is not PassStatus.ACTIVE:
        return _OF_STATUS[status]
    if last < today:
        return Standing.ENDED
    return Standing.NOT_YET if first > today else Standing.VALID


@dataclass(frozen=True, slots=True)
class HeldPass:
    """A pass as its holder sees it; ``wallet`` is None if no wallet has ever been offered it.

    ``consent_under`` is the age below which a parent must consent and has not; 0 where no consent is missing.
    """

    pass_type: PassType
    content: PassContent
    city: City
    standing: Standing
    wallet: WalletPassRow | None
    consent_under: int = 0

    @property
    def is_offered(self) -> bool:
        """Whether there is anything to fetch that would be valid, and that may be handed out."""
        if self.consent_under:
            return False
        return self.standing in (Standing.VALID, Standing.NOT_YET) and bool(self.content.seal)

    @property
    def is_withdrawn(self) -> bool:
        """Whether the holder wants no wallets."""
        return self.wallet is not None and self.wallet.withdrawn_at is not None

    @property
    def is_certificate(self) -> bool:
        """Whether it says who its holder is: it is neither renewed nor changed, a new one is asked for."""
        return names_person(self.pass_type)

    @property
    def is_of_member(self) -> bool:
        """Whether the pass is a library's card, so that the library's desk and not an office of the city helps."""
        return self.pass_type.spec.membership is not None

    @property
    def must_be_printed(self) -> bool:
        """Whether the print has to lie in the car, as `passes.display.display_hint` says it."""
        if not self.pass_type.spec.stands_in_car:
            return False
        has_plate = bool(self.content.attributes.get("plates"))
        return self.city.display_mode is DisplayMode.PAPER_REQUIRED or not has_plate

    @property
    def card(self) -> CardNumber | None:
        """The number on the card, for types that have one."""
        return self.pass_type.card_of(self.content)

    def hint(self, language: str) -> str:
        """Where the print has to be, in words; empty for cards that do not stand in a car."""
        return display_hint(self.pass_type, self.content, self.city, language)

    def name(self, language: str) -> str:
        """What the pass is called."""
        return self.pass_type.words(language).name

    def fields(self, language: str) -> list[Shown]:
        """What the pass says, in the type's order, as every carrier says it; a zone's code is in its name."""
        shown = shown_fields(self.pass_type, self.content, self.city, language)
        hidden = {*_NOT_IN_LIST, *(("zone_code",) if "zone" in shown else ())}
        return [one for key, one in shown.items() if key not in hidden]


def held_pass(session: Session, application: Application, type_id: str, number: str) -> HeldPass | None:
    """The pass as it is now; None if it has been deleted meanwhile."""
    try:
        pass_type = application.pass_types[type_id]
    except PassRefusal:
        # The city has taken the type away while somebody still had a pass of it.
        return None
    content = next(load_contents(session, application.tenant, pass_type, [number]), None)
    if content is None:
        return None
    today = berlin_day(application.now())
    member = session.get(MemberRow, (application.tenant, type_id, number))
    category = str(content.attributes.get("category", ""))
    return HeldPass(
        pass_type=pass_type,
        content=content,
        city=application.settings(session).city(application.tenant),
        standing=standing_of(content, today),
        wallet=session.get(WalletPassRow, (application.tenant, content.serial)),
        consent_under=consent_missing(pass_type, category, member, today),
    )
