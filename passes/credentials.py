"""From a revision of a pass to its EUDI credentials: which claims it has, in both formats, one per wallet key.

The pass type's ``[eudi]`` section says which value stands where and what may be withheld; here values are put there.
Claims this holder does not have leave a decoy, so that the number of digests tells nobody who has a second home.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from keys.eudi_certificates import EudiSigningIdentity
from passes import mdoc, sd_jwt
from passes.card_numbers import CardNumber
from passes.credential_frame import StatusReference, validity
from passes.errors import PassRefusal
from passes.eudi_spec import CredentialFormat, EudiClaim
from passes.mdoc import Element
from passes.model import City, PassContent, PassStatus
from passes.pass_types import PassType
from passes.periods import berlin_day
from passes.sd_jwt import DECOY, Claim, Decoy, Selective
from passes.type_metadata import type_metadata
from passes.zones import Zone

_COUNTRY: Final = "DE"
# An array whose elements are withheld one by one is filled up to a multiple of this with decoys.
_ARRAY_STEP: Final = 2

SourceValue = str | int | bool | date | list[str] | None


@dataclass(frozen=True, slots=True)
class Binding:
    """One wallet key, and the place in the status list of the credential that is bound to it."""

    key: ec.EllipticCurvePublicKey
    status: StatusReference


class CredentialFactory:
    """Makes the credentials of one pass type in one city, with one document signer.

    Raises PassRefusal TYPE_CARRIER for a type that is no EUDI credential.
    """

    def __init__(self, pass_type: PassType, city: City, identity: EudiSigningIdentity) -> None:
        self._spec = pass_type.eudi
        self._type = pass_type
        self._city = city
        self._identity = identity
        self._metadata = type_metadata(pass_type, city.base_url) if self._spec.vct is not None else None
        # A demo on a machine of its own has no https address that a certificate could name.
        is_public = city.base_url.startswith("https://")
        self._issuer = city.base_url.rstrip("/") if is_public else None

    def issue(
        self,
        form: CredentialFormat,
        content: PassContent,
        bindings: Sequence[Binding],
        at: datetime,
        *,
        lifetime: timedelta | None = None,
    ) -> list[str]:
        """A batch: for each binding one credential of ``content``, made at ``at`` (aware), as OpenID4VCI sends it.

        It ends with the right, or ``lifetime`` after ``at``, which is the type's ``lifetime_days`` unless given.
        Raises PassRefusal: TYPE_FORMAT for a format the type does not have, CREDENTIAL_NOT_ACTIVE for a pass that
        is not active, CREDENTIAL_PERIOD for one that has ended, CREDENTIAL_CLAIM_MISSING where a mandatory claim has
        no value, HOLDER_KEY; KeyRefusal where the certificate does not count at ``at``.
        """
        if form not in self._spec.formats:
            raise PassRefusal("TYPE_FORMAT", type=self._type.id, format=form)
        if content.status is not PassStatus.ACTIVE:
            raise PassRefusal("CREDENTIAL_NOT_ACTIVE", number=content.number)
        lives = timedelta(days=self._spec.lifetime_days) if lifetime is None else lifetime
        times = validity(self._identity, at, content.period.starts_at, content.period.ends_at, lives)
        values = source_values(self._city, content)
        if form == "mso_mdoc":
            elements = self._elements(values)
            return [
                mdoc.issue(
                    self._identity,
                    doctype=str(self._spec.doctype),
                    elements=elements,
                    holder=one.key,
                    validity=times,
                    status=one.status,
                )
                for one in bindings
            ]
        if self._metadata is None:
            raise PassRefusal("TYPE_FORMAT", type=self._type.id, format=form)
        claims = self._claims(values)
        return [
            sd_jwt.issue(
                self._identity,
                vct=self._metadata.vct,
                vct_integrity=self._metadata.integrity,
                claims=claims,
                holder=one.key,
                validity=times,
                status=one.status,
                issuer=self._issuer,
            )
            for one in bindings
        ]

    def _value(self, claim: EudiClaim, values: Mapping[str, SourceValue]) -> SourceValue:
        value = claim.value if claim.value is not None else values.get(str(claim.source))
        if value is None and claim.mandatory:
            raise PassRefusal("CREDENTIAL_CLAIM_MISSING", type=self._type.id, claim=claim.key)
        return value

    def _elements(self, values: Mapping[str, SourceValue]) -> dict[str, dict[str, Element | Decoy]]:
        made: dict[str, dict[str, Element | Decoy]] = {}
        for claim in self._spec.claims:
            if claim.namespace is None or claim.element is None:
                continue
            value = self._value(claim, values)
            made.setdefault(claim.namespace, {})[claim.element] = DECOY if value is None else _element(value)
        return made

    def _claims(self, values: Mapping[str, SourceValue]) -> dict[str, Claim]:
        claims = [one for one in self._spec.claims if one.path]
        made = self._object((), claims, values)
        return {} if made is None else made

    def _object(
        self, parent: tuple[str | int, ...], claims: Sequence[EudiClaim], values: Mapping[str, SourceValue]
    ) -> dict[str, Claim] | None:
        """The object at ``parent``; None if nothing but what everybody has would stand in it."""
        made: dict[str, Claim] = {}
        is_own = not parent
        for claim in claims:
            if claim.path[:-1] != parent:
                continue
            value, own = self._claim(claim, claims, values)
            is_own = is_own or own
            if value is None:
                # Only what can be withheld may be missing in secret.
                value = DECOY if claim.selective else None
            elif claim.selective:
                value = Selective(value)
            if value is not None:
                made[str(claim.path[-1])] = value
        return made if is_own else None

    def _claim(
        self, claim: EudiClaim, claims: Sequence[EudiClaim], values: Mapping[str, SourceValue]
    ) -> tuple[Claim, bool]:
        """The value of a claim, None if there is none, and whether it says anything of this holder."""
        if claim.source is not None or claim.value is not None:
            value = self._value(claim, values)
            return _json(value, each=claim.each), value is not None and claim.value is None
        below = [one for one in claims if one.path[:-1] == claim.path]
        made: Claim
        if isinstance(below[0].path[-1], int):
            made = self._array(below, claims, values)
        else:
            made = self._object(claim.path, claims, values)
        if made is None and claim.mandatory:
            raise PassRefusal("CREDENTIAL_CLAIM_MISSING", type=self._type.id, claim=claim.key)
        return made, made is not None

    def _array(
        self, places: Sequence[EudiClaim], claims: Sequence[EudiClaim], values: Mapping[str, SourceValue]
    ) -> list[Claim] | None:
        made: list[Claim] = []
        for place in sorted(places, key=lambda one: one.path[-1]):
            value, _ = self._claim(place, claims, values)
            if value is not None:
                made.append(Selective(value) if place.selective else value)
            elif place.selective:
                made.append(DECOY)
        return made if any(one is not DECOY for one in made) else None


def source_values(city: City, content: PassContent) -> dict[str, SourceValue]:
    """The value of every source of ``[eudi]`` that ``content`` has one for, by its name (`passes.eudi_spec`)."""
    period = content.period
    values: dict[str, SourceValue] = {
        "number": content.number,
        "valid_from": period.first,
        "valid_until": period.last,
        "issue_date": berlin_day(content.issued_at),
        "issuing_authority": city.name,
        "issuing_country": _COUNTRY,
        "pseudonym": pseudonym(city, content),
    }
    for name, value in content.attributes.items():
        if isinstance(value, Zone):
            values[name] = value.code
            values["zone_name"] = value.name
        elif isinstance(value, CardNumber):
            values[name] = value.text
        elif isinstance(value, tuple):
            values[name] = [str(one.plate) for one in value]
        else:
            values[name] = value
    return {name: value for name, value in values.items() if value is not None and value not in ("", [])}


def pseudonym(city: City, content: PassContent) -> str:
    """A name for the holder that nothing can be looked up by: 128 bits, the same in all credentials of a pass.

    It follows from the pass's random serial by hashing, so it does not give the serial away.
    """
    told = f"stadtpass-eudi-pseudonym|{city.tenant}|{content.type_id}|{content.serial}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _json(value: SourceValue, *, each: bool) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list) and each:
        filled: list[Claim] = [Selective(one) for one in value]
        return [*filled, *[DECOY] * (-len(filled) % _ARRAY_STEP)]
    return value


def _element(value: str | int | bool | date | list[str]) -> Element:
    return [*value] if isinstance(value, list) else value
