"""The life of a pass at the office's command line, and what becomes of it on a device."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import sqlite3
import subprocess

import pytest

from tests.e2e.clerk import Clerk
from tests.e2e.commandline import TODAY, DemoCity, clean_environment, command, main_in_process
from tests.e2e.samples import register_content, register_rows

GREEN = ("GREEN", "VALID")
LATER, LAST = f"{TODAY}T12:10", f"{TODAY}T12:20"


@pytest.fixture
def clerk(fresh_city: DemoCity) -> Clerk:
    """Two permits P-1 (D-AB 1, zone BÖ) and P-2 (D-AB 2), not yet published."""
    clerk = Clerk(fresh_city)
    clerk.issue_permits({"plate_1": "D-AB 1"}, {"plate_1": "D-AB 2"})
    return clerk


def wallet(clerk: Clerk, number: str) -> list[tuple[str, str]]:
    """Serial and token of each revision: what an installed Apple pass goes by."""
    rows = register_rows(clerk.city.data, "SELECT number, serial, apple_token FROM revisions ORDER BY n")
    return [(serial, token) for one, serial, token in rows if one == number]


def test_another_plate(clerk: Clerk) -> None:
    device, old = clerk.device(), clerk.seal("P-1")
    clerk.publish()
    assert device.verify(old).short == GREEN
    said = clerk.done("change", "P-1", "--plate", "d xy 99", "--out", clerk.city.out, at=LATER)
    assert "P-1" in said
    new = clerk.seal("P-1")
    assert (clerk.city.out / "P-1.seal.txt").read_text().strip() == new != old
    # Until the next publish, devices know the old state.
    assert device.verify(old, at=LATER).short == GREEN
    clerk.publish(at=LAST)
    assert device.verify(old, at=LAST).short == ("RED", "SUPERSEDED")
    verdict = device.verify(new, at=LAST).only
    assert (verdict["reason"], verdict["plates"], verdict["number"]) == ("VALID", ["D-XY 99"], "P-1")
    assert device.plate("D-AB 1", "D-XY 99", at=LAST).reasons == ["NOT_LISTED", "VALID"]


def test_the_holder_is_told_of_another_plate_and_of_nothing_else(clerk: Clerk) -> None:
    def mails() -> list[tuple[str, str]]:
        return [tuple(row) for row in register_rows(clerk.city.data, "SELECT kind, number FROM mails")]

    with sqlite3.connect(clerk.city.data / "register.db") as register:
        register.execute("UPDATE holders SET email = 'a@mail.example'")
    clerk.done("change", "P-1", "--zone", "HO")
    assert mails() == []
    clerk.done("change", "P-1", "--plate", "D-XY 99")
    assert mails() == [("changed", "P-1")]
    assert clerk.refused("change", "P-1", "--plate", "D-XY 99")
    assert mails() == [("changed", "P-1")]
    with sqlite3.connect(clerk.city.data / "register.db") as register:
        register.execute("UPDATE holders SET email = ''")
    clerk.done("change", "P-2", "--plate", "D-XY 98")
    assert mails() == [("changed", "P-1")]


def test_a_change_makes_all_files_anew(clerk: Clerk) -> None:
    clerk.done("change", "P-1", "--zone", "HO", "--out", clerk.city.folder / "new")
    names = sorted(one.name for one in (clerk.city.folder / "new").iterdir())
    assert names == [
        f"P-1.{ending}" for ending in ("google.json", "pdf", "pkpass", "png", "save-link.txt", "seal.txt")
    ]


def test_the_pass_on_the_phone_stays_on_change_and_is_new_on_reissue(clerk: Clerk) -> None:
    clerk.done("change", "P-1", "--zone", "HO")
    clerk.done("change", "P-1", "--plate", "D-XY 99")
    clerk.done("reissue", "P-1", "--reason", "Handy verloren")
    first, changed, again, lost = wallet(clerk, "P-1")
    assert first == changed == again
    assert lost[0] != first[0]
    assert lost[1] != first[1]


def test_zone_and_plates_with_their_seasons_at_once(clerk: Clerk) -> None:
    clerk.done(
        "change", "P-1", "--plate", "D-AB 1", "--season", "04-10", "--plate", "D-CD 2E", "--season", "11-03",
        "--zone", "HO",
    )  # fmt: skip
    clerk.publish()
    device = clerk.device()
    verdict = device.verify(clerk.seal("P-1")).only
    assert (verdict["reason"], verdict["plates"], verdict["zone"]) == (
        "OUT_OF_SEASON",
        ["D-AB 1", "D-CD 2E"],
        "HO",
    )
    answer = device.plate("D-AB 1", "D-CD 2E", "D-CD 2", options=("--zone", "HO"))
    assert answer.reasons == ["OUT_OF_SEASON", "VALID", "SUFFIX_DIFFERS"]
    # A season belongs to the plate before it, so a plate without one has none.
    clerk.done("change", "P-1", "--plate", "D-AB 1", "--plate", "D-CD 2E", "--season", "11-03", at=LATER)
    clerk.publish(at=LATER)
    assert device.verify(clerk.seal("P-1"), at=LATER).short == GREEN
    clerk.done("change", "P-1", "--plate", "D-CD 2E", at=LAST)
    clerk.publish(at=LAST)
    assert device.verify(clerk.seal("P-1"), at=LAST).only["plates"] == ["D-CD 2E"]
    assert device.plate("D-AB 1", at=LAST).short == ("RED", "NOT_LISTED")


def test_a_season_may_stand_behind_the_plate(clerk: Clerk) -> None:
    clerk.done("change", "P-1", "--plate", "D-AB 1 04-10")
    assert clerk.show("P-1")["attributes"]["plates"] == ["D-AB 1 (04-10)"]


def test_another_card_number(fresh_city: DemoCity) -> None:
    clerk = Clerk(fresh_city)
    clerk.issue_members({}, {})
    old = clerk.seal("M500001")
    assert "M500002" in clerk.refused("change", "M500001", "--card-number", "24711300000266")
    assert clerk.refused("change", "M500001", "--card-number", "24711300000267")
    clerk.done("change", "M500001", "--card-number", "24711300000399")
    clerk.publish()
    answer = clerk.device().verify(old, clerk.seal("M500001"))
    assert answer.reasons == ["SUPERSEDED", "VALID"]
    assert answer.verdicts[1]["card_number"] == "24711300000399"
    # Neither number is free: the old one never is again.
    assert "not given out again" in clerk.refused("change", "M500002", "--card-number", "24711300000134")
    assert "M500001" in clerk.refused("change", "M500002", "--card-number", "24711300000399")


def test_revoke(clerk: Clerk) -> None:
    seal = clerk.seal("P-1")
    assert "P-1" in clerk.done("revoke", "P-1", "--reason", "Umzug")
    clerk.publish()
    device = clerk.device()
    assert device.verify(seal).short == ("RED", "REVOKED")
    assert device.plate("D-AB 1", "D-AB 2").reasons == ["NOT_LISTED", "VALID"]
    for step in ("revoke", "suspend", "resume", "reissue"):
        assert "P-1" in clerk.refused(step, "P-1", "--reason", "noch einmal")
    assert "P-1" in clerk.refused("change", "P-1", "--zone", "HO")
    shown = clerk.show("P-1")
    assert (shown["status"], shown["revisions"][0]["status"]) == ("revoked", 1)


def test_suspend_and_resume(clerk: Clerk) -> None:
    seal, device = clerk.seal("P-1"), clerk.device()
    assert "P-1" in clerk.refused("resume", "P-1", "--reason", "war nie gesperrt")
    for step, reason, at in (
        ("suspend", "SUSPENDED", f"{TODAY}T12:01"), ("resume", "VALID", f"{TODAY}T12:02"),
        ("suspend", "SUSPENDED", f"{TODAY}T12:03"), ("revoke", "REVOKED", f"{TODAY}T12:04"),
    ):  # fmt: skip
        clerk.done(step, "P-1", "--reason", "Grund", at=at)
        clerk.publish(at=at)
        assert device.verify(seal, at=at).only["reason"] == reason
        assert device.plate("D-AB 1", at=at).only["reason"] == (
            "VALID" if reason == "VALID" else "NOT_LISTED"
        )
        if reason == "SUSPENDED":
            assert "P-1" in clerk.refused("suspend", "P-1", "--reason", "noch einmal", at=at)
            assert "P-1" in clerk.refused("reissue", "P-1", "--reason", "Handy", at=at)
            assert "P-1" in clerk.refused("change", "P-1", "--zone", "HO", at=at)


def test_reissue(clerk: Clerk) -> None:
    old = clerk.seal("P-1")
    clerk.done("reissue", "P-1", "--reason", "Handy verloren", "--out", clerk.city.out)
    clerk.publish()
    answer = clerk.device().verify(old, clerk.seal("P-1"))
    assert answer.reasons == ["SUPERSEDED", "VALID"]
    keep = ("number", "plates", "zone", "valid_from", "valid_until", "type")
    assert [answer.verdicts[0][name] for name in keep] == [answer.verdicts[1][name] for name in keep]
    places = {(one["status_list"], one["status_index"]) for one in clerk.show("P-1")["revisions"]}
    assert len(places) == 2


def test_every_step_stands_in_the_history_with_its_reason(clerk: Clerk) -> None:
    clerk.done("suspend", "P-1", "--reason", "Rücklastschrift; Mahnung 1", at=f"{TODAY}T12:01")
    clerk.done("resume", "P-1", "--reason", "bezahlt", at=f"{TODAY}T12:02")
    clerk.done("change", "P-1", "--zone", "HO", at=f"{TODAY}T12:03")
    clerk.done("reissue", "P-1", "--reason", "Handy", at=f"{TODAY}T12:04")
    clerk.done("revoke", "P-1", "--reason", "Umzug", at=f"{TODAY}T12:05")
    shown = clerk.show("P-1")
    assert [(one["at"][11:16], one["action"], one["reason"]) for one in shown["history"]] == [
        ("12:00", "import", None),
        ("12:01", "suspend", "Rücklastschrift; Mahnung 1"),
        ("12:02", "resume", "bezahlt"),
        ("12:03", "change", None),
        ("12:04", "reissue", "Handy"),
        ("12:05", "revoke", "Umzug"),
    ]
    assert all(one["actor"].startswith("cli") for one in shown["history"])
    assert [(one["revision"], one["status"]) for one in shown["revisions"]] == [(1, 3), (2, 3), (3, 1)]
    text = clerk.done("show", "P-1")
    for words in ("P-1", "revoked", "D-AB 1", "HO", "Rücklastschrift; Mahnung 1", "Umzug"):
        assert words in text


REFUSED: dict[str, tuple[str, ...]] = {
    "unknown number": ("show", "P-99"),
    "unknown number to revoke": ("revoke", "P-99", "--reason", "x"),
    "another type": ("show", "P-1", "--type", "library-card"),
    "unknown type": ("show", "P-1", "--type", "nothing"),
    "no reason": ("revoke", "P-1", "--reason", " "),
    "a reason of two lines": ("revoke", "P-1", "--reason", "a\nb"),
    "a reason without end": ("revoke", "P-1", "--reason", "x" * 5000),
    "nothing named": ("change", "P-1"),
    "the same zone": ("change", "P-1", "--zone", "BÖ"),
    "the same zone decomposed": ("change", "P-1", "--zone", "BO\N{COMBINING DIAERESIS}"),
    "the same plate": ("change", "P-1", "--plate", "D-AB1"),
    "unknown zone": ("change", "P-1", "--zone", "ZZ"),
    "no zone": ("change", "P-1", "--zone", ""),
    "ambiguous plate": ("change", "P-1", "--plate", "UEMA123"),
    "no plate": ("change", "P-1", "--plate", "?"),
    "twice the same plate": ("change", "P-1", "--plate", "D-XY 1", "--plate", "d xy 1"),
    "three plates": ("change", "P-1", "--plate", "D-XY 1", "--plate", "D-XY 2", "--plate", "D-XY 3"),
    "month 13": ("change", "P-1", "--plate", "D-XY 1", "--season", "04-13"),
    "season without end": ("change", "P-1", "--plate", "D-XY 1", "--season", "04"),
    "a season on a long plate": ("change", "P-1", "--plate", "UEM-AB 1234", "--season", "04-10"),
    "two seasons of two spellings": ("change", "P-1", "--plate", "D-XY 1 04-10", "--season", "05-10"),
    "a card number on a permit": ("change", "P-1", "--card-number", "24711300000134"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_in_a_sentence(clerk: Clerk, case: str) -> None:
    before = register_content(clerk.city.data)
    assert clerk.refused(*REFUSED[case]).endswith(".")
    assert register_content(clerk.city.data) == before
    german = main_in_process(*REFUSED[case], "--data", clerk.city.data, "--at", clerk.at)
    assert german.code == 64
    assert german.stderr != clerk(*REFUSED[case]).stderr


@pytest.mark.parametrize(
    "arguments",
    [("revoke", "P-1"), ("change", "P-1", "--season", "04-10"), ("change",),
     ("change", "P-1", "--plate", "D-XY 1", "--season", "04-10", "--season", "04-11")],
)  # fmt: skip
def test_faults_of_use_have_exit_code_64(clerk: Clerk, arguments: tuple[str, ...]) -> None:
    assert clerk(*arguments).code == 64


def test_a_pass_at_its_end_takes_no_change(clerk: Clerk) -> None:
    after = "2027-10-02T00:00"
    assert "2027" in clerk.refused("change", "P-1", "--zone", "HO", at=after)
    assert "2027" in clerk.refused("reissue", "P-1", "--reason", "Handy", at=after)
    clerk.done("change", "P-1", "--zone", "HO", at="2027-10-01T23:59:59")


def test_a_permit_without_a_plate_takes_none(fresh_city: DemoCity) -> None:
    clerk = Clerk(fresh_city)
    clerk.issue_permits(
        {"permit_kind": "carsharing", "plate_1": "", "carsharing_org": "Rheinteiler eG (fiktiv)"}
    )
    assert clerk.refused("change", "P-1", "--plate", "D-XY 1")
    clerk.done("change", "P-1", "--zone", "HO")
    clerk.publish()
    verdict = clerk.device().verify(clerk.seal("P-1")).only
    assert (verdict["organisation"], verdict["zone"], verdict["plates"]) == (
        "Rheinteiler eG (fiktiv)",
        "HO",
        [],
    )


def test_one_number_of_two_types_needs_the_type(clerk: Clerk) -> None:
    clerk.issue_members({"member_id": "P-1"})
    both = ("resident-parking-permit", "library-card")
    sentence = clerk.refused("show", "P-1")
    assert all(one in sentence for one in both)
    assert clerk.refused("revoke", "P-1", "--reason", "welcher?")
    assert [clerk.show("P-1", "--type", one)["type"] for one in both] == list(both)
    clerk.done("revoke", "P-1", "--reason", "Umzug", "--type", both[0])
    assert [clerk.show("P-1", "--type", one)["status"] for one in both] == ["revoked", "active"]


def test_an_unpaid_permit_can_be_revoked_but_not_changed(fresh_city: DemoCity) -> None:
    clerk = Clerk(fresh_city)
    clerk.issue_permits({"status": "pending_payment", "payment_status": "open", "payment_ref": ""})
    assert clerk.show("P-1")["seal"] is None
    assert clerk.refused("change", "P-1", "--zone", "HO")
    assert clerk.refused("reissue", "P-1", "--reason", "Handy")
    clerk.done("revoke", "P-1", "--reason", "nie bezahlt")
    clerk.publish()


def test_a_changed_pass_is_unchanged_for_a_file_that_says_so_too(clerk: Clerk) -> None:
    """The register's own export after a change brings nothing new; the file of before is refused."""
    clerk.done("change", "P-1", "--plate", "D-XY 99")
    clerk.issue_permits({"plate_1": "D-XY 99"}, {"plate_1": "D-AB 2"})
    file = clerk.city.folder / "rows.csv"
    file.write_text(file.read_text().replace("D-XY 99", "D-AB 1"))
    outcome = clerk("issue", "resident-parking-permit", file, "--out", clerk.city.out)
    assert outcome.code == 3
    assert "DUPLICATE_ID" in (clerk.city.out / "report.csv").read_text()


