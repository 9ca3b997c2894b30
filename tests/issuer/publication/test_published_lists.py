"""Fetching lists: addresses, types, caching, and who gets the plate list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from issuer.application import Application
from issuer.models_access import VerifierDeviceRow
from issuer.publication import publish_due
from issuer.verifier_devices import Role, delete_device, lock_device, unlock_device
from tests.issuer.publication.handheld import Handheld, Http, enrol, revoke
from tests.service import CARD, City, running_numbers

PLATES = "/lists/plates.cwt"
PUBLIC = ("/lists/root.pub", "/lists/bundle.cwt", "/lists/index.cwt", "/status/1")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_before_anything_is_published_there_is_nothing(http: Http, handheld: Handheld) -> None:
    assert {http.get(path).status_code for path in PUBLIC} == {404}
    assert http.get(PLATES, headers=bearer(handheld.token)).status_code == 404


def test_addresses_types_and_headers(application: Application, http: Http, handheld: Handheld) -> None:
    publish_due(application)
    types = ["application/x-pem-file", "application/cwt", "application/cwt", "application/statuslist+cwt"]
    for path, kind in zip(PUBLIC, types, strict=True):
        answer = http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert answer.headers["cache-control"] == "public, no-cache"
        assert "access-control-allow-origin" not in answer.headers
        assert "content-encoding" not in answer.headers
        head = http.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == answer.headers["etag"]
        assert int(head.headers["content-length"]) == len(answer.content)
    plates = http.get(PLATES, headers=bearer(handheld.token))
    assert (plates.status_code, plates.headers["content-type"]) == (200, "application/cwt")
    assert plates.headers["cache-control"] == "private, no-store"
    assert http.get("/status/999").status_code == 404
    assert http.get("/status/x").status_code == 404
    assert http.post(PUBLIC[0]).status_code == 405


def test_who_has_a_list_gets_no_body_until_it_changes(
    application: Application, city: City, http: Http, handheld: Handheld
) -> None:
    publish_due(application)
    assert set(handheld.sync(http)) == {200}
    assert set(handheld.sync(http)) == {304}
    city.clock.forward(minutes=1)
    revoke(application, running_numbers(application, CARD)[0], CARD)
    publish_due(application)
    answers = handheld.sync(http)
    # One status list and the index.
    assert (answers.count(200), set(answers)) == (2, {200, 304})


@pytest.mark.parametrize(
    ("form", "status"),
    [("{}", 304), ('"x", {}', 304), ("W/{}", 304), ("*", 304), ('"x"', 200), ("{}x", 200), ("", 200)],
)
def test_forms_of_if_none_match(application: Application, http: Http, form: str, status: int) -> None:
    publish_due(application)
    path = PUBLIC[2]
    etag = http.get(path).headers["etag"]
    assert etag.startswith('"')
    answer = http.get(path, headers={"If-None-Match": form.format(etag)})
    assert answer.status_code == status
    assert answer.headers["etag"] == etag
    assert (answer.content == b"") is (status == 304)


def test_a_list_that_has_not_changed_is_one_query(application: Application, http: Http) -> None:
    publish_due(application)
    etag = http.get(PUBLIC[3]).headers["etag"]
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith("SELECT") and "pg_" not in statement:
            statements.append(statement)

    event.listen(application.engine, "before_cursor_execute", note)
    assert http.get(PUBLIC[3], headers={"If-None-Match": etag}).status_code == 304
    # Neither does a fetch of a list that was sent before read the list itself.
    assert http.get(PUBLIC[3]).status_code == 200
    assert len(statements) == 2
    assert not any("published_lists.data" in one for one in statements)


def test_the_plate_list_is_for_enrolled_devices_of_wardens(
    application: Application, neighbour: Application, http: Http, handheld: Handheld, tmp_path: Path
) -> None:
    publish_due(application)
    publish_due(neighbour)
    librarian = enrol(application, tmp_path / "library", Role.LIBRARIAN)
    stranger = enrol(neighbour, tmp_path / "neighbour")
    token = handheld.token
    refused = [
        http.get(PLATES),
        *(
            http.get(PLATES, headers={"Authorization": one})
            for one in (
                "",
                "Bearer",
                f"Basic {token}",
                token,
                f"Bearer {token[:-1]}",
                f"Bearer {token}x",
                f"Bearer {token[:-1]}{'A' if token[-1] != 'A' else 'B'}",
                f"Bearer spd_{'0' * 32}_{token[-43:]}",
                f"Bearer {librarian.token}",
                f"Bearer {stranger.token}",
                f"Bearer {'x' * 5000}",
            )
        ),
    ]
    assert {one.status_code for one in refused} == {401}
    assert len({one.content for one in refused}) == 1
    assert {one.headers["www-authenticate"] for one in refused} == {'Bearer realm="stadtpass"'}
    assert {one.headers["cache-control"] for one in refused} == {"private, no-store"}
    assert http.get(PLATES, headers=bearer(token)).status_code == 200
    assert http.get(PLATES, headers={"Authorization": f"bearer  {token}"}).status_code == 200
    # Knowing what the list looks like opens nothing.
    etag = http.get(PLATES, headers=bearer(token)).headers["etag"]
    assert http.get(PLATES, headers={"If-None-Match": etag}).status_code == 401


def test_a_locked_device_is_out_at_once(application: Application, http: Http, handheld: Handheld) -> None:
    publish_due(application)
    device_id = handheld.token.split("_")[1]
    for step, status in ((lock_device, 401), (unlock_device, 200), (delete_device, 401)):
        with application.writing() as session:
            step(session, application, device_id, actor="test")
        assert http.get(PLATES, headers=bearer(handheld.token)).status_code == status


def test_a_sync_is_noted_once_a_minute(
    application: Application, city: City, http: Http, handheld: Handheld
) -> None:
    publish_due(application)
    device_id = handheld.token.split("_")[1]

    def last_sync() -> object:
        with application.reading() as session:
            row = session.get(VerifierDeviceRow, (application.tenant, device_id))
            assert row is not None
            return row.last_sync_at

    assert last_sync() is None
    for seconds, moves in ((0, True), (59, False), (1, True)):
        before = last_sync()
        city.clock.forward(seconds=seconds)
        assert http.get(PLATES, headers=bearer(handheld.token)).status_code == 200
        assert last_sync() == (city.clock() if moves else before)
    http.get(PLATES, headers=bearer("spd_x"))


def test_each_city_serves_its_own(
    application: Application,
    neighbour: Application,
    serve: Callable[[Application], Http],
    http: Http,
) -> None:
    publish_due(application)
    publish_due(neighbour)
    other = serve(neighbour)
    for path in PUBLIC:
        assert http.get(path).content != other.get(path).content
