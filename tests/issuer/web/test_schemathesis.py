"""The API keeps what its own description promises, whatever it is sent: generated requests, the same ones every time.

No 5xx, and no status, content type or schema that the description does not name: with all rights, where requests get
furthest, and with credentials that open nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.schemas import APIOperation, BaseSchema

from issuer.api.clients import KEY, add_client
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.workspace import CONFIG
from tests.service import PERMIT, SetClock, running_numbers
from tests.web_app import create_app

pytestmark = pytest.mark.slow

load_all_checks()
KEPT = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]
# What the schemas forbid is refused; it does not know that "too large" is a refusal as well.
REFUSED = CHECKS.get_one("negative_data_rejection")
TOO_LARGE = {413, 414}
EXAMPLES = settings(
    max_examples=5,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CONFIGURED = """
[service]
requests_per_minute = 0
[webhooks]
allowed_hosts = ["portal.example.org"]
[eudi]
enabled = true
"""
OPERATIONS = 40
OFFERS = "/api/v1/passes/{type_id}/{number}/eudi-offers"


@pytest.fixture
def application(folder: Path) -> Iterator[Application]:
    config = folder / CONFIG
    config.write_text(config.read_text() + CONFIGURED)
    with Application.open(folder, SetClock()) as opened:
        yield opened


def described(application: Application) -> tuple[BaseSchema, list[APIOperation]]:
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", create_app(application))
    operations = [one.ok() for one in schema.get_all_operations()]
    assert len(operations) >= OPERATIONS
    return schema, operations


def key(application: Application, *scopes: Scope) -> dict[str, str]:
    with application.writing() as session:
        made = add_client(session, application, "office", scopes, kind=KEY, actor="test")
    return {"Authorization": f"Bearer {made.secret}"}


def test_with_every_right(application: Application, caplog: pytest.LogCaptureFixture) -> None:
    headers = key(application, *Scope)
    schema, operations = described(application)
    numbers = cycle(running_numbers(application))
    statuses: set[int] = set()
    reached: set[tuple[str, int]] = set()

    def check(case: Case) -> None:
        answer = case.call(headers=headers)
        checks = KEPT if answer.status_code in TOO_LARGE else [*KEPT, REFUSED]
        case.validate_response(answer, checks=checks, headers=headers)
        statuses.add(answer.status_code)
        reached.add((case.operation.path, answer.status_code))

    for operation in operations:
        # Each limit of each value once, then some at random.
        for case in schema.iter_coverage_cases(
            operation,
            generation_modes=list(GenerationMode),
            generation_config=schema.config.generation_for(operation=operation),
        ):
            check(case)
        for mode in GenerationMode:
            EXAMPLES(given(operation.as_strategy(mode))(check))()
        if "number" in {one.name for one in operation.path_parameters}:
            # Of a pass that exists; its present version is as good as any.
            known = {"type_id": PERMIT, "number": next(numbers)}

            def check_known(case: Case) -> None:
                case.headers["If-Match"] = "*"
                check(case)

            EXAMPLES(
                given(operation.as_strategy(GenerationMode.POSITIVE, path_parameters=known))(check_known)
            )()
    # It got through to the end, and was refused in every way there is.
    assert (OFFERS, 201) in reached
    assert {200, 201, 202, 400, 404, 405, 409, 415, 422, 428} <= statuses
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("credentials", ["none", "no scope", "unknown"])
def test_without_rights(application: Application, credentials: str) -> None:
    """Nothing is reached, and the refusal tells nothing of what was asked for."""
    headers = {
        "none": {},
        # A key has one scope at least; this one opens a single operation and no other.
        "no scope": key(application, Scope.CHECKS_READ),
        "unknown": {"Authorization": f"Bearer spk_{'0' * 32}_{'A' * 43}"},
    }[credentials]
    _, operations = described(application)
    wanted = 403 if credentials == "no scope" else 401

    for operation in operations:
        if operation.path.endswith("/oauth/token") or (wanted == 403 and "/checks/" in operation.path):
            continue

        def check(case: Case) -> None:
            case.headers.pop("Authorization", None)
            answer = case.call(headers=headers)
            case.validate_response(answer, checks=KEPT, headers=headers)
            # A device shows no key but signs, so that no key is less than the right one.
            here = 401 if case.operation.path == "/check/cards" else wanted
            # What is no address of ours is not found before anybody is asked who they are.
            assert answer.status_code in {here, 404} | TOO_LARGE, (case.operation.label, answer.status_code)

        for mode in GenerationMode:
            EXAMPLES(given(operation.as_strategy(mode))(check))()
