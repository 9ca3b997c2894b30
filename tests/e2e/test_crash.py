"""Killed in the middle: a second run completes the work, with nothing lost and nothing twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from datetime import datetime
from pathlib import Path

import pytest

from passes.periods import BERLIN
from passes.seal import read_seal
from tests.e2e.commandline import PERMIT, TODAY, clean_environment, command, main_in_process
from tests.e2e.samples import ALL_FILES, FILES_OF_STATUS, PERMITS, register_rows, suffixes, write_csv

NOW = datetime.fromisoformat(TODAY).replace(hour=12, tzinfo=BERLIN).timestamp()
# Kills its own process when it is about to give a file its name for the n-th time.
DRIVER = """
import os, pathlib, signal, sys
left = int(sys.argv.pop(1))
replace = pathlib.Path.replace
def rename(self, target):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
pathlib.Path.replace = rename
from issuer.cli import main
sys.exit(main(sys.argv[1:]))
"""


def many(count):
    """The sample's permits again and again under new numbers; each holder has all of them."""
    rows = []
    for number in range(count):
        row = PERMITS[number % len(PERMITS)]
        rows.append(row | {"permit_id": f"BPA-X-{number:06}", "replaces_permit_id": ""})
    return rows


def words(city, file, *more):
    return ["issue", PERMIT, file, "--data", city.data, "--out", city.out, "--today", TODAY, *more]


def entered(city):
    try:
        return register_rows(city.data, "SELECT count(*) FROM passes")[0][0]
    except sqlite3.OperationalError:
        return 0


def written(city):
    try:
        return sum(not entry.name.startswith(".") for entry in city.out.iterdir())
    except FileNotFoundError:
        return 0


