"""What can be asked of a wallet, as data: which credentials would do, and which of their claims are needed.

A wish becomes one DCQL query (OpenID4VP 1.0, 6) with a credential query for each format, of which the wallet answers
one. What stands where in the city's own credentials is read from their pass types; in an identity it is the PID
Rulebook's to say (3.1 and 4.1, after CIR (EU) 2024/2977). Claims have our names, whatever they are called there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from passes.eudi_spec import CredentialFormat
from passes.pass_types import PassTypes
from passes.type_metadata import vct_of
from verifier.credentials.disclosures import ClaimPath

SD_JWT: Final[CredentialFormat] = "dc+sd-jwt"
MDOC: Final[CredentialFormat] = "mso_mdoc"


class Wish(StrEnum):
    """What is asked for: at the desk, or of somebody who applies for something."""

    LIBRARY_CARD = "library-card"
    RESIDENCE_CERTIFICATE = "residence"
    PROOF_OF_RESIDENCE = "proof-of-residence"


class Credential(StrEnum):
    """The kinds of credentials, each with authorities of its own: person identification data, and the city's own."""

    PID = "pid"
    RESIDENCE_CERTIFICATE = "residence-certificate"
    LIBRARY_CARD = "library-card"


@dataclass(frozen=True, slots=True)
class Query:
    """One credential in one format: where its claims stand, by our names for them.

    Without a claim of ``optional`` the credential does as well. ``fixed`` is what must stand beside the claims.
    """

    credential: Credential
    form: CredentialFormat
    types: tuple[str, ...]
    claims: Mapping[str, ClaimPath]
    optional: frozenset[str] = frozenset()
    fixed: Mapping[ClaimPath, str] = field(default_factory=dict)
    # Of an mdoc of an earlier number: an mdoc query names one document type (OpenID4VP 1.0, B.2.3).
    number: str = ""

    @property
    def id(self) -> str:
        """What the answer is called (OpenID4VP 1.0, 6.1)."""
        name = f"{self.credential}-{'mdoc' if self.form == MDOC else 'sd-jwt'}"
        return f"{name}-{self.number}" if self.number else name

    def described(self) -> dict[str, Any]:
        """The credential query of the DCQL query."""
        meta: dict[str, Any] = (
            {"doctype_value": self.types[0]} if self.form == MDOC else {"vct_values": list(self.types)}
        )
        # Nothing is kept longer than the question.
        more = {"intent_to_retain": False} if self.form == MDOC else {}
        claims = [{"id": name, "path": list(path), **more} for name, path in self.claims.items()]
        made = {"id": self.id, "format": self.form, "meta": meta, "claims": claims}
        if self.optional:
            needed = [name for name in self.claims if name not in self.optional]
            made["claim_sets"] = [list(self.claims), needed]
        return made


# The number at the end of a type's name, which grows when a claim or a word changes.
_NUMBERED: Final = re.compile(r"(.*[/:.])([1-9][0-9]{0,3})")
_MOST_NUMBERS: Final = 10
# What is asked of the city's own types, by the sources of their claims.
_NAMES: Final = ("family_name", "given_names")
_MAIN_ADDRESS: Final = ("main_street", "main_house_number", "main_postal_code", "main_city")
_OWN: Final[Mapping[tuple[Wish, Credential], Sequence[str]]] = {
    (Wish.LIBRARY_CARD, Credential.LIBRARY_CARD): ("number", "card_number", "valid_until"),
    (Wish.RESIDENCE_CERTIFICATE, Credential.RESIDENCE_CERTIFICATE): (*_NAMES, "birth_date", *_MAIN_ADDRESS),
    (Wish.PROOF_OF_RESIDENCE, Credential.RESIDENCE_CERTIFICATE): (*_NAMES, *_MAIN_ADDRESS),
}
# In most identities the house number stands in the street.
_PID_NAMESPACE: Final = "eu.europa.ec.eudi.pid.1"
_PID: Final = (
    Query(
        Credential.PID,
        SD_JWT,
        ("urn:eudi:pid:de:1", "urn:eudi:pid:1"),
        {
            "family_name": ("family_name",),
            "given_names": ("given_name",),
            "main_street": ("address", "street_address"),
            "main_house_number": ("address", "house_number"),
            "main_postal_code": ("address", "postal_code"),
            "main_city": ("address", "locality"),
        },
        frozenset({"main_house_number"}),
    ),
    Query(
        Credential.PID,
        MDOC,
        (_PID_NAMESPACE,),
        {
            "family_name": (_PID_NAMESPACE, "family_name"),
            "given_names": (_PID_NAMESPACE, "given_name"),
            "main_street": (_PID_NAMESPACE, "resident_street"),
            "main_house_number": (_PID_NAMESPACE, "resident_house_number"),
            "main_postal_code": (_PID_NAMESPACE, "resident_postal_code"),
            "main_city": (_PID_NAMESPACE, "resident_city"),
        },
        frozenset({"main_house_number"}),
    ),
)


def queries(
    types: PassTypes, base_url: str, wish: Wish, trusted: Collection[Credential]
) -> tuple[Query, ...]:
    """What would satisfy ``wish``, of the kinds that somebody is ``trusted`` for; none, and nothing can be asked."""
    found: list[Query] = []
    if wish is Wish.PROOF_OF_RESIDENCE and Credential.PID in trusted:
        found += _PID
    for (of_wish, credential), names in _OWN.items():
        if of_wish is wish and credential in trusted:
            found += _own(types, base_url, credential, names)
    return tuple(found)


def dcql_query(asked: Sequence[Query]) -> dict[str, Any]:
    """The DCQL query for any one of ``asked`` (OpenID4VP 1.0, 6)."""
    made: dict[str, Any] = {"credentials": [one.described() for one in asked]}
    if len(asked) > 1:
        made["credential_sets"] = [{"options": [[one.id] for one in asked]}]
    return made


def _with_earlier(name: str) -> tuple[str, ...]:
    """``name`` of a type, and those that it had: what was made under them counts until its own end."""
    found = _NUMBERED.fullmatch(name)
    if found is None:
        return (name,)
    newest = int(found[2])
    return tuple(f"{found[1]}{one}" for one in range(newest, max(newest - _MOST_NUMBERS, 0), -1))


def _own(types: PassTypes, base_url: str, credential: Credential, names: Sequence[str]) -> Iterator[Query]:
    spec = types[credential.value].eudi
    for form in spec.formats:
        places: dict[str, ClaimPath] = {}
        for claim in spec.claims:
            if claim.source is None or claim.source not in names:
                continue
            if form == SD_JWT and claim.path:
                places[claim.source] = claim.path
            elif form == MDOC and claim.namespace is not None and claim.element is not None:
                places[claim.source] = (claim.namespace, claim.element)
        if len(places) < len(names):
            # The city's own version of the type leaves something out that is needed.
            continue
        beside = {path[:-1] for path in places.values()}
        fixed = {
            one.path: one.value
            for one in spec.claims
            if form == SD_JWT and one.value is not None and one.path[:-1] in beside
        }
        claims = {name: places[name] for name in names}
        if form == SD_JWT:
            vcts = _with_earlier(vct_of(types[credential.value], base_url))
            yield Query(credential, form, vcts, claims, fixed=fixed)
            continue
        for place, doctype in enumerate(_with_earlier(str(spec.doctype))):
            # Its own namespace is called like the document type.
            moved = {
                name: (doctype, *path[1:]) if path[0] == spec.doctype else path
                for name, path in claims.items()
            }
            yield Query(
                credential, form, (doctype,), moved, number=doctype.rpartition(".")[2] if place else ""
            )
