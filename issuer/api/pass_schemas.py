"""What the API says of passes and takes for them. Days are Europe/Berlin, inclusive; money is in cents."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from passes.model import PassStatus

# Longer than anything a column takes: what the length of a value may be, the type's own checks say.
_Cell = Annotated[str, msgspec.Meta(max_length=1000)]
_Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,39}\Z")]
TypeId = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9-]{1,39}\Z")]
Number = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Months = Annotated[int, msgspec.Meta(ge=1, le=120)]
Cents = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]
StatusName = Literal["pending_payment", "active", "expired", "suspended", "revoked", "superseded"]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class PlateInput(_Strict, frozen=True):
    """A plate as a person writes it, and the months of a seasonal one (``04-10``)."""

    plate: _Cell
    season: _Cell | None = None


class CardInput(_Strict, frozen=True):
    """A card number exactly as printed; scheme and symbology as the library declares them."""

    number: _Cell
    scheme: _Cell | None = None
    symbology: _Cell | None = None


class ZoneInput(_Strict, frozen=True):
    """A zone by its code; the name is read over, so that an answer can be sent back as it came."""

    code: _Cell
    name: _Cell | None = None


class HolderInput(_Strict, frozen=True):
    """The person or institution; ``ref`` is the name the city's own system has for them."""

    ref: _Cell | None = None
    family_name: _Cell | None = None
    given_name: _Cell | None = None
    doctoral_degree: _Cell | None = None
    street: _Cell | None = None
    house_number: _Cell | None = None
    postal_code: _Cell | None = None
    city: _Cell | None = None
    email: _Cell | None = None
    language: _Cell | None = None
    birth_date: date | None = None


class PeriodInput(_Strict, frozen=True):
    """First day and last day, or first day and term: the last day then follows (section 188 (2) BGB)."""

    first: date
    last: date | None = None
    term_months: Months | None = None


AttributeValue = str | int | bool | list[PlateInput] | dict[str, str | None] | None


class NewPass(_Strict, frozen=True):
    """A pass to issue, or with status ``pending_payment`` one to approve later.

    ``attributes`` are those of the pass type. ``details`` are the further columns of its register by their names,
    such as channel, fee_cents or issued_on.
    """

    type: TypeId
    holder: HolderInput
    period: PeriodInput
    number: _Cell | None = None
    status: Literal["active", "pending_payment"] = "active"
    attributes: dict[_Name, AttributeValue] = {}
    details: dict[_Name, str | int | bool | None] = {}


class PassChange(_Strict, frozen=True):
    """What a pass is to say from now on; what is absent stays as it is."""

    plates: Annotated[list[PlateInput], msgspec.Meta(min_length=1, max_length=10)] | None = None
    zone: _Cell | None = None
    card_number: CardInput | None = None
    reason: Reason | None = None


class StepRequest(_Strict, frozen=True):
    """Why it is done: one line for the audit trail, without names."""

    reason: Reason


class ApproveRequest(_Strict, frozen=True):
    """Approval needs no reason."""

    reason: Reason | None = None


class RenewRequest(_Strict, frozen=True):
    """The further term; fee and channel are compared with the fee table if both are there."""

    term_months: Months
    channel: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    fee_cents: Cents | None = None
    reason: Reason | None = None


class LinkRequest(_Strict, frozen=True):
    """``mail`` sends the link to the holder's address, ``desk`` answers with it, for the screen at the counter."""

    channel: Literal["mail", "desk"]


class Period(msgspec.Struct, frozen=True):
    """Both days inclusive."""

    first: date
    last: date


class Holder(msgspec.Struct, frozen=True):
    """The holder; only for clients with the scope ``holders:read``."""

    ref: str
    family_name: str
    given_name: str
    doctoral_degree: str
    street: str
    house_number: str
    postal_code: str
    city: str
    email: str
    language: str


class PassSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """A pass in a list. ``attributes`` have plates, zone and so on in the form of the type."""

    type: str
    number: str
    status: StatusName
    period: Period
    attributes: Mapping[str, Any]
    revision: int
    issued_at: datetime
    replaces: str | None = None
    holder: Holder | None = None


class Warning(msgspec.Struct, frozen=True):
    """Something a person should look at; the pass was entered."""

    code: str
    detail: str
    pointer: str


class PassAnswer(PassSummary, frozen=True, omit_defaults=True):
    """A pass as it is now; the ETag of the answer names this version."""

    created_at: datetime | None = None
    updated_at: datetime | None = None
    warnings: list[Warning] = []


class PassPage(msgspec.Struct, frozen=True):
    """A page of passes; ``next`` is the cursor of the following page, null after the last."""

    items: list[PassSummary]
    next: str | None


class HistoryEntry(msgspec.Struct, frozen=True):
    """One entry of the audit trail: values before and after, without any personal data."""

    at: datetime
    actor: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None


class History(msgspec.Struct, frozen=True):
    """All entries about a pass, oldest first."""

    items: list[HistoryEntry]


class LinkAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """``url`` with the channel ``desk``: it opens the pass once, within the hour. With ``mail`` it is on its way."""

    channel: str
    url: str | None = None


class LetterCode(msgspec.Struct, frozen=True):
    """Twelve characters for a letter; they open the pass together with its last day, for 30 days."""

    code: str


STATUSES: Final = tuple(one.value for one in PassStatus)
