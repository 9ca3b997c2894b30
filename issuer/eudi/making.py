"""Which credentials the city issues, and making them: the pass type's data and the document signer's key together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.eudi.identity import signer_of
from passes.credential_frame import StatusReference
from passes.credentials import Binding, CredentialFactory
from passes.eudi_spec import CredentialFormat
from passes.model import PassContent
from passes.pass_types import PassType

_NAMES: Final[Mapping[CredentialFormat, str]] = {"dc+sd-jwt": "sd-jwt", "mso_mdoc": "mdoc"}


@dataclass(frozen=True, slots=True)
class Configuration:
    """A credential configuration: a pass type in one format. Its id is its OAuth scope as well (HAIP 1.0, 4.1)."""

    pass_type: PassType
    format: CredentialFormat

    @property
    def id(self) -> str:
        """Its name in metadata, offers and requests."""
        return f"{self.pass_type.id}.{_NAMES[self.format]}"

    @property
    def type_id(self) -> str:
        """The type of the passes it is for."""
        return self.pass_type.id


def configurations(application: Application) -> dict[str, Configuration]:
    """All configurations by their ids, in the order of the pass types."""
    found = [
        Configuration(one, form)
        for one in application.pass_types
        if one.spec.eudi is not None
        for form in one.eudi.formats
    ]
    return {one.id: one for one in found}


def of_type(application: Application, type_id: str) -> list[Configuration]:
    """The configurations of a pass type; none where it is no EUDI credential."""
    return [one for one in configurations(application).values() if one.type_id == type_id]


def ends_at(configuration: Configuration, content: PassContent, at: datetime) -> datetime:
    """When a credential that is made at ``at`` (aware) ends: with the right, or after the type's lifetime."""
    return min(at + timedelta(days=configuration.pass_type.eudi.lifetime_days), content.period.ends_at)


@dataclass(frozen=True, slots=True)
class Order:
    """Credentials to be made at ``at`` by the document signer ``kid``, in whose lists their places are.

    For each key one, with its place (URI of the list, index).
    """

    configuration: Configuration
    content: PassContent
    recipients: Sequence[tuple[ECKey, tuple[str, int]]]
    at: datetime
    kid: str | None


def make(application: Application, session: Session, order: Order) -> list[str]:
    """The credentials of ``order`` in its order. Raises IssuerRefusal, KeyRefusal, PassRefusal."""
    city = application.settings(session).city(application.tenant)
    factory = CredentialFactory(
        order.configuration.pass_type, city, signer_of(session, application, order.kid)
    )
    bindings = [Binding(_public(key), StatusReference(uri, index)) for key, (uri, index) in order.recipients]
    return factory.issue(order.configuration.format, order.content, bindings, order.at)


def _public(key: ECKey) -> ec.EllipticCurvePublicKey:
    public_key = key.public_key
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise TypeError("not a public key on a curve")
    return public_key
