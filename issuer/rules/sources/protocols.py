"""What the residents' register and the vehicle register are asked, and what they can answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, Protocol

from issuer.rules.addresses import Address
from passes.plates import Plate

NOT_CONNECTED: Final = "NOT_CONNECTED"


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
class Home:
    """An address of somebody, as the register writes it; empty parts are not known there."""

    residence: Residence
    street: str
    house_number: str
    postal_code: str
    city: str


@dataclass(frozen=True, slots=True)
class Resident:
    """What a certificate says of a person (§ 18 (1) BMG): all current addresses, main residences first.

    ``key`` is the register's own name for the person; empty where it has none.
    """

    family_name: str
    given_names: str
    birth_date: date
    homes: tuple[Home, ...]
    usual_given_name: str = ""
    former_names: str = ""
    doctoral_degree: str = ""
    artistic_name: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class NotByMachine:
    """The register gives nothing out: nobody is registered like that, or several are, or disclosure is blocked.

    Which of them, the answer must not tell (§ 51 (2) BMG).
    """


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


ResidentAnswer = Resident | NotByMachine | SourceAway
ResidenceAnswer = Resides | ResidesNot | ResidentUnclear | SourceAway
KeeperAnswer = KeeperIs | KeeperIsOther | VehicleUnknown | SourceAway


class ResidentsRegister(Protocol):
    """The residents' register (Melderegister). Raises nothing: what goes wrong is `SourceAway`."""

    def residence(self, person: Person, address: Address, day: date) -> ResidenceAnswer:
        """Whether ``person`` is registered at ``address`` on ``day``; of a blocked person it says `ResidesNot`."""
        ...

    def resident(self, person: Person, address: Address, day: date) -> ResidentAnswer:
        """What is registered of ``person``, who has named birth date and one of their addresses, on ``day``."""
        ...

    def may_certify(self, person: Person, day: date) -> bool | SourceAway:
        """Whether somebody is registered on ``day`` who can be ``person``, and disclosure is blocked for no such one.

        Blocked (§§ 51, 52 BMG) and unknown are one answer, as in `NotByMachine`.
        """
        ...

    def contradicts(self, certified: Resident, day: date) -> bool | SourceAway:
        """Whether the register knows who that is, and says otherwise on ``day``; False where it knows too little."""
        ...


class VehicleRegister(Protocol):
    """The register of vehicles and their keepers. Raises nothing: what goes wrong is `SourceAway`."""

    def keeper(self, plate: Plate, person: Person, day: date) -> KeeperAnswer:
        """Whether ``person`` is the keeper of the vehicle with ``plate`` on ``day``."""
        ...


@dataclass(frozen=True, slots=True)
class Away:
    """Stands in for a register that the city has not connected."""

    reason: str = NOT_CONNECTED

    def residence(self, person: Person, address: Address, day: date) -> SourceAway:  # noqa: ARG002
        """No answer."""
        return SourceAway(self.reason)

    def resident(self, person: Person, address: Address, day: date) -> SourceAway:  # noqa: ARG002
        """No answer."""
        return SourceAway(self.reason)

    def may_certify(self, person: Person, day: date) -> SourceAway:  # noqa: ARG002
        """No answer."""
        return SourceAway(self.reason)

    def contradicts(self, certified: Resident, day: date) -> SourceAway:  # noqa: ARG002
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
