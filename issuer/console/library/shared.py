"""What the library's pages share: which types they are for, and the member that a page is about."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.console.desk import Desk
from issuer.errors import IssuerRefusal
from issuer.holder_changes import RESIDENCE
from issuer.library.schemes import known_schemes
from issuer.models import HolderRow, PassRow
from issuer.models_library import MemberRow, ReplacedCardRow
from issuer.pickup.standing import Standing, standing_of
from issuer.register import load_contents, subject
from issuer.residence.certificates import certificate_ids
from issuer.staff.permissions import Role
from keys.errors import Refusal
from keys.texts import Texts
from passes.card_numbers import CardNumber, CheckScheme, Symbology
from passes.errors import PassRefusal
from passes.model import PassContent
from passes.pass_types import PassType
from passes.periods import berlin_day
from passes.scanned_cards import scanned_card

PATH: Final = "/office/library"
MEMBER: Final = PATH + "/members/{type_id:str}/{number:str}"
CRUMB: Final = ("OFFICE_MENU_LIBRARY", PATH)
WRONG: Final = 422
CONFLICT: Final = 409


def library_types(application: Application) -> list[PassType]:
    """The pass types that have members, in the order of their ids."""
    return [one for one in application.pass_types if one.spec.membership is not None]


def library_type(application: Application, type_id: str) -> PassType | None:
    """The pass type ``type_id`` if it has members."""
    return next((one for one in library_types(application) if one.id == type_id), None)


def member_path(type_id: str, number: str) -> str:
    """Where a member's page is."""
    return f"{PATH}/members/{type_id}/{number}"


def page_of(desk: Desk, type_id: str, number: str) -> str:
    """The page on which the person may look at the pass; empty where they may not.

    Library cards are the librarians' own, certificates of residence the registrars', and all others those of clerks
    and leads.
    """
    roles = desk.staff.roles
    if type_id in certificate_ids(desk.application.pass_types):
        is_ours = type_id == RESIDENCE and Role.REGISTRAR in roles
        return f"/office/residence/{number}" if is_ours else ""
    if library_type(desk.application, type_id) is not None:
        return member_path(type_id, number) if Role.LIBRARIAN in roles else ""
    return "" if roles.isdisjoint({Role.CLERK, Role.SUPERVISOR}) else f"/office/passes/{type_id}/{number}"


