"""A specialist system of a city at the API: signed in, and with the bodies it sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from httpx import Response

from issuer.api.scopes import Scope
from issuer.application import Application
from tests.issuer.api.conftest import Http, bearer, new_client
from tests.service import CARD, PERMIT

PASSES = "/api/v1/passes"


@dataclass
class Office:
    """Sends requests with credentials; ``etag`` of a pass is fetched where a step needs it."""

    http: Http
    token: str

    def headers(self, more: dict[str, str] | None = None) -> dict[str, str]:
        return bearer(self.token) | (more or {})

    def get(self, path: str, **more: Any) -> Response:
        return self.http.get(path, headers=self.headers(more.pop("headers", None)), **more)

    def post(self, path: str, **more: Any) -> Response:
        return self.http.post(path, headers=self.headers(more.pop("headers", None)), **more)

    def patch(self, path: str, **more: Any) -> Response:
        return self.http.patch(path, headers=self.headers(more.pop("headers", None)), **more)

    def delete(self, path: str, **more: Any) -> Response:
        return self.http.delete(path, headers=self.headers(more.pop("headers", None)), **more)

    def etag(self, number: str, type_id: str = PERMIT) -> str:
        answer = self.get(f"{PASSES}/{type_id}/{number}")
        assert answer.status_code == 200, answer.text
        return answer.headers["etag"]

    def step(self, number: str, name: str, body: dict[str, Any], type_id: str = PERMIT) -> Response:
        version = {"If-Match": self.etag(number, type_id)}
        return self.post(f"{PASSES}/{type_id}/{number}/{name}", json=body, headers=version)

    def change(self, number: str, body: dict[str, Any], type_id: str = PERMIT) -> Response:
        version = {"If-Match": self.etag(number, type_id)}
        return self.patch(f"{PASSES}/{type_id}/{number}", json=body, headers=version)


def office_of(serve: Callable[..., Http], application: Application, *scopes: Scope) -> Office:
    name = "office" + "".join(scopes)[:80]
    return Office(serve(application), new_client(application, *scopes, name=name).secret)


def permit(**more: Any) -> dict[str, Any]:
    """A permit that every check accepts."""
    body: dict[str, Any] = {
        "type": PERMIT,
        "holder": {
            "ref": "H0999999",
            "given_name": "Jürgen",
            "family_name": "Müller-Lüdenscheidt",
            "street": "Am Wehrhahn",
            "house_number": "1",
            "postal_code": "40211",
            "city": "Düsseldorf",
            "email": "mueller@example.org",
        },
        "period": {"first": "2026-12-01", "term_months": 12},
        "attributes": {
            "plates": [{"plate": "d-ab 123", "season": "04-10"}],
            "zone": "HO",
            "permit_kind": "standard",
        },
        "details": {"channel": "online", "fee_cents": 2500, "keeper_is_holder": True},
    }
    return body | more


def card(**more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": CARD,
        "holder": {"family_name": "Stadtarchiv"},
        "period": {"first": "2026-11-01", "last": "2027-10-31"},
        "attributes": {"card_number": {"number": "0012345"}, "category": "institution", "branch": "Wersten"},
    }
    return body | more


def codes(answer: Response) -> dict[str, str]:
    """The faults of an answer: code by place."""
    return {one.get("pointer") or one["parameter"]: one["code"] for one in answer.json().get("errors", [])}