def group_members(group):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def kill_when(args, reached, *, only_parent=False):
    """Start a command and kill it as soon as ``reached`` says so; tells whether it was still running."""
    process = subprocess.Popen(
        command(*args),
        env=clean_environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while process.poll() is None and not reached():
            time.sleep(0.002)
        running = process.poll() is None
        if only_parent:
            process.kill()
            process.wait()
            end = time.monotonic() + 20
            while group_members(process.pid) and time.monotonic() < end:
                time.sleep(0.02)
            assert group_members(process.pid) == []
        return running
    finally:
        if group_members(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def killed_at_rename(n, args):
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(n), *map(str, args)],
        env=clean_environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode == -signal.SIGKILL


def assert_complete(city, rows, made=ALL_FILES):
    """Everything is there once: passes, revisions, places, audit entries, files; and nothing else."""
    numbers = sorted(row["permit_id"] for row in rows)
    assert sorted(one for (one,) in register_rows(city.data, "SELECT number FROM passes")) == numbers
    revisions = register_rows(
        city.data, "SELECT number, list_number, list_index, seal, serial FROM revisions ORDER BY number"
    )
    assert [one[0] for one in revisions] == numbers
    places = [one[1:3] for one in revisions if one[1] is not None]
    assert len(places) == len(set(places)) == sum(row["status"] != "pending_payment" for row in rows)
    assert len({one[4] for one in revisions}) == len(revisions)
    imports = register_rows(city.data, "SELECT subject FROM audit_entries WHERE action = 'import'")
    assert len(imports) == len(set(imports)) == len(rows)
    assert main_in_process("audit", "verify", "--data", city.data).code == 0
    used = register_rows(city.data, "SELECT sum(used) FROM status_lists")[0][0]
    assert used == len(places)

    seals = {one[0]: one[3] for one in revisions}
    for row in rows:
        number = row["permit_id"]
        assert suffixes(city.out, number) == FILES_OF_STATUS[row["status"]] & made, number
        if row["status"] != "pending_payment":
            assert (city.out / f"{number}.seal.txt").read_text() == seals[number] + "\n"
    for archive in city.out.glob("*.pkpass"):
        with zipfile.ZipFile(archive) as opened:
            assert opened.testzip() is None
            pass_json = json.loads(opened.read("pass.json"))
        assert pass_json["barcodes"][0]["message"] == seals[archive.stem]
    for document in city.out.glob("*.json"):
        json.loads(document.read_bytes())
    assert all(document.read_bytes().rstrip().endswith(b"%%EOF") for document in city.out.glob("*.pdf"))
    assert not list(city.out.glob(".*"))
    assert not list(city.data.glob(".*.*"))


def complete(city, file, rows, *more, made=ALL_FILES):
    again = main_in_process(*words(city, file, *more, "--json"))
    assert again.code == 0, again.stderr
    counts = json.loads(again.stdout)
    assert counts["accepted"] + counts["unchanged"] == len(rows)
    assert_complete(city, rows, made)
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("files", [1, 300])
def test_killed_while_workers_make_passes(fresh_city, tmp_path, files):
    rows = many(100)
    file = write_csv(tmp_path / "permits.csv", rows)
    assert kill_when(words(fresh_city, file), lambda: written(fresh_city) >= files)
    assert entered(fresh_city) == len(rows)
    counts = complete(fresh_city, file, rows)
    assert counts["unchanged"] == len(rows)
    assert counts["made"] > 0


@pytest.mark.slow
def test_killed_between_two_chunks_of_the_register(fresh_city, tmp_path):
    rows = many(600)
    file = write_csv(tmp_path / "permits.csv", rows)
    carriers = ("--carriers", "seal")
    assert kill_when(words(fresh_city, file, *carriers), lambda: entered(fresh_city) > 0)
    there = entered(fresh_city)
    assert 0 < there < len(rows)
    counts = complete(fresh_city, file, rows, *carriers, made={".seal.txt", ".png"})
    assert (counts["unchanged"], counts["accepted"]) == (there, len(rows) - there)


@pytest.mark.parametrize("n", [1, 4, 50])
def test_killed_between_writing_a_file_and_giving_it_its_name(fresh_city, tmp_path, n):
    rows = many(30)
    file = write_csv(tmp_path / "permits.csv", rows)
    carriers = ("--carriers", "google,seal")
    assert killed_at_rename(n, words(fresh_city, file, *carriers))
    assert written(fresh_city) == n - 1
    assert len(list(fresh_city.out.glob(".*"))) == 1
    complete(fresh_city, file, rows, *carriers, made={".google.json", ".save-link.txt", ".seal.txt", ".png"})


@pytest.mark.slow
def test_workers_end_when_only_their_parent_is_killed(fresh_city, tmp_path):
    rows = many(200)
    file = write_csv(tmp_path / "permits.csv", rows)
    carriers = ("--carriers", "google,seal")
    assert kill_when(words(fresh_city, file, *carriers), lambda: written(fresh_city) >= 5, only_parent=True)
    complete(fresh_city, file, rows, *carriers, made={".google.json", ".save-link.txt", ".seal.txt", ".png"})


@pytest.mark.slow
def test_two_runs_of_the_same_file_at_once_enter_nothing_twice(fresh_city, tmp_path):
    rows = many(300)
    file = write_csv(tmp_path / "permits.csv", rows)
    args = words(fresh_city, file, "--carriers", "google,seal", "--json")
    both = [
        subprocess.Popen(
            command(*args), env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in both:
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
        counts = json.loads(stdout)
        assert counts["accepted"] + counts["unchanged"] == len(rows)
    assert_complete(fresh_city, rows, made={".google.json", ".save-link.txt", ".seal.txt", ".png"})


@pytest.mark.parametrize("n", [1, 2, 3, 7, 12, 13])
def test_a_killed_publish_leaves_the_old_or_the_new_set(own_city, tmp_path, n):
    """The old state, the new one, or a mix that still verifies: what was good stays good."""
    good, ended = (row["permit_id"] for row in PERMITS[:2])
    plate = PERMITS[0]["plate_1"]
    assert main_in_process("revoke", ended, "--reason", "Test", "--data", own_city.data).code == 0
    later = "2026-11-20T13:00"
    publish = ["publish", "--data", own_city.data, "--out", own_city.published, "--at", later]
    assert killed_at_rename(n, publish)

    def verdicts():
        given = [(own_city.out / f"{number}.seal.txt").read_text().strip() for number in (good, ended)]
        common = ("--trust", own_city.published, "--at", later, "--json")
        seals = main_in_process("verify", *given, *common)
        plates = main_in_process("check-plate", plate, *common)
        return [json.loads(line)["reason"] for line in (seals.stdout + plates.stdout).splitlines()]

    first, second, third = verdicts()
    assert (first, third) == ("VALID", "VALID")
    assert second in ("VALID", "REVOKED")
    assert main_in_process(*publish).code == 0
    assert verdicts() == ["VALID", "REVOKED", "VALID"]
    assert not [one for one in own_city.published.rglob(".*") if one.name != ".state.json"]
    assert not list(own_city.data.glob(".*.*"))


def test_a_killed_change_is_finished_by_the_same_change(own_city):
    number = PERMITS[0]["permit_id"]
    seal_file = own_city.out / f"{number}.seal.txt"
    before = seal_file.read_text()
    change = ["change", number, "--plate", "D-XY 99", "--data", own_city.data, "--out", own_city.out,
              "--today", TODAY]  # fmt: skip
    assert killed_at_rename(2, change)
    view = json.loads(main_in_process("show", number, "--data", own_city.data, "--json").stdout)
    assert [one["superseded_at"] is None for one in view["revisions"]] == [False, True]
    assert main_in_process("audit", "verify", "--data", own_city.data).code == 0
    # The register has the new revision, the folder still the old seal: the same command makes the files.
    assert seal_file.read_text() == before
    assert main_in_process(*change).code == 0
    again = json.loads(main_in_process("show", number, "--data", own_city.data, "--json").stdout)
    assert len(again["revisions"]) == 2
    assert seal_file.read_text().strip() == again["seal"]
    assert main_in_process(*change).code == 64


def test_a_change_that_cannot_be_written_does_not_happen(own_city, tmp_path):
    number = PERMITS[0]["permit_id"]
    taken = tmp_path / "file"
    taken.write_text("")
    refused = main_in_process(
        "change", number, "--plate", "D-XY 99", "--data", own_city.data, "--out", taken, "--today", TODAY
    )
    assert (refused.code, len(refused.stderr.splitlines())) == (64, 1)
    view = json.loads(main_in_process("show", number, "--data", own_city.data, "--json").stdout)
    assert len(view["revisions"]) == 1


@pytest.mark.slow
def test_a_killed_emergency_revocation_is_finished_by_the_same_command(own_city):
    def keys():
        lines = main_in_process("keys", "list", "--data", own_city.data, "--json").stdout.splitlines()
        return [one for one in map(json.loads, lines) if one["purpose"] == "seal"]

    common = ["--data", own_city.data, "--today", TODAY]
    [old] = [one["kid"] for one in keys()]
    assert main_in_process("keys", "add", "seal", *common).code == 0
    assert main_in_process("publish", *common, "--out", own_city.published).code == 0
    [new] = [one["kid"] for one in keys() if one["state"] == "pending"]
    assert main_in_process("keys", "activate", new, *common).code == 0
    revoke = ["keys", "revoke", old, "--reason", "entwendet", "--out", own_city.out, *common]
    process = subprocess.Popen(command(*revoke), env=clean_environment(), start_new_session=True)
    before = {file.name: file.read_text() for file in own_city.out.glob("*.seal.txt")}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        # Somewhere in the middle: some passes have their new files, others only a new seal in the register.
        if sum(file.read_text() != before[file.name] for file in own_city.out.glob("*.seal.txt")) > 5:
            break
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert main_in_process(*revoke).code == 0
    live = [row["permit_id"] for row in PERMITS if row["status"] in ("active", "not_yet_valid", "suspended")]
    seals = {number: (own_city.out / f"{number}.seal.txt").read_text().strip() for number in live}
    for place, (number, seal) in enumerate(seals.items()):
        read = read_seal(seal)
        if read.content.expires <= NOW:
            continue
        assert read.message.kid.hex() == new, number
        # Opening the register again for each one would take most of a minute.
        if place % 10 == 0:
            shown = main_in_process("show", number, "--data", own_city.data, "--json", "--type", PERMIT)
            view = json.loads(shown.stdout)
            assert (view["revisions"][-1]["kid"], view["seal"]) == (new, seal)
