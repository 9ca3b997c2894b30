"""One revision of a pass as plain values: what every carrier is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from passes.card_numbers import CardNumber
from passes.periods import Period
from passes.plates import Plate
from passes.seasons import Season
from passes.zones import Zone


class DisplayMode(StrEnum):
    """Whether the city wants the print in the car (StVO annex 3, sign 314) or accepts the phone."""

    PAPER_REQUIRED = "paper_required"
    DIGITAL_ALLOWED = "digital_allowed"


class MainCode(StrEnum):
    """Which of its two codes a library card shows in wallets: the seal, or its number for other readers."""

    SEAL = "seal"
    NUMBER = "number"


class PassStatus(StrEnum):
    """Where the right stands. Only `ACTIVE` inside its period is good; before and after it time decides."""

    PENDING_PAYMENT = "pending_payment"
    ACTIVE = "active"
    EXPIRED = "expired"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class RegisteredPlate:
    """A plate and, for a seasonal one, the months in which the car is registered."""

    plate: Plate
    season: Season | None = None


Attribute = str | int | bool | date | Zone | CardNumber | tuple[RegisteredPlate, ...]


@dataclass(frozen=True, slots=True)
class City:
    """Who issues: what the carriers say of the city, and under which identifiers the wallets know it."""

    tenant: str
    name: str
    display_mode: DisplayMode
    base_url: str
    contact: str
    test: bool
    apple_pass_type_identifier: str
    apple_team_identifier: str
    google_issuer_id: str
    google_service_account: str
    google_rotating_barcode: bool = False
    library_main_code: MainCode = MainCode.SEAL


@dataclass(frozen=True, slots=True)
class Recipient:
    """Name and address for a letter: lines as printed on the envelope. Never part of a pass or a seal."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PassContent:
    """One revision of a pass: the values of its type's attributes and what ties it to its carriers.

    ``serial`` (32 hex digits, random) names the pass in both wallets; ``apple_token`` opens it for the
    phone that holds it and is a secret; ``seal`` is the SP1 text that all carriers show. ``reminded_days`` is how
    many days before the last one the newest reminder stands for; None as long as there was none.
    """

    type_id: str
    number: str
    period: Period
    attributes: Mapping[str, Attribute]
    seal: str
    serial: str
    issued_at: datetime
    status: PassStatus = PassStatus.ACTIVE
    language: str = "de"
    apple_token: str = field(default="", repr=False)
    recipient: Recipient | None = field(default=None, repr=False)
    reminded_days: int | None = None
