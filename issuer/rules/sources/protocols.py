"""What the residents' register and the vehicle register are asked, and what they can answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol

from issuer.rules.addresses import Address
from passes.plates import Plate


@dataclass(frozen=True, slots=True)
class Person:
    """Who is asked about, as they write their name; the birth date tells two of one name apart."""

    family_name: str
    given_name: str = ""
    birth_date: date | None = None


class Residence(StrEnum):
    """Whether an address is somebody's main or a secondary residence (§§ 21, 22 BMG)."""

    MAIN = "main"
    SECONDARY = "secondary"


@dataclass(frozen=True, slots=True)
class SourceAway:
    """The source gave no answer. ``reason`` is a code for logs and the office, without personal data."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resides:
    """The person is registered at the address on the day."""

    residence: Residence


@dataclass(frozen=True, slots=True)
class ResidesNot:
    """Nobody of this name is registered at the address on the day; who moved in lately may not be known yet."""


@dataclass(frozen=True, slots=True)
class ResidentUnclear:
    """Several persons at the address could be meant; the birth date would tell."""


@dataclass(frozen=True, slots=True)
class KeeperIs:
    """The person is the keeper of the vehicle."""


@dataclass(frozen=True, slots=True)
class KeeperIsOther:
    """The vehicle has another keeper; the source does not say who."""


@dataclass(frozen=True, slots=True)
class VehicleUnknown:
    """The source knows no vehicle with this plate on the day, as with one of another district's office."""


ResidenceAnswer = Resides | ResidesNot | ResidentUnclear | SourceAway
KeeperAnswer = KeeperIs | KeeperIsOther | VehicleUnknown | SourceAway


class ResidentsRegister(Protocol):
    """The residents' register (Melderegister). Raises nothing: what goes wrong is `SourceAway`."""

    def residence(self, person: Person, address: Address, day: date) -> ResidenceAnswer:
        """Whether ``person`` is registered at ``address`` on ``day``."""
        ...


class VehicleRegister(Protocol):
    """The register of vehicles and their keepers. Raises nothing: what goes wrong is `SourceAway`."""

    def keeper(self, plate: Plate, person: Person, day: date) -> KeeperAnswer:
        """Whether ``person`` is the keeper of the vehicle with ``plate`` on ``day``."""
        ...


@dataclass(frozen=True, slots=True)
class Away:
    """Stands in for a register that the city has not connected."""

    reason: str = "NOT_CONNECTED"

    def residence(self, person: Person, address: Address, day: date) -> SourceAway:  # noqa: ARG002
        """No answer."""
        return SourceAway(self.reason)

    def keeper(self, plate: Plate, person: Person, day: date) -> SourceAway:  # noqa: ARG002
        """No answer."""
        return SourceAway(self.reason)


@dataclass(frozen=True, slots=True)
class Sources:
    """The registers that a city has connected."""

    residents: ResidentsRegister = Away()
    vehicles: VehicleRegister = Away()
