"""All rules of a city as they stand in the register: read once for a request, asked as often as needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from issuer.rules.kinds import EvidenceType, KindRules, KindTable, kind_table
from issuer.rules.quotes import NoQuote, Quote, quote, terms_offered
from issuer.rules.zones import zone_on
from issuer.tariffs import FeeTable, TariffZone, fees, zones


@dataclass(frozen=True, slots=True)
class CityRules:
    """Zones, fees and permit kinds of one pass type in one city, over time. Days are Europe/Berlin."""

    zones: Mapping[str, TariffZone]
    fees: FeeTable
    kinds: KindTable

    def kind(self, kind: str, day: date) -> KindRules:
        """The rules of a permit kind on ``day``. Raises IssuerRefusal KIND_UNKNOWN, KIND_RULES."""
        return self.kinds.rules(kind, day)

    def evidence_type(self, name: str) -> EvidenceType | None:
        """What an evidence type is called, or None if the city knows none of this name."""
        return self.kinds.evidence.get(name)

    def zone_on(self, code: str, day: date) -> TariffZone | None:
        """The zone that the area of ``code`` belongs to on ``day``: itself or what it was merged into."""
        return zone_on(self.zones, code, day)

    def quote(self, zone: str, channel: str, months: int, day: date) -> Quote | NoQuote:
        """What ``months`` in ``zone`` cost in cents, applied for by ``channel`` on ``day``; as `quotes.quote`."""
        return quote(self.zones, self.fees, zone, channel, months, day)

    def terms(self, kind: str, zone: str, channel: str, day: date) -> tuple[int, ...]:
        """The terms in months that a kind has by ``channel`` in ``zone`` on ``day``: offered, and with a fee.

        Without a fee table what the kind offers. Raises as `kind`.
        """
        rules, found = self.kind(kind, day), self.zone_on(zone, day)
        if found is None or channel not in rules.channels:
            return ()
        if not self.fees:
            return rules.terms
        priced = terms_offered(self.fees, found.tariff_class, channel, day)
        return tuple(one for one in rules.terms if one in priced)


def load_rules(session: Session, tenant: str, type_id: str) -> CityRules:
    """The rules of ``tenant`` for the pass type ``type_id``."""
    return CityRules(zones(session, tenant), fees(session, tenant), kind_table(session, tenant, type_id))
