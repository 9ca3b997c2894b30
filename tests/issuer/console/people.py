"""What a person of the office does in a browser, for tests: log in with a password and an app's codes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient

from issuer.application import Application
from issuer.staff import second_factor
from issuer.staff.accounts import account_of, invite
from issuer.staff.permissions import Role
from tests.service import SetClock
from tests.web_app import create_app

HOST = "https://stadtpass.example"
PASSWORD = "drei Ampeln hinter Kaarst"
SESSION = "__Host-staff"


def new_client(application: Application, app: Litestar | None = None) -> TestClient[Litestar]:
    """A browser that follows no redirects by itself."""
    client = TestClient(app or create_app(application), base_url=HOST)
    client.follow_redirects = False
    client.headers["accept-language"] = "de"
    return client


def form_token(page: Response) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]{32})"', page.text)
    assert found is not None, page.text[:2000]
    return found.group(1)


@dataclass
class Colleague:
    """Somebody with an account, a browser, and an app for codes."""

    application: Application
    clock: SetClock
    client: TestClient[Litestar]
    login: str
    account_id: str = ""
    link: str = ""
    secret: bytes = field(default=b"", repr=False)
    password: str = PASSWORD

    def code(self, ahead: int = 0) -> str:
        return second_factor.code_at(self.secret, second_factor.step_of(self.clock()) + ahead)

    def accept(self) -> None:
        """Follow the link: set password and second factor."""
        answer = self.client.post(self.link, data={"new": self.password, "again": self.password})
        assert (answer.status_code, answer.headers["location"]) == (303, "/office/factor"), answer.text
        page = self.client.get("/office/factor")
        assert "data:image/png;base64," in page.text
        found = re.search(r"<code>([A-Z2-7 ]+)</code>", page.text)
        assert found is not None
        import base64

        text = found.group(1).replace(" ", "")
        self.secret = base64.b32decode(text + "=" * (-len(text) % 8))
        answer = self.client.post(
            "/office/factor", data={"form_token": form_token(page), "code": self.code()}
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/office"), answer.text
        # The code that set the app up counts no second time.
        self.clock.forward(seconds=60)

    def give_password(self, password: str | None = None, **headers: str) -> Response:
        return self.client.post(
            "/office/login",
            data={"login": self.login, "password": password if password is not None else self.password},
            headers=headers,
        )

    def give_code(self, code: str | None = None) -> Response:
        page = self.client.get("/office/login/code")
        data = {"form_token": form_token(page), "code": code if code is not None else self.code()}
        return self.client.post("/office/login/code", data=data)

    def log_in(self) -> None:
        """Both steps."""
        answer = self.give_password()
        assert (answer.status_code, answer.headers["location"]) == (303, "/office/login/code"), answer.text
        answer = self.give_code()
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith("/office")
        self.clock.forward(seconds=60)

    def send(self, path: str, page: str = "/office/account", **fields: Any) -> Response:
        """Send a form with the token of ``page``."""
        token = form_token(self.client.get(page))
        return self.client.post(path, data={"form_token": token, **fields})

    def is_in(self) -> bool:
        return self.client.get("/office").status_code == 200

    @property
    def cookie(self) -> str | None:
        return self.client.cookies.get(SESSION)

    def row(self) -> Any:
        with self.application.reading() as session:
            return account_of(session, self.application, self.account_id)


def hire(
    application: Application, clock: SetClock, login: str, *roles: Role, app: Litestar | None = None
) -> Colleague:
    """Somebody who has been invited and has not come yet."""
    with application.writing() as session:
        account_id, link = invite(
            session, application, login, login.partition("@")[0].title(), roles, actor="test"
        )
    client = new_client(application, app)
    return Colleague(application, clock, client, login, account_id, link.removeprefix(HOST))


def settle(
    application: Application, clock: SetClock, login: str, *roles: Role, app: Litestar | None = None
) -> Colleague:
    """Somebody who is logged in."""
    one = hire(application, clock, login, *roles, app=app)
    one.accept()
    return one
