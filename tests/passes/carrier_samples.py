"""Contents of passes for the tests of the carriers: one of each kind that looks different."""

from datetime import UTC, date, datetime
from typing import Any

from passes import base45
from passes.card_numbers import CardNumber
from passes.model import City, DisplayMode, PassContent, Recipient, RegisteredPlate
from passes.pass_types import PassType, load_type
from passes.periods import Period
from passes.plates import Plate
from passes.seasons import Season
from passes.zones import Zone

HOLDER = ("Frau Dr. Şeyma Müller-Đặng", "Zum Kühlen Grunde 17 c", "40213 Düsseldorf")
SEAL = "SP1:" + base45.encode(bytes(range(100, 252)))
LIBRARY_SEAL = "SP1:" + base45.encode(bytes(range(100, 245)))


def builtin(name: str) -> PassType:
    from importlib.resources import files

    return load_type(files("passes").joinpath("types", name))


PERMIT = builtin("resident-parking-permit")
CARD = builtin("library-card")


def city(**changes: Any) -> City:
    values: dict[str, Any] = {
        "tenant": "duesseldorf",
        "name": "Landeshauptstadt Düsseldorf",
        "display_mode": DisplayMode.PAPER_REQUIRED,
        "base_url": "https://ausweise.stadt.example",
        "contact": "Bürgerservice, Telefon 0211 8991, parken@stadt.example",
        "test": False,
        "apple_pass_type_identifier": "pass.example.stadt.parken",
        "apple_team_identifier": "ABCDE12345",
        "google_issuer_id": "3388000000012345678",
        "google_service_account": "wallet@stadt-example.iam.gserviceaccount.com",
    }
    return City(**(values | changes))


def permit(
    *plates: str | RegisteredPlate,
    organisation: str = "",
    kind: str = "standard",
    zone: Zone | None = None,
    **changes: Any,
) -> PassContent:
    attributes: dict[str, Any] = {
        "zone": zone or Zone("MÜ", "Münsterstraße"),
        "permit_kind": kind,
    }
    if plates:
        attributes["plates"] = tuple(
            one if isinstance(one, RegisteredPlate) else RegisteredPlate(Plate.parse(one)) for one in plates
        )
    if organisation:
        attributes["organisation"] = organisation
    values: dict[str, Any] = {
        "type_id": "resident-parking-permit",
        "number": "BPA-2026-100001",
        "period": Period(date(2026, 10, 2), date(2027, 10, 1)),
        "attributes": attributes,
        "seal": SEAL,
        "serial": "0123456789abcdef0123456789abcdef",
        "issued_at": datetime(2026, 9, 21, 8, 30, tzinfo=UTC),
        "recipient": Recipient(HOLDER),
        "apple_token": "secret-token-of-the-apple-web-service",
    }
    return PassContent(**(values | changes))


def seasonal(plate: str, first: int, last: int) -> RegisteredPlate:
    return RegisteredPlate(Plate.parse(plate), Season(first, last))


def library_card(number: CardNumber | None = None, **changes: Any) -> PassContent:
    values: dict[str, Any] = {
        "type_id": "library-card",
        "number": "M500001",
        "period": Period(date(2026, 4, 17), date(2027, 4, 16)),
        "attributes": {
            "card_number": number or CardNumber("24711300000134"),
            "category": "child",
            "branch": "Zentralbibliothek",
        },
        "seal": LIBRARY_SEAL,
        "serial": "fedcba9876543210fedcba9876543210",
        "issued_at": datetime(2026, 4, 17, 8, 30, tzinfo=UTC),
        "recipient": Recipient(HOLDER),
    }
    return PassContent(**(values | changes))