def test_revocations_are_logged_outside_the_database(clerk: Clerk) -> None:
    log = clerk.city.data / "revocations.log"
    clerk.done("suspend", "P-2", "--reason", "Rücklastschrift")
    clerk.refused("revoke", "P-99", "--reason", "gibt es nicht")
    assert not log.exists() or log.read_text() == ""
    clerk.done("revoke", "P-1", "--reason", "Umzug", at=LATER)
    clerk.done("revoke", "P-2", "--reason", "Umzug", at=LAST)
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["pass"] for one in entries] == ["resident-parking-permit/P-1", "resident-parking-permit/P-2"]
    assert [one["at"] for one in entries] == [f"{TODAY}T11:10:00+00:00", f"{TODAY}T11:20:00+00:00"]
    place = clerk.show("P-1")["revisions"][0]
    assert entries[0]["place"] == [place["status_list"], place["status_index"]]
    assert log.stat().st_mode & 0o077 == 0


def test_a_revocation_that_cannot_be_logged_is_not_acknowledged(clerk: Clerk) -> None:
    (clerk.city.data / "revocations.log").mkdir()
    before = register_content(clerk.city.data)
    outcome = clerk("revoke", "P-1", "--reason", "Umzug")
    assert (outcome.code, outcome.stdout) == (64, "")
    assert "revocations.log" in outcome.stderr
    assert register_content(clerk.city.data) == before


