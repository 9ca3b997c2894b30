"""Families of library members for tests: a guardian with children, as the desk would have entered them."""

from __future__ import annotations

from datetime import date

from litestar import Litestar
from litestar.testing import TestClient

from issuer.application import Application
from issuer.models_library import MemberRow
from issuer.pickup.family import family_link
from issuer.pickup.links import Channel
from tests.issuer.pickup.browser import HOST
from tests.service import CARD, TODAY, running_numbers

BORN = date(2016, 5, 4)
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/18.5 Mobile/15E148 Safari/604.1"
)


def family(application: Application, children: int = 2, first: int = 0, born: date = BORN) -> list[str]:
    """The numbers of a guardian and that many children, born on that day, who all have a card that holds today.

    The cards are those of grown-ups in the sample; what makes them a family's is what the desk would enter.
    """
    numbers = running_numbers(application, CARD)[first : first + children + 1]
    assert len(numbers) == children + 1
    for number in numbers[1:]:
        enter(
            application,
            number,
            guardian_number=numbers[0],
            birth_date=born,
            consent_name="Erika Mustermann",
            consent_at=TODAY,
            consent_by="test",
        )
    return numbers


def enter(application: Application, number: str, **values: object) -> None:
    """Change what is stored about a member."""
    with application.writing() as session:
        row = session.get(MemberRow, (application.tenant, CARD, number))
        if row is None:
            row = MemberRow(tenant=application.tenant, type_id=CARD, number=number)
            session.add(row)
        for name, value in values.items():
            setattr(row, name, value)


def leaves(application: Application, child: str) -> None:
    """Somebody else becomes the guardian."""
    other = running_numbers(application, CARD)[-1]
    enter(application, child, guardian_number=other)


def without_consent(application: Application, child: str) -> None:
    """The consent is taken back."""
    enter(application, child, consent_at=None)


def new_family_link(application: Application, guardian: str, channel: Channel = Channel.MAIL) -> str:
    """The path of a fresh link to the family."""
    with application.writing() as session:
        return family_link(session, application, CARD, guardian, channel).removeprefix(HOST)


def visit_family(client: TestClient[Litestar], application: Application, guardian: str) -> None:
    """Open the family by a link."""
    answer = client.post(new_family_link(application, guardian))
    assert (answer.status_code, answer.headers["location"]) == (303, "/p/family")
