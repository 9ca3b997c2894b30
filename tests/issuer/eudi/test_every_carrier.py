"""One record behind every carrier: what happens to a permit reaches all of them with one commit, or none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from litestar.testing import TestClient
from sqlalchemy.orm import Session

from issuer import lifecycle
from issuer.application import Application
from issuer.delivery import google_objects
from issuer.lifecycle import Changes
from issuer.models_delivery import AppleRegistrationRow, WalletPassRow
from issuer.publication import publish_due
from passes.model import RegisteredPlate
from passes.plates import Plate
from tests.eudi_issuing_wallet import Wallet, new_key, unsigned_parts
from tests.issuer.apple.pushing import register, waiting
from tests.issuer.eudi.conftest import MakeWallet, offer_of
from tests.issuer.eudi.test_one_revocation import status
from tests.issuer.publication.handheld import Handheld, Http, actor, enrol, plates_of, seal_of
from tests.service import PERMIT, City, running_numbers
from tests.web_app import create_app

NEW = Plate("D", "NE", "4711")
Step = Callable[[Session, Application, str], object]


def revoke(session: Session, application: Application, number: str) -> None:
    lifecycle.revoke(session, application.tenant, PERMIT, number, actor=actor(application))


def change(session: Session, application: Application, number: str) -> None:
    pass_type = application.pass_types[PERMIT]
    lifecycle.change(
        session,
        application.tenant,
        pass_type,
        number,
        Changes(plates=(RegisteredPlate(NEW, None),)),
        seal_for=application.sealer(session, pass_type),
        actor=actor(application),
    )


@pytest.fixture
def http(application: Application) -> Iterator[Http]:
    with TestClient(create_app(application)) as client:
        yield client


@dataclass
class Carriers:
    """A permit on a phone, at Google, on paper, in the list of plates and in an EUDI Wallet."""

    application: Application
    http: Http
    handheld: Handheld
    wallet: Wallet
    seal: str
    serial: str
    plate: str
    place: tuple[str, int]

    def told(self) -> dict[str, object]:
        """What each of them says or is about to hear."""
        publish_due(self.application)
        self.handheld.sync(self.http)
        with self.application.reading() as session:
            google = list(google_objects.outstanding(session, self.application.tenant))
        return {
            "apple": self.serial in waiting(self.application),
            "google": self.serial in google,
            "seal": self.handheld.reason(self.application, self.seal),
            "plate": self.handheld.plate(self.application, self.plate),
            "new plate": self.handheld.plate(self.application, NEW.canonical),
            "eudi": status(self.wallet, *self.place),
        }


@pytest.fixture
def carriers(application: Application, new_wallet: MakeWallet, http: Http, tmp_path: Path) -> Carriers:
    number = running_numbers(application)[0]
    wallet = new_wallet(application, uses_dpop=True)
    wallet.redeem(wallet.read_offer(offer_of(application, number, type_id=PERMIT).link))
    answer = wallet.ask(f"{PERMIT}.sd-jwt", [new_key()])
    [made] = [one["credential"] for one in answer.json()["credentials"]]
    place = unsigned_parts(made.split("~")[0])[1]["status"]["status_list"]
    with application.reading() as session:
        _, current = lifecycle.running(session, (application.tenant, PERMIT, number), application.now())
    register(application, current.serial, "phone")
    with application.writing() as session:
        # Both have heard of everything until now.
        row = session.get_one(WalletPassRow, (application.tenant, current.serial))
        row.google_wanted, row.google_tag = True, row.update_tag
        phone = session.get_one(AppleRegistrationRow, (application.tenant, "phone", current.serial))
        phone.pushed_tag = max(row.update_tag, phone.registered_tag)
    return Carriers(
        application,
        http,
        enrol(application, tmp_path / "handheld"),
        wallet,
        seal_of(application, number),
        current.serial,
        plates_of(application, number)[0],
        (place["uri"], place["idx"]),
    )


BEFORE = {
    "apple": False, "google": False, "seal": "VALID", "plate": "VALID", "new plate": "NOT_LISTED", "eudi": 0,
}  # fmt: skip
AFTER = {"apple": True, "google": True, "plate": "NOT_LISTED", "eudi": 1}


@pytest.mark.parametrize(
    ("step", "after"),
    [
        (revoke, {**AFTER, "seal": "REVOKED", "new plate": "NOT_LISTED"}),
        (change, {**AFTER, "seal": "SUPERSEDED", "new plate": "VALID"}),
    ],
)
def test_all_or_none(
    application: Application, city: City, carriers: Carriers, step: Step, after: dict[str, object]
) -> None:
    number = running_numbers(application)[0]
    assert carriers.told() == BEFORE
    city.clock.forward(minutes=1)
    with pytest.raises(RuntimeError), application.writing() as session:
        step(session, application, number)
        raise RuntimeError
    assert carriers.told() == BEFORE
    city.clock.forward(minutes=1)
    with application.writing() as session:
        step(session, application, number)
    assert carriers.told() == after
