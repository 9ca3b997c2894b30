"""Several cards at Google before the one link that names them."""

from __future__ import annotations

import base64
import json

import pytest

from issuer import lifecycle
from issuer.application import Application
from issuer.background.tasks import RetryLater
from issuer.errors import IssuerRefusal
from issuer.google_wallet import save_links
from issuer.lifecycle import Actor
from passes.google_link import LONGEST_JWT, SAVE_URL
from tests.google_server import GoogleServer
from tests.issuer.google.helpers import ISSUER, deliver, serial_of, wallet_row
from tests.issuer.pickup.browser import browser, send
from tests.issuer.pickup.families import family, visit_family
from tests.service import CARD, running_numbers


def named(link: str) -> list[str]:
    """The ids in a link."""
    jwt = link.removeprefix(SAVE_URL)
    assert len(jwt) <= LONGEST_JWT
    told = json.loads(base64.urlsafe_b64decode(jwt.split(".")[1] + "=="))
    return [one["id"] for one in told["payload"]["genericObjects"]]


def identities(application: Application, numbers: list[str]) -> list[str]:
    return [f"{ISSUER}.{serial_of(application, number, CARD)}" for number in numbers]


def test_google_has_all_cards_of_a_family_before_the_link(
    application: Application, google: GoogleServer
) -> None:
    numbers = family(application, 4)
    with browser(application) as client:
        visit_family(client, application, numbers[0])
        answer = send(client, "/p/family/google", "/p/family")
    assert answer.status_code == 303
    assert named(answer.headers["location"]) == identities(application, numbers)
    assert set(google.objects) == set(identities(application, numbers))
    assert {one["state"] for one in google.objects.values()} == {"ACTIVE"}


def test_a_large_family_gets_links_that_together_name_all(
    application: Application, google: GoogleServer
) -> None:
    numbers = running_numbers(application, CARD)[:12]
    links = save_links(application, CARD, numbers)
    assert len(links) > 1
    assert [one for link in links for one in named(link)] == identities(application, numbers)
    asked = len(google.seen)
    assert save_links(application, CARD, numbers)
    assert len(google.seen) == asked


@pytest.mark.parametrize("fault", ["503", "drop"])
def test_while_google_lacks_one_card_there_is_no_link(
    application: Application, google: GoogleServer, fault: str
) -> None:
    numbers = family(application)
    put: list[str] = []

    def before(method: str, path: str) -> None:
        if method == "POST" and path.endswith("genericObject"):
            put.append(path)
            if len(put) == len(numbers):
                google.fail(fault, match="genericObject")

    google.before = before
    with pytest.raises(RetryLater):
        save_links(application, CARD, numbers)
    there = identities(application, numbers)
    assert set(google.objects) == set(there[:2])
    # What is missing follows by itself, and then there is a link.
    serials = [serial_of(application, one, CARD) for one in numbers]
    assert all(wallet_row(application, one).google_wanted for one in serials)
    deliver(application, *serials)
    assert set(google.objects) == set(there)
    [link] = save_links(application, CARD, numbers)
    assert named(link) == there


def test_a_blocked_card_keeps_the_whole_family_from_being_put(
    application: Application, google: GoogleServer
) -> None:
    numbers = family(application)
    with application.writing() as session:
        lifecycle.suspend(
            session, application.tenant, CARD, numbers[1], actor=Actor("t", application.now(), "lost")
        )
    with pytest.raises(IssuerRefusal) as refused:
        save_links(application, CARD, numbers)
    assert refused.value.code == "GOOGLE_PASS_NOT_RUNNING"
    assert google.objects == {}
    assert not wallet_row(application, serial_of(application, numbers[0], CARD)).google_wanted
