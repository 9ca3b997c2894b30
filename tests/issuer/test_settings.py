"""Settings that would end up on passes, in addresses or in a damaged installation are refused beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from issuer.errors import IssuerRefusal
from issuer.models import SettingRow
from issuer.settings import Settings, load_settings, save_settings
from issuer.setup import initialise
from tests.issuer.register_samples import TODAY, SampleRegister, sample_register


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleRegister]:
    with sample_register(tmp_path_factory.mktemp("register")) as opened:
        yield opened


def saved(register: SampleRegister, settings: Settings) -> Settings:
    with register.writing() as session:
        save_settings(session, register.tenant, settings)
    with register.reading() as session:
        return load_settings(session, register.tenant)


def refusal(register: SampleRegister, settings: Settings) -> IssuerRefusal:
    before = saved(register, Settings())
    with pytest.raises(IssuerRefusal) as caught:
        saved(register, settings)
    with register.reading() as session:
        assert load_settings(session, register.tenant) == before
    return caught.value


@pytest.mark.parametrize(
    "text", ["Muster\x1b[31mstadt", "Muster\nstadt", "\u202etdats", "Xstadt ", "x" * 501, "\ud800"]
)
@pytest.mark.parametrize("key", ["city_name", "contact"])
def test_texts_that_cannot_be_printed(register: SampleRegister, key: str, text: str) -> None:
    found = refusal(register, Settings(**{key: text}))
    assert (found.code, found.params["key"]) == ("SETTING_TEXT", key)
    for language in ("de", "en"):
        assert key in found.sentence(language)
        assert text not in found.sentence(language)


def test_a_city_has_a_name(register: SampleRegister) -> None:
    assert refusal(register, Settings(city_name="")).code == "SETTING_TEXT"


def test_texts_are_kept_in_nfc(register: SampleRegister) -> None:
    found = saved(register, Settings(city_name="Mu\u0308nster", contact="Bu\u0308rgerbu\u0308ro, Raum 1"))
    assert (found.city_name, found.contact) == ("Münster", "Bürgerbüro, Raum 1")


@pytest.mark.parametrize(
    "url",
    [
        "https://pass.muenster.example", "https://pass.muenster.example/stadt/pass",
        "https://xn--mnster-3ya.example:8443/v1/pass", "https://stadt.example/v10",
    ],
)  # fmt: skip
def test_addresses_that_can_be_used(register: SampleRegister, url: str) -> None:
    assert saved(register, Settings(base_url=url)).base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "", "javascript:x", "stadt.example", "http://stadt.example", "https://stadt.example/",
        "https://stadt.example/v1", "https://stadt.example/a/v1", "https://stadt.example/a/",
        "https://stadt.example/../x", "https://stadt.example/a//b", "https://stadt.example?x=1",
        "https://stadt.example#x", "https://user:secret@stadt.example", "https://stadt.example/ä",
        "https://stadt.example/a b", "https://stadt.example\n", "https://-stadt.example", "https://stadt",
        "https://stadt.example:0", "HTTPS://stadt.example", "http://localhost:8000", "https://localhost",
        f"https://stadt.example/{'a' * 61}",
    ],
)  # fmt: skip
def test_addresses_that_phones_could_not_use(register: SampleRegister, url: str) -> None:
    found = refusal(register, Settings(base_url=url))
    assert (found.code, found.params["key"]) == ("SETTING_BASE_URL", "base_url")
    assert all("https://" in found.sentence(language) for language in ("de", "en"))


@pytest.mark.parametrize("url", ["http://localhost:8000", "http://127.0.0.1/a", "https://[::1]:8443"])
def test_a_test_city_may_run_on_this_machine(register: SampleRegister, url: str) -> None:
    assert saved(register, Settings(base_url=url, test=True)).base_url == url


@pytest.mark.parametrize(
    "url", ["http://stadt.example", "http://localhost.stadt.example", "http://localhost/"]
)
def test_a_test_city_is_elsewhere_held_to_https(register: SampleRegister, url: str) -> None:
    assert refusal(register, Settings(base_url=url, test=True)).code == "SETTING_BASE_URL"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("apple_pass_type_identifier", "de.musterstadt.pass"), ("apple_pass_type_identifier", "pass."),
        ("apple_pass_type_identifier", "pass.a/../b"), ("apple_team_identifier", "abcde12345"),
        ("apple_team_identifier", "ABCDE1234"), ("google_issuer_id", "33880 "), ("google_issuer_id", "٣٣"),
        ("google_service_account", "pass"), ("google_service_account", "a@b@c.example"),
        ("google_service_account", "a@b.example\n"),
    ],
)  # fmt: skip
def test_identifiers_that_no_provider_gives(register: SampleRegister, key: str, value: str) -> None:
    found = refusal(register, Settings(**{key: value}))
    assert (found.code, found.params["key"]) == ("SETTING_IDENTIFIER", key)
    assert all(key in found.sentence(language) for language in ("de", "en"))


def test_a_fault_of_an_earlier_version_can_be_seen_and_corrected(register: SampleRegister) -> None:
    """Reading is not as strict as writing: else the command that corrects a setting could not start."""
    with register.writing() as session:
        session.add(SettingRow(tenant="neuss", key="base_url", value='"https://stadt.example/"'))
        session.add(SettingRow(tenant="neuss", key="clock_tolerance_seconds", value="300"))
    with register.writing() as session:
        found = load_settings(session, "neuss")
        assert found.base_url == "https://stadt.example/"
        save_settings(session, "neuss", Settings(city_name="Neuss", base_url="https://stadt.example"))
        assert load_settings(session, "neuss").base_url == "https://stadt.example"


@pytest.mark.parametrize("tenant", ['Ä"x', "", "Stadt", "a/b", "a\n", "x" * 41, 'x"\nkeys = "file:/'])
def test_a_tenants_name_is_checked_before_anything_is_written(tmp_path: Path, tenant: str) -> None:
    with pytest.raises(IssuerRefusal) as caught:
        initialise(tmp_path / "data", TODAY, tenant=tenant, settings=Settings(), demo=False)
    assert caught.value.code == "TENANT_NAME"
    assert all("40" in caught.value.sentence(language) for language in ("de", "en"))
    assert not (tmp_path / "data").exists()


def test_a_citys_name_is_checked_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(IssuerRefusal, match="SETTING_TEXT"):
        initialise(
            tmp_path / "data", TODAY, tenant="stadt", settings=Settings(city_name="a\x1bb"), demo=False
        )
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "address", ["technik", "a@b", "a@b.de, c@d.de", "a@b.de\nBcc: c@d.de", "Technik <a@b.de>", "ä@b.de"]
)
def test_an_operators_address_that_is_none(register: SampleRegister, address: str) -> None:
    assert refusal(register, Settings(operator_mail=address)).code == "SETTING_MAIL"
    assert saved(register, Settings(operator_mail="it@stadt.example")).operator_mail == "it@stadt.example"
