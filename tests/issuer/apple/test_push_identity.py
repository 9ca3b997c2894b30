"""Whether a city pushes at all, and as whom: certificate, key of Apple's, or neither."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from issuer import keyring
from issuer.application import Application
from issuer.cli import main
from issuer.delivery import apple_push
from keys.lifecycle import Purpose
from tests.apns_server import TokenKey
from tests.issuer.apple.pushing import (
    TOPIC,
    Start,
    register,
    run,
    serials,
    token,
    waiting,
)
from tests.service import TODAY, City


def test_switched_off_nothing_is_sent_and_it_is_said_once(
    start: Start, monkeypatch: pytest.MonkeyPatch, city: City, caplog: pytest.LogCaptureFixture
) -> None:
    server, _ = start()
    monkeypatch.setenv("STADTPASS_APPLE_PUSH", "false")
    monkeypatch.setattr(apple_push, "_said", set())
    application = city.open()
    (serial,) = serials(application, 1)
    register(application, serial, "a")
    for _ in range(3):
        run(application, serial)
    assert server.connections == 0
    assert [one.getMessage() for one in caplog.records if one.name == "stadtpass.apple"] == [
        "apple push is switched off"
    ]
    assert waiting(application) == [serial]


def test_without_a_certificate_nothing_is_sent(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server, application = start()
    monkeypatch.setattr(apple_push, "_said", set())
    (serial,) = serials(application, 1)
    register(application, serial, "a")
    from keys import lifecycle

    with application.writing() as session:
        (record,) = keyring.records(session, application.tenant, Purpose.APPLE_PASS)
        keyring.save(session, lifecycle.retire(record, application.now()))
    run(application, serial)
    run(application, serial)
    assert server.connections == 0
    assert len([one for one in caplog.records if one.name == "stadtpass.apple"]) == 1


def test_each_city_pushes_as_itself_and_to_its_own_phones(
    start: Start, city: City, neighbour: Application
) -> None:
    server, application = start()
    (mine,), (theirs,) = serials(application, 1), serials(neighbour, 1)
    register(application, mine, "a")
    register(neighbour, theirs, "a")
    run(application, mine, theirs)
    assert server.pushes == [token("a")]
    assert (waiting(application), waiting(neighbour)) == ([], [theirs])


def test_with_a_key_of_apples_a_token_is_sent_instead_of_a_certificate(
    start: Start, city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = ec.generate_private_key(ec.SECP256R1())
    key_file = tmp_path / "AuthKey_ABC123DEFG.p8"
    key_file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    now = ["--data", str(city.folder)]
    assert main(["keys", "add", "apns", "--key", str(key_file), "--key-id", "ABC123DEFG", *now]) == 0
    kid = capsys.readouterr().out.strip()
    assert main(["keys", "activate", kid, *now]) == 0
    keys = {"ABC123DEFG": TokenKey("DEMO000000", private.public_key())}
    server, application = start(client_root=None, token_keys=keys, topics=(TOPIC,), now=city.clock)
    city.clock.at = max(city.clock.at, TODAY + timedelta(days=30))
    first, second, third = serials(application, 3)
    for minutes, serial in ((0, first), (30, second), (15, third)):
        city.clock.forward(minutes=minutes)
        register(application, serial, serial[:8])
        run(application, serial)
    assert len(server.pushes) == 3
    # The first is kept for half an hour and not for three quarters.
    assert len(server.tokens) == 2
    assert (server.connections, server.violations) == (1, [])


def test_a_push_key_needs_its_id_and_a_fitting_kind(
    city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    file = tmp_path / "key.p8"
    file.write_bytes(
        rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    data = ["--data", str(city.folder)]
    for how in (
        ["--key-id", "short", "--key", str(file)],
        ["--key-id", "ABC123DEFG"],
        ["--key-id", "ABC123DEFG", "--key", str(file)],
    ):
        assert main(["keys", "add", "apns", *how, *data]) != 0
        assert "--key-id" in capsys.readouterr().err
