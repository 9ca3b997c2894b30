"""What a device says of the passes of the samples, and of anything else that is held before it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from keys.bundle import root_to_pem
from passes.seasons import Season
from passes.status_list import Status
from tests.e2e.clerk import Clerk
from tests.e2e.commandline import PERMIT, TODAY, DemoCity, clean_environment, main_in_process, run
from tests.e2e.device import CONTENT, FIELDS, NOON, Device
from tests.e2e.samples import MEMBERS, PERMITS
from tests.trust_factory import LIST_NUMBER, NOW, City, Key, permit

DAY = date.fromisoformat(TODAY)
STATUS_REASONS = {
    "superseded": "SUPERSEDED",
    "revoked": "REVOKED",
    "suspended": "SUSPENDED",
    "blocked": "SUSPENDED",
}


@pytest.fixture
def device(demo_city: DemoCity, tmp_path: Path) -> Device:
    return Device(demo_city.published, tmp_path / "state.json")


@pytest.fixture
def city(tmp_path: Path) -> City:
    """A city that is no demo, so that every kind of key and list can be made."""
    return City(tmp_path / "trust").publish()


@pytest.fixture
def asked(city: City, tmp_path: Path) -> Device:
    return Device(city.folder, tmp_path / "state.json")


def seal_file(city: DemoCity, number: str) -> Path:
    return city.out / f"{number}.seal.txt"


def in_season(text: str) -> bool:
    if not text:
        return True
    first, last = (int(part) for part in text.split("-"))
    return first <= DAY.month <= last if first <= last else DAY.month >= first or DAY.month <= last


def expected(row: dict[str, str]) -> str:
    """The reason that follows from a row of the samples, by the rules of the contract."""
    if row["status"] in STATUS_REASONS:
        return STATUS_REASONS[row["status"]]
    if date.fromisoformat(row["valid_to"]) < DAY:
        return "EXPIRED"
    if date.fromisoformat(row["valid_from"]) > DAY:
        return "NOT_YET_VALID"
    seasons = (row.get("season_1", ""), row.get("season_2", ""))
    return "VALID" if all(map(in_season, seasons)) else "OUT_OF_SEASON"


def test_every_permit_of_the_samples(demo_city: DemoCity, device: Device) -> None:
    rows = [row for row in PERMITS if row["status"] != "pending_payment"]
    answer = device.verify(*(seal_file(demo_city, row["permit_id"]) for row in rows))
    assert answer.code == 1
    assert answer.reasons == [expected(row) for row in rows]
    assert {
        "VALID",
        "SUPERSEDED",
        "REVOKED",
        "SUSPENDED",
        "EXPIRED",
        "NOT_YET_VALID",
        "OUT_OF_SEASON",
    } == set(answer.reasons)
    for row, verdict in zip(rows, answer.verdicts, strict=True):
        plates = [plate for plate in (row["plate_1"], row["plate_2"]) if plate]
        assert {name: verdict[name] for name in CONTENT} == {
            "type": PERMIT,
            "number": row["permit_id"],
            "plates": plates,
            "zone": row["zone_code"],
            "card_number": None,
            "organisation": row["carsharing_org"] or None,
            "valid_from": row["valid_from"],
            "valid_until": row["valid_to"],
        }
        assert verdict["test"] is True
        assert verdict["freshness"] == "none"


def test_every_member_of_the_samples(demo_city: DemoCity, device: Device) -> None:
    answer = device.verify(*(seal_file(demo_city, row["member_id"]) for row in MEMBERS))
    assert answer.reasons == [expected(row) for row in MEMBERS]
    assert [one["card_number"] for one in answer.verdicts] == [row["card_number"] for row in MEMBERS]
    assert all(one["plates"] == [] and one["zone"] is None for one in answer.verdicts)


def test_the_first_day_is_named_before_it_has_come(demo_city: DemoCity, device: Device) -> None:
    verdict = device.verify(seal_file(demo_city, PERMITS[16]["permit_id"])).only
    assert (verdict["verdict"], verdict["reason"]) == ("RED", "NOT_YET_VALID")
    assert "21.11.2026" in verdict["message"]


def test_under_a_demo_root_everything_says_test(demo_city: DemoCity, device: Device) -> None:
    number = PERMITS[0]["permit_id"]
    answer = device.verify(seal_file(demo_city, number), "https://example.org", "SP1:AB")
    assert [one["test"] for one in answer.verdicts] == [True, True, True]
    assert all("TEST" in one["message"] for one in answer.verdicts)
    shown = main_in_process(
        "verify", "--trust", demo_city.published, "--state", device.state, "--today", TODAY,
        seal_file(demo_city, number),
    )  # fmt: skip
    assert (shown.code, "TEST" in shown.stdout, PERMITS[0]["plate_1"] in shown.stdout) == (0, True, True)


def test_each_carrier_gives_the_same_seal(demo_city: DemoCity, device: Device) -> None:
    number = PERMITS[80]["permit_id"]
    text = seal_file(demo_city, number).read_text().strip()
    answer = device.verify(seal_file(demo_city, number), demo_city.out / f"{number}.png", text)
    assert answer.verdicts[0] == answer.verdicts[1] == answer.verdicts[2]
    assert answer.verdicts[0]["number"] == number


def test_lines_of_standard_input_and_of_a_file(demo_city: DemoCity, device: Device, tmp_path: Path) -> None:
    texts = [seal_file(demo_city, PERMITS[at]["permit_id"]).read_text().strip() for at in (0, 16, 110)]
    lines = f"{texts[0]}\r\n\n{texts[1]}\nhttps://example.org\n{texts[2]}"
    done = run(
        "verify", "--trust", demo_city.published, "--state", device.state, "--today", TODAY, "--json", "-",
        input=lines,
    )  # fmt: skip
    reasons = [json.loads(line)["reason"] for line in done.stdout.splitlines()]
    assert (done.returncode, reasons) == (1, ["VALID", "NOT_YET_VALID", "NOT_A_SEAL", "REVOKED"])
    (tmp_path / "lines.txt").write_bytes(lines.encode())
    assert device.verify(tmp_path / "lines.txt").reasons == reasons


@pytest.mark.parametrize(
    ("inputs", "code"),
    [(["green"], 0), (["green", "amber"], 2), (["amber", "grey"], 3), (["grey", "red", "green"], 1),
     (["green", "grey"], 3), (["red"], 1), (["amber", "green", "amber"], 2)],
)  # fmt: skip
def test_of_several_inputs_the_worst_counts(city: City, asked: Device, inputs: list[str], code: int) -> None:
    texts = {
        "green": city.seal(),
        "amber": city.seal(seasons=(Season(4, 10),)),
        "red": "SP1:AB",
        "grey": "https://example.org/",
    }
    answer = asked.verify(*(texts[name] for name in inputs))
    assert answer.code == code
    assert [one["verdict"].lower() for one in answer.verdicts] == inputs


@pytest.mark.parametrize(
    "text",
    ["", " ", "https://look-alike.example/v?p=D-AB%20123", "HTTPS://LOOK-ALIKE.EXAMPLE", "sp1:AB", "SP2:AB", "SP1",
     "WIFI:S:x;;", "D-AB 123", "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe", "SP1R", "x" * 100_000],
)  # fmt: skip
def test_a_foreign_text_is_grey(asked: Device, text: str) -> None:
    verdict = asked.verify(text).only
    assert (verdict["verdict"], verdict["reason"]) == ("GREY", "NOT_A_SEAL")
    assert "look-alike" not in verdict["message"].lower()
    assert [verdict[name] for name in CONTENT] == [None] * len(CONTENT)


def damaged(seal: str) -> dict[str, str]:
    middle = len(seal) // 2
    return {
        "empty": "SP1:",
        "cut": seal[:-1],
        "longer": seal + "0",
        "twice": seal + seal,
        "lower case": "SP1:" + seal[4:].lower(),
        "space inside": seal[:middle] + " " + seal[middle:],
        "not base45": seal[:middle] + "ß" + seal[middle + 1 :],
        "far too long": "SP1:" + "0" * 50_000,
        "rotating without digits": "SP1R:" + seal[4:],
        "rotating with seven digits": f"SP1R:1:1234567:{seal[4:]}",
        "rotating in letters": f"SP1R:x:12345678:{seal[4:]}",
        "rotating with a prefix twice": f"SP1R:1:12345678:{seal}",
    }


@pytest.mark.parametrize("how", damaged("SP1:").keys())
def test_a_damaged_seal_is_red(city: City, asked: Device, how: str) -> None:
    verdict = asked.verify(damaged(city.seal())[how]).only
    assert (verdict["verdict"], verdict["reason"]) == ("RED", "MALFORMED")


def test_no_changed_character_is_good(city: City, asked: Device) -> None:
    """At every place of the text another sign: malformed, forged or of an unknown key, never accepted."""
    seal = city.seal()
    changed = [
        f"{seal[:place]}{'A' if seal[place] != 'A' else 'B'}{seal[place + 1 :]}"
        for place in range(4, len(seal))
    ]
    answer = asked.verify(*changed)
    assert answer.code == 1
    assert set(answer.reasons) <= {"MALFORMED", "FORGED", "UNKNOWN_KEY"}
    assert {"MALFORMED", "FORGED", "UNKNOWN_KEY"} == set(answer.reasons)


def test_keys_of_other_cities_purposes_and_times(city: City, asked: Device) -> None:
    assert asked.verify(city.seal(key=Key())).short == ("RED", "UNKNOWN_KEY")
    assert asked.verify(city.seal(key=city.list_key)).short == ("RED", "UNKNOWN_KEY")
    assert asked.verify(city.seal(key=city.root)).short == ("RED", "UNKNOWN_KEY")
    before = city.keys[city.seal_key.kid].not_before - 1
    assert asked.verify(city.seal(issued_at=before)).short == ("RED", "UNKNOWN_KEY")


@pytest.mark.parametrize(("state", "reason"), [
    ("pending", "VALID"), ("active", "VALID"), ("retired", "VALID"), ("revoked", "KEY_REVOKED"),
])  # fmt: skip
def test_what_the_state_of_a_key_means(city: City, asked: Device, state: str, reason: str) -> None:
    city.set_key(city.seal_key, state=state)
    city.write_bundle()
    verdict = asked.verify(city.seal()).only
    assert verdict["reason"] == reason
    # The signature is right even where the key counts no more: whose pass it was may be said.
    assert verdict["number"] == permit().number


def test_a_test_key_counts_only_under_a_demo_root(tmp_path: Path) -> None:
    for demo, reason in ((False, "TEST_KEY"), (True, "VALID")):
        folder = tmp_path / str(demo)
        city = City(folder / "trust", test=demo)
        city.set_key(city.seal_key, test=True)
        city.publish()
        verdict = Device(city.folder, folder / "state.json").verify(city.seal()).only
        assert (verdict["reason"], verdict["test"]) == (reason, demo)


def test_a_list_signed_by_a_test_key_counts_only_under_a_demo_root(city: City, asked: Device) -> None:
    city.set_key(city.list_key, test=True)
    city.write_bundle()
    assert asked.verify(city.seal()).short == ("GREY", "NO_LIST")


def test_only_the_wanted_type(demo_city: DemoCity, device: Device) -> None:
    card, paper = seal_file(demo_city, MEMBERS[0]["member_id"]), seal_file(demo_city, PERMITS[0]["permit_id"])
    options = ("--type", "library-card")
    answer = device.verify(card, paper, options=options)
    assert answer.reasons == ["VALID", "WRONG_TYPE"]
    assert answer.verdicts[1]["type"] == PERMIT


def test_a_type_the_bundle_does_not_name(city: City, asked: Device) -> None:
    city.set_key(city.seal_key, pass_types=frozenset({1, 2, 77}))
    city.write_bundle()
    verdict = asked.verify(city.seal(type_code=77)).only
    assert (verdict["verdict"], verdict["reason"], verdict["type"]) == ("RED", "WRONG_TYPE", None)


@pytest.mark.parametrize(("zone", "reason"), [
    ("MÜ1", "VALID"), ("MU\N{COMBINING DIAERESIS}1", "VALID"), ("mü1", "VALID"), (" MÜ1 ", "VALID"),
    ("MU1", "OTHER_ZONE"), ("MÜ", "OTHER_ZONE"), ("MÜ11", "OTHER_ZONE"),
])  # fmt: skip
def test_zones_are_compared_as_people_read_them(asked: Device, city: City, zone: str, reason: str) -> None:
    verdict = asked.verify(city.seal(), options=("--zone", zone)).only
    assert verdict["reason"] == reason
    assert reason == "VALID" or "MÜ1" in verdict["message"]


def test_a_zone_that_is_none_is_a_fault_of_use(asked: Device, city: City) -> None:
    for zone in ("", "M\N{CYRILLIC CAPITAL LETTER U}", "x" * 100):
        answer = asked.verify(city.seal(), options=("--zone", zone))
        assert (answer.code, answer.verdicts) == (64, [])


def test_a_card_without_a_zone_is_not_of_another_zone(demo_city: DemoCity, device: Device) -> None:
    assert device.verify(seal_file(demo_city, MEMBERS[0]["member_id"]), options=("--zone", "HO")).short == (
        "GREEN",
        "VALID",
    )


def test_one_plate_out_of_season_is_named(city: City, asked: Device) -> None:
    plates = (*permit().plates, *permit(plates=permit().plates).plates)
    seal = city.seal(plates=plates, seasons=(None, Season(3, 10)))
    verdict = asked.verify(seal).only
    assert verdict["reason"] == "OUT_OF_SEASON"
    assert "03-10" in verdict["message"]
    wrapping = city.seal(seasons=(Season(11, 2),))
    assert asked.verify(wrapping).short == ("GREEN", "VALID")


def test_the_age_of_a_stale_list_is_named(city: City, asked: Device) -> None:
    verdict = asked.verify(city.seal(), at="2026-11-22T12:00").only
    assert (verdict["verdict"], verdict["reason"]) == ("AMBER", "STALE_LIST")
    assert verdict["list_age_seconds"] == 48 * 3600
    assert verdict["list_time"] == "2026-11-20T12:00:00+01:00"
    assert "20.11.2026 12:00" in verdict["message"]
    assert "2 days" in verdict["message"]


@pytest.mark.parametrize(
    ("what", "reason"),
    [("bundle.cwt", "NO_TRUST"), ("root.pub", "NO_TRUST"), ("index.cwt", "NO_LIST"),
     (f"status/{LIST_NUMBER}.cwt", "NO_LIST"), ("plates.cwt", "VALID")],
)  # fmt: skip
@pytest.mark.parametrize("how", ["missing", "empty", "cut", "flipped", "text", "huge", "folder"])
def test_what_a_bad_file_in_the_folder_means(
    city: City, asked: Device, what: str, reason: str, how: str
) -> None:
    """Whatever has become of a file: it is as if it were missing, and the verdict says so."""
    file = city.folder / what
    content = file.read_bytes()
    file.unlink()
    if how == "folder":
        file.mkdir()
    elif how != "missing":
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        changed = {"empty": b"", "cut": content[:-10], "flipped": flipped, "text": b"hello\n" * 9}
        file.write_bytes(changed.get(how) or (content + bytes(70_000_000) if how == "huge" else b""))
    answer = asked.verify(city.seal())
    assert answer.only["reason"] == reason
    assert answer.stderr == ""


def test_another_root_file_is_no_trust(city: City, asked: Device) -> None:
    rsa_key = rsa.generate_private_key(65537, 2048).public_key()
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for pem in (root_to_pem(Key().public), rsa_key.public_bytes(*form), p384.public_bytes(*form)):
        (city.folder / "root.pub").write_bytes(pem)
        assert asked.verify(city.seal()).short == ("GREY", "NO_TRUST")


def test_swapped_lists_are_no_lists(city: City, asked: Device) -> None:
    """The file of another list is genuine, but it is another list: its bits say nothing about this pass."""
    city.statuses = {LIST_NUMBER: {permit().status_index: Status.INVALID}, 18: {}}
    city.publish()
    assert asked.verify(city.seal()).short == ("RED", "REVOKED")
    first, second = (city.folder / f"status/{number}.cwt" for number in (LIST_NUMBER, 18))
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    fresh = Device(city.folder, asked.state.with_name("fresh.json"))
    assert fresh.verify(city.seal()).short == ("GREY", "NO_LIST")
    # And a device that has seen the revocation does not forget it.
    assert asked.verify(city.seal()).short == ("RED", "REVOKED")


def test_a_list_number_or_place_that_is_not_there(city: City, asked: Device) -> None:
    assert asked.verify(city.seal(status_list=99)).short == ("GREY", "NO_LIST")
    assert asked.verify(city.seal(status_index=1 << 20)).only["verdict"] != "GREEN"


def test_lists_of_a_key_whose_time_has_passed(city: City, asked: Device) -> None:
    """A list key signs in its period alone: an old key that was stolen makes no new lists."""
    city.set_key(city.list_key, not_after=int(NOW.timestamp()))
    city.write_bundle()
    assert asked.verify(city.seal()).short == ("GREY", "NO_LIST")
    assert asked.plate("D-AB 123").short == ("GREY", "NO_LIST")


@pytest.mark.parametrize("state", ["revoked", "retired"])
def test_lists_of_a_revoked_list_key(city: City, asked: Device, state: str) -> None:
    city.set_key(city.list_key, state=state)
    city.write_bundle()
    reason = {"revoked": ("GREY", "NO_LIST"), "retired": ("GREEN", "VALID")}[state]
    assert asked.verify(city.seal()).short == reason


def test_lists_signed_by_a_seal_key_or_by_the_root(city: City, asked: Device) -> None:
    for key in (city.seal_key, city.root, Key()):
        city.write_lists(signer=key)
        assert asked.verify(city.seal()).short == ("GREY", "NO_LIST")


@pytest.mark.parametrize("language", ["de", "en"])
def test_every_answer_has_the_fields_and_a_sentence(
    demo_city: DemoCity, device: Device, language: str
) -> None:
    done = main_in_process(
        "verify", "--trust", demo_city.published, "--state", device.state, "--at", NOON, "--json",
        "--lang", language, "--", seal_file(demo_city, PERMITS[0]["permit_id"]), "nothing",
    )  # fmt: skip
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert list(first) == list(second) == FIELDS
    assert ("Gültig" in first["message"]) == (language == "de")
    assert second["list_time"] is second["list_age_seconds"] is None


def test_paper_is_asked_for_where_the_law_wants_it(own_city: DemoCity) -> None:
    """One setting of the city decides what a verdict says."""
    clerk = Clerk(own_city)
    permit_file, card = (
        seal_file(own_city, number) for number in (PERMITS[0]["permit_id"], MEMBERS[0]["member_id"])
    )
    answer = clerk.device().verify(permit_file, card)
    assert ["print" in one["message"] for one in answer.verdicts] == [True, False]
    clerk.done("config", "set", "display_mode", "digital_allowed")
    clerk.publish()
    answer = clerk.device().verify(permit_file, card)
    assert ["print" in one["message"] for one in answer.verdicts] == [False, False]


def test_an_unknown_pass_type_and_a_missing_file_are_said_before_any_verdict(demo_city: DemoCity) -> None:
    trust = ("--trust", demo_city.published, "--today", TODAY)
    genuine = seal_file(demo_city, PERMITS[0]["permit_id"])
    for wrong in (
        (genuine, "--type", "resident-parking"),
        (genuine, "nicht-da.png"),
        (genuine, demo_city.data),
    ):
        refused = main_in_process("verify", *wrong, *trust)
        assert (refused.code, refused.stdout, len(refused.stderr.splitlines())) == (64, "", 1)


def test_the_verifier_can_be_run_as_a_module(demo_city: DemoCity) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "verifier.cli", "verify", "nichts", "--trust", demo_city.published],
        env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "NOT_A_SEAL" in done.stdout
