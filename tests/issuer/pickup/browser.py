"""What a browser does for tests of the pages: keeps cookies, sends forms with their hidden fields."""

from __future__ import annotations

import re
from typing import Any

from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select

from issuer.application import Application
from issuer.models import PassRow
from issuer.pickup.links import create_link
from tests.service import PERMIT
from tests.web_app import create_app

HOST = "https://stadtpass.example"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def browser(application: Application, **headers: str) -> TestClient[Litestar]:
    """A browser on the pages of ``application``; it follows no redirects by itself."""
    client = TestClient(create_app(application), base_url=HOST)
    client.follow_redirects = False
    client.headers.update(headers)
    return client


def new_link(application: Application, number: str, channel: str = "mail", type_id: str = PERMIT) -> str:
    """The path of a fresh link."""
    with application.writing() as session:
        return create_link(session, application, type_id, number, channel).removeprefix(HOST)


def visit(client: TestClient[Litestar], application: Application, number: str, type_id: str = PERMIT) -> None:
    """Open the pass ``number`` by a link."""
    answer = client.post(new_link(application, number, type_id=type_id))
    assert (answer.status_code, answer.headers["location"]) == (303, "/p/pass")


def form_token(page: Response) -> str:
    """The hidden field of a page's forms."""
    found = re.search(r'name="form_token" value="([0-9a-f]{32})"', page.text)
    assert found is not None, page.text
    return found.group(1)


def send(client: TestClient[Litestar], path: str, page: str = "/p/pass", **fields: Any) -> Response:
    """Send a form of ``page`` to ``path``."""
    return client.post(path, data={"form_token": form_token(client.get(page)), **fields})


def last_day(application: Application, number: str, type_id: str = PERMIT) -> dict[str, str]:
    """The last day of a pass as the fields of a form."""
    with application.reading() as session:
        day = session.scalars(
            select(PassRow.period_last).where(
                PassRow.tenant == application.tenant, PassRow.type_id == type_id, PassRow.number == number
            )
        ).one()
    return {"day": str(day.day), "month": str(day.month), "year": str(day.year)}
