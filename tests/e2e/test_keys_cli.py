"""The life of keys at the command line, and what devices make of what the keys have signed."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from keys.identity import kid_of
from passes.seal import read_seal
from tests.e2e.clerk import Clerk
from tests.e2e.commandline import LIBRARY, PERMIT, TODAY, DemoCity, main_in_process
from tests.e2e.samples import PERMITS, register_content, register_rows, write_csv
from tests.keys.test_apple_certificates import PASS_TYPE, TEAM, Authority
from tests.trust_factory import City, permit

GREEN = ("GREEN", "VALID")


@pytest.fixture
def clerk(fresh_city: DemoCity) -> Clerk:
    """Three permits and a library card, published."""
    clerk = Clerk(fresh_city)
    clerk.issue_permits({"plate_1": "D-AB 1"}, {"plate_1": "D-AB 2"}, {"plate_1": "D-AB 3"})
    clerk.issue_members({})
    clerk.publish()
    return clerk


def only_kid(clerk: Clerk, purpose: str) -> str:
    (key,) = clerk.key_list(purpose)
    return str(key["kid"])


def kid_in(seal: str) -> str:
    return read_seal(seal).message.kid.hex()


def states(clerk: Clerk, purpose: str) -> dict[str, str]:
    return {one["kid"]: one["state"] for one in clerk.key_list(purpose)}


def test_the_keys_of_a_new_city(clerk: Clerk) -> None:
    keys = clerk.key_list()
    assert {one["purpose"] for one in keys} >= {"root", "list", "seal", "apple-pass", "google"}
    assert {(one["state"], one["test"]) for one in keys} == {("active", True)}
    (seal,) = clerk.key_list("seal")
    assert sorted(seal["types"]) == [LIBRARY, "residence-certificate", PERMIT]
    for one in keys:
        # The samples' day and long years to come lie in the period.
        assert datetime.fromisoformat(one["not_before"]).date().isoformat() < TODAY
        assert int(one["not_after"][:4]) - int(one["not_before"][:4]) >= 10
    table = clerk.done("keys", "list")
    assert all(one["kid"] in table and one["purpose"] in table for one in keys)
    assert "TEST" in table
    assert all("private" not in str(one).lower() for one in keys)


def test_a_key_is_published_before_it_signs(clerk: Clerk) -> None:
    old = only_kid(clerk, "seal")
    new = clerk.add_key("seal")
    assert states(clerk, "seal") == {old: "active", new: "pending"}
    assert "publish" in clerk.refused("keys", "activate", new)
    clerk.done("reissue", "P-2", "--reason", "Handy")
    assert kid_in(clerk.seal("P-2")) == old
    clerk.publish()
    clerk.done("keys", "activate", new)
    assert states(clerk, "seal") == {old: "active", new: "active"}
    assert "active" in clerk.refused("keys", "activate", new)
    clerk.done("reissue", "P-1", "--reason", "Handy")
    assert kid_in(clerk.seal("P-1")) == new
    clerk.publish()
    answer = clerk.device().verify(clerk.seal("P-1"), clerk.seal("P-2"), clerk.seal("P-3"))
    assert answer.reasons == ["VALID", "VALID", "VALID"]


def test_a_device_that_has_seen_the_announcement_knows_the_new_key(clerk: Clerk) -> None:
    """Why a key is published first: a device without network meets no seal it cannot check."""
    new = clerk.add_key("seal")
    announced = clerk.publish_aside("announced")
    before = clerk.city.folder / "before"
    shutil.copytree(clerk.city.published, before)
    clerk.done("keys", "activate", new)
    clerk.done("reissue", "P-1", "--reason", "Handy")
    assert clerk.device("announced", announced).verify(clerk.seal("P-1")).short == GREEN


def test_the_key_activated_last_signs_whatever_the_clock_says(clerk: Clerk) -> None:
    """The demo was set up by the real clock, the keys come at given times: the order of the steps counts."""
    for at in ("2026-11-20T12:00", "2026-11-20T12:00", "2026-11-20T11:59:30", "2026-11-20T12:00"):
        new = clerk.add_key("seal", at=at)
        clerk.publish(at=at)
        clerk.done("keys", "activate", new, at=at)
        clerk.done("reissue", "P-1", "--reason", "neuer Schlüssel", at=at)
        assert kid_in(clerk.seal("P-1")) == new


def test_a_retired_key_still_verifies_and_signs_no_more(clerk: Clerk) -> None:
    old = only_kid(clerk, "seal")
    sealed = clerk.seal("P-1")
    new = clerk.add_working_key("seal")
    clerk.done("keys", "retire", old, "--reason", "Wechsel")
    assert states(clerk, "seal") == {old: "retired", new: "active"}
    clerk.publish()
    assert clerk.device().verify(sealed).short == GREEN
    clerk.done("reissue", "P-1", "--reason", "Handy")
    assert kid_in(clerk.seal("P-1")) == new
    assert clerk.refused("keys", "activate", old)
    assert clerk.refused("keys", "retire", old)


def test_a_pending_key_can_be_retired_unused(clerk: Clerk) -> None:
    new = clerk.add_key("seal")
    clerk.done("keys", "retire", new)
    assert clerk.refused("keys", "activate", new)


@pytest.mark.parametrize("purpose", ["root", "list", "seal", "apple-pass"])
def test_the_last_key_of_a_purpose_cannot_be_retired(clerk: Clerk, purpose: str) -> None:
    kid = only_kid(clerk, purpose)
    sentence = clerk.refused("keys", "retire", kid)
    assert kid in sentence
    if purpose != "apple-pass":
        pending = clerk.add_key(purpose)
        # One that does not sign yet is no replacement.
        assert kid in clerk.refused("keys", "retire", kid)
        assert states(clerk, purpose) == {kid: "active", pending: "pending"}


def test_a_revoked_key_and_what_becomes_of_its_passes(clerk: Clerk) -> None:
    old = only_kid(clerk, "seal")
    before = {number: clerk.seal(number) for number in ("P-1", "P-2", "P-3", "M500001")}
    new = clerk.add_working_key("seal")
    clerk.done("reissue", "P-3", "--reason", "schon mit dem neuen")
    said = clerk.done("keys", "revoke", old, "--reason", "Schlüssel entwendet", "--out", clerk.city.out)
    assert "3 live passes" in said
    assert "3 passes are issued anew" in said
    assert states(clerk, "seal") == {old: "revoked", new: "active"}
    device = clerk.device()
    # Not yet published: devices still trust the key.
    assert device.verify(before["P-1"]).short == GREEN
    clerk.publish()
    assert device.verify(*before.values()).reasons == ["KEY_REVOKED"] * 4
    answer = device.verify(*(clerk.seal(number) for number in before))
    assert answer.reasons == ["VALID"] * 4
    assert {kid_in(clerk.seal(number)) for number in before} == {new}
    for number in ("P-1", "P-2", "M500001"):
        assert (clerk.city.out / f"{number}.seal.txt").read_text().strip() == clerk.seal(number)
        assert (clerk.city.out / f"{number}.pkpass").exists()
    assert device.plate("D-AB 1", "D-AB 3").reasons == ["VALID", "VALID"]
    # P-3 was issued anew into another folder: what this one has of it is brought up to date.
    again = ("keys", "revoke", old, "--reason", "noch einmal", "--out", clerk.city.out)
    assert "1 passes" in clerk.done(*again)
    assert "revoked" in clerk.refused(*again)
    assert clerk.refused("keys", "activate", old)
    assert clerk.refused("keys", "retire", old)


def test_the_pass_on_the_phone_survives_the_revocation_of_a_key(clerk: Clerk) -> None:
    serial = clerk.show("P-1")["serial"]
    old = only_kid(clerk, "seal")
    clerk.add_working_key("seal")
    clerk.done("keys", "revoke", old, "--reason", "entwendet")
    assert clerk.show("P-1")["serial"] == serial


def test_who_was_suspended_or_ended_or_revoked_when_the_key_was_revoked(clerk: Clerk) -> None:
    """A suspended pass is live: it may be resumed. A revoked one and one at its end are not."""
    clerk.done("suspend", "P-1", "--reason", "Rücklastschrift")
    clerk.done("revoke", "P-2", "--reason", "Umzug")
    old = only_kid(clerk, "seal")
    clerk.add_working_key("seal")
    assert "3 live passes" in clerk.done("keys", "revoke", old, "--reason", "entwendet")
    clerk.publish()
    device = clerk.device()
    assert device.verify(clerk.seal("P-1")).short == ("RED", "SUSPENDED")
    assert device.verify(clerk.seal("P-2")).short == ("RED", "KEY_REVOKED")
    clerk.done("resume", "P-1", "--reason", "bezahlt", at=f"{TODAY}T12:10")
    clerk.publish(at=f"{TODAY}T12:10")
    assert device.verify(clerk.seal("P-1"), at=f"{TODAY}T12:10").short == GREEN


def test_holders_with_an_address_are_told_to_print_again_once(clerk: Clerk) -> None:
    with sqlite3.connect(clerk.city.data / "register.db") as register:
        register.execute("UPDATE holders SET email = ''")
        register.execute(
            "UPDATE holders SET email = 'a@mail.example' WHERE ref IN "
            "(SELECT holder_ref FROM passes WHERE number = 'P-1')"
        )
    old = only_kid(clerk, "seal")
    clerk.add_working_key("seal")
    clerk.done("keys", "revoke", old, "--reason", "entwendet", "--out", clerk.city.out)
    assert clerk.refused("keys", "revoke", old, "--reason", "entwendet", "--out", clerk.city.out)
    assert [*register_rows(clerk.city.data, "SELECT kind, number FROM mails")] == [("resealed", "P-1")]


def test_ended_passes_are_not_live(clerk: Clerk) -> None:
    after = "2027-11-20T12:00"
    old = only_kid(clerk, "seal")
    clerk.add_working_key("seal", at=after)
    assert "0 live passes" in clerk.done("keys", "revoke", old, "--reason", "entwendet", at=after)


def test_without_another_key_it_says_what_is_left_to_do_and_does_it_later(clerk: Clerk) -> None:
    old = only_kid(clerk, "seal")
    outcome = clerk("keys", "revoke", old, "--reason", "entwendet", "--out", clerk.city.out)
    assert outcome.code == 0
    assert "4 live passes" in outcome.stdout
    assert "4 passes are not issued anew yet" in outcome.stderr
    assert f"keys revoke {old}" in outcome.stderr
    clerk.publish()
    device, sealed = clerk.device(), clerk.seal("P-1")
    assert device.verify(sealed).short == ("RED", "KEY_REVOKED")
    # Plates are checked by the list, which another key signs.
    assert device.plate("D-AB 1").short == GREEN
    assert "seal" in clerk.refused("reissue", "P-1", "--reason", "Handy")
    clerk.add_working_key("seal")
    said = clerk.done("keys", "revoke", old, "--reason", "entwendet", "--out", clerk.city.out)
    assert "4 passes are issued anew" in said
    clerk.publish()
    assert device.verify(*(clerk.seal(f"P-{place}") for place in (1, 2, 3)), sealed).reasons == [
        "VALID", "VALID", "VALID", "KEY_REVOKED",
    ]  # fmt: skip
    # It was revoked once, and that is what the log and the trail say.
    log = [json.loads(line) for line in (clerk.city.data / "revocations.log").read_text().splitlines()]
    assert [one["key"] for one in log if "key" in one] == [old]
    assert clerk("audit", "verify").code == 0


def test_a_revocation_stands_even_where_new_passes_cannot_be_made(clerk: Clerk) -> None:
    """An Apple certificate that does not fit stops no emergency; what is left is said."""
    old = only_kid(clerk, "seal")
    new = clerk.add_working_key("seal")
    clerk.done("config", "set", "apple_team_identifier", "OTHERTEAM1")
    sealed = clerk.seal("P-1")
    outcome = clerk("keys", "revoke", old, "--reason", "entwendet")
    assert outcome.code == 0
    assert "OTHERTEAM1" in outcome.stderr
    assert "4 passes are not issued anew yet" in outcome.stderr
    assert states(clerk, "seal") == {old: "revoked", new: "active"}
    assert clerk.seal("P-1") == sealed
    clerk.done("config", "set", "apple_team_identifier", "DEMO000000")
    assert "4 passes are issued anew" in clerk.done("keys", "revoke", old, "--reason", "entwendet")


def test_list_keys_change_without_a_gap(clerk: Clerk) -> None:
    old, device, seal = only_kid(clerk, "list"), clerk.device(), clerk.seal("P-1")
    assert device.verify(seal).short == GREEN
    new = clerk.add_working_key("list")
    clerk.publish()
    assert device.verify(seal).short == GREEN
    assert device.plate("D-AB 1").short == GREEN
    clerk.done("keys", "retire", old)
    clerk.publish()
    assert device.verify(seal).short == GREEN
    clerk.done("keys", "revoke", old, "--reason", "entwendet")
    clerk.publish()
    assert device.verify(seal).short == GREEN
    assert states(clerk, "list") == {old: "revoked", new: "active"}


def test_lists_of_before_the_revocation_of_their_key_count_no_more(clerk: Clerk) -> None:
    old, seal = only_kid(clerk, "list"), clerk.seal("P-1")
    forged_by_old_key = clerk.publish_aside("old")
    clerk.add_working_key("list")
    clerk.done("keys", "revoke", old, "--reason", "entwendet")
    clerk.publish()
    for name in ("index.cwt", "plates.cwt"):
        shutil.copy(forged_by_old_key / name, clerk.city.published / name)
    device = clerk.device("new device")
    assert device.verify(seal).short == ("GREY", "NO_LIST")
    assert device.plate("D-AB 1").short == ("GREY", "NO_LIST")


def test_a_lost_list_key_can_be_replaced(clerk: Clerk) -> None:
    """Nothing can be published without one, so its successor need not be published before."""
    device, seal = clerk.device(), clerk.seal("P-1")
    assert device.verify(seal).short == GREEN
    clerk.done("keys", "revoke", only_kid(clerk, "list"), "--reason", "entwendet")
    before = {one.name: one.read_bytes() for one in clerk.city.published.glob("*.cwt")}
    assert "list" in clerk.refused("publish", "--out", clerk.city.published)
    assert {one.name: one.read_bytes() for one in clerk.city.published.glob("*.cwt")} == before
    clerk.done("keys", "activate", clerk.add_key("list"))
    clerk.publish()
    assert device.verify(seal).short == GREEN
    assert device.plate("D-AB 1").short == GREEN


def test_a_lost_root_can_be_replaced_but_devices_must_be_told(clerk: Clerk) -> None:
    device, seal = clerk.device(), clerk.seal("P-1")
    assert device.verify(seal).short == GREEN
    clerk.done("keys", "revoke", only_kid(clerk, "root"), "--reason", "entwendet")
    assert "root" in clerk.refused("publish", "--out", clerk.city.published)
    clerk.done("keys", "activate", clerk.add_key("root"))
    clerk.publish()
    assert device.verify(seal).short == ("GREY", "NO_TRUST")
    assert clerk.device("new device").verify(seal).short == GREEN


def test_a_key_for_one_pass_type_signs_only_that(clerk: Clerk) -> None:
    old = only_kid(clerk, "seal")
    cards = clerk.add_working_key("seal", "--types", LIBRARY)
    assert next(one for one in clerk.key_list("seal") if one["kid"] == cards)["types"] == [LIBRARY]
    clerk.done("reissue", "P-1", "--reason", "Handy")
    clerk.done("reissue", "M500001", "--reason", "Handy")
    assert (kid_in(clerk.seal("P-1")), kid_in(clerk.seal("M500001"))) == (old, cards)
    # The other key is the last for permits, though not the last of its purpose.
    sentence = clerk.refused("keys", "retire", old)
    assert PERMIT in sentence
    assert LIBRARY not in sentence
    clerk.done("keys", "revoke", old, "--reason", "entwendet")
    assert "seal" in clerk.refused("reissue", "P-1", "--reason", "Handy")
    clerk.done("reissue", "M500001", "--reason", "Handy")
    for bad in ("nothing", "", f"{LIBRARY},nothing"):
        assert clerk.refused("keys", "add", "seal", "--types", bad)


def test_a_seal_of_a_type_its_key_may_not_sign(tmp_path: Path) -> None:
    """No office writes such a seal; whoever has stolen the key for library cards might."""
    city = City(tmp_path / "trust")
    city.set_key(city.seal_key, pass_types=frozenset({2}))
    city.publish()
    clerk = Clerk(DemoCity(tmp_path))
    device = clerk.device(trust=city.folder)
    assert device.verify(city.seal()).short == ("RED", "WRONG_TYPE")
    card = permit(type_code=2, plates=(), seasons=(), zone=None, card_number="24711300000134")
    assert device.verify(city.seal(card)).short == GREEN


# Too short or too long for any: a beginning of two digits might be that of a key.
@pytest.mark.parametrize("kid", ["", "zz", "0" * 40, "%", "*"])
def test_a_key_that_is_not_there(clerk: Clerk, kid: str) -> None:
    for step in ("activate", "retire"):
        assert "keys list" in clerk.refused("keys", step, kid)


def test_the_first_digits_are_enough_unless_they_are_not(clerk: Clerk) -> None:
    new = clerk.add_key("seal")
    clerk.publish()
    clerk.done("keys", "activate", new[:8].upper())
    kids = [one["kid"] for one in clerk.key_list()]
    shared = next((kid[:1] for kid in kids if sum(one.startswith(kid[:1]) for one in kids) > 1), None)
    if shared is not None:
        assert "digits" in clerk.refused("keys", "retire", shared)


@pytest.mark.parametrize("purpose", ["eudi", "pdf-seal"])
def test_a_key_that_others_certify_is_made_certified_and_used(real_city: Clerk, purpose: str) -> None:
    """In a real city the key is made here, its certificate comes from an authority, and only then it signs."""
    from cryptography import x509

    from keys.eudi_certificates import DOCUMENT_SIGNING
    from keys.pdf_seal_certificates import PDF_SIGNING
    from tests.keys.test_eudi_certificates import Authority as Issuing
    from tests.keys.test_eudi_certificates import name

    real_city.done("config", "set", "base_url", "https://ausweise.stadt.example")
    kid = real_city.add_key(purpose)
    assert "certificate" in real_city.refused("keys", "activate", kid)
    request = x509.load_pem_x509_csr(real_city.done("keys", "request", kid).encode())
    assert request.is_signature_valid
    root = Issuing("TEST Root")
    use = [PDF_SIGNING if purpose == "pdf-seal" else DOCUMENT_SIGNING]
    folder = real_city.city.folder

    def file(name_of_file: str, certificate: x509.Certificate) -> Path:
        path = folder / name_of_file
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path

    anchor = file("root.pem", root.certificate)
    good = file("good.pem", root.issue(request.public_key(), name("Stadt"), extended=use))
    wrong = file("wrong.pem", root.issue(root.key.public_key(), name("Stadt"), extended=use))
    plain = file("plain.pem", root.issue(request.public_key(), name("Stadt"), extended=[]))
    for bad, above in ((wrong, anchor), (plain, anchor), (anchor, anchor), (good, wrong)):
        real_city.refused("keys", "certify", kid, "--certificate", bad, "--anchor", above)
    assert states(real_city, purpose) == {kid: "pending"}
    seal = only_kid(real_city, "seal")
    real_city.refused("keys", "certify", seal, "--certificate", good, "--anchor", anchor)
    real_city.done("keys", "certify", kid, "--certificate", good, "--anchor", anchor)
    real_city.done("keys", "activate", kid)
    assert states(real_city, purpose) == {kid: "active"}
    real_city.refused("keys", "certify", kid, "--certificate", good, "--anchor", anchor)
    real_city.done("keys", "revoke", kid, "--reason", "entwendet")
    assert states(real_city, purpose) == {kid: "revoked"}


def test_every_step_stands_in_the_trail(clerk: Clerk) -> None:
    before = json.loads(clerk.done("audit", "verify", "--json"))["entries"]
    old = only_kid(clerk, "list")
    clerk.add_working_key("list")
    clerk.done("keys", "retire", old, "--reason", "Wechsel")
    assert json.loads(clerk.done("audit", "verify", "--json"))["entries"] == before + 3


@pytest.mark.parametrize(
    ("setting", "value", "at"),
    [("apple_team_identifier", "OTHERTEAM1", None), ("apple_pass_type_identifier", "pass.example.other", None),
     (None, None, "2040-01-01T12:00")],
)  # fmt: skip
def test_an_apple_certificate_that_does_not_fit_stops_before_anything_is_entered(
    fresh_city: DemoCity, setting: str | None, value: str | None, at: str | None
) -> None:
    clerk = Clerk(fresh_city)
    if setting is not None:
        clerk.done("config", "set", setting, value)
    before = register_content(fresh_city.data)
    rows = [PERMITS[0] | {"permit_id": "P-1"}]
    file = write_csv(fresh_city.folder / "rows.csv", rows)
    sentence = clerk.refused("issue", PERMIT, file, "--out", fresh_city.out, at=at)
    assert (value or "expired") in sentence
    assert register_content(fresh_city.data) == before
    assert not list(fresh_city.out.glob("P-1*"))


PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def real_city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clerk:
    """A city that is no demo, opened by a passphrase, with zones."""
    monkeypatch.setenv("STADTPASS_PASSPHRASE", PASSPHRASE)
    monkeypatch.delenv("STADTPASS_KEY_FILE", raising=False)
    clerk = Clerk(DemoCity(tmp_path))
    clerk.done("init", "--city", "Düsseldorf")
    zones = tmp_path / "zones.csv"
    zones.write_text("zone_code;zone_name;tariff_class;attested_in_press\nBÖ;Börsenviertel;B;1\n")
    clerk.done("config", "import", "zones", zones)
    return clerk


def test_a_real_city_without_accounts_at_apple_and_google(real_city: Clerk) -> None:
    file = write_csv(real_city.city.folder / "rows.csv", [PERMITS[0] | {"permit_id": "P-1"}])
    outcome = real_city("issue", PERMIT, file, "--out", real_city.city.out)
    assert outcome.code == 0, outcome.stderr
    assert "apple" in outcome.stderr
    assert "google" in outcome.stderr
    assert "fee" in outcome.stderr.lower()
    names = {one.name for one in real_city.city.out.iterdir()}
    assert names == {"P-1.pdf", "P-1.png", "P-1.seal.txt", "report.csv"}
    real_city.publish()
    verdict = real_city.device().verify(real_city.city.out / "P-1.png").only
    assert (verdict["reason"], verdict["test"]) == ("VALID", False)
    assert "TEST" not in verdict["message"]
    assert {one["test"] for one in real_city.key_list()} == {False}
    assert not (real_city.city.data / "demo-root.pem").exists()


def test_carriers_asked_for_by_name_are_not_left_out_in_silence(real_city: Clerk) -> None:
    file = write_csv(real_city.city.folder / "rows.csv", [PERMITS[0] | {"permit_id": "P-1"}])
    before = register_content(real_city.city.data)
    for carriers, purpose in (("apple", "apple-pass"), ("pdf,google", "google")):
        sentence = real_city.refused(
            "issue", PERMIT, file, "--out", real_city.city.out, "--carriers", carriers
        )
        assert purpose in sentence
    assert register_content(real_city.city.data) == before


def test_a_wrong_passphrase_is_said_plainly(real_city: Clerk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.isatty", lambda _handle: False)
    for passphrase in ("another long passphrase", "short", "", None):
        if passphrase is None:
            monkeypatch.delenv("STADTPASS_PASSPHRASE")
        else:
            monkeypatch.setenv("STADTPASS_PASSPHRASE", passphrase)
        sentence = real_city.refused("publish", "--out", real_city.city.published)
        assert PASSPHRASE not in sentence
        assert not passphrase or passphrase not in sentence.split()
        assert not (real_city.city.published / "bundle.cwt").exists()


def test_a_passphrase_that_is_too_short_sets_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STADTPASS_PASSPHRASE", "short")
    done = main_in_process("init", "--data", tmp_path / "data", "--at", f"{TODAY}T12:00")
    assert (done.code, done.stdout) == (64, "")
    assert not (tmp_path / "data").exists()


def test_a_folder_is_never_set_up_twice(clerk: Clerk) -> None:
    before = register_content(clerk.city.data)
    assert str(clerk.city.data) in clerk.refused("init", "--demo")
    assert register_content(clerk.city.data) == before


def test_nothing_secret_lies_open(clerk: Clerk) -> None:
    private = b"PRIVATE KEY-----"
    for file in clerk.city.data.rglob("*"):
        if file.is_file():
            assert private not in file.read_bytes(), file
            if file.parent.name in ("keys", "root") or file.name in ("keystore.key", "register.db"):
                assert file.stat().st_mode & 0o077 == 0, file
    for file in clerk.city.published.rglob("*"):
        assert file.is_dir() or private not in file.read_bytes()


def test_the_root_may_be_away_until_it_is_needed(clerk: Clerk) -> None:
    """Offline means offline: lists are published daily without it; a new key needs it."""
    away = clerk.city.folder / "safe"
    shutil.move(clerk.city.data / "root", away)
    device, seal = clerk.device(), clerk.seal("P-1")
    clerk.done("revoke", "P-1", "--reason", "Umzug", at="2026-11-21T12:00")
    clerk.publish(at="2026-11-21T12:05")
    assert device.verify(seal, at="2026-11-21T12:10").short == ("RED", "REVOKED")
    new = clerk.add_key("seal", at="2026-11-21T12:10")
    sentence = clerk.refused("publish", "--out", clerk.city.published, at="2026-11-21T12:15")
    assert "root" in sentence
    shutil.move(away, clerk.city.data / "root")
    clerk.publish(at="2026-11-21T12:20")
    clerk.done("keys", "activate", new, at="2026-11-21T12:20")


def test_the_kid_is_the_hash_of_the_key(clerk: Clerk) -> None:
    """SHA-256 over the DER SubjectPublicKeyInfo, 8 bytes: anyone can compute it from root.pub."""
    pem = (clerk.city.published / "root.pub").read_bytes()
    public = serialization.load_pem_public_key(pem)
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert hashlib.sha256(der).digest()[:8].hex() == only_kid(clerk, "root") == kid_of(public).hex()  # type: ignore[arg-type]


def test_accounts_at_apple_and_google_are_added_later(
    real_city: Clerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Import, activate, issue again: what was left out for lack of keys is made."""
    clerk, folder = real_city, real_city.city.folder
    file = write_csv(folder / "rows.csv", [PERMITS[0] | {"permit_id": "P-1"}])
    issue = ("issue", PERMIT, file, "--out", clerk.city.out)
    clerk.done(*issue)
    apple, google = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    authority = Authority()
    p12 = pkcs12.serialize_key_and_certificates(
        b"pass", apple, authority.leaf(apple), None, serialization.BestAvailableEncryption(b"p12 passphrase")
    )
    (folder / "pass.p12").write_bytes(p12)
    (folder / "wwdr.pem").write_bytes(authority.certificate().public_bytes(serialization.Encoding.PEM))
    add_apple = ("keys", "add", "apple-pass", "--p12", folder / "pass.p12", "--chain", folder / "wwdr.pem")
    monkeypatch.setenv("STADTPASS_P12_PASSPHRASE", "p12 passphrase")
    # The certificate has to be that of the settings, and what is refused leaves nothing behind.
    stored = {one.name: one.read_bytes() for one in (clerk.city.data / "keys").iterdir()}
    assert clerk.refused(*add_apple)
    clerk.done("config", "set", "apple_pass_type_identifier", PASS_TYPE)
    clerk.done("config", "set", "apple_team_identifier", TEAM)
    monkeypatch.setenv("STADTPASS_P12_PASSPHRASE", "wrong")
    assert clerk.refused(*add_apple)
    assert clerk.refused(*add_apple[:5])
    monkeypatch.setenv("STADTPASS_P12_PASSPHRASE", "p12 passphrase")
    assert clerk.key_list("apple-pass") == []
    assert {one.name: one.read_bytes() for one in (clerk.city.data / "keys").iterdir()} == stored
    kid = clerk.done(*add_apple).strip()
    assert "apple" in clerk(*issue).stderr
    clerk.done("keys", "activate", kid)
    google_pem = google.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "google.pem").write_bytes(google_pem)
    kid = clerk.done("keys", "add", "google", "--key", folder / "google.pem").strip()
    clerk.done("keys", "activate", kid)
    clerk.done("config", "set", "google_issuer_id", '"3388000000000000000"')
    clerk.done("config", "set", "google_service_account", "pass@project.iam.gserviceaccount.com")
    outcome = clerk(*issue)
    assert outcome.code == 0, outcome.stderr
    assert "1 unchanged" in outcome.stdout
    names = {one.suffix for one in clerk.city.out.glob("P-1.*")}
    assert names == {".pkpass", ".json", ".txt", ".pdf", ".png"}
    assert clerk.key_list("google")[0]["state"] == "active"
    # The certificate ends on 2027-07-01: that is said before it happens.
    assert "2027-07-01" in clerk("keys", "list", at="2027-06-10T12:00").stderr


def test_keys_can_be_made_after_an_old_register_was_restored(clerk: Clerk) -> None:
    """The keystore holds a key that the register does not know: no name is in the way."""
    register = clerk.city.data / "register.db"
    backup = register.read_bytes()
    lost = clerk.add_key("seal")
    register.write_bytes(backup)
    assert lost not in states(clerk, "seal")
    new = clerk.add_working_key("seal")
    clerk.done("reissue", "P-1", "--reason", "Handy")
    assert kid_in(clerk.seal("P-1")) == new
