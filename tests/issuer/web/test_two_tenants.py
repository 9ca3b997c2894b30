"""Two cities on one database: what belongs to the other is answered like what does not exist.

The operations are those of the API's own description, so a new one is tested the day it is described.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from httpx import Response
from litestar.testing import TestClient

from issuer.application import Application
from issuer.workspace import CONFIG
from tests.issuer.api.conftest import bearer, new_client
from tests.issuer.api.office import PASSES, Office, permit
from tests.issuer.web.raw_requests import example_requests
from tests.service import PERMIT, City
from tests.web_app import create_app

CONFIGURED = """
[service]
requests_per_minute = 0
[webhooks]
allowed_hosts = ["portal.example.org"]
"""
# Every parameter in a path that names something of a city; what a type has is the same in all cities.
OWNED = {"number", "job_id", "webhook_id", "delivery_id", "device_id"}
UNKNOWN = {"number": "RPP-2026-999999", **dict.fromkeys(OWNED - {"number"}, "0" * 32)}


@pytest.fixture
def offices(city: City) -> tuple[Office, Office]:
    """The first city and its neighbour, each with a client that may do everything."""
    for folder in (city.folder, city.other_folder):
        config = folder / CONFIG
        config.write_text(config.read_text() + CONFIGURED)
    return _office(city, city.open()), _office(city, city.open(city.other_folder))


def _office(city: City, application: Application) -> Office:
    http = city.stack.enter_context(TestClient(create_app(application)))
    return Office(http, new_client(application).secret)


def belongings(office: Office, number: str) -> dict[str, str]:
    """One thing of each kind, new in the city of ``office``."""
    made = office.post(PASSES, json=permit(number=number))
    assert made.status_code == 201, made.text
    hook = office.post(
        "/api/v1/webhooks", json={"url": "https://portal.example.org/x", "events": ["pass.issued"]}
    )
    delivery = office.post(f"/api/v1/webhooks/{hook.json()['id']}/test")
    device = office.post("/api/v1/devices", json={"name": "Handheld", "role": "warden"})
    job = office.post(
        "/api/v1/jobs", json={"kind": "suspend", "type": PERMIT, "numbers": [number], "reason": "x"}
    )
    return {
        "number": number,
        "webhook_id": hook.json()["id"],
        "delivery_id": delivery.json()["id"],
        "device_id": device.json()["device"]["id"],
        "job_id": job.json()["id"],
    }


def requests(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], list[str]]]:
    """Method, path template, further arguments of the request, and its owned parameters."""
    for (method, path), (query, body) in example_requests(description).items():
        names = [one for one in re.findall(r"{(\w+)}", path) if one in OWNED]
        if names:
            more: dict[str, Any] = {"params": query.decode()} if query else {}
            if body:
                more["json"] = json.loads(body)
            yield method, path, more, names


def send(
    office: Office, method: str, path: str, values: dict[str, str], more: dict[str, Any], key: str
) -> Response:
    filled = path.format(type_id=PERMIT, name="permit.pdf", **values)
    headers = bearer(key) | {"If-Match": "*", "Accept-Language": "en"}
    return office.http.request(method, filled, headers=headers, **more)


def shown(answer: Response, values: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """An answer without the ids that were asked with."""
    text = answer.text
    for name, value in values.items():
        text = text.replace(value, f"<{name}>")
    changing = ("x-request-id", "content-length", "date")
    return (
        answer.status_code,
        text,
        {name: value for name, value in answer.headers.items() if name not in changing},
    )


def snapshot(office: Office, own: dict[str, str]) -> list[str]:
    """All that can be read of somebody's belongings."""
    paths = [
        f"{PASSES}/{PERMIT}/{own['number']}",
        f"{PASSES}/{PERMIT}/{own['number']}/history",
        f"/api/v1/webhooks/{own['webhook_id']}",
        f"/api/v1/webhooks/{own['webhook_id']}/deliveries",
        f"/api/v1/devices/{own['device_id']}",
        f"/api/v1/jobs/{own['job_id']}",
    ]
    answers = [office.get(path) for path in paths]
    assert [one.status_code for one in answers] == [200] * len(paths)
    return [one.text for one in answers]


def test_what_belongs_to_the_neighbour_is_unknown(offices: tuple[Office, Office]) -> None:
    us, them = offices
    ours, theirs = belongings(us, "RPP-2026-000007"), belongings(them, "RPP-2026-000008")
    before = snapshot(us, ours), snapshot(them, theirs)
    description = us.http.get("/api/openapi.json").json()
    asked = 0
    for method, path, more, names in requests(description):
        # Each parameter in turn from the neighbour, the others ours: an own webhook with a foreign delivery too.
        for foreign in itertools.product((False, True), repeat=len(names)):
            if not any(foreign):
                continue
            mixed = {
                name: (theirs if other else ours)[name] for name, other in zip(names, foreign, strict=True)
            }
            nowhere = {
                name: (UNKNOWN if other else ours)[name] for name, other in zip(names, foreign, strict=True)
            }
            answer = shown(send(us, method, path, mixed, more, us.token), mixed)
            assert answer == shown(send(us, method, path, nowhere, more, us.token), nowhere), (method, path)
            assert answer[0] == 404, (method, path, answer)
            asked += 1
    assert asked >= 28
    assert (snapshot(us, ours), snapshot(them, theirs)) == before


def test_the_neighbours_key_is_no_key(offices: tuple[Office, Office]) -> None:
    us, them = offices
    ours = belongings(us, "RPP-2026-000007")
    before = snapshot(us, ours)
    description = us.http.get("/api/openapi.json").json()
    invented = f"spk_{'0' * 32}_{'A' * 43}"
    for method, path, more, names in requests(description):
        own = {name: ours[name] for name in names}
        theirs = shown(send(us, method, path, own, more, them.token), own)
        nobodys = shown(send(us, method, path, own, more, invented), own)
        assert theirs == nobodys, (method, path)
        assert theirs[0] == 401, (method, path)
    for method, path in example_requests(description):
        if "{" not in path and not path.endswith("/oauth/token"):
            assert us.http.request(method, path, headers=bearer(them.token)).status_code == 401, (
                method,
                path,
            )
    assert snapshot(us, ours) == before


def test_no_list_shows_the_neighbours(offices: tuple[Office, Office]) -> None:
    us, them = offices
    theirs = belongings(them, "RPP-2026-000008")
    description = us.http.get("/api/openapi.json").json()
    listed = [path for method, path in example_requests(description) if method == "GET" and "{" not in path]
    assert len(listed) >= 4
    for path in listed:
        answer = us.get(path, params={"plate": "D-AB 123"} if path.endswith("/plate") else {})
        assert answer.status_code == 200, (path, answer.text)
        assert not [one for one in theirs.values() if one in answer.text], path
        if path.endswith("/plate"):
            assert answer.json()["reason"] == "NOT_LISTED"