@dataclass(frozen=True, slots=True)
class Shown:
    """A member as a page shows it. ``member`` is None for a card of before memberships were kept."""

    pass_type: PassType
    row: PassRow
    content: PassContent
    holder: HolderRow
    member: MemberRow | None
    replaced: tuple[ReplacedCardRow, ...]
    standing: Standing

    @property
    def path(self) -> str:
        """Where the member's page is."""
        return member_path(self.row.type_id, self.row.number)

    @property
    def version(self) -> str:
        """What tells one state of card and member from the next, for steps that two people take at once."""
        row, member = self.row, self.member
        facts: list[object] = [row.status, row.card_key, row.period_first, row.period_last]
        if member is not None:
            facts += [member.block_reason, member.blocked_at, member.open_fees_cents]
            facts += [member.guardian_number, member.consent_at, member.birth_date]
        return hashlib.sha256(repr([str(one) for one in facts]).encode()).hexdigest()[:16]

    @property
    def subject(self) -> str:
        """How audit trail and access log name the member."""
        return subject(self.row.type_id, self.row.number)

    @property
    def card(self) -> CardNumber | None:
        """The card number."""
        return next((one for one in self.content.attributes.values() if isinstance(one, CardNumber)), None)

    @property
    def category(self) -> str:
        """The category, a choice of the type."""
        return str(self.content.attributes.get("category", ""))

    @property
    def has_replaced_number(self) -> bool:
        """Whether the card's own number was replaced: it has another, which the restored register does not know."""
        return any(one.card_key == self.row.card_key for one in self.replaced)

    @property
    def crumbs(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """The way to a page below the member's."""
        return CRUMB, (self.row.card_key or self.row.number, self.path)


def find_member(session: Session, desk: Desk, type_id: str, number: str) -> Shown | None:
    """The member with its card as it is now; None where there is none, also for a pass that is no library card."""
    application = desk.application
    pass_type = library_type(application, type_id)
    row = session.get(PassRow, (application.tenant, type_id, number)) if pass_type is not None else None
    if pass_type is None or row is None:
        return None
    content = next(load_contents(session, application.tenant, pass_type, [number]), None)
    holder = session.get(HolderRow, (application.tenant, row.holder_ref))
    if content is None or holder is None:
        return None
    replaced = session.scalars(
        select(ReplacedCardRow)
        .where(
            ReplacedCardRow.tenant == application.tenant,
            ReplacedCardRow.type_id == type_id,
            ReplacedCardRow.number == number,
        )
        .order_by(ReplacedCardRow.replaced_at.desc(), ReplacedCardRow.card_key)
    )
    return Shown(
        pass_type=pass_type,
        row=row,
        content=content,
        holder=holder,
        member=session.get(MemberRow, (application.tenant, type_id, number)),
        replaced=tuple(replaced),
        standing=standing_of(content, berlin_day(application.now())),
    )


def full_name(holder: HolderRow) -> str:
    """The name as in an address."""
    return " ".join(part for part in (holder.doctoral_degree, holder.given_name, holder.family_name) if part)


def birthday(born: date, age: int) -> date:
    """The day on which somebody completes ``age`` years: one born on 29 February on 1 March (section 188 (2) BGB)."""
    try:
        return born.replace(year=born.year + age)
    except ValueError:
        return date(born.year + age, 3, 1)


def block_label(say: Texts, member: MemberRow | None) -> str:
    """Why a card is blocked, in words."""
    reason = member.block_reason if member is not None else None
    return say(f"OFFICE_LIB_REASON_{str(reason).upper()}" if reason else "OFFICE_LIB_REASON_UNKNOWN")


def category_label(pass_type: PassType, category: str, language: str) -> str:
    """A category in words."""
    return pass_type.words(language).choices.get("category", {}).get(category, category)


def symbology_labels(say: Texts) -> dict[str, str]:
    """The kinds of barcode that a number can be shown in, in words; empty is none in particular."""
    return {"": say("OFFICE_LIB_SYMBOLOGY_NONE")} | {
        one.value: say(f"OFFICE_LIB_SYMBOLOGY_{one.name}") for one in Symbology
    }


def read_card(application: Application, text: str, symbology: str, scheme: str = "") -> CardNumber:
    """The card number that somebody has typed or scanned, without what only the scanner has put around it.

    ``symbology`` is empty where it does not matter. ``scheme`` is that of the number before, by which the new one is
    numbered too where the library names no schemes of its own, and first of all where it names several.

    Raises IssuerRefusal OFFICE_LIB_SEAL_SCANNED, OFFICE_LIB_MISREAD, OFFICE_LIB_SCHEME for a number that the schemes
    do not have, OFFICE_LIB_BARCODE for one that only the symbology cannot hold; PassRefusal CARD_SCHEME_UNKNOWN for a
    ``scheme`` that is not there any more, CARD_LIKE_SEAL.
    """
    with application.reading() as session:
        schemes = application.settings(session).library_card_schemes
    rules = known_schemes(application)
    if not schemes and scheme:
        if scheme not in rules:
            raise PassRefusal("CARD_SCHEME_UNKNOWN", known=", ".join(sorted(rules)))
        schemes = (scheme,)
    # The scheme of before comes first; the order of the others stays.
    schemes = tuple(sorted(schemes, key=lambda one: one != scheme))
    kind = next((one for one in Symbology if one.value == symbology), None)
    try:
        return _read(text, kind, schemes, rules)
    except Refusal:
        if kind is not None and _is_readable(text, schemes, rules):
            raise IssuerRefusal("OFFICE_LIB_BARCODE") from None
        raise


def _read(
    text: str, kind: Symbology | None, schemes: tuple[str, ...], rules: Mapping[str, CheckScheme]
) -> CardNumber:
    delivered = scanned_card(text, kind)
    if not delivered.spellings:
        raise IssuerRefusal("OFFICE_LIB_SEAL_SCANNED" if is_seal(text) else "OFFICE_LIB_MISREAD")
    # With start and stop characters it was read from a card, and is what the card says.
    spellings = sorted(delivered.spellings, key=lambda one: not one.framed)
    if not schemes:
        return CardNumber(spellings[0].text, None, kind)
    for one in spellings:
        for scheme in schemes:
            with suppress(PassRefusal):
                if one.fits([scheme], rules):
                    return CardNumber(one.text, scheme, kind)
    raise IssuerRefusal("OFFICE_LIB_SCHEME")


def _is_readable(text: str, schemes: tuple[str, ...], rules: Mapping[str, CheckScheme]) -> bool:
    """Whether ``text`` is a number where the symbology does not matter."""
    try:
        _read(text, None, schemes, rules)
    except Refusal:
        return False
    return True


def is_seal(text: str) -> bool:
    """Whether what was scanned is the other code of a pass."""
    return re.match(r"SP1R?:", text.strip(), re.IGNORECASE) is not None
