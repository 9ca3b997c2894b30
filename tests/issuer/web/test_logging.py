"""Logs: what they say, and what they never say."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from issuer.models import HolderRow, RevisionRow
from issuer.web import logging_setup
from tests.issuer.web.conftest import service
from tests.service import running_numbers


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream, root = io.StringIO(), logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    logging_setup.configure("debug", stream)
    yield stream
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_request_is_one_line(folder: Path, log: io.StringIO) -> None:
    with service(folder, address="203.0.113.77") as client:
        answer = client.get("/static/types/library-card/logo.png?secret=abc")
        client.get("/no/such/place/ERIKA")
    found = [one for one in lines(log) if one["event"] == "request"]
    assert [one["route"] for one in found] == ["/static/types/{type_id}/{name}", "-"]
    assert found[0]["request"] == answer.headers["x-request-id"]
    assert (found[0]["method"], found[0]["status"], found[0]["level"]) == ("GET", 200, "info")
    assert found[0]["ms"] >= 0
    for word in ("203.0.113.77", "abc", "ERIKA", "library-card"):
        assert word not in log.getvalue()


def test_a_whole_run_names_nobody(folder: Path, log: io.StringIO) -> None:
    with service(folder) as client:
        application = client.app.state.application
        number = running_numbers(application)[0]
        with application.reading() as session:
            people = session.scalars(select(HolderRow.family_name)).all()
            revisions = session.scalars(select(RevisionRow)).all()
        token = "k3qXbNw5Zt7YdV2mPr8sLc4uHj6fGa9e"
        serial, pass_token = revisions[0].serial, revisions[0].apple_token
        plates = {
            plate for one in revisions for plate, _ in one.attributes.get("plates") or () if len(plate) > 3
        }
        bearer = {"authorization": f"Bearer spk_{'a' * 32}_{'b' * 43}"}
        apple = {"authorization": f"ApplePass {pass_token}"}
        client.get(f"/p/l/{token}")
        client.post(f"/p/l/{token}", content=b"x")
        client.get(f"/apple/v1/passes/pass.example.stadtpass.demo/{serial}", headers=apple)
        client.post(
            f"/apple/v1/devices/{token}/registrations/pass.example.stadtpass.demo/{serial}",
            json={"pushToken": "f" * 64},
            headers=apple,
        )
        client.post("/apple/v1/log", json={"logs": [f"{people[0]} {serial}"]})
        client.get(f"/api/v1/passes/resident-parking-permit/{number}", headers=bearer)
        client.get(f"/api/v1/plates/{sorted(plates)[0]}?q={people[0]}", headers=bearer)
        client.post("/api/v1/oauth/token", data={"client_secret": token}, headers=bearer)
        client.post("/google/callback", content=json.dumps({"x": people[0]}).encode())
        client.get(f"/{people[0]}/{number}")
    text = log.getvalue()
    assert text.count('"request"') >= 10
    secret = {token, serial, pass_token, number, "f" * 64, "b" * 43}
    for word in secret | plates | {name for name in people if len(name) > 3}:
        assert not re.search(rf"(?<![A-Za-z]){re.escape(word)}(?![a-z])", text), word


@pytest.mark.parametrize(
    ("event", "extra"),
    [
        ("calling https://api.push.apple.com/3/device/" + "ab" * 32, {}),
        ("Authorization: Bearer abcdefghijkl", {}),
        ("ApplePass 0123456789abcdef", {}),
        ("key spk_0123456789abcdef", {}),
        ("from https://pass.example/p/l/SeCrEt-ToKeN", {}),
        ("to erika@example.org", {}),
        ("x", {"push_token": "0123456789abcdef"}),
        ("x", {"plate": "0123456789abcdef"}),
        ("x", {"serial": "0123456789abcdef"}),
        ("x", {"password": "0123456789abcdef"}),
        ("x", {"context": {"url": "/p/l/SeCrEt-ToKeN"}}),
        ("eyJhbGciOi.eyJzdWIiOi.SflKxwRJSM", {}),
    ],
)
def test_secrets_are_taken_out(log: io.StringIO, event: str, extra: dict[str, Any]) -> None:
    logging.getLogger("x").warning(event, extra=extra)
    text = log.getvalue()
    assert logging_setup.REDACTED in text
    for word in ("abab", "abcdefghijkl", "0123456789abcdef", "SeCrEt", "erika@", "SflKx"):
        assert word not in text


def test_of_a_fault_only_kind_and_place_are_kept(log: io.StringIO) -> None:
    try:
        raise ValueError("Erika Mustermann")
    except ValueError:
        logging.getLogger("x").exception("fault")
    (line,) = lines(log)
    assert line["fault"] == "ValueError"
    assert "test_logging.py" in line["trace"]
    assert "Erika" not in log.getvalue().replace('raise ValueError(\\"Erika Mustermann\\")', "")


def test_talkative_libraries_are_kept_quiet(log: io.StringIO) -> None:
    logging.getLogger("httpx").info("HTTP Request: POST https://api.push.apple.com/3/device/abc")
    logging.getLogger("dbos").info("x")
    assert log.getvalue() == ""
    logging.getLogger("dbos").warning("x")
    assert lines(log)[0]["logger"] == "dbos"


def test_the_level_changes_while_it_runs(log: io.StringIO) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    try:
        logging_setup.set_level("warning")
        logging_setup.switch_on_signal("warning")
        logging.getLogger("x").debug("one")
        os.kill(os.getpid(), signal.SIGUSR1)
        logging.getLogger("x").debug("two")
        os.kill(os.getpid(), signal.SIGUSR1)
        logging.getLogger("x").debug("three")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [one["event"] for one in lines(log)] == ["two"]
