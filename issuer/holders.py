"""The person or institution that a pass is issued to, and how letters and searches find them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from issuer.models import HolderRow
from passes.model import Recipient
from passes.names import search_keys


@dataclass(frozen=True, slots=True)
class Holder:
    """A holder as the register keeps them; ``ref`` is the name the city's own system has for them."""

    ref: str
    family_name: str
    given_name: str = ""
    doctoral_degree: str = ""
    street: str = ""
    house_number: str = ""
    postal_code: str = ""
    city: str = ""
    email: str = ""
    language: str = "de"

    @property
    def name(self) -> str:
        """The name as in an address: ``Dr. Erika Mustermann``."""
        return " ".join(filter(None, (self.doctoral_degree, self.given_name, self.family_name)))

    @property
    def search_keys(self) -> str:
        """The spellings that a search finds the name by, each on a line."""
        return "\n".join(sorted(search_keys(f"{self.given_name} {self.family_name}"[:400])))

    def recipient(self) -> Recipient:
        """Name and address, as lines on an envelope."""
        street = f"{self.street} {self.house_number}".strip()
        town = f"{self.postal_code} {self.city}".strip()
        return Recipient(tuple(filter(None, (self.name, street, town))))

    def row(self, tenant: str, at: datetime) -> dict[str, object]:
        """The holder as a row of the table, with the spellings a search finds them by."""
        values: dict[str, object] = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"tenant": tenant, **values, "search_keys": self.search_keys, "updated_at": at}


def holder_of(row: HolderRow) -> Holder:
    """The holder behind a row."""
    return Holder(**{field.name: getattr(row, field.name) for field in fields(Holder)})