def test_a_revocation_is_on_disk_before_it_is_acknowledged(
    clerk: Clerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, seen = clerk.city.data / "revocations.log", []
    sync = os.fsync

    def watched(handle: int) -> None:
        if os.fstat(handle).st_ino == log.stat().st_ino:
            seen.append(("synced", log.read_text().count("P-1")))
        sync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    monkeypatch.setattr("issuer.commands.passes.tell", lambda _text: seen.append(("said", 0)))
    clerk.done("revoke", "P-1", "--reason", "Umzug")
    assert seen == [("synced", 1), ("said", 0)]


def audit(clerk: Clerk) -> tuple[int, dict[str, object]]:
    outcome = clerk("audit", "verify", "--json")
    return outcome.code, json.loads(outcome.stdout)


def tamper(clerk: Clerk, statement: str) -> None:
    connection = sqlite3.connect(clerk.city.data / "register.db")
    with connection:
        for (trigger,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            connection.execute(f'DROP TRIGGER "{trigger}"')
        assert connection.execute(statement).rowcount
    connection.close()


def test_the_audit_trail_is_whole_and_grows(clerk: Clerk) -> None:
    code, before = audit(clerk)
    assert (code, before["fault"]) == (0, None)
    clerk.done("revoke", "P-1", "--reason", "Umzug")
    code, after = audit(clerk)
    assert (code, after["fault"]) == (0, None)
    assert after["entries"] == int(str(before["entries"])) + 1
    assert after["head"] != before["head"]
    assert str(after["head"]) in clerk.done("audit", "verify")
    noted = f"{before['entries']}:{before['head']}"
    assert clerk("audit", "verify", "--noted", noted).code == 0
    assert clerk("audit", "verify", "--noted", f"{before['entries']}:{'0' * 64}").code == 1
    assert clerk.refused("audit", "verify", "--noted", "nonsense")


def test_no_entry_can_be_changed_unseen(clerk: Clerk) -> None:
    clerk.done("revoke", "P-1", "--reason", "Umzug")
    columns = [row[1] for row in register_rows(clerk.city.data, "PRAGMA table_info(audit_entries)")]
    assert {"reason", "actor", "action", "subject"} <= set(columns)
    for column in ("reason", "actor", "action", "subject", "at"):
        (value,) = register_rows(
            clerk.city.data, f"SELECT {column} FROM audit_entries WHERE reason = 'Umzug'"
        )[0]
        changed = "2020-01-01 00:00:00.000000" if column == "at" else f"{value}x"
        tamper(
            clerk,
            f"UPDATE audit_entries SET {column} = '{changed}' WHERE {column} = '{value}' AND reason LIKE 'Umzug%'",
        )
        outcome = clerk("audit", "verify")
        assert (outcome.code, outcome.stdout) == (1, ""), column
        assert outcome.stderr
        tamper(clerk, f"UPDATE audit_entries SET {column} = '{value}' WHERE {column} = '{changed}'")
        assert clerk("audit", "verify").code == 0


@pytest.mark.parametrize("which", ["MIN", "MAX"])
def test_no_entry_can_be_removed_unseen(clerk: Clerk, which: str) -> None:
    clerk.done("revoke", "P-1", "--reason", "Umzug")
    order = [row[1] for row in register_rows(clerk.city.data, "PRAGMA table_info(audit_entries)") if row[5]][
        -1
    ]
    tamper(clerk, f"DELETE FROM audit_entries WHERE {order} = (SELECT {which}({order}) FROM audit_entries)")
    outcome = clerk("audit", "verify")
    assert (outcome.code, outcome.stdout) == (1, "")


def test_a_reason_is_never_markup(clerk: Clerk) -> None:
    """Tables for people are drawn by a library that reads square brackets as formatting."""
    reason = "siehe [/b] Akte [link=x]7[/link]"
    clerk.done("suspend", "P-1", "--reason", reason)
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        command("show", "P-1", "--data", clerk.city.data),
        env=clean_environment({"COLUMNS": "200", "TERM": "xterm"}), stdout=follower, stderr=follower,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):
        while part := os.read(leader, 65536):
            shown += part
    os.close(leader)
    assert process.wait() == 0
    assert reason in shown.decode()
