"""Residence proven by an EUDI Wallet: what of a credential has to agree with an application, and what that settles.

Compared is what the residents' register would compare (`issuer.rules.sources`): the name, and street, house number
and postal code of the main residence, however they are spelled; and the town, since a register has only one. What was
compared is not kept, but for a keyed digest by which one person is one, whichever of their names they apply under.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from sqlalchemy.orm import Session

from issuer.cases.facts import CaseFacts, ProofCredential, ResidenceProof
from issuer.cases.rules import CheckOutcome
from issuer.errors import IssuerRefusal
from issuer.holders import Holder
from issuer.rules.house_numbers import HouseNumber, parse_house_number
from issuer.rules.kinds import Check
from issuer.rules.sources.names import RegisteredName
from issuer.rules.sources.protocols import Person
from issuer.rules.street_names import street_keys
from issuer.rules.town_names import may_be_same_town
from issuer.settings import record_key
from keys.texts import Texts
from passes.display import day_text
from passes.errors import PassRefusal
from passes.names import folded, search_keys
from passes.periods import berlin_day

# As which evidence of a kind's rules a credential counts; where the rules accept neither, no wallet is asked.
EVIDENCE_OF: Final[Mapping[ProofCredential, str]] = {
    ProofCredential.PID: "identity_card",
    ProofCredential.RESIDENCE_CERTIFICATE: "registration_certificate",
}
# What the directory of streets does not know, a person must look at, whoever lives there.
_FOR_A_PERSON: Final = "ADDRESS_UNCLEAR"
_SECONDARY: Final = "secondary"
_LONGEST: Final = 400
_KEY_BYTES: Final = 16
# Before what may be the house number behind a street, as German identity cards have it. Streets have numbers as well.
_BEFORE_NUMBER: Final = re.compile(r"(?:[\s,]+|(?<=\.))(?:Nr\.?\s*)?(?=[0-9])", re.IGNORECASE)


class Difference(StrEnum):
    """In what a credential does not agree with an application."""

    NAME = "name"
    ADDRESS = "address"


def differences(person: Holder, shown: Mapping[str, str]) -> frozenset[Difference]:
    """In what ``shown``, a credential's values under our names, differs from who asks; empty where all agrees.

    The names are ``family_name``, ``given_names``, ``main_street``, ``main_house_number``, ``main_postal_code``,
    ``main_city``. A value that is missing agrees with nothing. Of several given names one is enough, and where a
    credential has no house number of its own, or has it twice, it is looked for behind the street.
    """
    values = {name: text[:_LONGEST] for name, text in shown.items()}
    found = set()
    if not _is_name(person, values):
        found.add(Difference.NAME)
    if not _is_address(person, values):
        found.add(Difference.ADDRESS)
    return frozenset(found)


def shown_key(session: Session, tenant: str, person: Holder, shown: Mapping[str, str]) -> str:
    """A keyed digest of the family name and all given names in ``shown``, and of the address of ``person``.

    It says that two proofs are of one person, however few of their given names an application has and in whichever
    order; nobody without the register's key can find out whose it is. Both have to agree (`differences`): the address
    is taken as the application has it, which comes in fewer spellings. Raises IssuerRefusal for what is no address.
    """
    streets, numbers = street_keys(person.street), person.house_number.strip()
    given = shown.get("given_names", "")[:_LONGEST].replace("-", " ")
    text = "\x1f".join(
        (
            folded(shown.get("family_name", "")[:_LONGEST], expand=True),
            " ".join(sorted(folded(given, expand=True).split())),
            streets.full,
            " ".join(str(one) for one in parse_house_number(numbers)) if numbers else "",
            person.postal_code,
        )
    )
    mac = hmac.digest(record_key(session, tenant), f"shown\x1f{text}".encode(), "sha256")
    return mac[:_KEY_BYTES].hex()


def holds_for(before: Holder, now: Holder) -> bool:
    """Whether what was proven of ``before`` is still proven of ``now``: the same names and main residence.

    However they are spelled, but no other given name, since of several each is somebody's whole name.
    """
    names = ((before.family_name, now.family_name), (before.given_name, now.given_name))
    if not all(_is_one_name(*both) for both in names) or before.postal_code != now.postal_code:
        return False
    if before.city != now.city and not may_be_same_town(before.city, now.city):
        return False
    try:
        streets, numbers = _place(before.street, before.house_number)
        others, other = _place(now.street, now.house_number)
    except IssuerRefusal:
        return (before.street, before.house_number) == (now.street, now.house_number)
    return bool(streets & others) and numbers == other


def credentials_for(evidence: Sequence[str], facts: CaseFacts) -> tuple[ProofCredential, ...]:
    """The credentials that count as one of the types ``evidence``, for what ``facts`` say.

    None for a secondary residence: wallets are asked for the main one alone.
    """
    if facts.residence == _SECONDARY:
        return ()
    return tuple(one for one, name in EVIDENCE_OF.items() if name in evidence)


def is_for_wallet(check: Mapping[str, Any], facts: CaseFacts) -> bool:
    """Whether ``check``, as a case stores it, is open and a wallet can settle it."""
    return (
        check["name"] == Check.RESIDENCE
        and check["outcome"] == CheckOutcome.EVIDENCE
        and not check.get("accepted")
        and check["reason"] != _FOR_A_PERSON
        and bool(credentials_for(check["evidence"], facts))
    )


def settled(checks: Sequence[dict[str, Any]], facts: CaseFacts) -> list[dict[str, Any]]:
    """``checks``, as a case stores them, with what the proof in ``facts`` settles accepted as that evidence."""
    proof = facts.residence_proof
    if proof is None:
        return list(checks)
    return [
        one | {"accepted": EVIDENCE_OF[proof.credential], "proven": True}
        if is_for_wallet(one, facts) and proof.credential in credentials_for(one["evidence"], facts)
        else one
        for one in checks
    ]


def proof_text(proof: ResidenceProof | None, say: Texts) -> str:
    """That residence was proven by a wallet: by which credential, whose, on which day; empty where it was not."""
    if proof is None:
        return ""
    return say(
        "WALLET_PROVEN",
        credential=say(f"WALLET_CREDENTIAL_{proof.credential.name}"),
        issuer=proof.issuer or say("WALLET_ISSUER_UNNAMED"),
        day=day_text(berlin_day(proof.at), say.language),
    )


def _is_name(person: Holder, values: Mapping[str, str]) -> bool:
    family = values.get("family_name", "").strip()
    if not family:
        return False
    try:
        shown = RegisteredName.of(family, values.get("given_names", ""), None)
    except PassRefusal:
        return False
    return shown.fits(Person(person.family_name, person.given_name))


def _is_one_name(one: str, other: str) -> bool:
    return one == other or not search_keys(one[:_LONGEST]).isdisjoint(search_keys(other[:_LONGEST]))


def _is_address(person: Holder, values: Mapping[str, str]) -> bool:
    street, number = values.get("main_street", "").strip(), values.get("main_house_number", "").strip()
    if not street or values.get("main_postal_code", "").strip() != person.postal_code:
        return False
    if not may_be_same_town(values.get("main_city", ""), person.city):
        return False
    try:
        streets, numbers = _place(person.street, person.house_number)
        own = _place("", number)[1]
    except IssuerRefusal:
        return False
    return any(streets & others and numbers == other for others, other in _places(street, number, own))


def _places(
    street: str, number: str, own: tuple[HouseNumber, ...]
) -> Iterator[tuple[set[str], tuple[HouseNumber, ...]]]:
    """Whatever a shown address may mean: the number behind the street only where that has none, or has it twice."""
    split = [(street[: one.start()], street[one.end() :]) for one in _BEFORE_NUMBER.finditer(street)]
    for written in [(street, number), *split]:
        try:
            streets, numbers = _place(*written)
        except IssuerRefusal:
            continue
        if not own or numbers == own:
            yield streets, numbers


def _place(street: str, number: str) -> tuple[set[str], tuple[HouseNumber, ...]]:
    """The keys of a street, of which one has to be the other's, and the numbers.

    Raises IssuerRefusal for what is no street or no house number.
    """
    keys = street_keys(street)
    return {keys.full, keys.plain} - {""}, parse_house_number(number) if number.strip() else ()
