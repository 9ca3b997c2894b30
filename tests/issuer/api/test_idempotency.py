"""Idempotency-Key: once is once, also for two at a time and after a crash."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Annotated

import msgspec
import pytest
from litestar import Response, post
from litestar.params import Body
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.api.auth import ApiRequest, application_of, require
from issuer.api.idempotency import Answer, answer_once, prune
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.errors import RegisterRefusal
from issuer.models import AuditEntryRow
from issuer.models_access import IdempotencyRow
from tests.issuer.api.conftest import Http, bearer, new_client

PATH = "/api/v1/effects"


class Wish(msgspec.Struct):
    text: str
    then: str = ""


# What a test holds an effect with, and what tells that it has begun.
begun, go_on = threading.Event(), threading.Event()


@post(PATH, guards=[require(Scope.PASSES_WRITE)], sync_to_thread=True)
def effects(request: ApiRequest, data: Annotated[Wish, Body()]) -> Response[bytes]:
    application = application_of(request)

    def effect(session: Session) -> Answer:
        event = AuditEvent("effect", f"effect/{data.text}")
        head = audit.append(session, application.tenant, [event], application.now(), request.user.actor)
        match data.then:
            case "refuse":
                raise RegisterRefusal("NUMBER_UNKNOWN", number="1")
            case "crash":
                raise RuntimeError
            case "wait":
                begun.set()
                assert go_on.wait(20)
        return Answer(201, {"head": head}, {"Location": f"{PATH}/{data.text}"}, secret=data.then == "secret")

    return answer_once(request, data, effect)


@pytest.fixture
def service(serve: Callable[..., Http], application: Application) -> Iterator[Http]:
    begun.clear()
    go_on.clear()
    yield serve(application, effects)
    go_on.set()


@pytest.fixture
def key(application: Application) -> dict[str, str]:
    return bearer(new_client(application).secret)


def done(application: Application) -> int:
    with application.reading() as session:
        query = select(func.count()).where(
            AuditEntryRow.tenant == application.tenant, AuditEntryRow.action == "effect"
        )
        return session.scalar(query) or 0


def test_the_same_request_gets_the_same_answer_and_one_effect(
    service: Http, key: dict[str, str], application: Application
) -> None:
    headers = {**key, "Idempotency-Key": "abc-1"}
    first = service.post(PATH, json={"text": "a"}, headers=headers)
    # The draft's form with quotes is the same key; spaces in the JSON are not another request.
    again = service.post(
        PATH,
        content=b'{ "text" : "a" }',
        headers={**key, "Idempotency-Key": '"abc-1"', "content-type": "application/json"},
    )
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert first.headers["location"] == again.headers["location"] == f"{PATH}/a"
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert done(application) == 1


def test_without_a_key_each_request_has_its_effect(
    service: Http, key: dict[str, str], application: Application
) -> None:
    for _ in range(2):
        assert service.post(PATH, json={"text": "a"}, headers=key).status_code == 201
    assert done(application) == 2


def test_another_request_with_the_key_is_refused(
    service: Http, key: dict[str, str], application: Application
) -> None:
    headers = {**key, "Idempotency-Key": "abc-1"}
    service.post(PATH, json={"text": "a"}, headers=headers)
    for path, body in ((PATH, {"text": "b"}), (PATH + "?x=1", {"text": "a"})):
        other = service.post(path, json=body, headers=headers)
        assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert done(application) == 1


def test_keys_belong_to_their_client(service: Http, application: Application) -> None:
    for name in ("one", "two"):
        headers = {**bearer(new_client(application, name=name).secret), "Idempotency-Key": "abc"}
        response = service.post(PATH, json={"text": name}, headers=headers)
        assert response.status_code == 201
    assert done(application) == 2


@pytest.mark.parametrize(("then", "status"), [("refuse", 404), ("crash", 500)])
def test_what_failed_leaves_nothing_and_may_be_tried_again(
    service: Http, key: dict[str, str], application: Application, then: str, status: int
) -> None:
    headers = {**key, "Idempotency-Key": "abc"}
    for _ in range(2):
        assert service.post(PATH, json={"text": "a", "then": then}, headers=headers).status_code == status
    assert done(application) == 0
    assert service.post(PATH, json={"text": "a"}, headers=headers).status_code == 201
    assert done(application) == 1


@pytest.mark.parametrize("value", ["", " ", "a b", "ä", '"', '""', 'a"b', "x" * 81])
def test_keys_that_are_none(service: Http, key: dict[str, str], application: Application, value: str) -> None:
    headers = {**key, "Idempotency-Key": value.encode()}
    response = service.post(PATH, json={"text": "a"}, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "IDEMPOTENCY_KEY_FORM")
    assert done(application) == 0


def test_an_answer_with_a_secret_is_not_kept(
    service: Http, key: dict[str, str], application: Application
) -> None:
    headers = {**key, "Idempotency-Key": "abc"}
    wish = {"text": "a", "then": "secret"}
    first = service.post(PATH, json=wish, headers=headers)
    again = service.post(PATH, json=wish, headers=headers)
    assert (again.status_code, again.json()["code"]) == (409, "IDEMPOTENCY_SECRET")
    assert done(application) == 1
    with application.reading() as session:
        row = session.scalars(select(IdempotencyRow)).one()
        assert first.content not in row.body
        assert first.json()["head"] not in repr(row.headers)


def test_an_equal_request_under_way_is_a_conflict(
    service: Http, key: dict[str, str], application: Application
) -> None:
    headers = {**key, "Idempotency-Key": "abc"}
    wish = {"text": "a", "then": "wait"}
    # The client's day of use is written before, so that the second request waits for no writer.
    service.post(PATH, json={"text": "first"}, headers=key)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(service.post, PATH, json=wish, headers=headers)
        assert begun.wait(20)
        second = service.post(PATH, json=wish, headers=headers)
        go_on.set()
        assert first.result(20).status_code == 201
    assert (second.status_code, second.json()["code"]) == (409, "IDEMPOTENCY_CONFLICT")
    third = service.post(PATH, json=wish, headers=headers)
    assert third.headers["idempotency-replayed"] == "true"
    assert done(application) == 2


def test_many_at_once_have_one_effect(service: Http, key: dict[str, str], application: Application) -> None:
    headers = {**key, "Idempotency-Key": "abc"}
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(service.post, PATH, json={"text": "a"}, headers=headers) for _ in range(16)]
        answers = [one.result(60) for one in runs]
    assert {one.status_code for one in answers} <= {201, 409}
    assert len({one.content for one in answers if one.status_code == 201}) == 1
    assert done(application) == 1


def test_prune_takes_the_old_ones_of_its_tenant(
    service: Http, key: dict[str, str], application: Application, neighbour: Application
) -> None:
    service.post(PATH, json={"text": "a"}, headers={**key, "Idempotency-Key": "abc"})
    now = application.now()
    with application.writing() as session:
        assert prune(session, application.tenant, now) == 0
        assert prune(session, neighbour.tenant, now + timedelta(seconds=1)) == 0
        assert prune(session, application.tenant, now + timedelta(seconds=1)) == 1
