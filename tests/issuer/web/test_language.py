"""Which language and which order of offers a reader gets."""

from __future__ import annotations

import pytest

from issuer.application import Application
from issuer.web.reader import Device, device_of
from keys.texts import texts
from tests.issuer.pickup.browser import browser


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "de"),
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("en-GB,en;q=0.9", "en"),
        ("en;q=0.1,de;q=0.2", "de"),
        ("fr-FR,fr;q=0.9,en;q=0.5", "en"),
        ("tr,ar;q=0.5", "de"),
        ("en;q=0", "de"),
        ("en;q=abc", "en"),
        (";;;,,,q=1", "de"),
        ("en" * 5000, "en"),
    ],
)
def test_by_the_browser(application: Application, accepted: str, language: str) -> None:
    with browser(application, **{"accept-language": accepted}) as client:
        assert f'<html lang="{language}">' in client.get("/p").text


def test_a_choice_is_kept(application: Application) -> None:
    with browser(application, **{"accept-language": "de"}) as client:
        assert '<html lang="en">' in client.get("/p?lang=en").text
        assert '<html lang="en">' in client.get("/p/code").text
        assert '<html lang="de">' in client.get("/p?lang=de").text
        assert '<html lang="de">' in client.get("/p?lang=xx").text
        assert "set-cookie" not in client.get("/p").headers


@pytest.mark.parametrize(
    ("headers", "device"),
    [
        ({"user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0)"}, Device.IPHONE),
        ({"user-agent": "Mozilla/5.0 (Linux; Android 15)"}, Device.ANDROID),
        ({"user-agent": "Mozilla/5.0 (X11; Linux x86_64)"}, Device.OTHER),
        (
            {"user-agent": "Mozilla/5.0 (X11; Linux x86_64)", "sec-ch-ua-platform": '"Android"'},
            Device.ANDROID,
        ),
        ({"user-agent": "Android", "sec-ch-ua-platform": '"Windows"'}, Device.OTHER),
        ({}, Device.OTHER),
    ],
)
def test_devices(headers: dict[str, str], device: Device) -> None:
    assert device_of(headers) is device


def test_both_catalogues_say_the_same_things() -> None:
    german, english = texts("issuer", "de").sentences, texts("issuer", "en").sentences
    ours = {code for code in german if code.startswith("PICKUP_")}
    assert ours == {code for code in english if code.startswith("PICKUP_")}
    assert len(ours) > 100
