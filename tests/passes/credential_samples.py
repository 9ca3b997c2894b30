"""Credentials of every pass type as tests need them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from passes.credential_frame import StatusReference
from passes.credentials import Binding
from passes.model import PassContent
from passes.periods import Period
from tests.eudi_wallet import CITY_URL
from tests.passes.carrier_samples import SEAL, builtin, library_card, permit

RESIDENCE = builtin("residence-certificate")
LIST_URI = f"{CITY_URL}/status/1"

SAMPLES = {
    "resident-parking-permit": permit("D-AB 123", "D-E 5H", kind="two_plates"),
    "library-card": library_card(),
}


def residence(attributes: Mapping[str, Any] | None = None, **changes: Any) -> PassContent:
    values: dict[str, Any] = {
        "type_id": "residence-certificate",
        "number": "MB-2026-000001",
        "period": Period(date(2026, 11, 20), date(2027, 2, 17)),
        "attributes": {
            "family_name": "Müller-Đặng",
            "given_names": "Şeyma Marie",
            "usual_given_name": "Marie",
            "doctoral_degree": "Dr.",
            "birth_date": date(1984, 2, 29),
            "main_street": "Zum Kühlen Grunde",
            "main_house_number": "17 c",
            "main_postal_code": "40213",
            "main_city": "Düsseldorf",
            "secondary_street": "Hauptstraße",
            "secondary_house_number": "1",
            "secondary_postal_code": "50667",
            "secondary_city": "Köln",
        }
        | dict(attributes or {}),
        "seal": SEAL,
        "serial": "00112233445566778899aabbccddeeff",
        "issued_at": datetime(2026, 11, 20, 8, 30, tzinfo=UTC),
    }
    return PassContent(**(values | changes))


SAMPLES["residence-certificate"] = residence()


def binding(key: ec.EllipticCurvePublicKey, index: int = 5) -> Binding:
    return Binding(key, StatusReference(LIST_URI, index))
