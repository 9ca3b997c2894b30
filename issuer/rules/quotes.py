"""What a permit costs: the fee of a zone, a channel and a term on a day, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from issuer.tariffs import FeeTable, TariffZone
from keys.texts import texts
from passes.errors import PassRefusal
from passes.zones import normalise_zone_code


class NoQuoteReason(StrEnum):
    """Why there is no fee."""

    ZONE_UNKNOWN = "QUOTE_ZONE_UNKNOWN"
    ZONE_ENDED = "QUOTE_ZONE_ENDED"
    NO_FEES = "QUOTE_NO_FEES"
    CHANNEL_UNKNOWN = "QUOTE_CHANNEL_UNKNOWN"
    TERM_NOT_OFFERED = "QUOTE_TERM_NOT_OFFERED"


@dataclass(frozen=True, slots=True)
class Quote:
    """A fee in cents, which may be 0; ``tariff_class`` is the zone's, ``valid_from`` the first day of the fee."""

    cents: int
    zone_code: str
    tariff_class: str
    channel: str
    term_months: int
    valid_from: date


@dataclass(frozen=True, slots=True)
class NoQuote:
    """No fee; ``offered`` are the terms in months that the channel has in this zone on this day."""

    reason: NoQuoteReason
    zone_code: str
    channel: str
    term_months: int
    day: date
    offered: tuple[int, ...] = ()

    def sentence(self, language: str = "de") -> str:
        """The reason as a sentence."""
        return texts("issuer", language)(
            self.reason.value,
            zone=self.zone_code,
            channel=self.channel,
            months=self.term_months,
            day=self.day.isoformat(),
            offered=", ".join(map(str, self.offered)) or "–",
        )


def quote(
    known: Mapping[str, TariffZone], fees: FeeTable, zone: str, channel: str, months: int, day: date
) -> Quote | NoQuote:
    """What ``months`` in ``zone`` cost when they are applied for by ``channel`` on ``day``.

    ``day`` is the day of the application, so the zone may begin later; it must not have ended. For one that was
    merged the caller asks with its successor (`issuer.rules.zones.zone_on`). There is no discount but what the table
    has as a class or a channel.
    """
    try:
        code = normalise_zone_code(zone)
    except PassRefusal:
        code = ""
    if code not in known:
        return NoQuote(NoQuoteReason.ZONE_UNKNOWN, zone[:20], channel, months, day)
    found = known[code].on(day)
    if found.valid_until is not None and found.valid_until < day:
        return NoQuote(NoQuoteReason.ZONE_ENDED, code, channel, months, day)
    if not fees:
        return NoQuote(NoQuoteReason.NO_FEES, code, channel, months, day)
    row = fees.row_on(found.tariff_class, channel, months, day)
    if row is not None and row[2] is not None:
        return Quote(row[2], code, found.tariff_class, channel, months, row[1])
    if channel not in {one for _, one, _ in fees.rows}:
        return NoQuote(NoQuoteReason.CHANNEL_UNKNOWN, code, channel, months, day)
    offered = terms_offered(fees, found.tariff_class, channel, day)
    return NoQuote(NoQuoteReason.TERM_NOT_OFFERED, code, channel, months, day, offered)


def terms_offered(fees: FeeTable, tariff_class: str, channel: str, day: date) -> tuple[int, ...]:
    """The terms in months that have a fee on ``day``, shortest first."""
    terms = {months for _, one, months in fees.rows if one == channel}
    return tuple(sorted(one for one in terms if fees.fee(tariff_class, channel, one, day) is not None))
